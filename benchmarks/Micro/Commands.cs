using System.Globalization;
using System.Text.Json;
using Materialize.Core.Memory;
using Materialize.Micro.Floors;
using Materialize.Micro.Kernels;
using Materialize.Micro.Operators;

namespace Materialize.Micro;

/// <summary>The commands of the command line.</summary>
internal static class Commands
{
    /// <summary>The exit code when the command line says something that does not exist. 0: all results are right; 1: one is wrong.</summary>
    public const int BadUsage = 2;

    private static readonly Command[] All =
    [
        new("workload", "NAME SIZES…", "one workload (names below), compared with plain C# or with what other engines get", ["passes", "report"], Workload),
        new("workloads", "main|sizes|windows|all|small", "the workloads that are reported, each in a process of its own", ["passes", "figures", "table"], Workloads),
        new("operators", "[NAME…] [small]", "each operator: load, rounds of 1000 inserts and deletes, single updates, memory", ["passes", "figures", "table"], RunOperators),
        new("kernels", "[PATTERN…|small]", "what takes nanoseconds to microseconds, by BenchmarkDotNet", ["figures", "table", "report"], RunKernels),
        new("floors", "", "every figure that the engine is held to, against what it must be; some ten minutes", ["passes", "figures", "table"], RunFloors),
        new(LargerThanMemory.Command, "", "a join whose state is three times the memory it may have, against the same in memory", ["rows"], RunLargerThanMemory),
        new("churn", "", "dataflows come and go while a collection is replaced over and over; fails when memory grows", ["minutes"], RunChurn),
        new("hydration-peek", "", "latencies of lookups while another arrangement hydrates", ["rows", "idle"], RunHydrationPeek),
    ];

    private static readonly (string Option, string What)[] Options =
    [
        ("passes=N", "so many runs of each; medians are reported (1; floors: 3)"),
        ("table=FILE", "write the table into that file, between its marks <!-- NAME: begin --> and <!-- NAME: end -->"),
        ("report=FILE", "write the figures as JSON"),
        ("minutes=N", "how long (30)"),
        ("rows=N", "of hydration-peek: rows that hydrate (10000000); of larger-than-memory: rows a side (12000000)"),
        ("figures=FILE", "keep what was measured, and go on with what an earlier run kept"),
        ("idle=N", "seconds of lookups before and after (4)"),
    ];

    /// <exception cref="UsageException">There is no such command, option or workload.</exception>
    public static int Run(string[] args, TextWriter log)
    {
        if (args.Length == 0 || args[0] is "help" or "--help" or "-h")
        {
            PrintHelp(log);
            return args.Length == 0 ? BadUsage : 0;
        }

        var command = Array.Find(All, c => c.Name == args[0])
            ?? throw new UsageException($"no command is called {args[0]}; there are {string.Join(", ", All.Select(c => c.Name))}");
        return command.Run(Parse(command, args[1..]), log);
    }

    private static Arguments Parse(Command command, string[] args)
    {
        var words = new List<string>();
        var options = new Dictionary<string, string>();
        foreach (var arg in args)
        {
            var (name, value) = arg.Split('=', 2) is [var n, var v] ? (n, v) : (arg, null);
            if (value is null || (command.Name == "workload" && name is "workers" or "budget"))
                words.Add(arg);
            else if (!command.Options.Contains(name))
                throw new UsageException($"{command.Name} has no option {name}; {(command.Options.Length == 0 ? "it has none" : $"there are {string.Join(", ", command.Options.Select(o => $"{o}=…"))}")}");
            else
                options[name] = value;
        }

        return new Arguments(words, options);
    }

    private static void PrintHelp(TextWriter log)
    {
        log.WriteLine("Benchmarks of the engine: dotnet run -c Release --project benchmarks/Micro -- COMMAND [WORDS] [OPTIONS]\nThe exit code is 1 if a result is wrong; figures never fail. What they mean: benchmarks/Micro/README.md.\n");
        Print("Commands", All.Select(c => ($"{c.Name} {c.Words}".Trim(), c.What + (c.Options.Length == 0 ? "" : $" ({string.Join(", ", c.Options)})"))));
        Print("Options", Options);
        Print("Workloads, with their sizes; after them workers=N, and budget=MB for less memory than the state takes", Catalogue.Described);

        void Print(string title, IEnumerable<(string Words, string What)> lines)
        {
            log.WriteLine(title + ":");
            foreach (var (words, what) in lines)
                log.WriteLine($"  {words,-28}  {what}");
            log.WriteLine();
        }
    }

    private static int Workload(Arguments arguments, TextWriter log)
    {
        if (arguments.Words.Count == 0)
            throw new UsageException("workload wants a name and sizes");
        var result = WorkloadRunner.RunHere(RunSpec.Parse(string.Join(' ', arguments.Words)), arguments.Number("passes", 1), log);
        arguments.Report(result);
        return result.IsRight ? 0 : 1;
    }

