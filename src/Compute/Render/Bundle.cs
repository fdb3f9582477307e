using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

/// <summary>An arrangement within a dataflow and how its rows lie.</summary>
internal sealed record ArrangedCollection<TTime>(Arranged<TTime> Arranged, ArrangementShape Shape) where TTime : unmanaged, ITime<TTime>;

/// <summary>
/// A collection while its dataflow is being built: its rows as a stream, or arranged, or both, and its errors. An error says that
/// the collection has no value while it is there; it says nothing of single rows.
/// </summary>
internal sealed class Bundle<TTime> where TTime : unmanaged, ITime<TTime>
{
    private readonly List<ArrangedCollection<TTime>> _arrangements = [];
    private Stream<TTime>? _ok;

    private Bundle(ValueArray<ColumnType> columns, Stream<TTime> errors)
    {
        Columns = columns;
        Errors = errors;
    }

    /// <summary>The layout of <see cref="Ok"/>'s rows.</summary>
    public ValueArray<ColumnType> Columns { get; }

    /// <summary>Encoded errors, of variable shape.</summary>
    public Stream<TTime> Errors { get; private set; }

    public IReadOnlyList<ArrangedCollection<TTime>> Arrangements => _arrangements;

    public static Bundle<TTime> OfStream(Stream<TTime> ok, Stream<TTime> errors, ValueArray<ColumnType> columns) => new(columns, errors) { _ok = ok };

    public static Bundle<TTime> OfStream(OkErr<TTime> ok, ValueArray<ColumnType> columns, params ReadOnlySpan<Stream<TTime>> errors) =>
        OfStream(ok.Ok, ok.Errors.Concat(errors), columns);

    public static Bundle<TTime> OfArrangement(ArrangedCollection<TTime> arranged, Stream<TTime> errors, ValueArray<ColumnType> columns)
    {
        var bundle = new Bundle<TTime>(columns, errors);
        bundle._arrangements.Add(arranged);
        return bundle;
    }

    /// <summary>The rows as a stream; made from an arrangement if there is no other, once.</summary>
    public Stream<TTime> Ok
    {
        get
        {
            if (_ok is null)
            {
                var from = _arrangements[0];
                var rows = from.Arranged.AsStream(
                    "rows of an arrangement", RowKernels.Project(RowSource.Arranged(from.Shape), Columns), RowLayout.For(Columns).Shape);
                _ok = rows.Ok;
                Errors = Errors.Concat(rows.Errors);
            }

            return _ok;
        }
    }

    public bool HasStream => _ok is not null;

    public ArrangedCollection<TTime>? Find(ArrangementKey key) => _arrangements.Find(a => a.Shape.Key == key);

    /// <summary>Adds an arrangement of the same collection that exists.</summary>
    public void Include(ArrangedCollection<TTime> arranged) => _arrangements.Add(arranged);

    /// <summary>The arrangement by <paramref name="key"/>, built if there is none.</summary>
    public ArrangedCollection<TTime> Arrange(ArrangementKey key) => Find(key) ?? Add(ArrangementShape.Of(key, Columns));

    /// <summary>An arrangement whose keys lie as <paramref name="shape"/> says; rows with a null in the key that it has no place for are left out.</summary>
    public ArrangedCollection<TTime> Add(ArrangementShape shape)
    {
        var kernel = RowKernels.Split(RowSource.Whole(Columns), shape);
        var arranged = Ok.Arrange("arrange", kernel, shape.KeyLayout.Shape, shape.ValueLayout.Shape);
        Errors = Errors.Concat(arranged.Errors);
        var collection = new ArrangedCollection<TTime>(arranged.Arranged, shape);
        _arrangements.Add(collection);
        return collection;
    }

    /// <summary>The rows laid out as <paramref name="columns"/> says, of the same types but for nullability.</summary>
    public Stream<TTime> OkAs(ValueArray<ColumnType> columns)
    {
        if (Layouts.AreEqual(Columns, columns))
            return Ok;
        var rows = Ok.Map("lay out", RowKernels.Project(RowSource.Whole(Columns), columns), RowLayout.For(columns).Shape);
        Errors = Errors.Concat(rows.Errors);
        return rows.Ok;
    }

    /// <summary>Joins more errors to those of the collection.</summary>
    public Bundle<TTime> WithErrors(Stream<TTime> errors)
    {
        Errors = Errors.Concat(errors);
        return this;
    }

    /// <summary>The shape of encoded errors.</summary>
    public static RowShape ErrorShape => RowShape.Variable;
}
