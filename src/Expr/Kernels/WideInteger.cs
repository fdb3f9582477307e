using System.Numerics;
using System.Runtime.InteropServices;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// Two's complement integers of several 64-bit words, lowest first, in an accumulator: sums that stay exact, so that what was
/// added can be taken away again.
/// </summary>
internal static unsafe class WideInteger
{
    /// <summary><c>sum += ±magnitude × factor</c>, modulo the width.</summary>
    public static void AddProduct(ulong* sum, int words, ReadOnlySpan<ulong> magnitude, bool negative, long factor)
    {
        if (factor < 0)
            negative = !negative;
        var times = factor < 0 ? (ulong)-factor : (ulong)factor;
        ulong carry = 0;
        ulong chain = 0; // What goes on to the next word: a carry when adding, a borrow when subtracting.
        for (var i = 0; i < words; i++)
        {
            var word = carry;
            carry = 0;
            if (i < magnitude.Length)
            {
                carry = Math.BigMul(magnitude[i], times, out var low);
                word += low;
                carry += word < low ? 1UL : 0;
            }

            if (negative)
            {
                var before = sum[i];
                var after = before - word - chain;
                chain = before < word || (before == word && chain != 0) ? 1UL : 0;
                sum[i] = after;
            }
            else
            {
                var after = sum[i] + word;
                var overflow = after < word ? 1UL : 0;
                var total = after + chain;
                overflow += total < after ? 1UL : 0;
                sum[i] = total;
                chain = overflow;
            }
        }
    }

    /// <summary>The value.</summary>
    public static BigInteger ToBigInteger(ulong* sum, int words) => new(new ReadOnlySpan<byte>(sum, words * sizeof(ulong)));

    /// <summary>
    /// The value × 10^−39, where it has at most 12 digits after the point and 37 in all; false for others. Nearly all sums of numerics do, and take some hundred nanoseconds and no memory this way.
    /// </summary>
    public static bool TryToNumeric(ulong* sum, int words, out Numeric result)
    {
        result = default;
        Span<ulong> magnitude = stackalloc ulong[words];
        var negative = Magnitude(sum, magnitude);
        var digits = MemoryMarshal.Cast<ulong, uint>(magnitude); // of base 2^32, lowest first
        Span<uint> quotient = stackalloc uint[digits.Length];
        var n = digits.Length;
        var scale = Numeric.MaxScale;
        while (scale >= 9)
        {
            while (n > 0 && digits[n - 1] == 0)
                n--;
            if (DivideByBillion(digits[..n], quotient) != 0)
                break;
            quotient[..n].CopyTo(digits);
            scale -= 9;
        }

        if (scale > 12 || (n > 4 && digits[4..n].ContainsAnyExcept(0u)))
            return false;
        if (n <= 2 || (digits[2] | digits[3]) == 0)
        {
            // Arithmetic on 128 bits is calls; on 64 it is not.
            var small = magnitude[0];
            if (small == 0)
                return true;
            for (; scale > 0 && small % 10 == 0; scale--)
                small /= 10;
            result = new Numeric { Low = small, Scale = (byte)scale, Kind = negative ? NumericKind.Negative : NumericKind.Positive };
            return true;
        }

        var value = new UInt128(magnitude[1], magnitude[0]);
        if (value >= TenTo37)
            return false;
        for (; scale >= 4 && value % 10_000 == 0; scale -= 4)
            value /= 10_000;
        for (; scale > 0 && value % 10 == 0; scale--)
            value /= 10;
        result = new Numeric { Low = value, Scale = (byte)scale, Kind = negative ? NumericKind.Negative : NumericKind.Positive };
        return true;
    }

