namespace Materialize.SystemTests.Queries;

/// <summary>Statements whose answers are known.</summary>
public sealed class StatementTests(SharedServer server)
{
    private const string Table = "CREATE TABLE t (a int4 NOT NULL, b text DEFAULT 'x')";

    [Fact]
    public async Task Writes_are_read_at_once_by_others()
    {
        await using var one = await server.OpenAsync();
        await using var two = await server.OpenBesideAsync(one);
        await one.DoAsync(Table);
        for (var i = 1; i <= 10; i++)
        {
            await one.DoAsync($"INSERT INTO t VALUES ({i})");
            Assert.Equal(i, await two.NumberAsync("SELECT count(*) FROM t"));
        }
    }

    [Fact]
    public async Task Defaults_and_not_null_are_held()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Table, "INSERT INTO t (a) VALUES (1)", "INSERT INTO t VALUES (2, NULL)");
        Assert.Equal(["1|x", $"2|{Sql.Null}"], await sql.RowsAsync("SELECT * FROM t ORDER BY a"));
        Assert.Equal("23502", (await sql.FailsAsync("INSERT INTO t (b) VALUES ('y')")).SqlState);
        Assert.Equal("23502", (await sql.FailsAsync("INSERT INTO t VALUES (NULL, 'y')")).SqlState);
        Assert.Equal(2, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Tags_count_the_rows()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Table);
        Assert.Equal(3, await CountAsync("INSERT INTO t VALUES (1), (2), (3)"));
        Assert.Equal(3, await CountAsync("INSERT INTO t SELECT a + 10, b FROM t"));
        Assert.Equal(2, await CountAsync("UPDATE t SET b = 'z' WHERE a > 11"));
        Assert.Equal(4, await CountAsync("DELETE FROM t WHERE b = 'x'"));
        Assert.Equal(0, await CountAsync("DELETE FROM t WHERE a = 99"));

        async Task<int> CountAsync(string statement)
        {
            await using var command = new NpgsqlCommand(statement, sql.Connection);
            return await command.ExecuteNonQueryAsync();
        }
    }

    [Fact]
    public async Task Objects_are_made_replaced_shown_and_dropped()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            Table,
            "CREATE VIEW v AS SELECT a FROM t",
            "CREATE OR REPLACE VIEW v AS SELECT a, b FROM t",
            "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t",
            "CREATE INDEX i ON v (a)");
        Assert.Equal("t", (await sql.OneAsync("SHOW TABLES")).Split('|')[0]);
        Assert.Equal("v", (await sql.OneAsync("SHOW VIEWS")).Split('|')[0]);
        Assert.Equal("m", (await sql.OneAsync("SHOW MATERIALIZED VIEWS")).Split('|')[0]);
        Assert.Equal("i", (await sql.OneAsync("SHOW INDEXES ON v")).Split('|')[0]);
        Assert.Equal(["a", "b"], (await sql.RowsAsync("SHOW COLUMNS FROM t")).Select(r => r.Split('|')[0]));
        Assert.Contains("CREATE TABLE", await sql.OneAsync("SHOW CREATE TABLE t"), StringComparison.Ordinal);
        Assert.Contains("CREATE VIEW", await sql.OneAsync("SHOW CREATE VIEW v"), StringComparison.Ordinal);
        Assert.Contains("CREATE INDEX", await sql.OneAsync("SHOW CREATE INDEX i"), StringComparison.Ordinal);
        Assert.Contains("still depended upon by", (await sql.FailsAsync("DROP TABLE t")).MessageText, StringComparison.Ordinal);
        await sql.DoAsync("DROP INDEX i", "DROP TABLE t CASCADE");
        Assert.Empty(await sql.RowsAsync("SHOW VIEWS"));
        Assert.Empty(await sql.RowsAsync("SHOW TABLES"));
    }

    [Fact]
    public async Task Databases_and_schemas_separate_names()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE DATABASE separate", "CREATE SCHEMA separate.inner_schema", "CREATE TABLE separate.inner_schema.t (a int4)", "CREATE TABLE t (b text)",
            "INSERT INTO separate.inner_schema.t VALUES (7)", "INSERT INTO t VALUES ('here')");
        Assert.Equal("7", await sql.OneAsync("SELECT * FROM separate.inner_schema.t"));
        Assert.Equal("here", await sql.OneAsync("SELECT * FROM t"));
        Assert.Contains(await sql.RowsAsync("SHOW DATABASES"), r => r.StartsWith("separate|", StringComparison.Ordinal));
        Assert.Contains(await sql.RowsAsync("SHOW SCHEMAS FROM separate"), r => r.StartsWith("inner_schema|", StringComparison.Ordinal));
        await sql.DoAsync("DROP DATABASE separate CASCADE");
        Assert.DoesNotContain(await sql.RowsAsync("SHOW DATABASES"), r => r.StartsWith("separate|", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("RAW")]
    [InlineData("DECORRELATED")]
    [InlineData("OPTIMIZED")]
    [InlineData("PHYSICAL")]
    public async Task Plans_of_each_stage_can_be_seen(string stage)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Table, "CREATE TABLE u (a int4)", "CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n FROM t GROUP BY a");
        var plan = string.Join('\n', await sql.RowsAsync($"EXPLAIN {stage} PLAN FOR SELECT b, count(*) FROM t JOIN u USING (a) WHERE a IN (SELECT a FROM u) GROUP BY b"));
        Assert.Contains("Join", plan, StringComparison.Ordinal);
        Assert.Contains("materialize.", plan, StringComparison.Ordinal);
        if (stage is "OPTIMIZED" or "PHYSICAL")
            Assert.Contains("Reduce", string.Join('\n', await sql.RowsAsync($"EXPLAIN {stage} PLAN FOR MATERIALIZED VIEW m")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Session_variables_are_set_shown_and_reset()
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal("strict serializable", await sql.OneAsync("SHOW transaction_isolation"));
        await sql.DoAsync("SET statement_timeout = '5s'");
        Assert.Equal("5 s", await sql.OneAsync("SHOW statement_timeout"));
        await sql.DoAsync("RESET statement_timeout");
        Assert.Equal("1 min", await sql.OneAsync("SHOW statement_timeout"));
        Assert.Equal("42704", (await sql.FailsAsync("SET no_such_variable = 1")).SqlState);
        await sql.DoAsync("BEGIN", "SET LOCAL application_name = 'local'");
        Assert.Equal("local", await sql.OneAsync("SHOW application_name"));
        await sql.DoAsync("COMMIT");
        Assert.NotEqual("local", await sql.OneAsync("SHOW application_name"));
    }

    [Fact]
    public async Task Prepared_statements_run_many_times_with_other_arguments()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Table, "INSERT INTO t SELECT x, 'n' || x::text FROM generate_series(1, 50) AS x", "CREATE INDEX ON t (a)");
        await using var command = new NpgsqlCommand("SELECT b FROM t WHERE a = $1", sql.Connection) { Parameters = { new NpgsqlParameter<int>() } };
        await command.PrepareAsync();
        for (var i = 1; i <= 50; i++)
        {
            ((NpgsqlParameter<int>)command.Parameters[0]).TypedValue = i;
            Assert.Equal($"n{i}", await command.ExecuteScalarAsync());
        }

        await sql.DoAsync("PREPARE p AS SELECT a FROM t WHERE b = $1");
        Assert.Equal("7", await sql.OneAsync("EXECUTE p ('n7')"));
        await sql.DoAsync("DEALLOCATE p");
        Assert.Equal("26000", (await sql.FailsAsync("EXECUTE p ('n7')")).SqlState);
    }

    [Fact]
    public async Task A_prepared_statement_sees_the_catalog_as_it_has_become()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(Table, "INSERT INTO t VALUES (1)");
        await using var command = new NpgsqlCommand("SELECT a FROM t WHERE a = 1", sql.Connection);
        await command.PrepareAsync();
        Assert.Equal(1, await command.ExecuteScalarAsync());
        await sql.DoAsync("CREATE INDEX ON t (a)");
        Assert.Equal(1, await command.ExecuteScalarAsync());
        await sql.DoAsync("DROP TABLE t CASCADE");
        var error = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteScalarAsync());
        Assert.Contains("unknown catalog item 't'", error.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Copy_in_and_out_keep_every_row()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4, b text)");
        await using (var copy = await sql.Connection.BeginTextImportAsync("COPY t FROM STDIN"))
            await copy.WriteAsync("1\tplain\n2\ttab\\tand\\\\slash\n3\t\\N\n");
        await using (var copy = await sql.Connection.BeginTextImportAsync("COPY t FROM STDIN WITH (FORMAT CSV)"))
            await copy.WriteAsync("4,\"quoted, \"\"text\"\"\"\n5,\n");
        Assert.Equal(["1|plain", "2|tab\tand\\slash", $"3|{Sql.Null}", "4|quoted, \"text\"", $"5|{Sql.Null}"], await sql.RowsAsync("SELECT * FROM t ORDER BY a"));
        using (var copy = await sql.Connection.BeginTextExportAsync("COPY (SELECT * FROM t ORDER BY a) TO STDOUT"))
            Assert.Equal("1\tplain\n2\ttab\\tand\\\\slash\n3\t\\N\n4\tquoted, \"text\"\n5\t\\N\n", await copy.ReadToEndAsync());
        using (var copy = await sql.Connection.BeginTextExportAsync("COPY (SELECT * FROM t ORDER BY a) TO STDOUT WITH (FORMAT CSV)"))
            Assert.Equal("1,plain\n2,tab\tand\\slash\n3,\n4,\"quoted, \"\"text\"\"\"\n5,\n", await copy.ReadToEndAsync());
    }

    [Fact]
    public async Task A_copy_with_garbage_writes_nothing()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4, b text)");
        var error = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            await using var copy = await sql.Connection.BeginTextImportAsync("COPY t FROM STDIN");
            await copy.WriteAsync("1\tgood\nnot a number\tbad\n");
        });
        Assert.Equal("22P02", error.SqlState);
        Assert.Equal(0, await sql.NumberAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task An_error_has_its_position_and_code()
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal("42601", (await sql.FailsAsync("SELECT 1 FRM t")).SqlState);
        await sql.DoAsync(Table);
        // The reference gives names that do not resolve no codes of their own: clients match on the text.
        var table = await sql.FailsAsync("SELECT * FROM nowhere");
        Assert.Equal(("unknown catalog item 'nowhere'", 15), (table.MessageText, table.Position));
        var column = await sql.FailsAsync("SELECT nothing FROM t");
        Assert.Equal(("column \"nothing\" does not exist", 8), (column.MessageText, column.Position));
        Assert.Contains("function \"no_such_function\" does not exist", (await sql.FailsAsync("SELECT no_such_function(1)")).MessageText, StringComparison.Ordinal);
        Assert.Contains("already exists", (await sql.FailsAsync(Table)).MessageText, StringComparison.Ordinal);
        Assert.Equal("division by zero", (await sql.FailsAsync("SELECT 1 / 0")).MessageText);
        Assert.Contains("invalid input syntax for type integer", (await sql.FailsAsync("SELECT 'x'::int4")).MessageText, StringComparison.Ordinal);
        Assert.Equal("1", await sql.OneAsync("SELECT 1"));
    }
}
