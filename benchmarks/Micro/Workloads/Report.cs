namespace Materialize.Micro;

/// <summary>What one run of a workload took. Rates a second, latencies in milliseconds, memory in bytes unless the name says more.</summary>
internal sealed record Report
{
    /// <summary>Rows of the load, by the clock.</summary>
    public double LoadRate { get; init; }

    /// <summary>Rows of the load, by the processor time of the worker that took most.</summary>
    public double LoadCpuRate { get; init; }

    public double UpdateRate { get; init; }

    public double UpdateCpuRate { get; init; }

    /// <summary>Of rounds.</summary>
    public double P50 { get; init; }

    public double P99 { get; init; }

    public double Max { get; init; }

    /// <summary>Of rounds of one update.</summary>
    public double SingleP50 { get; init; }

    public double SingleP99 { get; init; }

    /// <summary>Of the process, resident, since the run began.</summary>
    public long PeakMb { get; init; }

    /// <summary>That, less what was resident before.</summary>
    public long PeakResidentBytes { get; init; }

    public long RowsLoaded { get; init; }

    /// <summary>Native memory that the operators keep, in the end, when nothing is left to merge.</summary>
    public long HeldBytes { get; init; }

    /// <summary>Slabs in use because of the run, in the end.</summary>
    public long SlabBytes { get; init; }

    /// <summary>Managed objects that live because of the run, in the end.</summary>
    public long ManagedBytes { get; init; }

    /// <summary>Most slabs in use at once.</summary>
    public long PeakSlabBytes { get; init; }

    /// <summary>Of the time of the rounds, what the collector had the threads stand.</summary>
    public double PauseShare { get; init; }

    /// <summary>The 99.9th percentile of the collector's pauses.</summary>
    public double LongestPause { get; init; }

    public int Pauses { get; init; }

    /// <summary>Managed memory, in the rounds.</summary>
    public double AllocatedPerSecond { get; init; }

    public double AllocatedPerUpdate { get; init; }

    public double RoundSeconds { get; init; }

    /// <summary>Rows and check of the final view.</summary>
    public required string Found { get; init; }

    public required string Expected { get; init; }

    /// <summary>Milliseconds of <see cref="Micro.Calibration"/> just before or just after, whichever are more.</summary>
    public double Calibration { get; init; }

    public bool IsRight => Expected == Found;

    public override string ToString() =>
        $"load {LoadRate / 1e6:F2} M rows/s, rounds {UpdateRate / 1e6:F3} M updates/s, p50/p99/max {P50:F4}/{P99:F4}/{Max:F4} ms, cpu {LoadCpuRate / 1e6:F2} / {UpdateCpuRate / 1e6:F3}"
        + (SingleP50 == 0 ? "" : $", one update p50/p99 {SingleP50 * 1000:F1}/{SingleP99 * 1000:F1} µs")
        + $", peak {PeakMb} MB, slabs {SlabBytes >> 10} KiB (at most {PeakSlabBytes >> 10}, resident {PeakResidentBytes >> 10}), managed {ManagedBytes >> 10} KiB"
        + $", gc {PauseShare:P2} in {Pauses} pauses, p99.9 {LongestPause:F2} ms, {AllocatedPerSecond / 1e6:F1} MB/s, {Found} {(IsRight ? "OK" : $"WRONG, expected {Expected}")}";
}
