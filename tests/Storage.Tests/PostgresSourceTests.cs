using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Storage.Tests;

public sealed class PostgresSourceTests(PostgresServer server)
{
    private const string Types = """
        CREATE TABLE t (id int PRIMARY KEY, b bool, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric(12,3), t text, v varchar(9), c char(5),
            d date, tm time, ts timestamp, tz timestamptz, iv interval, by bytea, u uuid, j jsonb, a int[], ta text[], r int4range);
        ALTER TABLE t REPLICA IDENTITY FULL
        """;

    private const string SomeRows = """
        INSERT INTO t SELECT i, i % 2 = 0, i, i * 1000000007::bigint, i / 4.0, i / 8.0, i / 7.0, E'tab\t back\\slash\n "' || i, left('v' || i, 9), 'c' || i % 9,
            '2024-02-29'::date + i, '01:02:03.456789'::time, '2001-02-03 04:05:06.7'::timestamp, '2001-02-03 04:05:06+02'::timestamptz, '1 day 02:03:04.5'::interval,
            decode('00ff5c', 'hex'), ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, jsonb_build_object('k', i, 'l', jsonb_build_array(1, null)),
            ARRAY[i, null, 3], ARRAY['a,b', 'null', E'q"'], int4range(i, i + 5)
        FROM generate_series({0}, {1}) i
        """;

    [Fact]
    public async Task Snapshot_and_changes_of_every_type_are_the_upstream_rows()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync(Types);
        await upstream.RunAsync(string.Format(SomeRows, 1, 3000));
        await upstream.RunAsync("INSERT INTO t (id, f4, f8, n, tz) VALUES (-1, 'NaN', '-Infinity', 'NaN', null), (-2, -0.0, 1e300, 0, null)");
        await using var source = new SourceUnderTest(upstream);
        var t = await source.AddAsync("t");
        source.Start();
        await EqualAsync();
        await upstream.RunAsync(string.Format(SomeRows, 3001, 3100));
        await upstream.RunAsync("UPDATE t SET n = n + 1, t = null WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0; UPDATE t SET id = id + 100000 WHERE id % 7 = 0");
        await EqualAsync();

        // A value that is stored out of line and left alone by an update comes from the old row.
        await upstream.RunAsync("INSERT INTO t (id, t) SELECT 900000, string_agg(md5(i::text), '') FROM generate_series(1, 5000) i");
        await upstream.RunAsync("UPDATE t SET b = true WHERE id = 900000");
        await EqualAsync();

        async Task EqualAsync()
        {
            var expected = await upstream.QueryAsync("SET intervalstyle = postgres; SET timezone = UTC; SELECT t.* FROM t");
            var actual = await source.RowsAsync(t, await source.CaughtUpAsync());
            Assert.Equal(expected.Count, actual.Count);
            Assert.Equal(Normalised(expected), Normalised(actual));
        }

        // The two differ in how they write these, not in what they mean: see the text forms of Repr.
        static List<string> Normalised(List<string> rows) =>
            [.. rows.Select(r => r.Replace(": ", ":").Replace(", ", ",").Replace(".000|", "|").Replace("-0|", "0|")).Select(TrimNumeric).Order(StringComparer.Ordinal)];

