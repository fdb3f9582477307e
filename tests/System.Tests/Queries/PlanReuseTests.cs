using System.Globalization;
using NpgsqlTypes;

namespace Materialize.SystemTests.Queries;

/// <summary>
/// Goal: a read that is planned once and run often answers as one that is planned each time. Method: the same query prepared, with
/// values as parameters in both formats, several times each; and as a text never seen before, with the values written into it.
/// </summary>
public sealed class PlanReuseTests(SharedServer server)
{
    private static int _texts;

    private static readonly string[] Setup =
    [
        "CREATE TABLE p (i4 int4, i8 int8, s text, n numeric(10, 2), d date, b bool)",
        """
        INSERT INTO p SELECT g % 20, g, CASE WHEN g % 9 = 0 THEN NULL ELSE 'n' || (g % 15)::text END, (g % 12) / 4.0, ('2024-01-0' || (1 + g % 9)::text)::date, g % 2 = 0
        FROM generate_series(1, 200) AS g
        """,
        "INSERT INTO p VALUES (NULL, NULL, NULL, NULL, NULL, NULL), (7, NULL, 'n7', 0.25, NULL, true)",
        "CREATE INDEX p_i4 ON p (i4)",
        "CREATE INDEX p_i8_s ON p (i8, s)",
        "CREATE INDEX p_s ON p (s)",
        "CREATE INDEX p_n ON p (n)",
        "CREATE INDEX p_d ON p (d)",
        "CREATE INDEX p_upper ON p (upper(s))",
        "CREATE VIEW pv AS SELECT i4, count(*) AS c, sum(i8) AS total FROM p GROUP BY i4",
        "CREATE INDEX pv_i4 ON pv (i4)",
        "CREATE MATERIALIZED VIEW pm AS SELECT s, max(i8) AS m FROM p GROUP BY s",
        "CREATE INDEX pm_s ON pm (s)",
    ];

