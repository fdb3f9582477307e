using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

internal sealed partial class Render<TTime>
{
    private Bundle<TTime> TopK(LirRelationExpr.TopK node)
    {
        var input = Plan(node.Input);
        long? limit = node.Limit switch
        {
            null => null,
            MirScalarExpr.Literal { Value.IsNull: true } => null,
            MirScalarExpr.Literal { Value: var value } => Math.Max(0, value.AsInt64),
            _ => throw new UnsupportedPlanException("LIMIT with an expression over the group is not supported"),
        };
        if (limit == 0)
            return Bundle<TTime>.OfStream(scope.Empty(RowLayout.For(node.Columns).Shape), input.Errors, node.Columns);

        var rows = input.OkAs(node.Columns);
        var columns = node.Columns;
        var keys = node.GroupKey.Select(c => columns[c]);
        var split = RowKernels.TopKSplit(RowSource.Whole(columns), node.GroupKey, node.OrderKey, ValueArray.Range(columns.Count), columns);
        var top = rows.TopK(
            "top k",
            split,
            RowLayout.For(keys).Shape,
            RowShape.Variable,
            RowLayout.For(columns).Shape,
            limit,
            checked((long)Math.Min(node.Offset, long.MaxValue)));
        return Bundle<TTime>.OfStream(top, columns, input.Errors);
    }
}
