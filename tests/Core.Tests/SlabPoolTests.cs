using Materialize.Core.Memory;

// What is in use is counted for the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Materialize.Core.Tests;

public sealed unsafe class SlabPoolTests
{
    [Fact]
    public void A_capacity_is_its_own_and_wastes_at_most_a_fifth_of_what_is_more_than_64_KiB()
    {
        for (var bytes = 1L; bytes < 40 << 20; bytes += 1 + (bytes / 37))
        {
            var capacity = SlabPool.CapacityFor(bytes);
            Assert.True(capacity >= bytes, "it holds what was asked for");
            Assert.Equal(capacity, SlabPool.CapacityFor(capacity));
            if (bytes > 64 << 10)
                Assert.True(capacity <= bytes + (bytes / 4) && capacity % 4096 == 0, $"{bytes} bytes in {capacity}");
        }
    }

    [Fact]
    public void Slabs_of_all_sizes_are_apart_and_come_back()
    {
        var before = SlabPool.BytesInUse;
        var random = new Random(1);
        var rented = new List<(nint Slab, long Capacity, byte Mark)>();
        for (var i = 0; i < 2000; i++)
        {
            if (rented.Count > 0 && random.Next(3) == 0)
            {
                var at = random.Next(rented.Count);
                Return(rented[at]);
                rented.RemoveAt(at);
                continue;
            }

            var capacity = SlabPool.CapacityFor(1L << random.Next(0, 23) | (uint)random.Next(1 << 18));
            var slab = SlabPool.Rent(capacity);
            var mark = (byte)random.Next(1, 256);
            (slab[0], slab[capacity - 1]) = (mark, mark);
            rented.Add(((nint)slab, capacity, mark));
        }

        Assert.Equal(before + rented.Sum(r => r.Capacity), SlabPool.BytesInUse);
        rented.ForEach(Return);
        Assert.Equal(before, SlabPool.BytesInUse);
    }

    [Fact]
    public void Slabs_returned_cold_are_not_held_and_come_again()
    {
        const long capacity = 64 << 10;
        var (used, held) = (SlabPool.BytesInUse, SlabPool.BytesHeld);
        var slabs = new HashSet<nint>();
        for (var i = 0; i < 100; i++)
        {
            var slab = SlabPool.Rent(capacity);
            slab[capacity - 1] = (byte)i;
            Assert.True(slabs.Add((nint)slab), "it is handed out once");
        }

        foreach (var slab in slabs)
            SlabPool.ReturnCold((void*)slab, capacity);
        Assert.Equal(used, SlabPool.BytesInUse);
        if (OperatingSystem.IsLinux())
            Assert.InRange(SlabPool.BytesHeld, 0, held + (32 << 20) - (100 * capacity)); // a new arena, perhaps, less what was returned
        SlabPool.Trim();
        SlabPool.Trim();
        var again = new HashSet<nint>();
        for (var i = 0; i < 100; i++)
        {
            var slab = SlabPool.Rent(capacity);
            (slab[0], slab[capacity - 1]) = (1, 1);
            Assert.True(again.Add((nint)slab), "it is handed out once");
        }

        Assert.True(again.Overlaps(slabs), "what came back is used again");
        foreach (var slab in again)
            SlabPool.Return((void*)slab, capacity);
        Assert.Equal(used, SlabPool.BytesInUse);
    }

    [Fact]
    public void What_an_ended_thread_kept_is_counted_and_used_again()
    {
        var before = SlabPool.BytesInUse;
        var slabs = new nint[20];
        var thread = new Thread(() =>
        {
            for (var i = 0; i < slabs.Length; i++)
                slabs[i] = (nint)SlabPool.Rent(4096);
        });
        thread.Start();
        thread.Join();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(before + (slabs.Length * 4096), SlabPool.BytesInUse);
        foreach (var slab in slabs)
            SlabPool.Return((void*)slab, 4096);
        Assert.Equal(before, SlabPool.BytesInUse);
    }

    private static void Return((nint Slab, long Capacity, byte Mark) rented)
    {
        var slab = (byte*)rented.Slab;
        Assert.Equal((rented.Mark, rented.Mark), (slab[0], slab[rented.Capacity - 1]));
        SlabPool.Return(slab, rented.Capacity);
    }
}
