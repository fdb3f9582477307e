namespace Materialize.SystemTests.Durability;

/// <summary>What was acknowledged outlives the processes.</summary>
public class RestartTests
{
    /// <summary>What the servers of these tests are started with.</summary>
    protected virtual string[] Options => [];

    [Fact]
    public async Task A_tidy_stop_and_start_keeps_the_catalog_and_every_row()
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path, Options))
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

        await using var second = await EnvironmentProcess.StartAsync(directory.Path, Options);
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
        await using var first = await EnvironmentProcess.StartAsync(directory.Path, Options);
        await using var old = new Sql(await first.ConnectAsync());
        await old.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)");
        await using var second = await EnvironmentProcess.StartAsync(directory.Path, Options);
        await first.WaitForExitAsync(Eventually.Patience);
        Assert.True(first.ExitCode == 0, first.Log);
        await using var sql = new Sql(await second.ConnectAsync());
        await sql.DoAsync("INSERT INTO t VALUES (2)");
        Assert.Equal(["1", "2"], await sql.RowsAsync("SELECT a FROM t ORDER BY a"));
    }

    /// <summary>
    /// The time goes on while a view has nobody to maintain it. Its inputs stay readable where its shard ends, also over a start, whose first commit is
    /// beyond their retention before the view's dataflow is there again.
    /// </summary>
    [Fact]
    public async Task A_view_that_has_lagged_over_a_restart_catches_up()
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path, Options))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            await sql.DoAsync(
                "CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)", "CREATE CLUSTER c REPLICAS (r1 (SIZE 'scale=1,workers=1'))",
                "CREATE MATERIALIZED VIEW m IN CLUSTER c AS SELECT count(*) AS n FROM t");
            Assert.Equal("1", await sql.OneAsync("SELECT n FROM m"));
            await sql.DoAsync("DROP CLUSTER REPLICA c.r1", "INSERT INTO t VALUES (2)", "DELETE FROM t WHERE a = 1");
            Assert.Equal(0, await first.StopAsync());
        }

        await using var second = await EnvironmentProcess.StartAsync(directory.Path, Options);
        await using var again = new Sql(await second.ConnectAsync());
        await again.DoAsync("INSERT INTO t VALUES (3), (4)", "CREATE CLUSTER REPLICA c.r2 SIZE 'scale=1,workers=1'");
        Assert.Equal("3", await again.OneAsync("SELECT n FROM m"));
    }
}
