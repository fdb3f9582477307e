using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Materialize.Repr;

/// <summary>
/// Encodes values so that comparing bytes is comparing values. Each value is a marker byte that places nulls, then, unless null,
/// a payload that no other payload of its type is a prefix of; a descending column has its payload's bits inverted. Keys of
/// several columns are concatenated.
/// </summary>
public static class SortKey
{
    private const byte NullFirst = 0;
    private const byte Present = 1;
    private const byte NullLast = 2;
    private const byte End = 0;

    /// <summary>Appends the key of one value.</summary>
    public static void Write(SqlType type, Datum value, bool descending, bool nullsLast, IBufferWriter<byte> output)
    {
        if (value.IsNull)
        {
            Put(output, nullsLast ? NullLast : NullFirst);
            return;
        }

        Put(output, Present);
        if (!descending)
        {
            Payload(type, value, output);
            return;
        }

        var inner = new ArrayBufferWriter<byte>();
        Payload(type, value, inner);
        var span = output.GetSpan(inner.WrittenCount);
        for (var i = 0; i < inner.WrittenCount; i++)
            span[i] = (byte)~inner.WrittenSpan[i];
        output.Advance(inner.WrittenCount);
    }

    /// <summary>The key of one value.</summary>
    public static byte[] Of(SqlType type, Datum value, bool descending = false, bool nullsLast = true)
    {
        var output = new ArrayBufferWriter<byte>();
        Write(type, value, descending, nullsLast, output);
        return output.WrittenSpan.ToArray();
    }

    private static void Payload(SqlType type, Datum value, IBufferWriter<byte> output)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool or ScalarKind.PgLegacyChar:
                Put(output, (byte)value.AsInt64);
                break;
            case ScalarKind.Int16 or ScalarKind.UInt16:
                BinaryPrimitives.WriteUInt16BigEndian(output.GetSpan(2), (ushort)(value.AsInt64 ^ (type.Kind == ScalarKind.Int16 ? 0x8000 : 0)));
                output.Advance(2);
                break;
            case ScalarKind.Int32 or ScalarKind.Date:
                Put(output, (uint)value.AsInt64 ^ 0x8000_0000);
                break;
            case ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType:
                Put(output, (uint)value.AsInt64);
                break;
            case ScalarKind.UInt64 or ScalarKind.MzTimestamp:
                Put(output, value.AsUInt64);
                break;
            case ScalarKind.Int64 or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz:
                Put(output, (ulong)value.AsInt64 ^ (1UL << 63));
                break;
            case ScalarKind.Float32 or ScalarKind.Float64:
                Float(value.AsDouble, output);
                break;
            case ScalarKind.Numeric:
                Number(value.AsNumeric, output);
                break;
            case ScalarKind.Interval:
                var interval = value.AsInterval;
                Put(output, (uint)interval.Months ^ 0x8000_0000);
                Put(output, (uint)interval.Days ^ 0x8000_0000);
                Put(output, (ulong)interval.Micros ^ (1UL << 63));
                break;
            case ScalarKind.Uuid:
                BinaryPrimitives.WriteUInt128BigEndian(output.GetSpan(16), value.AsUuid);
                output.Advance(16);
                break;
            case ScalarKind.Bytes:
                Escaped(value.AsBytes, output);
                break;
            case ScalarKind.Jsonb:
                Json(new Jsonb(value.AsBytes), output);
                break;
            case ScalarKind.List:
                Elements(type.Element!, value.AsList.AsSpan(), output);
                break;
            case ScalarKind.Int2Vector:
                Elements(SqlType.Int16, value.AsList.AsSpan(), output);
                break;
            case ScalarKind.Array:
                Elements(type.Element!, value.AsArray.Elements.AsSpan(), output);
                foreach (var dimension in value.AsArray.Dimensions.AsSpan())
                {
                    Put(output, Present);
                    Put(output, (uint)dimension.LowerBound ^ 0x8000_0000);
                    Put(output, (uint)dimension.Length);
                }

                Put(output, End);
                break;
            case ScalarKind.Map:
                foreach (var (key, item) in value.AsMap)
                {
                    Put(output, Present);
                    Escaped(Encoding.UTF8.GetBytes(key), output);
                    Write(type.Element!, item, descending: false, nullsLast: true, output);
                }

