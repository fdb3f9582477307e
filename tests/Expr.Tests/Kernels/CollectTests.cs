using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr.Kernels;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>
/// Goal: what is collected from row bytes is, byte for byte, what the interpreter makes of the same group. Method: random groups of
/// every type, with nulls, equal rows, negative and cancelling counts, under every order and with DISTINCT and filters.
/// </summary>
public unsafe class CollectTests
{
    private static readonly SqlType[] Types =
    [
        .. RandomExpressions.Types, SqlType.ListOf(SqlType.ListOf(SqlType.Int32)), SqlType.RangeOf(SqlType.Numeric), SqlType.ArrayOf(SqlType.String),
        SqlType.MapOf(SqlType.Numeric), SqlType.PgLegacyChar, SqlType.Int2Vector,
        SqlType.RecordOf(new RecordField("a", SqlType.Int64.Nullable()), new RecordField("b", SqlType.String.Nullable()), new RecordField("c", SqlType.ListOf(SqlType.Float64).Nullable())),
    ];

    private static readonly string[] Words = ["", "a", "ab", "a\0b", "\0", "b", "\uFFFD", "\uE000x", "🙂", "🙂x", "é", "a longer text than eight bytes", "a longer text than eight Bytes"];

    [Theory]
    [InlineData(AggregateFunc.ListAgg)]
    [InlineData(AggregateFunc.ArrayAgg)]
    [InlineData(AggregateFunc.JsonbAgg)]
    [InlineData(AggregateFunc.StringAgg)]
    [InlineData(AggregateFunc.JsonbObjectAgg)]
    [InlineData(AggregateFunc.MapAgg)]
    public void Collecting_agrees_with_the_interpreter(AggregateFunc func)
    {
        for (var seed = 0; seed < 4000; seed++)
            Check(func, new Random(seed), seed);
    }

    [Fact]
    public void Groups_of_many_rows_are_merged_in_order()
    {
        var random = new Random(1);
        foreach (var count in (int[])[11, 12, 13, 24, 25, 100, 5000])
        {
            foreach (var type in (SqlType[])[SqlType.Int64, SqlType.String, SqlType.Numeric])
            {
                ValueArray<ColumnType> columns = [type.Nullable(), SqlType.Int32.Nullable(false)];
                var aggregate = new AggregateExpr(
                    AggregateFunc.ListAgg, [new MirScalarExpr.Column(0)], false, SqlType.ListOf(type).Nullable(), [new ColumnOrder(0, true, false)], [new MirScalarExpr.Column(0)]);
                var rows = Enumerable.Range(0, count).Select(i => (new[] { Value(random, columns[0]), Datum.FromInt64(i) }, 1L)).ToList();
                Compare(new Group(aggregate, [0], [0], columns), rows, $"{count} of {type.ToSql()}");
                Compare(new Group(aggregate with { OrderBy = [new ColumnOrder(0, false, true)] }, [0], [1], columns), rows, $"{count} of {type.ToSql()}, in order");
            }
        }
    }

    [Fact]
    public void Results_too_large_are_errors_as_data()
    {
        ValueArray<ColumnType> columns = [SqlType.String.Nullable(), SqlType.String.Nullable(false)];
        foreach (var (func, output) in ((AggregateFunc, SqlType)[])[(AggregateFunc.StringAgg, SqlType.String), (AggregateFunc.ListAgg, SqlType.ListOf(SqlType.String))])
        {
            foreach (var diff in (long[])[CollectKernel.ResultBytesMax / 1000, 1L << 31, long.MaxValue])
            {
                ValueArray<int> args = func == AggregateFunc.StringAgg ? [0, 1] : [0];
                var aggregate = new AggregateExpr(func, args.Select(a => (MirScalarExpr)new MirScalarExpr.Column(a)), false, output.Nullable(), [], []);
                using var rows = new GroupRows(columns, [([Datum.FromString(new string('x', 1000)), Datum.FromString(",")], diff), ([Datum.FromString("y"), Datum.FromString(",")], diff)]);
                var (result, errors) = rows.Run(AggregateCompiler.Group(aggregate, args, [], columns), aggregate.Output);
                Assert.Empty(result);
                Assert.Equal("54000", EvalErrorCodec.Decode(Assert.Single(errors)).SqlState);
            }
        }
    }

