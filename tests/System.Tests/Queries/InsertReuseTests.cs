using System.Globalization;

namespace Materialize.SystemTests.Queries;

/// <summary>
/// Goal: an INSERT that is planned once and run often writes what one does that is planned each time. Method: the same statement prepared, with values
/// as parameters, several times each, into one table; and as a text with the values written into it, into another of the same columns.
/// </summary>
public sealed class InsertReuseTests(SharedServer server)
{
    private const string Columns =
        "(a int4 NOT NULL, b int8 DEFAULT 7, s varchar(4), n numeric(6, 2), t text DEFAULT 'none', c char(3), j jsonb, m timestamptz DEFAULT now(), u text DEFAULT current_user)";

    // Statement, types of its parameters, and values: one line for each execution. {t} is the table.
    private static readonly (string Statement, string[] Types, string?[][] Values)[] Cases =
    [
        ("INSERT INTO {t} (a, b) VALUES ($1, $2)", ["int4", "int8"], [["1", "2"], ["3", null], [null, "4"], ["5", "6"], ["5", "6"]]),
        ("INSERT INTO {t} (a) VALUES ($1)", ["int8"], [["1"], ["3000000000"], ["2"], [null], ["4"]]),
        ("INSERT INTO {t} (a, s) VALUES ($1, $2)", ["int4", "text"], [["1", "ab"], ["2", "abcde"], ["3", "abcd  "], ["4", null], ["5", ""]]),
        ("INSERT INTO {t} (a, n) VALUES ($1, $2)", ["int4", "numeric"], [["1", "1.005"], ["2", "99999"], ["3", "-0.004"], ["4", null], ["5", "9999.99"]]),
        ("INSERT INTO {t} (a, c, t) VALUES ($1, $2, DEFAULT)", ["int4", "text"], [["1", "x"], ["2", "xyz"], ["3", "xyz1"], ["4", null], ["5", ""]]),
        ("INSERT INTO {t} (a, b) VALUES ($1 + 1, 100 / $2), ($1, 0), (-1, $2)", ["int4", "int8"], [["1", "2"], ["2147483647", "1"], ["3", "0"], ["4", null], [null, "5"], ["6", "7"]]),
        ("INSERT INTO {t} (a, t) VALUES (1, $1), (2, 'two'), (3, $1 || '!')", ["text"], [["x"], [null], ["y"], ["y"]]),
        ("INSERT INTO {t} (t, a) SELECT upper($2), $1", ["int4", "text"], [["1", "a"], ["2", null], [null, "b"], ["3", "c"]]),
        ("INSERT INTO {t} (a, b) SELECT $1, g FROM generate_series(1, $2) AS g", ["int4", "int4"], [["1", "3"], ["2", "0"], ["3", null], ["4", "2"]]),
        ("INSERT INTO {t} (a, b) SELECT a + $1, count(*) FROM {t} WHERE a < $1 GROUP BY a", ["int4"], [["3"], ["1000"], [null], ["2"]]),
        ("INSERT INTO {t} (a, j) VALUES ($1, $2::jsonb)", ["int4", "text"], [["1", "{\"x\": [1]}"], ["2", "nothing"], ["3", null], ["4", "1"]]),
        ("INSERT INTO {t} (a, t) VALUES (CASE WHEN $1 > 2 THEN 10 / ($1 - 2) ELSE $1 END, current_database())", ["int4"], [["1"], ["2"], ["3"], ["22"]]),
        ("INSERT INTO {t} (a, b) VALUES ($1, $2) RETURNING a + b, t", ["int4", "int8"], [["1", "2"], ["3", null], [null, "4"], ["5", "9223372036854775807"], ["6", "7"]]),
        ("INSERT INTO {t} (a) VALUES ($1) RETURNING a + $2", ["int4", "int4"], [["1", "2"], ["3", null], ["4", "2147483647"], ["6", "7"]]),
        ("INSERT INTO {t} VALUES ($1)", ["int4"], [["1"], ["2"], ["3"]]),
        ("INSERT INTO {t} (a) VALUES (42)", [], [[], [], []]),
    ];

