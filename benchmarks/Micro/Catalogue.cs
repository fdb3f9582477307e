using Materialize.Micro.Operators;

namespace Materialize.Micro;

/// <summary>The workloads by name, and the sizes that are reported.</summary>
internal static class Catalogue
{
    /// <summary>Those that every change of the engine should be seen with.</summary>
    public static readonly string[] Main =
    [
        "arrange 4000000 1", "arrange 4000000 400", "count 10000000 1000000 1000 200", "join 4000000 4000000 1000 200", "bids 200000 4000000 1000 200",
        "tpch3 1500000 200 100", "reach 1000000 2000000 10 200", "cc 500000 1000000 10 200",
        "count-text 10000000 1000000 1000 200", "join-text 4000000 4000000 1000 200", "bids-text 200000 4000000 1000 200",
        "max 1000000 100000 1000 200", "max-adversary 1000000 1000 1000 200", "max-adversary 1000000 1 1000 200",
        "top3 1000000 100000 1000 200", "top3-adversary 1000000 1000 1000 200", "top3-adversary 1000000 1 1000 200",
    ];

    /// <summary>The same with rounds of other sizes, and with two workers.</summary>
    public static readonly string[] Sizes =
    [
        "count 10000000 1000000 1 5000", "count 10000000 1000000 20000 50", "join 4000000 4000000 2 5000", "join 4000000 4000000 20000 50",
        "bids 200000 4000000 1 5000", "bids 200000 4000000 20000 50", "max-adversary 1000000 1 1 1000",
        "count 10000000 1000000 1000 200 workers=2", "count 10000000 1000000 20000 50 workers=2", "join 4000000 4000000 1000 200 workers=2", "join 4000000 4000000 20000 50 workers=2",
        "bids 200000 4000000 1000 200 workers=2", "bids 200000 4000000 20000 50 workers=2",
    ];

    /// <summary>Window functions at the partition sizes that matter, against collecting partitions.</summary>
    public static readonly string[] Windows =
    [
        "window-number 1 1000000 20", "window-lag 1 1000000 2000", "window-sum 1 1000000 2000", "window-running 1 1000000 20",
        "window-number 100000 10 5000", "window-lag 100000 10 5000", "window-sum 100000 10 5000", "window-running 100000 10 5000", "window-lag 1000000 1 5000",
        "collect-number 1 1000000 5", "collect-lag 1 1000000 5", "collect-sum 1 1000000 5", "collect-number 100000 10 5000", "collect-lag 100000 10 5000", "collect-sum 100000 10 5000",
    ];

    /// <summary>Each workload at a size of moments: to see that it is right.</summary>
    public static readonly string[] Small =
    [
        "arrange 100000 1", "arrange 100000 20", "count 100000 10000 100 20", "join 40000 40000 100 20", "bids 2000 40000 100 20", "tpch3 15000 20 20", "reach 10000 20000 10 20", "cc 5000 10000 10 20",
        "count-text 100000 10000 100 20", "join-text 40000 40000 100 20", "bids-text 2000 40000 100 20", "count 100000 10000 100 20 workers=2", "join 40000 40000 100 20 workers=2", "bids 2000 40000 100 20 workers=2",
        "max 10000 1000 100 20", "max-adversary 10000 1 100 20", "top3 10000 1000 100 20", "top3-adversary 10000 10 100 20", "small-arrangements 100",
        "window-number 10 1000 20", "window-lag 10 1000 20", "window-sum 10 1000 20", "window-running 10 1000 20", "collect-number 10 1000 20", "collect-lag 10 1000 20", "collect-sum 10 1000 20", "collect-running 10 1000 20",
    ];

    /// <summary>Before an operator's name, as a workload.</summary>
    public const string OperatorPrefix = "operator-";

