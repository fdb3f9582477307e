using System.Globalization;

namespace Materialize.Micro.Operators;

/// <summary>The table of the operators' benchmarks.</summary>
internal static class OperatorTable
{
    /// <summary>Enough for caches to matter.</summary>
    public static readonly long[] Sizes = [1_000_000, 1000, 200];

    /// <summary>Of moments: to see that it is right.</summary>
    public static readonly long[] SmallSizes = [5000, 50, 10];

    public static RunSpec Run(OperatorBenchmark benchmark, bool small = false) => new(Catalogue.OperatorPrefix + benchmark.Name, small ? SmallSizes : Sizes);

    public static IEnumerable<string> Render(IReadOnlyList<(OperatorBenchmark Operator, RunResult Result)> results) =>
    [
        $"{Machine.Description} {Sizes[0]} rows, then {Sizes[2]} rounds of {Sizes[1]} inserts and {Sizes[1]} deletes of the oldest, then rounds of one update; median of {results.Max(r => r.Result.Reports.Count)} passes, each operator in a process of its own. "
        + "Rates are of the worker's processor time, making the input included; latencies by the clock; bytes are native memory that the operators keep, for each row of the input; allocated are managed bytes.",
        "",
        "| operator | what | load M rows/s | rounds M updates/s | round p50 / p99 ms | one update p50 / p99 µs | bytes a row | allocated an update | CAL ms | result |",
        "|---|---|---|---|---|---|---|---|---|---|",
        .. results.Select(r => Line(r.Operator, r.Result)),
    ];

    private static string Line(OperatorBenchmark benchmark, RunResult r) => string.Create(
        CultureInfo.InvariantCulture,
        $"| `{benchmark.Name}` | {benchmark.What} | {r.Median(x => x.LoadCpuRate) / 1e6:F2} | {r.Median(x => x.UpdateCpuRate) / 1e6:F2} | {r.Median(x => x.P50):F2} / {r.Median(x => x.P99):F2} | "
        + $"{r.Median(x => x.SingleP50) * 1000:F1} / {r.Median(x => x.SingleP99) * 1000:F0} | {r.Median(x => (double)x.HeldBytes / x.RowsLoaded):F1} | {r.Median(x => x.AllocatedPerUpdate):F1} | {r.Median(x => x.Calibration):F0} | {(r.IsRight ? "right" : "WRONG")} |");
}
