using System.Globalization;

namespace Materialize.SystemTests.Queries;

/// <summary>Each type of the language: stored in a table, read back, kept in a view, found in an index, sent as a parameter.</summary>
public sealed class TypesTests(SharedServer server)
{
    public static TheoryData<string, string, string> Literals => new()
    {
        { "bool", "true", "t" },
        { "int2", "-32768", "-32768" },
        { "int4", "2147483647", "2147483647" },
        { "int8", "-9223372036854775808", "-9223372036854775808" },
        { "float4", "1.5", "1.5" },
        { "float8", "-0.1", "-0.1" },
        { "numeric", "123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789" },
        { "numeric(10,2)", "1.005", "1.01" },
        { "text", "a'b|ä€𝄞", "a'b|ä€𝄞" },
        { "varchar(5)", "abc", "abc" },
        { "char(5)", "ab", "ab   " },
        { "bytea", "\\x00ff10", "\\x00ff10" },
        { "date", "2024-02-29", "2024-02-29" },
        { "time", "23:59:59.999999", "23:59:59.999999" },
        { "timestamp", "1999-12-31 23:59:59.5", "1999-12-31 23:59:59.5" },
        { "timestamptz", "2000-01-01 00:00:00+02", "1999-12-31 22:00:00+00" },
        { "interval", "1 year 2 months 3 days 04:05:06.7", "1 year 2 months 3 days 04:05:06.7" },
        { "uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
        { "jsonb", """{"b": [1, 2.5, null], "a": "x"}""", """{"a":"x","b":[1,2.5,null]}""" },
    };

    [Theory]
    [MemberData(nameof(Literals))]
    public async Task Comes_back_from_table_view_and_index_as_it_was_written(string type, string literal, string shown)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            $"CREATE TABLE t (k int4, v {type})",
            "CREATE MATERIALIZED VIEW m AS SELECT v, count(*) AS n FROM t GROUP BY v",
            $"INSERT INTO t VALUES (1, '{literal.Replace("'", "''", StringComparison.Ordinal)}'), (2, NULL)",
            "CREATE INDEX ON t (v)");
        Assert.Equal([shown, Sql.Null], await sql.RowsAsync("SELECT v FROM t ORDER BY k"));
        Assert.Equal([$"{shown}|1", $"{Sql.Null}|1"], await sql.RowsAsync("SELECT v, n FROM m ORDER BY v"));
        Assert.Equal(["1"], await sql.RowsAsync($"SELECT k FROM t WHERE v = '{literal.Replace("'", "''", StringComparison.Ordinal)}'::{type}"));
        await sql.DoAsync("UPDATE t SET v = NULL WHERE k = 1");
        Assert.Equal([$"{Sql.Null}|2"], await sql.RowsAsync("SELECT v, n FROM m"));
    }

    public static TheoryData<string, object> Parameters => new()
    {
        { "bool", true },
        { "int2", (short)-7 },
        { "int4", 42 },
        { "int8", long.MaxValue },
        { "float4", 1.25f },
        { "float8", Math.PI },
        { "numeric", 12345.6789m },
        { "text", "ÄÖ\n\"'" },
        { "bytea", new byte[] { 0, 1, 255 } },
        { "date", new DateOnly(2024, 2, 29) },
        { "time", new TimeOnly(12, 34, 56) },
        { "timestamp", new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Unspecified) },
        { "timestamptz", new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc) },
        { "interval", new TimeSpan(3, 4, 5, 6) },
        { "uuid", Guid.Parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", CultureInfo.InvariantCulture) },
    };

    [Theory]
    [MemberData(nameof(Parameters))]
    public async Task Travels_both_ways_in_binary(string type, object value)
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync($"CREATE TABLE t (v {type})");
        await using (var insert = new NpgsqlCommand("INSERT INTO t VALUES ($1)", sql.Connection) { Parameters = { new() { Value = value } } })
            Assert.Equal(1, await insert.ExecuteNonQueryAsync());
        await using var select = new NpgsqlCommand("SELECT v FROM t WHERE v = $1", sql.Connection) { Parameters = { new() { Value = value } } };
        await using var reader = await select.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        Assert.Equal(value, value switch
        {
            DateOnly => reader.GetFieldValue<DateOnly>(0),
            TimeOnly => reader.GetFieldValue<TimeOnly>(0),
            _ => reader.GetValue(0),
        });
        Assert.False(await reader.ReadAsync());
    }
}
