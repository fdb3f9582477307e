using System.Diagnostics;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>What the process holds at one moment, in bytes.</summary>
internal readonly record struct MemorySample(long InUse, long Held, long Resident, long GcHeap)
{
    public static MemorySample Take()
    {
        // What is alive: garbage, and what young collections took for alive, come and go by tens of MB where processors have large caches.
        GC.Collect();
        var pages = long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]);
        return new MemorySample(SlabPool.BytesInUse, SlabPool.BytesHeld, pages * Environment.SystemPageSize, GC.GetTotalMemory(forceFullCollection: false));
    }

    public override string ToString() => $"slabs in use {InUse >> 20} MB, held {Held >> 20} MB, resident {Resident >> 20} MB, live GC heap {GcHeap >> 20} MB";
}

/// <summary>
/// Work that should leave no trace in memory, for as long as wanted: a collection of a fixed number of rows, a few of its keys hot, all of it replaced again and again; an arrangement, a count and a maximum
/// of it; dataflows that import these, are read and are dropped; lookups, each compared with what it must be. The memory of the last third of the time must not exceed that of the second.
/// </summary>
internal sealed unsafe class Churn : IDisposable
{
    private const int Workers = 2;
    private const int Rows = 200_000;
    private const int ColdKeys = 100_000;
    private const int HotKeys = 8;
    private const int UpdatesPerRound = 2_000;
    private const int RoundsPerDataflow = 4;
    private const int DataflowsMax = 3;

    private readonly WorkerGroup _group = new(Workers);
    private readonly Random _random = new(1);
    private readonly Queue<(ulong Key, ulong Value)> _live = new();
    private readonly Dictionary<ulong, long> _counts = [];
    private readonly InputHandle<Time>[] _inputs = new InputHandle<Time>[Workers];
    private readonly TraceHandle<Time>[] _rows = new TraceHandle<Time>[Workers];
    private readonly TraceHandle<Time>[] _groups = new TraceHandle<Time>[Workers];
    private readonly ManualResetEventSlim _moved = new(false);
    private readonly Queue<Reader> _readers = new();
    private Exception? _failed;
    private ulong _time;
    private readonly ulong[] _reached = new ulong[Workers];
    private long _rounds;
    private long _dataflows;
    private long _lookups;

