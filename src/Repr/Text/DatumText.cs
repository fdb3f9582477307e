using System.Globalization;
using System.Text;

namespace Materialize.Repr;

/// <summary>The text form of values of every type, as the wire and casts to and from text have it.</summary>
public static class DatumText
{
    /// <summary>Reads a value. Modifiers of the type (scale, length) are not applied: that is a cast's work.</summary>
    /// <exception cref="TextFormatException">The text is no value of this type.</exception>
    public static Datum Parse(SqlType type, string text) => type.Kind switch
    {
        ScalarKind.Bool => Datum.FromBool(ParseBool(text)),
        ScalarKind.Int16 => Datum.FromInt64(ParseInteger(text, "smallint", short.MinValue, short.MaxValue)),
        ScalarKind.Int32 => Datum.FromInt64(ParseInteger(text, "integer", int.MinValue, int.MaxValue)),
        ScalarKind.Int64 => Datum.FromInt64(ParseInteger(text, "bigint", long.MinValue, long.MaxValue)),
        ScalarKind.UInt16 => Datum.FromInt64((long)ParseUnsigned(text, "uint2", ushort.MaxValue)),
        ScalarKind.UInt32 => Datum.FromInt64((long)ParseUnsigned(text, "uint4", uint.MaxValue)),
        ScalarKind.UInt64 => Datum.FromUInt64(ParseUnsigned(text, "uint8", ulong.MaxValue)),
        ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType => Datum.FromInt64(ParseOid(text, PgType.Of(type).SqlName)),
        ScalarKind.Float32 => Datum.FromDouble(FloatText.Parse(text, single: true)),
        ScalarKind.Float64 => Datum.FromDouble(FloatText.Parse(text, single: false)),
        ScalarKind.Numeric => Datum.FromNumeric(ParseNumeric(text)),
        ScalarKind.Date => Datum.FromInt64(TimeText.ParseDate(text)),
        ScalarKind.Time => Datum.FromInt64(TimeText.ParseTime(text)),
        ScalarKind.Timestamp => Datum.FromInt64(TimeText.ParseTimestamp(text, zoned: false)),
        ScalarKind.TimestampTz => Datum.FromInt64(TimeText.ParseTimestamp(text, zoned: true)),
        ScalarKind.Interval => Datum.FromInterval(IntervalText.Parse(text)),
        ScalarKind.Bytes => Datum.FromBytes(ByteText.Parse(text)),
        ScalarKind.String or ScalarKind.VarChar => Datum.FromString(text),
        ScalarKind.Char => Datum.FromString(text.TrimEnd(' ')),
        ScalarKind.PgLegacyName => Datum.FromString(TruncateName(text)),
        ScalarKind.PgLegacyChar => Datum.FromInt64(text.Length == 0 ? 0 : Encoding.UTF8.GetBytes(text)[0]),
        ScalarKind.Jsonb => Datum.FromBytes(JsonbText.Parse(text)),
        ScalarKind.Uuid => Datum.FromUuid(ParseUuid(text)),
        ScalarKind.MzTimestamp => Datum.FromUInt64(ParseMzTimestamp(text)),
        ScalarKind.Int2Vector => ParseInt2Vector(text),
        ScalarKind.Array => ArrayText.Parse(type, text),
        ScalarKind.List => ContainerText.ParseList(type, text),
        ScalarKind.Map => ContainerText.ParseMap(type, text),
        ScalarKind.Record => ContainerText.ParseRecord(type, text),
        ScalarKind.Range => RangeText.Parse(type, text),
        ScalarKind.AclItem => Datum.FromString(AclText.Canonical(text, "aclitem")),
        _ => Datum.FromString(AclText.Canonical(text, "mz_aclitem")),
    };

