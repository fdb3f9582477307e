using System.Diagnostics;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Micro;

/// <summary>Runs a workload, on the calling thread or with a thread for each of several workers, and says what it took.</summary>
internal sealed class WorkloadRun : IDisposable
{
    private readonly WorkerGroup _group;
    private readonly Lane[] _lanes;
    private readonly Barrier _barrier;
    private readonly Stopwatch _clock = new();
    private readonly GcWatch _gc = new();
    private double _loadSeconds;
    private double _roundSeconds;
    private long _slabsBefore;
    private long _managedBefore;
    private long _residentBefore;
    private long _slabs;
    private long _managed;

    private WorkloadRun(Func<Workload> create, int workers)
    {
        _group = new WorkerGroup(workers, startThreads: false);
        _barrier = new Barrier(workers);
        _lanes = [.. _group.Workers.Select(worker =>
        {
            var workload = create();
            workload.At(worker);
            return new Lane(worker, workload);
        })];
    }

    /// <param name="create">Makes an instance of the workload; called for each worker.</param>
    public static Report Run(Func<Workload> create, int workers = 1)
    {
        using var run = new WorkloadRun(create, workers);
        return run.Run();
    }

    public void Dispose()
    {
        foreach (var lane in _lanes)
            lane.Workload.Close();
        foreach (var lane in _lanes)
            lane.Graph?.Drop();
        _group.Dispose();
        _barrier.Dispose();
    }

    private Report Run()
    {
        foreach (var lane in _lanes)
            lane.Workload.Prepare();
        _managedBefore = GC.GetTotalMemory(forceFullCollection: true);
        _slabsBefore = SlabPool.BytesInUse;
        _residentBefore = Machine.RestartPeak();
        var others = _lanes[1..].Select(lane => new Thread(() => Guarded(lane))).ToList();
        foreach (var thread in others)
            thread.Start();
        Guarded(_lanes[0]);
        foreach (var thread in others)
            thread.Join();
        return Result();

        void Guarded(Lane lane)
        {
            // A worker that stopped would leave the others waiting for ever.
            try
            {
                Run(lane);
            }
            catch (Exception e) when (_lanes.Length > 1)
            {
                Environment.FailFast("a worker of the benchmark failed", e);
            }
        }
    }

    private void Run(Lane lane)
    {
        var (workload, worker) = (lane.Workload, lane.Worker);
        var isFirst = lane == _lanes[0];
        worker.Accounting = Environment.GetEnvironmentVariable("STATISTICS") is not null;
        lane.Graph = worker.BuildDataflow("workload", workload.Build);

        Together(isFirst, _clock.Restart);
        var cpu = ThreadTime.Seconds();
        workload.Load();
        workload.Complete(0);
        lane.LoadCpu = ThreadTime.Seconds() - cpu;
        Together(isFirst, () => _loadSeconds = _clock.Elapsed.TotalSeconds);
        while (workload.Step())
        {
        }

        lane.PrintStatistics("load");
        Together(isFirst, () =>
        {
            _gc.Start();
            _clock.Restart();
        });
        cpu = ThreadTime.Seconds();
        var time = 1UL;
        lane.Latencies = Rounds(workload, workload.Rounds, ref time, workload.Round, isFirst ? _gc : null);
        lane.RoundCpu = ThreadTime.Seconds() - cpu;
        Together(isFirst, () =>
        {
            _roundSeconds = _clock.Elapsed.TotalSeconds;
            _gc.Stop();
        });
        lane.SingleLatencies = Rounds(workload, workload.SingleRounds, ref time, workload.SingleRound, null);
        lane.PrintStatistics("rounds");
        while (workload.Step())
        {
        }

        lane.HeldBytes = lane.Graph.Statistics().Sum(s => s.StateBytes);
        Together(isFirst, () =>
        {
            _slabs = SlabPool.BytesInUse - _slabsBefore;
            _managed = GC.GetTotalMemory(forceFullCollection: true) - _managedBefore;
        });
    }

