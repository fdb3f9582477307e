using System.Diagnostics;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>State larger than memory: the answers are the same, memory is not used, nothing stays behind, and a full or failing disk is an error that is told.</summary>
public sealed unsafe class ScratchTests : IDisposable
{
    private const long Budget = 20 << 20;
    private readonly string _directory = Directory.CreateTempSubdirectory("mz-scratch-").FullName;
    private readonly List<string> _failures = [];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_join_of_three_times_the_budget_gives_the_same_answer_and_keeps_to_the_budget()
    {
        var inMemory = Join(out var all);
        Assert.True(all.Peak > 3 * Budget, $"{all.Peak} bytes of state");
        using (UseScratch(long.MaxValue))
        {
            Assert.Equal(inMemory, Join(out var limited));
            Assert.True(limited.PeakInMemory < 2 * Budget, $"{limited.PeakInMemory} bytes in memory");
            Assert.True(limited.ScratchAtEnd > Budget, $"{limited.ScratchAtEnd} bytes in files");
            Assert.Equal(limited.ScratchAtEnd, limited.ScratchCounted);
        }

        Assert.Empty(_failures);
    }

    [Fact]
    public void Files_have_no_names()
    {
        using var scratch = UseScratch(long.MaxValue);
        var capacity = SlabPool.CapacityFor(64 << 20);
        var slab = SlabPool.RentLasting(capacity);
        Assert.Equal(capacity, SlabPool.ScratchBytes);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory));
        SlabPool.Return(slab, capacity);
        Assert.Equal(0, SlabPool.ScratchBytes);
    }

    [Fact]
    public void Resident_memory_falls_when_pages_are_let_go_of_and_they_come_back()
    {
        using var scratch = UseScratch(long.MaxValue);
        var capacity = SlabPool.CapacityFor(96 << 20);
        var slab = SlabPool.RentLasting(capacity);
        var before = ResidentBytes();
        for (var at = 0L; at < capacity; at += 8)
            *(long*)(slab + at) = at;
        Assert.True(ResidentBytes() - before > capacity / 2, "what is written is resident");
        SlabPool.Advise(slab, capacity, 0, capacity);
        Assert.True(ResidentBytes() - before < capacity / 4, $"{ResidentBytes() - before} bytes stay resident");
        for (var at = 0L; at < capacity; at += 4096)
            Assert.Equal(at, *(long*)(slab + at));
        SlabPool.Return(slab, capacity);
    }

    [Fact]
    public void A_slab_in_a_file_shrinks_in_place_or_back_into_memory()
    {
        using var scratch = UseScratch(long.MaxValue);
        var capacity = SlabPool.CapacityFor(64 << 20);
        var slab = SlabPool.RentLasting(capacity);
        new Span<byte>(slab, 20 << 20).Fill(7);
        var same = SlabPool.Resize(slab, ref capacity, 20 << 20, 20 << 20);
        Assert.Equal((nint)slab, (nint)same);
        Assert.Equal(SlabPool.CapacityFor(20 << 20), SlabPool.ScratchBytes);
        var small = SlabPool.Resize(same, ref capacity, 1000, 1000);
        Assert.Equal(0, SlabPool.ScratchBytes);
        Assert.False(new ReadOnlySpan<byte>(small, 1000).ContainsAnyExcept((byte)7));
        SlabPool.Return(small, capacity);
    }

    [Fact]
    public void Scratch_that_is_full_is_told_and_the_answer_is_right()
    {
        var expected = Join(out _);
        using var scratch = UseScratch(scratchMax: 16 << 20);
        Assert.Equal(expected, Join(out _));
        Assert.Contains("which is the limit", Assert.Single(_failures));
    }

    [Fact]
    public void Scratch_that_fails_is_told_and_the_answer_is_right()
    {
        var expected = Join(out _);
        var directory = Path.Combine(_directory, "gone");
        Directory.CreateDirectory(directory);
        using var scratch = SlabPool.UseScratch(new ScratchOptions(directory, SlabPool.BytesInUse + Budget, long.MaxValue, _failures.Add));
        Directory.Delete(directory);
        Assert.Equal(expected, Join(out _));
        Assert.Contains("no file can be made", Assert.Single(_failures));
    }

    [Fact]
    public void Space_that_cannot_be_reserved_is_told_before_it_is_used()
    {
        // More than any disk has: the request fails, where writing to a file with holes would have been a fault some time later.
        using var scratch = UseScratch(long.MaxValue);
        var free = new DriveInfo(_directory).AvailableFreeSpace;
        var capacity = SlabPool.CapacityFor(free + (1L << 30));
        try
        {
            var slab = SlabPool.RentLasting(capacity);
            Assert.False(SlabPool.IsScratch(slab, capacity));
            SlabPool.Return(slab, capacity);
        }
        catch (OutOfMemoryException)
        {
            // Nor has memory so much, usually.
        }

        Assert.Contains("cannot be had", Assert.Single(_failures));
        Assert.Equal(0, SlabPool.ScratchBytes);
    }

    private IDisposable UseScratch(long scratchMax) =>
        SlabPool.UseScratch(new ScratchOptions(_directory, SlabPool.BytesInUse + Budget, scratchMax, _failures.Add));

    // Two arrangements of 1.4 M rows by the same keys, a count of the join's rows by a small key, and changes after that.
    private static (long Rows, ulong Sum) Join(out Sizes sizes)
    {
        const int rows = 1_400_000;
        var before = SlabPool.BytesInUse;
        using var rig = new Rig(1);
        InputHandle<Time>[] handles = new InputHandle<Time>[2];
        var traces = new TraceHandle<Time>[2];
        long count = 0;
        ulong sum = 0;
        rig.Build((scope, _) =>
        {
            var arranged = new Arranged<Time>[2];
            for (var side = 0; side < 2; side++)
            {
                (handles[side], var stream) = scope.NewInput("input", new RowShape(16), 0);
                arranged[side] = stream.Arrange("side", Split, new RowShape(8), new RowShape(8)).Arranged;
                traces[side] = arranged[side].Trace();
            }

            arranged[0].Join("join", arranged[1], Mixed, new RowShape(8)).Ok.ForEach("sum", batch =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    count += batch.DiffAt(i);
                    sum += *(ulong*)batch.RowAddress(i) * (ulong)batch.DiffAt(i);
                }
            });
        });
        sizes = default;
        var row = stackalloc ulong[2];
        for (var time = 0UL; time < 30; time++)
        {
            for (var i = 0; i < (time == 0 ? rows / 2 : rows / 58); i++)
            {
                for (var side = 0UL; side < 2; side++)
                {
                    var number = (time * rows) + (ulong)i;
                    row[0] = number % 1_000_003;
                    row[1] = number ^ side;
                    handles[side].Send(new ReadOnlySpan<byte>(row, 16), time, 1);
                }

                if (i % 4096 == 0)
                    sizes = Step(rig, sizes, before);
            }

            foreach (var handle in handles)
                handle.AdvanceTo(time + 1);
            while (rig.Group.Workers[0].Step())
                sizes = Note(sizes, before);
            sizes = Note(sizes, before);
            foreach (var trace in traces)
                trace.AdvanceSince(time);
        }

        sizes = sizes with { ScratchAtEnd = SlabPool.ScratchBytes, ScratchCounted = rig.Graphs[0].Statistics().Sum(o => o.State.ScratchBytes + (o.Arrangement?.ScratchBytes ?? 0)) };
        foreach (var trace in traces)
            trace.Dispose();
        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        return (count, sum);
    }

    private static Sizes Step(Rig rig, Sizes sizes, long before)
    {
        rig.Group.Workers[0].Step();
        return Note(sizes, before);
    }

    private static Sizes Note(Sizes sizes, long before)
    {
        var bytes = SlabPool.BytesInUse - before;
        return sizes with { Peak = Math.Max(sizes.Peak, bytes), PeakInMemory = Math.Max(sizes.PeakInMemory, bytes - SlabPool.ScratchBytes) };
    }

    private static void Split(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            io.Outputs[0].Append((byte*)io.Parts[0][i], 8);
            io.Outputs[1].Append((byte*)io.Parts[0][i] + 8, 8);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Mixed(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var mixed = (*(ulong*)io.Parts[0][i] * 31) ^ (*(ulong*)io.Parts[1][i] * 7) ^ *(ulong*)io.Parts[2][i];
            io.Outputs[0].Append((byte*)&mixed, 8);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static long ResidentBytes()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    private readonly record struct Sizes(long Peak, long PeakInMemory, long ScratchAtEnd, long ScratchCounted);
}