                Put(output, End);
                break;
            case ScalarKind.Record:
                for (var i = 0; i < type.Fields.Count; i++)
                    Write(type.Fields[i].Type.Type, value.AsList[i], descending: false, nullsLast: true, output);
                break;
            case ScalarKind.Range:
                Range(type.Element!, value.AsRange!, output);
                break;
            default:
                Escaped(Encoding.UTF8.GetBytes(value.AsString), output);
                break;
        }
    }

    /// <summary>Bytes with 0 written as 0 255, ended by 0 0.</summary>
    internal static void Escaped(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        foreach (var b in bytes)
        {
            Put(output, b);
            if (b == 0)
                Put(output, (byte)0xFF);
        }

        Put(output, End);
        Put(output, End);
    }

    private static void Put(IBufferWriter<byte> output, byte value)
    {
        output.GetSpan(1)[0] = value;
        output.Advance(1);
    }

    private static void Put(IBufferWriter<byte> output, uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(output.GetSpan(4), value);
        output.Advance(4);
    }

    private static void Put(IBufferWriter<byte> output, ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(output.GetSpan(8), value);
        output.Advance(8);
    }

    private static void Float(double value, IBufferWriter<byte> output)
    {
        // Positive floats order as their bits with the sign bit set, negative ones as their bits inverted; NaN is above all.
        var bits = (ulong)BitConverter.DoubleToInt64Bits(value);
        Put(output, double.IsNaN(value) ? ulong.MaxValue : (bits >> 63) != 0 ? ~bits : bits | (1UL << 63));
    }

    /// <summary>A class byte; for finite non-zero numbers then the exponent and the digits as a whole number of 39 digits, inverted if negative.</summary>
    private static void Number(Numeric value, IBufferWriter<byte> output)
    {
        var rank = value.Kind switch
        {
            NumericKind.NegativeInfinity => 0,
            NumericKind.Negative => 1,
            NumericKind.Positive => value.IsZero ? 2 : 3,
            NumericKind.PositiveInfinity => 4,
            _ => 5,
        };
        Put(output, (byte)rank);
        if (rank is not (1 or 3))
            return;
        var magnitude = BigInteger.Abs(value.Coefficient);
        var digits = Numeric.Digits(magnitude);
        magnitude *= Numeric.Power(Numeric.MaxDigits - digits);
        Span<byte> bytes = stackalloc byte[18];
        bytes.Clear();
        bytes[0] = (byte)(digits - value.Scale + 64);
        var count = magnitude.GetByteCount(isUnsigned: true);
        magnitude.TryWriteBytes(bytes[(18 - count)..], out _, isUnsigned: true, isBigEndian: true);
        if (rank == 1)
        {
            foreach (ref var b in bytes)
                b = (byte)~b;
        }

        output.Write(bytes);
    }

    private static void Json(Jsonb value, IBufferWriter<byte> output)
    {
        Put(output, (byte)value.Kind);
        switch (value.Kind)
        {
            case JsonbKind.String:
                Escaped(value.StringBytes, output);
                break;
            case JsonbKind.Number:
                Number(value.Number, output);
                break;
            case JsonbKind.Array or JsonbKind.Object:
                foreach (var entry in value)
                {
                    Put(output, Present);
                    if (value.Kind == JsonbKind.Object)
                        Escaped(entry.Key, output);
                    Json(entry.Value, output);
                }

                Put(output, End);
                break;
        }
    }

    private static void Elements(SqlType element, ReadOnlySpan<Datum> values, IBufferWriter<byte> output)
    {
        foreach (var value in values)
            Write(element, value, descending: false, nullsLast: true, output);
        Put(output, End);
    }

    private static void Range(SqlType element, RangeDatum range, IBufferWriter<byte> output)
    {
        Put(output, (byte)(range.IsEmpty ? 0 : 1));
        if (range.IsEmpty)
            return;
        Put(output, (byte)(range.Lower.IsNull ? 0 : 1));
        if (!range.Lower.IsNull)
        {
            Payload(element, range.Lower, output);
            Put(output, (byte)(range.LowerInclusive ? 0 : 1));
        }

        Put(output, (byte)(range.Upper.IsNull ? 2 : 1));
        if (!range.Upper.IsNull)
        {
            Payload(element, range.Upper, output);
            Put(output, (byte)(range.UpperInclusive ? 1 : 0));
        }
    }
}
