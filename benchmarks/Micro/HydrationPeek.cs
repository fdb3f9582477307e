using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>
/// Point lookups on one arrangement while ten million rows hydrate another and a reduce, on two workers. Lookups come at a fixed pace from another thread, whether those before are answered or not, are posted to both workers
/// as a peek is, and count from when they were due: so a worker that is held for 100 ms shows in every lookup of that time.
/// </summary>
internal sealed unsafe class HydrationPeek(long rows, TimeSpan idle) : IDisposable
{
    private const int Workers = 2;
    private const int KnownRows = 1_000_000;
    private const int Keys = 1_000_000;
    private const int RowsPerTurn = 16 * 1024;
    private const double PaceMs = 1;
    private const int WarmRows = 3_000_000;

    private readonly WorkerGroup _group = new(Workers, startThreads: false);
    private readonly TraceHandle<Time>[] _known = new TraceHandle<Time>[Workers];
    private readonly TraceHandle<Time>[] _hydrated = new TraceHandle<Time>[Workers];
    private readonly InputHandle<Time>[] _inputs = new InputHandle<Time>[Workers];
    private readonly List<double>[] _steps = [[], []]; // milliseconds of processor time: on a busy machine the clock shows the others' work
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Thread> _threads = [];
    private readonly CountdownEvent _hydratedAll = new(Workers);
    private long _counted;
    private volatile Exception? _failed;

    /// <returns>Whether all was answered right.</returns>
    public bool Run()
    {
        foreach (var worker in _group.Workers)
        {
            worker.Accounting = true;
            worker.OffloadsWork = true;
            var thread = new Thread(() => Work(worker)) { IsBackground = true, Name = $"worker {worker.Index}" };
            _threads.Add(thread);
            thread.Start();
        }

        Load();
        Hydrate(WarmRows); // the code is compiled, as it is in a server that has run for a while
        if (!_hydratedAll.Wait(TimeSpan.FromMinutes(1)))
            throw new InvalidOperationException("the first rows are not hydrated", _failed);
        DropHydrated();
        Report("idle", Look(idle, () => false));
        Forget();
        var start = Stopwatch.GetTimestamp();
        Hydrate(rows);
        var during = Look(TimeSpan.FromMinutes(10), () => _hydratedAll.IsSet || _failed is not null);
        Report("hydrating", during);
        Console.WriteLine($"hydrated {rows} rows in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s");
        PrintSteps();
        Forget();
        Report("after", Look(idle, () => false));
        PrintSteps();
        PrintOperators();
        if (_failed is { } failed)
            throw new InvalidOperationException("a worker failed", failed);
        var kept = Count();
        Console.WriteLine($"{kept} rows kept, {_counted} counted");
        return kept == rows && _counted == rows;
    }

