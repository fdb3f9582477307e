using System.Globalization;

namespace Materialize.SystemTests.Durability;

/// <summary>What was acknowledged outlives the processes.</summary>
public sealed class RestartTests
{
    private const int Kills = 4;

    [Fact]
    public async Task No_acknowledged_row_is_lost_or_doubled_while_processes_are_killed()
    {
        using var directory = new TemporaryDirectory();
        var environment = await EnvironmentProcess.StartAsync(directory.Path);
        try
        {
            await using (var sql = new Sql(await environment.ConnectAsync()))
            {
                await sql.DoAsync(
                    "CREATE TABLE rows (n int4 NOT NULL, g int4 NOT NULL)",
                    "CREATE MATERIALIZED VIEW per_group AS SELECT g, count(*) AS c, sum(n) AS s FROM rows GROUP BY g",
                    "CREATE VIEW latest AS SELECT g, max(n) AS m FROM rows GROUP BY g",
                    "CREATE DEFAULT INDEX ON latest");
            }

            var acknowledged = new SortedSet<int>();
            var attempted = 0;
            using var enough = new CancellationTokenSource();
            var current = environment;
            var writer = Task.Run(async () =>
            {
                while (!enough.IsCancellationRequested)
                {
                    try
                    {
                        await using var connection = await Volatile.Read(ref current).ConnectAsync("Command Timeout=20;");
                        while (!enough.IsCancellationRequested)
                        {
                            // A number is tried once: whether an unacknowledged one was written is unknown, and must not matter.
                            var n = ++attempted;
                            await using var insert = new NpgsqlCommand($"INSERT INTO rows VALUES ({n}, {n % 5})", connection);
                            await insert.ExecuteNonQueryAsync();
                            lock (acknowledged)
                                acknowledged.Add(n);
                        }
                    }
                    catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
                    {
                        await Task.Delay(20);
                    }
                }
            });

            var wrong = new List<string>();
            var reader = Task.Run(async () =>
            {
                while (!enough.IsCancellationRequested)
                {
                    try
                    {
                        await using var sql = new Sql(await Volatile.Read(ref current).ConnectAsync("Command Timeout=20;"));
                        while (!enough.IsCancellationRequested)
                        {
                            int[] before;
                            lock (acknowledged)
                                before = [.. acknowledged];
                            await sql.DoAsync("BEGIN");
                            var rows = (await sql.RowsAsync("SELECT n FROM rows")).Select(r => int.Parse(r, CultureInfo.InvariantCulture)).ToHashSet();
                            var total = await sql.OneAsync("SELECT coalesce(sum(c), 0), coalesce(sum(s), 0) FROM per_group");
                            await sql.DoAsync("COMMIT");
                            if (before.FirstOrDefault(n => !rows.Contains(n)) is var missing and not 0)
                                wrong.Add($"{missing} was acknowledged but not read");
                            if (total != $"{rows.Count}|{rows.Sum(n => (long)n)}")
                                wrong.Add($"the view says {total}, its table {rows.Count}|{rows.Sum(n => (long)n)}");
                        }
                    }
                    catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or InvalidOperationException)
                    {
                        // While a process is away, a read may fail, never answer wrongly.
                        await Task.Delay(20);
                    }
                }
            });

            for (var kill = 0; kill < Kills; kill++)
            {
                var goal = Count() + 10;
                await Eventually.HoldsAsync($"{goal} rows acknowledged before kill {kill}", () => Task.FromResult(Count() >= goal));
                if (kill % 2 == 0)
                {
                    environment.KillClusterds();
                }
                else
                {
                    await environment.KillAsync();
                    await environment.DisposeAsync();
                    environment = await EnvironmentProcess.StartAsync(directory.Path);
                    Volatile.Write(ref current, environment);
                }
            }

            var last = Count() + 10;
            await Eventually.HoldsAsync($"{last} rows acknowledged after the last kill", () => Task.FromResult(Count() >= last));
            await enough.CancelAsync();
            await Task.WhenAll(writer, reader);
            Assert.True(wrong.Count == 0, string.Join('\n', wrong.Distinct().Take(20)));

            await using var check = new Sql(await environment.ConnectAsync());
            var found = (await check.RowsAsync("SELECT n FROM rows ORDER BY n")).Select(r => int.Parse(r, CultureInfo.InvariantCulture)).ToList();
            Assert.Equal(found.Count, found.Distinct().Count());
            Assert.Empty(acknowledged.Except(found));
            Assert.All(found, n => Assert.InRange(n, 1, attempted));
            Assert.Equal(
                found.GroupBy(n => n % 5).OrderBy(g => g.Key).Select(g => $"{g.Key}|{g.Count()}|{g.Sum(n => (long)n)}"),
                await check.RowsAsync("SELECT g, c, s FROM per_group ORDER BY g"));
            Assert.Equal(
                found.GroupBy(n => n % 5).OrderBy(g => g.Key).Select(g => $"{g.Key}|{g.Max()}"),
                await check.RowsAsync("SELECT g, m FROM latest ORDER BY g"));

            int Count()
            {
                lock (acknowledged)
                    return acknowledged.Count;
            }
        }
        finally
        {
            await environment.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_tidy_stop_and_start_keeps_the_catalog_and_every_row()
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            await sql.DoAsync(
                "CREATE DATABASE d", "CREATE SCHEMA d.s", "CREATE TABLE d.s.t (a int4 NOT NULL, b text DEFAULT 'x', c numeric(10, 2), j jsonb)",
                "INSERT INTO d.s.t VALUES (1, 'one', 1.5, '{\"k\": [1]}'), (2, NULL, NULL, NULL)",
                "CREATE VIEW d.s.v AS SELECT a, b FROM d.s.t", "CREATE INDEX i ON d.s.v (a)",
                "CREATE MATERIALIZED VIEW d.s.m AS SELECT count(*) AS n, sum(c) AS c FROM d.s.t");
            Assert.Equal("2|1.5", await sql.OneAsync("SELECT n, c FROM d.s.m"));
            Assert.Equal(0, await first.StopAsync());
        }

