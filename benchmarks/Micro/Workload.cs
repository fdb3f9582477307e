using System.Diagnostics;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Micro;

/// <summary>xorshift64*, as the shared workloads define it.</summary>
internal struct Rng(ulong seed)
{
    private ulong _x = seed;

    public ulong Next()
    {
        _x ^= _x >> 12;
        _x ^= _x << 25;
        _x ^= _x >> 27;
        return _x * 0x2545F4914F6CDD1D;
    }

    public ulong Below(ulong n) => (Next() >> 32) % n;
}

/// <summary>The order-independent check of a final view.</summary>
internal struct Check
{
    public long Rows { get; private set; }

    public ulong Sum { get; private set; }

    /// <summary>For results that are not a view.</summary>
    public void Set(long rows, ulong sum) => (Rows, Sum) = (rows, sum);

    public void Add(long count, params ReadOnlySpan<ulong> columns)
    {
        var h = 0UL;
        foreach (var c in columns)
        {
            h = (h ^ c) * 0x9E3779B97F4A7C15;
            h ^= h >> 32;
        }

        Rows += count;
        Sum += (ulong)count * h;
    }
}

internal sealed record Report(
    double LoadRate, double UpdateRate, double P50, double P99, double Max, long PeakMb, long Rows, ulong Sum, string? Expected, double GcPauses, double LoadCpuRate, double UpdateCpuRate)
{
    /// <summary>Milliseconds of <see cref="Micro.Calibration"/> just before.</summary>
    public double Calibration { get; init; }

    public bool IsRight => Expected is null || Expected == $"{Rows} {Sum:x16}";

    public override string ToString() =>
        $"load {LoadRate / 1e6:F2} M rows/s, rounds {UpdateRate / 1e6:F3} M updates/s, p50/p99/max {P50:F4}/{P99:F4}/{Max:F4} ms, cpu {LoadCpuRate / 1e6:F2} / {UpdateCpuRate / 1e6:F3}, peak {PeakMb} MB, gc {GcPauses:P2}, "
        + $"rows {Rows} check {Sum:x16} {(Expected is null ? "" : IsRight ? "OK" : $"WRONG, expected {Expected}")}";
}

/// <summary>A workload on one worker that the benchmark steps itself. Load is one epoch; a round is one epoch, done when the output's frontier has passed it.</summary>
internal abstract class Workload : IDisposable
{
    private readonly WorkerGroup _group = new(1, startThreads: false);
    private DataflowGraph? _graph;
    private IReadOnlyList<OperatorStatistics>? _printed;

    protected Worker Worker => _group.Workers[0];

    protected Probe<Time> Probe { get; set; } = null!;

    protected abstract long LoadRows { get; }

    protected abstract int Rounds { get; }

    protected abstract long UpdatesPerRound { get; }

    protected abstract string? Expected { get; }

    public Report Run()
    {
        GC.Collect();
        Worker.Accounting = Environment.GetEnvironmentVariable("STATISTICS") is not null;
        _graph = Worker.BuildDataflow("workload", Build);
        Worker.StepWhileBusy();
        var gcBefore = GC.GetTotalPauseDuration();
        var whole = Stopwatch.StartNew();
        var cpuStart = Cpu();
        Load();
        Complete(0);
        var load = whole.Elapsed.TotalSeconds;
        var loadCpu = Cpu() - cpuStart;
        while (Worker.Step())
        {
        }

        PrintStatistics("load");
        var latencies = new double[Rounds];
        cpuStart = Cpu();
        var rounds = Stopwatch.StartNew();
        for (var r = 0; r < Rounds; r++)
        {
            var start = Stopwatch.GetTimestamp();
            Round((ulong)r + 1);
            Complete((ulong)r + 1);
            latencies[r] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        var seconds = rounds.Elapsed.TotalSeconds;
        var roundsCpu = Cpu() - cpuStart;
        var gc = (GC.GetTotalPauseDuration() - gcBefore).TotalSeconds / whole.Elapsed.TotalSeconds;
        var peak = PeakMb();
        Array.Sort(latencies);
        var check = Final();
        return new Report(
            LoadRows / load, Rounds == 0 ? 0 : Rounds * UpdatesPerRound / seconds, At(0.5), At(0.99), At(1), peak, check.Rows, check.Sum, Expected, gc,
            LoadRows / loadCpu, Rounds == 0 ? 0 : Rounds * UpdatesPerRound / roundsCpu);

        double At(double q) => latencies.Length == 0 ? 0 : latencies[Math.Min(latencies.Length - 1, (int)(q * latencies.Length))];
    }

    public void Dispose()
    {
        PrintStatistics("rounds");
        Close();
        _graph?.Drop();

        _group.Dispose();
    }

    protected abstract void Build(Scope<Time> scope);

    protected abstract void Load();

    protected abstract void Round(ulong time);

    protected abstract Check Final();

    protected abstract void Close();

    /// <summary>Lets the operators work while a load is being generated.</summary>
    protected void Breathe() => Worker.Step();

    // What each operator did since the last call.
    private void PrintStatistics(string phase)
    {
        if (!Worker.Accounting || _graph is null)
            return;
        var statistics = _graph.Statistics().ToArray();
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

    private void Complete(ulong time)
    {
        while (!Probe.HasPassed(time))
            Worker.Step();
    }

    // Of the worker's thread. On a busy machine it says more than the clock.
    private static double Cpu() => ThreadTime.Seconds();

    private static long PeakMb()
    {
        foreach (var line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith("VmHWM:", StringComparison.Ordinal))
                return long.Parse(line["VmHWM:".Length..].Trim().Split(' ')[0]) / 1024;
        }

        return 0;
    }
}

/// <summary>Processor time of the calling thread.</summary>
internal static partial class ThreadTime
{
    public static double Seconds()
    {
        const int threadProcessorTime = 3;
        _ = clock_gettime(threadProcessorTime, out var time);
        return time.Seconds + (time.Nanoseconds * 1e-9);
    }

    [System.Runtime.InteropServices.LibraryImport("libc")]
    private static partial int clock_gettime(int clock, out TimeSpec time);

    private record struct TimeSpec(long Seconds, long Nanoseconds);
}

/// <summary>How fast this machine is just now: what figures are scaled by.</summary>
internal static unsafe class Calibration
{
    /// <summary>Milliseconds of processor time to sort 1 M (hash, index) pairs in windows of 16 k by a counting pass and to touch 64 MiB of fresh pages.</summary>
    public static double Run()
    {
        const int rows = 1 << 20, window = 1 << 14;
        var rng = new Rng(7);
        var hashes = new ulong[rows];
        for (var i = 0; i < rows; i++)
            hashes[i] = rng.Next();
        var entries = new (ulong, int)[window];
        var buckets = new int[window * 2];
        var start = ThreadTime.Seconds();
        for (var w = 0; w < rows; w += window)
        {
            Array.Clear(buckets);
            for (var i = 0; i < window; i++)
                buckets[hashes[w + i] >> 49]++;
            var sum = 0;
            for (var b = 0; b < buckets.Length; b++)
                (buckets[b], sum) = (sum, sum + buckets[b]);
            for (var i = 0; i < window; i++)
                entries[buckets[hashes[w + i] >> 49]++] = (hashes[w + i], i);
        }

        var bytes = (nuint)(64 << 20);
        var pages = (byte*)System.Runtime.InteropServices.NativeMemory.Alloc(bytes);
        for (nuint p = 0; p < bytes; p += 4096)
            pages[p] = 1;
        System.Runtime.InteropServices.NativeMemory.Free(pages);
        return (ThreadTime.Seconds() - start) * 1000;
    }
}
