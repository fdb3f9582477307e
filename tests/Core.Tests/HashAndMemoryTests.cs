using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Order;
using Materialize.Core.Rows;

namespace Materialize.Core.Tests;

public sealed unsafe class HashAndMemoryTests
{
    [Fact]
    public void Mixing_eight_bytes_is_a_bijection()
    {
        var random = new Random(1);
        for (var i = 0; i < 100_000; i++)
        {
            var key = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
            Assert.Equal(key, RowHash.Unmix(RowHash.Mix(key)));
            Assert.Equal((ulong)i, RowHash.Unmix(RowHash.Mix((ulong)i)));
        }
    }

    [Theory, InlineData(8), InlineData(3), InlineData(24), InlineData(-1)]
    public void Every_range_of_bits_of_the_hash_spreads_small_numbers(int width)
    {
        // Directories, tables and exchange use different bits: each must spread consecutive keys.
        const int keys = 64_000;
        var shape = new RowShape(width);
        foreach (var shift in new[] { 0, 24, 48, 57 })
        {
            var counts = new int[64];
            var key = new byte[width < 0 ? 11 : width];
            for (var i = 0; i < keys; i++)
            {
                key[0] = (byte)i;
                key[1] = (byte)(i >> 8);
                key[2] = (byte)(i >> 16);
                counts[(RowHash.Hash(shape, key) >> shift) & 63]++;
            }

            // Chi-squared with 63 degrees of freedom: 120 is beyond any sensible chance.
            var expected = keys / 64.0;
            Assert.True(counts.Sum(c => (c - expected) * (c - expected) / expected) < 120, $"width {width}, bits from {shift}");
        }
    }

    [Fact]
    public void Owners_are_even_and_within_range()
    {
        var counts = new int[7];
        for (var i = 0UL; i < 70_000; i++)
            counts[RowHash.Owner(RowHash.Mix(i), 7)]++;
        Assert.All(counts, c => Assert.InRange(c, 9_000, 11_000));
    }

    [Fact]
    public void Wide_hashes_differ_by_length_and_by_each_byte()
    {
        var seen = new HashSet<ulong>();
        var bytes = new byte[64];
        fixed (byte* p = bytes)
        {
            for (var length = 0; length <= 64; length++)
                Assert.True(seen.Add(RowHash.Wide(p, length)), $"length {length}");
            for (var i = 0; i < 64; i++)
            {
                for (var value = 1; value < 256; value *= 2)
                {
                    bytes[i] = (byte)value;
                    Assert.True(seen.Add(RowHash.Wide(p, 64)), $"byte {i} = {value}");
                }

                bytes[i] = 0;
            }
        }
    }

    [Fact]
    public void Slabs_are_disjoint_and_recycled()
    {
        var random = new Random(5);
        var held = new List<(nint Address, long Capacity, byte Mark)>();
        for (var i = 0; i < 3000; i++)
        {
            if (held.Count > 0 && random.Next(2) == 0)
            {
                var at = random.Next(held.Count);
                var (address, capacity, mark) = held[at];
                held.RemoveAt(at);
                Assert.Equal(mark, *(byte*)address);
                Assert.Equal(mark, *((byte*)address + capacity - 1));
                SlabPool.Return((void*)address, capacity);
            }
            else
            {
                var capacity = SlabPool.CapacityFor(1L << random.Next(0, 26));
                var slab = SlabPool.Rent(capacity);
                *slab = (byte)i;
                slab[capacity - 1] = (byte)i;
                held.Add(((nint)slab, capacity, (byte)i));
            }
        }

        foreach (var (address, capacity, _) in held)
            SlabPool.Return((void*)address, capacity);
    }

    [Fact]
    public void Resizing_keeps_the_used_bytes()
    {
        var capacity = SlabPool.CapacityFor(1);
        var slab = SlabPool.Rent(capacity);
        var used = 0L;
        foreach (var wanted in new long[] { 5000, 300_000, 40 << 20, 20 << 20, 100_000, 1000 })
        {
            used = Math.Min(used, wanted);
            slab = SlabPool.Resize(slab, ref capacity, used, wanted);
            Assert.True(capacity >= wanted);
            for (var i = 0L; i < used; i += 997)
                Assert.Equal((byte)(i / 997), slab[i]);
            for (var i = 0L; i < wanted; i += 997)
                slab[i] = (byte)(i / 997);
            used = wanted;
        }

        SlabPool.Return(slab, capacity);
    }

    [Theory, InlineData(5), InlineData(0), InlineData(-1)]
    public void Writers_give_back_what_was_appended(int width)
    {
        var random = new Random(width);
        using var writer = new RowWriter(new RowShape(width));
        var rows = new List<byte[]>();
        for (var i = 0; i < 5000; i++)
        {
            var row = new byte[width < 0 ? random.Next(40) : width];
            random.NextBytes(row);
            rows.Add(row);
            writer.Append(row);
        }

        for (var i = 0; i < rows.Count; i++)
            Assert.True(writer[i].SequenceEqual(rows[i]));
        using var copy = new RowWriter(new RowShape(width));
        copy.Append([.. Enumerable.Repeat((byte)1, Math.Max(0, width))]);
        copy.AppendRange(writer.Peek(), 100, 700);
        copy.Truncate(500);
        Assert.Equal(500, copy.Count);
        for (var i = 1; i < 500; i++)
            Assert.True(copy[i].SequenceEqual(rows[99 + i]));
        var column = writer.Detach();
        Assert.Equal(0, writer.Count);
        Assert.True(column[4999].SequenceEqual(rows[4999]));
        column.Free();
    }

    private readonly record struct Pair(int X, int Y) : ILattice<Pair>
    {
        public static Pair Minimum => new(int.MinValue, int.MinValue);

        public static bool LessEqual(Pair a, Pair b) => a.X <= b.X && a.Y <= b.Y;

        public static Pair Join(Pair a, Pair b) => new(Math.Max(a.X, b.X), Math.Max(a.Y, b.Y));

        public static Pair Meet(Pair a, Pair b) => new(Math.Min(a.X, b.X), Math.Min(a.Y, b.Y));
    }

    [Fact]
    public void An_antichain_keeps_exactly_the_minimal_elements()
    {
        var random = new Random(9);
        for (var round = 0; round < 500; round++)
        {
            var elements = Enumerable.Range(0, random.Next(8)).Select(_ => new Pair(random.Next(4), random.Next(4))).ToArray();
            var antichain = Antichain<Pair>.Minimal(elements);
            var expected = elements.Where(e => !elements.Any(o => o != e && Pair.LessEqual(o, e))).Distinct();
            Assert.Equal(expected.OrderBy(e => (e.X, e.Y)), antichain.Elements.ToArray().OrderBy(e => (e.X, e.Y)));
            for (var x = 0; x < 4; x++)
            {
                var probe = new Pair(x, random.Next(4));
                Assert.Equal(elements.Any(e => Pair.LessEqual(e, probe)), antichain.IsBeyond(probe));
            }
        }
    }
}
