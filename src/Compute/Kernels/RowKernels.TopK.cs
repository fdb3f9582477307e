using System.Buffers;
using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    /// <summary>Group key, sort key and row, for a top-k. For one operator: it has a buffer.</summary>
    /// <remarks>
    /// Ties go by the whole row, in the order of its values: the answer must not depend on how they are stored. Columns of the group
    /// and of the order itself cannot differ within a tie, so they are left out.
    /// </remarks>
    public static RowKernel TopKSplit(
        RowSource source, ValueArray<int> groupKey, ValueArray<ColumnOrder> order, ValueArray<int> kept, ValueArray<ColumnType> columns)
    {
        return SortedSplit(source, groupKey, order, kept, kept, columns, endsOrder: false);
    }

    /// <summary>Key, sort key and row. For one operator: it has a buffer.</summary>
    /// <param name="ties">Columns that decide where <paramref name="order"/> does not, as far as they are in neither it nor the key.</param>
    /// <param name="endsOrder">Whether the sort key ends with the length of the part that <paramref name="order"/> makes, in four bytes.</param>
    private static RowKernel SortedSplit(
        RowSource source, ValueArray<int> key, ValueArray<ColumnOrder> order, ValueArray<int> ties, ValueArray<int> kept, ValueArray<ColumnType> columns, bool endsOrder)
    {
        var types = source.Columns;
        var split = SplitColumns(source, key, key.Select(c => types[c]), kept, columns);
        var decided = new HashSet<int>(key);
        SortColumn[] ordering = [.. order.Where(o => decided.Add(o.Column)).Select(o => new SortColumn(source, o))];
        SortColumn[] deciding = [.. ties.Where(decided.Add).Select(c => new SortColumn(source, new ColumnOrder(c, Descending: false, NullsLast: true)))];
        SortColumn[] sort = [.. ordering, .. deciding];
        var isFast = Array.TrueForAll(sort, c => c.IsFast);
        var bytesMax = sort.Sum(c => c.FastBytesMax) + sizeof(int);
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
                    foreach (var column in ordering)
                        at = column.Write(io, input, at);
                    var ordered = (int)(at - start);
                    foreach (var column in deciding)
                        at = column.Write(io, input, at);
                    if (endsOrder)
                    {
                        System.Runtime.CompilerServices.Unsafe.WriteUnaligned(at, ordered);
                        at += sizeof(int);
                    }

                    sortKeys.Commit((int)(at - start));
                }
                else
                {
                    buffer.ResetWrittenCount();
                    foreach (var column in ordering)
                        column.Write(io, input, buffer);
                    var ordered = buffer.WrittenCount;
                    foreach (var column in deciding)
                        column.Write(io, input, buffer);
                    if (endsOrder)
                    {
                        MemoryMarshal.Write(buffer.GetSpan(sizeof(int)), ordered);
                        buffer.Advance(sizeof(int));
                    }

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
