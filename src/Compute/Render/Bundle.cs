using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

/// <summary>An arrangement within a dataflow and how its rows lie.</summary>
internal sealed record ArrangedCollection(ArrangedRows Arranged, ArrangementShape Shape);

/// <summary>
/// A collection while its dataflow is being built: its rows as a stream, or arranged, or both, and its errors. An error says that
/// the collection has no value while it is there; it says nothing of single rows.
/// </summary>
internal sealed class Bundle
{
    private readonly List<ArrangedCollection> _arrangements = [];
    private Rows? _ok;

    private Bundle(ValueArray<ColumnType> columns, Rows errors)
    {
        Columns = columns;
        Errors = errors;
    }

    /// <summary>The layout of <see cref="Ok"/>'s rows.</summary>
    public ValueArray<ColumnType> Columns { get; }

    /// <summary>Encoded errors, of variable shape.</summary>
    public Rows Errors { get; private set; }

    public IReadOnlyList<ArrangedCollection> Arrangements => _arrangements;

    public static Bundle OfStream(Rows ok, Rows errors, ValueArray<ColumnType> columns) => new(columns, errors) { _ok = ok };

    public static Bundle OfStream(OkErr<Time> ok, ValueArray<ColumnType> columns, params ReadOnlySpan<Rows> errors) =>
        OfStream(ok.Ok, ok.Errors.Concat(errors), columns);

    public static Bundle OfArrangement(ArrangedCollection arranged, Rows errors, ValueArray<ColumnType> columns)
    {
        var bundle = new Bundle(columns, errors);
        bundle._arrangements.Add(arranged);
        return bundle;
    }

    /// <summary>The rows as a stream; made from an arrangement if there is no other, once.</summary>
    public Rows Ok
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

    public ArrangedCollection? Find(ArrangementKey key) => _arrangements.Find(a => a.Shape.Key == key);

    /// <summary>Adds an arrangement of the same collection that exists.</summary>
    public void Include(ArrangedCollection arranged) => _arrangements.Add(arranged);

    /// <summary>The arrangement by <paramref name="key"/>, built if there is none.</summary>
    public ArrangedCollection Arrange(ArrangementKey key) => Find(key) ?? Add(ArrangementShape.Of(key, Columns));

    /// <summary>An arrangement whose keys lie as <paramref name="shape"/> says; rows with a null in the key that it has no place for are left out.</summary>
    public ArrangedCollection Add(ArrangementShape shape)
    {
        var kernel = RowKernels.Split(RowSource.Whole(Columns), shape);
        var arranged = Ok.Arrange("arrange", kernel, shape.KeyLayout.Shape, shape.ValueLayout.Shape);
        Errors = Errors.Concat(arranged.Errors);
        var collection = new ArrangedCollection(arranged.Arranged, shape);
        _arrangements.Add(collection);
        return collection;
    }

    /// <summary>The rows laid out as <paramref name="columns"/> says, of the same types but for nullability.</summary>
    public Rows OkAs(ValueArray<ColumnType> columns)
    {
        if (Layouts.AreEqual(Columns, columns))
            return Ok;
        var rows = Ok.Map("lay out", RowKernels.Project(RowSource.Whole(Columns), columns), RowLayout.For(columns).Shape);
        Errors = Errors.Concat(rows.Errors);
        return rows.Ok;
    }

    /// <summary>Joins more errors to those of the collection.</summary>
    public Bundle WithErrors(Rows errors)
    {
        Errors = Errors.Concat(errors);
        return this;
    }

    /// <summary>The shape of encoded errors.</summary>
    public static RowShape ErrorShape => RowShape.Variable;
}
