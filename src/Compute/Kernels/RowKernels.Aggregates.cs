using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    /// <summary>Aggregates with a fixed-size accumulator.</summary>
    /// <param name="aggregates">Each with its arguments among <paramref name="values"/>.</param>
    /// <param name="keys">The group key row.</param>
    /// <param name="values">The value row.</param>
    /// <param name="output">Keys, then results.</param>
    public static AccumulatePlan Accumulate(
        ValueArray<(AggregateExpr Expr, ValueArray<int> Args)> aggregates,
        ValueArray<ColumnType> keys,
        ValueArray<ColumnType> values,
        ValueArray<ColumnType> output) =>
        AggregateCompiler.Accumulate(aggregates, keys, values, output);

    /// <summary>An aggregate that sees the whole group. Writes one row: the result.</summary>
    /// <param name="args">The arguments among <paramref name="values"/>.</param>
    /// <param name="orderKeys">The expressions that its order is over, among <paramref name="values"/>.</param>
    public static GroupKernel Group(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values) =>
        AggregateCompiler.Group(aggregate, args, orderKeys, values);
}
