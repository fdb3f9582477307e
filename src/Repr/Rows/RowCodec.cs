using System.Buffers;
using System.Buffers.Binary;
using Materialize.Core;
using Materialize.Core.Rows;

namespace Materialize.Repr;

/// <summary>Datums to canonical rows and back. For edges and the interpreter; hot paths run generated code.</summary>
public static class RowCodec
{
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _scratch;

    /// <summary>The row of <paramref name="values"/>, one for each column.</summary>
    public static byte[] Pack(RowLayout layout, ReadOnlySpan<Datum> values) => PackToScratch(layout, values).ToArray();

    /// <summary>Appends the row of <paramref name="values"/>.</summary>
    public static void Pack(RowLayout layout, ReadOnlySpan<Datum> values, RowWriter output) => output.Append(PackToScratch(layout, values));

    /// <summary>The values of a row.</summary>
    public static Datum[] Unpack(RowLayout layout, ReadOnlySpan<byte> row)
    {
        var values = new Datum[layout.Columns.Count];
        Unpack(layout, row, values);
        return values;
    }

    /// <summary>The values of a row into <paramref name="values"/>, which has room for every column.</summary>
    public static void Unpack(RowLayout layout, ReadOnlySpan<byte> row, Span<Datum> values)
    {
        var reader = new RowReader(layout, row);
        for (var i = 0; i < layout.Columns.Count; i++)
            values[i] = reader.Datum(i);
    }

    /// <summary>
    /// Appends a row of <paramref name="to"/> whose column i is column <paramref name="columns"/>[i] of the row of
    /// <paramref name="from"/>; types are equal, nullability may differ.
    /// </summary>
    public static void Project(RowLayout from, ReadOnlySpan<byte> row, ReadOnlySpan<int> columns, RowLayout to, RowWriter output)
    {
        var reader = new RowReader(from, row);
        var bytes = to.HeaderWidth;
        foreach (var column in columns)
            bytes += from.IsFixed(column) ? 0 : reader.Bytes(column).Length;
        Span<byte> target;
        unsafe
        {
            target = new Span<byte>(output.Reserve(bytes), bytes);
        }

        target[..to.NullBytes].Clear();
        var end = to.HeaderWidth;
        for (var i = 0; i < columns.Length; i++)
        {
            var isNull = reader.IsNull(columns[i]);
            if (isNull)
                SetNull(to, target, i);
            var source = reader.Bytes(columns[i]);
            if (to.IsFixed(i))
            {
                source.CopyTo(target[to.Offset(i)..]);
                continue;
            }

            source.CopyTo(target[end..]);
            end += source.Length;
            BinaryPrimitives.WriteUInt32LittleEndian(target[to.Offset(i)..], (uint)end);
        }

        output.Commit(bytes);
    }

    private static void SetNull(RowLayout layout, Span<byte> row, int column)
    {
        var bit = layout.NullBit(column);
        Invariant.Check(bit >= 0, "a null in a column that cannot hold one");
        row[bit >> 3] |= (byte)(1 << (bit & 7));
    }

    private static ReadOnlySpan<byte> PackToScratch(RowLayout layout, ReadOnlySpan<Datum> values)
    {
        Invariant.Check(values.Length == layout.Columns.Count, "a row has a value for each column");
        var buffer = _scratch ??= new ArrayBufferWriter<byte>();
        buffer.ResetWrittenCount();
        buffer.GetSpan(layout.HeaderWidth)[..layout.HeaderWidth].Clear();
        buffer.Advance(layout.HeaderWidth);
        Span<uint> ends = stackalloc uint[Math.Min(layout.VariableCount, 64)];
        if (layout.VariableCount > 64)
            ends = new uint[layout.VariableCount];
        var variable = 0;
        for (var i = 0; i < values.Length; i++)
        {
            if (layout.IsFixed(i))
                continue;
            if (!values[i].IsNull)
                ValueCodec.Write(layout.Columns[i].Type, values[i], buffer);
            ends[variable++] = (uint)buffer.WrittenCount;
        }

        // The header is written last because the buffer may have moved while it grew.
        var row = System.Runtime.InteropServices.MemoryMarshal.AsMemory(buffer.WrittenMemory).Span;
        variable = 0;
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i].IsNull)
                SetNull(layout, row, i);
            if (!layout.IsFixed(i))
                BinaryPrimitives.WriteUInt32LittleEndian(row[layout.Offset(i)..], ends[variable++]);
            else if (!values[i].IsNull)
                ValueCodec.WriteFixed(layout.Columns[i].Type, values[i], row.Slice(layout.Offset(i), RowLayout.FixedWidth(layout.Columns[i].Type)));
        }

        return row;
    }
}
