using System.Buffers;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    private static RowKernel Compile(Mfp mfp, RowSource source, ValueArray<(RowLayout Layout, ValueArray<int> Columns)> outputs) =>
        KernelCompiler.Compile(
            new KernelInput(source.Parts.Select(RowLayout.For), source.Places), mfp, outputs.Select(o => new KernelOutput(o.Layout, o.Columns)));

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
