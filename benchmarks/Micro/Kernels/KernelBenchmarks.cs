using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using Perfolizer.Horology;

namespace Materialize.Micro.Kernels;

/// <summary>What BenchmarkDotNet measures: parts of the engine that take nanoseconds to microseconds. Times are for each operation, which each benchmark defines.</summary>
internal static class KernelBenchmarks
{
    private static readonly Type[] All = [typeof(ExpressionBenchmarks), typeof(ExchangeBenchmarks), typeof(PathBenchmarks), typeof(ArrangementBenchmarks)];

    /// <param name="patterns">Names, with <c>*</c>; none: all.</param>
    /// <param name="small">Each once, to see that it works.</param>
    public static KernelResults Run(string[] patterns, bool small)
    {
        // In this process: the code that is measured is this program's, and nothing has to be restored or built.
        var job = (small ? Job.Dry : Job.Default.WithWarmupCount(3).WithIterationCount(10).WithIterationTime(TimeInterval.FromMilliseconds(200))).WithToolchain(InProcessNoEmitToolchain.Instance);
        var config = ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(small ? NullLogger.Instance : ConsoleLogger.Default)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .AddFilter(new GlobFilter([.. patterns.Length == 0 ? ["*"] : patterns.Select(p => p.Contains('*') ? p : $"*{p}*")]))
            .WithArtifactsPath(Path.Combine(AppContext.BaseDirectory, "benchmarks"))
            .WithOptions(ConfigOptions.JoinSummary | ConfigOptions.DisableLogFile);
        var results = new List<KernelResult>();
        var calibration = 0.0;
        foreach (var type in All)
        {
            var (found, taken) = Calibration.Quietest(() => Run(type, config), r => r.Calibration, r => r.Results.Count == 0);
            results.AddRange(found);
            calibration = Math.Max(calibration, taken);
        }

        return results.Count > 0 ? new KernelResults(calibration, Machine.Load, results) : throw new UsageException($"no kernel is called {string.Join(' ', patterns)}");
    }

    private static (List<KernelResult> Results, double Calibration) Run(Type type, IConfig config)
    {
        var before = Calibration.RunWhenQuiet();
        var results = BenchmarkRunner.Run(type, config).Reports.Select(report =>
        {
            if (report.ResultStatistics is not { } statistics)
                throw new InvalidOperationException($"{report.BenchmarkCase.DisplayInfo} gave no result");
            return new KernelResult(
                $"{report.BenchmarkCase.Descriptor.WorkloadMethod.Name.Replace('_', ' ')} {report.BenchmarkCase.Parameters.DisplayInfo}".Trim(),
                statistics.Median, statistics.StandardError, report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) ?? 0);
        }).ToList();
        return (results, Math.Max(before, Calibration.Run()));
    }

    public static IEnumerable<string> Render(KernelResults results) =>
    [
        $"Calibration {results.Calibration:F0} ms, system load {results.Load}.", "", "| benchmark | ns an operation | ± | allocated bytes |", "|---|---|---|---|",
        .. results.Kernels.Select(k => string.Create(CultureInfo.InvariantCulture, $"| {k.Name} | {k.Nanoseconds:N1} | {k.Error:N1} | {k.AllocatedBytes} |")),
    ];
}

/// <summary>A kernel's median time for an operation, and the standard error.</summary>
internal sealed record KernelResult(string Name, double Nanoseconds, double Error, long AllocatedBytes);

/// <summary>What BenchmarkDotNet found.</summary>
/// <param name="Calibration">As in <see cref="Report.Calibration"/>.</param>
/// <param name="Load">Of the system, in the end.</param>
internal sealed record KernelResults(double Calibration, string Load, List<KernelResult> Kernels)
{
    /// <param name="name">As the table writes it.</param>
    public double Nanoseconds(string name) => Kernels.Single(k => k.Name == name).Nanoseconds;
}
