using Materialize.Core.Collections;
using Materialize.Expr.Kernels;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>
/// Goal: a kernel gives the interpreter's rows, times and errors, in order. Method: random Mfps of every function over random
/// rows cut into one to three parts, nulls and extreme values included.
/// </summary>
public class KernelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Kernels_give_the_interpreters_answers(int seed)
    {
        for (var round = 0; round < 120; round++)
            Compare(new Random((seed * 1000) + round), $"seed {seed} round {round}");
    }

    [Fact]
    public void A_row_that_passes_unchanged_is_copied()
    {
        ValueArray<ColumnType> columns = [SqlType.Int32.Nullable(), SqlType.String.Nullable(), SqlType.String.Nullable(false)];
        var layout = RowLayout.For(columns);
        var mfp = MfpBuilder.Identity(3).Filter([new MirScalarExpr.Call(ScalarFunctions.IsNull, [new MirScalarExpr.Column(0)], SqlType.Bool)]).Build();
        var kernel = KernelCompiler.Compile(KernelInput.Whole(layout), mfp, layout);
        var kept = RowCodec.Pack(layout, [Datum.Null, Datum.FromString("x"), Datum.FromString("yz")]);
        var dropped = RowCodec.Pack(layout, [Datum.FromInt64(1), Datum.Null, Datum.FromString("")]);
        var result = KernelRunner.Run(kernel, 1, [[dropped], [kept], [dropped]], layout);
        Assert.Equal([1], result.Selected);
        Assert.Equal(kept, Assert.Single(result.Rows)[0]);
    }

    [Fact]
    public void Comparisons_with_mz_now_bound_the_times_of_a_row()
    {
        ValueArray<ColumnType> columns = [SqlType.MzTimestamp.Nullable(), SqlType.MzTimestamp.Nullable(false)];
        var layout = RowLayout.For(columns);
        var now = new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.MzNow);
        MirScalarExpr.Call Compare(ScalarFunc f, MirScalarExpr a, MirScalarExpr b) => new(f, [a, b], SqlType.Bool);
        var mfp = MfpBuilder.Identity(2)
            .Filter([Compare(ScalarFunctions.Gte, now, new MirScalarExpr.Column(0)), Compare(ScalarFunctions.Gte, new MirScalarExpr.Column(1), now)]).Build();
        var kernel = KernelCompiler.Compile(KernelInput.Whole(layout), mfp, layout);
        byte[][] Row(Datum from, ulong until) => [RowCodec.Pack(layout, [from, Datum.FromUInt64(until)])];
        var result = KernelRunner.Run(
            kernel, 1, [Row(Datum.FromUInt64(5), 9), Row(Datum.Null, 9), Row(Datum.FromUInt64(10), 9), Row(Datum.FromUInt64(0), ulong.MaxValue), Row(Datum.FromUInt64(7), 7)], layout);
        Assert.Equal([0, 3, 4], result.Selected);
        Assert.Equal([(5UL, 10UL), (0UL, ulong.MaxValue), (7UL, 8UL)], result.Times);
    }

    private static void Compare(Random random, string label)
    {
        var expressions = new RandomExpressions(random);
        var parts = new RowLayout[random.Next(1, 4)];
        for (var p = 0; p < parts.Length; p++)
            parts[p] = RowLayout.For([.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => expressions.Type().Nullable(random.Next(3) > 0))]);
        var input = KernelInput.Concatenated(parts);
        var types = input.Types;
        var builder = MfpBuilder.Identity(types.Count);
        var columns = types;
        for (var step = random.Next(1, 5); step > 0; step--)
        {
            if (random.Next(4) == 0)
            {
                builder.Filter([expressions.Expression(SqlType.Bool, columns, 3)]);
                continue;
            }

            var map = expressions.Expression(expressions.Type(), columns, random.Next(1, 4));
            builder.Map([map]);
            columns = columns.Add(map.TypeOf(columns));
        }

        int[] projection = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(columns.Count))];
        var mfp = builder.Project(projection).Build();
        var program = MfpProgram.Prepare(mfp, types);
        var split = random.Next(0, projection.Length + 1);
        KernelOutput[] outputs =
        [
            new(RowLayout.For([.. program.Output.Take(split)]), ValueArray.Range(split)),
            new(RowLayout.For([.. program.Output.Skip(split)]), [.. Enumerable.Range(split, projection.Length - split)]),
        ];
        var kernel = KernelCompiler.Compile(input, mfp, [.. outputs]);

        var rows = new List<byte[][]>();
        var expected = new KernelRunner.Result([], [], [], [], []);
        for (var i = 0; i < 40; i++)
        {
            Datum[] values = [.. types.Select(expressions.Value)];
            var at = 0;
            rows.Add([.. parts.Select(p =>
            {
                var packed = RowCodec.Pack(p, values.AsSpan(at, p.Columns.Count));
                at += p.Columns.Count;
                return packed;
            })]);
            var buffer = new Datum[program.Columns.Count];
            values.CopyTo(buffer, 0);
            switch (program.Run(buffer, out var from, out var until, out var error))
            {
                case MfpOutcome.Kept:
                    expected.Rows.Add([.. outputs.Select(o => RowCodec.Pack(o.Layout, [.. o.Columns.Select(c => buffer[mfp.Projection[c]])]))]);
                    expected.Selected.Add(i);
                    expected.Times.Add((from, until));
                    break;
                case MfpOutcome.Failed:
                    expected.Errors.Add(EvalErrorCodec.Encode(error!));
                    expected.ErrorSelected.Add(i);
                    break;
            }
        }

        var actual = KernelRunner.Run(kernel, parts.Length, rows, outputs[0].Layout, outputs[1].Layout);
        Assert.True(expected.Selected.SequenceEqual(actual.Selected), $"{label}: rows {string.Join(',', expected.Selected)} against {string.Join(',', actual.Selected)} of {mfp}");
        Assert.True(expected.ErrorSelected.SequenceEqual(actual.ErrorSelected), $"{label}: failing rows of {mfp}");
        Assert.Equal(expected.Errors, actual.Errors);
        Assert.Equal(expected.Times, actual.Times);
        for (var j = 0; j < expected.Rows.Count; j++)
        {
            for (var o = 0; o < outputs.Length; o++)
                Assert.True(expected.Rows[j][o].AsSpan().SequenceEqual(actual.Rows[j][o]), $"{label}: row {j} output {o} of {mfp}");
        }
    }
}