    // Query, types of its parameters, and values: one line for each execution.
    private static readonly (string Query, string[] Types, string?[][] Values)[] Cases =
    [
        ("SELECT * FROM p WHERE i4 = $1", ["int4"], [["3"], ["4"], [null], ["3"], ["-1"]]),
        ("SELECT * FROM p WHERE i4 = $1", ["int8"], [["3"], ["3000000000"], [null], ["5"], ["3"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 AND i8 > $2", ["int4", "int8"], [["3", "50"], ["3", null], [null, "5"], ["7", "100"], ["3", "0"]]),
        ("SELECT i8 FROM p WHERE i4 IN ($1, $2, 5)", ["int4", "int4"], [["3", "4"], ["3", "3"], ["5", "5"], [null, "6"], [null, null]]),
        ("SELECT i4 FROM p WHERE i8 = $1 AND s = $2", ["int8", "text"], [["7", "n7"], ["7", "n8"], ["9", null], [null, null], ["22", "n7"]]),
        ("SELECT i4 FROM p WHERE (i8 = $1 AND s = $2) OR (i8 = 22 AND s = 'n7')", ["int8", "text"], [["7", "n7"], ["22", "n7"], [null, "x"], ["1", "n1"]]),
        ("SELECT count(*) FROM p WHERE s = $1", ["text"], [["n1"], ["n2"], [null], [""], ["n1"]]),
        ("SELECT i8 FROM p WHERE s = $1", ["text"], [["n1"], ["n2"], [null], [""], ["a 'quoted' \\ text"]]),
        ("SELECT i8 FROM p WHERE upper(s) = upper($1)", ["text"], [["n1"], ["N2"], [null], ["n3"]]),
        ("SELECT i8 FROM p WHERE n = $1", ["numeric"], [["0.25"], ["0.250"], ["3"], [null], ["0.5"]]),
        ("SELECT i8 FROM p WHERE n = $1", ["int4"], [["1"], ["2"], [null], ["1"]]),
        ("SELECT i8 FROM p WHERE n = $1", ["float8"], [["0.25"], ["2.5"], [null], ["0.25"]]),
        ("SELECT i8 FROM p WHERE d = $1", ["date"], [["2024-01-03"], ["2024-01-04"], [null], ["1999-01-01"]]),
        ("SELECT i8, $2 FROM p WHERE i4 = $1", ["int4", "text"], [["3", "x"], ["4", null], [null, "y"], ["5", "z"]]),
        ("SELECT i8 + $2 FROM p WHERE i4 = $1", ["int4", "int8"], [["3", "1"], ["4", null], ["5", "10"], ["3", "9223372036854775807"], ["3", "1"]]),
        ("SELECT 100 / $2 FROM p WHERE i4 = $1", ["int4", "int4"], [["3", "7"], ["3", "5"], ["3", "0"], ["-5", "0"], ["3", "2"]]),
        ("SELECT i8 FROM p WHERE i4 = 10 / $1", ["int4"], [["2"], ["5"], ["0"], [null], ["10"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 + $2", ["int4", "int4"], [["1", "2"], ["2", "2"], [null, "2"], ["2147483647", "1"], ["0", "3"]]),
        ("SELECT i8 FROM p WHERE i4 > $1", ["int4"], [["15"], ["18"], [null], ["-1"]]),
        ("SELECT i8 FROM p WHERE b = $1", ["bool"], [["true"], ["false"], [null], ["true"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 ORDER BY i8 DESC LIMIT 3", ["int4"], [["3"], ["4"], [null], ["5"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 ORDER BY i8 LIMIT $2", ["int4", "int8"], [["3", "2"], ["3", "4"], ["3", null], ["3", "1"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 ORDER BY i8 OFFSET $2", ["int4", "int8"], [["3", "2"], ["3", "4"], ["3", "1"], ["4", "1"]]),
        ("SELECT c, total FROM pv WHERE i4 = $1", ["int4"], [["3"], ["7"], [null], ["99"], ["3"]]),
        ("SELECT m FROM pm WHERE s = $1", ["text"], [["n3"], ["n7"], [null], ["none"], ["n3"]]),
        ("SELECT p.i8, pv.c FROM p JOIN pv ON p.i4 = pv.i4 WHERE p.i4 = $1", ["int4"], [["3"], ["4"], [null], ["7"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 UNION ALL SELECT 5", ["int4"], [["3"], [null], ["4"], ["5"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 AND current_user = $2", ["int4", "text"], [["3", "materialize"], ["3", "x"], ["4", "materialize"], ["3", null]]),
        ("SELECT i8 FROM p WHERE i4 = $1 AND mz_now() > 0", ["int4"], [["3"], ["4"], [null], ["5"]]),
        ("SELECT i8 FROM p WHERE i4 = $1 AND $2 IS NULL", ["int4", "int4"], [["3", null], ["3", "1"], ["4", null], [null, null]]),
        ("SELECT i8 FROM p WHERE CASE WHEN $2 THEN i4 = $1 ELSE i4 = $1 + 1 END", ["int4", "bool"], [["3", "true"], ["3", "false"], ["3", null], [null, "true"]]),
        ("SELECT $1 + 1", ["int4"], [["3"], ["4"], [null], ["5"]]),
    ];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_prepared_read_answers_as_the_query_with_its_values_written_in(bool binary)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Setup);
        foreach (var (query, types, values) in Cases)
        {
            await using var prepared = await PrepareAsync(sql, query, types, binary);

            // Twice over: the first executions decide how the later ones are planned.
            foreach (var given in values.Concat(values).Concat(values.Reverse()))
            {
                var expected = await OutcomeAsync(sql, Written(query, types, given));
                var actual = await OutcomeAsync(prepared, types, given, binary);
                Assert.True(expected.SequenceEqual(actual), $"{query} with {string.Join(", ", given)}: {Head(actual)} instead of {Head(expected)}");
            }
        }
    }

    [Fact]
    public async Task A_text_sent_again_answers_as_it_did_and_sees_new_rows()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Setup);
        foreach (var (query, types, values) in Cases)
        {
            foreach (var given in values)
            {
                var text = Written(query, types, given);
                var first = await OutcomeAsync(sql, text);
                Assert.Equal(first, await OutcomeAsync(sql, text));
                Assert.Equal(first, await OutcomeAsync(sql, text));
            }
        }

        const string Count = "SELECT count(*) FROM p WHERE i4 = 3";
        var before = await sql.NumberAsync(Count);
        await sql.DoAsync("INSERT INTO p (i4) VALUES (3)");
        Assert.Equal(before + 1, await sql.NumberAsync(Count));
    }

    [Fact]
    public async Task A_plan_is_made_anew_when_an_index_or_a_view_changes()
    {
        await using var sql = await server.OpenAsync();
        await using var other = await server.OpenBesideAsync(sql);
        await sql.DoAsync(Setup);
        await using var table = await PrepareAsync(sql, "SELECT i8 FROM p WHERE i4 = $1", ["int4"], true);
        await using var view = await PrepareAsync(sql, "SELECT c FROM pv WHERE i4 = $1", ["int4"], true);
        for (var round = 0; round < 3; round++)
        {
            foreach (var change in (string?[])[null, "DROP INDEX p_i4", "DROP INDEX pv_i4", "CREATE INDEX p_i4 ON p (i4)", "CREATE INDEX pv_i4 ON pv (i4)"])
            {
                if (change is not null)
                    await other.DoAsync(change);
                for (var i = 0; i < 4; i++)
                {
                    Assert.Equal(await OutcomeAsync(sql, $"SELECT i8 FROM p WHERE i4 = {i}"), await OutcomeAsync(table, ["int4"], [$"{i}"], true));
                    Assert.Equal(["10"], await OutcomeAsync(view, ["int4"], [$"{i}"], true));
                }
            }
        }

        await other.DoAsync("DROP INDEX pv_i4", "CREATE OR REPLACE VIEW pv AS SELECT i4, count(*) * 2 AS c, sum(i8) AS total FROM p GROUP BY i4", "CREATE INDEX pv_i4 ON pv (i4)");
        for (var i = 0; i < 4; i++)
            Assert.Equal(["20"], await OutcomeAsync(view, ["int4"], [$"{i}"], true));
        await other.DoAsync("DROP TABLE p CASCADE");
        Assert.Contains("unknown catalog item", Assert.Single(await OutcomeAsync(table, ["int4"], ["1"], true)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_follows_the_search_path_and_the_cluster()
    {
        await using var sql = await server.OpenAsync();
        var (first, second) = (sql.Schema, $"{sql.Schema}_other");
        await sql.DoAsync(
            "CREATE TABLE q (a int4, b text)", "INSERT INTO q VALUES (1, 'first')", "CREATE INDEX ON q (a)", $"CREATE SCHEMA {second}", $"CREATE TABLE {second}.q (a int4, b text)",
            $"INSERT INTO {second}.q VALUES (1, 'second')", $"CREATE INDEX ON {second}.q (a)");
        await using var prepared = await PrepareAsync(sql, "SELECT b FROM q WHERE a = $1", ["int4"], true);
        const string Text = "SELECT b FROM q WHERE a = 1";
        for (var round = 0; round < 3; round++)
        {
            await sql.DoAsync($"SET search_path = {first}");
            await ExpectAsync("first");
            await sql.DoAsync($"SET search_path = {second}");
            await ExpectAsync("second");

            // Only for the length of a transaction.
            await sql.DoAsync("BEGIN", $"SET LOCAL search_path = {first}");
            await ExpectAsync("first");
            await sql.DoAsync("ROLLBACK");
            await ExpectAsync("second");
            await sql.DoAsync("BEGIN", $"SET search_path = {first}");
            await ExpectAsync("first");
            await sql.DoAsync("ROLLBACK");
            await ExpectAsync("second");
        }

        await sql.DoAsync("SET cluster = nowhere");
        Assert.Contains("unknown cluster 'nowhere'", Assert.Single(await OutcomeAsync(prepared, ["int4"], ["1"], true)), StringComparison.Ordinal);
        if (sql.Connection.FullState.HasFlag(System.Data.ConnectionState.Open))
        {
            await sql.DoAsync("RESET cluster");
            await ExpectAsync("second");
        }

        async Task ExpectAsync(string expected)
        {
            for (var i = 0; i < 4; i++)
            {
                Assert.Equal([expected], await OutcomeAsync(prepared, ["int4"], ["1"], true));
                Assert.Equal(expected, await sql.OneAsync(Text));
            }
        }
    }

    [Fact]
    public async Task A_kept_plan_reads_at_the_time_of_its_transaction()
    {
        await using var sql = await server.OpenAsync();
        await using var writer = await server.OpenBesideAsync(sql);
        await sql.DoAsync("CREATE TABLE q (a int4, b int4)", "INSERT INTO q VALUES (1, 10)", "CREATE INDEX ON q (a)");
        await using var prepared = await PrepareAsync(sql, "SELECT b FROM q WHERE a = $1", ["int4"], true);
        for (var i = 0; i < 4; i++)
            Assert.Equal(["10"], await OutcomeAsync(prepared, ["int4"], ["1"], true));
        await sql.DoAsync("BEGIN");
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(["10"], await OutcomeAsync(prepared, ["int4"], ["1"], true));
            if (i == 0)
                await writer.DoAsync("INSERT INTO q VALUES (1, 20)");
        }

        await sql.DoAsync("COMMIT");
        Assert.Equal(["10", "20"], await OutcomeAsync(prepared, ["int4"], ["1"], true));
        for (var i = 0; i < 30; i++)
        {
            await writer.DoAsync($"INSERT INTO q VALUES (2, {i})");
            Assert.Equal(i + 1, (await OutcomeAsync(prepared, ["int4"], ["2"], true)).Length);
        }
    }

    private static async Task<NpgsqlCommand> PrepareAsync(Sql sql, string query, string[] types, bool binary)
    {
        var command = new NpgsqlCommand(query, sql.Connection) { AllResultTypesAreUnknown = true };
        foreach (var type in types)
            command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = binary ? TypeOf(type) : NpgsqlDbType.Unknown, Value = DBNull.Value });
        if (!binary)
        {
            // Text parameters have no type of their own here: the query says which.
            for (var i = 0; i < types.Length; i++)
                command.CommandText = command.CommandText.Replace($"${i + 1}", $"(${i + 1}::{types[i]})", StringComparison.Ordinal);
        }

        await command.PrepareAsync();
        return command;
    }

    private static async Task<string[]> OutcomeAsync(NpgsqlCommand prepared, string[] types, string?[] values, bool binary)
    {
        for (var i = 0; i < values.Length; i++)
            prepared.Parameters[i].Value = values[i] is not { } text ? DBNull.Value : binary ? Parsed(types[i], text) : text;
        return await OutcomeAsync(prepared);
    }

    private static async Task<string[]> OutcomeAsync(Sql sql, string text)
    {
        await using var command = new NpgsqlCommand(text, sql.Connection) { AllResultTypesAreUnknown = true };
        return await OutcomeAsync(command);
    }

    /// <summary>Rows, sorted unless the query sorts; or the error.</summary>
    private static async Task<string[]> OutcomeAsync(NpgsqlCommand command)
    {
        try
        {
            await using var reader = await command.ExecuteReaderAsync();
            var rows = new List<string>();
            while (await reader.ReadAsync())
                rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? Sql.Null : reader.GetString(i))));
            if (!command.CommandText.Contains("ORDER BY", StringComparison.Ordinal))
                rows.Sort(StringComparer.Ordinal);
            return [.. rows];
        }
        catch (PostgresException e)
        {
            return [$"{e.SqlState}: {e.MessageText}"];
        }
    }

    /// <summary>The query with its values, as a text that was never sent before.</summary>
    private static string Written(string query, string[] types, string?[] values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            var literal = values[i] is { } text ? $"'{text.Replace("'", "''", StringComparison.Ordinal)}'" : "NULL";
            query = query.Replace($"${i + 1}", $"({literal}::{types[i]})", StringComparison.Ordinal);
        }

        return $"{query} -- {Interlocked.Increment(ref _texts)}";
    }

    private static string Head(string[] rows) => $"{rows.Length} rows [{string.Join(", ", rows.Take(4))}]";

    private static NpgsqlDbType TypeOf(string type) => type switch
    {
        "int4" => NpgsqlDbType.Integer,
        "int8" => NpgsqlDbType.Bigint,
        "text" => NpgsqlDbType.Text,
        "numeric" => NpgsqlDbType.Numeric,
        "float8" => NpgsqlDbType.Double,
        "date" => NpgsqlDbType.Date,
        _ => NpgsqlDbType.Boolean,
    };

    private static object Parsed(string type, string text) => type switch
    {
        "int4" => int.Parse(text, CultureInfo.InvariantCulture),
        "int8" => long.Parse(text, CultureInfo.InvariantCulture),
        "numeric" => decimal.Parse(text, CultureInfo.InvariantCulture),
        "float8" => double.Parse(text, CultureInfo.InvariantCulture),
        "date" => DateOnly.Parse(text, CultureInfo.InvariantCulture),
        "bool" => bool.Parse(text),
        _ => text,
    };
}
