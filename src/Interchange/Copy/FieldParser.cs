using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Text.Unicode;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>
/// Reads one column's text into canonical bytes. What most data looks like is read straight from the bytes; whatever else a
/// type's input accepts, and every error, goes by way of <see cref="DatumForms"/>.
/// </summary>
internal abstract class FieldParser(SqlType type)
{
    public SqlType Type { get; } = type;

    public static FieldParser For(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool => new BoolField(type),
        ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 => new IntegerField(type),
        ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.Oid or ScalarKind.MzTimestamp => new UnsignedField(type),
        ScalarKind.Float32 => new Float32Field(type),
        ScalarKind.Float64 => new Float64Field(type),
        ScalarKind.Numeric => new NumericField(type),
        ScalarKind.Date => new DateField(type),
        ScalarKind.Timestamp => new TimestampField(type),
        ScalarKind.String => new TextField(type),
        ScalarKind.VarChar when type.Modifier is null => new TextField(type),
        _ => new OtherField(type),
    };

    /// <summary>Writes a fixed-width value into its slot, which is zero; or appends a variable one to <paramref name="row"/>.</summary>
    /// <exception cref="InterchangeException">The text is not a value of the type.</exception>
    public abstract void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row);

    /// <summary>The general way.</summary>
    protected void ParseSlowly(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
    {
        slot.Clear();
        DatumForms.WriteSlot(Type, DatumForms.ApplyModifier(Type, DatumForms.ParseUtf8(Type, text)), slot, row);
    }

    private sealed class BoolField(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (text is [(byte)'t'] || text.SequenceEqual("true"u8))
                slot[0] = 1;
            else if (!(text is [(byte)'f'] || text.SequenceEqual("false"u8)))
                ParseSlowly(text, slot, row);
        }
    }

    private sealed class IntegerField(SqlType type) : FieldParser(type)
    {
        private readonly long _min = type.Kind switch { ScalarKind.Int16 => short.MinValue, ScalarKind.Int32 => int.MinValue, _ => long.MinValue };
        private readonly long _max = type.Kind switch { ScalarKind.Int16 => short.MaxValue, ScalarKind.Int32 => int.MaxValue, _ => long.MaxValue };

        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (!Utf8Parser.TryParse(text, out long value, out var consumed) || consumed != text.Length || value < _min || value > _max)
                ParseSlowly(text, slot, row);
            else if (slot.Length == 8)
                BinaryPrimitives.WriteInt64LittleEndian(slot, value);
            else if (slot.Length == 4)
                BinaryPrimitives.WriteInt32LittleEndian(slot, (int)value);
            else
                BinaryPrimitives.WriteInt16LittleEndian(slot, (short)value);
        }
    }

    private sealed class UnsignedField(SqlType type) : FieldParser(type)
    {
        private readonly ulong _max = RowLayout.FixedWidth(type) switch { 2 => ushort.MaxValue, 4 => uint.MaxValue, _ => ulong.MaxValue };

        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (!Utf8Parser.TryParse(text, out ulong value, out var consumed) || consumed != text.Length || value > _max)
                ParseSlowly(text, slot, row);
            else if (slot.Length == 8)
                BinaryPrimitives.WriteUInt64LittleEndian(slot, value);
            else if (slot.Length == 4)
                BinaryPrimitives.WriteUInt32LittleEndian(slot, (uint)value);
            else
                BinaryPrimitives.WriteUInt16LittleEndian(slot, (ushort)value);
        }
    }

    private sealed class Float32Field(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            // Zero may be an underflow and infinity an overflow, which are errors: let the general way tell.
            if (IsPlainNumber(text) && float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && float.IsFinite(value) && value != 0)
                BinaryPrimitives.WriteSingleLittleEndian(slot, value);
            else if (text is not [(byte)'0'])
                ParseSlowly(text, slot, row);
        }
    }

    private sealed class Float64Field(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (IsPlainNumber(text) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && double.IsFinite(value) && value != 0)
                BinaryPrimitives.WriteDoubleLittleEndian(slot, value);
            else if (text is not [(byte)'0'])
                ParseSlowly(text, slot, row);
        }
    }

    private static bool IsPlainNumber(ReadOnlySpan<byte> text) => text.IndexOfAnyExcept("0123456789+-.eE"u8) < 0;

    private sealed class NumericField(SqlType type) : FieldParser(type)
    {
        private readonly int _scaleMax = type.Modifier ?? Numeric.MaxScale;

        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            // Up to 18 digits with a point somewhere.
            var at = text is [(byte)'-', ..] ? 1 : 0;
            var negative = at == 1;
            var coefficient = 0UL;
            var digits = 0;
            var scale = -1;
            for (; at < text.Length && digits <= 18; at++)
            {
                var b = text[at];
                if (b == '.' && scale < 0)
                {
                    scale = digits;
                }
                else if (b is >= (byte)'0' and <= (byte)'9')
                {
                    coefficient = coefficient * 10 + (ulong)(b - '0');
                    digits++;
                }
                else
                {
                    break;
                }
            }

            if (at < text.Length || digits is 0 or > 18)
            {
                ParseSlowly(text, slot, row);
                return;
            }

            scale = scale < 0 ? 0 : digits - scale;
            for (; scale > 0 && coefficient % 10 == 0; scale--)
                coefficient /= 10;
            if (scale > _scaleMax || (coefficient == 0 && negative))
                ParseSlowly(text, slot, row);
            else
                NumericForm.WriteSlot(coefficient, scale, negative, slot);
        }
    }

    private sealed class DateField(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (text.Length == 10 && TryDate(text, out var days))
                BinaryPrimitives.WriteInt32LittleEndian(slot, (int)days);
            else
                ParseSlowly(text, slot, row);
        }
    }

    private sealed class TimestampField(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (Type.Modifier is null && TryTimestamp(text, out var micros))
                BinaryPrimitives.WriteInt64LittleEndian(slot, micros);
            else
                ParseSlowly(text, slot, row);
        }

        // yyyy-mm-dd hh:mm:ss[.f{1,6}]
        private static bool TryTimestamp(ReadOnlySpan<byte> text, out long micros)
        {
            micros = 0;
            if (text.Length < 19 || text[10] is not ((byte)' ' or (byte)'T') || text[13] != ':' || text[16] != ':' || !TryDate(text[..10], out var days))
                return false;
            if (!TryTwo(text[11..], out var hour) || !TryTwo(text[14..], out var minute) || !TryTwo(text[17..], out var second) || hour > 23 || minute > 59 || second > 59)
                return false;
            var fraction = 0;
            if (text.Length > 19)
            {
                if (text[19] != '.' || text.Length is < 21 or > 26)
                    return false;
                for (var i = 20; i < 26; i++)
                {
                    var digit = i < text.Length ? text[i] - '0' : 0;
                    if (digit is < 0 or > 9)
                        return false;
                    fraction = fraction * 10 + digit;
                }
            }

            micros = days * CalendarForm.MicrosPerDay + ((hour * 60 + minute) * 60L + second) * 1_000_000 + fraction;
            return true;
        }
    }

    // yyyy-mm-dd
    private static bool TryDate(ReadOnlySpan<byte> text, out long days)
    {
        days = 0;
        if (text[4] != '-' || text[7] != '-')
            return false;
        if (!TryTwo(text, out var century) || !TryTwo(text[2..], out var yearOfCentury) || !TryTwo(text[5..], out var month) || !TryTwo(text[8..], out var day))
            return false;
        var year = century * 100 + yearOfCentury;
        if (year is < 1 or > 9999 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month))
            return false;
        days = CalendarForm.DaysOf(year, month, day);
        return true;
    }

    private static bool TryTwo(ReadOnlySpan<byte> text, out int value)
    {
        var tens = text[0] - '0';
        var ones = text[1] - '0';
        value = tens * 10 + ones;
        return tens is >= 0 and <= 9 && ones is >= 0 and <= 9;
    }

    private sealed class TextField(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row)
        {
            if (!Utf8.IsValid(text) || text.Contains((byte)0))
                Refuse(text);
            row.Write(text);
        }

        private static void Refuse(ReadOnlySpan<byte> text)
        {
            DatumForms.Decode(text);
            throw new InterchangeException("22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
        }
    }

    private sealed class OtherField(SqlType type) : FieldParser(type)
    {
        public override void Parse(ReadOnlySpan<byte> text, Span<byte> slot, WireBuffer row) => ParseSlowly(text, slot, row);
    }
}
