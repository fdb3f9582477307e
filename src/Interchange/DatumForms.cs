using System.Buffers;
using System.Text;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>The way by Datum and string, for types whose forms are not worth a path of their own, and for every error.</summary>
internal static class DatumForms
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, true);

    /// <summary>The text form of a value that is not null.</summary>
    public static string Format(SqlType type, Datum value) => DatumText.Format(type, value);

    /// <summary>The value that a text denotes. The type's modifier is not applied.</summary>
    /// <exception cref="InterchangeException">None.</exception>
    public static Datum Parse(SqlType type, string text)
    {
        try
        {
            return DatumText.Parse(type, text);
        }
        catch (TextFormatException e)
        {
            throw new InterchangeException(e.SqlState, e.Message, inner: e);
        }
    }

    /// <exception cref="InterchangeException">22021: not UTF-8, or a NUL; otherwise as <see cref="Parse"/>.</exception>
    public static Datum ParseUtf8(SqlType type, ReadOnlySpan<byte> utf8) => Parse(type, Decode(utf8));

    public static string Decode(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Contains((byte)0))
            throw new InterchangeException("22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException e)
        {
            var bytes = string.Join(" ", (e.BytesUnknown ?? []).Select(b => $"0x{b:x2}"));
            throw new InterchangeException("22021", $"invalid byte sequence for encoding \"UTF8\": {bytes}", inner: e);
        }
    }

    /// <summary>A column's bytes as a value.</summary>
    public static Datum FromSlot(SqlType type, ReadOnlySpan<byte> slot) => ValueCodec.Read(type, slot);

    /// <summary>A value that is not null as a column's bytes.</summary>
    public static void WriteSlot(SqlType type, Datum value, Span<byte> slot, IBufferWriter<byte> variable)
    {
        if (slot.Length > 0)
            ValueCodec.WriteFixed(type, value, slot);
        else
            ValueCodec.Write(type, value, variable);
    }

    /// <summary>What storing a value in a column of <paramref name="type"/> does to it: a scale rounds, a length refuses what is longer.</summary>
    public static Datum ApplyModifier(SqlType type, Datum value)
    {
        if (type.Modifier is not { } modifier)
            return value;
        switch (type.Kind)
        {
            case ScalarKind.Numeric:
                return value.AsNumeric.Round(modifier, out var rounded) == NumericStatus.Ok
                    ? Datum.FromNumeric(rounded)
                    : throw new InterchangeException("22003", "numeric field overflow");
            case ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time when modifier < 6:
                var unit = (long)Math.Pow(10, 6 - modifier);
                var down = value.AsInt64 - (value.AsInt64 % unit + unit) % unit;
                return Datum.FromInt64(value.AsInt64 - down >= unit / 2 ? down + unit : down);
            case ScalarKind.Char or ScalarKind.VarChar:
                return Datum.FromString(Shorten(type, value.AsString, modifier));
            default:
                return value;
        }
    }

    /// <summary>Spaces beyond the length are cut off, anything else there is an error.</summary>
    private static string Shorten(SqlType type, string text, int length)
    {
        if (text.Length <= length || DatumText.CharCount(text) <= length)
            return text;
        var kept = 0;
        var count = 0;
        while (count < length)
        {
            kept += char.IsHighSurrogate(text[kept]) ? 2 : 1;
            count++;
        }

        return text.AsSpan(kept).Trim(' ').IsEmpty
            ? text[..kept]
            : throw new InterchangeException("22001", $"value too long for type {type.ToSql()}");
    }
}

/// <summary>Text of rare types, by way of a Datum.</summary>
internal sealed class DatumTextEncoder(SqlType type) : ValueEncoder
{
    public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteText(DatumForms.Format(type, DatumForms.FromSlot(type, value)));
}

/// <summary>Binary form of rare types, by way of a Datum.</summary>
internal sealed class DatumBinaryEncoder : ValueEncoder
{
    private readonly SqlType _type;

    /// <exception cref="InterchangeException">0A000: the type has no binary form.</exception>
    public DatumBinaryEncoder(SqlType type)
    {
        DatumBinary.CheckWritable(type);
        _type = type;
    }

    public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => DatumBinary.Write(_type, DatumForms.FromSlot(_type, value), output);
}
