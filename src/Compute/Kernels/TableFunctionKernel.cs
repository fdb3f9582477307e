using Materialize.Core.Collections;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>Table functions over rows, by interpretation: what they do costs more than getting at their arguments.</summary>
internal static unsafe class TableFunctionKernel
{
    private const int RowsPerCall = 4096;

    /// <summary>Rows repeat the columns that they are appended to, which may be long.</summary>
    private const long BytesPerCall = 4 << 20;

    /// <summary>Appends to each row of <paramref name="columns"/> each row of <paramref name="func"/> over it. For one operator: it keeps its place in a long result.</summary>
    public static FlatMapFunction Compile(
        TableFunc func, TableFunc? inner, ValueArray<MirScalarExpr> args, ValueArray<ColumnType> columns, ValueArray<ColumnType> appended)
    {
        var layout = RowLayout.For(columns);
        var wide = RowLayout.For([.. columns, .. appended]);
        var programs = args.Select(a => Interpreter.Prepare(a, columns));
        SqlType[] types = [.. args.Select(a => a.TypeOf(columns).Type)];
        var row = new Datum[wide.Columns.Count];
        IEnumerator<TableRow>? rest = null;
        return (address, output) =>
        {
            RowCodec.Unpack(layout, RowKernels.RowAt(layout, address), row.AsSpan(0, columns.Count));
            try
            {
                if (output.Position == 0)
                {
                    // Not shared with the previous call's: a lazy enumeration may still look at its arguments.
                    var values = new Datum[programs.Count];
                    for (var i = 0; i < values.Length; i++)
                        values[i] = programs[i].Eval(row);
                    rest = TableFunctions.Eval(func, values, types, inner).GetEnumerator();
                }

                var enough = output.Rows.Bytes + BytesPerCall;
                for (var n = 0; n < RowsPerCall && output.Rows.Bytes < enough; n++)
                {
                    if (!rest!.MoveNext())
                        return;
                    rest.Current.Values.CopyTo(row, columns.Count);
                    RowCodec.Pack(wide, row, output.Rows);
                    output.Diffs.Add(rest.Current.Diff);
                }

                output.Position++;
                output.More = true;
            }
            catch (EvalException e)
            {
                RowKernels.Encode(e.Error, output.Errors);
            }
        };
    }
}
