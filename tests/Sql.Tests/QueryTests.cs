namespace Materialize.Sql.Tests;

/// <summary>Queries whose answers are evident, through parsing, planning, decorrelation and the plain interpreter.</summary>
public sealed class QueryTests
{
    private static Database Make() => Database.Of(
        "CREATE TABLE t (a int NOT NULL, b int, c text)",
        "CREATE TABLE u (a int, x text)",
        "CREATE TABLE empty (z int)",
        "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, NULL, 'three'), (3, 30, NULL)",
        "INSERT INTO u VALUES (1, 'p'), (1, 'q'), (3, 'r'), (NULL, 's')");

    [Theory]
    [InlineData("SELECT 1", "1")]
    [InlineData("SELECT 1 + 2 * 3, 'a' || 'b', NULL", "7|ab|∅")]
    [InlineData("SELECT a FROM t WHERE b > 10", "2\n3")]
    [InlineData("SELECT * FROM t WHERE c = 'one'", "1|10|one")]
    [InlineData("SELECT t.*, a + 1 AS n FROM t WHERE a = 1", "1|10|one|2")]
    [InlineData("SELECT b FROM t ORDER BY b DESC", "∅\n30\n20\n10")]
    [InlineData("SELECT b FROM t ORDER BY b DESC NULLS LAST LIMIT 2", "30\n20")]
    [InlineData("SELECT a AS k FROM t ORDER BY k LIMIT 2 OFFSET 1", "2\n3")]
    [InlineData("SELECT a FROM t ORDER BY b + a DESC NULLS LAST", "3\n2\n1\n3")]
    [InlineData("SELECT DISTINCT a FROM t", "1\n2\n3")]
    [InlineData("SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC NULLS LAST", "1|10\n2|20\n3|30")]
    [InlineData("SELECT count(*), count(b), sum(b), min(c), max(a) FROM t", "4|3|60|one|3")]
    [InlineData("SELECT count(*), sum(z) FROM empty", "0|∅")]
    [InlineData("SELECT a, count(*) FROM t GROUP BY a", "1|1\n2|1\n3|2")]
    [InlineData("SELECT a + 1, sum(b) FROM t GROUP BY a + 1 HAVING count(*) > 1", "4|30")]
    [InlineData("SELECT a AS k, count(*) FROM t GROUP BY k ORDER BY 2 DESC, 1", "3|2\n1|1\n2|1")]
    [InlineData("SELECT 2 * a FROM t GROUP BY 1", "2\n4\n6")]
    [InlineData("SELECT avg(b) FROM t", "20")]
    [InlineData("SELECT count(DISTINCT a), count(*) FILTER (WHERE b > 10) FROM t", "3|2")]
    [InlineData("SELECT string_agg(c, ',' ORDER BY c DESC) FROM t", "two,three,one")]
    [InlineData("SELECT array_agg(a ORDER BY a DESC) FROM t", "{3,3,2,1}")]
    [InlineData("SELECT t.a, x FROM t JOIN u ON t.a = u.a", "1|p\n1|q\n3|r\n3|r")]
    [InlineData("SELECT a, b, x FROM t JOIN u USING (a) WHERE x = 'r'", "3|30|r\n3|∅|r")]
    [InlineData("SELECT * FROM t NATURAL JOIN u WHERE x = 'p'", "1|10|one|p")]
    [InlineData("SELECT t.a, u.x FROM t LEFT JOIN u ON t.a = u.a", "1|p\n1|q\n2|∅\n3|r\n3|r")]
    [InlineData("SELECT t.a, u.x FROM t RIGHT JOIN u ON t.a = u.a", "1|p\n1|q\n3|r\n3|r\n∅|s")]
    [InlineData("SELECT t.a, u.x FROM t FULL JOIN u ON t.a = u.a", "1|p\n1|q\n2|∅\n3|r\n3|r\n∅|s")]
    [InlineData("SELECT t.a, u.x FROM t LEFT JOIN u ON t.a = u.a AND u.x <> 'q'", "1|p\n2|∅\n3|r\n3|r")]
    [InlineData("SELECT t.a, u.x FROM t LEFT JOIN u ON t.a < u.a", "1|r\n2|r\n3|∅\n3|∅")]
    [InlineData("SELECT t.a, u.x FROM t FULL JOIN u ON t.a > u.a", "1|∅\n2|p\n2|q\n3|p\n3|p\n3|q\n3|q\n∅|r\n∅|s")]
    [InlineData("SELECT t.a, u.x FROM t LEFT JOIN u ON false WHERE t.a = 1", "1|∅")]
    [InlineData("SELECT a, u.a IS NULL FROM t FULL JOIN u USING (a)", "1|f\n1|f\n2|t\n3|f\n3|f\n∅|t")]
    [InlineData("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)", "1\n3\n3")]
    [InlineData("SELECT a FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a)", "2")]
    [InlineData("SELECT a FROM t WHERE a IN (SELECT a FROM u)", "1\n3\n3")]
    [InlineData("SELECT a FROM t WHERE a NOT IN (SELECT a FROM u)", "")]
    [InlineData("SELECT a FROM t WHERE a NOT IN (SELECT a FROM u WHERE a IS NOT NULL)", "2")]
    [InlineData("SELECT x FROM u WHERE a NOT IN (SELECT z FROM empty)", "p\nq\nr\ns")]
    [InlineData("SELECT x, a IN (SELECT a FROM t) FROM u", "p|t\nq|t\nr|t\ns|∅")]
    [InlineData("SELECT a, a IN (SELECT a FROM u) FROM t", "1|t\n2|∅\n3|t\n3|t")]
    [InlineData("SELECT a FROM t WHERE a > ALL (SELECT a FROM u WHERE a < 3)", "2\n3\n3")]
    [InlineData("SELECT a FROM t WHERE a < ANY (SELECT a FROM u)", "1\n2")]
    [InlineData("SELECT a, (SELECT count(*) FROM u WHERE u.a = t.a) FROM t", "1|2\n2|0\n3|1\n3|1")]
    [InlineData("SELECT x, (SELECT max(b) FROM t WHERE t.a = u.a) FROM u", "p|10\nq|10\nr|30\ns|∅")]
    [InlineData("SELECT a FROM t WHERE b = (SELECT max(b) FROM t AS i WHERE i.a = t.a)", "1\n2\n3")]
    [InlineData("SELECT (SELECT b FROM t WHERE a = 2)", "20")]
    [InlineData("SELECT a, k, x FROM t, LATERAL (WITH w AS (SELECT t.b + a AS k FROM u) SELECT u.x, w.k FROM u, w WHERE u.a = 3) AS l WHERE t.a = 1", "1|11|r\n1|11|r\n1|13|r\n1|∅|r")]
    [InlineData("SELECT a FROM t WHERE b IN (WITH w AS (SELECT t.b AS k FROM u) SELECT k FROM u LEFT JOIN (SELECT * FROM w) AS l ON u.a = 3)", "1\n2\n3")]
    [InlineData("SELECT (1, NULL) = (1, 2), (1, NULL) = (2, 2), (2, '') <> (2, NULL), (1, NULL) <> (2, 2), (1, NULL) < (2, 1), (1, NULL) < (1, 2)", "∅|f|∅|t|t|∅")]
    [InlineData("SELECT (1, NULL) IS DISTINCT FROM (1, NULL), (1, 2) <= (1, 2), (1, 3) >= (1, 4), (1, NULL) IN ((2, 3), (1, 4))", "f|t|f|∅")]
    [InlineData("SELECT array_agg(a ORDER BY a DESC) FILTER (WHERE b > 10), array_agg(DISTINCT a) FILTER (WHERE b IS NULL OR b > 10), array_agg(a) FILTER (WHERE a > 5) FROM t", "{3,2}|{2,3}|∅")]
    [InlineData("SELECT (SELECT z FROM empty)", "∅")]
    [InlineData("SELECT a FROM t WHERE (a, b) IN (SELECT 1, 10)", "1")]
    [InlineData("SELECT t.a, s.n FROM t, LATERAL (SELECT count(*) AS n FROM u WHERE u.a = t.a) s", "1|2\n2|0\n3|1\n3|1")]
    [InlineData("SELECT t.a, s.x FROM t LEFT JOIN LATERAL (SELECT x FROM u WHERE u.a = t.a ORDER BY x LIMIT 1) s ON true", "1|p\n2|∅\n3|r\n3|r")]
    [InlineData("SELECT a, g FROM t, generate_series(1, a) AS g WHERE b IS NOT NULL AND a < 3", "1|1\n2|1\n2|2")]
    [InlineData("SELECT generate_series(1, 3)", "1\n2\n3")]
    [InlineData("SELECT a, generate_series(1, a) FROM t WHERE a < 3", "1|1\n2|1\n2|2")]
    [InlineData("SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(5, 7)) AS r (p, q)", "1|5\n2|6\n∅|7")]
    [InlineData("SELECT * FROM generate_series(5, 6) WITH ORDINALITY", "5|1\n6|2")]
    [InlineData("SELECT generate_series(1, 2), generate_series(1, 3)", "1|1\n2|2\n∅|3")]
    [InlineData("VALUES (1, 'a'), (2, 'b')", "1|a\n2|b")]
    [InlineData("SELECT column1 + 1 FROM (VALUES (1), (2)) v", "2\n3")]
    [InlineData("SELECT a FROM t UNION SELECT a FROM u", "1\n2\n3\n∅")]
    [InlineData("SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY 1 LIMIT 3", "1\n1\n1")]
    [InlineData("SELECT a FROM t EXCEPT SELECT a FROM u", "2")]
    [InlineData("SELECT a FROM t EXCEPT ALL SELECT a FROM u", "2\n3")]
    [InlineData("SELECT a FROM t INTERSECT SELECT a FROM u", "1\n3")]
    [InlineData("SELECT a FROM t INTERSECT ALL SELECT a FROM u", "1\n3")]
    [InlineData("SELECT 1 UNION SELECT 2.5", "1\n2.5")]
    [InlineData("SELECT NULL UNION SELECT 1", "1\n∅")]
    [InlineData("WITH w AS (SELECT a, b FROM t WHERE a < 3) SELECT w1.a, w2.b FROM w w1, w w2 WHERE w1.a <> w2.a", "1|20\n2|10")]
    [InlineData("WITH w (k) AS (SELECT a FROM t) SELECT (SELECT count(*) FROM w WHERE k = u.a) FROM u WHERE x <> 's'", "1\n1\n2")]
    [InlineData("SELECT a, (WITH w AS (SELECT x FROM u WHERE u.a = t.a) SELECT count(*) FROM w) FROM t", "1|2\n2|0\n3|1\n3|1")]
    [InlineData("SELECT CASE WHEN a = 1 THEN 'x' WHEN a = 2 THEN 'y' END FROM t", "x\ny\n∅\n∅")]
    [InlineData("SELECT coalesce(b, 0), nullif(a, 1), greatest(a, b), least(a, b) FROM t WHERE a = 3", "0|3|3|3\n30|3|30|3")]
    [InlineData("SELECT a BETWEEN 1 AND 2, a IN (1, 5) FROM t WHERE a < 3", "t|f\nt|t")]
    [InlineData("SELECT '1'::int + 1, CAST(2.5 AS int), 7::text || 'x'", "2|3|7x")]
    [InlineData("SELECT (SELECT u.x FROM u WHERE u.a = t.a LIMIT 1) FROM t WHERE a > 1", "r\nr\n∅")]
    [InlineData("SELECT ARRAY(SELECT a FROM u WHERE a IS NOT NULL ORDER BY a DESC)", "{3,1,1}")]
    [InlineData("SELECT (ROW(1, 'a')).f2, (t).c FROM t WHERE a = 1", "a|one")]
    [InlineData("SELECT a = ANY (ARRAY[1, 3]) FROM t", "f\nt\nt\nt")]
    [InlineData("SELECT sum(n) FROM (SELECT count(*) AS n FROM t GROUP BY a) s", "4")]
    [InlineData("SELECT a, sum(sum(1)) FROM (SELECT 1 AS a) q GROUP BY a", null)]
    [InlineData("SELECT u.x FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.a = u.a AND EXISTS (SELECT 1 FROM t i WHERE i.b = t.b AND u.x = 'p'))", "p")]
    [InlineData("SELECT a FROM t ORDER BY (SELECT max(x) FROM u WHERE u.a = t.a) NULLS FIRST, a LIMIT 2", "2\n1")]
    [InlineData("SELECT bool_and(b > 5), bool_or(b > 25) FROM t", "t|t")]
    [InlineData("SELECT a FROM t GROUP BY a HAVING a = (SELECT min(a) FROM u)", "1")]
    [InlineData("TABLE u", "1|p\n1|q\n3|r\n∅|s")]
    public void Gives(string sql, string? expected)
    {
        if (expected is null)
        {
            Make().Fails(sql);
            return;
        }

        Assert.Equal(expected, Make().Query(sql));
    }
}

