using System.Globalization;
using System.Text;

namespace Materialize.SystemTests.Queries;

/// <summary>
/// Window functions kept as views while rows come, change and go, against what they are by definition: computed here from the table's rows. Orders are made total by the row's id where peers matter; nulls are first or last,
/// descending or not.
/// </summary>
public class WindowTests(SharedServer server)
{
    private sealed record Row(int Id, int? G, int? V, string? S);

    private sealed record Window(string Over, Func<Row, object?> Partition, Comparison<Row> Order);

    private static readonly Window[] Windows =
    [
        new("PARTITION BY g ORDER BY v, id", r => r.G, (a, b) => Then(Nulls(a.V, b.V, last: true), a.Id.CompareTo(b.Id))),
        new("PARTITION BY g ORDER BY v DESC NULLS LAST, id DESC", r => r.G, (a, b) => Then(Nulls(a.V, b.V, last: true, down: true), b.Id.CompareTo(a.Id))),
        new("ORDER BY s NULLS FIRST, id", _ => 0, (a, b) => Then(Nulls(a.S, b.S, last: false), a.Id.CompareTo(b.Id))),
        new("PARTITION BY g, s ORDER BY id", r => (r.G, r.S), (a, b) => a.Id.CompareTo(b.Id)),
    ];

    // Each with what it is for row i of the partition's sorted rows.
    private static readonly (string Call, string Frame, Func<List<Row>, int, object?> Value)[] Functions =
    [
        ("row_number()", "", (_, i) => i + 1),
        ("lag(v)", "", (p, i) => i > 0 ? p[i - 1].V : null),
        ("lag(s, 2, 'none')", "", (p, i) => i > 1 ? p[i - 2].S : "none"),
        ("lead(v, 1, id)", "", (p, i) => i + 1 < p.Count ? p[i + 1].V : p[i].Id),
        ("lead(s, -1)", "", (p, i) => i > 0 ? p[i - 1].S : null),
        ("first_value(v)", "", (p, _) => p[0].V),
        ("last_value(s)", "", (p, i) => p[i].S),
        ("last_value(v)", "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", (p, _) => p[^1].V),
        ("first_value(s)", "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", (p, i) => p[Math.Max(0, i - 2)].S),
        ("last_value(v)", "ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING", (p, i) => p[Math.Min(p.Count - 1, i + 1)].V),
        ("sum(v)", "", (p, i) => Sum(p, 0, i)),
        ("count(*)", "", (_, i) => i + 1),
        ("count(v)", "ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", (p, i) => p.Skip(Math.Max(0, i - 2)).Take(i + 2 - Math.Max(0, i - 2)).Count(r => r.V is not null)),
        ("sum(v)", "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", (p, i) => Sum(p, i - 1, i)),
        ("sum(v)", "ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING", (p, i) => Sum(p, i - 3, i - 2)),
        ("sum(v)", "ROWS UNBOUNDED PRECEDING", (p, i) => Sum(p, 0, i)),
        ("count(*)", "ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING", (p, i) => Math.Min(2, p.Count - 1 - i)),
        ("max(v)", "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", (p, i) => p.Skip(Math.Max(0, i - 1)).Take(Math.Min(i, 1) + 1).Max(r => r.V)),
        ("sum(v)", "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", (p, i) => Sum(p, i, p.Count - 1)),
    ];

    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public async Task Maintained_windows_are_what_their_definition_says_after_each_change(int seed)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (id int NOT NULL, g int, v int, s text)");
        var random = new Random(seed);
        List<(string Name, Window Window, int[] Functions)> views = [];
        for (var i = 0; i < 5; i++)
        {
            var window = Windows[random.Next(Windows.Length)];
            var functions = Enumerable.Range(0, 1 + random.Next(4)).Select(_ => random.Next(Functions.Length)).ToArray();
            var calls = functions.Select((f, n) => $"{Functions[f].Call} OVER ({window.Over} {Functions[f].Frame}) AS f{n}");
            await sql.DoAsync($"CREATE {(i % 2 == 0 ? "MATERIALIZED VIEW" : "VIEW")} w{i} AS SELECT id, {string.Join(", ", calls)} FROM t");
            if (i % 2 == 1)
                await sql.DoAsync($"CREATE DEFAULT INDEX ON w{i}");
            views.Add(($"w{i}", window, functions));
        }

