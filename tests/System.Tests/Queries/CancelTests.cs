namespace Materialize.SystemTests.Queries;

/// <summary>Queries that are not waited for to their end.</summary>
public class CancelTests(SharedServer server)
{
    [Fact]
    public async Task A_cancel_request_ends_a_subscribe()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)");
        await using var command = new NpgsqlCommand("SUBSCRIBE t", sql.Connection);
        using var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => command.ExecuteNonQueryAsync(cancel.Token));
        Assert.Equal("57014", Assert.IsType<PostgresException>(error.InnerException).SqlState);
        Assert.Equal("1", await sql.OneAsync("SELECT 1"));
    }

    [Fact]
    public async Task A_cancel_request_ends_a_long_computation_and_the_cluster_goes_on()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t SELECT * FROM generate_series(1, 3000)");
        await using (var command = new NpgsqlCommand("SELECT count(*) FROM t x, t y, t z WHERE x.a + y.a + z.a = 0", sql.Connection))
        {
            using var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => command.ExecuteNonQueryAsync(cancel.Token));
        }

        Assert.Equal("3000", await sql.OneAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task The_statement_timeout_ends_a_statement()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t SELECT * FROM generate_series(1, 3000)", "SET statement_timeout = '500ms'");
        var error = await sql.FailsAsync("SELECT count(*) FROM t x, t y, t z WHERE x.a + y.a + z.a = 0");
        Assert.Equal("57014", error.SqlState);
        Assert.Contains("statement timeout", error.MessageText, StringComparison.Ordinal);
        await sql.DoAsync("RESET statement_timeout");
        Assert.Equal("3000", await sql.OneAsync("SELECT count(*) FROM t"));
    }
}
