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
        RowSource source, ValueArray<int> partitionKey, ValueArray<ColumnOrder> order, ValueArray<int> ties, ValueArray<int> kept, ValueArray<ColumnType> columns) =>
        SortedSplit(source, partitionKey, order, ties, kept, columns, endsOrder: true);

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
