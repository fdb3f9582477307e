using System.Globalization;
using System.Numerics;

namespace Materialize.Repr;

/// <content>Text form: plain decimal notation, never an exponent, no trailing zeros.</content>
public readonly partial record struct Numeric
{
    /// <summary>The value as SQL prints it: <c>-1.5</c>, <c>NaN</c>, <c>Infinity</c>.</summary>
    public override string ToString()
    {
        switch (Kind)
        {
            case NumericKind.NaN:
                return "NaN";
            case NumericKind.PositiveInfinity:
                return "Infinity";
            case NumericKind.NegativeInfinity:
                return "-Infinity";
        }

        var digits = High == 0
            ? Low.ToString(CultureInfo.InvariantCulture)
            : (((BigInteger)High << 128) | Low).ToString(CultureInfo.InvariantCulture);
        if (Scale > 0)
        {
            if (digits.Length <= Scale)
                digits = new string('0', Scale - digits.Length + 1) + digits;
            digits = string.Concat(digits.AsSpan(0, digits.Length - Scale), ".", digits.AsSpan(digits.Length - Scale));
        }

        return Kind == NumericKind.Negative ? "-" + digits : digits;
    }

    /// <summary>Reads a number or NaN, with spaces around it; false if it is not one. Infinity is not accepted.</summary>
    /// <param name="text">For example <c> -1.50e3 </c>.</param>
    /// <param name="status">Overflow or underflow when the form is right but the value is not representable.</param>
    public static bool TryParse(ReadOnlySpan<char> text, out Numeric result, out NumericStatus status)
    {
        result = default;
        status = NumericStatus.Ok;
        text = text.Trim();
        if (text.Equals("nan", StringComparison.OrdinalIgnoreCase))
        {
            result = NaN;
            return true;
        }

        if (!IsDecimal(text))
            return false;
        status = ParseDigits(text, out result);
        return true;
    }

    /// <summary>As <see cref="TryParse(ReadOnlySpan{char}, out Numeric, out NumericStatus)"/>, for text known to be good.</summary>
    /// <exception cref="FormatException">It is not a representable number.</exception>
    public static Numeric Parse(string text) =>
        TryParse(text, out var result, out var status) && status == NumericStatus.Ok ? result : throw new FormatException(text);

    private static bool IsDecimal(ReadOnlySpan<char> text)
    {
        var i = 0;
        var digits = 0;
        if (i < text.Length && text[i] is '+' or '-')
            i++;
        for (; i < text.Length && char.IsAsciiDigit(text[i]); i++)
            digits++;
        if (i < text.Length && text[i] == '.')
        {
            for (i++; i < text.Length && char.IsAsciiDigit(text[i]); i++)
                digits++;
        }

        if (digits == 0)
            return false;
        if (i < text.Length && text[i] is 'e' or 'E')
        {
            i++;
            if (i < text.Length && text[i] is '+' or '-')
                i++;
            var first = i;
            while (i < text.Length && char.IsAsciiDigit(text[i]))
                i++;
            if (i == first)
                return false;
        }

        return i == text.Length;
    }

    /// <summary>Digits, point and exponent, known to be well formed.</summary>
    private static NumericStatus ParseDigits(ReadOnlySpan<char> text, out Numeric result)
    {
        result = default;
        var negative = text[0] == '-';
        if (text[0] is '+' or '-')
            text = text[1..];
        var exponent = 0;
        var e = text.IndexOfAny('e', 'E');
        if (e >= 0)
        {
            if (!int.TryParse(text[(e + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent) || Math.Abs((long)exponent) > 100_000)
                exponent = text[e + 1] == '-' ? -100_000 : 100_000;
            text = text[..e];
        }

        var point = text.IndexOf('.');
        var whole = point < 0 ? text : text[..point];
        var part = point < 0 ? [] : text[(point + 1)..];
        if (whole.Length + part.Length <= 18 && exponent == 0)
        {
            ulong small = 0;
            foreach (var digit in whole)
                small = (small * 10) + (uint)(digit - '0');
            foreach (var digit in part)
                small = (small * 10) + (uint)(digit - '0');
            result = Small(small, part.Length, negative);
            return NumericStatus.Ok;
        }

        var magnitude = BigInteger.Parse(string.Concat("0", whole, part), NumberStyles.None, CultureInfo.InvariantCulture);
        if (magnitude.IsZero)
            return NumericStatus.Ok;
        var scale = part.Length - exponent;
        if (scale < -MaxDigits)
            return NumericStatus.Overflow;
        return FromBigInteger(negative ? -magnitude : magnitude, scale, out result);
    }
}
