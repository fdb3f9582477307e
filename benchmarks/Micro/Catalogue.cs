namespace Materialize.Micro;

/// <summary>The workloads by name, and the sizes that are reported.</summary>
internal static class Catalogue
{
    public static readonly string[] Main =
    [
        "arrange 4000000 1", "arrange 4000000 400", "count 10000000 1000000 1000 200", "join 4000000 4000000 1000 200", "bids 200000 4000000 1000 200",
        "tpch3 1500000 200 100", "reach 1000000 2000000 10 200", "cc 500000 1000000 10 200", "deletemax 1000000 1000",
        "count-text 10000000 1000000 1000 200", "join-text 4000000 4000000 1000 200", "bids-text 200000 4000000 1000 200",
    ];

    public static readonly string[] OtherSizes =
    [
        "count 10000000 1000000 1 5000", "count 10000000 1000000 20000 50", "join 4000000 4000000 2 5000", "join 4000000 4000000 20000 50",
        "bids 200000 4000000 1 5000", "bids 200000 4000000 20000 50",
    ];

    public static readonly string[] Small =
    [
        "arrange 100000 1", "arrange 100000 20", "count 100000 10000 100 20", "join 40000 40000 100 20", "bids 2000 40000 100 20", "tpch3 15000 20 20", "reach 10000 20000 10 20", "cc 5000 10000 10 20",
        "deletemax 10000 100", "window-number 10 1000 20", "window-lag 10 1000 20", "window-sum 10 1000 20", "window-running 10 1000 20", "count-text 100000 10000 100 20", "join-text 40000 40000 100 20", "bids-text 2000 40000 100 20",
    ];

    public static readonly string[] Windows =
    [
        "window-number 1 1000000 20", "window-lag 1 1000000 2000", "window-sum 1 1000000 2000", "window-running 1 1000000 20",
        "window-number 100000 10 5000", "window-lag 100000 10 5000", "window-sum 100000 10 5000", "window-running 100000 10 5000", "window-lag 1000000 1 5000",
        "collect-number 1 1000000 5", "collect-lag 1 1000000 5", "collect-sum 1 1000000 5", "collect-number 100000 10 5000", "collect-lag 100000 10 5000", "collect-sum 100000 10 5000",
    ];

    /// <param name="run">A name and its sizes.</param>
    public static Workload Create(string run)
    {
        var words = run.Split(' ');
        var sizes = words[1..].Select(long.Parse).ToArray();
        return words[0] switch
        {
            "arrange" => new ArrangeWorkload(sizes),
            "count" => new CountWorkload(sizes),
            "count-text" => new CountWorkload(sizes, text: true),
            "join" => new JoinWorkload(sizes),
            "join-text" => new JoinWorkload(sizes, text: true),
            "bids" => new BidsWorkload(sizes),
            "bids-text" => new BidsWorkload(sizes, text: true),
            "tpch3" => new TpchWorkload(sizes),
            "reach" => new GraphWorkload(components: false, sizes),
            "cc" => new GraphWorkload(components: true, sizes),
            "deletemax" => new DeleteMaxWorkload(sizes),
            var window when window.StartsWith("window-", StringComparison.Ordinal) => new WindowWorkload(words[0]["window-".Length..], collects: false, sizes),
            var collect when collect.StartsWith("collect-", StringComparison.Ordinal) => new WindowWorkload(words[0]["collect-".Length..], collects: true, sizes),
            var other => throw new ArgumentException($"no workload is called {other}"),
        };
    }
}