    public void Dispose()
    {
        var freed = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            foreach (var graph in worker.Dataflows.ToArray())
                graph.Drop();
            _known[worker.Index].Dispose();
            _hydrated[worker.Index].Dispose();
            _inputs[worker.Index].Dispose();
            freed.Signal();
        });
        freed.Wait(TimeSpan.FromMinutes(1));
        _stop.Cancel();
        _group.PostToAll(_ => { });
        foreach (var thread in _threads)
            thread.Join();
        _group.Dispose();
        _stop.Dispose();
    }

    private void Work(Worker worker)
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                var before = ThreadTime.Seconds();
                var any = worker.Step();
                var ms = (ThreadTime.Seconds() - before) * 1000;
                if (ms > 1)
                {
                    lock (_steps[worker.Index])
                        _steps[worker.Index].Add(ms);
                }

                if (!any)
                    worker.Park(TimeSpan.FromSeconds(1));
            }
        }
        catch (Exception e)
        {
            _failed = e;
        }
    }

    private void Load()
    {
        var loaded = new CountdownEvent(Workers);
        _group.PostToAll(worker => worker.BuildDataflow("known", scope =>
        {
            var (input, stream) = scope.NewInput("input", new RowShape(16), 0);
            var arranged = stream.Arrange("known", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
            _known[worker.Index] = arranged.Trace();
            arranged.AsStream("none", static io => io.Emitted = 0, new RowShape(16)).Ok.ForEach("end", null, frontier =>
            {
                if (frontier.HasPassed(0))
                    loaded.Signal();
            });
            for (var i = worker.Index; i < KnownRows; i += Workers)
                Send(input, (ulong)i, (ulong)i);
            input.AdvanceTo(1);
        }));
        if (!loaded.Wait(TimeSpan.FromMinutes(1)))
            throw new InvalidOperationException("the rows to look up are not there", _failed);
        Thread.Sleep(500); // Workers merge on while idle, and nobody says when they are done; what is measured next should not be that.
    }

    private void Hydrate(long rows)
    {
        _group.PostToAll(worker =>
        {
            worker.BuildDataflow("hydrated", scope =>
            {
                (_inputs[worker.Index], var stream) = scope.NewInput("input", new RowShape(16), 0);
                var arranged = stream.Arrange("arranged", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
                _hydrated[worker.Index] = arranged.Trace();
                var reduced = stream.ReduceAccumulable("reduce", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8), 16, ColumnKernels.CountAndSum, Finish, new RowShape(16)).Ok;
                reduced.ForEach("counts", batch =>
                {
                    for (var i = 0; i < batch.Count; i++)
                        Interlocked.Add(ref _counted, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(batch[i])[1] * batch.DiffAt(i));
                });
                arranged.AsStream("none", static io => io.Emitted = 0, new RowShape(16)).Ok.Concat(reduced).ForEach("end", null, frontier =>
                {
                    if (frontier.HasPassed(0) && !_hydratedAll.IsSet)
                        _hydratedAll.Signal();
                });
            });
            var share = (rows / Workers) + (worker.Index < rows % Workers ? 1 : 0);
            Feed(worker, new Rng((ulong)worker.Index + 1), share);
        });
    }

    private void DropHydrated()
    {
        using var dropped = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            worker.Dataflows.Single(graph => graph.Name == "hydrated").Drop();
            _hydrated[worker.Index].Dispose();
            _inputs[worker.Index].Dispose();
            dropped.Signal();
        });
        if (!dropped.Wait(TimeSpan.FromMinutes(1)))
            throw new InvalidOperationException("the first rows are not dropped", _failed);
        _hydratedAll.Reset();
        _counted = 0;
    }

    // As a source does: so many rows a turn, and what else was posted in between. Compiled at once: what the runtime makes of it first takes a microsecond a row.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Feed(Worker worker, Rng rng, long left)
    {
        var input = _inputs[worker.Index];
        for (var i = 0; i < RowsPerTurn && left > 0; i++, left--)
            Send(input, rng.Below(Keys), rng.Next());
        if (left == 0)
        {
            input.AdvanceTo(1);
            return;
        }

        worker.Post(w => Feed(w, rng, left));
    }

    /// <summary>Lookups at their pace; latencies in milliseconds, sorted.</summary>
    private List<double> Look(TimeSpan duration, Func<bool> isOver)
    {
        var latencies = new List<double>();
        var asked = 0;
        var answered = 0;
        var wrong = 0;
        var rng = new Rng(99);
        var start = Stopwatch.GetTimestamp();
        for (; Stopwatch.GetElapsedTime(start) < duration && !isOver(); asked++)
        {
            var due = start + (long)(asked * PaceMs / 1000 * Stopwatch.Frequency);
            while (Stopwatch.GetTimestamp() < due)
                Thread.Sleep(1); // A client's pace: peeks come at their times, whatever the answers take. It does not spin: that would take a worker's processor.

            var key = rng.Below(KnownRows);
            var (missing, found) = (Workers, 0L);
            _group.PostToAll(worker =>
            {
                using var cursor = _known[worker.Index].OpenCursor(0);
                ulong sought = key;
                cursor.Seek(new ReadOnlySpan<byte>(&sought, 8));
                while (cursor.NextValue())
                    Interlocked.Add(ref found, cursor.Diff);
                if (Interlocked.Decrement(ref missing) > 0)
                    return;
                var ms = (Stopwatch.GetTimestamp() - due) * 1000.0 / Stopwatch.Frequency;
                lock (latencies)
                {
                    latencies.Add(ms);
                    answered++;
                    wrong += found == 1 ? 0 : 1;
                }
            });
        }

        for (var patience = 0; Volatile.Read(ref answered) < asked && _failed is null && patience < 10_000; patience++)
            Thread.Sleep(1); // Not a signal for each answer: that would be measured too.
        lock (latencies)
        {
            if (wrong > 0 || answered < asked)
                throw new InvalidOperationException($"of {asked} lookups {answered} were answered, {wrong} of them wrong", _failed);
            latencies.Sort();
            return latencies;
        }
    }

    private static void Report(string phase, List<double> sorted) => Console.WriteLine(
        $"{phase,-10} {sorted.Count,7} lookups: p50 {At(sorted, 0.5):F3} p90 {At(sorted, 0.9):F3} p99 {At(sorted, 0.99):F3} p99.9 {At(sorted, 0.999):F3} max {At(sorted, 1):F3} ms");

    private static double At(List<double> sorted, double q) => sorted.Count == 0 ? 0 : sorted[Math.Min(sorted.Count - 1, (int)(q * sorted.Count))];

    private void Forget()
    {
        foreach (var steps in _steps)
        {
            lock (steps)
                steps.Clear();
        }
    }

    private void PrintSteps()
    {
        for (var w = 0; w < Workers; w++)
        {
            lock (_steps[w])
            {
                var ms = _steps[w].Order().ToList();
                Console.WriteLine(
                    $"  worker {w}: {ms.Count} steps of more than 1 ms of processor time, {ms.Count(m => m > 5)} over 5, {ms.Count(m => m > 10)} over 10, {ms.Count(m => m > 20)} over 20, in all {ms.Sum():F0} ms; the longest {string.Join(' ', ms.AsEnumerable().Reverse().Take(8).Select(m => $"{m:F1}"))} ms");
            }
        }
    }

    // The histogram is in powers of two: a run in bucket b took less than 2^b ns, or 2^(b + 1) where the bucket's floor is 2^b.
    private void PrintOperators()
    {
        var printed = new CountdownEvent(1);
        _group.Workers[0].Post(worker =>
        {
            foreach (var graph in worker.Dataflows)
            {
                foreach (var s in graph.Statistics())
                {
                    var times = graph.RunTimes(s.Index);
                    var longest = times.Length - 1;
                    while (longest > 0 && times[longest] == 0)
                        longest--;
                    Console.WriteLine(
                        $"  {graph.Name,-9} {s.Index,2} {s.Name,-24} runs {s.Runs,7} in {s.RowsIn,9} out {s.RowsOut,9} {s.ElapsedTicks * 1000.0 / Stopwatch.Frequency,9:F1} ms, longest about {Math.Pow(2, longest) / 1e6:F2} ms × {(times.Length == 0 ? 0 : times[longest])}");
                }
            }

            printed.Signal();
        });
        printed.Wait(TimeSpan.FromSeconds(30));
    }

    private long Count()
    {
        var total = 0L;
        var counted = new CountdownEvent(Workers);
        _group.PostToAll(worker =>
        {
            using var cursor = _hydrated[worker.Index].OpenCursor(0);
            var mine = 0L;
            while (cursor.NextRow())
                mine += cursor.Diff;
            Interlocked.Add(ref total, mine);
            counted.Signal();
        });
        counted.Wait(TimeSpan.FromMinutes(2));
        return total;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Send(InputHandle<Time> input, ulong a, ulong b)
    {
        var row = (ulong*)input.Rows.Reserve(16);
        (row[0], row[1]) = (a, b);
        input.Rows.Commit(16);
        input.Commit(0, 1);
    }

    private static void Finish(KernelIo io)
    {
        var to = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            to[2 * i] = *(ulong*)io.Parts[0][i];
            to[(2 * i) + 1] = *(ulong*)io.Parts[1][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
