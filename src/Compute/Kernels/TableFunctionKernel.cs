using Materialize.Compute.Render;
using Materialize.Core.Collections;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>Table functions over rows, by interpretation: what they do costs more than getting at their arguments.</summary>
internal static unsafe class TableFunctionKernel
{
    private const int RowsPerCall = 4096;

    /// <summary>Appends to each row of <paramref name="columns"/> each row of <paramref name="func"/> over it.</summary>
    public static FlatMapFunction Compile(
        TableFunc func, TableFunc? inner, ValueArray<MirScalarExpr> args, ValueArray<ColumnType> columns, ValueArray<ColumnType> appended)
    {
        if (func is not (TableFunc.GenerateSeriesInt32 or TableFunc.GenerateSeriesInt64))
            throw new UnsupportedPlanException($"table function {func} is not supported");
        var layout = RowLayout.For(columns);
        var wide = RowLayout.For([.. columns, .. appended]);
        var programs = args.Select(a => Interpreter.Prepare(a, columns));
        var row = new Datum[wide.Columns.Count];
        var values = new Datum[programs.Count];
        IEnumerator<Datum[]>? rest = null;
        return (address, output) =>
        {
            RowCodec.Unpack(layout, RowKernels.RowAt(layout, address), row.AsSpan(0, columns.Count));
            if (!output.More && output.Position == 0)
            {
                for (var i = 0; i < values.Length; i++)
                {
                    if (programs[i].TryEval(row, out values[i]) is { } error)
                    {
                        RowKernels.Encode(error, output.Errors);
                        return;
                    }
                }

                rest = Series(values).GetEnumerator();
            }

            output.More = false;
            for (var n = 0; n < RowsPerCall; n++)
            {
                if (!rest!.MoveNext())
                    return;
                rest.Current.CopyTo(row, columns.Count);
                RowCodec.Pack(wide, row, output.Rows);
            }

            output.Position++;
            output.More = true;
        };
    }

    private static IEnumerable<Datum[]> Series(Datum[] args)
    {
        if (args.Any(a => a.IsNull))
            yield break;
        var (start, stop, step) = (args[0].AsInt64, args[1].AsInt64, args.Length > 2 ? args[2].AsInt64 : 1);
        for (Int128 i = start; step > 0 ? i <= stop : i >= stop; i += step)
            yield return [Datum.FromInt64((long)i)];
    }
}
