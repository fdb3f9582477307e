// The oracle: every upstream transaction moves an amount from one table to another (or empties both), so the sum of both is zero at every
// time. A part of a transaction, one that is there twice or not at all, shows at the time where it happens, and the final rows must be
// upstream's.

using Materialize.Persist.Location;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Storage.Tests;

public sealed class ConsistencyTests(PostgresServer server)
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Transactions_are_whole_at_every_time_across_lives_of_the_process(int seed)
    {
        var random = new Random(seed);
        var upstream = await NewUpstreamAsync();
        await using var source = new SourceUnderTest(upstream);
        var a = await source.AddAsync("a");
        var b = await source.AddAsync("b");
        var working = WorkAsync(upstream, random.Next(), 400);
        for (var life = 0; life < 10; life++)
        {
            source.Start();
            for (var heard = random.Next(60); heard > 0; heard--)
                await source.NextAsync();
            await source.StopAsync();
        }

        await working;
        source.Start();
        await CheckAsync(upstream, source, a, b, null);
    }

    [Fact]
    public async Task Transactions_are_whole_at_every_time_when_storage_fails_at_random()
    {
        var upstream = await NewUpstreamAsync();
        var faults = new Faults(7, 0.05);
        await using var source = new SourceUnderTest(upstream, faults);
        var a = await source.AddAsync("a");
        var b = await source.AddAsync("b");
        source.Start();
        await WorkAsync(upstream, 7, 300);
        for (var heard = 0; heard < 200; heard++)
            await source.NextAsync();
        faults.FailureShare = 0;
        await CheckAsync(upstream, source, a, b, null);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_table_that_is_added_later_joins_the_history_of_the_others(int seed)
    {
        var upstream = await NewUpstreamAsync();
        await using var source = new SourceUnderTest(upstream);
        var a = await source.AddAsync("a");
        source.Start();
        var working = WorkAsync(upstream, seed, 400, truncates: false);
        for (var heard = 0; heard < 30 + 20 * seed; heard++)
            await source.NextAsync();
        await source.StopAsync();
        var joined = await source.RemapUpperAsync();
        var b = await source.AddAsync("b");
        source.Start();
        if (seed == 2)
        {
            // Again from the start, perhaps in the middle of its snapshot.
            await source.NextAsync();
            await source.NextAsync();
            await source.StopAsync();
            joined = await source.RemapUpperAsync();
            source.Start();
        }

        await working;
        await CheckAsync(upstream, source, a, b, joined);
    }

    [Fact]
    public async Task A_large_transaction_is_staged_and_whole()
    {
        var upstream = await NewUpstreamAsync();
        await using var source = new SourceUnderTest(upstream);
        var a = await source.AddAsync("a");
        var b = await source.AddAsync("b");
        source.Start();
        await source.CaughtUpAsync();
        await upstream.RunAsync("""
            BEGIN; INSERT INTO a SELECT i, i, repeat('pad', 40) FROM generate_series(1000000, 1060000) i;
            INSERT INTO b SELECT i, -i, repeat('pad', 40) FROM generate_series(1000000, 1060000) i; COMMIT
            """);
        await upstream.RunAsync("BEGIN; UPDATE a SET v = v + 1 WHERE id > 1030000; UPDATE b SET v = v - 1 WHERE id > 1030000; COMMIT");
        await CheckAsync(upstream, source, a, b, 0);
    }

    private async Task<Upstream> NewUpstreamAsync()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("""
            CREATE TABLE a (id int, v bigint, pad text); CREATE TABLE b (id int, v bigint, pad text);
            ALTER TABLE a REPLICA IDENTITY FULL; ALTER TABLE b REPLICA IDENTITY FULL;
            INSERT INTO a SELECT i, i, 'x' FROM generate_series(1, 500) i; INSERT INTO b SELECT i, -i, 'x' FROM generate_series(1, 500) i
            """);
        return upstream;
    }

    private static async Task WorkAsync(Upstream upstream, int seed, int transactions, bool truncates = true)
    {
        var random = new Random(seed);
        await using var open = await upstream.OpenAsync();
        for (var i = 0; i < transactions; i++)
        {
            var (id, amount) = (random.Next(1, 500), random.Next(1, 100));
            await Upstream.RunAsync(open, random.Next(12) switch
            {
                0 => $"BEGIN; DELETE FROM a WHERE id % 50 = {id % 50}; DELETE FROM b; INSERT INTO b SELECT id, -v, pad FROM a; COMMIT",
                1 when random.Next(10) == 0 && truncates => "TRUNCATE a, b",
                1 or 2 => $"BEGIN; INSERT INTO a SELECT i, {amount}, repeat('y', 300) FROM generate_series(1, 50) i; SAVEPOINT s; INSERT INTO b VALUES (1, 77, ''); ROLLBACK TO s; INSERT INTO b SELECT i, -{amount}, 'z' FROM generate_series(1, 50) i; COMMIT",
                3 => $"BEGIN; INSERT INTO a VALUES ({id}, {amount}, ''); ROLLBACK",
                _ => $"BEGIN; INSERT INTO a VALUES ({id}, {amount}, ''); INSERT INTO b VALUES ({id}, -{amount}, ''); UPDATE a SET pad = 'u' WHERE id = {id}; COMMIT",
            });
        }
    }

    private static async Task CheckAsync(Upstream upstream, SourceUnderTest source, SourceExport a, SourceExport b, ulong? from)
    {
        // Changes after everything so far was received: there is a history beyond the snapshot, however fast the machine was.
        await source.CaughtUpAsync();
        await WorkAsync(upstream, seed: 1, transactions: 20, truncates: false);
        var asOf = await source.CaughtUpAsync();
        foreach (var export in (SourceExport[])[a, b])
        {
            var expected = await upstream.QueryAsync($"SELECT * FROM {export.UpstreamTable}");
            expected.Sort(StringComparer.Ordinal);
            Assert.Equal(expected, await source.RowsAsync(export, asOf));
        }

        var first = from ?? source.AllJoined;
        var layout = RowLayout.For(a.Metadata.Desc.Type.Columns);
        var sums = new SortedDictionary<ulong, long>();
        foreach (var export in (SourceExport[])[a, b])
        {
            foreach (var (row, time, diff) in await source.HistoryAsync(export, asOf))
                sums[time] = sums.GetValueOrDefault(time) + diff * RowCodec.Unpack(layout, row)[1].AsInt64;
        }

        var total = 0L;
        foreach (var (time, sum) in sums)
        {
            total += sum;
            if (time >= first)
                Assert.True(total == 0, $"at {time} the sum is {total}");
        }

        Assert.True(sums.Count > 1, "there is a history");
    }
}
