using System.Diagnostics;
using System.Text.Json;
using Materialize.Core.Memory;

namespace Materialize.Micro;

/// <summary>All passes of one run.</summary>
internal sealed record RunResult(string Run, List<Report> Reports)
{
    public Report First => Reports[0];

    public bool IsRight => Reports.TrueForAll(r => r.IsRight);

    public double Median(Func<Report, double> figure)
    {
        var sorted = Reports.Select(figure).Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}

/// <summary>Runs workloads: here, or each in a process of its own, so that its peak memory is its own.</summary>
internal static class WorkloadRunner
{
    /// <summary>Runs it in this process so many times, and prints each.</summary>
    public static RunResult RunHere(RunSpec run, int passes, TextWriter log)
    {
        // Scratch files: in SCRATCH, else the temporary directory.
        using var scratch = run.BudgetMb is not { } budget ? null : SlabPool.UseScratch(new ScratchOptions(
            Environment.GetEnvironmentVariable("SCRATCH") ?? Path.GetTempPath(), budget << 20, long.MaxValue, reason => Console.Error.WriteLine(reason)));
        var reports = new List<Report>();
        for (var pass = 0; pass < passes; pass++)
        {
            // The first is as it is: it compiles the code, and its peak memory is the process's.
            var isFirst = pass == 0;
            reports.Add(Calibration.Quietest(() => RunPass(run, log), r => r.Calibration, r => isFirst || !r.IsRight));
        }

        return new RunResult(run.ToString(), reports);
    }

    private static Report RunPass(RunSpec run, TextWriter log)
    {
        var before = Calibration.RunWhenQuiet();
        var report = WorkloadRun.Run(Catalogue.Create(run), run.Workers);
        report = report with { Calibration = Math.Max(before, Calibration.Run()) };
        log.WriteLine($"{run}: {report} cal={report.Calibration:F1}ms");
        return report;
    }

    /// <summary>Runs it in a new process.</summary>
    public static RunResult RunApart(RunSpec run, int passes) => Apart<RunResult>(["workload", .. run.ToString().Split(' '), $"passes={passes}"]);

    /// <summary>Runs this program with the words, and with <c>report=FILE</c>, from which it reads what the command left there.</summary>
    public static T Apart<T>(IEnumerable<string> words)
    {
        var file = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!);
            if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
                start.ArgumentList.Add(typeof(Report).Assembly.Location);
            foreach (var word in words)
                start.ArgumentList.Add(word);
            start.ArgumentList.Add($"report={file}");
            using var child = Process.Start(start)!;
            child.WaitForExit();
            if (child.ExitCode is not (0 or 1))
                throw new InvalidOperationException($"{string.Join(' ', words)} ended with exit code {child.ExitCode}");
            return JsonSerializer.Deserialize<T>(File.ReadAllText(file))!;
        }
        finally
        {
            File.Delete(file);
        }
    }
}
