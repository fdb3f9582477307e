namespace Materialize.SystemTests.Durability;

/// <summary>A client that subscribes and does not read.</summary>
public sealed class SlowReaderTests
{
    [Fact]
    public async Task A_subscribe_that_nobody_reads_does_not_grow_the_server_without_bound()
    {
        using var directory = new TemporaryDirectory();
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path);
        await using var sql = new Sql(await environment.ConnectAsync());
        await sql.DoAsync("CREATE TABLE t (a int4, b text)", "INSERT INTO t SELECT x, repeat('x', 2000) FROM generate_series(1, 4000) AS x");
        using var lazy = await RawClient.DialAsync(environment);
        await RawClient.StartupAsync(lazy);
        await lazy.SendAsync(RawClient.Query("COPY (SUBSCRIBE t) TO STDOUT"));
        Assert.NotEqual(0, await lazy.ReceiveAsync(new byte[100]));
        var before = environment.ResidentBytes();

        // 16 MB of changes a round, 640 MB in all: more than the server may keep for one client.
        for (var round = 0; round < 40; round++)
            await sql.DoAsync("UPDATE t SET a = a + 1");
        var after = environment.ResidentBytes();
        Assert.True(after - before < 600L << 20, $"environmentd grew from {before >> 20} MB to {after >> 20} MB");
        Assert.Equal("4000", await sql.OneAsync("SELECT count(*) FROM t"));
    }
}