    private static int Workloads(Arguments arguments, TextWriter log)
    {
        string[] runs = arguments.Words switch
        {
            ["main"] => Catalogue.Main,
            ["sizes"] => Catalogue.Sizes,
            ["windows"] => Catalogue.Windows,
            ["all"] => [.. Catalogue.Main, .. Catalogue.Sizes],
            ["small"] => Catalogue.Small,
            var words => throw new UsageException($"workloads wants one of main, sizes, windows, all, small, not \"{string.Join(' ', words)}\""),
        };
        if (arguments.Words[0] == "small")
            return RunSmall(runs.Select(RunSpec.Parse), log);
        var measured = arguments.Measurements(1);
        var results = runs.Select(run => measured[run]).ToList();
        if (arguments.Text("table") is { } table)
            BenchmarkTable.Write(table, results);
        return measured.IsRight ? 0 : 1;
    }

    // Here, one after the other: for results, not for figures.
    private static int RunSmall(IEnumerable<RunSpec> runs, TextWriter log) =>
        runs.Select(run => WorkloadRunner.RunHere(run, 1, log)).ToList().TrueForAll(r => r.IsRight) ? 0 : 1;

    private static int RunOperators(Arguments arguments, TextWriter log)
    {
        var small = arguments.Words.Remove("small");
        var operators = arguments.Words.Count == 0 ? OperatorCatalogue.All : [.. arguments.Words.Select(OperatorCatalogue.Find)];
        if (small)
            return RunSmall(operators.Select(o => OperatorTable.Run(o, small)), log);
        var measured = arguments.Measurements(1);
        Show(arguments, "operators", OperatorTable.Render([.. operators.Select(o => (o, measured[OperatorTable.Run(o).ToString()]))]), log);
        return measured.IsRight ? 0 : 1;
    }

    private static void Show(Arguments arguments, string mark, IEnumerable<string> lines, TextWriter log)
    {
        var all = lines.ToList();
        log.WriteLine(string.Join('\n', all));
        if (arguments.Text("table") is { } table)
            BenchmarkTable.Replace(table, mark, all);
    }

    private static int RunKernels(Arguments arguments, TextWriter log)
    {
        var small = arguments.Words.Contains("small");
        var results = arguments.Text("figures") is null ? KernelBenchmarks.Run([.. arguments.Words.Where(w => w != "small")], small) : arguments.Measurements(1).Kernels;
        arguments.Report(results);
        Show(arguments, "kernels", KernelBenchmarks.Render(results), log);
        return 0;
    }

    private static int RunFloors(Arguments arguments, TextWriter log)
    {
        var measured = arguments.Measurements(3);
        measured.Of(FloorTable.Steady, passes: 1);
        Show(arguments, "floors", FloorTable.Render(measured), log);
        return measured.IsRight ? 0 : 1;
    }

    private static int RunLargerThanMemory(Arguments arguments, TextWriter log)
    {
        var result = LargerThanMemory.Measure(arguments.Number("rows", LargerThanMemory.Rows), passes: 1);
        log.WriteLine(result);
        return result.IsRight ? 0 : 1;
    }

    private static int RunChurn(Arguments arguments, TextWriter log)
    {
        string? growth;
        using (var churn = new Churn())
            growth = churn.Run(TimeSpan.FromMinutes(arguments.Number("minutes", 30)), log);
        var left = SlabPool.BytesInUse;
        log.WriteLine($"{growth ?? "memory is flat"}; {left} bytes of slabs are left in the end");
        return growth is null && left == 0 ? 0 : 1;
    }

    private static int RunHydrationPeek(Arguments arguments, TextWriter log)
    {
        log.WriteLine($"cal={Calibration.Run():F1}ms");
        using var peeks = new HydrationPeek(arguments.Number("rows", 10_000_000), TimeSpan.FromSeconds(arguments.Number("idle", 4)));
        return peeks.Run() ? 0 : 1;
    }

    private sealed record Command(string Name, string Words, string What, string[] Options, Func<Arguments, TextWriter, int> Run);

    private sealed record Arguments(List<string> Words, Dictionary<string, string> Options)
    {
        public string? Text(string option) => Options.GetValueOrDefault(option);

        public int Number(string option, int otherwise) => Text(option) is not { } text
            ? otherwise
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : throw new UsageException($"{option}={text} is no number of at least 1");

        public Measurements Measurements(int passes) => new(Number("passes", passes), Text("figures"));

        public void Report<T>(T figures)
        {
            if (Text("report") is { } file)
                File.WriteAllText(file, JsonSerializer.Serialize(figures));
        }
    }
}