    /// <summary>The text of a value that is not null, as a client reads it (a bool is <c>t</c> or <c>f</c>; <c>char(n)</c> is padded).</summary>
    public static string Format(SqlType type, Datum value) => type.Kind switch
    {
        ScalarKind.Bool => value.AsBool ? "t" : "f",
        ScalarKind.UInt64 or ScalarKind.MzTimestamp => value.AsUInt64.ToString(CultureInfo.InvariantCulture),
        ScalarKind.Float32 => FloatText.Format((float)value.AsDouble),
        ScalarKind.Float64 => FloatText.Format(value.AsDouble),
        ScalarKind.Numeric => value.AsNumeric.ToString(),
        ScalarKind.Date => TimeText.FormatDate((int)value.AsInt64),
        ScalarKind.Time => TimeText.FormatTime(value.AsInt64),
        ScalarKind.Timestamp => TimeText.FormatTimestamp(value.AsInt64, zoned: false),
        ScalarKind.TimestampTz => TimeText.FormatTimestamp(value.AsInt64, zoned: true),
        ScalarKind.Interval => IntervalText.Format(value.AsInterval),
        ScalarKind.Bytes => ByteText.FormatHex(value.AsBytes),
        ScalarKind.Char => type.Modifier is { } length ? PadChar(value.AsString, length) : value.AsString,
        ScalarKind.String or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem => value.AsString,
        ScalarKind.PgLegacyChar => value.AsInt64 == 0 ? "" : ((char)(byte)value.AsInt64).ToString(),
        ScalarKind.Jsonb => JsonbText.Format(value.AsBytes),
        ScalarKind.Uuid => FormatUuid(value.AsUuid),
        ScalarKind.Int2Vector => string.Join(' ', value.AsList.Select(d => d.AsInt64)),
        ScalarKind.Array => ArrayText.Format(type, value.AsArray),
        ScalarKind.List => ContainerText.FormatList(type, value.AsList),
        ScalarKind.Map => ContainerText.FormatMap(type, value.AsMap),
        ScalarKind.Record => ContainerText.FormatRecord(type, value.AsList),
        ScalarKind.Range => RangeText.Format(type, value.AsRange!),
        _ => value.AsInt64.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>An identifier cut to 255 bytes of UTF-8, at a character boundary.</summary>
    public static string TruncateName(string text)
    {
        const int Max = 63;
        if (text.Length * 3 <= Max)
            return text;
        var bytes = 0;
        var end = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > Max)
                break;
            end += rune.Utf16SequenceLength;
        }

