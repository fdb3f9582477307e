using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Materialize.Environmentd.Tests;

/// <summary>A server that another program holds: this one.</summary>
public sealed class EmbeddedServerTests : ServerTests
{
    [Fact]
    public async Task It_serves_until_it_is_disposed_of_and_goes_on_when_it_is_started_again()
    {
        int port;
        await using (var server = await StartAsync("data"))
        {
            port = server.SqlEndPoint.Port;
            await using var sql = await OpenAsync(server);
            await DoAsync(sql, "CREATE TABLE t (g int4, v int8)");
            await DoAsync(sql, "CREATE MATERIALIZED VIEW m AS SELECT g, count(*) AS n, sum(v)::int8 AS s FROM t GROUP BY g");
            await DoAsync(sql, "CREATE INDEX i ON m (g)");
            await DoAsync(sql, "INSERT INTO t SELECT x % 3, x FROM generate_series(1, 300) AS x");
            Assert.Equal((100L, 14950L), await RowAsync(sql, "SELECT n, s FROM m WHERE g = 1"));
            using var http = new HttpClient();
            var metrics = await http.GetStringAsync($"{server.HttpAddresses[0]}/metrics");
            Assert.Contains("\nmz_replica_processes 2\n", metrics, StringComparison.Ordinal);
            Assert.Contains("\nmz_compute_collection_count 2\n", metrics, StringComparison.Ordinal);
        }

        using (var client = new TcpClient())
            await Assert.ThrowsAsync<SocketException>(() => client.ConnectAsync(IPAddress.Loopback, port));

        await using (var again = await StartAsync("data"))
        {
            await using var sql = await OpenAsync(again);
            Assert.Equal((100L, 14950L), await RowAsync(sql, "SELECT n, s FROM m WHERE g = 1"));
            await DoAsync(sql, "INSERT INTO t VALUES (1, 50)");
            Assert.Equal((101L, 15000L), await RowAsync(sql, "SELECT n, s FROM m WHERE g = 1"));
        }
    }

    [Fact]
    public async Task Several_in_one_process_know_nothing_of_each_other()
    {
        await using var one = await StartAsync("one");
        await using var two = await StartAsync("two");
        foreach (var (server, value) in new[] { (one, 1), (two, 2) })
        {
            await using var sql = await OpenAsync(server);
            await DoAsync(sql, "CREATE TABLE t (a int8)");
            await DoAsync(sql, "CREATE INDEX i ON t (a)");
            await DoAsync(sql, $"INSERT INTO t VALUES ({value})");
        }

        foreach (var (server, value) in new[] { (one, 1L), (two, 2L) })
        {
            await using var sql = await OpenAsync(server);
            Assert.Equal((1L, value), await RowAsync(sql, "SELECT count(*), max(a) FROM t"));
        }
    }

    [Fact]
    public async Task One_that_is_started_on_the_same_data_takes_over()
    {
        await using var first = await StartAsync("data");
        await using (var sql = await OpenAsync(first))
            await DoAsync(sql, "CREATE TABLE t (a int8)");
        await using var second = await StartAsync("data");
        Assert.Equal("fenced", await first.Ended.WaitAsync(Patience));
        Assert.True(first.WasFenced);
        await first.DisposeAsync();
        await using var other = await OpenAsync(second);
        await DoAsync(other, "INSERT INTO t VALUES (7)");
        Assert.Equal((1L, 7L), await RowAsync(other, "SELECT count(*), max(a) FROM t"));
        Assert.False(second.Ended.IsCompleted);
    }

    [Fact]
    public async Task One_that_cannot_start_leaves_nothing_open()
    {
        using (var taken = new TcpListener(IPAddress.Loopback, 0))
        {
            taken.Start();
            var options = Options("data") with { InternalSqlListenAddress = (IPEndPoint)taken.LocalEndpoint };
            await Assert.ThrowsAnyAsync<Exception>(() => MaterializeServer.StartAsync(options, NullLoggerFactory.Instance, CancellationToken.None));
        }

        await using var server = await StartAsync("data");
        await using var sql = await OpenAsync(server);
        Assert.Equal((1L, 2L), await RowAsync(sql, "SELECT 1::int8, 2::int8"));
        Assert.False(server.Ended.IsCompleted);
    }
}
