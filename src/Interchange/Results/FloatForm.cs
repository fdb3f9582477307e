using System.Globalization;

namespace Materialize.Interchange;

/// <summary>
/// Shortest text of a float that reads back the same: digits in full between 1e-5 and 1e16 (float4: 1e-6 and 1e13), else with
/// an exponent: <c>1e+20</c>, <c>1.5e-7</c>. No <c>.0</c>.
/// </summary>
internal static class FloatForm
{
    public const int BytesMax = 32;

    public static int Write(float value, Span<byte> target)
    {
        if (!float.IsFinite(value))
            return WriteSpecial(value, target);
        Span<byte> digits = stackalloc byte[BytesMax];
        value.TryFormat(digits, out var written, "R", CultureInfo.InvariantCulture);
        return Layout(digits[..written], 13, -6, target);
    }

    public static int Write(double value, Span<byte> target)
    {
        if (!double.IsFinite(value))
            return WriteSpecial(value, target);
        Span<byte> digits = stackalloc byte[BytesMax];
        value.TryFormat(digits, out var written, "R", CultureInfo.InvariantCulture);
        return Layout(digits[..written], 16, -5, target);
    }

    private static int WriteSpecial(double value, Span<byte> target)
    {
        var text = double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8;
        text.CopyTo(target);
        return text.Length;
    }

    /// <summary>Takes .NET's shortest form apart into digits and the place of the point, and lays them out anew.</summary>
    private static int Layout(ReadOnlySpan<byte> source, int pointMax, int pointMin, Span<byte> target)
    {
        var at = 0;
        if (source[0] == '-')
        {
            target[at++] = (byte)'-';
            source = source[1..];
        }

        Span<byte> digits = stackalloc byte[BytesMax];
        var count = 0;
        var point = -1;
        var exponent = 0;
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] == '.')
            {
                point = count;
            }
            else if (source[i] == 'E')
            {
                exponent = int.Parse(source[(i + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                break;
            }
            else
            {
                digits[count++] = source[i];
            }
        }

        // value = 0.d1d2d3… × 10^point, d1 not zero.
        point = (point < 0 ? count : point) + exponent;
        var lead = 0;
        while (lead < count - 1 && digits[lead] == '0')
            lead++;
        var shown = digits[lead..count];
        point -= lead;
        while (shown.Length > 1 && shown[^1] == '0')
            shown = shown[..^1];
        if (shown is [(byte)'0'])
        {
            target[at++] = (byte)'0';
            return at;
        }

        if (point > pointMax || point <= pointMin)
            return at + WriteScientific(shown, point - 1, target[at..]);
        if (point <= 0)
        {
            target[at++] = (byte)'0';
            target[at++] = (byte)'.';
            target.Slice(at, -point).Fill((byte)'0');
            at -= point;
            shown.CopyTo(target[at..]);
            return at + shown.Length;
        }

        var whole = Math.Min(point, shown.Length);
        shown[..whole].CopyTo(target[at..]);
        at += whole;
        target.Slice(at, point - whole).Fill((byte)'0');
        at += point - whole;
        if (shown.Length <= whole)
            return at;
        target[at++] = (byte)'.';
        shown[whole..].CopyTo(target[at..]);
        return at + shown.Length - whole;
    }

    private static int WriteScientific(ReadOnlySpan<byte> digits, int exponent, Span<byte> target)
    {
        var at = 0;
        target[at++] = digits[0];
        if (digits.Length > 1)
        {
            target[at++] = (byte)'.';
            digits[1..].CopyTo(target[at..]);
            at += digits.Length - 1;
        }

        target[at++] = (byte)'e';
        target[at++] = exponent < 0 ? (byte)'-' : (byte)'+';
        Math.Abs(exponent).TryFormat(target[at..], out var written, default, CultureInfo.InvariantCulture);
        return at + written;
    }
}
