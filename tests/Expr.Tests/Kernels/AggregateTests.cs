using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr.Kernels;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>
/// Goal: an accumulator into which rows were folded, and out of which some were taken again, shows what the interpreter makes of
/// the rows that are left. Method: random rows with random multiplicities, then retractions of part of them, bit for bit.
/// </summary>
public unsafe class AggregateTests
{
    private static readonly (AggregateFunc Func, SqlType Arg, SqlType Result)[] Accumulable =
    [
        (AggregateFunc.Count, SqlType.String, SqlType.Int64), (AggregateFunc.Any, SqlType.Bool, SqlType.Bool), (AggregateFunc.All, SqlType.Bool, SqlType.Bool),
        (AggregateFunc.SumInt16, SqlType.Int16, SqlType.Int64), (AggregateFunc.SumInt32, SqlType.Int32, SqlType.Int64),
        (AggregateFunc.SumInt64, SqlType.Int64, SqlType.Numeric), (AggregateFunc.SumUInt16, SqlType.UInt16, SqlType.UInt64),
        (AggregateFunc.SumUInt32, SqlType.UInt32, SqlType.UInt64), (AggregateFunc.SumUInt64, SqlType.UInt64, SqlType.Numeric),
        (AggregateFunc.SumFloat32, SqlType.Float32, SqlType.Float32), (AggregateFunc.SumFloat64, SqlType.Float64, SqlType.Float64),
        (AggregateFunc.SumNumeric, SqlType.Numeric, SqlType.Numeric), (AggregateFunc.SumInterval, SqlType.Interval, SqlType.Interval),
    ];

    [Fact]
    public void Accumulators_show_the_sum_of_what_is_left_in_them()
    {
        for (var seed = 0; seed < 300; seed++)
            Check(new Random(seed), $"seed {seed}");
    }

    [Fact]
    public void Accumulators_take_no_managed_memory()
    {
        var result = stackalloc byte[Numeric.Width];
        foreach (var (func, arg, _) in Accumulable)
        {
            var layout = RowLayout.For([arg.Nullable()]);
            var slot = AccumulatorSlot.For(func, layout, 0);
            slot.Offset = 8;
            fixed (byte* row = RowCodec.Pack(layout, [arg.Kind == ScalarKind.Interval ? Datum.FromInterval(new Interval(1, 2, 3)) : DatumText.Parse(arg, arg.Kind == ScalarKind.Bool ? "t" : "7")]))
            fixed (byte* accumulator = new byte[8 + slot.Width])
            {
                var (rows, diffs, accumulators) = ((nint)row, 3L, (nint)accumulator);
                slot.Add(&rows, &diffs, &accumulators, 1);
                slot.Finish(accumulator, result);
                var finished = 0;
                var before = GC.GetAllocatedBytesForCurrentThread();
                for (var i = 0; i < 100; i++)
                {
                    slot.Add(&rows, &diffs, &accumulators, 1);
                    finished += slot.Finish(accumulator, result) ? 1 : 0;
                }

                var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                Assert.Equal((func, 100, 0L), (func, finished, allocated));
            }
        }
    }

    [Fact]
    public void Sums_beyond_their_type_are_errors_as_data()
    {
        ValueArray<ColumnType> values = [SqlType.Interval.Nullable(false)];
        var plan = Plan(AggregateFunc.SumInterval, values, SqlType.Interval);
        var result = Finish(plan, values, SqlType.Interval, [(Datum.FromInterval(new Interval(int.MaxValue, 0, 0)), 2)]);
        Assert.Equal("interval out of range", EvalErrorCodec.Decode(Assert.Single(result.Errors)).Message);
    }

    [Theory]
    [InlineData("1e308", "1e308", "Infinity")]
    [InlineData("1e47", "-1e47", "0")]
    [InlineData("0.1", "0.2", "0.3")]
    public void Float_sums_are_exact_within_their_range(string a, string b, string sum)
    {
        var expr = new AggregateExpr(AggregateFunc.SumFloat64, [new MirScalarExpr.Column(0)], false, SqlType.Float64.Nullable(), [], []);
        var total = AggregateInterpreter.Eval(
            expr, [SqlType.Float64.Nullable()], [([DatumText.Parse(SqlType.Float64, a)], 1), ([DatumText.Parse(SqlType.Float64, b)], 1)]);
        Assert.Equal(double.Parse(sum, System.Globalization.CultureInfo.InvariantCulture), total.AsDouble, 1e-15);
    }

    [Fact]
    public void Group_kernels_collect_in_the_order_asked_for()
    {
        ValueArray<ColumnType> columns = [SqlType.String.Nullable(), SqlType.String.Nullable(false), SqlType.Int32.Nullable()];
        var expr = new AggregateExpr(
            AggregateFunc.StringAgg, [new MirScalarExpr.Column(0), new MirScalarExpr.Column(1)], false, SqlType.String.Nullable(),
            [new ColumnOrder(0, true, false)], [new MirScalarExpr.Column(2)]);
        Assert.Equal("n;c;b;a;a", Group(expr, [0, 1], [2], columns, [("a", 1, 2), ("b", 2, 1), ("c", 3, 1), (null, 9, 1), ("n", null, 1)]));
        Assert.Equal("n;c;b;a", Group(expr with { Distinct = true }, [0, 1], [2], columns, [("a", 1, 2), ("b", 2, 1), ("c", 3, 1), ("n", null, 1)]));
    }

