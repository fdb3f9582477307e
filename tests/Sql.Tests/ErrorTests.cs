using Materialize.Repr;
using Materialize.Sql.Parser;

namespace Materialize.Sql.Tests;

/// <summary>What users are told, and where.</summary>
public sealed class ErrorTests
{
    private static Database Make() => Database.Of(
        "CREATE TABLE t (a int NOT NULL, b int, c text)", "CREATE TABLE u (a int, x text)", "CREATE VIEW v AS SELECT a FROM t");

    [Theory]
    [InlineData("SELECT wat FROM t", "column \"wat\" does not exist", 8)]
    [InlineData("SELECT t.wat FROM t", "column \"t.wat\" does not exist", 8)]
    [InlineData("SELECT z.a FROM t", "no table named 'z' in scope", 8)]
    [InlineData("SELECT a FROM t, u", "column reference \"a\" is ambiguous", 8)]
    [InlineData("SELECT * FROM nope", "unknown catalog item 'nope'", 15)]
    [InlineData("SELECT * FROM nope.t", "unknown schema 'nope'", 15)]
    [InlineData("SELECT * FROM t t, t", "table name \"t\" specified more than once", null)]
    [InlineData("SELECT foo(1)", "function \"foo\" does not exist", 8)]
    [InlineData("SELECT abs('a'::text)", "function abs(text) does not exist", 8)]
    [InlineData("SELECT 1 + 'a'::text", "operator does not exist: integer + text", 10)]
    [InlineData("SELECT a = 1 AND c ~*~ 5 FROM t", "operator does not exist: text ~*~ integer", 20)]
    [InlineData("SELECT @@ a FROM t", "operator does not exist: @@ integer", 8)]
    [InlineData("SELECT a, count(*) FROM t", "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function", 8)]
    [InlineData("SELECT count(count(*)) FROM t", "nested aggregate functions are not allowed", 14)]
    [InlineData("SELECT a FROM t WHERE count(*) > 1", "aggregate functions are not allowed in WHERE clause (function pg_catalog.count)", 23)]
    [InlineData("SELECT a FROM t WHERE a", "WHERE clause must have type boolean, not type integer", 23)]
    [InlineData("SELECT a FROM t ORDER BY 2", "column reference 2 in ORDER BY clause is out of range (1 - 1)", 26)]
    [InlineData("SELECT DISTINCT a FROM t ORDER BY b", "for SELECT DISTINCT, ORDER BY expressions must appear in select list", 35)]
    [InlineData("SELECT DISTINCT ON (a) a FROM t ORDER BY b", "SELECT DISTINCT ON expressions must match initial ORDER BY expressions", null)]
    [InlineData("SELECT 1 UNION SELECT 1, 2", "each UNION query must have the same number of columns: 1 vs 2", null)]
    [InlineData("SELECT a FROM t UNION SELECT x FROM u", "UNION types integer and text cannot be matched", null)]
    [InlineData("SELECT (SELECT 1, 2)", "Expected subselect to return 1 column, got 2 columns", 8)]
    [InlineData("SELECT CAST(a AS date) FROM t", "CAST does not support casting from integer to date", 8)]
    [InlineData("SELECT a::nope FROM t", "type \"nope\" does not exist", null)]
    [InlineData("SELECT CASE WHEN true THEN 1 ELSE 'x'::text END", "CASE could not convert type text to integer", null)]
    [InlineData("SELECT a FROM t LIMIT -1", "LIMIT must not be negative", 23)]
    [InlineData("SELECT a FROM t, (SELECT t.a) s", "invalid reference to FROM-clause entry for table \"t\"", 26)]
    [InlineData("SELECT * FROM t RIGHT JOIN LATERAL (SELECT t.a) s ON true", "the combining JOIN type must be INNER or LEFT for a LATERAL reference", null)]
    [InlineData("SELECT * FROM t JOIN u USING (nope)", "column \"nope\" specified in USING clause does not exist in left table", null)]
    [InlineData("INSERT INTO v VALUES (1)", "cannot insert into non-table 'v'", 13)]
    [InlineData("INSERT INTO t VALUES (1, 2, 'x', 4)", "INSERT has more expressions than target columns", null)]
    [InlineData("INSERT INTO t (nope) VALUES (1)", "column \"nope\" of relation \"t\" does not exist", null)]
    [InlineData("INSERT INTO t (a) VALUES ('x'::text)", "column \"a\" is of type integer but expression is of type text", null)]
    [InlineData("CREATE TABLE t (a int)", "catalog item 't' already exists", null)]
    [InlineData("CREATE TABLE x (a int, a int)", "column \"a\" specified more than once", null)]
    [InlineData("CREATE VIEW w AS SELECT $1::int", "there is no parameter $1", null)]
    [InlineData("CREATE MATERIALIZED VIEW w AS SELECT now()", "cannot materialize call to current_timestamp", null)]
    [InlineData("DROP TABLE t", "cannot drop table \"t\": still depended upon by view \"v\"", null)]
    [InlineData("DROP VIEW t", "materialize.public.t is not a VIEW", null)]
    [InlineData("DROP TABLE nope", "unknown catalog item 'nope'", null)]
    [InlineData("CREATE TABLE x (a int DEFAULT 'b'::text)", "column \"a\" is of type integer but default expression is of type text", null)]
    public void Says(string sql, string message, int? position)
    {
        var e = Make().Fails(sql);
        Assert.Equal(message, e.Message);
        if (position is not null)
            Assert.Equal(position, e.Position);
    }