        await using var second = await EnvironmentProcess.StartAsync(directory.Path);
        await using var again = new Sql(await second.ConnectAsync());
        Assert.Equal([$"1|one|1.5|{{\"k\":[1]}}", $"2|{Sql.Null}|{Sql.Null}|{Sql.Null}"], await again.RowsAsync("SELECT * FROM d.s.t ORDER BY a"));
        await again.DoAsync("INSERT INTO d.s.t (a) VALUES (3)");
        Assert.Equal("3|1.5", await again.OneAsync("SELECT n, c FROM d.s.m"));
        Assert.Equal(["1|one", $"2|{Sql.Null}", "3|x"], await again.RowsAsync("SELECT a, b FROM d.s.v ORDER BY a"));
        Assert.Equal("3|x", await again.OneAsync("SELECT a, b FROM d.s.v WHERE a = 3"));
        await again.DoAsync("DROP DATABASE d CASCADE");
    }

    [Fact]
    public async Task A_second_environmentd_fences_the_first()
    {
        using var directory = new TemporaryDirectory();
        await using var first = await EnvironmentProcess.StartAsync(directory.Path);
        await using var old = new Sql(await first.ConnectAsync());
        await old.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)");
        await using var second = await EnvironmentProcess.StartAsync(directory.Path);
        await first.WaitForExitAsync(Eventually.Patience);
        Assert.True(first.ExitCode == 0, first.Log);
        await using var sql = new Sql(await second.ConnectAsync());
        await sql.DoAsync("INSERT INTO t VALUES (2)");
        Assert.Equal(["1", "2"], await sql.RowsAsync("SELECT a FROM t ORDER BY a"));
    }
}
