namespace Materialize.SystemTests.Durability;

/// <summary>
/// However many processes a replica has, it answers as one worker does; and when one of them dies, all begin anew and answer rightly.
/// </summary>
public sealed partial class LayoutTests
{
    private static readonly (string Cluster, string Size)[] Layouts =
        [("c11", "scale=1,workers=1"), ("c14", "scale=1,workers=4"), ("c22", "scale=2,workers=2"), ("c41", "scale=4,workers=1")];

    private static readonly string[] Queries =
    [
        "SELECT t.id, u.w, u.g FROM t JOIN u ON t.g = u.g WHERE t.v > 2",
        "SELECT t.id, u.w FROM t LEFT JOIN u ON t.g = u.g AND u.k > 5",
        "SELECT a.id AS i, u.w, c.v FROM t a JOIN u ON a.g = u.g JOIN t c ON c.id = u.k",
        "SELECT g, count(*) AS c, sum(v) AS s, min(v) AS lo, max(id) AS hi, count(DISTINCT v) AS d FROM t GROUP BY g",
        "SELECT count(*) AS c, sum(v) AS s FROM t",
        "SELECT g, string_agg(id::text, ',' ORDER BY id) AS a FROM t GROUP BY g",
        "SELECT x.g, l.id FROM (SELECT DISTINCT g FROM t) x, LATERAL (SELECT id FROM t WHERE t.g = x.g ORDER BY v DESC, id LIMIT 2) l",
        "SELECT id, v FROM t ORDER BY v DESC NULLS LAST, id LIMIT 5",
        "SELECT id, row_number() OVER (PARTITION BY g ORDER BY v, id) AS r, lag(v) OVER (PARTITION BY g ORDER BY id) AS p FROM t",
        "SELECT g FROM t EXCEPT ALL SELECT g FROM u",
        "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.k = t.v)",
        "SELECT id, x FROM t, generate_series(1, v) AS x WHERE id < 10",
    ];

    [Fact]
    public async Task All_layouts_answer_alike_while_tables_change_and_processes_are_killed()
    {
        using var directory = new TemporaryDirectory();
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path);
        await using var sql = new Sql(await environment.ConnectAsync());
        var random = new Random(17);
        await CreateAsync(sql, random, Layouts);
        await CompareAsync(sql, Layouts, "at first", asked: true);
        await ChangeAsync(sql, random);
        await CompareAsync(sql, Layouts, "after a change");

