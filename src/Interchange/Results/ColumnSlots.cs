using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Where one column's bytes lie in a canonical row; <see cref="RowLayout"/> unfolded for reading row after row.</summary>
internal readonly struct ColumnSlot
{
    private readonly int _nullByte;
    private readonly byte _nullMask;
    private readonly int _offset;
    private readonly int _width;
    private readonly int _startAt;
    private readonly int _header;

    private ColumnSlot(int nullByte, byte nullMask, int offset, int width, int startAt, int header)
    {
        _nullByte = nullByte;
        _nullMask = nullMask;
        _offset = offset;
        _width = width;
        _startAt = startAt;
        _header = header;
    }

    /// <summary>The slots of all columns.</summary>
    public static ColumnSlot[] Of(RowLayout layout)
    {
        var slots = new ColumnSlot[layout.Columns.Count];
        var previousEnd = -1;
        for (var i = 0; i < slots.Length; i++)
        {
            var bit = layout.NullBit(i);
            var width = RowLayout.FixedWidth(layout.Columns[i].Type);
            slots[i] = new ColumnSlot(
                bit < 0 ? 0 : bit / 8, bit < 0 ? (byte)0 : (byte)(1 << (bit % 8)), layout.Offset(i), width, previousEnd, layout.HeaderWidth);
            if (width < 0)
                previousEnd = layout.Offset(i);
        }

        return slots;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsNull(ReadOnlySpan<byte> row) => _nullMask != 0 && (row[_nullByte] & _nullMask) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ReadOnlySpan<byte> Value(ReadOnlySpan<byte> row)
    {
        if (_width >= 0)
            return row.Slice(_offset, _width);
        var start = _startAt < 0 ? _header : (int)BinaryPrimitives.ReadUInt32LittleEndian(row[_startAt..]);
        var end = (int)BinaryPrimitives.ReadUInt32LittleEndian(row[_offset..]);
        return row[start..end];
    }
}
