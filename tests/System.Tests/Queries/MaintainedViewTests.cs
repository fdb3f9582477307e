namespace Materialize.SystemTests.Queries;

/// <summary>
/// A query kept as a materialized view, kept as an index, and asked anew give the same rows at the same time, while the tables under
/// them change.
/// </summary>
public class MaintainedViewTests(SharedServer server)
{
    public static TheoryData<string> Queries =>
    [
        "SELECT id, g, v, s FROM t",
        "SELECT id + 1 AS a, upper(s) AS b, v * 2 AS c FROM t WHERE v > 2 OR v IS NULL",
        "SELECT DISTINCT g FROM t",
        "SELECT g, count(*) AS c, count(v) AS cv, sum(v) AS sv, sum(n) AS sn, min(v) AS lo, max(n) AS hi FROM t GROUP BY g",
        "SELECT g, avg(n) AS a, avg(v) AS b FROM t GROUP BY g",
        "SELECT count(*) AS c, sum(v) AS s FROM t",
        "SELECT g, bool_and(v > 1) AS a, bool_or(v > 3) AS o FROM t GROUP BY g",
        "SELECT g, string_agg(s, ',' ORDER BY s DESC) AS s FROM t GROUP BY g",
        "SELECT g, array_agg(v ORDER BY v) AS a FROM t GROUP BY g",
        "SELECT g, jsonb_agg(v ORDER BY v) FILTER (WHERE v > 1) AS a FROM t GROUP BY g",
        "SELECT g, count(DISTINCT v) AS d, sum(DISTINCT v) AS sd, count(*) FILTER (WHERE v > 2) AS f FROM t GROUP BY g",
        "SELECT g, count(*) AS c FROM t GROUP BY g HAVING count(*) > 2",
        "SELECT t.id, u.w FROM t JOIN u ON t.g = u.g",
        "SELECT id, w FROM t JOIN u USING (g) WHERE w <> 'w1'",
        "SELECT t.id, u.w FROM t LEFT JOIN u ON t.g = u.g AND u.k > 1",
        "SELECT t.id, u.w FROM t RIGHT JOIN u ON t.g = u.g",
        "SELECT t.id, u.w FROM t FULL JOIN u ON t.g = u.g",
        "SELECT a.id AS a, b.id AS b FROM t a, t b WHERE a.v < b.v AND a.g = b.g",
        "SELECT x.g, max(y.v) AS m FROM (SELECT DISTINCT g FROM t) x CROSS JOIN t y GROUP BY x.g",
        "SELECT a.id AS i, u.w AS w, c.s AS s FROM t a JOIN u ON a.g = u.g JOIN t c ON c.id = u.k",
        "SELECT g FROM t UNION SELECT g FROM u",
        "SELECT g FROM t UNION ALL SELECT k FROM u",
        "SELECT g FROM t EXCEPT SELECT g FROM u",
        "SELECT g FROM t EXCEPT ALL SELECT g FROM u",
        "SELECT g FROM t INTERSECT SELECT g FROM u",
        "SELECT g FROM t INTERSECT ALL SELECT g FROM u",
        "SELECT id FROM t WHERE g IN (SELECT g FROM u)",
        "SELECT id FROM t WHERE g NOT IN (SELECT g FROM u WHERE g IS NOT NULL)",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.k < t.v)",
        "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.g = t.g)",
        "SELECT id, (SELECT count(*) FROM u WHERE u.g = t.g) AS c FROM t",
        "SELECT id, (SELECT max(w) FROM u WHERE u.k <= t.v) AS m FROM t",
        "SELECT id FROM t WHERE v = (SELECT max(v) FROM t)",
        "SELECT id FROM t WHERE v >= ALL (SELECT v FROM t o WHERE o.g = t.g AND v IS NOT NULL)",
        "SELECT t.id, l.k FROM t, LATERAL (SELECT k FROM u WHERE u.g = t.g ORDER BY k DESC, w LIMIT 1) l",
        "SELECT id, v FROM t ORDER BY v DESC NULLS LAST, id LIMIT 3",
        "SELECT id, v FROM t ORDER BY v, id LIMIT 2 OFFSET 1",
        "SELECT DISTINCT ON (g) g, id FROM t ORDER BY g, v DESC, id",
        "WITH x AS (SELECT g, sum(v) AS s FROM t GROUP BY g), y AS (SELECT max(s) AS m FROM x) SELECT g FROM x, y WHERE s = m",
        "SELECT id, x FROM t, generate_series(1, v) AS x",
        "SELECT id, CASE WHEN v IS NULL THEN 'none' WHEN v > 2 THEN 'many' ELSE 'few' END AS c, coalesce(v, 0)::text || '!' AS x FROM t",
        "SELECT g, jsonb_agg(v ORDER BY id) AS j FROM t WHERE v IS NOT NULL GROUP BY g",
        "SELECT column1 AS a, t.id FROM (VALUES (1), (2)) AS x JOIN t ON t.g = column1",
        "SELECT date_trunc('month', d) AS m, count(*) AS c FROM t GROUP BY 1",
    ];

    private static readonly string[] Rounds =
    [
        "INSERT INTO t VALUES (7, 2, 5, 'seven', 7.75, '2024-03-01'), (8, 4, NULL, 'eight', 0.5, '2024-01-31')",
        "UPDATE t SET v = v + 1, g = g % 3 + 1 WHERE id IN (1, 4, 7)",
        "DELETE FROM u WHERE k = 2",
        "DELETE FROM t WHERE id < 4",
        "DELETE FROM t",
        "INSERT INTO t SELECT k, g, k * 2, w, k / 2.0, DATE '2024-02-29' FROM u",
    ];

    [Theory]
    [MemberData(nameof(Queries))]
    public async Task Equals_the_query_asked_anew(string query)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE TABLE t (id int4 NOT NULL, g int4, v int4, s text, n numeric, d date)",
            "CREATE TABLE u (k int4 NOT NULL, g int4, w text)",
            "INSERT INTO t VALUES (1, 1, 1, 'one', 1.5, '2024-01-01'), (2, 1, 3, 'two', 2.25, '2024-01-02'), (3, 2, NULL, NULL, NULL, NULL), (4, 2, 4, 'four', -1, '2024-02-01'), (5, NULL, 2, 'five', 3, '2024-02-02'), (6, 3, 3, 'two', 2.25, '2024-01-02')",
            "INSERT INTO u VALUES (1, 1, 'w1'), (2, 1, 'w2'), (3, 2, 'w3'), (4, 9, 'w4'), (5, NULL, 'w5')",
            $"CREATE MATERIALIZED VIEW m AS {query}",
            $"CREATE VIEW v AS {query}",
            "CREATE DEFAULT INDEX ON v");
        await CompareAsync("at first");
        foreach (var change in Rounds)
        {
            await sql.DoAsync(change);
            await CompareAsync(change);
        }

        async Task CompareAsync(string after)
        {
            // One transaction reads at one time.
            await sql.DoAsync("BEGIN");
            var anew = await sql.BagAsync(query);
            var materialized = await sql.BagAsync("SELECT * FROM m");
            var indexed = await sql.BagAsync("SELECT * FROM v");
            await sql.DoAsync("COMMIT");
            Assert.True(anew.SequenceEqual(materialized), $"after {after}\nasked anew:    {string.Join(", ", anew)}\nmaterialized: {string.Join(", ", materialized)}");
            Assert.True(anew.SequenceEqual(indexed), $"after {after}\nasked anew: {string.Join(", ", anew)}\nindexed:   {string.Join(", ", indexed)}");
        }
    }

    [Fact]
    public async Task Views_over_views_follow_their_tables()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE TABLE t (a int4, b int4)",
            "CREATE MATERIALIZED VIEW sums AS SELECT a, sum(b) AS s FROM t GROUP BY a",
            "CREATE VIEW big AS SELECT a, s FROM sums WHERE s > 10",
            "CREATE INDEX ON big (a)",
            "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(s) AS s FROM big",
            "INSERT INTO t SELECT x % 5, x FROM generate_series(1, 20) AS x");
        Assert.Equal("5|210", await sql.OneAsync("SELECT n, s FROM total"));
        await sql.DoAsync("DELETE FROM t WHERE a = 0", "UPDATE t SET b = 0 WHERE a = 1");
        Assert.Equal("3|126", await sql.OneAsync("SELECT n, s FROM total"));
        Assert.Equal("42", await sql.OneAsync("SELECT s FROM big WHERE a = 3"));
        Assert.Equal(["2|38", "3|42", "4|46"], await sql.RowsAsync("SELECT a, s FROM big ORDER BY a"));
    }

    [Fact]
    public async Task An_error_in_a_view_is_shown_until_its_cause_is_gone()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE TABLE t (a int4)",
            "CREATE MATERIALIZED VIEW m AS SELECT 10 / a AS q FROM t",
            "INSERT INTO t VALUES (2), (0)");
        var error = await sql.FailsAsync("SELECT * FROM m");
        Assert.Equal("22012", error.SqlState);
        Assert.Contains("division by zero", error.MessageText, StringComparison.Ordinal);
        await sql.DoAsync("DELETE FROM t WHERE a = 0");
        Assert.Equal("5", await sql.OneAsync("SELECT q FROM m"));
    }
}
