namespace Materialize.SystemTests.Queries;

/// <summary>What a transaction may hold, and what is left of it.</summary>
public class TransactionTests(SharedServer server)
{
    [Fact]
    public async Task A_commit_shows_all_writes_and_a_rollback_none()
    {
        await using var sql = await server.OpenAsync();
        await using var other = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "CREATE TABLE u (a int4)");
        await sql.DoAsync("BEGIN", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)");
        Assert.Equal(0, await other.NumberAsync("SELECT count(*) FROM t"));
        await sql.DoAsync("COMMIT");
        Assert.Equal(2, await other.NumberAsync("SELECT count(*) FROM t"));
        await sql.DoAsync("BEGIN", "INSERT INTO t VALUES (3)", "ROLLBACK");
        Assert.Equal(2, await other.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Reads_of_one_transaction_see_one_time()
    {
        await using var sql = await server.OpenAsync();
        await using var other = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)", "BEGIN");
        Assert.Equal(1, await sql.NumberAsync("SELECT count(*) FROM t"));
        await other.DoAsync("INSERT INTO t VALUES (2)");
        Assert.Equal(1, await sql.NumberAsync("SELECT count(*) FROM t"));
        await sql.DoAsync("COMMIT");
        Assert.Equal(2, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Reads_and_writes_do_not_mix()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)", "BEGIN", "SELECT * FROM t");
        Assert.Equal("25000", (await sql.FailsAsync("INSERT INTO t VALUES (1)")).SqlState[..2] + "000");
        Assert.Equal("25P02", (await sql.FailsAsync("SELECT 1")).SqlState);
        await sql.DoAsync("ROLLBACK", "BEGIN", "INSERT INTO t VALUES (1)");
        await sql.FailsAsync("SELECT * FROM t");
        await sql.DoAsync("ROLLBACK");
        Assert.Equal(0, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task A_failed_transaction_ends_as_a_rollback()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)", "BEGIN", "INSERT INTO t VALUES (1)");
        await sql.FailsAsync("INSERT INTO t VALUES ('x')");
        await sql.DoAsync("COMMIT");
        Assert.Equal(0, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Statements_of_one_message_are_one_transaction()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)");
        var (output, _) = await Psql.RunAsync(
            server.Environment, "", "-c", $"INSERT INTO {sql.Schema}.t VALUES (1); INSERT INTO {sql.Schema}.t VALUES ('x')");
        Assert.Contains("ERROR", output, StringComparison.Ordinal);
        Assert.Equal(0, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Concurrent_updates_of_one_row_are_all_applied()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (0)");
        var writers = new List<Sql>();
        for (var i = 0; i < 4; i++)
            writers.Add(await server.OpenBesideAsync(sql));
        await Task.WhenAll(writers.Select(async writer =>
        {
            for (var i = 0; i < 5; i++)
                await writer.DoAsync("UPDATE t SET a = a + 1");
            await writer.DisposeAsync();
        }));
        Assert.Equal("20", await sql.OneAsync("SELECT a FROM t"));
    }
}
