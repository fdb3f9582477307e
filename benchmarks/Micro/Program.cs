using Materialize.Micro;

// Engine workloads (see README.md): `Micro count 10000000 1000000 1000 200`; `Micro all` runs every size, `Micro main` those at B = 1000, `Micro small` little ones.
// `passes=3` repeats each in the process (default 1); `table=FILE` writes the medians as a table into that file, between its marks.
var passes = 1;
string? table = null;
var words = new List<string>();
foreach (var arg in args)
{
    if (arg.StartsWith("passes=", StringComparison.Ordinal))
        passes = int.Parse(arg["passes=".Length..]);
    else if (arg.StartsWith("table=", StringComparison.Ordinal))
        table = arg["table=".Length..];
    else
        words.Add(arg);
}

string[] runs = words switch
{
    ["main"] => [.. Catalogue.Main],
    ["all"] => [.. Catalogue.Main, .. Catalogue.OtherSizes],
    ["small"] => [.. Catalogue.Small],
    [] => throw new ArgumentException("say a workload and its sizes, or all, main, small"),
    _ => [string.Join(' ', words)],
};

var failed = false;
var lines = new List<TableLine>();
foreach (var run in runs)
{
    var reports = new List<Report>();
    for (var pass = 0; pass < passes; pass++)
    {
        var calibration = Calibration.Run();
        using var workload = Catalogue.Create(run);
        var report = workload.Run() with { Calibration = calibration };
        Console.WriteLine($"{run}: {report} cal={calibration:F1}ms");
        failed |= !report.IsRight;
        reports.Add(report);
    }

    lines.Add(new TableLine(run, reports));
}

if (table is not null)
    BenchmarkTable.Write(table, lines);
return failed ? 1 : 0;
