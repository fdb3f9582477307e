using Materialize.Core.Memory;
using Materialize.Dataflow.Operators;

namespace Materialize.Dataflow.Tests;

/// <summary>Pages of all sizes, and partitions that grow and shrink through them.</summary>
public sealed unsafe class WindowPagesTests
{
    [Fact]
    public void Every_size_gets_at_most_an_eighth_more_than_it_asks_for()
    {
        var before = 0L;
        for (var bytes = 1; bytes <= WindowPages.BlockMax; bytes++)
        {
            var capacity = WindowPages.CapacityFor(bytes);
            Assert.InRange(capacity, bytes, bytes <= 128 ? bytes + 7 : bytes * 9L / 8);
            Assert.True(capacity >= before, $"{bytes} bytes take less than one byte less");
            before = capacity;
        }

        Assert.Equal(SlabPool.CapacityFor(WindowPages.BlockMax + 1), WindowPages.CapacityFor(WindowPages.BlockMax + 1));
    }

    [Fact]
    public void Pages_keep_what_is_written_and_their_memory_goes_back_when_none_is_left()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var before = SlabPool.BytesInUse;
            var pages = new WindowPages();
            var held = new List<(nint Page, int Bytes, byte Pattern)>();
            for (var step = 0; step < 20_000; step++)
            {
                var grows = step < 8000 || (step > 12_000 && step < 14_000);
                if (held.Count > 0 && random.Next(10) < (grows ? 2 : 8))
                {
                    var at = random.Next(held.Count);
                    var (page, bytes, pattern) = held[at];
                    held[at] = held[^1];
                    held.RemoveAt(held.Count - 1);
                    Assert.False(new ReadOnlySpan<byte>((byte*)page + 4, bytes - 4).ContainsAnyExcept(pattern), $"seed {seed}: a page of {bytes} bytes was written to by another");
                    pages.Return((byte*)page, bytes);
                }
                else
                {
                    // Sizes at the boundaries of classes, now and then a large one.
                    var size = random.Next(50) == 0 ? 4090 + random.Next(2000) : 8 + random.Next(1 << (3 + random.Next(10)));
                    if (random.Next(2) == 0)
                        size = (int)WindowPages.CapacityFor(size) + random.Next(2);
                    var page = pages.Rent(size);
                    Assert.Equal(0, (nint)page % 8);
                    var pattern = (byte)random.Next(256);
                    new Span<byte>(page + 4, size - 4).Fill(pattern);
                    held.Add(((nint)page, size, pattern));
                }
            }

            foreach (var (page, bytes, _) in held)
                pages.Return((byte*)page, bytes);
            Assert.Equal(0, pages.LargeCount);
            Assert.Equal(before, SlabPool.BytesInUse);
            pages.Dispose();
            Assert.Equal(before, SlabPool.BytesInUse);
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 1)]
    [InlineData(101, 1)]
    [InlineData(0, 3)]
    public void A_partition_grows_and_shrinks_through_all_sizes_of_pages(int padding, int copies)
    {
        // A row more and a row less each time: leaves of every count, up to trees of several pages, and back to nothing.
        var spec = new WindowSpec([new WindowFunction.RowNumber(), new WindowFunction.DenseRank(), new WindowFunction.Neighbour(-1)], [new WindowRange(-2, 1), new WindowRange(null, 0, ToPeers: true)], padding, hasErrors: false);
        using var rig = new WindowRig(spec, 1);
        var random = new Random(padding);
        var rows = Enumerable.Range(0, (6000 / (50 + padding)) + 5).Select(i => ((ulong)(i / 2), (ulong)i)).ToArray();
        random.Shuffle(rows);
        var time = 0UL;
        foreach (var (order, value) in rows)
        {
            rig.Send(0, order, value, time, copies);
            rig.CompleteTo(++time);
            if (time % 31 == 0)
                rig.MustEqual(time - 1);
        }

        random.Shuffle(rows);
        foreach (var (order, value) in rows)
        {
            rig.Send(0, order, value, time, -copies);
            rig.CompleteTo(++time);
            if (time % 31 == 0)
                rig.MustEqual(time - 1);
        }

        rig.MustEqual(time - 1);
    }

    [Theory]
    [InlineData(1, 90)]
    [InlineData(10, 140)]
    public void A_small_partition_takes_little_beside_its_rows(int rows, int bytes)
    {
        const int partitions = 12_000, rowBytes = 24 + 16 + 4 + 4; // row, order and value, lengths
        var spec = new WindowSpec([new WindowFunction.Neighbour(-1)], [new WindowRange(-2, 0)], 0, hasErrors: false);
        using var rig = new WindowRig(spec, 1);
        for (var p = 0UL; p < partitions; p++)
        {
            for (var i = 0UL; i < (ulong)rows; i++)
                rig.Send(p, i, p + i, 0, 1);
        }

        rig.CompleteTo(1);
        Assert.InRange(rig.StateBytes / partitions, rows * rowBytes, (rows * rowBytes) + bytes);

        // Grown by a row each, through other sizes: what they leave behind goes back.
        for (var p = 0UL; p < partitions; p++)
            rig.Send(p, 1000, p, 1, 1);
        rig.CompleteTo(2);
        Assert.InRange(rig.StateBytes / partitions, (rows + 1) * rowBytes, ((rows + 1) * rowBytes) + bytes);
    }
}