        var pair = await sql.OneAsync("SELECT id FROM mz_clusters WHERE name = 'c22'");
        foreach (var victim in (int[])[1, 0])
        {
            var before = environment.ProcessesOf(pair);
            Assert.Equal(2, before.Count);
            EnvironmentProcess.Kill(before[victim]);
            await ChangeAsync(sql, random);
            await CompareAsync(sql, Layouts, $"after process {victim} was killed");
            Assert.Empty(environment.ProcessesOf(pair).Intersect(before));
        }
    }

    [Fact]
    public async Task A_subscribe_of_several_processes_is_one_consistent_stream()
    {
        using var directory = new TemporaryDirectory();
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path);
        await using var sql = new Sql(await environment.ConnectAsync());
        await sql.DoAsync(
            "CREATE TABLE a (id int4 NOT NULL, v int4 NOT NULL)", "CREATE CLUSTER pair SIZE 'scale=2,workers=1'", "SET cluster = pair",
            "INSERT INTO a SELECT x, 100 FROM generate_series(1, 50) AS x", "BEGIN",
            "DECLARE c CURSOR FOR SUBSCRIBE (SELECT count(*) AS c, sum(v) AS s FROM a) WITH (PROGRESS)");
        var count = 49L;
        var frontier = 0m;
        await ReadUntilAsync(50);
        await using var writer = new Sql(await environment.ConnectAsync());
        for (var i = 1; i <= 10; i++)
            await writer.DoAsync($"UPDATE a SET v = CASE id WHEN {i} THEN v - {i} ELSE v + {i} END WHERE id IN ({i}, {i + 20})", $"INSERT INTO a VALUES ({1000 + i}, 0)");
        await ReadUntilAsync(60);

        // Money moves and rows come one at a time: the sum never changes, the count goes up by one.
        async Task ReadUntilAsync(long last)
        {
            while (count < last)
            {
                foreach (var row in await sql.RowsAsync("FETCH ALL c WITH (timeout = '5s')"))
                {
                    var parts = row.Split('|');
                    var time = decimal.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture);
                    Assert.True(time >= frontier, $"{row} is behind {frontier}");
                    if (parts[1] == "t")
                    {
                        frontier = time;
                    }
                    else if (parts[2] == "1")
                    {
                        Assert.Equal("5000", parts[4]);
                        Assert.Equal(++count, long.Parse(parts[3], System.Globalization.CultureInfo.InvariantCulture));
                    }
                }
            }
        }
    }

    /// <summary>Two tables, and every query as a view on a cluster of each layout.</summary>
    private static async Task CreateAsync(Sql sql, Random random, (string Cluster, string Size)[] layouts)
    {
        await sql.DoAsync("CREATE TABLE t (id int4 NOT NULL, g int4, v int4)", "CREATE TABLE u (k int4 NOT NULL, g int4, w text)");
        await ChangeAsync(sql, random);
        foreach (var (cluster, size) in layouts)
        {
            await sql.DoAsync($"CREATE CLUSTER {cluster} REPLICAS (r1 (SIZE '{size}'))", $"CREATE INDEX t_{cluster} IN CLUSTER {cluster} ON t (g)");
            for (var i = 0; i < Queries.Length; i++)
                await sql.DoAsync($"CREATE MATERIALIZED VIEW m{i}_{cluster} IN CLUSTER {cluster} AS {Queries[i]}");
        }
    }

    /// <summary>Random rows in, out and changed; few distinct values, so that they collide.</summary>
    private static async Task ChangeAsync(Sql sql, Random random)
    {
        string Number(int below) => random.Next(8) == 0 ? "NULL" : $"{random.Next(below)}";
        var t = string.Join(", ", Enumerable.Range(0, 12).Select(_ => $"({random.Next(30)}, {Number(6)}, {Number(9)})"));
        var u = string.Join(", ", Enumerable.Range(0, 6).Select(_ => $"({random.Next(30)}, {Number(6)}, 'w{random.Next(4)}')"));
        await sql.DoAsync(
            $"DELETE FROM t WHERE id % 7 = {random.Next(7)}", $"UPDATE t SET v = v + 1 WHERE g = {random.Next(6)}", $"DELETE FROM u WHERE k % 5 = {random.Next(5)}",
            $"INSERT INTO t VALUES {t}", $"INSERT INTO u VALUES {u}");
    }

    /// <summary>One worker is the oracle of the others: what they keep in materialized views, and what they answer when asked.</summary>
    private static async Task CompareAsync(Sql sql, (string Cluster, string Size)[] layouts, string when, bool asked = false)
    {
        // Every other view after the first time: what breaks breaks in many.
        for (var i = 0; i < Queries.Length; i += asked ? 1 : 2)
        {
            await sql.DoAsync("SET cluster = c11");
            var expected = await sql.BagAsync(Queries[i]);
            foreach (var (cluster, size) in layouts)
            {
                var what = $"{when}, {size}: {Queries[i]}";
                await sql.DoAsync($"SET cluster = {cluster}");
                if (asked && i % 3 == 0)
                    AssertSame(expected, await sql.BagAsync(Queries[i]), what);
                AssertSame(expected, await sql.BagAsync($"SELECT * FROM m{i}_{cluster}"), "view, " + what);
            }
        }
    }

    private static void AssertSame(string[] expected, string[] actual, string what) =>
        Assert.True(expected.SequenceEqual(actual), $"{what}\nexpected {string.Join(", ", expected)}\nfound    {string.Join(", ", actual)}");
}
