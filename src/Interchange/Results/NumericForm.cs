using System.Buffers.Binary;
using System.Buffers.Text;
using System.Numerics;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Numerics as text, as Postgres's binary form (base-10000 digits) and as they lie in a row.</summary>
internal static class NumericForm
{
    /// <summary>Sign, 40 digits, a point and leading zeros.</summary>
    public const int TextBytesMax = 96;
    private const int DigitsMax = 48;

    /// <summary>Into a row's 24 bytes, which are zero.</summary>
    public static void WriteSlot(ulong coefficient, int scale, bool negative, Span<byte> slot)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(slot, coefficient);
        slot[20] = (byte)scale;
        slot[21] = (byte)(negative ? NumericKind.Negative : NumericKind.Positive);
    }

    public static int WriteText(Numeric value, Span<byte> target)
    {
        var special = value.Kind switch
        {
            NumericKind.NaN => "NaN"u8,
            NumericKind.PositiveInfinity => "Infinity"u8,
            NumericKind.NegativeInfinity => "-Infinity"u8,
            _ => default,
        };
        if (special.Length > 0)
        {
            special.CopyTo(target);
            return special.Length;
        }

        var at = 0;
        if (value.Kind == NumericKind.Negative)
            target[at++] = (byte)'-';
        if (value.Scale == 0)
            return at + WriteDigits(value, target[at..]);
        Span<byte> digits = stackalloc byte[DigitsMax];
        var count = WriteDigits(value, digits);
        var whole = count - value.Scale;
        if (whole > 0)
        {
            digits[..whole].CopyTo(target[at..]);
            at += whole;
        }
        else
        {
            target[at++] = (byte)'0';
        }

        target[at++] = (byte)'.';
        for (var i = whole; i < 0; i++)
            target[at++] = (byte)'0';
        digits[Math.Max(whole, 0)..count].CopyTo(target[at..]);
        return at + count - Math.Max(whole, 0);
    }

    public static void WriteBinary(Numeric value, WireBuffer output)
    {
        var special = value.Kind switch
        {
            NumericKind.NaN => 0xC000,
            NumericKind.PositiveInfinity => 0xD000,
            NumericKind.NegativeInfinity => 0xF000,
            _ => 0,
        };
        if (special != 0)
        {
            output.WriteInt16(0);
            output.WriteInt16(-1);
            output.WriteInt16((short)special);
            output.WriteInt16(0);
            return;
        }

        // The coefficient's digits, filled up with zeros on both sides so that groups of four fall on the point.
        Span<byte> digits = stackalloc byte[DigitsMax];
        var count = WriteDigits(value, digits);
        Span<byte> aligned = stackalloc byte[2 * DigitsMax];
        aligned.Fill((byte)'0');
        var whole = Math.Max(count - value.Scale, 1);
        var wholeGroups = (whole + 3) / 4;
        var fractionGroups = (value.Scale + 3) / 4;
        var end = wholeGroups * 4 + value.Scale;
        digits[..count].CopyTo(aligned[(end - count)..]);
        var groups = wholeGroups + fractionGroups;
        while (groups > 0 && aligned.Slice((groups - 1) * 4, 4).SequenceEqual("0000"u8))
            groups--;
        output.WriteInt16((short)groups);
        output.WriteInt16((short)(groups == 0 ? 0 : wholeGroups - 1));
        output.WriteInt16((short)(value.Kind == NumericKind.Negative ? 0x4000 : 0));
        output.WriteInt16(value.Scale);
        for (var i = 0; i < groups; i++)
        {
            var group = aligned.Slice(i * 4, 4);
            output.WriteInt16((short)((group[0] - '0') * 1000 + (group[1] - '0') * 100 + (group[2] - '0') * 10 + group[3] - '0'));
        }
    }

    /// <summary>The coefficient in decimal, "0" for zero.</summary>
    private static int WriteDigits(Numeric value, Span<byte> target)
    {
        if (value.High == 0 && value.Low <= ulong.MaxValue)
        {
            Utf8Formatter.TryFormat((ulong)value.Low, target, out var written);
            return written;
        }

        int count;
        if (value.High == 0)
        {
            value.Low.TryFormat(target, out count, default, System.Globalization.CultureInfo.InvariantCulture);
            return count;
        }

        // 39 digits that begin above 2^128 = 3.4e38: rare enough for a string.
        var text = (((BigInteger)value.High << 128) | value.Low).ToString(System.Globalization.CultureInfo.InvariantCulture);
        return System.Text.Encoding.ASCII.GetBytes(text, target);
    }
}
