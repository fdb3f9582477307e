namespace Materialize.Micro.Floors;

/// <summary>The engine's floors (one worker unless it says more), and where each figure comes from.</summary>
internal static class FloorTable
{
    private const string Count = "count 10000000 1000000 1000 200";
    private const string Join = "join 4000000 4000000 1000 200";
    private const string Bids = "bids 200000 4000000 1000 200";
    private const string ManyCounts = "count 10000000 1000000 20000 50";
    private const string ManyJoins = "join 4000000 4000000 20000 50";
    private const string ManyBids = "bids 200000 4000000 20000 50";
    private const string OneEpoch = "arrange 4000000 1";
    private const string Epochs = "arrange 4000000 400";

    /// <summary>Half a minute of rounds.</summary>
    public const string Steady = "count 10000000 1000000 1000 30000";

    private const string SmallArrangements = "small-arrangements 10000";

    public static IReadOnlyList<FloorRow> Rows { get; } =
    [
        // Memory: what the Rust baseline's generic rows in arenas take.
        .. Shared("count", Count, 5, 1.7, 130),
        .. Shared("join", Join, 6, 1.3, 579),
        .. Shared("bids", Bids, 3.5, 1.6, 446),
        Most("count, rounds of 1: p50", 10, "µs", "count 10000000 1000000 1 5000", r => r.P50 * 1000),
        Most("join, rounds of 2: p50", 30, "µs", "join 4000000 4000000 2 5000", r => r.P50 * 1000),
        Most("bids, rounds of 1: p50", 30, "µs", "bids 200000 4000000 1 5000", r => r.P50 * 1000),
        Updates("count, rounds of 20000", 1.5, ManyCounts),
        Updates("join, rounds of 20000", 1.5, ManyJoins),
        Updates("bids, rounds of 20000", 1.5, ManyBids),
        Load("arrange, one time", 8, OneEpoch),
        Updates("arrange, 400 times", 5.5, Epochs),
        Most("arrange, 400 times: p99", 8, "ms", Epochs, r => r.P99),

        // The Rust baseline with types known to its compiler.
        Load("tpch3", 7.89, "tpch3 1500000 200 100"),
        Updates("tpch3", 4.2, "tpch3 1500000 200 100"),
        Load("reach", 0.666, "reach 1000000 2000000 10 200"),
        Updates("reach", 0.0057, "reach 1000000 2000000 10 200"),
        Load("cc", 0.274, "cc 500000 1000000 10 200"),
        Updates("cc", 0.0049, "cc 500000 1000000 10 200"),
        .. Text("count", Count, "count-text 10000000 1000000 1000 200"),
        .. Text("join", Join, "join-text 4000000 4000000 1000 200"),
        .. Text("bids", Bids, "bids-text 200000 4000000 1000 200"),
        .. Extremes("max, the oldest deleted", "max 1000000 100000 1000 200"),
        .. Extremes("max, the greatest of 1000 keys deleted", "max-adversary 1000000 1000 1000 200"),
        .. Extremes("max, the 1000 greatest of one key deleted", "max-adversary 1000000 1 1000 200"),
        .. Extremes("top-3, the oldest deleted", "top3 1000000 100000 1000 200"),
        .. Extremes("top-3, the greatest of 1000 keys deleted", "top3-adversary 1000000 1000 1000 200"),
        .. Extremes("top-3, the 1000 greatest of one key deleted", "top3-adversary 1000000 1 1000 200"),

        // There are no kernels over columns: operators exchange rows, and the generated loop over them is what must be as fast as those would be.
        new("filter and project: generated loop against interpreter", 4, false, "times", [], m => m.Nanoseconds("Numbers interpreted") / m.Nanoseconds("Numbers generated")),
        new("the same, at the floor for kernels over columns, which there are none of", 8, false, "times", [], m => m.Nanoseconds("Numbers interpreted") / m.Nanoseconds("Numbers generated")),
        new("with a text and nulls: generated loop against interpreter", 4, false, "times", [], m => m.Nanoseconds("Interpreted") / m.Nanoseconds("Generated")),
        new("a loop by hand against the generated one", null, false, "times", [], m => m.Nanoseconds("Numbers generated") / m.Nanoseconds("Numbers by hand")),
        new("exchange to 4 workers, without making the rows", 50, false, "M rows/s", [], m => 1000 / (m.Nanoseconds("Exchange [Workers=4]") - m.Nanoseconds("Without exchange [Workers=4]"))),
        new("exchange to 4 workers, all included", null, false, "M rows/s", [], m => 1000 / m.Nanoseconds("Exchange [Workers=4]")),
        new("one update through five operators", 5, true, "µs", [], m => m.Nanoseconds("One update through five operators") / 1000),
        .. TwoWorkers("count", Count, ManyCounts),
        .. TwoWorkers("join", Join, ManyJoins),
        .. TwoWorkers("bids", Bids, ManyBids),
        Most("steady state: pauses of the collector", 1, "% of the time", Steady, r => r.PauseShare * 100),
        Most("steady state: p99.9 of its pauses", 1, "ms", Steady, r => r.LongestPause),
        Most("steady state: allocated", 20, "MB/s", Steady, r => r.AllocatedPerSecond / 1e6),
        .. Memory("one time", OneEpoch),
        .. Memory("400 times", Epochs),
        Most("10 000 arrangements of ten rows: memory that stays, for each", 3, "KB", SmallArrangements, r => (r.SlabBytes + r.ManagedBytes) / 10_000.0 / 1024),
        Most("10 000 arrangements: native part", null, "KB", SmallArrangements, r => r.SlabBytes / 10_000.0 / 1024),
        Beyond("load", m => m.LoadTimes),
        Beyond("load, processor time", m => m.LoadCpuTimes),
        Beyond("rounds of 1000", m => m.RoundTimes),
        Beyond("rounds of 1000, processor time", m => m.RoundCpuTimes),
    ];

