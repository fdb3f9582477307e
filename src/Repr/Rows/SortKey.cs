using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Materialize.Repr;

/// <summary>
/// Encodes values so that comparing bytes is comparing values. Each value is a marker byte that places nulls, then, unless null,
/// a payload that no other payload of its type is a prefix of; a descending column has its payload's bits inverted. Keys of
/// several columns are concatenated.
/// </summary>
public static partial class SortKey
{
    private const byte NullFirst = 0;
    private const byte Present = 1;
    private const byte NullLast = 2;
    private const byte End = 0;

    /// <summary>10^0 to 10^38.</summary>
    private static readonly UInt128[] Powers = [.. Enumerable.Range(0, Numeric.MaxDigits).Select(e => (UInt128)Numeric.Power(e))];

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
            case ScalarKind.List or ScalarKind.Int2Vector or ScalarKind.Array or ScalarKind.Map or ScalarKind.Record or ScalarKind.Range:
                var stored = new ArrayBufferWriter<byte>();
                ValueCodec.Write(type, value, stored);
                WriteStored(type, stored.WrittenSpan, output);
                break;
            default:
                Escaped(Encoding.UTF8.GetBytes(value.AsString), output);
                break;
        }
    }

    /// <summary>Bytes with 0 written as 0 255, ended by 0 0.</summary>
    internal static void Escaped(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        while (true)
        {
            var zero = bytes.IndexOf((byte)0);
            var plain = zero < 0 ? bytes : bytes[..zero];
            var target = output.GetSpan(plain.Length + 2);
            plain.CopyTo(target);
            target[plain.Length] = 0;
            target[plain.Length + 1] = zero < 0 ? End : (byte)0xFF;
            output.Advance(plain.Length + 2);
            if (zero < 0)
                return;
            bytes = bytes[(zero + 1)..];
        }
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
        // At most 130 bits, of which UInt128 holds all but the top two: those come of the last multiplication, of less than 2^127 by ten.
        var (high, low) = ((byte)value.High, value.Low);
        var digits = high != 0 ? Numeric.MaxDigits : Digits(low);
        if (digits < Numeric.MaxDigits)
        {
            low *= Powers[Numeric.MaxDigits - 1 - digits];
            var (eight, two) = (low << 3, low << 1);
            high = (byte)((byte)(low >> 125) + (eight + two < eight ? 1 : 0));
            low = eight + two;
        }

        Span<byte> bytes = stackalloc byte[18];
        bytes[0] = (byte)(digits - value.Scale + 64);
        bytes[1] = high;
        BinaryPrimitives.WriteUInt128BigEndian(bytes[2..], low);
        if (rank == 1)
        {
            foreach (ref var b in bytes)
                b = (byte)~b;
        }

        output.Write(bytes);
    }

    /// <summary>Decimal digits of a positive number.</summary>
    private static int Digits(UInt128 number)
    {
        var guess = (128 - (int)UInt128.LeadingZeroCount(number)) * 1233 >> 12;
        return number >= Powers[guess] ? guess + 1 : guess;
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
}
