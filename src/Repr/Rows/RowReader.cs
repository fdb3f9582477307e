using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Materialize.Repr;

/// <summary>Reads columns of a row in place, without allocating. The caller knows the types and asks for nulls first.</summary>
public readonly ref struct RowReader(RowLayout layout, ReadOnlySpan<byte> row)
{
    private readonly ReadOnlySpan<byte> _row = row;

    public RowLayout Layout { get; } = layout;

    public bool IsNull(int column)
    {
        var bit = Layout.NullBit(column);
        return bit >= 0 && (_row[bit >> 3] & (1 << (bit & 7))) != 0;
    }

    public bool Bool(int column) => _row[Layout.Offset(column)] != 0;

    public short Int16(int column) => BinaryPrimitives.ReadInt16LittleEndian(_row[Layout.Offset(column)..]);

    /// <summary>int4, date.</summary>
    public int Int32(int column) => BinaryPrimitives.ReadInt32LittleEndian(_row[Layout.Offset(column)..]);

    /// <summary>int8, time, timestamp, timestamptz.</summary>
    public long Int64(int column) => BinaryPrimitives.ReadInt64LittleEndian(_row[Layout.Offset(column)..]);

    public ushort UInt16(int column) => BinaryPrimitives.ReadUInt16LittleEndian(_row[Layout.Offset(column)..]);

    /// <summary>uint4, oid and its kin.</summary>
    public uint UInt32(int column) => BinaryPrimitives.ReadUInt32LittleEndian(_row[Layout.Offset(column)..]);

    /// <summary>uint8, mz_timestamp.</summary>
    public ulong UInt64(int column) => BinaryPrimitives.ReadUInt64LittleEndian(_row[Layout.Offset(column)..]);

    public float Single(int column) => BinaryPrimitives.ReadSingleLittleEndian(_row[Layout.Offset(column)..]);

    public double Double(int column) => BinaryPrimitives.ReadDoubleLittleEndian(_row[Layout.Offset(column)..]);

    public Numeric Numeric(int column) => Repr.Numeric.Read(_row[Layout.Offset(column)..]);

    public Interval Interval(int column) => ValueCodec.ReadInterval(_row[Layout.Offset(column)..]);

    public UInt128 Uuid(int column) => BinaryPrimitives.ReadUInt128BigEndian(_row[Layout.Offset(column)..]);

    /// <summary>The bytes of a column of any type, null or not; UTF-8 for text.</summary>
    public ReadOnlySpan<byte> Bytes(int column)
    {
        var offset = Layout.Offset(column);
        if (Layout.IsFixed(column))
            return _row.Slice(offset, RowLayout.FixedWidth(Layout.Columns[column].Type));
        var end = ReadEnd(offset);
        var start = offset == Layout.EndsOffset ? Layout.HeaderWidth : ReadEnd(offset - sizeof(uint));
        return _row[start..end];
    }

    /// <summary>The column's value as a datum: allocates for text and its like.</summary>
    public Datum Datum(int column) => IsNull(column) ? Repr.Datum.Null : ValueCodec.Read(Layout.Columns[column].Type, Bytes(column));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int ReadEnd(int offset) => (int)BinaryPrimitives.ReadUInt32LittleEndian(_row[offset..]);
}