        return text[..end];
    }

    /// <summary>Characters, not UTF-16 units.</summary>
    public static int CharCount(string text)
    {
        var count = 0;
        foreach (var c in text)
            count += char.IsLowSurrogate(c) ? 0 : 1;
        return count;
    }

    private static string PadChar(string text, int length)
    {
        var missing = length - CharCount(text);
        return missing > 0 ? text + new string(' ', missing) : text;
    }

    private static bool ParseBool(string text)
    {
        var word = text.AsSpan().Trim(" \t\n\r\f\v").ToString().ToLowerInvariant();
        if (word.Length > 0)
        {
            if ("true".StartsWith(word, StringComparison.Ordinal) || "yes".StartsWith(word, StringComparison.Ordinal) || word is "on" or "1")
                return true;
            if ("false".StartsWith(word, StringComparison.Ordinal) || "no".StartsWith(word, StringComparison.Ordinal) || word is "of" or "off" or "0")
                return false;
        }

        throw TextFormatException.Invalid("boolean", text);
    }

    private static long ParseInteger(string text, string type, long min, long max)
    {
        var trimmed = text.AsSpan().Trim(" \t\n\r\f\v");
        if (long.TryParse(trimmed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max)
            return value;
        throw BadInteger(text, trimmed, type, signed: true);
    }

    private static ulong ParseUnsigned(string text, string type, ulong max)
    {
        var trimmed = text.AsSpan().Trim(" \t\n\r\f\v");
        var digits = trimmed.Length > 1 && trimmed[0] == '+' ? trimmed[1..] : trimmed;
        if (ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value <= max)
            return value;
        throw BadInteger(text, trimmed, type, signed: false);
    }

    private static TextFormatException BadInteger(string text, ReadOnlySpan<char> trimmed, string type, bool signed)
    {
        if (trimmed.IsEmpty)
            return TextFormatException.Invalid(type, text, "cannot parse integer from empty string");
        var digits = trimmed.Length > 1 && (trimmed[0] == '+' || (signed && trimmed[0] == '-')) ? trimmed[1..] : trimmed;
        return digits.IndexOfAnyExceptInRange('0', '9') >= 0
            ? TextFormatException.Invalid(type, text, "invalid digit found in string")
            : TextFormatException.Invalid(type, text, $"number too {(trimmed[0] == '-' ? "small" : "large")} to fit in target type", TextFormatException.OutOfRange);
    }

    private static long ParseOid(string text, string type)
    {
        // Postgres also takes an oid written as a negative int4.
        var trimmed = text.AsSpan().Trim();
        if (trimmed.Length > 0 && trimmed[0] == '-' && int.TryParse(trimmed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var negative))
            return (uint)negative;
        return (long)ParseUnsigned(text, type, uint.MaxValue);
    }

    private static Numeric ParseNumeric(string text)
    {
        if (!Numeric.TryParse(text, out var value, out var status))
            throw TextFormatException.Invalid("numeric", text);
        return status switch
        {
            NumericStatus.Ok => value,
            NumericStatus.Underflow => throw new TextFormatException(TextFormatException.OutOfRange, "value out of range: underflow"),
            _ => throw new TextFormatException(
                TextFormatException.InvalidText, $"invalid input syntax for type numeric: exceeds maximum precision {Numeric.MaxDigits}: \"{text}\""),
        };
    }

    private static UInt128 ParseUuid(string text)
    {
        // 32 hexadecimal digits, in braces or not, hyphens after any group of four.
        var body = text.AsSpan();
        if (body.Length > 1 && body[0] == '{' && body[^1] == '}')
            body = body[1..^1];
        UInt128 value = 0;
        var digits = 0;
        for (var i = 0; i < body.Length; i++)
        {
            if (body[i] == '-' && digits % 4 == 0 && digits is > 0 and < 32 && body[i - 1] != '-')
                continue;
            if (!char.IsAsciiHexDigit(body[i]) || ++digits > 32)
                throw Bad();
            value = (value << 4) | (uint)Convert.ToInt32(body[i].ToString(), 16);
        }

        return digits == 32 ? value : throw Bad();

        TextFormatException Bad() => TextFormatException.Invalid("uuid", text, "invalid character or length");
    }

    private static string FormatUuid(UInt128 value)
    {
        var hex = value.ToString("x32", CultureInfo.InvariantCulture);
        return $"{hex[..8]}-{hex[8..12]}-{hex[12..16]}-{hex[16..20]}-{hex[20..]}";
    }

    private static ulong ParseMzTimestamp(string text)
    {
        if (ulong.TryParse(text.AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var millis))
            return millis;
        long micros;
        try
        {
            micros = TimeText.ParseTimestamp(text, zoned: true);
        }
        catch (TextFormatException e)
        {
            throw TextFormatException.Invalid(
                "mz_timestamp",
                text,
                $"could not parse mz_timestamp: could not parse as number of milliseconds since epoch; could not parse as date and time: {e.Message}");
        }

        var unix = Calendar.FloorDiv(micros, 1000) + (Calendar.UnixEpochSeconds * 1000);
        return unix >= 0 ? (ulong)unix : throw TextFormatException.Invalid("mz_timestamp", text, "could not parse mz_timestamp: out of range for mz_timestamp");
    }

    private static Datum ParseInt2Vector(string text) =>
        Datum.FromList([.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => Datum.FromInt64(ParseInteger(n, "smallint", short.MinValue, short.MaxValue)))]);
}
