// pgbench moves money: each transaction adds one amount to an account, a teller and a branch and notes it in the history, so the four
// sums are equal after each transaction and at no moment in between. Views of the sums over a replicated source must therefore be
// equal at every time that they show, whatever is killed meanwhile.

using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Materialize.SystemTests.Durability;

/// <summary>pgbench on a real PostgreSQL, replicated, while processes are killed. Throws when anything that was read is not as it must be.</summary>
/// <param name="Scale">Of pgbench: 100 000 accounts each.</param>
/// <param name="Kills">What is killed, in turn, evenly over the run: 'c' a clusterd, 'e' environmentd.</param>
internal sealed record PgbenchRun(int Scale, int Clients, int Seconds, string Kills)
{
    private static readonly string[] Tables = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"];

    private static readonly (string View, string Query)[] Sums =
    [
        ("account_sum", "SELECT coalesce(sum(abalance), 0) AS s FROM pgbench_accounts"),
        ("teller_sum", "SELECT coalesce(sum(tbalance), 0) AS s FROM pgbench_tellers"),
        ("branch_sum", "SELECT coalesce(sum(bbalance), 0) AS s FROM pgbench_branches"),
        ("delta_sum", "SELECT coalesce(sum(delta), 0) AS s FROM pgbench_history"),
    ];

    private const string PerBranch =
        "SELECT b.bid, b.bbalance, count(*) AS accounts, sum(a.abalance) AS abalance FROM pgbench_accounts a JOIN pgbench_branches b ON a.bid = b.bid GROUP BY b.bid, b.bbalance";

    private readonly KilledServer _server = new();
    private long _timesSeen;
    private long _reads;
    private string _shown = "";
    private TimeSpan _longestSilence;

    /// <returns>What was done and seen, for people.</returns>
    public async Task<string> RunAsync()
    {
        await using var upstream = await PostgresUpstream.StartAsync();
        await upstream.PgbenchAsync("-i", "-q", "-s", Scale.ToString(CultureInfo.InvariantCulture));
        await using var postgres = await upstream.OpenAsync();
        foreach (var table in Tables)
            await postgres.DoAsync($"ALTER TABLE {table} REPLICA IDENTITY FULL");
        await postgres.DoAsync("CREATE PUBLICATION mz FOR ALL TABLES");
        await using var server = _server;
        await server.StartAsync();
        await CreateAsync(upstream);

        using var enough = new CancellationTokenSource();
        var watchers = new[] { SubscribeAsync(enough.Token), ReadAsync(enough.Token) };
        await WatchedAsync(Eventually.HoldsAsync("the subscription and the reads see the snapshot", () => Task.FromResult(TimesSeen > 0 && Reads > 0)), watchers);
        var bench = upstream.PgbenchAsync("-c", $"{Clients}", "-T", $"{Seconds}");
        await WatchedAsync(KillAsync(Stopwatch.StartNew()), watchers);
        await WatchedAsync(bench, watchers);

        // Nothing changes upstream any more: when the history has come, everything that was written before it must have, too.
        const string History = "SELECT count(*), coalesce(sum(delta), 0) FROM pgbench_history";
        var expected = await postgres.OneAsync(History);
        await WatchedAsync(Eventually.HoldsAsync("all transactions have arrived", async () => await AskAsync(sql => sql.OneAsync(History)) == expected), watchers);
        var reads = Reads;
        await WatchedAsync(
            Eventually.HoldsAsync("the watchers see the end", () => Task.FromResult(Volatile.Read(ref _shown) == expected.Split('|')[1] && Reads > reads)), watchers);
        await enough.CancelAsync();
        await Task.WhenAll(watchers);
        await CompareAsync(postgres);
        return $"scale {Scale}, {Clients} clients, {Seconds} s: {expected.Split('|')[0]} transactions; the four sums were equal at all {TimesSeen} times "
            + $"of the subscription and in all {Reads} reads; every table and view equals PostgreSQL's own answer at the end. "
            + $"Longest silence of the subscription {_longestSilence.TotalSeconds:F1} s.\n  {string.Join("\n  ", server.Kills)}";
    }

    private long TimesSeen => Interlocked.Read(ref _timesSeen);

    private long Reads => Interlocked.Read(ref _reads);

    /// <summary>What the watchers find wrong ends the run at once.</summary>
    private static async Task WatchedAsync(Task work, Task[] watchers)
    {
        await await Task.WhenAny([work, .. watchers]);
        await work;
    }

    private async Task CreateAsync(PostgresUpstream upstream)
    {
        await using var sql = new Sql(await _server.Current.ConnectAsync());
        await sql.DoAsync(
            $"CREATE CONNECTION pg TO POSTGRES (HOST '127.0.0.1', PORT {upstream.Port}, USER 'postgres', DATABASE 'postgres')",
            "CREATE SOURCE bench FROM POSTGRES CONNECTION pg (PUBLICATION 'mz') FOR ALL TABLES WITH (TIMESTAMP INTERVAL '200ms')");
        foreach (var (view, query) in Sums)
            await sql.DoAsync($"CREATE MATERIALIZED VIEW {view} AS {query}");
        await sql.DoAsync(
            $"CREATE MATERIALIZED VIEW per_branch AS {PerBranch}",
            "CREATE VIEW sums AS SELECT a.s AS a, t.s AS t, b.s AS b, d.s AS d FROM account_sum a, teller_sum t, branch_sum b, delta_sum d");
    }