    [Theory]
    [InlineData("SELECT 1 + 'a'::text", "XX000")]
    [InlineData("SELECT c ~*~ 5 FROM t", "XX000")]
    [InlineData("SELECT foo(1)", "XX000")]
    [InlineData("SELECT abs('a'::text)", "XX000")]
    [InlineData("SELECT lag() OVER () FROM t", "XX000")]
    public void Operators_and_functions_that_are_not_there_have_the_code_of_Materialize(string sql, string state) => Assert.Equal(state, Make().Fails(sql).State);

    [Fact]
    public void The_type_of_a_parameter_that_nothing_decides_cannot_be_asked_for()
    {
        var e = Assert.Throws<SqlException>(() => Planner.Describe(Make().Catalog, SqlParser.ParseStatement("SELECT pg_typeof($1)").Statement, []));
        Assert.Equal(("42P02", "could not determine data type of parameter $1"), (e.State, e.Message));
    }

    [Fact]
    public void Suggests_names_that_are_close()
    {
        Assert.Equal("The most similar column is \"b\".", Database.Of("CREATE TABLE q (b int, wide text)").Fails("SELECT bb FROM q").Hint);
        Assert.Contains("\"things\"", Database.Of("CREATE TABLE things (b int)").Fails("SELECT * FROM thing").Hint);
    }

    [Theory]
    [InlineData("SELECT $1", "text")]
    [InlineData("SELECT $1 + 1", "integer")]
    [InlineData("SELECT $1::int8, $2", "bigint,text")]
    [InlineData("SELECT a FROM t WHERE b = $1 AND c LIKE $2", "integer,text")]
    [InlineData("INSERT INTO t VALUES ($1, $2, $3)", "integer,integer,text")]
    [InlineData("SELECT * FROM t LIMIT $1 OFFSET $2", "bigint,bigint")]
    [InlineData("SELECT CASE WHEN $1 THEN $2 ELSE 2.5 END", "boolean,numeric")]
    [InlineData("UPDATE t SET b = $1 WHERE a = $2", "integer,integer")]
    public void Infers_the_types_of_parameters(string sql, string types)
    {
        var database = Make();
        var desc = Planner.Describe(database.Catalog, SqlParser.ParseStatement(sql).Statement, []);
        Assert.Equal(types, string.Join(',', desc.ParamTypes.Select(t => t.ToSql())));
    }

    [Fact]
    public void Binds_parameters()
    {
        var database = Make();
        database.Execute("INSERT INTO t VALUES (1, 2, 'x'), (3, 4, 'y'), (5, 6, 'z')");
        var parameters = new Params([Datum.FromInt64(2), Datum.FromInt64(1)], [SqlType.Int32, SqlType.Int64]);
        Assert.Equal("5", database.Query("SELECT a FROM t WHERE a > $1 ORDER BY a OFFSET $2", parameters));
    }
}