    public static IEnumerable<string> Render(Measurements measured)
    {
        var lines = Rows.Select(r => r.Render(measured)).ToList();
        var calibrations = measured.Calibrations.ToList();
        return
        [
            $"{Machine.Description} CAL {calibrations.Min():F0} to {calibrations.Max():F0} ms. Medians; rates are of the worker's processor time, those of two workers by the clock, the best pass of each: others on the machine can only take from them. The ratio says how much better the figure is than the floor; below 1 it is missed.",
            "",
            "| what | floor | figure | ratio | by |",
            "|---|---|---|---|---|",
            .. lines,
        ];
    }

    private static FloorRow Load(string name, double floor, string run) => new($"{name}: load", floor, false, "M rows/s", [run], m => m.Median(run, r => r.LoadCpuRate) / 1e6);

    private static FloorRow Updates(string name, double floor, string run) => new($"{name}: rounds", floor, false, "M updates/s", [run], m => m.Median(run, r => r.UpdateCpuRate) / 1e6);

    private static FloorRow Most(string what, double? floor, string unit, string run, Func<Report, double> figure) => new(what, floor, true, unit, [run], m => m.Median(run, figure));

    private static FloorRow Beyond(string what, Func<LargerThanMemory, double> times) => new(
        $"join of three times its memory: {what}", null, true, "times as long", [LargerThanMemory.Command], m => times(m.LargerThanMemory));

    private static FloorRow[] Shared(string name, string run, double load, double updates, double peakMb) =>
    [
        Load(name, load, run),
        Updates(name, updates, run),
        Most($"{name}: p99 of rounds of 1000", 6, "ms", run, r => r.P99),
        new($"{name}: peak memory", peakMb, true, "MB", [run], m => m[run].First.PeakMb),
    ];

    private static FloorRow[] Text(string name, string run, string text) =>
    [
        new($"{name} by texts against numbers: load", 0.6, false, "times", [text, run], m => m.Median(text, r => r.LoadCpuRate) / m.Median(run, r => r.LoadCpuRate)),
        new($"{name} by texts against numbers: rounds", 0.6, false, "times", [text, run], m => m.Median(text, r => r.UpdateCpuRate) / m.Median(run, r => r.UpdateCpuRate)),
    ];

    private static FloorRow[] Extremes(string name, string run) => [Updates(name, 1, run), Most($"{name}: longest round", 20, "ms", run, r => r.Max)];

    private static FloorRow[] TwoWorkers(string name, string run, string many)
    {
        return [Gain("load", run, r => r.LoadRate), Gain("rounds of 1000", run, r => r.UpdateRate), Gain("rounds of 20000", many, r => r.UpdateRate)];

        FloorRow Gain(string what, string one, Func<Report, double> rate)
        {
            var two = $"{one} workers=2";
            return new FloorRow($"{name}, two workers against one: {what}", 1.7, false, "times", [two, one], m => m[two].Reports.Max(rate) / m[one].Reports.Max(rate));
        }
    }

    private static FloorRow[] Memory(string name, string run) =>
    [
        Most($"memory of an update of 8 and 8 bytes, {name}", 25, "bytes", run, r => (r.SlabBytes + r.ManagedBytes) / 4e6),
        Most($"most at once of it, {name}", 1.5, "times", run, r => r.PeakSlabBytes / (double)r.SlabBytes),
    ];
}