    /// <summary>At each time that the subscription completes, there is one row, of four equal sums.</summary>
    private Task SubscribeAsync(CancellationToken until) => _server.WhileItLivesAsync(
        async connection =>
        {
            var rows = new Dictionary<string, int>();
            var changed = false;
            var clock = Stopwatch.StartNew();
            var frontier = decimal.Zero;
            using var copy = await connection.BeginTextExportAsync("COPY (SUBSCRIBE (SELECT * FROM sums) WITH (PROGRESS)) TO STDOUT", CancellationToken.None);
            while (!until.IsCancellationRequested)
            {
                var line = await copy.ReadLineAsync(CancellationToken.None) ?? throw new IOException("the subscription has ended");
                var parts = line.Split('\t', 4);
                var time = decimal.Parse(parts[0], CultureInfo.InvariantCulture);
                if (time < frontier)
                    throw new InvalidDataException($"a change at {time} after {frontier} was complete");

                // A time is complete when a later one begins.
                if (changed && time > frontier)
                    Check();
                frontier = time;
                if (parts[1] == "t")
                    continue;
                var count = rows.GetValueOrDefault(parts[3]) + int.Parse(parts[2], CultureInfo.InvariantCulture);
                if (count == 0)
                    rows.Remove(parts[3]);
                else
                    rows[parts[3]] = count;
                changed = true;
            }

            await ((NpgsqlCopyTextReader)copy).CancelAsync();

            void Check()
            {
                changed = false;
                if (rows.Count != 1 || rows.Values.Single() != 1 || rows.Keys.Single().Split('\t').Distinct().Count() != 1)
                    throw new InvalidDataException($"at {frontier} the sums were {string.Join(" and ", rows.Select(r => $"{r.Value} x ({r.Key})"))}");
                Volatile.Write(ref _shown, rows.Keys.Single().Split('\t')[0]);
                Interlocked.Increment(ref _timesSeen);
                _longestSilence = clock.Elapsed > _longestSilence ? clock.Elapsed : _longestSilence;
                clock.Restart();
            }
        },
        until);

    /// <summary>Reads of the views and, in turn, of the tables themselves.</summary>
    private Task ReadAsync(CancellationToken until) => _server.WhileItLivesAsync(
        async connection =>
        {
            var sql = new Sql(connection);
            for (var n = 0; !until.IsCancellationRequested; n++)
            {
                var query = n % 4 == 0
                    ? "SELECT " + string.Join(", ", Sums.Select(s => $"({s.Query})"))
                    : "SELECT a, t, b, d, (SELECT sum(abalance) FROM per_branch), (SELECT sum(bbalance) FROM per_branch) FROM sums";
                var row = await sql.OneAsync(query);
                if (row.Split('|').Distinct().Count() != 1)
                    throw new InvalidDataException($"{query} gave {row}");
                Interlocked.Increment(ref _reads);
            }
        },
        until);

    /// <param name="running">Since the bench began.</param>
    private async Task KillAsync(Stopwatch running)
    {
        var random = new Random();
        for (var i = 0; i < Kills.Length; i++)
        {
            // Not before the last kill has been survived: it is the next one of a working system.
            var (times, reads) = (TimesSeen, Reads);
            var due = TimeSpan.FromSeconds(Seconds) * (i + random.NextDouble()) / Kills.Length;
            await Eventually.HoldsAsync(
                "the watchers see something between two kills", () => Task.FromResult(running.Elapsed >= due && TimesSeen > times && Reads > reads));
            if (Kills[i] == 'c')
                _server.KillClusterds();
            else
                await _server.KillEnvironmentdAsync();
        }
    }

    private async Task CompareAsync(Sql postgres)
    {
        string[] queries =
        [
            "SELECT aid, bid, abalance, filler FROM pgbench_accounts",
            "SELECT bid, bbalance, filler FROM pgbench_branches",
            "SELECT tid, bid, tbalance, filler FROM pgbench_tellers",
            "SELECT tid, bid, aid, delta, mtime, filler FROM pgbench_history",
        ];
        foreach (var query in queries)
            Assert.Equal(await DigestAsync(postgres, query), await AskAsync(sql => DigestAsync(sql, query)));
        foreach (var (view, query) in Sums)
            Assert.Equal(await postgres.OneAsync(query), await AskAsync(sql => sql.OneAsync($"SELECT s FROM {view}")));
        Assert.Equal(await postgres.BagAsync(PerBranch), await AskAsync(sql => sql.BagAsync("SELECT bid, bbalance, accounts, abalance FROM per_branch")));
    }

    /// <summary>How many rows, and a hash of all of them in whatever order.</summary>
    private static async Task<string> DigestAsync(Sql sql, string query)
    {
        using var copy = await sql.Connection.BeginTextExportAsync($"COPY ({query}) TO STDOUT");
        var lines = new List<string>();
        while (await copy.ReadLineAsync() is { } line)
            lines.Add(line);
        lines.Sort(StringComparer.Ordinal);
        return $"{query}: {lines.Count} rows, {Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', lines))))}";
    }

    private Task<T> AskAsync<T>(Func<Sql, Task<T>> question) => Eventually.SucceedsAsync("a read", async () =>
    {
        await using var sql = new Sql(await _server.Current.ConnectAsync());
        return await question(sql);
    });
}
