namespace Materialize.SystemTests.Queries;

/// <summary>What a person sees in psql.</summary>
public sealed class PsqlTests(SharedServer server)
{
    [Fact]
    public async Task Scripts_run_with_results_tags_and_errors()
    {
        var (output, _) = await Psql.RunAsync(
            server.Environment,
            """
            CREATE SCHEMA psql_script;
            SET search_path = psql_script;
            CREATE TABLE t (a int, b text);
            INSERT INTO t VALUES (1, 'one'), (2, NULL);
            SELECT * FROM t ORDER BY a;
            SELECT 1 \; SELECT 2;
            SELECT nope FROM t;
            UPDATE t SET b = 'two' WHERE a = 2;
            \copy t from stdin
            3	three
            \.
            SELECT count(*) AS n FROM t;
            \copy (select * from t order by a) to stdout
            """,
            "-A");
        Assert.Contains("CREATE TABLE\nINSERT 0 2\na|b\n1|one\n2|\n(2 rows)\n?column?\n1\n(1 row)\n?column?\n2\n(1 row)\nUPDATE 1\nCOPY 1\nn\n3\n(1 row)\n1\tone\n2\ttwo\n3\tthree\n", output, StringComparison.Ordinal);
        Assert.Contains("column \"nope\" does not exist\nLINE 1: SELECT nope FROM t;\n               ^", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hint_says_what_to_do()
    {
        var (output, _) = await Psql.RunAsync(server.Environment, "CREATE TABLE hinted (a int);\nSELECT b FROM hinted;\nDROP TABLE hinted;\nSELECT lenght('x');\n");
        Assert.Contains("ERROR:", output, StringComparison.Ordinal);
        Assert.Contains("HINT:", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\\d", "described")]
    [InlineData("\\d described", "Column")]
    [InlineData("\\dt", "described")]
    [InlineData("\\dv", "described_view")]
    [InlineData("\\di", "described_index")]
    [InlineData("\\dn", "public")]
    [InlineData("\\l", "materialize")]
    public async Task Objects_are_listed_and_described(string command, string shown)
    {
        await Psql.RunAsync(
            server.Environment,
            "CREATE TABLE IF NOT EXISTS described (a int NOT NULL, b text);\nCREATE VIEW IF NOT EXISTS described_view AS SELECT a FROM described;\nCREATE INDEX IF NOT EXISTS described_index ON described (a);\n");
        var (output, _) = await Psql.RunAsync(server.Environment, command);
        Assert.DoesNotContain("ERROR", output, StringComparison.Ordinal);
        Assert.Contains(shown, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Columns_of_lists_and_maps_are_described_as_such()
    {
        var (output, _) = await Psql.RunAsync(server.Environment, "CREATE VIEW IF NOT EXISTS lists_and_maps AS SELECT LIST[1.5] AS l, MAP['a' => 1] AS m;\n\\d lists_and_maps\n", "-A");
        Assert.Contains("l|list|", output, StringComparison.Ordinal);
        Assert.Contains("m|map|", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Npgsql_connects_with_its_own_type_loading()
    {
        await using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={server.Environment.SqlPort};Username=materialize;Database=materialize;Pooling=false");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand("SELECT 1::int4, 'x'::text, ARRAY[1, 2]", connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal([1, 2], reader.GetFieldValue<int[]>(2));
    }
}
