using System.Collections.Concurrent;
using Materialize.Catalog;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Materialize.Environmentd.Tests;

/// <summary>What a start makes of data that the last run left in an awkward state.</summary>
public sealed class RestartTests : ServerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Items_that_do_not_plan_are_said_in_the_log_and_refuse_to_be_read_while_all_else_goes_on()
    {
        await using (var server = await StartAsync("data"))
        {
            await using var sql = await OpenAsync(server);
            await DoAsync(sql, "CREATE TABLE t (a int8)");
            await DoAsync(sql, "CREATE VIEW v AS SELECT a + 1 AS b FROM t");
            await DoAsync(sql, "CREATE MATERIALIZED VIEW m AS SELECT b FROM v");
            await DoAsync(sql, "CREATE INDEX i ON v (b)");
            await DoAsync(sql, "CREATE MATERIALIZED VIEW fine AS SELECT count(*) AS n, sum(a)::int8 AS s FROM t");
            await DoAsync(sql, "INSERT INTO t VALUES (1), (2)");
        }

        await RewriteAsync(Options("data").DataDirectory, "v", sql => sql.Replace("+ 1", "+ forgotten(1)", StringComparison.Ordinal));
        var log = new ErrorLog();
        await using (var server = await StartAsync("data", new LoggerFactory([log])))
        {
            foreach (var (name, reason) in new[] { ("v", "function \"forgotten\" does not exist"), ("m", "cannot plan its definition"), ("i", "cannot plan its definition") })
                Assert.Contains(log.Lines, l => l.Contains($"materialize.public.{name} ", StringComparison.Ordinal) && l.Contains(reason, StringComparison.Ordinal));
            await using var sql = await OpenAsync(server);
            await DoAsync(sql, "INSERT INTO t VALUES (3)");
            Assert.Equal((3L, 6L), await RowAsync(sql, "SELECT n, s FROM fine"));
            foreach (var statement in new[] { "SELECT * FROM v", "SELECT * FROM m", "SUBSCRIBE m", "CREATE VIEW w AS SELECT * FROM m", "CREATE INDEX j ON m (b)", "EXPLAIN SELECT * FROM m" })
            {
                var refused = await Assert.ThrowsAsync<PostgresException>(() => DoAsync(sql, statement));
                Assert.Equal("55000", refused.SqlState);
                Assert.Contains("cannot be used: this version cannot plan its definition", refused.MessageText, StringComparison.Ordinal);
            }

            // It can be seen, and what it is made of cannot be pulled away from under it.
            Assert.Equal((1L, 1L), await RowAsync(sql, "SELECT count(*) FILTER (WHERE name = 'v'), count(*) FILTER (WHERE name = 'm') FROM mz_objects"));
            Assert.Equal((1L, 0L), await RowAsync(sql, "SELECT count(*), 0::int8 FROM mz_indexes i JOIN mz_views v ON i.on_id = v.id WHERE i.name = 'i' AND v.name = 'v'"));
            await using (var other = await OpenAsync(server))
            {
                var needed = await Assert.ThrowsAsync<PostgresException>(() => DoAsync(other, "DROP TABLE t"));
                Assert.Contains("still depended upon", needed.MessageText, StringComparison.Ordinal);
            }

            await DoAsync(sql, "DROP VIEW v CASCADE");
            Assert.Equal((0L, 0L), await RowAsync(sql, "SELECT count(*), 0::int8 FROM mz_objects WHERE name IN ('v', 'm', 'i')"));
            await DoAsync(sql, "CREATE VIEW v AS SELECT a + 1 AS b FROM t");
            Assert.Equal((3L, 9L), await RowAsync(sql, "SELECT count(*), sum(b)::int8 FROM v"));
        }
    }

    [Fact]
    public async Task Inputs_stay_readable_where_a_lagging_materialized_view_ends()
    {
        string before;
        await using (var server = await StartAsync("data"))
        {
            await using var sql = await OpenAsync(server);
            await DoAsync(sql, "CREATE CLUSTER nobody REPLICAS ()");
            await DoAsync(sql, "CREATE TABLE t (a int8)");
            await DoAsync(sql, "CREATE MATERIALIZED VIEW m IN CLUSTER nobody WITH (RETAIN HISTORY FOR '1h') AS SELECT count(*) AS n, sum(a)::int8 AS s FROM t");
            await DoAsync(sql, "INSERT INTO t VALUES (1), (2)");
            before = await TextAsync(sql, "SELECT mz_now()::text FROM t LIMIT 1");
            await DoAsync(sql, "INSERT INTO t VALUES (3)");
        }

        // At its start, the table is at once complete up to now: far beyond where the view's shard ends.
        await using var again = await StartAsync("data");
        await using var client = await OpenAsync(again);
        await DoAsync(client, "CREATE CLUSTER REPLICA nobody.r1 SIZE '1'");
        await DoAsync(client, "SET cluster = nobody");
        Assert.Equal((3L, 6L), await RowAsync(client, "SELECT n, s FROM m"));
        Assert.Equal((2L, 3L), await RowAsync(client, $"SELECT n, s FROM m AS OF {before}"));
    }

    private static async Task<string> TextAsync(NpgsqlConnection connection, string query)
    {
        await using var command = new NpgsqlCommand(query, connection);
        return (string)(await command.ExecuteScalarAsync(Cancel))!;
    }

    /// <summary>Changes a stored statement, as if another version had made the item.</summary>
    private static async Task RewriteAsync(string directory, string item, Func<string, string> change)
    {
        using var blob = FileBlob.Open(Path.Combine(directory, "blob"), TimeProvider.System);
        using var consensus = SqliteConsensus.Open(Path.Combine(directory, "consensus.db"), TimeSpan.FromSeconds(30));
        await using var persist = new PersistClient(
            blob, consensus, new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(1), NullLoggerFactory.Instance);
        var shard = new ShardId(new Guid("00000000-0000-4000-8000-000000000001"));
        var catalog = await DurableCatalog.OpenAsync(persist, shard, 0, Cancel);
        var entry = catalog.Entries.Values.OfType<CatalogEntry.Item>().Single(e => e.Name == item);
        var changed = entry with { CreateSql = change(entry.CreateSql) };
        Assert.NotEqual(entry.CreateSql, changed.CreateSql);
        await catalog.CommitAsync([changed], [], Cancel);
    }

    /// <summary>The lines of level error.</summary>
    private sealed class ErrorLog : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                Lines.Enqueue(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
