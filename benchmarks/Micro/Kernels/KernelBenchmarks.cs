using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace Materialize.Micro.Kernels;

/// <summary>What BenchmarkDotNet measures: parts of the engine that take nanoseconds to microseconds. Times are for each operation, which each benchmark defines.</summary>
internal static class KernelBenchmarks
{
    private static readonly Type[] All = [typeof(ExpressionBenchmarks), typeof(ExchangeBenchmarks), typeof(PathBenchmarks), typeof(ArrangementBenchmarks)];

    /// <param name="arguments">For BenchmarkDotNet; none: all.</param>
    /// <param name="small">Each once, to see that it works.</param>
    /// <param name="table">A document that gets the results between its marks; null: none.</param>
    public static void Run(string[] arguments, bool small, string? table)
    {
        // In this process: the code that is measured is this program's, and nothing has to be restored or built.
        var job = (small ? Job.Dry : Job.Default.WithWarmupCount(3).WithIterationCount(10)).WithToolchain(InProcessNoEmitToolchain.Instance);
        var config = ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(ConsoleLogger.Default)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .WithArtifactsPath(Path.Combine(AppContext.BaseDirectory, "benchmarks"))
            .WithOptions(ConfigOptions.JoinSummary | ConfigOptions.DisableLogFile);
        var calibration = Calibration.Run();
        var summaries = BenchmarkSwitcher.FromTypes(All).Run(arguments.Length == 0 ? ["--filter", "*"] : arguments, config);
        var lines = new List<string> { $"Calibration {calibration:F0} ms, system load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}.", "", "| benchmark | ns an operation | ± | allocated bytes |", "|---|---|---|---|" };
        foreach (var report in summaries.SelectMany(s => s.Reports))
        {
            if (report.ResultStatistics is not { } statistics)
                throw new InvalidOperationException($"{report.BenchmarkCase.DisplayInfo} gave no result");
            var name = $"{report.BenchmarkCase.Descriptor.WorkloadMethod.Name.Replace('_', ' ')} {report.BenchmarkCase.Parameters.DisplayInfo}".Trim();
            lines.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {statistics.Mean:N1} | {statistics.StandardError:N1} | {report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase)} |"));
        }

        Console.WriteLine(string.Join('\n', lines));
        if (table is not null)
            BenchmarkTable.Replace(table, "kernels", lines);
    }
}
