using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Tests;

/// <summary>Well-typed random expressions and values, from a seed: every function whose parameters are plain types takes part.</summary>
internal sealed class RandomExpressions(Random random)
{
    public static readonly SqlType[] Types =
    [
        SqlType.Bool, SqlType.Int16, SqlType.Int32, SqlType.Int64, SqlType.UInt16, SqlType.UInt32, SqlType.UInt64, SqlType.Float32, SqlType.Float64,
        SqlType.Numeric, SqlType.Date, SqlType.Time, SqlType.Timestamp, SqlType.TimestampTz, SqlType.Interval, SqlType.String, SqlType.Bytes,
        SqlType.Jsonb, SqlType.Uuid, SqlType.Oid, SqlType.MzTimestamp, SqlType.ArrayOf(SqlType.Int32), SqlType.ListOf(SqlType.String),
        SqlType.MapOf(SqlType.Int64), SqlType.RangeOf(SqlType.Int32), SqlType.VarCharOf(null), SqlType.CharOf(null), SqlType.PgLegacyName,
    ];

    private static readonly string[] Words =
        ["", "a", "b", "ab", " pad ", "Zeta", "é", "🙂x", "1", "-12", "3.5", "true", "{1,2}", "[1,5)", "2020-02-29", "1 day", "%a_", "day", "hour", "UTC", "year", "{\"a\":1}", "hex", "\\x0a", "null"];

    private static readonly HashSet<string> Excluded = ["mz_sleep", "mz_panic", "pg_cancel_backend", "repeat", "lpad", "rpad", "array_fill"];

    private static readonly ILookup<SqlType, (ScalarFunc Func, SqlType[] Params)> Functions = All().ToLookup(f => f.Result, f => (f.Func, f.Params));

    public int Next(int below) => random.Next(below);

    public SqlType Type() => Types[random.Next(Types.Length)];

    public Datum Value(ColumnType type) => type.IsNullable && random.Next(5) == 0 ? Datum.Null : Value(type.Type);