        var rows = new List<Row>();
        for (var round = 0; round < 12; round++)
        {
            await ChangeAsync(sql, random, rows, round);
            foreach (var (name, window, functions) in views)
            {
                var wanted = Expected(rows, window, functions);
                Assert.Equal(wanted, await sql.BagAsync($"SELECT * FROM {name}"));
            }
        }
    }

    [Fact]
    public async Task Functions_over_one_window_share_an_operator_and_explain_shows_it()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (id int NOT NULL, g int, v int, s text)");
        const string over = "PARTITION BY g ORDER BY v + 1, id";
        var plan = string.Join('\n', await sql.RowsAsync(
            $"EXPLAIN PHYSICAL PLAN FOR SELECT id, row_number() OVER ({over}), lag(v + 1) OVER ({over}), sum(v) OVER ({over} ROWS 2 PRECEDING), 1 + rank() OVER ({over}) FROM t"));
        Assert.Equal(1, plan.Split("Window Functions").Length - 1);
        Assert.Contains("row_number(), lag(#", plan);
        Assert.Contains("rows between 2 preceding and current row", plan);
    }

    [Fact]
    public async Task A_window_inside_a_recursion_is_computed_there()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (id int NOT NULL, v int)");
        await sql.DoAsync("INSERT INTO t VALUES (1, 5), (2, 3), (3, 9)");
        await sql.DoAsync(
            "CREATE MATERIALIZED VIEW r AS WITH MUTUALLY RECURSIVE x (id int, n int) AS (SELECT id, 0 FROM t UNION SELECT id, least(n + row_number() OVER (ORDER BY id)::int, 3) FROM x WHERE n = 0) SELECT id, n FROM x");
        Assert.Equal(["1|0", "1|1", "2|0", "2|2", "3|0", "3|3"], await sql.BagAsync("SELECT * FROM r"));
        await sql.DoAsync("DELETE FROM t WHERE id = 1");
        Assert.Equal(["2|0", "2|1", "3|0", "3|2"], await sql.BagAsync("SELECT * FROM r"));
    }

    private static async Task ChangeAsync(Sql sql, Random random, List<Row> rows, int round)
    {
        string Literal(Row r) => $"({r.Id}, {Text(r.G)}, {Text(r.V)}, {(r.S is null ? "NULL" : $"'{r.S}'")})";
        string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "NULL";
        if (round % 3 == 2 && rows.Count > 0)
        {
            var gone = rows.Where(_ => random.Next(4) == 0).ToList();
            rows.RemoveAll(gone.Contains);
            await sql.DoAsync($"DELETE FROM t WHERE id IN ({string.Join(", ", gone.Select(r => r.Id).Append(-1))})");
        }
        else if (round % 3 == 1 && rows.Count > 0)
        {
            var changed = random.Next(rows.Count);
            rows[changed] = rows[changed] with { V = random.Next(4) == 0 ? null : random.Next(9) };
            await sql.DoAsync($"UPDATE t SET v = {Text(rows[changed].V)} WHERE id = {rows[changed].Id}");
        }
        else
        {
            List<Row> made = [.. Enumerable.Range(0, 1 + random.Next(8)).Select(i => new Row(
                (round * 100) + i, random.Next(5) == 0 ? null : random.Next(3), random.Next(5) == 0 ? null : random.Next(9), random.Next(5) == 0 ? null : $"s{random.Next(4)}"))];
            rows.AddRange(made);
            await sql.DoAsync($"INSERT INTO t VALUES {string.Join(", ", made.Select(Literal))}");
        }
    }

    private static List<string> Expected(List<Row> rows, Window window, int[] functions)
    {
        var lines = new List<string>();
        foreach (var partition in rows.GroupBy(window.Partition))
        {
            var sorted = partition.ToList();
            sorted.Sort(window.Order);
            for (var i = 0; i < sorted.Count; i++)
            {
                var line = new StringBuilder(sorted[i].Id.ToString(CultureInfo.InvariantCulture));
                foreach (var f in functions)
                    line.Append('|').Append(Functions[f].Value(sorted, i)?.ToString() ?? Sql.Null);
                lines.Add(line.ToString());
            }
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    private static long? Sum(List<Row> rows, int from, int to)
    {
        long? sum = null;
        for (var i = Math.Max(0, from); i <= Math.Min(to, rows.Count - 1); i++)
        {
            if (rows[i].V is { } v)
                sum = (sum ?? 0) + v;
        }

        return sum;
    }

    private static int Then(int first, int second) => first != 0 ? first : second;

    private static int Nulls<T>(T? a, T? b, bool last, bool down = false)
    {
        if (a is null || b is null)
            return (a is null ? 1 : 0).CompareTo(b is null ? 1 : 0) * (last ? 1 : -1);
        var order = a is string x && b is string y ? string.CompareOrdinal(x, y) : Comparer<T>.Default.Compare(a, b);
        return down ? -order : order;
    }
}
