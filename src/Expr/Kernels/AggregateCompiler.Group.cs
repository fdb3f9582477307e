using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

public static unsafe partial class AggregateCompiler
{
    /// <summary>
    /// An aggregate computed from its whole group: any function, DISTINCT and ordered ones included. Writes one row, the result.
    /// </summary>
    /// <param name="args">The arguments among <paramref name="values"/>.</param>
    /// <param name="orderKeys">The aggregate's order keys among <paramref name="values"/>.</param>
    /// <param name="values">Columns of the value row.</param>
    /// <remarks>What collects values works on the rows' bytes; the rest is interpreted.</remarks>
    public static GroupKernel Group(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values) =>
        CollectKernel.Compile(aggregate, args, orderKeys, values) is { } kernel ? kernel.Run : Interpreted(aggregate, args, orderKeys, values);

    /// <summary>The same by <see cref="AggregateInterpreter"/>, which is what every other way must agree with.</summary>
    internal static GroupKernel Interpreted(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values)
    {
        var layout = RowLayout.For(values);
        var result = RowLayout.For([aggregate.Output]);
        SqlType[] argTypes = [.. args.Select(c => values[c].Type)];
        SqlType[] keyTypes = [.. orderKeys.Select(c => values[c].Type)];
        return (_, rows, diffs, count, output, errors) =>
        {
            var inputs = new AggregateInterpreter.Input[count];
            for (var i = 0; i < count; i++)
            {
                var reader = new RowReader(layout, RowLengths.Row(layout, rows[i]));
                var (values, keys) = (new Datum[args.Count], new Datum[orderKeys.Count]);
                for (var a = 0; a < values.Length; a++)
                    values[a] = reader.Datum(args[a]);
                for (var k = 0; k < keys.Length; k++)
                    keys[k] = reader.Datum(orderKeys[k]);
                inputs[i] = new AggregateInterpreter.Input(values, keys, diffs[i]);
            }

            try
            {
                RowCodec.Pack(result, [AggregateInterpreter.Eval(aggregate, argTypes, keyTypes, inputs)], output);
            }
            catch (EvalException e)
            {
                errors.Append(EvalErrorCodec.Encode(e.Error));
            }
        };
    }
}
