using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>
/// Postgres's binary forms of single values: parameters on their way in, and results of the types that are too rare to be
/// encoded straight from row bytes (containers, jsonb, interval).
/// </summary>
public static class DatumBinary
{
    private const int DepthMax = 64;

    /// <summary>Appends the binary form of a value that is not null.</summary>
    /// <exception cref="InterchangeException">0A000: the type has none.</exception>
    public static void Write(SqlType type, Datum value, WireBuffer output)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool:
                output.WriteByte(value.AsBool ? (byte)1 : (byte)0);
                break;
            case ScalarKind.PgLegacyChar:
                output.WriteByte((byte)value.AsInt64);
                break;
            case ScalarKind.Int16 or ScalarKind.UInt16:
                output.WriteInt16((short)value.AsInt64);
                break;
            case ScalarKind.Int32 or ScalarKind.UInt32 or ScalarKind.Date or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType:
                output.WriteInt32((int)value.AsInt64);
                break;
            case ScalarKind.Int64 or ScalarKind.UInt64 or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz:
                output.WriteInt64(value.AsInt64);
                break;
            case ScalarKind.Float32:
                output.WriteInt32(BitConverter.SingleToInt32Bits((float)value.AsDouble));
                break;
            case ScalarKind.Float64:
                output.WriteInt64(BitConverter.DoubleToInt64Bits(value.AsDouble));
                break;
            case ScalarKind.Numeric:
                NumericForm.WriteBinary(value.AsNumeric, output);
                break;
            case ScalarKind.Interval:
                output.WriteInt64(value.AsInterval.Micros);
                output.WriteInt32(value.AsInterval.Days);
                output.WriteInt32(value.AsInterval.Months);
                break;
            case ScalarKind.Uuid:
                BinaryPrimitives.WriteUInt128BigEndian(output.GetSpan(16), value.AsUuid);
                output.Advance(16);
                break;
            case ScalarKind.Bytes:
                output.Write(value.AsBytes);
                break;
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName:
                output.WriteText(value.AsString);
                break;
            case ScalarKind.Jsonb:
                output.WriteByte(1);
                output.WriteText(DatumForms.Format(type, value));
                break;
            case ScalarKind.MzTimestamp or ScalarKind.MzAclItem or ScalarKind.AclItem:
                output.WriteText(DatumForms.Format(type, value));
                break;
            case ScalarKind.Array:
                WriteArray(type.Element!, value.AsArray.Dimensions, value.AsArray.Elements, output);
                break;
            case ScalarKind.Int2Vector:
                ValueArray<ArrayDimension> dimensions = [new ArrayDimension(0, value.AsList.Count)];
                WriteArray(SqlType.Int16, dimensions, value.AsList, output);
                break;
            case ScalarKind.Record:
                WriteRecord(type, value.AsList, output);
                break;
            case ScalarKind.Range:
                WriteRange(type.Element!, value.AsRange!, output);
                break;
            default:
                throw NoBinaryForm(type);
        }
    }

    /// <exception cref="InterchangeException">0A000: values of the type, or of a part of it, have no binary form.</exception>
    public static void CheckWritable(SqlType type)
    {
        if (type.Kind is ScalarKind.List or ScalarKind.Map)
            throw NoBinaryForm(type);
        if (type.Element is { } element)
            CheckWritable(element);
        foreach (var field in type.Fields)
            CheckWritable(field.Type.Type);
    }

    /// <summary>Reads a parameter's binary form.</summary>
    /// <exception cref="InterchangeException">22P03: the bytes are not a value of the type; 0A000: the type has no binary form.</exception>
    public static Datum Read(SqlType type, ReadOnlySpan<byte> bytes) => Read(type, bytes, DepthMax);

    private static Datum Read(SqlType type, ReadOnlySpan<byte> bytes, int depth)
    {
        if (depth == 0)
            throw Incorrect();
        switch (type.Kind)
        {
            case ScalarKind.Bool:
                return Datum.FromBool(Exactly(bytes, 1)[0] != 0);
            case ScalarKind.PgLegacyChar:
                return Datum.FromInt64(Exactly(bytes, 1)[0]);
            case ScalarKind.Int16:
                return Datum.FromInt64(BinaryPrimitives.ReadInt16BigEndian(Exactly(bytes, 2)));
            case ScalarKind.UInt16:
                return Datum.FromInt64(BinaryPrimitives.ReadUInt16BigEndian(Exactly(bytes, 2)));
            case ScalarKind.Int32:
                return Datum.FromInt64(BinaryPrimitives.ReadInt32BigEndian(Exactly(bytes, 4)));
            case ScalarKind.Date:
                var days = BinaryPrimitives.ReadInt32BigEndian(Exactly(bytes, 4));
                return days is int.MinValue or int.MaxValue ? throw new InterchangeException("22008", "date out of range") : Datum.FromInt64(days);
            case ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType:
                return Datum.FromInt64(BinaryPrimitives.ReadUInt32BigEndian(Exactly(bytes, 4)));
            case ScalarKind.Int64:
                return Datum.FromInt64(BinaryPrimitives.ReadInt64BigEndian(Exactly(bytes, 8)));
            case ScalarKind.Time:
                var micros = BinaryPrimitives.ReadInt64BigEndian(Exactly(bytes, 8));
                return micros is < 0 or > CalendarForm.MicrosPerDay ? throw new InterchangeException("22008", "time out of range") : Datum.FromInt64(micros);
            case ScalarKind.Timestamp or ScalarKind.TimestampTz:
                var instant = BinaryPrimitives.ReadInt64BigEndian(Exactly(bytes, 8));
                return instant is long.MinValue or long.MaxValue
                    ? throw new InterchangeException("22008", "timestamp out of range")
                    : Datum.FromInt64(instant);
            case ScalarKind.UInt64:
                return Datum.FromUInt64(BinaryPrimitives.ReadUInt64BigEndian(Exactly(bytes, 8)));
            case ScalarKind.Float32:
                return Datum.FromDouble(BinaryPrimitives.ReadSingleBigEndian(Exactly(bytes, 4)));
            case ScalarKind.Float64:
                return Datum.FromDouble(BinaryPrimitives.ReadDoubleBigEndian(Exactly(bytes, 8)));
            case ScalarKind.Numeric:
                return ReadNumeric(type, bytes);
            case ScalarKind.Interval:
                Exactly(bytes, 16);
                return Datum.FromInterval(new Interval(
                    BinaryPrimitives.ReadInt32BigEndian(bytes[12..]), BinaryPrimitives.ReadInt32BigEndian(bytes[8..]), BinaryPrimitives.ReadInt64BigEndian(bytes)));
            case ScalarKind.Uuid:
                return Datum.FromUuid(BinaryPrimitives.ReadUInt128BigEndian(Exactly(bytes, 16)));
            case ScalarKind.Bytes:
                return Datum.FromBytes(bytes.ToArray());
            case ScalarKind.Jsonb:
                if (bytes is not [1, ..])
                    throw new InterchangeException("XX000", "unsupported jsonb version number");
                return DatumForms.ParseUtf8(type, bytes[1..]);
            case ScalarKind.Array:
                return ReadArray(type.Element!, bytes, depth);
            case ScalarKind.Int2Vector:
                return Datum.FromList(ReadArray(SqlType.Int16, bytes, depth).AsArray.Elements);
            case ScalarKind.Record:
                return ReadRecord(type, bytes, depth);
            case ScalarKind.Range:
                return ReadRange(type.Element!, bytes, depth);
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName:
            case ScalarKind.MzTimestamp or ScalarKind.MzAclItem or ScalarKind.AclItem:
                return DatumForms.ParseUtf8(type, bytes);
            default:
                throw new InterchangeException("0A000", $"binary input of {type.Kind.ToString().ToLowerInvariant()} types is not supported");
        }
    }

    private static void WriteElement(SqlType type, Datum value, WireBuffer output)
    {
        if (value.IsNull)
        {
            output.WriteInt32(-1);
            return;
        }

        var at = output.Length;
        output.WriteInt32(0);
        Write(type, value, output);
        output.PatchInt32(at, output.Length - at - 4);
    }

    private static void WriteArray(SqlType element, ValueArray<ArrayDimension> dimensions, ValueArray<Datum> elements, WireBuffer output)
    {
        output.WriteInt32(elements.Count == 0 ? 0 : dimensions.Count);
        output.WriteInt32(elements.Any(e => e.IsNull) ? 1 : 0);
        output.WriteInt32((int)PgType.OidOf(element));
        if (elements.Count == 0)
            return;
        foreach (var dimension in dimensions)
        {
            output.WriteInt32(dimension.Length);
            output.WriteInt32(dimension.LowerBound);
        }

        foreach (var value in elements)
            WriteElement(element, value, output);
    }

    private static void WriteRecord(SqlType type, ValueArray<Datum> fields, WireBuffer output)
    {
        output.WriteInt32(fields.Count);
        for (var i = 0; i < fields.Count; i++)
        {
            var field = type.Fields[i].Type.Type;
            output.WriteInt32((int)PgType.OidOf(field));
            WriteElement(field, fields[i], output);
        }
    }

    private static void WriteRange(SqlType element, RangeDatum range, WireBuffer output)
    {
        const int Empty = 1, LowerInclusive = 2, UpperInclusive = 4, LowerInfinite = 8, UpperInfinite = 16;
        if (range.IsEmpty)
        {
            output.WriteByte(Empty);
            return;
        }

        output.WriteByte((byte)((range.LowerInclusive ? LowerInclusive : 0) | (range.UpperInclusive ? UpperInclusive : 0)
            | (range.Lower.IsNull ? LowerInfinite : 0) | (range.Upper.IsNull ? UpperInfinite : 0)));
        if (!range.Lower.IsNull)
            WriteElement(element, range.Lower, output);
        if (!range.Upper.IsNull)
            WriteElement(element, range.Upper, output);
    }

    private static Datum ReadElement(SqlType type, ref ReadOnlySpan<byte> rest, int depth)
    {
        var size = ReadInt32(ref rest);
        if (size == -1)
            return Datum.Null;
        if (size < 0 || size > rest.Length)
            throw Incorrect();
        var value = Read(type, rest[..size], depth - 1);
        rest = rest[size..];
        return value;
    }

    private static Datum ReadArray(SqlType element, ReadOnlySpan<byte> rest, int depth)
    {
        var count = ReadInt32(ref rest);
        ReadInt32(ref rest);
        if (count is < 0 or > 6)
            throw new InterchangeException("22P03", $"invalid number of array dimensions: {count}");
        if ((uint)ReadInt32(ref rest) != PgType.OidOf(element))
            throw new InterchangeException("42804", "wrong element type");
        var dimensions = new ArrayDimension[count];
        var size = count == 0 ? 0L : 1L;
        for (var i = 0; i < count; i++)
        {
            var length = ReadInt32(ref rest);
            dimensions[i] = new ArrayDimension(ReadInt32(ref rest), length);
            if (length < 0)
                throw Incorrect();
            size *= length;
            // Each element takes four bytes at least, so that a lie about the size costs nothing.
            if (size * 4 > rest.Length)
                throw Incorrect();
        }

        var elements = new Datum[size];
        for (var i = 0; i < size; i++)
            elements[i] = ReadElement(element, ref rest, depth);
        if (rest.Length > 0)
            throw Incorrect();
        return Datum.FromArray(new ArrayDatum(ValueArray.Create<ArrayDimension>(size == 0 ? [] : dimensions), ValueArray.Create<Datum>(elements)));
    }

    private static Datum ReadRecord(SqlType type, ReadOnlySpan<byte> rest, int depth)
    {
        if (ReadInt32(ref rest) != type.Fields.Count)
            throw new InterchangeException("42804", "wrong number of columns");
        var fields = new Datum[type.Fields.Count];
        for (var i = 0; i < fields.Length; i++)
        {
            ReadInt32(ref rest);
            fields[i] = ReadElement(type.Fields[i].Type.Type, ref rest, depth);
        }

        if (rest.Length > 0)
            throw Incorrect();
        return Datum.FromList(ValueArray.Create<Datum>(fields));
    }

    private static Datum ReadRange(SqlType element, ReadOnlySpan<byte> rest, int depth)
    {
        if (rest.Length == 0)
            throw Incorrect();
        var flags = rest[0];
        rest = rest[1..];
        if ((flags & 1) != 0)
            return Datum.FromRange(new RangeDatum(true, Datum.Null, false, Datum.Null, false));
        var lower = (flags & 8) != 0 ? Datum.Null : ReadElement(element, ref rest, depth);
        var upper = (flags & 16) != 0 ? Datum.Null : ReadElement(element, ref rest, depth);
        if (rest.Length > 0)
            throw Incorrect();

        // Through the text form, which knows how ranges are checked and made canonical.
        var text = new StringBuilder();
        text.Append((flags & 2) != 0 ? '[' : '(');
        text.Append(lower.IsNull ? "" : '"' + DatumForms.Format(element, lower) + '"');
        text.Append(',');
        text.Append(upper.IsNull ? "" : '"' + DatumForms.Format(element, upper) + '"');
        text.Append((flags & 4) != 0 ? ']' : ')');
        return DatumForms.Parse(SqlType.RangeOf(element), text.ToString());
    }

    private static Datum ReadNumeric(SqlType type, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 8)
            throw Incorrect();
        var groups = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        var weight = BinaryPrimitives.ReadInt16BigEndian(bytes[2..]);
        var sign = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        var scale = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        if (bytes.Length != 8 + 2 * groups || sign is not (0 or 0x4000 or 0xC000 or 0xD000 or 0xF000))
            throw Incorrect();
        if (sign >= 0xC000)
            return DatumForms.Parse(type, sign == 0xC000 ? "NaN" : sign == 0xD000 ? "Infinity" : "-Infinity");
        // More than the type can hold is refused before any arithmetic on it: 39 digits and their fraction take 20 groups.
        if (groups > 32 || weight > 16 || weight < -16 || scale > 64)
            throw new InterchangeException("22003", "value out of range for type numeric");
        var coefficient = BigInteger.Zero;
        for (var i = 0; i < groups; i++)
        {
            var group = BinaryPrimitives.ReadUInt16BigEndian(bytes[(8 + 2 * i)..]);
            if (group > 9999)
                throw Incorrect();
            coefficient = coefficient * 10_000 + group;
        }

        var exponent = 4 * (weight - groups + 1);
        return DatumForms.Parse(type, $"{(sign == 0x4000 ? "-" : "")}{coefficient}e{exponent}");
    }

    private static int ReadInt32(ref ReadOnlySpan<byte> rest)
    {
        if (rest.Length < 4)
            throw Incorrect();
        var value = BinaryPrimitives.ReadInt32BigEndian(rest);
        rest = rest[4..];
        return value;
    }

    private static ReadOnlySpan<byte> Exactly(ReadOnlySpan<byte> bytes, int length) => bytes.Length == length ? bytes : throw Incorrect();

    private static InterchangeException NoBinaryForm(SqlType type) =>
        new("0A000", $"binary encoding of {type.Kind.ToString().ToLowerInvariant()} types is not supported");

    private static InterchangeException Incorrect() => new("22P03", "incorrect binary data format in bind parameter");
}