    [Fact]
    public async Task A_prepared_INSERT_writes_what_it_does_with_its_values_written_in()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync($"CREATE TABLE prepared {Columns}", $"CREATE TABLE written {Columns}");
        foreach (var (statement, types, values) in Cases)
        {
            var text = types.Index().Aggregate(statement, (s, t) => s.Replace($"${t.Index + 1}", $"(${t.Index + 1}::{t.Item})", StringComparison.Ordinal));
            await using var command = new NpgsqlCommand(text.Replace("{t}", "prepared", StringComparison.Ordinal), sql.Connection) { AllResultTypesAreUnknown = true };
            foreach (var _ in types)
                command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Unknown, Value = DBNull.Value });
            await command.PrepareAsync();
            foreach (var given in values.Concat(values))
            {
                for (var i = 0; i < given.Length; i++)
                    command.Parameters[i].Value = (object?)given[i] ?? DBNull.Value;
                var literals = given.Index().Aggregate(text.Replace("{t}", "written", StringComparison.Ordinal), (s, g) => s.Replace($"${g.Index + 1}", Literal(g.Item), StringComparison.Ordinal));
                Assert.Equal(await OutcomeAsync(new NpgsqlCommand(literals, sql.Connection) { AllResultTypesAreUnknown = true }), await OutcomeAsync(command));
            }

            const string Rows = "SELECT a, b, s, n, t, c, j, u, m > now() - INTERVAL '1 hour' AND m <= now() FROM ";
            Assert.Equal(await sql.BagAsync(Rows + "written"), await sql.BagAsync(Rows + "prepared"));
        }
    }

    [Fact]
    public async Task It_follows_the_table_the_search_path_and_its_transaction()
    {
        await using var sql = await server.OpenAsync();
        await using var other = await server.OpenBesideAsync(sql);
        var (first, second) = (sql.Schema, $"{sql.Schema}_other");
        await sql.DoAsync("CREATE TABLE w (a int4, b int4 DEFAULT 1)", $"CREATE SCHEMA {second}", $"CREATE TABLE {second}.w (a int4, b int4 DEFAULT 2)");
        await using var insert = new NpgsqlCommand("INSERT INTO w (a) VALUES ($1)", sql.Connection);
        insert.Parameters.Add(new NpgsqlParameter<int>());
        await insert.PrepareAsync();
        await ManyAsync(1);
        await sql.DoAsync($"SET search_path = {second}");
        await ManyAsync(2);
        await sql.DoAsync($"SET search_path = {first}");
        await ManyAsync(3);
        Assert.Equal(["1|1", "1|1", "1|1", "3|1", "3|1", "3|1"], await sql.BagAsync($"SELECT * FROM {first}.w"));
        Assert.Equal(["2|2", "2|2", "2|2"], await sql.BagAsync($"SELECT * FROM {second}.w"));

        // What is rolled back is not there, what is committed comes at once.
        await sql.DoAsync("BEGIN");
        await ManyAsync(4);
        await sql.DoAsync("ROLLBACK");
        await sql.DoAsync("BEGIN");
        await ManyAsync(5);
        Assert.Equal("0", await other.OneAsync("SELECT count(*) FROM w WHERE a >= 4"));
        await sql.DoAsync("COMMIT");
        Assert.Equal("3|15", await sql.OneAsync("SELECT count(*), sum(a) FROM w WHERE a >= 4"));

        // Another table of that name: the columns are others, the statement still fits.
        await other.DoAsync("DROP TABLE w", "CREATE TABLE w (x text DEFAULT 'x', a int8)");
        await ManyAsync(6);
        Assert.Equal(["x|6", "x|6", "x|6"], await sql.BagAsync("SELECT * FROM w"));
        await other.DoAsync("DROP TABLE w");
        Assert.Contains("unknown catalog item 'w'", (await Assert.ThrowsAsync<PostgresException>(() => ManyAsync(7))).MessageText, StringComparison.Ordinal);

        async Task ManyAsync(int value)
        {
            for (var i = 0; i < 3; i++)
            {
                ((NpgsqlParameter<int>)insert.Parameters[0]).TypedValue = value;
                Assert.Equal(1, await insert.ExecuteNonQueryAsync());
            }
        }
    }

    private static string Literal(string? value) => value is null ? "NULL" : $"'{value.Replace("'", "''", StringComparison.Ordinal)}'";

    private static async Task<string> OutcomeAsync(NpgsqlCommand command)
    {
        try
        {
            await using var reader = await command.ExecuteReaderAsync();
            var rows = new List<string>();
            while (await reader.ReadAsync())
                rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? Sql.Null : reader.GetString(i))));
            await reader.CloseAsync();
            return string.Create(CultureInfo.InvariantCulture, $"{reader.RecordsAffected}: {string.Join(", ", rows)}");
        }
        catch (PostgresException e)
        {
            return $"{e.SqlState}: {e.MessageText}";
        }
    }
}
