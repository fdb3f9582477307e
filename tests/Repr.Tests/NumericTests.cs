using System.Numerics;
using Materialize.Repr;
using Xunit;

namespace Materialize.Repr.Tests;

/// <summary>Oracle: fractions of big integers, rounded by the definition.</summary>
public class NumericTests
{
    private static readonly BigInteger Unit = BigInteger.Pow(10, Numeric.MaxScale);

    [Fact]
    public void Arithmetic_agrees_with_big_integers()
    {
        var random = new Random(1);
        for (var i = 0; i < 20_000; i++)
        {
            var (a, b) = (Number(random), Number(random));
            var (x, y) = (Scaled(a), Scaled(b));
            Agree(Numeric.Add(a, b, out var sum), sum, x + y, Unit, $"{a} + {b}");
            Agree(Numeric.Subtract(a, b, out var difference), difference, x - y, Unit, $"{a} - {b}");
            Agree(Numeric.Multiply(a, b, out var product), product, x * y, Unit * Unit, $"{a} * {b}");
            if (!b.IsZero)
                Agree(Numeric.Divide(a, b, out var quotient), quotient, y.Sign < 0 ? -x : x, BigInteger.Abs(y), $"{a} / {b}");
            Assert.Equal(x.CompareTo(y), Math.Sign(a.CompareTo(b)));
        }
    }

    [Fact]
    public void Equal_values_are_equal_bits()
    {
        Assert.Equal(Numeric.Parse("1.50"), Numeric.Parse("1.5"));
        Assert.Equal(Numeric.Parse("-0.000"), Numeric.Zero);
        Assert.Equal(Numeric.Parse("15e-1"), Numeric.Parse("1.5"));
        Numeric.Divide(Numeric.FromInt64(1), Numeric.FromInt64(4), out var quarter);
        Assert.Equal(Numeric.Parse("0.25"), quarter);
        Span<byte> bytes = stackalloc byte[Numeric.Width];
        quarter.Write(bytes);
        Assert.Equal(quarter, Numeric.Read(bytes));
    }

    [Theory]
    [InlineData("999999999999999999999999999999999999999", "999999999999999999999999999999999999999")]
    [InlineData("1.2345678901234567890123456789012345678951", "1.2345678901234567890123456789012345679")]
    [InlineData("0.000000000000000000000000000000000000001", "0.000000000000000000000000000000000000001")]
    [InlineData("1e38", "100000000000000000000000000000000000000")]
    [InlineData("nan", "NaN")]
    [InlineData(" +7. ", "7")]
    [InlineData(".5", "0.5")]
    public void Text_is_read_and_rounded(string text, string printed) => Assert.Equal(printed, Numeric.Parse(text).ToString());

    [Theory]
    [InlineData("1e39", NumericStatus.Overflow)]
    [InlineData("1e400000", NumericStatus.Overflow)]
    [InlineData("1e-45", NumericStatus.Underflow)]
    public void Values_out_of_range_are_told_apart_from_bad_text(string text, NumericStatus status)
    {
        Assert.True(Numeric.TryParse(text, out _, out var found));
        Assert.Equal(status, found);
        Assert.False(Numeric.TryParse("1x", out _, out _));
        Assert.False(Numeric.TryParse("Infinity", out _, out _));
    }

    [Theory]
    [InlineData("2.5", 0, "3")]
    [InlineData("-2.5", 0, "-3")]
    [InlineData("1.005", 2, "1.01")]
    [InlineData("155", -1, "160")]
    [InlineData("4", -1, "0")]
    public void Rounding_is_half_away_from_zero(string text, int scale, string rounded)
    {
        Assert.Equal(NumericStatus.Ok, Numeric.Parse(text).Round(scale, out var result));
        Assert.Equal(rounded, result.ToString());
    }

    private static Numeric Number(Random random)
    {
        var digits = random.Next(4) == 0 ? random.Next(1, 40) : random.Next(1, 19);
        var coefficient = BigInteger.Zero;
        for (var i = 0; i < digits; i++)
            coefficient = (coefficient * 10) + (random.Next(3) == 0 ? 0 : random.Next(10));
        Numeric.FromBigInteger(random.Next(2) == 0 ? coefficient : -coefficient, random.Next(0, 39), out var result);
        return result;
    }

    private static BigInteger Scaled(Numeric value) => value.Coefficient * BigInteger.Pow(10, Numeric.MaxScale - value.Scale);

    /// <summary>Whether the result is the fraction rounded half up to 39 digits and 39 places.</summary>
    private static void Agree(NumericStatus status, Numeric result, BigInteger numerator, BigInteger denominator, string label)
    {
        var magnitude = BigInteger.Abs(numerator);
        if (magnitude >= denominator * Unit)
        {
            Assert.True(status == NumericStatus.Overflow, label);
            return;
        }

        if (!numerator.IsZero && magnitude * Unit * 10 <= denominator)
        {
            Assert.True(status == NumericStatus.Underflow || (magnitude * Unit * 10 == denominator && status == NumericStatus.Ok), label);
            return;
        }

        var places = Numeric.MaxScale;
        while (places > 0 && magnitude * BigInteger.Pow(10, places) / denominator >= Unit)
            places--;
        var shifted = magnitude * BigInteger.Pow(10, places);
        var rounded = ((2 * shifted) + denominator) / (2 * denominator);
        if (rounded >= Unit && places == 0)
        {
            Assert.True(status == NumericStatus.Overflow, label);
            return;
        }

        Assert.True(status == NumericStatus.Ok, $"{label} {status}");
        var expected = rounded * BigInteger.Pow(10, Numeric.MaxScale - places);
        Assert.True(Scaled(result) == (numerator.Sign < 0 ? -expected : expected), $"{label} = {result}");
    }
}
