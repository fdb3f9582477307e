using System.Globalization;
using System.Text;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>The way by Datum and string, for types whose forms are not worth a path of their own.</summary>
internal static class DatumForms
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, true);

    /// <summary>The text form of a value that is not null.</summary>
    public static string Format(SqlType type, Datum value) => throw Unsupported(type);

    /// <summary>The value that a text denotes.</summary>
    public static Datum Parse(SqlType type, string text)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool when text is "t" or "true" or "1":
                return Datum.True;
            case ScalarKind.Bool when text is "f" or "false" or "0":
                return Datum.False;
            case ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 when long.TryParse(text, CultureInfo.InvariantCulture, out var value):
                return Datum.FromInt64(value);
            case ScalarKind.Float32 or ScalarKind.Float64 when double.TryParse(text, CultureInfo.InvariantCulture, out var value):
                return Datum.FromDouble(value);
            case ScalarKind.String or ScalarKind.VarChar:
                return Datum.FromString(text);
            default:
                throw Unsupported(type);
        }
    }

    public static Datum ParseUtf8(SqlType type, ReadOnlySpan<byte> utf8) => Parse(type, Decode(utf8));

    public static string Decode(ReadOnlySpan<byte> utf8)
    {
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
    public static Datum FromSlot(SqlType type, ReadOnlySpan<byte> slot) => throw Unsupported(type);

    /// <summary>A value that is not null as a column's bytes.</summary>
    public static byte[] ToSlot(SqlType type, Datum value) => throw Unsupported(type);

    private static InterchangeException Unsupported(SqlType type) => new("0A000", $"type {type.ToSql()} is not supported here");
}

/// <summary>Text of rare types, by way of a Datum.</summary>
internal sealed class DatumTextEncoder(SqlType type) : ValueEncoder
{
    public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteText(DatumForms.Format(type, DatumForms.FromSlot(type, value)));
}

/// <summary>Binary form of rare types, by way of a Datum.</summary>
internal sealed class DatumBinaryEncoder(SqlType type) : ValueEncoder
{
    public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => DatumBinary.Write(type, DatumForms.FromSlot(type, value), output);
}