    public Datum Value(SqlType type)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool:
                return Datum.FromBool(random.Next(2) == 0);
            case ScalarKind.Int16:
                return Datum.FromInt64(Small(short.MinValue, short.MaxValue));
            case ScalarKind.Int32:
                return Datum.FromInt64(Small(int.MinValue, int.MaxValue));
            case ScalarKind.Int64:
                return Datum.FromInt64(Small(long.MinValue, long.MaxValue));
            case ScalarKind.UInt16:
                return Datum.FromInt64(Small(0, ushort.MaxValue));
            case ScalarKind.UInt32 or ScalarKind.Oid:
                return Datum.FromInt64(Small(0, uint.MaxValue));
            case ScalarKind.UInt64 or ScalarKind.MzTimestamp:
                return Datum.FromUInt64(random.Next(6) == 0 ? ulong.MaxValue - (ulong)random.Next(3) : (ulong)Small(0, long.MaxValue));
            case ScalarKind.Float32:
                return Datum.FromDouble((float)Float());
            case ScalarKind.Float64:
                return Datum.FromDouble(Float());
            case ScalarKind.Numeric:
                return Datum.FromNumeric(random.Next(12) == 0 ? Numeric.NaN : Numeric.FromScaled(Small(long.MinValue + 1, long.MaxValue), random.Next(10)));
            case ScalarKind.Date:
                return Datum.FromInt64(random.Next(8) == 0 ? (random.Next(2) == 0 ? Calendar.MinDate : Calendar.MaxDate) : random.Next(-20_000, 20_000));
            case ScalarKind.Time:
                return Datum.FromInt64(random.NextInt64(Calendar.MicrosPerDay));
            case ScalarKind.Timestamp or ScalarKind.TimestampTz:
                return Datum.FromInt64(random.Next(8) == 0 ? (random.Next(2) == 0 ? Calendar.MinTimestamp : Calendar.MaxTimestamp) : random.NextInt64(-2_000_000_000_000_000, 2_000_000_000_000_000));
            case ScalarKind.Interval:
                return Datum.FromInterval(random.Next(10) == 0
                    ? new Interval(int.MinValue, int.MaxValue, long.MinValue)
                    : new Interval(random.Next(-30, 30), random.Next(-40, 40), random.NextInt64(-200_000_000_000, 200_000_000_000)));
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem:
                return Datum.FromString(Word());
            case ScalarKind.Char:
                return Datum.FromString(Word().TrimEnd(' '));
            case ScalarKind.Bytes:
                var bytes = new byte[random.Next(4)];
                random.NextBytes(bytes);
                return Datum.FromBytes(bytes);
            case ScalarKind.Jsonb:
                return Datum.FromBytes(JsonbText.Parse(((string[])["null", "1", "-2.5", "\"a\"", "[1,[2],null]", "{\"a\":1,\"b\":{\"c\":null}}", "true", "false", "[]", "{}"])[random.Next(10)]));
            case ScalarKind.Uuid:
                return Datum.FromUuid(new UInt128((ulong)random.NextInt64(), (ulong)random.Next(3)));
            case ScalarKind.Array:
                var elements = Many(type.Element!);
                return Datum.FromArray(elements.IsEmpty ? new ArrayDatum([], []) : new ArrayDatum([new ArrayDimension(1, elements.Count)], elements));
            case ScalarKind.List:
                return Datum.FromList(Many(type.Element!));
            case ScalarKind.Map:
                var entries = new SortedDictionary<string, Datum>(ContainerText.TextOrder.Instance);
                for (var i = random.Next(3); i > 0; i--)
                    entries[Word()] = Value(type.Element!.Nullable());
                return Datum.FromMap(entries.ToValueArray());
            default:
                var low = random.Next(-5, 5);
                return Datum.FromRange(RangeText.Canonical(
                    type.Element!, random.Next(5) == 0 ? Datum.Null : Datum.FromInt64(low), random.Next(2) == 0, random.Next(5) == 0 ? Datum.Null : Datum.FromInt64(low + random.Next(4)), random.Next(2) == 0));
        }
    }

    public MirScalarExpr Expression(SqlType type, ValueArray<ColumnType> columns, int depth)
    {
        var candidates = Enumerable.Range(0, columns.Count).Where(i => columns[i].Type == type).ToArray();
        if (depth == 0 || random.Next(8) == 0)
        {
            return candidates.Length > 0 && random.Next(4) > 0
                ? new MirScalarExpr.Column(candidates[random.Next(candidates.Length)])
                : Literal(type);
        }

        switch (random.Next(12))
        {
            case 0:
                return new MirScalarExpr.If(Expression(SqlType.Bool, columns, depth - 1), Expression(type, columns, depth - 1), Expression(type, columns, depth - 1));
            case 1:
                return Call(ScalarFunctions.Coalesce, type, Expression(type, columns, depth - 1), Expression(type, columns, depth - 1));
            case 2 when type == SqlType.Bool:
                var tested = Expression(Type(), columns, depth - 1);
                return Call(ScalarFunctions.IsNull, type, tested);
            case 3 or 4 when type == SqlType.Bool:
                return Call(
                    random.Next(2) == 0 ? ScalarFunctions.And : ScalarFunctions.Or, type, [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Expression(type, columns, depth - 1))]);
            case >= 5 and <= 7 when type == SqlType.Bool:
                var compared = Type();
                ScalarFunc[] comparisons = [ScalarFunctions.Eq, ScalarFunctions.NotEq, ScalarFunctions.Lt, ScalarFunctions.Lte, ScalarFunctions.Gt, ScalarFunctions.Gte, ScalarFunctions.IsNotDistinctFrom];
                return Call(comparisons[random.Next(7)], type, Expression(compared, columns, depth - 1), Expression(compared, columns, depth - 1));
        }

        var functions = Functions[type].ToArray();
        if (functions.Length == 0)
            return Expression(type, columns, 0);
        var (func, parameters) = functions[random.Next(functions.Length)];
        return Call(func, type, [.. parameters.Select(p => Expression(p, columns, depth - 1))]);
    }

    public MirScalarExpr Literal(SqlType type)
    {
        var value = Value(type.Nullable());
        return new MirScalarExpr.Literal(value, type.Nullable(value.IsNull));
    }

    private static MirScalarExpr Call(ScalarFunc func, SqlType output, params MirScalarExpr[] args) => new MirScalarExpr.Call(func, args.ToValueArray(), output);

    private static IEnumerable<(SqlType Result, ScalarFunc Func, SqlType[] Params)> All()
    {
        foreach (var signature in FunctionTable.All.Concat(FunctionTable.AllOperators))
        {
            if (signature.Target is not FunctionTarget.Scalar { Func: var func } || signature.Variadic is not null || Excluded.Contains(func.Id))
                continue;
            var types = signature.Params.Select(p => p is ParamType.Exact exact ? exact.Type : null);
            if (types.Any(t => t is null || !Types.Contains(t)))
                continue;
            SqlType[] parameters = [.. types.Select(t => t!)];
            yield return (signature.Return(parameters), func, parameters);
        }

        foreach (var from in Types)
        {
            foreach (var to in Types)
            {
                if (Casts.Find(from, to) is { Func: { } func })
                    yield return (to, func, [from]);
            }
        }
    }

    private ValueArray<Datum> Many(SqlType element) => [.. Enumerable.Range(0, random.Next(3)).Select(_ => Value(element.Nullable()))];

    private string Word() => Words[random.Next(Words.Length)];

    private long Small(long min, long max) => random.Next(6) switch
    {
        0 => min,
        1 => max,
        2 => Math.Clamp(random.NextInt64(min, max), min, max),
        _ => Math.Clamp(random.Next(-4, 10), min, max),
    };

    private double Float() => random.Next(8) switch
    {
        0 => double.NaN,
        1 => double.PositiveInfinity,
        2 => double.NegativeInfinity,
        3 => 0,
        4 => 1e300 * random.NextDouble(),
        5 => 1e-300,
        _ => random.Next(-8, 8) / 4.0,
    };
}