/// <summary>Window functions, whose plans are made of other operators.</summary>
public sealed class WindowTests
{
    private static Database Make() => Database.Of(
        "CREATE TABLE w (p text, o int, v int)",
        "INSERT INTO w VALUES ('a', 1, 10), ('a', 2, 20), ('a', 2, 25), ('a', 3, NULL), ('b', 1, 5), (NULL, 7, 70), (NULL, 7, 71)");

    [Theory]
    [InlineData("SELECT o, v, row_number() OVER (PARTITION BY p ORDER BY o, v) FROM w WHERE p = 'a'", "1|10|1\n2|20|2\n2|25|3\n3|∅|4")]
    [InlineData("SELECT p, v, rank() OVER (PARTITION BY p ORDER BY o) FROM w", "a|10|1\na|20|2\na|25|2\na|∅|4\nb|5|1\n∅|70|1\n∅|71|1")]
    [InlineData("SELECT p, v, dense_rank() OVER (PARTITION BY p ORDER BY o DESC) FROM w", "a|10|3\na|20|2\na|25|2\na|∅|1\nb|5|1\n∅|70|1\n∅|71|1")]
    [InlineData("SELECT v, lag(v) OVER (PARTITION BY p ORDER BY o, v), lead(v, 2, 0) OVER (PARTITION BY p ORDER BY o, v) FROM w WHERE p = 'a'", "10|∅|25\n20|10|∅\n25|20|0\n∅|25|0")]
    [InlineData("SELECT v, sum(v) OVER (PARTITION BY p) FROM w", "10|55\n20|55\n25|55\n5|5\n70|141\n71|141\n∅|55")]
    [InlineData("SELECT o, v, sum(v) OVER (PARTITION BY p ORDER BY o) FROM w WHERE p = 'a'", "1|10|10\n2|20|55\n2|25|55\n3|∅|55")]
    [InlineData("SELECT v, sum(v) OVER (ORDER BY o, v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM w WHERE p = 'a'", "10|10\n20|30\n25|45\n∅|25")]
    [InlineData("SELECT v, count(*) OVER (ORDER BY o, v ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM w WHERE p = 'a'", "10|0\n20|1\n25|2\n∅|2")]
    [InlineData("SELECT v, first_value(v) OVER (PARTITION BY p ORDER BY o, v), last_value(v) OVER (PARTITION BY p ORDER BY o) FROM w WHERE p = 'a'", "10|10|10\n20|10|25\n25|10|25\n∅|10|∅")]
    [InlineData("SELECT p, sum(count(*)) OVER (), avg(sum(v)) OVER () FROM w GROUP BY p ORDER BY p", "a|7|67\nb|7|67\n∅|7|67")]
    [InlineData("SELECT v FROM w QUALIFY row_number() OVER (PARTITION BY p ORDER BY v DESC NULLS LAST) = 1", "25\n5\n71")]
    [InlineData("SELECT * FROM (SELECT p, v, row_number() OVER (PARTITION BY p ORDER BY v DESC NULLS LAST) AS n FROM w) q WHERE n <= 2", "a|20|2\na|25|1\nb|5|1\n∅|70|2\n∅|71|1")]
    [InlineData("SELECT p, (SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY i.v) AS n FROM w i WHERE i.p = w.p) q) FROM w WHERE o = 1", "a|4\nb|1")]
    public void Gives(string sql, string expected) => Assert.Equal(expected, Make().Query(sql));
}
