using System.Diagnostics;
using System.Text.Json;
using Materialize.Micro;
using Materialize.Micro.Kernels;

// Engine workloads (see README.md): `Micro count 10000000 1000000 1000 200`; `Micro all` runs every size, `Micro main` (or nothing) those at B = 1000, `Micro small` little ones.
// `passes=3` repeats each in its process (default 1); `table=FILE` writes the medians as a table into that file, between its marks.
// `kernels` runs what BenchmarkDotNet measures, `kernels small` each once; also with `table=FILE`, and else with arguments of BenchmarkDotNet's (`kernels --filter *Exchange*`).
if (args is ["kernels", .. var rest])
{
    var file = rest.FirstOrDefault(a => a.StartsWith("table=", StringComparison.Ordinal))?["table=".Length..];
    KernelBenchmarks.Run([.. rest.Where(a => a != "small" && !a.StartsWith("table=", StringComparison.Ordinal))], small: rest.Contains("small"), file);
    return 0;
}

var passes = 1;
string? table = null;
string? reportTo = null;
var words = new List<string>();
foreach (var arg in args)
{
    if (arg.StartsWith("passes=", StringComparison.Ordinal))
        passes = int.Parse(arg["passes=".Length..]);
    else if (arg.StartsWith("table=", StringComparison.Ordinal))
        table = arg["table=".Length..];
    else if (arg.StartsWith("report=", StringComparison.Ordinal))
        reportTo = arg["report=".Length..];
    else
        words.Add(arg);
}

string[] runs = words switch
{
    ["main"] => [.. Catalogue.Main],
    ["all"] => [.. Catalogue.Main, .. Catalogue.OtherSizes],
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

List<Report> RunApart(string run)
{
    var file = Path.GetTempFileName();
    var start = new ProcessStartInfo(Environment.ProcessPath!);
    foreach (var word in run.Split(' '))
        start.ArgumentList.Add(word);
    start.ArgumentList.Add($"passes={passes}");
    start.ArgumentList.Add($"report={file}");
    using var child = Process.Start(start)!;
    child.WaitForExit();
    if (child.ExitCode is not (0 or 1))
        throw new InvalidOperationException($"{run} ended with exit code {child.ExitCode}");
    var reports = JsonSerializer.Deserialize<List<Report>>(File.ReadAllText(file))!;
    File.Delete(file);
    return reports;
}
