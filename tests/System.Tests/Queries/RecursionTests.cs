namespace Materialize.SystemTests.Queries;

/// <summary>WITH MUTUALLY RECURSIVE, asked and maintained, against plain programs that compute the same.</summary>
public sealed class RecursionTests(SharedServer server)
{
    private const string Closure = """
        WITH MUTUALLY RECURSIVE
            reach (src int4, dst int4) AS (SELECT src, dst FROM edges UNION SELECT r.src, e.dst FROM reach r, edges e WHERE r.dst = e.src)
        SELECT src, dst FROM reach
        """;

    [Fact]
    public async Task Reachability_is_maintained_while_edges_come_and_go()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE TABLE edges (src int4 NOT NULL, dst int4 NOT NULL)", "CREATE INDEX by_src ON edges (src)",
            $"CREATE VIEW closure AS {Closure}", "CREATE DEFAULT INDEX ON closure", $"CREATE MATERIALIZED VIEW closure_mv AS {Closure}");
        var random = new Random(5);
        var edges = new HashSet<(int Src, int Dst)>();
        for (var round = 0; round < 6; round++)
        {
            var added = Enumerable.Range(0, 8).Select(_ => (Src: random.Next(12), Dst: random.Next(12))).Where(edges.Add).ToList();
            if (added.Count > 0)
                await sql.DoAsync($"INSERT INTO edges VALUES {string.Join(", ", added.Select(e => $"({e.Src}, {e.Dst})"))}");
            var gone = random.Next(12);
            edges.RemoveWhere(e => e.Dst == gone);
            await sql.DoAsync($"DELETE FROM edges WHERE dst = {gone}");
            var expected = Reach(edges).Select(e => $"{e.Src}|{e.Dst}").Order(StringComparer.Ordinal).ToArray();
            Assert.Equal(expected, await sql.BagAsync("SELECT * FROM closure"));
            Assert.Equal(expected, await sql.BagAsync("SELECT * FROM closure_mv"));
            Assert.Equal(expected, await sql.BagAsync(Closure));
            Assert.Equal(expected.Where(e => e.StartsWith("3|", StringComparison.Ordinal)), await sql.BagAsync("SELECT * FROM closure WHERE src = 3"));
        }
    }

    [Fact]
    public async Task Even_and_odd_distances_refer_to_each_other()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE edges (src int4 NOT NULL, dst int4 NOT NULL)", "CREATE TABLE start (node int4 NOT NULL)");
        await sql.DoAsync("""
            CREATE MATERIALIZED VIEW parity AS
            WITH MUTUALLY RECURSIVE
                even (node int4) AS (SELECT node FROM start UNION SELECT e.dst FROM odd o JOIN edges e ON o.node = e.src),
                odd (node int4) AS (SELECT e.dst FROM even v JOIN edges e ON v.node = e.src)
            SELECT 'even' AS parity, node FROM even UNION SELECT 'odd', node FROM odd
            """);
        var edges = new HashSet<(int Src, int Dst)>();
        var random = new Random(9);
        await sql.DoAsync("INSERT INTO start VALUES (0)");
        for (var round = 0; round < 5; round++)
        {
            var edge = (Src: random.Next(7), Dst: random.Next(7));
            foreach (var e in new[] { edge, (Src: round, Dst: round + 1) }.Where(edges.Add))
                await sql.DoAsync($"INSERT INTO edges VALUES ({e.Src}, {e.Dst})");
            if (round == 3)
            {
                edges.Remove((1, 2));
                await sql.DoAsync("DELETE FROM edges WHERE src = 1 AND dst = 2");
            }

            var (even, odd) = (new HashSet<int> { 0 }, new HashSet<int>());
            while (edges.Any(e => (even.Contains(e.Src) && odd.Add(e.Dst)) | (odd.Contains(e.Src) && even.Add(e.Dst))))
            {
            }

            string[] expected = [.. even.Order().Select(n => $"even|{n}"), .. odd.Order().Select(n => $"odd|{n}")];
            Assert.Equal(expected, await sql.BagAsync("SELECT * FROM parity"));
        }
    }

    [Fact]
    public async Task A_limit_returns_what_there_is_or_is_an_error()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE bound (n int4 NOT NULL)", "INSERT INTO bound VALUES (3)");
        string Count(string limit) =>
            $"WITH MUTUALLY RECURSIVE ({limit}) c (i int4) AS (SELECT 1 UNION SELECT i + 1 FROM c, bound WHERE i < n) SELECT count(*) AS c FROM c";
        Assert.Equal("2", await sql.OneAsync(Count("RETURN AT RECURSION LIMIT 2")));
        Assert.Equal("2", await sql.OneAsync(Count("RECURSION LIMIT 2")));
        await sql.DoAsync($"CREATE VIEW counted AS {Count("ERROR AT RECURSION LIMIT 5")}", "CREATE DEFAULT INDEX ON counted");
        Assert.Equal("3", await sql.OneAsync("SELECT * FROM counted"));
        await sql.DoAsync("UPDATE bound SET n = 50");
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => sql.OneAsync("SELECT * FROM counted"));
        Assert.Contains("exceeded the recursion limit 5", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_error_inside_a_recursion_is_the_answer_until_it_is_retracted()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE d (n int4 NOT NULL)", "INSERT INTO d VALUES (2), (0)");
        await sql.DoAsync("""
            CREATE MATERIALIZED VIEW halves AS
            WITH MUTUALLY RECURSIVE h (v int4) AS (SELECT 100 / n FROM d UNION SELECT v / 2 FROM h WHERE v > 1) SELECT v FROM h
            """);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => sql.RowsAsync("SELECT * FROM halves"));
        Assert.Contains("division by zero", error.Message, StringComparison.Ordinal);
        await sql.DoAsync("DELETE FROM d WHERE n = 0");
        Assert.Equal(["1", "12", "25", "3", "50", "6"], await sql.BagAsync("SELECT * FROM halves"));
    }

    [Fact]
    public async Task Types_must_fit_and_explain_shows_the_recursion()
    {
        await using var sql = await server.OpenAsync();
        var error = await sql.FailsAsync("WITH MUTUALLY RECURSIVE a (x int4) AS (SELECT 'one'::text) SELECT * FROM a");
        Assert.Equal("WITH MUTUALLY RECURSIVE query \"a\" declared types (integer), but query returns types (text)", error.MessageText);
        await sql.DoAsync("CREATE TABLE edges (src int4 NOT NULL, dst int4 NOT NULL)");
        var plan = string.Join('\n', await sql.RowsAsync($"EXPLAIN OPTIMIZED PLAN AS TEXT FOR {Closure}"));
        Assert.Contains("With Mutually Recursive", plan, StringComparison.Ordinal);
        Assert.Contains("With Mutually Recursive", string.Join('\n', await sql.RowsAsync($"EXPLAIN PHYSICAL PLAN AS TEXT FOR {Closure}")), StringComparison.Ordinal);
        Assert.Contains("With Mutually Recursive", string.Join('\n', await sql.RowsAsync($"EXPLAIN RAW PLAN FOR {Closure}")), StringComparison.Ordinal);
    }

    private static HashSet<(int Src, int Dst)> Reach(HashSet<(int Src, int Dst)> edges)
    {
        var reach = new HashSet<(int Src, int Dst)>(edges);
        while ((from r in reach.ToList() from e in edges where r.Dst == e.Src && !reach.Contains((r.Src, e.Dst)) select (r.Src, e.Dst)).ToList() is { Count: > 0 } more)
            reach.UnionWith(more);
        return reach;
    }
}