    public Churn()
    {
        _group.Failed += (_, e) =>
        {
            _failed = e;
            _moved.Set();
        };
        _group.PostToAll(worker => worker.BuildDataflow("base", scope =>
        {
            (_inputs[worker.Index], var input) = scope.NewInput("input", new RowShape(16), 0);
            var rows = input.Arrange("rows", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
            _rows[worker.Index] = rows.Trace();
            var counts = input.ReduceAccumulable("count", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8), 8, ColumnKernels.Count, Pair, new RowShape(16)).Ok;
            var groups = counts.Arrange("counts", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
            _groups[worker.Index] = groups.Trace();
            var greatest = input.TopK("max", ColumnKernels.SplitSorted(descending: true), new RowShape(8), new RowShape(8), RowShape.Empty, 1, 0, PairSorted, new RowShape(16)).Ok;
            Follow(greatest.Concat(groups.AsStream("none", static io => io.Emitted = 0, new RowShape(16)).Ok), worker);
        }));
    }

    /// <summary>Runs for <paramref name="duration"/> and prints each minute (or third of a shorter time).</summary>
    /// <returns>Why the memory is not flat; null: it is.</returns>
    public string? Run(TimeSpan duration, TextWriter log)
    {
        var clock = Stopwatch.StartNew();
        var samples = new List<(TimeSpan At, MemorySample Sample)>();
        var every = duration < TimeSpan.FromMinutes(3) ? duration / 3 : TimeSpan.FromMinutes(1);
        var (nextSample, nextLine, nextTrim) = (TimeSpan.Zero, every, TimeSpan.Zero);
        while (clock.Elapsed < duration)
        {
            Round();
            if (clock.Elapsed >= nextSample)
            {
                samples.Add((clock.Elapsed, MemorySample.Take()));
                nextSample += TimeSpan.FromMilliseconds(500);
            }

            if (clock.Elapsed >= nextTrim)
            {
                SlabPool.Trim();
                nextTrim += TimeSpan.FromSeconds(5);
            }

            if (clock.Elapsed >= nextLine || clock.Elapsed >= duration)
            {
                log.WriteLine($"{clock.Elapsed:mm\\:ss}: {_rounds} rounds, {_dataflows} dataflows, {_lookups} lookups; {MemorySample.Take()}");
                nextLine += every;
            }
        }

        var second = samples.Where(s => s.At >= duration / 3 && s.At < duration * 2 / 3).Select(s => s.Sample).ToList();
        var third = samples.Where(s => s.At >= duration * 2 / 3).Select(s => s.Sample).ToList();

        // In less than minutes, code is still being compiled and pools grow to their peak: only what is in use counts, and a little more of it is no leak.
        var isShort = duration < TimeSpan.FromMinutes(3);
        var growth = Compare("slabs in use", s => s.InUse, isShort ? 16 << 20 : 0) ?? Compare("the live GC heap", s => s.GcHeap, isShort ? 2 << 20 : 0);
        return isShort ? growth : growth ?? Compare("slabs held", s => s.Held) ?? Compare("resident memory", s => s.Resident);

        string? Compare(string what, Func<MemorySample, long> of, long slack = 0)
        {
            var (before, after) = (second.Average(s => of(s)), third.Average(s => of(s)));
            log.WriteLine($"{what}: {before / 1e6:F1} MB in the second third, {after / 1e6:F1} MB in the last");
            return after > (before * 1.05) + slack ? $"{what} grew from {before / 1e6:F1} to {after / 1e6:F1} MB" : null;
        }
    }

    public void Dispose()
    {
        while (_readers.TryDequeue(out var reader))
            Drop(reader);
        var closed = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            foreach (var graph in worker.Dataflows.ToArray())
                graph.Drop();
            _inputs[worker.Index].Dispose();
            _rows[worker.Index].Dispose();
            _groups[worker.Index].Dispose();
            closed.Signal();
        });
        closed.Wait(TimeSpan.FromSeconds(30));
        _group.Dispose();
        _moved.Dispose();
    }

    private void Round()
    {
        var updates = new List<(ulong Key, ulong Value, long Diff)>();
        while (updates.Count < UpdatesPerRound || _live.Count < Rows)
        {
            if (_live.Count >= Rows)
            {
                var old = _live.Dequeue();
                updates.Add((old.Key, old.Value, -1));
                if (--_counts[old.Key] == 0)
                    _counts.Remove(old.Key);
            }

            var key = _random.Next(5) == 0 ? (ulong)_random.Next(HotKeys) : (ulong)(HotKeys + _random.Next(ColdKeys));
            var row = (key, (ulong)_random.Next(1_000_000));
            _live.Enqueue(row);
            _counts[key] = _counts.GetValueOrDefault(key) + 1;
            updates.Add((row.key, row.Item2, 1));
        }

        var time = _time++;
        _group.PostToAll(worker =>
        {
            var input = _inputs[worker.Index];
            for (var i = worker.Index; i < updates.Count; i += Workers)
            {
                var row = (ulong*)input.Rows.Reserve(16);
                (row[0], row[1]) = (updates[i].Key, updates[i].Value);
                input.Rows.Commit(16);
                input.Commit(time, updates[i].Diff);
            }

            input.AdvanceTo(time + 1);
        });
        Await(time);
        if (_rounds++ % RoundsPerDataflow == 0)
            Read(time);
        for (var i = 0; i < 4; i++)
            LookUp(time);
        _group.PostToAll(worker =>
        {
            _rows[worker.Index].AdvanceSince(time);
            _groups[worker.Index].AdvanceSince(time);
        });
    }

    // A dataflow over what is kept; the oldest goes.
    private void Read(ulong time)
    {
        var reader = new Reader(Workers);
        var built = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            var w = worker.Index;
            reader.Graphs[w] = worker.BuildDataflow("reader", scope =>
            {
                var rows = scope.Import("rows", _rows[w], time);
                var groups = scope.Import("counts", _groups[w], time);
                var joined = rows.Join("join", groups, KeyAndRight, new RowShape(16)).Ok;
                joined.Distinct().ForEach(
                    "rows",
                    batch =>
                    {
                        for (var i = 0; i < batch.Count; i++)
                            Interlocked.Add(ref reader.Sum, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(batch[i])[1] * batch.DiffAt(i));
                    },
                    frontier =>
                    {
                        if (frontier.HasPassed(time) && Interlocked.Exchange(ref reader.Told[w], 1) == 0)
                            built.Signal();
                    });
            });
        });
        if (!built.Wait(TimeSpan.FromMinutes(5)) || _failed is not null)
            throw new InvalidOperationException("a dataflow does not hydrate", _failed);

        // Each key once, with its count: together the rows.
        if (Interlocked.Read(ref reader.Sum) != _live.Count)
            throw new InvalidOperationException($"the keys' counts add up to {reader.Sum}, and there are {_live.Count} rows");
        _dataflows++;
        _readers.Enqueue(reader);
        if (_readers.Count > DataflowsMax)
            Drop(_readers.Dequeue());
    }

    private void Drop(Reader reader) => _group.PostToAll(worker => reader.Graphs[worker.Index]?.Drop());

    private void LookUp(ulong time)
    {
        var key = _random.Next(2) == 0 ? (ulong)_random.Next(HotKeys) : (ulong)(HotKeys + _random.Next(ColdKeys));
        long rows = 0, count = 0;
        var answered = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            ulong sought = key;
            var bytes = new ReadOnlySpan<byte>(&sought, 8);
            using var ofRows = _rows[worker.Index].OpenCursor(time);
            ofRows.Seek(bytes);
            while (ofRows.NextValue())
                Interlocked.Add(ref rows, ofRows.Diff);
            using var ofCounts = _groups[worker.Index].OpenCursor(time);
            ofCounts.Seek(bytes);
            while (ofCounts.NextValue())
                Interlocked.Add(ref count, ofCounts.Diff * *(long*)ofCounts.ValueAddress);
            answered.Signal();
        });
        if (!answered.Wait(TimeSpan.FromMinutes(1)))
            throw new InvalidOperationException("a lookup is not answered", _failed);
        var expected = _counts.GetValueOrDefault(key);
        if (rows != expected || count != expected)
            throw new InvalidOperationException($"key {key} has {rows} rows and the count {count}, not {expected}");
        _lookups++;
    }

    private void Await(ulong time)
    {
        while (_failed is not null || Array.Exists(_reached, reached => reached <= time))
        {
            if (_failed is not null || !_moved.Wait(TimeSpan.FromMinutes(5)))
                throw new InvalidOperationException($"time {time} does not complete", _failed);
            _moved.Reset();
        }
    }

    // Each worker tells how far it is.
    private void Follow(Stream<Time> stream, Worker worker) => stream.ForEach("end", null, frontier =>
    {
        Interlocked.Exchange(ref _reached[worker.Index], frontier.IsClosed ? ulong.MaxValue : frontier.Time.Value);
        _moved.Set();
    });

    private static void Pair(KernelIo io) => Write(io, 0, 1, complement: false);

    private static void PairSorted(KernelIo io) => Write(io, 0, 2, complement: true);

    private static void KeyAndRight(KernelIo io) => Write(io, 0, 2, complement: false);

    private static void Write(KernelIo io, int first, int second, bool complement)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)io.Parts[first][i];
            var value = *(ulong*)io.Parts[second][i];
            rows[(2 * i) + 1] = complement ? ColumnKernels.Sorted(value, descending: true) : value;
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private sealed class Reader(int workers)
    {
        public DataflowGraph?[] Graphs { get; } = new DataflowGraph?[workers];

        public int[] Told { get; } = new int[workers];

        public long Sum;
    }
}