    [Fact]
    public void Arrays_of_arrays_are_left_to_the_interpreter()
    {
        var inner = SqlType.ArrayOf(SqlType.Int32);
        var aggregate = new AggregateExpr(AggregateFunc.ArrayAgg, [new MirScalarExpr.Column(0)], false, inner.Nullable(), [], []);
        Assert.Null(CollectKernel.Compile(aggregate, [0], [], [inner.Nullable()]));
        Assert.NotNull(CollectKernel.Compile(aggregate, [0], [], [SqlType.Int32.Nullable()]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_warm_kernel_makes_no_garbage(bool distinct)
    {
        var random = new Random(2);
        foreach (var func in (AggregateFunc[])[AggregateFunc.ListAgg, AggregateFunc.ArrayAgg, AggregateFunc.JsonbAgg, AggregateFunc.StringAgg, AggregateFunc.JsonbObjectAgg, AggregateFunc.MapAgg])
        {
            foreach (var orderType in Types)
            {
                var (args, output) = Arguments(func, random);
                ValueArray<ColumnType> columns = [.. args.Select(a => a.Nullable()), orderType.Nullable()];
                var group = new Group(
                    new AggregateExpr(func, Columns(args.Length), distinct, output.Nullable(), [new ColumnOrder(0, true, true)], [new MirScalarExpr.Column(args.Length)]),
                    ValueArray.Range(args.Length), [args.Length], columns);
                var kernel = AggregateCompiler.Group(group.Aggregate, group.Args, group.OrderKeys, columns);
                using var rows = new GroupRows(columns, [.. Enumerable.Range(0, 100).Select(_ => (columns.Select(c => Value(random, c)).ToArray(), 1L))]);
                using var result = new RowWriter(RowLayout.For([group.Aggregate.Output]).Shape);
                using var errors = new RowWriter(RowShape.Variable);
                var allocated = 0L;
                for (var call = 0; call < 3; call++)
                {
                    result.Clear();
                    var before = GC.GetAllocatedBytesForCurrentThread();
                    kernel(0, rows.Addresses, rows.Diffs, rows.Count, result, errors);
                    allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                }

                Assert.True(allocated == 0, $"{func} of {args[0].ToSql()} in the order of {orderType.ToSql()}: {allocated} bytes");
            }
        }
    }

    private static void Check(AggregateFunc func, Random random, int seed)
    {
        var (args, output) = Arguments(func, random);
        if (func is not (AggregateFunc.StringAgg or AggregateFunc.JsonbObjectAgg or AggregateFunc.MapAgg) && random.Next(3) == 0)
            args = [.. args, SqlType.Bool];
        SqlType[] keys = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Types[random.Next(Types.Length)])];
        ValueArray<ColumnType> columns = [.. args.Concat(keys).Select(t => t.Nullable(random.Next(3) > 0))];

        // An order key may be an argument, as it is when SQL has the two alike; a column may be of no concern.
        ValueArray<int> orderKeys = [.. Enumerable.Range(0, keys.Length).Select(k => random.Next(3) == 0 ? random.Next(args.Length) : args.Length + k)];
        ValueArray<ColumnOrder> orderBy = [.. Enumerable.Range(0, keys.Length).Where(_ => random.Next(5) > 0).Select(k => new ColumnOrder(k, random.Next(2) == 0, random.Next(2) == 0))];
        var aggregate = new AggregateExpr(
            func, Columns(args.Length), random.Next(3) == 0, output.Nullable(), orderBy, orderKeys.Select(k => (MirScalarExpr)new MirScalarExpr.Column(k)));
        var rows = new List<(Datum[] Row, long Diff)>();
        for (var i = random.Next(20); i > 0; i--)
        {
            var row = rows.Count > 0 && random.Next(3) == 0
                ? rows[random.Next(rows.Count)].Row
                : columns.Select(c => Value(random, c)).ToArray();
            if (rows.Count > 0 && random.Next(4) == 0)
                row = [.. row.Take(args.Length), .. columns.Skip(args.Length).Select(c => Value(random, c))];
            rows.Add((row, random.Next(8) == 0 ? random.Next(2, 5) : 1));
        }

        if (random.Next(4) == 0)
        {
            foreach (var (row, diff) in rows.ToArray().Where(_ => random.Next(3) == 0))
                rows.Insert(random.Next(rows.Count + 1), (row, -diff));
        }

        Compare(new Group(aggregate, ValueArray.Range(args.Length), orderKeys, columns), rows, $"seed {seed}: {func} of {string.Join(", ", columns.Select(c => c.Type.ToSql()).AsEnumerable())}");
    }

    private static void Compare(Group group, List<(Datum[] Row, long Diff)> rows, string label)
    {
        using var packed = new GroupRows(group.Columns, rows);
        var kernel = CollectKernel.Compile(group.Aggregate, group.Args, group.OrderKeys, group.Columns);
        Assert.True(kernel is not null, label);
        var expected = packed.Run(AggregateCompiler.Interpreted(group.Aggregate, group.Args, group.OrderKeys, group.Columns), group.Aggregate.Output);
        var actual = packed.Run(kernel.Run, group.Aggregate.Output);
        Assert.True(Same(expected.Rows, actual.Rows) && Same(expected.Errors, actual.Errors), label);
    }

    private static bool Same(List<byte[]> a, List<byte[]> b) => a.Count == b.Count && a.Zip(b, (x, y) => x.AsSpan().SequenceEqual(y)).All(same => same);

    private static (SqlType[] Args, SqlType Output) Arguments(AggregateFunc func, Random random)
    {
        var type = Types[random.Next(Types.Length)];
        while (func == AggregateFunc.ArrayAgg && type.Kind == ScalarKind.Array)
            type = Types[random.Next(Types.Length)];
        SqlType text = random.Next(3) == 0 ? SqlType.VarCharOf(null) : SqlType.String;
        return func switch
        {
            AggregateFunc.ListAgg => ([type], SqlType.ListOf(type)),
            AggregateFunc.ArrayAgg => ([type], SqlType.ArrayOf(type)),
            AggregateFunc.JsonbAgg => ([SqlType.Jsonb], SqlType.Jsonb),
            AggregateFunc.StringAgg => random.Next(2) == 0 ? ([SqlType.Bytes, SqlType.Bytes], SqlType.Bytes) : ([text, SqlType.String], SqlType.String),
            AggregateFunc.JsonbObjectAgg => ([text, SqlType.Jsonb], SqlType.Jsonb),
            _ => ([text, type], SqlType.MapOf(type)),
        };
    }

    private static ValueArray<MirScalarExpr> Columns(int count) => ValueArray.Range(count).Select(c => (MirScalarExpr)new MirScalarExpr.Column(c));

    private static Datum Value(Random random, ColumnType type) => type.IsNullable && random.Next(5) == 0 ? Datum.Null : Value(random, type.Type);

    private static Datum Value(Random random, SqlType type)
    {
        switch (type.Kind)
        {
            case ScalarKind.String or ScalarKind.VarChar:
                return Datum.FromString(Words[random.Next(Words.Length)]);
            case ScalarKind.Float64 when random.Next(4) == 0:
                return Datum.FromDouble(random.Next(2) == 0 ? -0.0 : -double.NaN);
            case ScalarKind.Numeric when random.Next(2) == 0:
                return Datum.FromNumeric(random.Next(8) switch
                {
                    0 => Numeric.PositiveInfinity,
                    1 => Numeric.NegativeInfinity,
                    2 => Numeric.Parse((random.Next(2) == 0 ? "-" : "") + "340282366920938463463374607431768211456"), // 2^128
                    3 => Numeric.Parse((random.Next(2) == 0 ? "-" : "") + "340282366920938463463374607431768211455"),
                    4 => Numeric.Parse((random.Next(2) == 0 ? "-" : "") + "0.999999999999999999999999999999999999999"),
                    5 => Numeric.Parse("1" + new string('0', random.Next(38))),
                    _ => Numeric.Parse($"{(random.Next(2) == 0 ? "-" : "")}{random.NextInt64()}{random.NextInt64()}.5"[..(random.Next(20) + 2)] + "1"),
                });
            case ScalarKind.PgLegacyChar:
                return Datum.FromInt64(random.Next(1, 127));
            case ScalarKind.Int2Vector:
                return Datum.FromList([.. Enumerable.Range(0, random.Next(3)).Select(_ => Datum.FromInt64(random.Next(-2, 2)))]);
            case ScalarKind.Array when random.Next(4) == 0:
                return Datum.FromArray(new ArrayDatum([new ArrayDimension(random.Next(-1, 2), 1)], [Value(random, type.Element!.Nullable())]));
            case ScalarKind.List:
                return Datum.FromList([.. Enumerable.Range(0, random.Next(3)).Select(_ => Value(random, type.Element!.Nullable()))]);
            case ScalarKind.Record:
                return Datum.FromList(type.Fields.Select(f => Value(random, f.Type)));
            case ScalarKind.Range when type.Element!.Kind == ScalarKind.Numeric:
                return Datum.FromRange(RangeText.Canonical(
                    type.Element, random.Next(4) == 0 ? Datum.Null : Datum.FromNumeric(Numeric.FromInt64(random.Next(3))), random.Next(2) == 0,
                    random.Next(4) == 0 ? Datum.Null : Datum.FromNumeric(Numeric.FromInt64(random.Next(3, 6))), random.Next(2) == 0));
            default:
                return new RandomExpressions(random).Value(type);
        }
    }

    private sealed record Group(AggregateExpr Aggregate, ValueArray<int> Args, ValueArray<int> OrderKeys, ValueArray<ColumnType> Columns);

    /// <summary>Rows in native memory, as an operator has them.</summary>
    private sealed class GroupRows : IDisposable
    {
        private readonly RowWriter _rows;

        public GroupRows(ValueArray<ColumnType> columns, List<(Datum[] Row, long Diff)> rows)
        {
            var layout = RowLayout.For(columns);
            _rows = new RowWriter(layout.Shape);
            foreach (var (row, _) in rows)
                RowCodec.Pack(layout, row, _rows);
            Count = rows.Count;
            Addresses = (nint*)NativeMemory.Alloc((nuint)Math.Max(1, Count), (nuint)sizeof(nint));
            Diffs = (long*)NativeMemory.Alloc((nuint)Math.Max(1, Count), sizeof(long));
            for (var i = 0; i < Count; i++)
            {
                Addresses[i] = (nint)_rows.AddressOf(i);
                Diffs[i] = rows[i].Diff;
            }
        }

        public nint* Addresses { get; }

        public long* Diffs { get; }

        public int Count { get; }

        public (List<byte[]> Rows, List<byte[]> Errors) Run(GroupKernel kernel, ColumnType output)
        {
            using var rows = new RowWriter(RowLayout.For([output]).Shape);
            using var errors = new RowWriter(RowShape.Variable);
            kernel(0, Addresses, Diffs, Count, rows, errors);
            return ([.. Enumerable.Range(0, rows.Count).Select(i => rows[i].ToArray())], [.. Enumerable.Range(0, errors.Count).Select(i => errors[i].ToArray())]);
        }

        public void Dispose()
        {
            _rows.Dispose();
            NativeMemory.Free(Addresses);
            NativeMemory.Free(Diffs);
        }
    }
}
