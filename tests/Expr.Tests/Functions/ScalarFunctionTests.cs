using Materialize.Core.Collections;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>What the reference says beyond Postgres, and the messages of failures.</summary>
public class ScalarFunctionTests
{
    [Theory]
    [InlineData("add_int4", "int4", "numeric field overflow", "int4", "2147483647", "int4", "1")]
    [InlineData("mul_uint4", "uint4", "numeric field overflow", "uint4", "4294967295", "uint4", "2")]
    [InlineData("div_int8", "int8", "division by zero", "int8", "1", "int8", "0")]
    [InlineData("cast_int8_to_int4", "int4", "\"2147483648\" integer out of range", "int8", "2147483648")]
    [InlineData("cast_text_to_int4", "int4", "invalid input syntax for type integer: invalid digit found in string: \"foo\"", "text", "foo")]
    [InlineData("cast_text_to_uint2", "uint2", "invalid input syntax for type uint2: number too large to fit in target type: \"65536\"", "text", "65536")]
    [InlineData("cast_text_to_interval", "interval", "invalid input syntax for type interval: unknown units dayy: \"1 dayy\"", "text", "1 dayy")]
    [InlineData("ln_float8", "float8", "function ln is not defined for zero", "float8", "0")]
    [InlineData("sqrt_numeric", "numeric", "cannot take square root of a negative number", "numeric", "-1")]
    [InlineData("mul_float8", "float8", "value out of range: overflow", "float8", "1e300", "float8", "1e300")]
    [InlineData("date_trunc_timestamp", "timestamp", "unit 'bad' not recognized", "text", "bad", "timestamp", "2020-01-01")]
    [InlineData("digest_text", "bytea", "invalid hash algorithm 'md9'", "text", "x", "text", "md9")]
    [InlineData("like", "bool", "unterminated escape sequence in LIKE", "text", "x", "text", "x\\")]
    [InlineData("timezone_text_timestamp", "timestamptz", "invalid time zone 'nowhere'", "text", "nowhere", "timestamp", "2020-01-01")]
    [InlineData("get_byte", "int4", "index 5 out of valid range, 0..4", "bytea", "hello", "int4", "5")]
    [InlineData("kafka_murmur2_text", "int4", "1779702955", "text", "abcabc")]
    [InlineData("crc32_text", "uint4", "907060870", "text", "hello")]
    [InlineData("sha224", "bytea", "\\x23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7", "bytea", "abc")]
    [InlineData("uuid_generate_v5", "uuid", "2ed6657d-e927-568b-95e1-2665a8aea6a2", "uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "text", "www.example.com")]
    [InlineData("datediff_date", "int8", "3", "text", "month", "date", "2020-01-31", "date", "2020-04-01")]
    [InlineData("cast_mz_timestamp_to_timestamptz", "timestamptz", "2020-01-01 00:00:00+00", "mz_timestamp", "1577836800000")]
    public void Calls(string id, string output, string expected, params string[] args) =>
        Assert.Equal(expected, Eval(id, PgType.ByName(output)!, args));

    [Fact]
    public void A_deciding_argument_wins_over_failures()
    {
        var fails = new MirScalarExpr.LiteralError(EvalError.DivisionByZero, SqlType.Bool.Nullable(false));
        var nothing = MirScalarExpr.Null(SqlType.Bool);
        MirScalarExpr Call(ScalarFunc func, params MirScalarExpr[] args) => new MirScalarExpr.Call(func, args.ToValueArray(), SqlType.Bool);
        Assert.False(Interpreter.Eval(Call(ScalarFunctions.And, fails, nothing, MirScalarExpr.False)).AsBool);
        Assert.True(Interpreter.Eval(Call(ScalarFunctions.Or, fails, MirScalarExpr.True)).AsBool);
        Assert.Throws<EvalException>(() => Interpreter.Eval(Call(ScalarFunctions.And, nothing, fails)));
        Assert.True(Interpreter.Eval(Call(ScalarFunctions.Coalesce, MirScalarExpr.True, fails)).AsBool);
    }

    [Fact]
    public void Folding_keeps_the_meaning()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var expressions = new RandomExpressions(random);
            ValueArray<ColumnType> columns = [.. Enumerable.Range(0, 3).Select(_ => expressions.Type().Nullable())];
            var expr = expressions.Expression(expressions.Type(), columns, 3);
            var folded = expr.Fold(columns);
            Datum[] row = [.. columns.Select(expressions.Value)];
            var before = Interpreter.TryEval(expr, columns, row, out var x);
            var after = Interpreter.TryEval(folded, columns, row, out var y);
            Assert.True(before == after && (before is not null || x.Equals(y)), $"seed {seed}: {expr} became {folded}");
        }
    }

    [Fact]
    public void Table_functions_give_their_rows()
    {
        long[] Numbers(long from, long to, long step) =>
            [.. TableFunctions.Eval(TableFunc.GenerateSeriesInt64, [Datum.FromInt64(from), Datum.FromInt64(to), Datum.FromInt64(step)], [SqlType.Int64, SqlType.Int64, SqlType.Int64]).Select(r => r.Values[0].AsInt64)];
        Assert.Equal([1, 2, 3], Numbers(1, 3, 1));
        Assert.Equal([3, 1], Numbers(3, 0, -2));
        Assert.Equal([long.MaxValue], Numbers(long.MaxValue, long.MaxValue, 1));
        Assert.Throws<EvalException>(() => Numbers(1, 2, 0));
        var numbered = TableFunctions.Eval(TableFunc.WithOrdinality, [DatumText.Parse(SqlType.ArrayOf(SqlType.String), "{a,b}")], [SqlType.ArrayOf(SqlType.String)], TableFunc.UnnestArray);
        Assert.Equal([("a", 1L), ("b", 2L)], numbered.Select(r => (r.Values[0].AsString, r.Values[1].AsInt64)));
        Assert.Equal(-2, TableFunctions.Eval(TableFunc.RepeatRow, [Datum.FromInt64(-2)], [SqlType.Int64]).Single().Diff);
        var csv = TableFunctions.Eval(TableFunc.CsvExtract, [Datum.FromInt64(2), Datum.FromString("a,\"b,\"\"c\"\nskipped\nd,e")], [SqlType.Int64, SqlType.String]);
        Assert.Equal(["a|b,\"c", "d|e"], csv.Select(r => string.Join('|', r.Values.Select(v => v.AsString))));
    }

    private static string Eval(string id, SqlType output, string[] args)
    {
        var literals = new List<MirScalarExpr>();
        for (var i = 0; i < args.Length; i += 2)
        {
            var type = PgType.ByName(args[i])!;
            literals.Add(new MirScalarExpr.Literal(DatumText.Parse(type, args[i + 1]), type.Nullable(false)));
        }

        var call = new MirScalarExpr.Call(ScalarFunctions.ById(id), literals.ToValueArray(), output);
        return Interpreter.TryEval(call, [], [], out var value) is { } error ? error.Message : DatumText.Format(output, value);
    }
}