        static string TrimNumeric(string row)
        {
            var fields = row.Split('|');
            if (fields[6].Contains('.'))
                fields[6] = fields[6].TrimEnd('0').TrimEnd('.');
            fields[5] = fields[5] == "1e+300" ? "1e300" : fields[5];
            return string.Join('|', fields);
        }
    }

    [Fact]
    public async Task Truncate_empties_the_table_within_its_transaction()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t SELECT generate_series(1, 20000)");
        await using var source = new SourceUnderTest(upstream);
        var t = await source.AddAsync("t");
        source.Start();
        Assert.Equal(20000, (await source.RowsAsync(t, await source.CaughtUpAsync())).Count);
        await upstream.RunAsync("BEGIN; INSERT INTO t VALUES (-1); TRUNCATE t; INSERT INTO t VALUES (7); COMMIT; INSERT INTO t VALUES (8)");
        Assert.Equal(["7", "8"], await source.RowsAsync(t, await source.CaughtUpAsync()));
        await upstream.RunAsync("TRUNCATE t; TRUNCATE t");
        Assert.Empty(await source.RowsAsync(t, await source.CaughtUpAsync()));
    }

    [Fact]
    public async Task Added_columns_are_ignored_and_other_tables_go_on_when_one_cannot_be_followed()
    {
        var upstream = await server.NewDatabaseAsync();
        foreach (var table in (string[])["good", "dropped", "retyped", "narrowed", "partial", "keyed"])
            await upstream.RunAsync($"CREATE TABLE {table} (id int PRIMARY KEY, v text); ALTER TABLE {table} REPLICA IDENTITY FULL; INSERT INTO {table} VALUES (1, 'one')");
        await upstream.RunAsync("ALTER TABLE keyed REPLICA IDENTITY DEFAULT");
        await using var source = new SourceUnderTest(upstream);
        var good = await source.AddAsync("good");
        var dropped = await source.AddAsync("dropped");
        var retyped = await source.AddAsync("retyped");
        var narrowed = await source.AddAsync("narrowed");
        var partial = await source.AddAsync("partial");
        var keyed = await source.AddAsync("keyed");
        source.Start();
        var ceased = await source.StatusAsync(keyed.Id, "ceased");
        Assert.Contains("REPLICA IDENTITY FULL", ceased.Error);
        Assert.Contains("REPLICA IDENTITY FULL", Assert.Single(await source.ErrorsAsync(keyed)).Message);
        await source.CaughtUpAsync();

        // With a write after it, the stream tells.
        await upstream.RunAsync("ALTER TABLE retyped ALTER COLUMN v TYPE varchar(3); INSERT INTO retyped VALUES (2, 'two')");
        Assert.Contains("type of column \"v\"", (await source.StatusAsync(retyped.Id, "ceased")).Error);

        // Without one, a look at the catalog does.
        await upstream.RunAsync("DROP TABLE dropped");
        Assert.Contains("dropped upstream", (await source.StatusAsync(dropped.Id, "ceased")).Error);
        await upstream.RunAsync("ALTER TABLE narrowed RENAME COLUMN v TO w");
        Assert.Contains("column \"v\"", (await source.StatusAsync(narrowed.Id, "ceased")).Error);
        await upstream.RunAsync("ALTER TABLE partial REPLICA IDENTITY NOTHING; INSERT INTO partial VALUES (2, 'two')");
        await source.StatusAsync(partial.Id, "ceased");
        foreach (var failed in (SourceExport[])[retyped, dropped, narrowed, partial])
            Assert.Single(await source.ErrorsAsync(failed));

        await upstream.RunAsync("ALTER TABLE good ADD COLUMN more int DEFAULT 5; INSERT INTO good VALUES (2, 'two', 6)");
        Assert.Equal(["1|one", "2|two"], await source.RowsAsync(good, await source.CaughtUpAsync()));

        // A new life finds them closed and leaves them so.
        await source.StopAsync();
        await upstream.RunAsync("INSERT INTO good VALUES (3, 'three')");
        source.Start();
        Assert.Equal(3, (await source.RowsAsync(good, await source.CaughtUpAsync())).Count);
        Assert.Single(await source.ErrorsAsync(keyed));
    }

    [Fact]
    public async Task A_value_without_a_place_is_an_error_of_its_table()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("CREATE TABLE t (id int, d numeric); CREATE TABLE u (id int); ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE u REPLICA IDENTITY FULL");
        await using var source = new SourceUnderTest(upstream);
        var t = await source.AddAsync("t");
        var u = await source.AddAsync("u");
        source.Start();
        await source.CaughtUpAsync();
        await upstream.RunAsync("BEGIN; INSERT INTO u VALUES (1); INSERT INTO t VALUES (1, 1e60 + 1); COMMIT");
        await source.StatusAsync(t.Id, "ceased");
        Assert.Contains("numeric", Assert.Single(await source.ErrorsAsync(t)).Message);
        Assert.Equal(["1"], await source.RowsAsync(u, await source.CaughtUpAsync()));
    }

    [Fact]
    public async Task An_upstream_that_is_away_stalls_the_source_until_it_is_back()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1)");
        await using var source = new SourceUnderTest(upstream) { Database = "nowhere" };
        var t = await source.AddAsync("t");
        source.Start();
        var stalled = await source.StatusAsync(source.Id, "stalled");
        Assert.Contains("\"nowhere\" does not exist", stalled.Error);
        Assert.DoesNotContain("s3cret", stalled.Error);
        await source.StopAsync();
        source.Database = upstream.Database;
        source.Start();
        await source.CaughtUpAsync();

        await upstream.RunAsync("INSERT INTO t VALUES (2)");
        await upstream.RunAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{source.Slot}'");
        await source.StatusAsync(source.Id, "stalled");
        await source.StatusAsync(source.Id, "running");
        await upstream.RunAsync("INSERT INTO t VALUES (3)");
        Assert.Equal(["1", "2", "3"], await source.RowsAsync(t, await source.CaughtUpAsync()));

        // Lost for good: said, and tried for ever.
        await source.StopAsync();
        await upstream.RunAsync($"SELECT pg_drop_replication_slot('{source.Slot}')");
        source.Start();
        Assert.Contains(source.Slot, (await source.StatusAsync(source.Id, "stalled")).Error);
    }

    [Fact]
    public async Task A_slot_that_a_connection_of_another_life_still_reads_from_is_taken()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1)");
        await using var source = new SourceUnderTest(upstream);
        var t = await source.AddAsync("t");
        source.Start();
        await source.CaughtUpAsync();
        await source.StopAsync();

        await using (var other = await upstream.ReadSlotAsync(source.Slot))
        {
            await upstream.RunAsync("INSERT INTO t VALUES (2)");
            source.Start();
            Assert.Equal(["1", "2"], await source.RowsAsync(t, await source.CaughtUpAsync()));
        }

        await source.StopAsync();
        await using (var other = await upstream.ReadSlotAsync(source.Slot))
        {
            source.Start();
            source.Drop();
            while (await source.NextAsync() is not StorageResponse.DroppedId)
            {
            }
        }

        Assert.Equal(["0"], await upstream.QueryAsync($"SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = '{source.Slot}'"));
    }

    [Fact]
    public async Task Dropping_the_source_drops_its_slot()
    {
        var upstream = await server.NewDatabaseAsync();
        await upstream.RunAsync("CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL");
        await using var source = new SourceUnderTest(upstream);
        await source.AddAsync("t");
        source.Start();
        await source.CaughtUpAsync();
        var query = $"SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = '{source.Slot}'";
        Assert.Equal(["1"], await upstream.QueryAsync(query));
        source.Drop();
        while (await source.NextAsync() is not StorageResponse.DroppedId { Id: var id } || id != source.Id)
        {
        }

        Assert.Equal(["0"], await upstream.QueryAsync(query));
    }
}
