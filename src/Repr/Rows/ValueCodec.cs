using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>
/// The bytes of one value as they lie in a row. Fixed-width types are little-endian; text is UTF-8; jsonb its encoding. A
/// container is its elements, each a presence byte and then, if present, the fixed bytes or a u32 length and the bytes; a list,
/// map or int2vector begins with a u32 count, an array with a u32 number of dimensions and (lower, length) pairs, a range with
/// a flags byte.
/// </summary>
public static class ValueCodec
{
    /// <summary>The first byte of a range.</summary>
    [Flags]
    internal enum RangeFlags : byte
    {
        None = 0,
        Empty = 1,
        HasLower = 2,
        LowerInclusive = 4,
        HasUpper = 8,
        UpperInclusive = 16,
    }

    /// <summary>Appends the bytes of a value that is not null.</summary>
    public static void Write(SqlType type, Datum value, IBufferWriter<byte> output)
    {
        var width = RowLayout.FixedWidth(type);
        if (width >= 0)
        {
            WriteFixed(type, value, output.GetSpan(width)[..width]);
            output.Advance(width);
            return;
        }

        switch (type.Kind)
        {
            case ScalarKind.String or ScalarKind.Char or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem:
                Encoding.UTF8.GetBytes(value.AsString, output);
                break;
            case ScalarKind.Bytes or ScalarKind.Jsonb:
                output.Write(value.AsBytes);
                break;
            case ScalarKind.List:
                WriteAll(type.Element!, value.AsList, output);
                break;
            case ScalarKind.Int2Vector:
                WriteAll(SqlType.Int16, value.AsList, output);
                break;
            case ScalarKind.Array:
                WriteInt(output, value.AsArray.Dimensions.Count);
                foreach (var dimension in value.AsArray.Dimensions)
                {
                    WriteInt(output, dimension.LowerBound);
                    WriteInt(output, dimension.Length);
                }

                WriteAll(type.Element!, value.AsArray.Elements, output);
                break;
            case ScalarKind.Map:
                WriteInt(output, value.AsMap.Count);
                foreach (var (key, item) in value.AsMap)
                {
                    WriteInt(output, Encoding.UTF8.GetByteCount(key));
                    Encoding.UTF8.GetBytes(key, output);
                    WriteElement(type.Element!, item, output);
                }

                break;
            case ScalarKind.Record:
                for (var i = 0; i < type.Fields.Count; i++)
                    WriteElement(type.Fields[i].Type.Type, value.AsList[i], output);
                break;
            default:
                WriteRange(type.Element!, value.AsRange!, output);
                break;
        }
    }

    /// <summary>Reads a value from exactly its bytes.</summary>
    public static Datum Read(SqlType type, ReadOnlySpan<byte> bytes)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool or ScalarKind.PgLegacyChar:
                return Datum.FromInt64(bytes[0]);
            case ScalarKind.Int16:
                return Datum.FromInt64(BinaryPrimitives.ReadInt16LittleEndian(bytes));
            case ScalarKind.UInt16:
                return Datum.FromInt64(BinaryPrimitives.ReadUInt16LittleEndian(bytes));
            case ScalarKind.Int32 or ScalarKind.Date:
                return Datum.FromInt64(BinaryPrimitives.ReadInt32LittleEndian(bytes));
            case ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType:
                return Datum.FromInt64(BinaryPrimitives.ReadUInt32LittleEndian(bytes));
            case ScalarKind.Float32:
                return Datum.FromDouble(BinaryPrimitives.ReadSingleLittleEndian(bytes));
            case ScalarKind.Float64:
                return Datum.FromDouble(BinaryPrimitives.ReadDoubleLittleEndian(bytes));
            case ScalarKind.Numeric:
                return Datum.FromNumeric(Numeric.Read(bytes));
            case ScalarKind.Interval:
                return Datum.FromInterval(ReadInterval(bytes));
            case ScalarKind.Uuid:
                return Datum.FromUuid(BinaryPrimitives.ReadUInt128BigEndian(bytes));
            case ScalarKind.String or ScalarKind.Char or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem:
                return Datum.FromString(Encoding.UTF8.GetString(bytes));
            case ScalarKind.Bytes or ScalarKind.Jsonb:
                return Datum.FromBytes(bytes.ToArray());
            case ScalarKind.List:
                return Datum.FromList(ReadAll(type.Element!, ref bytes));
            case ScalarKind.Int2Vector:
                return Datum.FromList(ReadAll(SqlType.Int16, ref bytes));
            case ScalarKind.Array:
                var dimensions = new ArrayDimension[ReadInt(ref bytes)];
                for (var i = 0; i < dimensions.Length; i++)
                    dimensions[i] = new ArrayDimension(ReadInt(ref bytes), ReadInt(ref bytes));
                return Datum.FromArray(new ArrayDatum(dimensions.ToValueArray(), ReadAll(type.Element!, ref bytes)));
            case ScalarKind.Map:
                var entries = new KeyValuePair<string, Datum>[ReadInt(ref bytes)];
                for (var i = 0; i < entries.Length; i++)
                {
                    var length = ReadInt(ref bytes);
                    var key = Encoding.UTF8.GetString(bytes[..length]);
                    bytes = bytes[length..];
                    entries[i] = new(key, ReadElement(type.Element!, ref bytes));
                }

