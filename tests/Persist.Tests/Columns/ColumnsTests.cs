using System.Text;
using Materialize.Persist.Columns;
using Materialize.Repr;

namespace Materialize.Persist.Tests.Columns;

public sealed class ColumnsTests
{
    private static UpdateColumns RandomColumns(Random random, int count)
    {
        var kind = random.Next(4);
        return T.Columns(Enumerable.Range(0, count).Select(_ => (
            kind switch { 0 => "same", 1 => $"{random.Next(10):D3}", 2 => new string('x', random.Next(300)), _ => $"row {random.Next(50)}" },
            kind == 0 ? 7ul : (ulong)random.NextInt64(kind == 1 ? 5 : long.MaxValue),
            kind == 0 ? 1 : random.NextInt64(long.MinValue / 1_000_000, long.MaxValue / 1_000_000))));
    }

    private static (string, ulong, long)[] GroupBy(IEnumerable<(string Row, ulong Time, long Diff)> updates) =>
        [.. updates.GroupBy(u => (u.Row, u.Time), u => u.Diff).Select(g => (g.Key.Row, g.Key.Time, g.Sum())).Where(u => u.Item3 != 0).Order()];

    [Fact]
    public void Encoding_a_part_and_decoding_it_is_the_identity()
    {
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var columns = RandomColumns(random, random.Next(100));
            var compression = i % 2 == 0 ? PartCompression.None : PartCompression.Brotli;
            Assert.Equal(T.Updates(columns), T.Updates(PartCodec.Decode("k", PartCodec.Encode(columns, compression))));
        }
    }

    [Fact]
    public void A_part_of_one_time_and_single_diffs_stores_little_more_than_its_rows()
    {
        var columns = T.Columns(Enumerable.Range(0, 1000).Select(i => ($"{i:D8}", 123456789ul, 1L)));
        Assert.InRange(PartCodec.Encode(columns, PartCompression.None).Length, 8000, 8050);
    }

    [Fact]
    public void Every_flipped_bit_and_every_truncation_of_a_part_is_noticed()
    {
        var bytes = PartCodec.Encode(T.Columns(("a", 1, 1), ("bb", 2, -1), ("ccc", 3, 5)), PartCompression.None).ToArray();
        for (var bit = 8; bit < bytes.Length * 8; bit++)
        {
            var damaged = bytes.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Contains("the/key", Assert.Throws<CorruptDataException>(() => PartCodec.Decode("the/key", damaged)).Message, StringComparison.Ordinal);
        }

        for (var length = 0; length < bytes.Length; length++)
            Assert.Throws<CorruptDataException>(() => PartCodec.Decode("k", bytes.AsMemory(0, length)));
        bytes[0] = 2;
        Assert.Equal(2, Assert.Throws<UnsupportedFormatException>(() => PartCodec.Decode("k", bytes)).Version);
    }

    [Fact]
    public void Sorting_consolidates_as_group_by_does()
    {
        var random = new Random(2);
        for (var i = 0; i < 200; i++)
        {
            var updates = Enumerable.Range(0, random.Next(200))
                .Select(_ => (Row: $"{random.Next(8)}", Time: (ulong)random.Next(4), Diff: (long)random.Next(-2, 3))).ToArray();
            Assert.Equal(GroupBy(updates), T.Updates(RowOrder.SortAndConsolidate(T.Columns(updates))).Order());
        }
    }

    [Fact]
    public async Task Merging_runs_consolidates_as_group_by_does_whatever_the_sizes_of_parts()
    {
        var random = new Random(3);
        for (var round = 0; round < 100; round++)
        {
            var all = new List<(string, ulong, long)>();
            var runs = new List<IAsyncEnumerable<UpdateColumns>>();
            for (var r = random.Next(6); r > 0; r--)
            {
                var updates = Enumerable.Range(0, random.Next(60))
                    .Select(_ => (Row: $"{random.Next(20)}", Time: (ulong)random.Next(3), Diff: (long)random.Next(-2, 3))).ToArray();
                all.AddRange(updates);
                runs.Add(Cut(T.Updates(RowOrder.SortAndConsolidate(T.Columns(updates))).ToArray(), random.Next(1, 20)).ToAsyncEnumerable());
            }

            var merged = new List<(string, ulong, long)>();
            await foreach (var part in new RunMerger(runs, random.Next(1, 500)).MergeAsync(T.Cancel))
                merged.AddRange(T.Updates(part));
            Assert.Equal(GroupBy(all), merged.Order());
            Assert.Equal(T.Updates(RowOrder.SortAndConsolidate(T.Columns(merged))), merged);   // and comes out in order
        }

        static IEnumerable<UpdateColumns> Cut((string, ulong, long)[] updates, int size) => updates.Chunk(size).Select(c => T.Columns(c));
    }

    [Fact]
    public void Hashes_of_short_rows_do_not_collide()
    {
        var hashes = new HashSet<ulong>();
        for (var length = 0; length < 40; length++)
        {
            for (var i = 0; i < 500; i++)
                hashes.Add(RowOrder.Hash(Encoding.ASCII.GetBytes($"{i}".PadLeft(length, '0'))));
        }

        // Distinct strings only: those shorter than their number's digits repeat.
        var distinct = Enumerable.Range(0, 40).SelectMany(l => Enumerable.Range(0, 500).Select(i => $"{i}".PadLeft(l, '0'))).Distinct().Count();
        Assert.Equal(distinct, hashes.Count);
    }

    [Fact]
    public void Between_and_advanced_to_keep_rows_with_their_diffs()
    {
        var columns = T.Columns(("a", 1, 1), ("b", 2, 2), ("c", 3, 3));
        Assert.Equal([("b", 2ul, 2L)], T.Updates(columns.Between(new Timestamp(2), new Timestamp(3))));
        Assert.Equal([("a", 2ul, 1L), ("b", 2ul, 2L), ("c", 3ul, 3L)], T.Updates(columns.AdvancedTo(new Timestamp(2))));
        Assert.Equal([("a", 9ul, 1L), ("b", 9ul, 2L), ("c", 9ul, 3L)], T.Updates(columns.AllAt(new Timestamp(9))));
        Assert.Same(columns, columns.Between(new Timestamp(1), null));
    }
}
