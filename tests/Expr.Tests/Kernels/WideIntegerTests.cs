using System.Numerics;
using Materialize.Expr.Kernels;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>What sums come to, by words and by big integers.</summary>
public sealed unsafe class WideIntegerTests
{
    [Fact]
    public void Sums_as_doubles_equal_those_by_big_integers()
    {
        var random = new Random(1);
        var words = stackalloc ulong[4];
        for (var i = 0; i < 20_000; i++)
        {
            Fill(random, words, 4);
            Assert.Equal(WideInteger.ToDouble(WideInteger.ToBigInteger(words, 4), 96), WideInteger.ToDouble(words, 4, 96));
        }
    }

    [Fact]
    public void Sums_as_numerics_equal_those_by_big_integers_and_the_usual_ones_take_the_short_way()
    {
        var random = new Random(2);
        var words = stackalloc ulong[6];
        var taken = 0;
        for (var i = 0; i < 20_000; i++)
        {
            // Of all sizes, with all numbers of digits after the point; and any words at all.
            var sum = ((BigInteger)random.NextInt64() * random.Next(1 << 30)) >> random.Next(90);
            if (random.Next(2) == 0)
                sum = -sum;
            var scale = random.Next(2) == 0 ? random.Next(0, 7) : random.Next(0, 40);
            sum *= BigInteger.Pow(10, 39 - scale);
            if (random.Next(8) == 0)
                Fill(random, words, 6);
            else
                Write(sum, words, 6);
            var status = Numeric.FromBigInteger(WideInteger.ToBigInteger(words, 6), Numeric.MaxScale, out var expected);
            if (!WideInteger.TryToNumeric(words, 6, out var actual))
                continue;
            taken++;
            Assert.Equal((NumericStatus.Ok, expected), (status, actual));
        }

        Assert.True(taken > 8_000, $"{taken} took the short way");
    }

    [Fact]
    public void Wide_integers_as_numerics_are_themselves()
    {
        foreach (var value in (Int128[])[0, 1, -1, 10, -1000, long.MinValue, ulong.MaxValue, Int128.MaxValue, -Int128.MaxValue])
        {
            Assert.Equal(NumericStatus.Ok, Numeric.FromBigInteger(value, 0, out var expected));
            Assert.Equal(expected, Numeric.FromInt128(value));
        }
    }

    // Of any length, and often with long runs of zeros or ones.
    private static void Fill(Random random, ulong* words, int n)
    {
        var used = random.Next(1, n + 1);
        var rest = random.Next(2) == 0 ? 0UL : ulong.MaxValue;
        for (var i = 0; i < n; i++)
            words[i] = i >= used ? rest : random.Next(3) == 0 ? rest : (ulong)random.NextInt64() << random.Next(64);
    }

    private static void Write(BigInteger value, ulong* words, int n)
    {
        var bytes = new Span<byte>(words, n * sizeof(ulong));
        bytes.Fill(value.Sign < 0 ? byte.MaxValue : (byte)0);
        Assert.True(value.TryWriteBytes(bytes, out _));
    }
}