                return Datum.FromMap(entries.ToValueArray());
            case ScalarKind.Record:
                var fields = new Datum[type.Fields.Count];
                for (var i = 0; i < fields.Length; i++)
                    fields[i] = ReadElement(type.Fields[i].Type.Type, ref bytes);
                return Datum.FromList(fields.ToValueArray());
            case ScalarKind.Range:
                return Datum.FromRange(ReadRange(type.Element!, bytes));
            default:
                return Datum.FromInt64(BinaryPrimitives.ReadInt64LittleEndian(bytes));
        }
    }

    /// <summary>Months, days, microseconds in 16 bytes.</summary>
    public static Interval ReadInterval(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadInt32LittleEndian(bytes), BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]));

    /// <summary>Writes what <see cref="ReadInterval"/> reads.</summary>
    public static void WriteInterval(Interval value, Span<byte> bytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value.Months);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], value.Days);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], value.Micros);
    }

    /// <summary>Writes a value of a fixed-width type into exactly its bytes.</summary>
    public static void WriteFixed(SqlType type, Datum value, Span<byte> bytes)
    {
        switch (type.Kind)
        {
            case ScalarKind.Float32:
                BinaryPrimitives.WriteSingleLittleEndian(bytes, (float)value.AsDouble);
                break;
            case ScalarKind.Numeric:
                value.AsNumeric.Write(bytes);
                break;
            case ScalarKind.Interval:
                WriteInterval(value.AsInterval, bytes);
                break;
            case ScalarKind.Uuid:
                BinaryPrimitives.WriteUInt128BigEndian(bytes, value.AsUuid);
                break;
            default:
                var number = value.AsInt64;
                for (var i = 0; i < bytes.Length; i++)
                {
                    bytes[i] = (byte)number;
                    number >>= 8;
                }

                break;
        }
    }

    private static void WriteInt(IBufferWriter<byte> output, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), value);
        output.Advance(4);
    }

    private static int ReadInt(ref ReadOnlySpan<byte> bytes)
    {
        var value = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        bytes = bytes[4..];
        return value;
    }

    private static void WriteAll(SqlType element, ValueArray<Datum> values, IBufferWriter<byte> output)
    {
        WriteInt(output, values.Count);
        foreach (var value in values.AsSpan())
            WriteElement(element, value, output);
    }

    private static ValueArray<Datum> ReadAll(SqlType element, ref ReadOnlySpan<byte> bytes)
    {
        var values = new Datum[ReadInt(ref bytes)];
        for (var i = 0; i < values.Length; i++)
            values[i] = ReadElement(element, ref bytes);
        return values.ToValueArray();
    }

    private static void WriteElement(SqlType type, Datum value, IBufferWriter<byte> output)
    {
        output.GetSpan(1)[0] = (byte)(value.IsNull ? 0 : 1);
        output.Advance(1);
        if (value.IsNull)
            return;
        if (RowLayout.FixedWidth(type) >= 0)
        {
            Write(type, value, output);
            return;
        }

        var inner = new ArrayBufferWriter<byte>();
        Write(type, value, inner);
        WriteInt(output, inner.WrittenCount);
        output.Write(inner.WrittenSpan);
    }

    private static Datum ReadElement(SqlType type, ref ReadOnlySpan<byte> bytes)
    {
        var present = bytes[0] != 0;
        bytes = bytes[1..];
        if (!present)
            return Datum.Null;
        var length = RowLayout.FixedWidth(type);
        if (length < 0)
            length = ReadInt(ref bytes);
        var value = Read(type, bytes[..length]);
        bytes = bytes[length..];
        return value;
    }

    private static void WriteRange(SqlType element, RangeDatum range, IBufferWriter<byte> output)
    {
        var flags = range.IsEmpty
            ? RangeFlags.Empty
            : (range.Lower.IsNull ? 0 : RangeFlags.HasLower) | (range.LowerInclusive ? RangeFlags.LowerInclusive : 0)
                | (range.Upper.IsNull ? 0 : RangeFlags.HasUpper) | (range.UpperInclusive ? RangeFlags.UpperInclusive : 0);
        output.GetSpan(1)[0] = (byte)flags;
        output.Advance(1);
        if (flags.HasFlag(RangeFlags.HasLower))
            Write(element, range.Lower, output);
        if (flags.HasFlag(RangeFlags.HasUpper))
            Write(element, range.Upper, output);
    }

    private static RangeDatum ReadRange(SqlType element, ReadOnlySpan<byte> bytes)
    {
        var flags = (RangeFlags)bytes[0];
        bytes = bytes[1..];
        var width = RowLayout.FixedWidth(element);
        var lower = flags.HasFlag(RangeFlags.HasLower) ? Read(element, bytes[..width]) : Datum.Null;
        if (flags.HasFlag(RangeFlags.HasLower))
            bytes = bytes[width..];
        var upper = flags.HasFlag(RangeFlags.HasUpper) ? Read(element, bytes[..width]) : Datum.Null;
        return new RangeDatum(
            flags.HasFlag(RangeFlags.Empty), lower, flags.HasFlag(RangeFlags.LowerInclusive), upper, flags.HasFlag(RangeFlags.UpperInclusive));
    }
}
