using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Sql;

// Window functions that MirRelationExpr.Window computes. Functions of one SELECT over the same window become calls of one node, so that the rows are kept once.
public sealed partial class HirLowering
{
    /// <summary>
    /// Appends the function's value to each row; null if the node has no such call: lag and lead by what is no constant, first_value and last_value over a frame without the current row, aggregates over a frame that has no end or ends
    /// before it begins, aggregates that do not accumulate (min, max, array_agg, …), and those over whole partitions, which are better grouped and joined.
    /// </summary>
    private Rel? AddMaintained(Rel input, WindowExpr expr, Place place)
    {
        if (CallOf(expr, place) is not { } make)
            return null;
        var partition = Enumerable.Range(0, place.OuterArity).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i))
            .Concat(expr.PartitionBy.Select(e => Scalar(e, place)).AsEnumerable()).ToValueArray();
        var order = expr.OrderBy.Select(e => Scalar(e, place));
        var args = expr.Args.Select(e => Scalar(e, place));
        if (WindowUnder(input.Expr) is var (window, outputs) && AddCall(window, outputs, partition, order, args, expr.Orders, make) is { } added)
            return new Rel(added, [.. input.Columns, expr.Output]);

        var columns = new MappedColumns(input.Expr, input.Arity);
        var node = new MirRelationExpr.Window(
            input.Expr, columns.Of(partition), Ordered(columns.Of(order), expr.Orders), [make(columns.Of(args))]) with
        { Input = columns.Expr };
        return new Rel(
            new MirRelationExpr.Project(node, [.. ValueArray.Range(input.Arity), input.Arity + columns.Added]), [.. input.Columns, expr.Output]);
    }

    /// <summary>
    /// A window under what only maps and projects, and the columns of <paramref name="expr"/> in terms of the window's. Null if there is none, or if a computed column is read by another.
    /// </summary>
    private static (MirRelationExpr.Window Window, List<MirScalarExpr> Outputs)? WindowUnder(MirRelationExpr expr)
    {
        switch (expr)
        {
            case MirRelationExpr.Window x:
                return (x, [.. Enumerable.Range(0, x.Arity()).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i))]);
            case MirRelationExpr.Project x when WindowUnder(x.Input) is var (window, outputs):
                return (window, [.. x.Outputs.Select(i => outputs[i]).AsEnumerable()]);
            case MirRelationExpr.Map x when WindowUnder(x.Input) is var (window, outputs):
                foreach (var scalar in x.Scalars)
                {
                    if (!ReadsOnly(scalar, c => outputs[c] is MirScalarExpr.Column))
                        return null;
                    outputs.Add(InTermsOf(scalar, outputs));
                }

                return (window, outputs);
            default:
                return null;
        }
    }

    /// <summary>The same columns and one more, by one more call of the window; null if it is not over this window, or reads what it appended.</summary>
    private static MirRelationExpr? AddCall(
        MirRelationExpr.Window window,
        List<MirScalarExpr> outputs,
        ValueArray<MirScalarExpr> partition,
        ValueArray<MirScalarExpr> order,
        ValueArray<MirScalarExpr> args,
        ValueArray<ColumnOrder> orders,
        Func<ValueArray<int>, WindowCall> make)
    {
        var arity = window.Input.Arity();
        (partition, order, args) = (partition.Select(Below), order.Select(Below), args.Select(Below));
        if (!partition.Concat(order).Concat(args).All(e => ReadsOnly(e, c => c < arity)))
            return null;
        var below = new MappedColumns(window.Input, arity);
        if (below.Of(partition) != window.PartitionKey || Ordered(below.Of(order), orders) != window.OrderKey)
            return null;
        var call = make(below.Of(args));
        var appended = arity + below.Added;
        List<MirScalarExpr> computed = [];
        List<int> columns = [];
        foreach (var output in outputs)
        {
            var moved = InTermsOf(output, c => new MirScalarExpr.Column(c < arity ? c : c + below.Added));
            if (moved is not MirScalarExpr.Column)
                computed.Add(moved);
            columns.Add(moved is MirScalarExpr.Column column ? column.Index : appended + window.Calls.Count + computed.Count);
        }

        columns.Add(appended + window.Calls.Count);
        MirRelationExpr result = window with { Input = below.Expr, Calls = window.Calls.Add(call) };
        return new MirRelationExpr.Project(computed.Count == 0 ? result : new MirRelationExpr.Map(result, computed.ToValueArray()), columns.ToValueArray());

        MirScalarExpr Below(MirScalarExpr e) => InTermsOf(e, outputs);
    }

    /// <summary>Makes the call, given the columns of its arguments.</summary>
    private Func<ValueArray<int>, WindowCall>? CallOf(WindowExpr expr, Place place)
    {
        var frame = FrameOf(expr);
        switch (expr.Func)
        {
            case WindowFunc.RowNumber:
                return _ => new WindowCall.Number(WindowNumber.RowNumber, expr.Output);
            case WindowFunc.Rank:
                return _ => new WindowCall.Number(WindowNumber.Rank, expr.Output);
            case WindowFunc.DenseRank:
                return _ => new WindowCall.Number(WindowNumber.DenseRank, expr.Output);
            case WindowFunc.Lag or WindowFunc.Lead:
                var offset = 1L;
                if (expr.Args.Count > 1)
                {
                    if (Scalar(expr.Args[1], place).Fold([]) is not MirScalarExpr.Literal { Value: { IsNull: false } literal })
                        return null;
                    offset = literal.AsInt64;
                }

                offset = expr.Func == WindowFunc.Lag ? -offset : offset;
                return args => new WindowCall.Neighbour(args[0], offset, args.Count > 2 ? args[2] : null, expr.Output);
            case WindowFunc.FirstValue or WindowFunc.LastValue when frame.HasCurrentRow:
                return args => new WindowCall.Edge(args[0], expr.Func == WindowFunc.FirstValue, frame, expr.Output);
            case WindowFunc.Aggregate when frame.End is { } end && (frame.Start is not { } start || start <= end)
                && expr.Args.Count == 1 && AggregateCompiler.IsAccumulable(expr.Aggregate!.Value):
                return args => new WindowCall.Aggregate(expr.Aggregate.Value, args[0], frame, expr.Output);
            default:
                return null;
        }
    }

    private static WindowRows FrameOf(WindowExpr expr)
    {
        var (start, end) = (expr.Frame.Start.Offset, expr.Frame.End.Offset);
        var toPeers = !expr.Frame.IsRows && end == 0;
        return toPeers && expr.OrderBy.IsEmpty ? new WindowRows(null, null, ToPeers: false) : new WindowRows(start, end, toPeers);
    }

    private static ValueArray<ColumnOrder> Ordered(ValueArray<int> columns, ValueArray<ColumnOrder> orders) => orders.Select(o => o with { Column = columns[o.Column] });

    private static bool ReadsOnly(MirScalarExpr expr, Func<int, bool> columns) =>
        expr is MirScalarExpr.Column x ? columns(x.Index) : expr.Children.All(c => ReadsOnly(c, columns));

    private static MirScalarExpr InTermsOf(MirScalarExpr expr, List<MirScalarExpr> columns) => InTermsOf(expr, c => columns[c]);

    private static MirScalarExpr InTermsOf(MirScalarExpr expr, Func<int, MirScalarExpr> columns) =>
        expr is MirScalarExpr.Column x ? columns(x.Index) : expr.MapChildren(c => InTermsOf(c, columns));

    /// <summary>A relation of some columns, to which those of expressions over it are appended as needed.</summary>
    private sealed class MappedColumns(MirRelationExpr relation, int arity)
    {
        private readonly List<MirScalarExpr> _mapped = relation is MirRelationExpr.Map map ? [.. map.Scalars] : [];

        /// <summary>How many were appended.</summary>
        public int Added { get; private set; }

        public MirRelationExpr Expr =>
            Added == 0 ? relation : new MirRelationExpr.Map(relation is MirRelationExpr.Map map ? map.Input : relation, _mapped.ToValueArray());

        public ValueArray<int> Of(ValueArray<MirScalarExpr> exprs) => exprs.Select(Of);

        private int Of(MirScalarExpr expr)
        {
            if (expr is MirScalarExpr.Column column)
                return column.Index;
            var index = _mapped.IndexOf(expr);
            if (index < 0)
            {
                index = _mapped.Count;
                _mapped.Add(expr);
                Added++;
            }

            return arity + Added - _mapped.Count + index;
        }
    }
}
