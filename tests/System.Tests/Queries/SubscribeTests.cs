using System.Globalization;

namespace Materialize.SystemTests.Queries;

/// <summary>Changes as they happen.</summary>
public class SubscribeTests(SharedServer server)
{
    /// <summary>A line of COPY (SUBSCRIBE … WITH (PROGRESS)).</summary>
    private sealed record Change(decimal Time, bool Progressed, int Diff, string Row)
    {
        public static Change Parse(string line)
        {
            var parts = line.Split('\t', 4);
            return new Change(
                decimal.Parse(parts[0], CultureInfo.InvariantCulture), parts[1] == "t", parts[2] == "\\N" ? 0 : int.Parse(parts[2], CultureInfo.InvariantCulture), parts[3]);
        }
    }

    /// <summary>Ends a copy that would go on for ever; the server answers with an error, which belongs to it.</summary>
    private static Task CancelAsync(TextReader copy) => ((NpgsqlCopyTextReader)copy).CancelAsync();

    [Fact]
    public async Task Each_committed_change_arrives_once_at_one_time_in_order()
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4, b text)", "INSERT INTO t VALUES (1, 'one'), (2, 'two')");
        var copy = await reader.Connection.BeginTextExportAsync("COPY (SUBSCRIBE t WITH (PROGRESS)) TO STDOUT");
        var state = new Dictionary<string, int>();
        var frontier = decimal.Zero;
        await UntilAsync("1\tone", "2\ttwo");
        await sql.DoAsync("UPDATE t SET b = 'zwei' WHERE a = 2");
        await UntilAsync("1\tone", "2\tzwei");
        await sql.DoAsync("BEGIN", "INSERT INTO t VALUES (3, 'x')", "INSERT INTO t VALUES (4, 'y')", "COMMIT");
        await UntilAsync("1\tone", "2\tzwei", "3\tx", "4\ty");
        await sql.DoAsync("DELETE FROM t");
        await UntilAsync();
        await CancelAsync(copy);

        // Reads on until, at a progress message, the rows are these: no message may be behind the frontier, no row ever negative.
        async Task UntilAsync(params string[] expected)
        {
            using var patience = new CancellationTokenSource(Eventually.Patience);
            while (true)
            {
                var line = await copy.ReadLineAsync(patience.Token);
                Assert.NotNull(line);
                var change = Change.Parse(line);
                Assert.True(change.Time >= frontier, $"{line} is behind {frontier}");
                if (!change.Progressed)
                {
                    var count = state.GetValueOrDefault(change.Row) + change.Diff;
                    if (count == 0)
                        state.Remove(change.Row);
                    else
                        state[change.Row] = count;
                    continue;
                }

                frontier = change.Time;
                Assert.All(state.Values, count => Assert.Equal(1, count));
                if (state.Keys.Order(StringComparer.Ordinal).SequenceEqual(expected))
                    return;
            }
        }
    }

    /// <summary>Rows are moved into the result's layout without being looked at: nulls and columns of all widths lie where they should.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(" WITH (PROGRESS)")]
    public async Task Its_rows_are_those_of_a_select(string options)
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync(
            "CREATE TABLE t (a int8 NOT NULL, b text, c bool, d numeric, e text NOT NULL, f int2, g timestamptz, h text, i uuid, j float8)",
            """
            INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN repeat('x', g) END, CASE WHEN g % 3 = 0 THEN g % 2 = 0 END, CASE WHEN g % 5 > 0 THEN g / 7.0::numeric END,
                'e' || g, CASE WHEN g % 7 > 0 THEN g::int2 END, CASE WHEN g % 11 > 0 THEN to_timestamp(g) END, CASE WHEN g % 13 > 0 THEN '' END,
                CASE WHEN g % 17 > 0 THEN '00000000-0000-0000-0000-00000000abcd'::uuid END, CASE WHEN g % 19 > 0 THEN g / 3.0 END
            FROM generate_series(1, 3000) AS g
            """);
        List<string> expected = [];
        using (var copy = await reader.Connection.BeginTextExportAsync("COPY (SELECT * FROM t) TO STDOUT"))
        {
            while (await copy.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
                expected.Add(line);
        }

        var subscribe = await reader.Connection.BeginTextExportAsync($"COPY (SUBSCRIBE t{options}) TO STDOUT");
        List<string> rows = [];
        while (rows.Count < 3000)
        {
            var parts = (await subscribe.ReadLineAsync(TestContext.Current.CancellationToken))!.Split('\t', options.Length > 0 ? 4 : 3);
            if (options.Length == 0 || parts[1] == "f")
                rows.Add(parts[^1]);
            Assert.Equal(options.Length > 0 && parts[1] == "t" ? "\\N" : "1", parts[^2]);
        }

        Assert.Equal(expected.Order(StringComparer.Ordinal), rows.Order(StringComparer.Ordinal));
        await CancelAsync(subscribe);
    }

    [Fact]
    public async Task Without_a_snapshot_only_what_follows_arrives()
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)");
        var copy = await reader.Connection.BeginTextExportAsync("COPY (SUBSCRIBE t WITH (SNAPSHOT = false, PROGRESS)) TO STDOUT");
        Assert.True(Change.Parse((await copy.ReadLineAsync(TestContext.Current.CancellationToken))!).Progressed);
        await sql.DoAsync("INSERT INTO t VALUES (2)");
        while (true)
        {
            var change = Change.Parse((await copy.ReadLineAsync(TestContext.Current.CancellationToken))!);
            if (change.Progressed)
                continue;
            Assert.Equal(("2", 1), (change.Row, change.Diff));
            break;
        }

        await CancelAsync(copy);
    }

    [Fact]
    public async Task Up_to_ends_it_and_as_of_begins_it()
    {
        await using var sql = await server.OpenAsync();
        await using var other = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)", "BEGIN");

        // The open transaction keeps its time readable for everyone.
        var before = await sql.NumberAsync("SELECT mz_now() FROM t");
        await other.DoAsync("INSERT INTO t VALUES (2)");
        var after = await other.NumberAsync("SELECT DISTINCT mz_now() FROM t");
        Assert.True(before < after);
        using var copy = await other.Connection.BeginTextExportAsync($"COPY (SUBSCRIBE (SELECT a FROM t) AS OF {before} UP TO {after + 1}) TO STDOUT");
        var lines = (await copy.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["1\t1", "1\t2"], lines.Select(l => l[(l.IndexOf('\t', StringComparison.Ordinal) + 1)..]));
        Assert.StartsWith($"{before}\t", lines[0], StringComparison.Ordinal);
        await sql.DoAsync("COMMIT");
    }

    [Fact]
    public async Task A_cursor_fetches_what_is_there_and_waits_as_long_as_told()
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1), (2)");
        await reader.DoAsync("BEGIN", "DECLARE c CURSOR FOR SUBSCRIBE t");
        Assert.Equal(["1|1", "1|2"], Rows(await reader.RowsAsync("FETCH 2 c")));
        Assert.Empty(await reader.RowsAsync("FETCH ALL c WITH (timeout = '0s')"));
        await sql.DoAsync("DELETE FROM t WHERE a = 1");
        Assert.Equal(["-1|1"], Rows(await reader.RowsAsync("FETCH 1 c WITH (timeout = '30s')")));
        await reader.DoAsync("CLOSE c", "COMMIT");
        Assert.Equal("1", await reader.OneAsync("SELECT 1"));

        static string[] Rows(string[] rows) => [.. rows.Select(r => r[(r.IndexOf('|', StringComparison.Ordinal) + 1)..])];
    }

    [Fact]
    public async Task A_subscribe_to_a_view_of_joins_follows_it()
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4, b int4)", "CREATE TABLE u (a int4, c int4)", "CREATE MATERIALIZED VIEW m AS SELECT t.b, sum(c) AS s FROM t JOIN u USING (a) GROUP BY t.b");
        await reader.DoAsync("BEGIN", "DECLARE c CURSOR FOR SUBSCRIBE m");
        await sql.DoAsync("INSERT INTO t VALUES (1, 10)", "INSERT INTO u VALUES (1, 5)");
        var first = await reader.OneAsync("FETCH 1 c WITH (timeout = '30s')");
        Assert.EndsWith("|1|10|5", first, StringComparison.Ordinal);
        await sql.DoAsync("INSERT INTO u VALUES (1, 7)");
        var next = await reader.RowsAsync("FETCH 2 c WITH (timeout = '30s')");
        Assert.Equal(["|-1|10|5", "|1|10|12"], next.Select(r => r[r.IndexOf('|', StringComparison.Ordinal)..]).Order(StringComparer.Ordinal));
        Assert.Single(next.Select(r => r.Split('|')[0]).Distinct());
        await reader.DoAsync("COMMIT");
    }

    [Fact]
    public async Task A_subscribe_ends_when_its_table_is_dropped()
    {
        await using var sql = await server.OpenAsync();
        await using var reader = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)");
        var copy = await reader.Connection.BeginTextExportAsync("COPY (SUBSCRIBE t) TO STDOUT");
        Assert.NotNull(await copy.ReadLineAsync(TestContext.Current.CancellationToken));
        await sql.DoAsync("DROP TABLE t");
        await Assert.ThrowsAnyAsync<NpgsqlException>(async () => await copy.ReadLineAsync(TestContext.Current.CancellationToken));
    }
}
