using System.Globalization;

namespace Materialize.SystemTests.Durability;

/// <summary>A client inserts numbered rows while processes are killed; what was acknowledged must be there, once, in every read.</summary>
/// <param name="Kills">What is killed, in turn: 'c' a clusterd, 'e' environmentd.</param>
/// <param name="RowsMin">At least so many rows are acknowledged, and a read is made, between two kills;</param>
/// <param name="RowsMax">at most so many: how many, chance says.</param>
internal sealed record AcknowledgedRowsRun(string Kills, int RowsMin, int RowsMax)
{
    private readonly KilledServer _server = new();

    // Guarded by itself: the writer adds, the reader looks.
    private readonly SortedSet<int> _acknowledged = [];
    private int _attempted;
    private long _reads;

    /// <returns>What was done and seen, for people.</returns>
    public async Task<string> RunAsync()
    {
        await using var server = _server;
        await server.StartAsync();
        await using (var sql = new Sql(await server.Current.ConnectAsync()))
        {
            await sql.DoAsync(
                "CREATE TABLE rows (n int4 NOT NULL, g int4 NOT NULL)",
                "CREATE MATERIALIZED VIEW per_group AS SELECT g, count(*) AS c, sum(n) AS s FROM rows GROUP BY g",
                "CREATE VIEW latest AS SELECT g, max(n) AS m FROM rows GROUP BY g",
                "CREATE DEFAULT INDEX ON latest");
        }

        using var enough = new CancellationTokenSource();
        var clients = Task.WhenAll(WriteAsync(enough.Token), ReadAsync(enough.Token));
        var killing = KillAsync();

        // A reader that has found something wrong ends the run at once.
        await await Task.WhenAny(killing, clients);
        await killing;
        await enough.CancelAsync();
        await clients;
        await using (var check = new Sql(await server.Current.ConnectAsync()))
            await CheckAsync(check);
        return $"{_attempted} rows tried, {_acknowledged.Count} acknowledged, each of them there once; {Reads} reads, none wrong.\n"
            + $"  {string.Join("\n  ", server.Kills)}";
    }

    private int Count
    {
        get
        {
            lock (_acknowledged)
                return _acknowledged.Count;
        }
    }

    private long Reads => Interlocked.Read(ref _reads);

    private async Task KillAsync()
    {
        var random = new Random();
        foreach (var kill in Kills)
        {
            await MoreRowsAsync($"before the next kill, which is of '{kill}'");
            if (kill == 'c')
                _server.KillClusterds();
            else
                await _server.KillEnvironmentdAsync();
        }

        await MoreRowsAsync("after the last kill");

        async Task MoreRowsAsync(string when)
        {
            var (goal, reads) = (Count + random.Next(RowsMin, RowsMax), Reads);
            try
            {
                await Eventually.HoldsAsync($"{goal} rows acknowledged and a read {when}", () => Task.FromResult(Count >= goal && Reads > reads));
            }
            catch (TimeoutException e)
            {
                throw new TimeoutException($"{e.Message}: {Count} rows, {Reads} reads where there were {reads}\n{_server.State}", e);
            }
        }
    }

    private Task WriteAsync(CancellationToken until) => _server.WhileItLivesAsync(
        async connection =>
        {
            while (!until.IsCancellationRequested)
            {
                // A number is tried once: whether an unacknowledged one was written is unknown, and must not matter.
                var n = ++_attempted;
                await using var insert = new NpgsqlCommand($"INSERT INTO rows VALUES ({n}, {n % 5})", connection);
                await insert.ExecuteNonQueryAsync(CancellationToken.None);
                lock (_acknowledged)
                    _acknowledged.Add(n);
            }
        },
        until);

    private Task ReadAsync(CancellationToken until) => _server.WhileItLivesAsync(
        async connection =>
        {
            var sql = new Sql(connection);
            while (!until.IsCancellationRequested)
            {
                int[] before;
                lock (_acknowledged)
                    before = [.. _acknowledged];
                await sql.DoAsync("BEGIN");
                var rows = (await sql.RowsAsync("SELECT n FROM rows")).Select(r => int.Parse(r, CultureInfo.InvariantCulture)).ToHashSet();
                var total = await sql.OneAsync("SELECT coalesce(sum(c), 0), coalesce(sum(s), 0) FROM per_group");
                await sql.DoAsync("COMMIT");
                if (before.FirstOrDefault(n => !rows.Contains(n)) is var missing and not 0)
                    throw new InvalidDataException($"{missing} was acknowledged but not read");
                if (total != $"{rows.Count}|{rows.Sum(n => (long)n)}")
                    throw new InvalidDataException($"the view says {total}, its table {rows.Count}|{rows.Sum(n => (long)n)}");
                Interlocked.Increment(ref _reads);
            }
        },
        until);

    private async Task CheckAsync(Sql check)
    {
        var found = (await check.RowsAsync("SELECT n FROM rows ORDER BY n")).Select(r => int.Parse(r, CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(found.Count, found.Distinct().Count());
        Assert.Empty(_acknowledged.Except(found));
        Assert.All(found, n => Assert.InRange(n, 1, _attempted));
        Assert.Equal(
            found.GroupBy(n => n % 5).OrderBy(g => g.Key).Select(g => $"{g.Key}|{g.Count()}|{g.Sum(n => (long)n)}"),
            await check.RowsAsync("SELECT g, c, s FROM per_group ORDER BY g"));
        Assert.Equal(
            found.GroupBy(n => n % 5).OrderBy(g => g.Key).Select(g => $"{g.Key}|{g.Max()}"),
            await check.RowsAsync("SELECT g, m FROM latest ORDER BY g"));
    }
}
