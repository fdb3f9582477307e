using System.Buffers;
using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    /// <summary>Partition key, sort key and row, for a window. For one operator: it has a buffer.</summary>
    /// <remarks>Ties go as in <see cref="TopKSplit"/>; the sort key ends with the length of the part that <paramref name="order"/> makes.</remarks>
    /// <param name="ties">Columns that decide among peers.</param>
    public static RowKernel WindowSplit(
        RowSource source, ValueArray<int> partitionKey, ValueArray<ColumnOrder> order, ValueArray<int> ties, ValueArray<int> kept, ValueArray<ColumnType> columns)
    {
        var types = source.Columns;
        var split = SplitColumns(source, partitionKey, partitionKey.Select(c => types[c]), kept, columns);
        var decided = new HashSet<int>(partitionKey);
        var all = new List<ColumnOrder>();
        foreach (var o in order)
        {
            if (decided.Add(o.Column))
                all.Add(o);
        }

        var ordering = all.Count;
        foreach (var column in ties)
        {
            if (decided.Add(column))
                all.Add(new ColumnOrder(column, Descending: false, NullsLast: true));
        }

        SortColumn[] sort = [.. all.Select(o => new SortColumn(source, o))];
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
                    var peers = 0;
                    for (var c = 0; c < sort.Length; c++)
                    {
                        if (c == ordering)
                            peers = (int)(at - start);
                        at = sort[c].Write(io, input, at);
                    }

                    if (ordering == sort.Length)
                        peers = (int)(at - start);
                    System.Runtime.CompilerServices.Unsafe.WriteUnaligned(at, peers);
                    sortKeys.Commit((int)(at - start) + sizeof(int));
                }
                else
                {
                    buffer.ResetWrittenCount();
                    var peers = 0;
                    for (var c = 0; c < sort.Length; c++)
                    {
                        if (c == ordering)
                            peers = buffer.WrittenCount;
                        sort[c].Write(io, input, buffer);
                    }

                    if (ordering == sort.Length)
                        peers = buffer.WrittenCount;
                    MemoryMarshal.Write(buffer.GetSpan(sizeof(int)), peers);
                    buffer.Advance(sizeof(int));
                    sortKeys.Append(buffer.WrittenSpan);
                }
            }
        };
    }

    /// <summary>A row whose columns that can be null are, and whose others are zeros or empty: not to be read.</summary>
    public static byte[] AbsentRow(ValueArray<ColumnType> columns)
    {
        var layout = RowLayout.For(columns);
        var row = new byte[layout.HeaderWidth];
        for (var c = 0; c < columns.Count; c++)
        {
            if (layout.NullBit(c) is >= 0 and var bit)
                row[bit >> 3] |= (byte)(1 << (bit & 7));
            if (!layout.IsFixed(c))
                MemoryMarshal.Write(row.AsSpan(layout.Offset(c)), (uint)layout.HeaderWidth);
        }

        return row;
    }
}
