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

    /// <summary>Group key, sort key and row, for a top-k. For one operator: it has a buffer.</summary>
    /// <remarks>
    /// Ties go by the whole row, in the order of its values: the answer must not depend on how they are stored. Columns of the group
    /// and of the order itself cannot differ within a tie, so they are left out.
    /// </remarks>
    public static RowKernel TopKSplit(
        RowSource source, ValueArray<int> groupKey, ValueArray<ColumnOrder> order, ValueArray<int> kept, ValueArray<ColumnType> columns)
    {
        var types = source.Columns;
        var split = SplitColumns(source, groupKey, groupKey.Select(c => types[c]), kept, columns);
        var decided = new HashSet<int>(groupKey);
        var all = new List<ColumnOrder>();
        foreach (var o in order.Concat(kept.Select(c => new ColumnOrder(c, Descending: false, NullsLast: true)).AsEnumerable()))
        {
            if (decided.Add(o.Column))
                all.Add(o);
        }

        SortColumn[] sort = [.. all.Select(o => new SortColumn(source, o))];
        var isFast = Array.TrueForAll(sort, c => c.IsFast);
        var bytesMax = sort.Sum(c => c.FastBytesMax);
        var buffer = new ArrayBufferWriter<byte>();
        return io =>
        {
            var (keys, sortKeys, rows) = (io.Outputs[0], io.Outputs[1], io.Outputs[2]);
            io.Outputs = [keys, rows];
            split(io);
            io.Outputs = [keys, sortKeys, rows];
            for (var j = 0; j < io.Emitted; j++)
            {
                var input = io.Selected[j];
                if (isFast)
                {
                    var start = sortKeys.Reserve(bytesMax);
                    var at = start;
                    foreach (var column in sort)
                        at = column.Write(io, input, at);
                    sortKeys.Commit((int)(at - start));
                }
                else
                {
                    buffer.ResetWrittenCount();
                    foreach (var column in sort)
                        column.Write(io, input, buffer);
                    sortKeys.Append(buffer.WrittenSpan);
                }
            }
        };
    }

    /// <summary>The bytes of a row of which only the address is known.</summary>
    public static ReadOnlySpan<byte> RowAt(RowLayout layout, nint address) => new(
        (void*)address,
        layout.VariableCount == 0 ? layout.HeaderWidth : (int)*(uint*)(address + layout.HeaderWidth - sizeof(uint)));
}
