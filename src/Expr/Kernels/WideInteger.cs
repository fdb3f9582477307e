using System.Numerics;

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
