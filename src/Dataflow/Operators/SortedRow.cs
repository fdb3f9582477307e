using System.Runtime.CompilerServices;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// A value with a sort key before it, so that the arrangement's order of values is the wanted order: sort key, row, and for sort keys of variable width their length in the last 4 bytes.
/// Sort keys are prefix-free, so that what follows decides only among equal ones.
/// </summary>
internal static unsafe class SortedRow
{
    public static RowShape Shape(RowShape sortKey, RowShape row) =>
        sortKey.IsFixed && row.IsFixed ? new RowShape(sortKey.Width + row.Width) : RowShape.Variable;

    public static void Append(RowWriter writer, ReadOnlySpan<byte> sortKey, ReadOnlySpan<byte> row)
    {
        var tail = writer.Shape.IsFixed ? 0 : sizeof(int);
        var length = sortKey.Length + row.Length + tail;
        var to = writer.Reserve(length);
        sortKey.CopyTo(new Span<byte>(to, sortKey.Length));
        row.CopyTo(new Span<byte>(to + sortKey.Length, row.Length));
        if (tail > 0)
            Unsafe.WriteUnaligned(to + length - tail, sortKey.Length);
        writer.Commit(length);
    }

    /// <summary>The first <paramref name="count"/> of both columns.</summary>
    public static void AppendAll(RowWriter writer, in RowColumn sortKeys, in RowColumn rows, int count)
    {
        var sortWidth = sortKeys.Shape.Width;
        var rowWidth = rows.Shape.Width;
        if (!writer.Shape.IsFixed || sortWidth % 8 != 0 || rowWidth % 8 != 0)
        {
            for (var i = 0; i < count; i++)
                Append(writer, sortKeys[i], rows[i]);
            return;
        }

        var to = (ulong*)writer.AppendFixed(count);
        var sort = (ulong*)sortKeys.Data;
        var row = (ulong*)rows.Data;
        for (var i = 0; i < count; i++)
        {
            for (var w = 0; w < sortWidth; w += 8)
                *to++ = *sort++;
            for (var w = 0; w < rowWidth; w += 8)
                *to++ = *row++;
        }
    }

    /// <summary>The row in a stored value.</summary>
    public static ReadOnlySpan<byte> RowOf(byte* value, int length, RowShape stored, RowShape sortKey)
    {
        var row = (byte*)RowAddress(value, length, stored, sortKey);
        return new ReadOnlySpan<byte>(row, (int)(value + length - row) - (stored.IsFixed ? 0 : sizeof(int)));
    }

    /// <summary>Where it begins; the sort key lies before it.</summary>
    public static nint RowAddress(byte* value, int length, RowShape stored, RowShape sortKey) =>
        (nint)(value + (stored.IsFixed ? sortKey.Width : Unsafe.ReadUnaligned<int>(value + length - sizeof(int))));
}
