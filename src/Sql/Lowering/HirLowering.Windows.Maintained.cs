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
        if (input.Expr is MirRelationExpr.Project { Input: MirRelationExpr.Window window } project)
        {
            // Nothing reads what the window below appended: in terms of its input, this may be one more call of it.
            var arity = window.Input.Arity();
            if (partition.Concat(order).Concat(args).All(e => ReadsOnly(e, c => project.Outputs[c] < arity)))
            {
                MirScalarExpr Below(MirScalarExpr e) => Permuted(e, project.Outputs);
                var below = new MappedColumns(window.Input, arity);
                var (keys, orders) = (below.Of(partition.Select(Below)), Ordered(below.Of(order.Select(Below)), expr.Orders));
                if (keys == window.PartitionKey && orders == window.OrderKey)
                {
                    var call = make(below.Of(args.Select(Below)));
                    var outputs = project.Outputs.Select(o => o < arity ? o : o + below.Added).Add(arity + below.Added + window.Calls.Count);
                    return new Rel(
                        new MirRelationExpr.Project(window with { Input = below.Expr, Calls = window.Calls.Add(call) }, outputs), [.. input.Columns, expr.Output]);
                }
            }
        }

        var columns = new MappedColumns(input.Expr, input.Arity);
        var node = new MirRelationExpr.Window(
            input.Expr, columns.Of(partition), Ordered(columns.Of(order), expr.Orders), [make(columns.Of(args))]) with { Input = columns.Expr };
        return new Rel(
            new MirRelationExpr.Project(node, [.. ValueArray.Range(input.Arity), input.Arity + columns.Added]), [.. input.Columns, expr.Output]);
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

    private static MirScalarExpr Permuted(MirScalarExpr expr, ValueArray<int> columns) =>
        expr is MirScalarExpr.Column x ? new MirScalarExpr.Column(columns[x.Index]) : expr.MapChildren(c => Permuted(c, columns));

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
