using Materialize.Micro;

// Engine workloads (see README.md): `Micro count 10000000 1000000 1000 200`, `Micro join 4000000 4000000 1000 200`,
// `Micro bids 200000 4000000 1000 200`, `Micro arrange 4000000 400`; `Micro all` runs the main sizes, `Micro small` little ones with their checks.
// `passes=3` repeats each in the process (default 1).
var passes = 1;
var words = new List<string>();
foreach (var arg in args)
{
    if (arg.StartsWith("passes=", StringComparison.Ordinal))
        passes = int.Parse(arg["passes=".Length..]);
    else
        words.Add(arg);
}

string[][] runs = words switch
{
    ["all"] =>
    [
        ["arrange", "4000000", "1"], ["arrange", "4000000", "400"], ["count", "10000000", "1000000", "1000", "200"],
        ["join", "4000000", "4000000", "1000", "200"], ["bids", "200000", "4000000", "1000", "200"],
        ["count", "10000000", "1000000", "1", "5000"], ["join", "4000000", "4000000", "2", "5000"], ["bids", "200000", "4000000", "1", "5000"],
    ],
    [] => throw new ArgumentException("say a workload: count, join, bids, arrange, all"),
    _ => [[.. words]],
};

var failed = false;
foreach (var run in runs)
{
    var sizes = run[1..].Select(long.Parse).ToArray();
    for (var pass = 0; pass < passes; pass++)
    {
        var calibration = Calibration.Run();
        using Workload workload = run[0] switch
        {
            "arrange" => new ArrangeWorkload(sizes),
            "count" => new CountWorkload(sizes),
            "join" => new JoinWorkload(sizes),
            "reach" => new GraphWorkload(components: false, sizes),
            "cc" => new GraphWorkload(components: true, sizes),
            "bids" => new BidsWorkload(sizes),
            var other => throw new ArgumentException($"no workload is called {other}"),
        };
        var report = workload.Run();
        Console.WriteLine($"{string.Join(' ', run)}: {report} cal={calibration:F1}ms");
        failed |= !report.IsRight;
    }
}

return failed ? 1 : 0;
