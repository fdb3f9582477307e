// Window functions that have no operator of their own (those that have: HirLowering.Windows.Maintained.cs), made of others. The rows of a partition become one sorted list of records; unnested with ordinality
// the list gives each row back with its position, and with the whole list beside it, so that positions are row_number and neighbours are
// list subscripts. What depends on peers (frames that end at the current row's last peer) is computed once for each group of peers and joined back. An aggregate over the whole partition needs no list at all.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public sealed partial class HirLowering
{
    /// <summary>A window over a relation: the partition's key (outer columns first) and the order, as expressions over its columns.</summary>
    private sealed record Window(
        Rel Input, ValueArray<MirScalarExpr> Keys, ValueArray<ColumnType> KeyTypes, ValueArray<MirScalarExpr> OrderBy, ValueArray<ColumnType> OrderTypes,
        ValueArray<ColumnOrder> Orders, ValueArray<MirScalarExpr> Args, ValueArray<ColumnType> ArgTypes)
    {
        public ValueArray<MirScalarExpr> PeerKeys => [.. Keys, .. OrderBy];

        public ValueArray<ColumnType> PeerTypes => [.. KeyTypes, .. OrderTypes];
    }

    private static readonly ColumnType Position = SqlType.Int64.Nullable(false);

    /// <summary>Appends the function's value to each row.</summary>
    private Rel AddWindow(Rel input, WindowExpr expr, Place place) =>
        AddMaintained(input, expr, place) ?? AddCollected(input, expr, place);

    private Rel AddCollected(Rel input, WindowExpr expr, Place place) => Bind(input, bound =>
    {
        var outerColumns = Enumerable.Range(0, place.OuterArity).ToList();
        var window = new Window(
            bound,
            [.. outerColumns.Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)), .. expr.PartitionBy.Select(e => Scalar(e, place))],
            [.. outerColumns.Select(i => bound.Columns[i]), .. expr.PartitionBy.Select(e => e.Type)],
            expr.OrderBy.Select(e => Scalar(e, place)),
            expr.OrderBy.Select(e => e.Type),
            expr.Orders,
            expr.Args.Select(e => Scalar(e, place)),
            expr.Args.Select(e => e.Type));
        return expr.Func switch
        {
            WindowFunc.Lag or WindowFunc.Lead => Numbered(window, window.Args, (rows, list, ordinal) => (Neighbour(window, expr, rows, list, ordinal), expr.Output)),
            WindowFunc.FirstValue or WindowFunc.LastValue or WindowFunc.Aggregate => Framed(window, expr),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    });

    private static MirScalarExpr Int8(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), Position);

    private static MirScalarExpr Call(ScalarFunc func, SqlType output, params ReadOnlySpan<MirScalarExpr> args) =>
        new MirScalarExpr.Call(func, ValueArray.Create(args), output);

    private static MirScalarExpr Field(MirScalarExpr record, SqlType recordType, int index) =>
        Call(ScalarFunctions.RecordGet, recordType.Fields[index].Type.Type, record, new MirScalarExpr.Literal(Datum.FromInt64(index), SqlType.Int32.Nullable(false)));

    private static ScalarFunc AddInt8 { get; } = ScalarFunctions.ById("add_int8");

    private static ScalarFunc SubInt8 { get; } = ScalarFunctions.ById("sub_int8");

    /// <summary>The sorted list of each partition: key columns, then the list of records of the input's columns and <paramref name="extra"/>.</summary>
    private static (Rel Lists, SqlType Record) Lists(Window window, ValueArray<MirScalarExpr> extra)
    {
        var input = window.Input;
        ValueArray<MirScalarExpr> fields = [.. Enumerable.Range(0, input.Arity).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)), .. extra];
        ValueArray<ColumnType> types = [.. input.Columns, .. extra.Select(e => e.TypeOf(input.Columns))];
        var record = new SqlType(ScalarKind.Record) { Fields = types.Select((t, i) => new RecordField($"f{i + 1}", t)).ToValueArray() };
        var list = new AggregateExpr(
            AggregateFunc.ListAgg, [new MirScalarExpr.Call(ScalarFunctions.RecordCreate, fields, record)], false,
            SqlType.ListOf(record).Nullable(false), window.Orders, window.OrderBy);
        return (new Rel(new MirRelationExpr.Reduce(input.Expr, window.Keys, [list]), [.. window.KeyTypes, SqlType.ListOf(record).Nullable(false)]), record);
    }

    /// <summary>
    /// The input's rows with one value more, made from the row's record, its partition's list and its position in it.
    /// </summary>
    private static Rel Numbered(
        Window window, ValueArray<MirScalarExpr> extra, Func<MirScalarExpr, MirScalarExpr, int, (MirScalarExpr Value, ColumnType Type)> value)
    {
        var (rows, record, list, ordinal) = Unnested(window, extra);
        var element = new MirScalarExpr.Column(ordinal - 1);
        var (expr, type) = value(element, list, ordinal);
        var columns = Enumerable.Range(0, window.Input.Arity).Select(i => Field(element, record, i)).Append(expr);
        var mapped = Map(rows, columns, [.. window.Input.Columns, type]);
        return Project(mapped, Enumerable.Range(rows.Arity, window.Input.Arity + 1).ToValueArray());
    }

    /// <summary>Key columns, list, record, position.</summary>
    private static (Rel Rows, SqlType Record, MirScalarExpr List, int Ordinal) Unnested(Window window, ValueArray<MirScalarExpr> extra)
    {
        var (lists, record) = Lists(window, extra);
        var list = new MirScalarExpr.Column(lists.Arity - 1);
        ValueArray<ColumnType> output = [record.Nullable(false), Position];
        var call = new MirRelationExpr.FlatMap(lists.Expr, TableFunc.WithOrdinality, [list], output) { Inner = TableFunc.UnnestList };
        return (new Rel(call, [.. lists.Columns, .. output]), record, list, lists.Arity + 1);
    }

    /// <summary>lag and lead: the argument of the row so many positions away, or the default where there is none.</summary>
    private static MirScalarExpr Neighbour(Window window, WindowExpr expr, MirScalarExpr element, MirScalarExpr list, int ordinal)
    {
        var record = RecordOf(window, window.Args);
        var n = window.Input.Arity;
        var offset = window.Args.Count > 1
            ? Call(ScalarFunctions.ById("cast_int4_to_int8"), SqlType.Int64, Field(element, record, n + 1))
            : Int8(1);
        var position = Call(expr.Func == WindowFunc.Lag ? SubInt8 : AddInt8, SqlType.Int64, new MirScalarExpr.Column(ordinal), offset);
        var neighbour = Call(ScalarFunctions.ListIndex, record, list, position);
        var value = Field(neighbour, record, n);
        if (window.Args.Count < 3)
            return value;
        var there = new MirScalarExpr.If(Call(ScalarFunctions.IsNull, SqlType.Bool, neighbour), Field(element, record, n + 2), value);
        return new MirScalarExpr.If(Call(ScalarFunctions.IsNull, SqlType.Bool, offset), MirScalarExpr.Null(expr.Output.Type), there);
    }

    private static SqlType RecordOf(Window window, ValueArray<MirScalarExpr> extra) => Lists(window, extra).Record;

    /// <summary>Keys, order values, position.</summary>
    private static Rel PeerPositions(Window window, AggregateFunc func)
    {
        var numbered = Numbered(window, [], (_, _, ordinal) => (new MirScalarExpr.Column(ordinal), Position));
        var aggregate = new AggregateExpr(func, [new MirScalarExpr.Column(window.Input.Arity)], false, Position, [], []);
        return new Rel(new MirRelationExpr.Reduce(numbered.Expr, window.PeerKeys, [aggregate]), [.. window.PeerTypes, Position]);
    }

    /// <summary>The input's rows, each with the last column of the row of <paramref name="values"/> that begins with its keys.</summary>
    private static Rel JoinBack(Window window, Rel values, ValueArray<MirScalarExpr> keys, ValueArray<ColumnType> types)
    {
        var input = window.Input;
        List<ValueArray<MirScalarExpr>> equivalences = [];
        for (var i = 0; i < keys.Count; i++)
        {
            var right = new MirScalarExpr.Column(input.Arity + i);
            if (types[i].IsNullable)
                equivalences.AddRange(NullSafe.Equality(keys[i], right, types[i].Type));
            else
                equivalences.Add([keys[i], right]);
        }

        var join = new Rel(new MirRelationExpr.Join([input.Expr, values.Expr], equivalences.ToValueArray()), [.. input.Columns, .. values.Columns]);
        return Project(join, [.. ValueArray.Range(input.Arity), join.Arity - 1]);
    }

    // ---- Frames ----------------------------------------------------------------------------------------------------------

    private Rel Framed(Window window, WindowExpr expr)
    {
        var frame = expr.Frame;
        var isWhole = frame.Start.Offset is null && (frame.End.Offset is null || (!frame.IsRows && frame.End.Offset == 0 && window.OrderBy.IsEmpty));
        if (isWhole && expr.Func == WindowFunc.Aggregate)
        {
            var reduce = new Rel(
                new MirRelationExpr.Reduce(window.Input.Expr, window.Keys, [Aggregate(expr, window.Args)]), [.. window.KeyTypes, expr.Output]);
            return JoinBack(window, reduce, window.Keys, window.KeyTypes);
        }

        return frame.IsRows
            ? RowsFramed(window, expr)
            : PeersFramed(window, expr);
    }

    private static AggregateExpr Aggregate(WindowExpr expr, ValueArray<MirScalarExpr> args) =>
        new(expr.Aggregate!.Value, args, false, expr.Output, [], []);

    /// <summary>A frame of positions.</summary>
    private Rel RowsFramed(Window window, WindowExpr expr)
    {
        var n = window.Input.Arity;
        var record = RecordOf(window, window.Args);
        MirScalarExpr Bound(FrameBound bound, int ordinal, bool isStart) => bound.Offset switch
        {
            null => isStart ? Int8(1) : Int8(long.MaxValue),
            0 => new MirScalarExpr.Column(ordinal),
            { } offset => Call(AddInt8, SqlType.Int64, new MirScalarExpr.Column(ordinal), Int8(offset)),
        };
        MirScalarExpr Start(int ordinal) => Call(ScalarFunctions.Greatest, SqlType.Int64, Bound(expr.Frame.Start, ordinal, true), Int8(1));

        if (expr.Func != WindowFunc.Aggregate)
        {
            return Numbered(window, window.Args, (_, list, ordinal) =>
            {
                var slice = Call(ScalarFunctions.ListSlice, SqlType.ListOf(record), list, Start(ordinal), Bound(expr.Frame.End, ordinal, false));
                var at = expr.Func == WindowFunc.FirstValue ? Int8(1) : Call(ScalarFunctions.ById("cast_int4_to_int8"), SqlType.Int64, Call(ListLength, SqlType.Int32, slice));
                return (Field(Call(ScalarFunctions.ListIndex, record, slice, at), record, n), expr.Output);
            });
        }

        // Each row with its frame's rows, then the aggregate over these: rows are told apart by their position.
        var (rows, _, wholeList, ordinalColumn) = Unnested(window, window.Args);
        var frame = Call(ScalarFunctions.ListSlice, SqlType.ListOf(record), wholeList, Start(ordinalColumn), Bound(expr.Frame.End, ordinalColumn, false));
        var element = new MirScalarExpr.Column(ordinalColumn - 1);
        var unnest = new Rel(
            new MirRelationExpr.FlatMap(rows.Expr, TableFunc.UnnestList, [frame], [record.Nullable(false)]), [.. rows.Columns, record.Nullable(false)]);
        var inFrame = new MirScalarExpr.Column(rows.Arity);
        ValueArray<MirScalarExpr> rowKey = [.. Enumerable.Range(0, n).Select(i => Field(element, record, i)), new MirScalarExpr.Column(ordinalColumn)];
        ValueArray<ColumnType> rowTypes = [.. window.Input.Columns, Position];
        var args = window.Args.Select((_, i) => Field(inFrame, record, n + i)).ToValueArray();
        var reduced = new Rel(new MirRelationExpr.Reduce(unnest.Expr, rowKey, [Aggregate(expr, args)]), [.. rowTypes, expr.Output]);
        ValueArray<int> result = [.. ValueArray.Range(n), n + 1];
        if (expr.Frame.Start.Offset is null or <= 0 && expr.Frame.End.Offset is null or >= 0)
            return Project(reduced, result);

        // A frame beside the current row may be empty.
        return Project(
            Bind(reduced, bound =>
            {
                var all = Numbered(window, [], (_, _, ordinal) => (new MirScalarExpr.Column(ordinal), Position));
                var missing = Union(all, Negate(Project(bound, ValueArray.Range(n + 1))));
                var empty = expr.Aggregate == AggregateFunc.Count ? Datum.FromInt64(0) : Datum.Null;
                return Union(bound, Map(missing, [new MirScalarExpr.Literal(empty, expr.Output)], [expr.Output]));
            }),
            result);
    }

    private static ScalarFunc ListLength { get; } = ScalarFunctions.ById("list_length");

    /// <summary>An aggregate over the frame from the partition's first row to the current row's last peer: one value for each group of peers.</summary>
    private Rel PeersFramed(Window window, WindowExpr expr)
    {
        if (expr.Frame.Start.Offset is not null || expr.Frame.End.Offset != 0)
            throw SqlException.Unsupported("RANGE in non-default window frames");
        var ends = PeerPositions(window, AggregateFunc.Max);
        var (lists, record) = Lists(window, window.Args);
        var keys = window.Keys.Count;
        List<ValueArray<MirScalarExpr>> equivalences = [];
        for (var i = 0; i < keys; i++)
            AddEquality(equivalences, i, ends.Arity + i, window.KeyTypes[i], window.KeyTypes[i].IsNullable);
        var joined = new Rel(new MirRelationExpr.Join([ends.Expr, lists.Expr], equivalences.ToValueArray()), [.. ends.Columns, .. lists.Columns]);
        var end = new MirScalarExpr.Column(ends.Arity - 1);
        var list = new MirScalarExpr.Column(joined.Arity - 1);
        var n = window.Input.Arity;
        var peerKeys = Enumerable.Range(0, ends.Arity - 1).ToList();
        var slice = Call(ScalarFunctions.ListSlice, SqlType.ListOf(record), list, Int8(1), end);
        var unnest = new MirRelationExpr.FlatMap(joined.Expr, TableFunc.UnnestList, [slice], [record.Nullable(false)]);
        var args = window.Args.Select((_, i) => Field(new MirScalarExpr.Column(joined.Arity), record, n + i)).ToValueArray();
        var values = new Rel(
            new MirRelationExpr.Reduce(unnest, peerKeys.Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)).ToValueArray(), [Aggregate(expr, args)]),
            [.. window.PeerTypes, expr.Output]);
        return JoinBack(window, values, window.PeerKeys, window.PeerTypes);
    }
}
