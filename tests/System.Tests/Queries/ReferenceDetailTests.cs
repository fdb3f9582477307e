namespace Materialize.SystemTests.Queries;

/// <summary>Details of the reference behaviour that conformance runs found wrong once.</summary>
public sealed class ReferenceDetailTests(SharedServer server)
{
    public static TheoryData<string, string> Answers { get; } = new()
    {
        { "SELECT INTERVAL '1-3' YEAR TO MONTH", "1 year 3 months" },
        { "SELECT INTERVAL '23:10' MINUTE TO SECOND", "00:23:10" },
        { "SELECT length(repeat('x', 70)::name::text), length('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'::name::text)", "63|63" },
        { "SELECT 'abc' LIKE ANY (ARRAY['x', 'a%']), 'abc' NOT LIKE ALL (ARRAY['x', 'a%']), 'ABC' ILIKE SOME (ARRAY['a%'])", "t|f|t" },
        { "SELECT 'abc' LIKE ANY (SELECT p FROM (VALUES ('x'), ('a%')) v (p))", "t" },
        { "SELECT '{\"a\":1}'::jsonb || '\"c\"'::jsonb IS NULL", "t" },
        { "SELECT pg_typeof('1'), pg_typeof(NULL), pg_typeof('1'::text), pg_typeof(NULL::int4)", "unknown|unknown|text|integer" },
        { "SELECT NULLIF((1, NULL), (1, NULL)) IS NULL, NULLIF((1, 2), (1, 3)), NULLIF((1, NULL::int4), (1, 2))", "t|(1,2)|(1,)" },
        { "SELECT CASE (1, NULL::int4) WHEN (1, 2) THEN 'a' WHEN (1, NULL) THEN 'b' ELSE 'c' END", "b" },
        { "SELECT datediff('century', '0001-01-01 BC'::date, '0001-01-01'::date), datediff('millennium', '1001-01-01 BC'::date, '0001-01-01'::date)", "2|3" },
        { "SELECT datediff('century', '0101-01-01 BC'::date, '0100-01-01 BC'::date), datediff('century', '1900-12-31'::date, '1901-01-01'::date)", "1|1" },
        { "SELECT var_pop(DISTINCT x), var_samp(DISTINCT x::float8), stddev(DISTINCT x) FROM (VALUES (1), (-1), (1), (0), (NULL), (0)) v (x)", "0.666666666666666666666666666666666666667|1|1" },
        { "SELECT 'ab'::char(4) LIKE 'ab', 'ab'::char(4) LIKE 'ab  ', 'ab'::char(4) NOT LIKE 'ab%', 'ab'::char(4) LIKE 'ab'::char(4), 'AB'::char(3) ILIKE 'ab '", "f|t|f|f|t" },
        { "SELECT concat('a'::char(3), 'b', 'c'::char(2)), concat_ws('-', 'a'::char(2), NULL, 'b'), 'a'::char(3) || 'b'", "a  bc |a -b|ab" },
        { "SELECT datediff('day', '0044-03-15 12:00 BC'::timestamp, '0001-01-01 06:00'::timestamp), datediff('hour', '2024-01-01 00:59'::timestamp, '2024-01-01 01:01'::timestamp)", "15997|0" },
        { "SELECT 'now'::regproc::text, 'mz_tables'::regclass::text, 'int4'::regtype::text, 4294967295::oid::regclass::text, (NULL::regclass)::text IS NULL", "now|mz_tables|integer|4294967295|t" },
        { "SELECT count(*) OVER (ROWS BETWEEN 1 PRECEDING AND 2 PRECEDING)", "0" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task Answers_as_the_reference(string query, string answer)
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal(answer, await sql.OneAsync(query));
    }

    [Theory]
    [InlineData("SELECT map_build(LIST[ROW(1, 'a')])", "XX000")]
    [InlineData("SELECT map_build(LIST[ROW('a')])", "XX000")]
    public async Task What_makes_no_sense_is_no_internal_error(string query, string state)
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal(state, (await sql.FailsAsync(query)).SqlState);
    }

    [Fact]
    public async Task Texts_that_are_not_known_while_planning_name_objects_too()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE named (a int)", "CREATE TABLE names (n text)", $"INSERT INTO names VALUES ('named'), ('{sql.Schema}.named'), (NULL), ('mz_tables'), ('mz_catalog.mz_tables')");
        Assert.Equal(["mz_tables", "mz_tables", "named", "named", Sql.Null], await sql.BagAsync("SELECT n::regclass::text FROM names"));
        Assert.Equal("5", await sql.OneAsync("SELECT count(*) FROM names WHERE n IS NULL OR n::regclass = 'named'::regclass OR n::regclass = 'mz_tables'::regclass"));
        Assert.Equal("t", await sql.OneAsync("SELECT o.oid::text::regclass = 'named'::regclass FROM mz_catalog.mz_objects o WHERE o.name = 'named'"));
        await sql.DoAsync("INSERT INTO names VALUES ('nowhere')");
        Assert.Contains("relation \"nowhere\" does not exist", (await sql.FailsAsync("SELECT n::regclass FROM names")).MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_have_a_stable_order_though_none_is_asked_for()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int, b text)", "INSERT INTO t VALUES (5, 'e'), (1, 'zz'), (3, NULL), (4, 'd'), (2, 'b')");
        Assert.Equal([$"3|{Sql.Null}", "2|b", "4|d", "5|e", "1|zz"], await sql.RowsAsync("SELECT * FROM t"));
        Assert.Equal(["1", "2", "3"], await sql.RowsAsync("SELECT a FROM t LIMIT 3"));
    }

    [Fact]
    public async Task A_search_path_quotes_what_needs_it_and_tells_only_of_schemas_that_exist()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE SCHEMA \"x, y\"", "SET search_path = 'ba r', \"x, y\", public");
        Assert.Equal("\"ba r\", \"x, y\", public", await sql.OneAsync("SHOW search_path"));
        Assert.Equal("x, y", await sql.OneAsync("SELECT current_schema()"));
        await sql.DoAsync("CREATE TABLE in_the_odd_schema (a int)");
        Assert.Equal("x, y", await sql.OneAsync("SELECT s.name FROM mz_tables t JOIN mz_schemas s ON s.id = t.schema_id WHERE t.name = 'in_the_odd_schema'"));
    }

    [Fact]
    public async Task Frames_that_end_before_they_begin_are_refused_by_the_kinds_of_their_ends()
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal(
            "frame starting from current row cannot have preceding rows",
            (await sql.FailsAsync("SELECT count(*) OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING)")).MessageText);
        Assert.Equal(
            "frame starting from following row cannot have preceding rows",
            (await sql.FailsAsync("SELECT count(*) OVER (ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING)")).MessageText);
    }
}