    /// <summary>The double nearest to the value × 2^−<paramref name="fractionBits"/>, ties to even.</summary>
    public static double ToDouble(ulong* sum, int words, int fractionBits)
    {
        Span<ulong> magnitude = stackalloc ulong[words];
        var negative = Magnitude(sum, magnitude);
        var high = words - 1;
        while (high > 0 && magnitude[high] == 0)
            high--;
        var extra = (64 * high) - BitOperations.LeadingZeroCount(magnitude[high]);
        var top = magnitude[0];
        if (extra <= 0)
        {
            extra = 0;
        }
        else
        {
            // 64 bits, the last standing for all that are cut off: enough for one correct rounding to 53.
            var (word, bit) = (extra / 64, extra % 64);
            top = magnitude[word] >> bit;
            if (bit > 0)
                top |= magnitude[word + 1] << (64 - bit);
            if (magnitude[..word].ContainsAnyExcept(0UL) || (magnitude[word] & ((1UL << bit) - 1)) != 0)
                top |= 1;
        }

        var result = Math.ScaleB((double)top, extra - fractionBits);
        return negative ? -result : result;
    }

    private static readonly UInt128 TenTo37 = (UInt128)BigInteger.Pow(10, 37);

    // Whether the sum is negative.
    private static bool Magnitude(ulong* sum, Span<ulong> magnitude)
    {
        var negative = (long)sum[magnitude.Length - 1] < 0;
        var carry = negative;
        for (var i = 0; i < magnitude.Length; i++)
        {
            magnitude[i] = (negative ? ~sum[i] : sum[i]) + (carry ? 1UL : 0);
            carry &= magnitude[i] == 0;
        }

        return negative;
    }

    // The remainder.
    private static uint DivideByBillion(ReadOnlySpan<uint> digits, Span<uint> quotient)
    {
        const ulong billion = 1_000_000_000;
        var rest = 0UL;
        for (var i = digits.Length - 1; i >= 0; i--)
        {
            var value = (rest << 32) | digits[i];
            var whole = value / billion;
            quotient[i] = (uint)whole;
            rest = value - (whole * billion);
        }

        return (uint)rest;
    }

    /// <summary>The double nearest to <paramref name="value"/> × 2^−<paramref name="fractionBits"/>, ties to even.</summary>
    public static double ToDouble(BigInteger value, int fractionBits)
    {
        var magnitude = BigInteger.Abs(value);
        var extra = (int)magnitude.GetBitLength() - 64;
        ulong top;
        if (extra > 0)
        {
            // 64 bits, the last standing for all that are cut off: enough for one correct rounding to 53.
            var shifted = magnitude >> extra;
            top = (ulong)shifted | ((shifted << extra) == magnitude ? 0UL : 1UL);
        }
        else
        {
            extra = 0;
            top = (ulong)magnitude;
        }

        var result = Math.ScaleB((double)top, extra - fractionBits);
        return value.Sign < 0 ? -result : result;
    }
}

/// <summary>
/// How floats are summed so that sums can be undone exactly: as whole multiples of 2^−96 in 256 bits. What a value has below
/// 2^−96 is cut off; a magnitude of 2^158 or more counts as infinite.
/// </summary>
internal static class FixedFloat
{
    public const int FractionBits = 96;
    public const int Words = 4;

    /// <summary>The multiple of 2^−96, without its sign; false if infinite, NaN or too large.</summary>
    public static bool TryConvert(double value, Span<ulong> words)
    {
        words.Clear();
        if (!(Math.Abs(value) < 3.6e47))
            return false;
        var bits = BitConverter.DoubleToUInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF);
        var mantissa = bits & 0xF_FFFF_FFFF_FFFF;
        if (exponent == 0)
            exponent = 1;
        else
            mantissa |= 1UL << 52;
        var shift = exponent - 1075 + FractionBits;
        if (shift <= -64)
            return true;
        if (shift < 0)
        {
            words[0] = mantissa >> -shift;
            return true;
        }

        var (word, bit) = (shift / 64, shift % 64);
        words[word] = mantissa << bit;
        if (bit > 0 && word + 1 < words.Length)
            words[word + 1] = mantissa >> (64 - bit);
        return true;
    }
}