    private static readonly Entry[] Entries =
    [
        new("arrange", "N E", "N random records arranged by key in E times", sizes => new ArrangeWorkload(sizes)),
        new("count", "N K B R", "count(*) by key of N records over K keys; R rounds of B inserts and B deletes", sizes => new CountWorkload(sizes)),
        new("count-text", "N K B R", "the same, keys being texts of 12 letters in rows of variable width", sizes => new CountWorkload(sizes, text: true)),
        new("join", "N K B R", "two inputs of N records over K keys, joined; R rounds of B updates a side", sizes => new JoinWorkload(sizes)),
        new("join-text", "N K B R", "the same, keys and values being texts", sizes => new JoinWorkload(sizes, text: true)),
        new("bids", "A N B R", "the greatest of N bids on each of A auctions, summed by category; R rounds of B bids", sizes => new BidsWorkload(sizes)),
        new("bids-text", "A N B R", "the same, auctions being known by texts", sizes => new BidsWorkload(sizes, text: true)),
        new("tpch3", "P F R", "TPC-H query 3 over P orders; R rounds of F orders inserted and the F oldest deleted, with their lines", sizes => new TpchWorkload(sizes)),
        new("reach", "N E B R", "nodes reachable from node 0 over E edges of N nodes; R rounds of B edges inserted and B deleted", sizes => new GraphWorkload(components: false, sizes)),
        new("cc", "N E B R", "the least label in each component; rounds as above", sizes => new GraphWorkload(components: true, sizes)),
        new("max", "N K B R", "the greatest of each key's values, of N over K keys; R rounds of B inserts and B deletes of the oldest", sizes => new ExtremesWorkload(1, adversary: false, sizes)),
        new("max-adversary", "N K B R", "the same, but the greatest values are deleted, of one key after the other", sizes => new ExtremesWorkload(1, adversary: true, sizes)),
        new("top3", "N K B R", "the three greatest", sizes => new ExtremesWorkload(3, adversary: false, sizes)),
        new("top3-adversary", "N K B R", "the same, but the greatest values are deleted", sizes => new ExtremesWorkload(3, adversary: true, sizes)),
        new("small-arrangements", "N", "N arrangements of ten rows: the memory that stays", sizes => new SmallArrangementsWorkload(sizes)),
        .. WindowQuery.Functions.Select(f => new Entry($"window-{f}", "P N R", $"{new WindowQuery(f).What}: P of N rows; R rounds of one delete and one insert", sizes => new WindowWorkload(f, collects: false, sizes))),
        .. WindowWorkload.Collected.Select(f => new Entry($"collect-{f}", "P N R", "the same by collecting the partition", sizes => new WindowWorkload(f, collects: true, sizes))),
        .. OperatorCatalogue.All.Select(o => new Entry($"{OperatorPrefix}{o.Name}", "N B R", $"the operator's benchmark: {o.What}", sizes => new OperatorWorkload(o, sizes))),
    ];

    /// <param name="Sizes">Their letters.</param>
    private sealed record Entry(string Name, string Sizes, string What, Func<long[], Workload> Create);

    public static IEnumerable<(string Words, string What)> Described => Entries.Where(e => !e.Name.StartsWith(OperatorPrefix, StringComparison.Ordinal)).Select(e => ($"{e.Name} {e.Sizes}", e.What))
        .Append(($"{OperatorPrefix}NAME N B R", "an operator of `operators` over N rows; R rounds of B inserts and B deletes of the oldest, then single updates"));

    public static Func<Workload> Create(RunSpec run) => () => Find(run.Name).Create([.. run.Sizes]);

    public static string Usage(string name) => $"{name} {Find(name).Sizes}: {Find(name).What}";

    public static void CheckSizes(RunSpec run)
    {
        if (Find(run.Name).Sizes.Split(' ').Length != run.Sizes.Count)
            throw new UsageException($"sizes are wanted as in {Usage(run.Name)}");
        if (!System.Numerics.BitOperations.IsPow2(run.Workers))
            throw new UsageException("workers are 1, 2, 4 …");
    }

    private static Entry Find(string name) =>
        Array.Find(Entries, e => e.Name == name) ?? throw new UsageException($"no workload is called {name}; there are {string.Join(", ", Entries.Select(e => e.Name))}");
}