    // All wait for each other, before and after the first does something.
    private void Together(bool isFirst, Action action)
    {
        _barrier.SignalAndWait();
        if (isFirst)
            action();
        _barrier.SignalAndWait();
    }

    private static double[] Rounds(Workload workload, int count, ref ulong time, Action<ulong> round, GcWatch? gc)
    {
        var latencies = new double[count];
        for (var r = 0; r < count; r++, time++)
        {
            var start = Stopwatch.GetTimestamp();
            round(time);
            workload.Complete(time);
            latencies[r] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            gc?.Look();
        }

        Array.Sort(latencies);
        return latencies;
    }

    private Report Result()
    {
        var first = _lanes[0].Workload;
        var (rows, updates) = (first.LoadRows, first.Rounds * first.UpdatesPerRound);
        var peak = Machine.PeakBytes();
        var check = default(Check);
        foreach (var lane in _lanes)
            check.Add(lane.Workload.Final());
        return new Report
        {
            LoadRate = rows / _loadSeconds,
            LoadCpuRate = rows / _lanes.Max(l => l.LoadCpu),
            UpdateRate = updates / _roundSeconds,
            UpdateCpuRate = updates == 0 ? 0 : updates / _lanes.Max(l => l.RoundCpu),
            P50 = At(_lanes[0].Latencies, 0.5),
            P99 = At(_lanes[0].Latencies, 0.99),
            Max = At(_lanes[0].Latencies, 1),
            SingleP50 = At(_lanes[0].SingleLatencies, 0.5),
            SingleP99 = At(_lanes[0].SingleLatencies, 0.99),
            PeakMb = peak >> 20,
            PeakResidentBytes = peak - _residentBefore,
            RowsLoaded = rows,
            HeldBytes = _lanes.Sum(l => l.HeldBytes),
            SlabBytes = _slabs,
            ManagedBytes = _managed,
            PeakSlabBytes = _lanes.Max(l => l.Workload.PeakBytes) - _slabsBefore,
            PauseShare = _roundSeconds == 0 ? 0 : _gc.Paused.TotalSeconds / _roundSeconds,
            LongestPause = _gc.PauseP999.TotalMilliseconds,
            Pauses = _gc.Pauses,
            AllocatedPerSecond = _roundSeconds == 0 ? 0 : _gc.Allocated / _roundSeconds,
            AllocatedPerUpdate = updates == 0 ? 0 : (double)_gc.Allocated / updates,
            RoundSeconds = _roundSeconds,
            Found = check.ToString(),
            Expected = first.Known ?? first.Plain().ToString(),
        };
    }

    private static double At(double[] sorted, double q) => sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(q * sorted.Length))];

    /// <summary>One worker's part of a run.</summary>
    private sealed class Lane(Worker worker, Workload workload)
    {
        private IReadOnlyList<OperatorStatistics>? _printed;

        public Worker Worker => worker;

        public Workload Workload => workload;

        public DataflowGraph? Graph { get; set; }

        public double LoadCpu { get; set; }

        public double RoundCpu { get; set; }

        public double[] Latencies { get; set; } = [];

        public double[] SingleLatencies { get; set; } = [];

        public long HeldBytes { get; set; }

        /// <summary>What each operator did since the last call.</summary>
        public void PrintStatistics(string phase)
        {
            if (!worker.Accounting || Graph is null)
                return;
            var statistics = Graph.Statistics().ToArray();
            for (var i = 0; i < statistics.Length; i++)
            {
                var s = statistics[i];
                var before = _printed?[i];
                Console.WriteLine(
                    $"  {phase,-6} {s.Index,3} {s.Name,-28} runs {s.Runs - (before?.Runs ?? 0),8} in {s.RowsIn - (before?.RowsIn ?? 0),10} out {s.RowsOut - (before?.RowsOut ?? 0),10} "
                    + $"{(s.ElapsedTicks - (before?.ElapsedTicks ?? 0)) * 1000.0 / Stopwatch.Frequency,10:F1} ms");
            }

            _printed = statistics;
        }
    }
}
