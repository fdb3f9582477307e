using Materialize.Compute.Render;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
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
        ValueArray<ColumnType> output)
    {
        foreach (var (expr, _) in aggregates)
        {
            if (expr.Func is not (AggregateFunc.Count or AggregateFunc.SumInt16 or AggregateFunc.SumInt32 or AggregateFunc.SumInt64
                or AggregateFunc.Any or AggregateFunc.All))
                throw new UnsupportedPlanException($"aggregate {expr.Func} is not supported");
        }

        var layout = RowLayout.For(values);
        var keyLayout = RowLayout.For(keys);
        var outputLayout = RowLayout.For(output);
        return new AccumulatePlan(
            8 + (24 * aggregates.Count),
            (_, rows, diffs, accumulators, count) =>
            {
                for (var i = 0; i < count; i++)
                {
                    var accumulator = (byte*)accumulators[i];
                    *(long*)accumulator += diffs[i];
                    for (var a = 0; a < aggregates.Count; a++)
                    {
                        var datum = new RowReader(layout, RowAt(layout, rows[i])).Datum(aggregates[a].Args[0]);
                        if (datum.IsNull)
                            continue;
                        var at = accumulator + 8 + (24 * a);
                        *(long*)at += diffs[i];
                        *(Int128*)(at + 8) += (Int128)datum.AsInt64 * diffs[i];
                    }
                }
            },
            io =>
            {
                var row = new Datum[output.Count];
                for (var i = 0; i < io.Count; i++)
                {
                    RowCodec.Unpack(keyLayout, RowAt(keyLayout, io.Parts[0][i]), row);
                    for (var a = 0; a < aggregates.Count; a++)
                    {
                        var at = (byte*)io.Parts[1][i] + 8 + (24 * a);
                        var (n, sum) = (*(long*)at, *(Int128*)(at + 8));
                        row[keys.Count + a] = aggregates[a].Expr.Func switch
                        {
                            AggregateFunc.Count => Datum.FromInt64(n),
                            _ when n == 0 => Datum.Null,
                            AggregateFunc.Any => Datum.FromBool(sum > 0),
                            AggregateFunc.All => Datum.FromBool(sum == n),
                            AggregateFunc.SumInt64 => Datum.FromNumeric(new Numeric
                            {
                                Low = (UInt128)Int128.Abs(sum),
                                Kind = sum < 0 ? NumericKind.Negative : NumericKind.Positive,
                            }),
                            _ => Datum.FromInt64((long)sum),
                        };
                    }

                    RowCodec.Pack(outputLayout, row, io.Outputs[0]);
                    io.Selected[io.Emitted++] = i;
                }
            });
    }

    /// <summary>An aggregate that sees the whole group. Writes one row: the result.</summary>
    /// <param name="args">The arguments among <paramref name="values"/>.</param>
    /// <param name="orderKeys">The expressions that its order is over, among <paramref name="values"/>.</param>
    public static GroupKernel Group(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values) =>
        throw new UnsupportedPlanException($"aggregate {aggregate.Func} is not supported");
}
