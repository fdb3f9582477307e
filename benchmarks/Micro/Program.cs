using System.Diagnostics;
using System.Text.Json;
using Materialize.Core.Memory;
using Materialize.Micro;
using Materialize.Micro.Kernels;

// Engine workloads (see README.md): `Micro count 10000000 1000000 1000 200`; `Micro all` runs every size, `Micro main` (or nothing) those at B = 1000, `Micro small` little ones.
// `budget=64` gives the state of one workload 64 MB of memory and scratch files for the rest, and compares with the same in memory.
// `passes=3` repeats each in its process (default 1); `table=FILE` writes the medians as a table into that file, between its marks.
// `churn [minutes=30]` creates and drops dataflows for so long and fails when memory grows; `hydration-peek [rows=10000000] [idle=4]` measures lookups while that many rows hydrate, and for so many seconds before and after.
// `kernels` runs what BenchmarkDotNet measures, `kernels small` each once; also with `table=FILE`, and else with arguments of BenchmarkDotNet's (`kernels --filter *Exchange*`).
if (args is ["kernels", .. var rest])
{
    var file = rest.FirstOrDefault(a => a.StartsWith("table=", StringComparison.Ordinal))?["table=".Length..];
    KernelBenchmarks.Run([.. rest.Where(a => a != "small" && !a.StartsWith("table=", StringComparison.Ordinal))], small: rest.Contains("small"), file);
    return 0;
}

if (args is ["churn", .. var churnWords])
{
    string? growth;
    using (var churn = new Churn())
        growth = churn.Run(TimeSpan.FromMinutes(Number(churnWords, "minutes", 30)), Console.Out);
    var left = SlabPool.BytesInUse;
    Console.WriteLine($"{growth ?? "memory is flat"}; {left} bytes of slabs are left in the end");
    return growth is null && left == 0 ? 0 : 1;
}

if (args is ["hydration-peek", .. var peekWords])
{
    Console.WriteLine($"cal={Calibration.Run():F1}ms");
    using var peeks = new HydrationPeek((long)Number(peekWords, "rows", 10_000_000), TimeSpan.FromSeconds(Number(peekWords, "idle", 4)));
    return peeks.Run() ? 0 : 1;
}

var passes = 1;
string? table = null;
string? reportTo = null;
string? budget = null;
var words = new List<string>();
foreach (var arg in args)
{
    if (arg.StartsWith("passes=", StringComparison.Ordinal))
        passes = int.Parse(arg["passes=".Length..]);
    else if (arg.StartsWith("table=", StringComparison.Ordinal))
        table = arg["table=".Length..];
    else if (arg.StartsWith("report=", StringComparison.Ordinal))
        reportTo = arg["report=".Length..];
    else if (arg.StartsWith("budget=", StringComparison.Ordinal))
        budget = arg["budget=".Length..];
    else
        words.Add(arg);
}

if (budget is not null && reportTo is null)
    return CompareWithBudget(string.Join(' ', words));
using var scratch = budget is null ? null : UseScratch();
string[] runs = words switch
{
    ["main"] => [.. Catalogue.Main],
    ["all"] => [.. Catalogue.Main, .. Catalogue.OtherSizes],
    ["windows"] => [.. Catalogue.Windows],
    ["small"] => [.. Catalogue.Small],
    [] => [.. Catalogue.Main],
    _ => [string.Join(' ', words)],
};

var failed = false;
var lines = new List<TableLine>();
foreach (var run in runs)
{
    // Each of several in a process of its own, so that its peak memory is its own.
    var reports = runs.Length > 1 ? RunApart(run) : RunHere(run);
    failed |= !reports.TrueForAll(r => r.IsRight);
    lines.Add(new TableLine(run, reports));
}

if (reportTo is not null)
    File.WriteAllText(reportTo, JsonSerializer.Serialize(lines[0].Reports));
if (table is not null)
    BenchmarkTable.Write(table, lines);
return failed ? 1 : 0;

static double Number(string[] words, string name, double otherwise) =>
    words.FirstOrDefault(w => w.StartsWith(name + "=", StringComparison.Ordinal)) is { } word ? double.Parse(word[(name.Length + 1)..]) : otherwise;

int CompareWithBudget(string run)
{
    // In processes of their own: peaks of memory are a process's.
    var free = RunApart(run);
    var limited = RunApart(run, $"budget={budget}");
    var (a, b) = (new TableLine(run, free), new TableLine(run, limited));
    Console.WriteLine(
        $"{run}: within {budget} MB load takes {a.Median(r => r.LoadRate) / b.Median(r => r.LoadRate):F2} times as long (processor {a.Median(r => r.LoadCpuRate) / b.Median(r => r.LoadCpuRate):F2}), "
        + $"rounds {a.Median(r => r.UpdateRate) / b.Median(r => r.UpdateRate):F2} (processor {a.Median(r => r.UpdateCpuRate) / b.Median(r => r.UpdateCpuRate):F2}), "
        + $"peak {free.Max(r => r.PeakMb)} → {limited.Max(r => r.PeakMb)} MB");
    return free.Concat(limited).All(r => r.IsRight) && free[0].Sum == limited[0].Sum && free[0].Rows == limited[0].Rows ? 0 : 1;
}

IDisposable UseScratch() => SlabPool.UseScratch(new ScratchOptions(
    Environment.GetEnvironmentVariable("SCRATCH") ?? Path.GetTempPath(), long.Parse(budget) << 20, long.MaxValue, reason => Console.Error.WriteLine(reason)));

List<Report> RunHere(string run)
{
    var reports = new List<Report>();
    for (var pass = 0; pass < passes; pass++)
    {
        var calibration = Calibration.Run();
        using var workload = Catalogue.Create(run);
        var report = workload.Run() with { Calibration = calibration };
        Console.WriteLine($"{run}: {report} cal={calibration:F1}ms");
        reports.Add(report);
    }

    return reports;
}

List<Report> RunApart(string run, params string[] more)
{
    var file = Path.GetTempFileName();
    var start = new ProcessStartInfo(Environment.ProcessPath!);
    if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        start.ArgumentList.Add(typeof(Report).Assembly.Location);
    foreach (var word in run.Split(' '))
        start.ArgumentList.Add(word);
    start.ArgumentList.Add($"passes={passes}");
    start.ArgumentList.Add($"report={file}");
    foreach (var arg in more)
        start.ArgumentList.Add(arg);
    using var child = Process.Start(start)!;
    child.WaitForExit();
    if (child.ExitCode is not (0 or 1))
        throw new InvalidOperationException($"{run} ended with exit code {child.ExitCode}");
    var reports = JsonSerializer.Deserialize<List<Report>>(File.ReadAllText(file))!;
    File.Delete(file);
    return reports;
}