    private static string Group(AggregateExpr expr, ValueArray<int> args, ValueArray<int> keys, ValueArray<ColumnType> columns, (string?, int?, long)[] rows)
    {
        var kernel = AggregateCompiler.Group(expr, args, keys, columns);
        var layout = RowLayout.For(columns);
        using var packed = new RowWriter(layout.Shape);
        foreach (var (text, order, _) in rows)
            RowCodec.Pack(layout, [text is null ? Datum.Null : Datum.FromString(text), Datum.FromString(";"), order is { } o ? Datum.FromInt64(o) : Datum.Null], packed);
        var result = RowLayout.For([expr.Output]);
        using var output = new RowWriter(result.Shape);
        using var errors = new RowWriter(RowShape.Variable);
        var addresses = stackalloc nint[rows.Length];
        var diffs = stackalloc long[rows.Length];
        for (var i = 0; i < rows.Length; i++)
        {
            addresses[i] = (nint)packed.Data + (nint)(i == 0 ? 0 : packed.Ends[i - 1]);
            diffs[i] = rows[i].Item3;
        }

        kernel(0, addresses, diffs, rows.Length, output, errors);
        Assert.Equal(0, errors.Count);
        return RowCodec.Unpack(result, output[0])[0].AsString;
    }

    private static void Check(Random random, string label)
    {
        var expressions = new RandomExpressions(random);
        var (func, arg, resultType) = Accumulable[random.Next(Accumulable.Length)];
        ValueArray<ColumnType> values = [arg.Nullable(random.Next(2) == 0)];
        var plan = Plan(func, values, resultType);
        var kept = new List<(Datum Value, long Diff)>();
        var updates = new List<(Datum Value, long Diff)>();
        for (var i = random.Next(12); i > 0; i--)
        {
            var value = expressions.Value(values[0]);
            var diff = random.Next(4) == 0 ? random.Next(1, 1000) : 1;
            updates.Add((value, diff));
            var left = random.Next(3) == 0 ? 0 : random.Next(2) == 0 ? diff : random.Next(diff + 1);
            if (left != diff)
                updates.Add((value, left - diff));
            if (left > 0)
                kept.Add((value, left));
        }

        var expr = new AggregateExpr(func, [new MirScalarExpr.Column(0)], false, resultType.Nullable(), [], []);
        Datum expected = default;
        EvalError? error = null;
        try
        {
            expected = AggregateInterpreter.Eval(expr, values, kept.Select(k => (new[] { k.Value }, k.Diff)));
        }
        catch (EvalException e)
        {
            error = e.Error;
        }

        var (rows, errors) = Finish(plan, values, resultType, updates);
        if (error is not null)
        {
            Assert.Equal(error, EvalErrorCodec.Decode(Assert.Single(errors)));
            return;
        }

        Assert.True(rows.Count == 1, label);
        Assert.True(rows[0][0].AsInt64 == 7 && rows[0][1].Equals(expected), $"{label}: {func} of {string.Join(", ", kept.Select(k => k.Value.IsNull ? "null" : DatumText.Format(arg, k.Value)))}");
    }

    private static AccumulatePlan Plan(AggregateFunc func, ValueArray<ColumnType> values, SqlType result) => AggregateCompiler.Accumulate(
        [(new AggregateExpr(func, [new MirScalarExpr.Column(0)], false, result.Nullable(), [], []), [0])],
        [SqlType.Int32.Nullable()],
        values,
        [SqlType.Int32.Nullable(), result.Nullable()]);

    private static (List<Datum[]> Rows, List<byte[]> Errors) Finish(
        AccumulatePlan plan, ValueArray<ColumnType> values, SqlType result, IReadOnlyList<(Datum Value, long Diff)> updates)
    {
        var layout = RowLayout.For(values);
        var key = RowCodec.Pack(RowLayout.For([SqlType.Int32.Nullable()]), [Datum.FromInt64(7)]);
        var accumulator = new byte[plan.Width];
        fixed (byte* at = accumulator)
        {
            foreach (var (value, diff) in updates)
            {
                var row = RowCodec.Pack(layout, [value]);
                fixed (byte* pinned = row)
                {
                    var (address, d, a, k) = ((nint)pinned, diff, (nint)at, (nint)0);
                    plan.Accumulate(&k, &address, &d, &a, 1);
                }
            }
        }

        Assert.Equal(updates.Sum(u => u.Diff), MemoryMarshal.Read<long>(accumulator));
        var output = RowLayout.For([SqlType.Int32.Nullable(), result.Nullable()]);
        var finished = KernelRunner.Run(plan.Finish, 2, [[key, accumulator]], output);
        foreach (var row in finished.Rows)
            Assert.Equal(RowCodec.Pack(output, RowCodec.Unpack(output, row[0])), row[0]); // nothing left under a null
        return ([.. finished.Rows.Select(r => RowCodec.Unpack(output, r[0]))], finished.Errors);
    }
}
