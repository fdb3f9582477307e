using System.Globalization;

namespace Materialize.Repr;

/// <summary>Floats as Postgres writes them: the shortest digits that read back as the same value.</summary>
public static class FloatText
{
    /// <summary>A float8.</summary>
    public static string Format(double value) =>
        Special(value) ?? Layout(value.ToString("R", CultureInfo.InvariantCulture), 15);

    /// <summary>A float4.</summary>
    public static string Format(float value) =>
        Special(value) ?? Layout(value.ToString("R", CultureInfo.InvariantCulture), 6);

    /// <summary>Reads a float8; a float4 too if <paramref name="single"/>, widened.</summary>
    /// <exception cref="TextFormatException">Not a number, or out of range.</exception>
    public static double Parse(string text, bool single)
    {
        var type = single ? "real" : "double precision";
        var trimmed = text.AsSpan().Trim(" \t\n\r\f\v");
        var unsigned = trimmed.Length > 0 && trimmed[0] is '+' or '-' ? trimmed[1..] : trimmed;
        if (unsigned.Equals("infinity", StringComparison.OrdinalIgnoreCase) || unsigned.Equals("inf", StringComparison.OrdinalIgnoreCase))
            return trimmed[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
        if (trimmed.Equals("nan", StringComparison.OrdinalIgnoreCase))
            return double.NaN;
        if (unsigned.Length == 0 || !(char.IsAsciiDigit(unsigned[0]) || unsigned[0] == '.'))
            throw TextFormatException.Invalid(type, text);
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        double value;
        if (single)
        {
            if (!float.TryParse(trimmed, Style, CultureInfo.InvariantCulture, out var narrow))
                throw TextFormatException.Invalid(type, text);
            value = narrow;
        }
        else if (!double.TryParse(trimmed, Style, CultureInfo.InvariantCulture, out value))
        {
            throw TextFormatException.Invalid(type, text);
        }

        var mantissa = unsigned.IndexOfAny('e', 'E') is var e and >= 0 ? unsigned[..e] : unsigned;
        if (double.IsInfinity(value) || (value == 0 && mantissa.IndexOfAnyInRange('1', '9') >= 0))
            throw new TextFormatException(TextFormatException.OutOfRange, $"\"{text}\" is out of range for type {type}");
        return value;
    }

    private static string? Special(double value) =>
        double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "Infinity" : double.IsNegativeInfinity(value) ? "-Infinity" : value == 0 ? "0" : null;

    /// <summary>Fixed notation for exponents from −4 up to <paramref name="digits"/> − 1, else scientific with two exponent digits.</summary>
    private static string Layout(string shortest, int digits)
    {
        var negative = shortest[0] == '-';
        var body = negative ? shortest[1..] : shortest;
        var exponent = 0;
        var e = body.IndexOf('E', StringComparison.Ordinal);
        if (e >= 0)
        {
            exponent = int.Parse(body.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            body = body[..e];
        }

        var point = body.IndexOf('.', StringComparison.Ordinal);
        var pointAt = (point < 0 ? body.Length : point) + exponent;
        var all = point < 0 ? body : body.Remove(point, 1);
        var leading = all.Length - all.TrimStart('0').Length;
        all = all[leading..].TrimEnd('0');
        pointAt -= leading;
        var scientific = pointAt - 1;
        string text;
        if (scientific < -4 || scientific >= digits)
        {
            var magnitude = Math.Abs(scientific);
            text = $"{all[0]}{(all.Length > 1 ? "." + all[1..] : "")}e{(scientific < 0 ? '-' : '+')}{(magnitude < 10 ? "0" : "")}{magnitude}";
        }
        else if (pointAt <= 0)
        {
            text = "0." + new string('0', -pointAt) + all;
        }
        else
        {
            text = pointAt >= all.Length ? all + new string('0', pointAt - all.Length) : $"{all[..pointAt]}.{all[pointAt..]}";
        }

        return negative ? "-" + text : text;
    }
}
