// The system's benchmarks, through SQL, against real processes. Prints a table; fails on a wrong result, never on a slow one.
//   dotnet run -c Release --project benchmarks/Scenarios -- [--small] [--workers N] [--programs DIR] [SCENARIO…]

using Materialize.Scenarios;

var (sizes, workers, programs, names) = (Sizes.Full, 2, (string?)null, new List<string>());
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--small":
            sizes = Sizes.Small;
            break;
        case "--workers":
            workers = int.Parse(args[++i], System.Globalization.CultureInfo.InvariantCulture);
            break;
        case "--programs":
            programs = args[++i];
            break;
        default:
            names.Add(args[i]);
            break;
    }
}

(string Name, Func<SystemUnderTest, Sizes, Task<IEnumerable<Figure>>> Run)[] scenarios =
[
    ("reads", ReadScenarios.RunAsync),
    ("freshness", WriteScenarios.InsertToSubscribeAsync),
    ("inserts", WriteScenarios.ParallelInsertsAsync),
    ("bulk", WriteScenarios.BulkAsync),
];
if (names.Find(n => scenarios.All(s => s.Name != n)) is { } unknown)
{
    Console.Error.WriteLine($"no scenario {unknown}; there are {string.Join(", ", scenarios.Select(s => s.Name))}");
    return 2;
}

await using var system = await SystemUnderTest.StartAsync(programs, workers);
Console.WriteLine($"{Environment.ProcessorCount} cores, {workers} workers, .NET {Environment.Version}, load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}");
Console.WriteLine($"| {"scenario",-58} | {"result",14} | detail");
foreach (var scenario in scenarios.Where(s => names.Count == 0 || names.Contains(s.Name)))
{
    foreach (var figure in await scenario.Run(system, sizes))
        Console.WriteLine($"| {figure.Scenario,-58} | {figure.Result,14} | {figure.Detail}");
}

return 0;
