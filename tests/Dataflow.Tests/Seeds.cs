using Materialize.Dataflow.Tests.Simulation;

namespace Materialize.Dataflow.Tests;

/// <summary>Runs of many seeds: by tests, a few, and by <c>--seeds N [--first-seed F] [--only graphs|simulation] [--threads T]</c>, as many as wanted.</summary>
internal static class Seeds
{
    /// <summary>Where tests begin; FIRST_SEED in the environment.</summary>
    public static long First => Number("FIRST_SEED", 0);

    /// <summary>How many tests run; SEEDS in the environment.</summary>
    public static long Count(long usually) => Number("SEEDS", usually);

    /// <summary>Runs seeds, each on one thread, on as many threads as there are processors; a failure says which it was and how to run it again.</summary>
    public static void Run(long first, long count, Action<long> run)
    {
        var failures = RunAll(first, count, Environment.ProcessorCount, failuresMax: 1, run, _ => { });
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    /// <summary>Simulates a replica.</summary>
    public static void Simulate(long seed)
    {
        using var simulator = new Simulator(seed, keepText: Environment.GetEnvironmentVariable("EVENTS") is not null);
        try
        {
            simulator.Run();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"after {simulator.Events} events, {simulator.Layout}: {e.Message}\n{string.Join('\n', simulator.Trace.Last)}", e);
        }
    }

    /// <summary>The command of the test program.</summary>
    /// <returns>Its exit code.</returns>
    public static int Command(string[] args)
    {
        var count = Option("--seeds", 1000);
        var first = Option("--first-seed", 0);
        var threads = (int)Option("--threads", Environment.ProcessorCount);
        var only = args.SkipWhile(a => a != "--only").Skip(1).FirstOrDefault();
        (string Name, Action<long> Run)[] kinds = [("graphs", RandomDataflowTests.Run), ("simulation", Simulate)];
        var failed = 0;
        foreach (var (name, run) in kinds.Where(k => only is null || k.Name == only))
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            var failures = RunAll(first, count, threads, failuresMax: 20, run, done =>
            {
                if (done % 10_000 == 0)
                    Console.WriteLine($"{name}: {done} seeds in {clock.Elapsed.TotalSeconds:F0} s");
            });
            foreach (var failure in failures)
                Console.WriteLine($"{name}: {failure}");
            Console.WriteLine($"{name}: {count} seeds from {first} on in {clock.Elapsed.TotalSeconds:F1} s, {failures.Count} failed");
            failed += failures.Count;
        }

        // A failed run has not freed what it held.
        var left = failed == 0 ? Core.Memory.SlabPool.BytesInUse : 0;
        if (left > 0)
            Console.WriteLine($"{left} bytes of slabs are left");
        return failed == 0 && left == 0 ? 0 : 1;

        long Option(string name, long otherwise) => args.SkipWhile(a => a != name).Skip(1).FirstOrDefault() is { } text ? long.Parse(text) : otherwise;
    }

    private static List<string> RunAll(long first, long count, int threads, int failuresMax, Action<long> run, Action<long> onDone)
    {
        var failures = new List<string>();
        var next = first - 1;
        var done = 0L;
        var workers = Enumerable.Range(0, threads).Select(_ => new Thread(() =>
        {
            for (long seed; (seed = Interlocked.Increment(ref next)) < first + count;)
            {
                try
                {
                    run(seed);
                }
                catch (Exception e)
                {
                    var only = run == Simulate ? "simulation" : "graphs";
                    lock (failures)
                    {
                        failures.Add($"seed {seed}: {e.Message}\nagain: dotnet run -c Release --project tests/Dataflow.Tests -- --seeds 1 --first-seed {seed} --only {only}\n{e}");
                        if (failures.Count >= failuresMax)
                            Interlocked.Exchange(ref next, first + count);
                    }
                }

                onDone(Interlocked.Increment(ref done));
            }
        })).ToList();
        workers.ForEach(t => t.Start());
        workers.ForEach(t => t.Join());
        return failures;
    }

    private static long Number(string variable, long otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? long.Parse(text) : otherwise;
}
