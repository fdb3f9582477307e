// Kernels that unpack rows into datums and interpret.

using System.Buffers;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    private static RowKernel Compile(Mfp mfp, RowSource source, ValueArray<(RowLayout Layout, ValueArray<int> Columns)> outputs)
    {
        if (IsTemporal(mfp))
            throw new UnsupportedInterpretationException();
        var columns = source.Columns;
        var types = new List<ColumnType>(columns);
        var layouts = source.Parts.Select(RowLayout.For);
        var maps = new ScalarProgram[mfp.Maps.Count];
        for (var i = 0; i < maps.Length; i++)
        {
            maps[i] = Interpreter.Prepare(mfp.Maps[i], types.ToValueArray());
            types.Add(mfp.Maps[i].TypeOf(types.ToValueArray()));
        }

        var predicates = mfp.Predicates.Select(p => (p.Before, Program: Interpreter.Prepare(p.Expr, types.ToValueArray())));
        var row = new Datum[types.Count];
        var projected = new Datum[mfp.Projection.Count];
        return io =>
        {
            for (var i = 0; i < io.Count; i++)
            {
                for (var c = 0; c < columns.Count; c++)
                {
                    var (part, index) = source.Places[c];
                    row[c] = new RowReader(layouts[part], RowAt(layouts[part], io.Parts[part][i])).Datum(index);
                }

                if (Evaluate(out var kept) is { } error)
                {
                    Encode(error, io.Errors!);
                    io.ErrorSelected[io.ErrorsEmitted++] = i;
                }
                else if (kept)
                {
                    for (var c = 0; c < projected.Length; c++)
                        projected[c] = row[mfp.Projection[c]];
                    for (var o = 0; o < outputs.Count; o++)
                        RowCodec.Pack(outputs[o].Layout, [.. outputs[o].Columns.Select(c => projected[c])], io.Outputs[o]);
                    io.Selected[io.Emitted++] = i;
                }
            }
        };

        EvalError? Evaluate(out bool kept)
        {
            var next = 0;
            kept = false;
            for (var known = columns.Count; known <= row.Length; known++)
            {
                for (; next < predicates.Count && predicates[next].Before <= known; next++)
                {
                    if (predicates[next].Program.TryEval(row, out var holds) is { } error)
                        return error;
                    if (holds.IsNull || !holds.AsBool)
                        return null;
                }

                if (known < row.Length && maps[known - columns.Count].TryEval(row, out row[known]) is { } mapError)
                    return mapError;
            }

            kept = true;
            return null;
        }
    }

    /// <summary>Group key, sort key and row, for a top-k.</summary>
    public static RowKernel TopKSplit(
        RowSource source, ValueArray<int> groupKey, ValueArray<ColumnOrder> order, ValueArray<int> kept, ValueArray<ColumnType> columns)
    {
        var types = source.Columns;
        var split = SplitColumns(source, groupKey, groupKey.Select(c => types[c]), kept, columns);
        var layouts = source.Parts.Select(RowLayout.For);
        var buffer = new ArrayBufferWriter<byte>();
        return io =>
        {
            var (keys, sortKeys, rows) = (io.Outputs[0], io.Outputs[1], io.Outputs[2]);
            io.Outputs = [keys, rows];
            split(io);
            io.Outputs = [keys, sortKeys, rows];
            for (var j = 0; j < io.Emitted; j++)
            {
                buffer.ResetWrittenCount();
                foreach (var o in order)
                {
                    var (part, index) = source.Places[o.Column];
                    var value = new RowReader(layouts[part], RowAt(layouts[part], io.Parts[part][io.Selected[j]])).Datum(index);
                    SortKey.Write(types[o.Column].Type, value, o.Descending, o.NullsLast, buffer);
                }

                // Ties go by the whole row, in the order of its values: the answer must not depend on how they are stored.
                foreach (var c in kept)
                {
                    var (part, index) = source.Places[c];
                    var value = new RowReader(layouts[part], RowAt(layouts[part], io.Parts[part][io.Selected[j]])).Datum(index);
                    SortKey.Write(types[c].Type, value, false, true, buffer);
                }

                sortKeys.Append(buffer.WrittenSpan);
            }
        };
    }

    /// <summary>The bytes of a row of which only the address is known.</summary>
    public static ReadOnlySpan<byte> RowAt(RowLayout layout, nint address) => new(
        (void*)address,
        layout.VariableCount == 0 ? layout.HeaderWidth : (int)*(uint*)(address + layout.HeaderWidth - sizeof(uint)));
}

internal sealed class UnsupportedInterpretationException() : Exception("temporal filters need compiled kernels");
