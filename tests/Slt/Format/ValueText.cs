using System.Globalization;
using System.Numerics;
using System.Text;

namespace Materialize.Slt.Format;

/// <summary>How a value of the server's is written for comparison: by its type and by the letter that the test gives its column.</summary>
public static class ValueText
{
    /// <exception cref="FormatException">The letter does not fit the type.</exception>
    public static string Of(byte[]? value, uint oid, char letter, bool isCockroach, bool isBinary)
    {
        if (value is null)
            return "NULL";
        var text = isBinary && value.Length == 4
            ? ((uint)((value[0] << 24) | (value[1] << 16) | (value[2] << 8) | value[3])).ToString(CultureInfo.InvariantCulture)
            : Encoding.UTF8.GetString(value);
        return (oid, letter) switch
        {
            (16, 'T' or 'B') => text == "t" ? "true" : text == "f" ? "false" : text,
            (16, 'I') => text == "t" ? "1" : "0",
            (20 or 21 or 23 or 16460 or 16462 or 16464, 'T' or 'I' or 'R') => text,
            (26 or 24 or 2205 or 2206 or 2202 or 2203 or 2204 or 4089 or 4096, 'T' or 'I' or 'O') => text,
            (700, 'T') => ThreeDecimals(Narrow(text)),
            (701, 'T') => ThreeDecimals(Parse(text)),
            (700, 'R') => isCockroach ? Shortest(Parse(text)) : ThreeDecimals(Narrow(text)),
            (701, 'R') => isCockroach ? Shortest(Parse(text)) : ThreeDecimals(Parse(text)),
            (700 or 701, 'I') => Truncated(Parse(text)),
            (1700, 'T') => text,
            (1700, 'I') => Round(text, 0, halfUp: isCockroach),
            (1700, 'R') => isCockroach ? text : Round(text, 3, halfUp: true),
            (25 or 1042 or 1043 or 705, 'T') => text.Length == 0 ? "(empty)" : text,
            (25 or 1042 or 1043 or 705, 'I') => "0",
            (17, 'T') => Bytes(text),
            (_, 'T') => text,
            _ => throw new FormatException($"cannot show type oid {oid} as {letter}"),
        };
    }

    private static double Parse(string text) => text switch
    {
        "Infinity" => double.PositiveInfinity,
        "-Infinity" => double.NegativeInfinity,
        "NaN" => double.NaN,
        _ => double.Parse(text, CultureInfo.InvariantCulture),
    };

    private static double Narrow(string text) => (float)Parse(text);

    private static string? Special(double value) => double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "inf" : double.IsNegativeInfinity(value) ? "-inf" : null;

    /// <summary>Ties go to the even digit, of the value's exact expansion; "F3" would take them up.</summary>
    private static string ThreeDecimals(double value)
    {
        if (Special(value) is { } special)
            return special;
        if (Math.Abs(value) < 1e9 && value * 16 == Math.Floor(value * 16) && value != 0)
            return Math.Round((decimal)value, 3, MidpointRounding.ToEven).ToString("F3", CultureInfo.InvariantCulture);
        return value.ToString("F3", CultureInfo.InvariantCulture);
    }

    private static string Shortest(double value)
    {
        if (Special(value) is { } special)
            return special;
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        var e = text.IndexOf('E', StringComparison.Ordinal);
        if (e < 0)
            return text;
        var exponent = int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var sign = text[0] == '-' ? "-" : "";
        var mantissa = text[sign.Length..e];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        var place = (point < 0 ? digits.Length : point) + exponent;
        if (place <= 0)
            return $"{sign}0.{new string('0', -place)}{digits.TrimEnd('0')}";
        return place >= digits.Length ? $"{sign}{digits}{new string('0', place - digits.Length)}" : $"{sign}{digits[..place]}.{digits[place..].TrimEnd('0')}";
    }

    private static string Truncated(double value)
    {
        if (double.IsNaN(value))
            return "0";
        if (value >= 9.2233720368547758e18)
            return long.MaxValue.ToString(CultureInfo.InvariantCulture);
        return value <= -9.2233720368547758e18
            ? long.MinValue.ToString(CultureInfo.InvariantCulture)
            : ((long)value).ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>At most so many decimals; fewer stay as they are when rounding (<paramref name="places"/> &gt; 0).</summary>
    private static string Round(string text, int places, bool halfUp)
    {
        if (text.AsSpan().IndexOfAnyExcept("0123456789.-") >= 0)
            return text;
        var point = text.IndexOf('.', StringComparison.Ordinal);
        var scale = point < 0 ? 0 : text.Length - point - 1;
        if (scale <= places)
            return text == "-0" ? "0" : text;
        var isNegative = text[0] == '-';
        var coefficient = BigInteger.Parse(text.Replace(".", "", StringComparison.Ordinal).TrimStart('-'), CultureInfo.InvariantCulture);
        var unit = BigInteger.Pow(10, scale - places);
        var (quotient, remainder) = (coefficient / unit, coefficient % unit);
        if (halfUp && remainder * 2 >= unit)
            quotient++;
        var digits = quotient.ToString(CultureInfo.InvariantCulture).PadLeft(places + 1, '0');
        var body = places == 0 ? digits : $"{digits[..^places]}.{digits[^places..]}";
        return isNegative && !quotient.IsZero ? "-" + body : body;
    }

    private static string Bytes(string text)
    {
        if (!text.StartsWith("\\x", StringComparison.Ordinal))
            return text;
        var raw = Convert.FromHexString(text.AsSpan(2));
        return System.Text.Unicode.Utf8.IsValid(raw) ? Encoding.UTF8.GetString(raw) : $"[{string.Join(", ", raw)}]";
    }
}
