using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr.Kernels;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>
/// Goal: kernels cost no more than what is in use. Method: many shapes that differ in a constant only, and a tiered kernel beside
/// a compiled one over the same rows.
/// </summary>
public class KernelCacheTests
{
    private static readonly ValueArray<ColumnType> Columns = [SqlType.Int64.Nullable(), SqlType.String.Nullable()];
    private static readonly RowLayout Layout = RowLayout.For(Columns);

    [Fact]
    public void Ten_thousand_literals_leave_the_caches_bounded()
    {
        var row = Row(5, "x");
        for (var i = 0; i < 10_000; i++)
        {
            var mfp = Filter(Literal(Datum.FromInt64(i % 7 == 0 ? 5 : i + 10), SqlType.Int64), 0);
            var kernel = KernelCompiler.Tiered(KernelInput.Whole(Layout), mfp, [new KernelOutput(Layout, ValueArray.Range(2))]);
            Assert.Equal(i % 7 == 0 ? 1 : 0, KernelRunner.Run(kernel, 1, [[row]], Layout).Rows.Count);
        }

        for (var i = 0; i < KernelCompiler.CompiledMax + 50; i++)
            KernelCompiler.Compile(KernelInput.Whole(Layout), Filter(Literal(Datum.FromInt64(i), SqlType.Int64), 0), Layout);
        var (compiled, tiered) = KernelCompiler.CachedCount;
        Assert.InRange(compiled, 1, KernelCompiler.CompiledMax);
        Assert.InRange(tiered, 1, KernelCompiler.TieredMax);
    }

    [Fact]
    public void A_kernel_that_left_the_cache_goes_with_its_last_user()
    {
        var gone = CompileAndForget();
        for (var i = 0; i < KernelCompiler.CompiledMax; i++)
            KernelCompiler.Compile(KernelInput.Whole(Layout), Filter(Literal(Datum.FromString($"other {i}"), SqlType.String), 1), Layout);
        for (var i = 0; i < 5 && gone.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(gone.IsAlive);
    }

    [Fact]
    public void A_kernel_in_use_keeps_its_literals()
    {
        var text = new string('t', 1000);
        var kernel = KernelCompiler.Compile(KernelInput.Whole(Layout), Filter(Literal(Datum.FromString(text), SqlType.String), 1), Layout);
        for (var i = 0; i < KernelCompiler.CompiledMax; i++)
            KernelCompiler.Compile(KernelInput.Whole(Layout), Filter(Literal(Datum.FromString($"{text[..900]}{i}"), SqlType.String), 1), Layout);
        GC.Collect();
        GC.Collect();
        Assert.Equal([0, 2], KernelRunner.Run(kernel, 1, [[Row(1, text)], [Row(2, "t")], [Row(3, text)]], Layout).Selected);
    }

    [Fact]
    public async Task A_tiered_kernel_answers_the_same_before_and_after_it_is_compiled()
    {
        // 10 / a fails for zero: errors take part.
        var quotient = new MirScalarExpr.Call(
            ScalarFunctions.ById("div_int8"), [Literal(Datum.FromInt64(10), SqlType.Int64), new MirScalarExpr.Column(0)], SqlType.Int64);
        var mfp = MfpBuilder.Identity(2).Map([quotient]).Project([2, 1]).Build();
        var output = RowLayout.For([SqlType.Int64.Nullable(), SqlType.String.Nullable()]);
        var input = KernelInput.Whole(Layout);
        var compiled = KernelCompiler.Compile(input, mfp, output);
        var kernel = new TieredKernel(input, MfpProgram.Prepare(mfp, Columns), [new KernelOutput(output, ValueArray.Range(2))], () => compiled);
        var rows = Enumerable.Range(0, 100).Select(i => new[] { Row((i % 7) - 3, $"r{i}") }).ToList();
        var expected = KernelRunner.Run(compiled, 1, rows, output);
        Assert.NotEmpty(expected.Errors);
        for (var round = 0; !kernel.IsCompiled; round++)
        {
            var actual = KernelRunner.Run(kernel.Kernel, 1, rows, output);
            Assert.Equal(expected.Selected, actual.Selected);
            Assert.Equal(expected.ErrorSelected, actual.ErrorSelected);
            Assert.Equal(expected.Errors, actual.Errors);
            Assert.Equal(expected.Rows.Select(r => r[0]), actual.Rows.Select(r => r[0]));
            Assert.True(round < 1_000_000, "it is compiled some time");
            await Task.Yield();
        }

        Assert.Equal(expected.Selected, KernelRunner.Run(kernel.Kernel, 1, rows, output).Selected);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference CompileAndForget()
    {
        var kernel = KernelCompiler.Compile(
            KernelInput.Whole(Layout), Filter(Literal(Datum.FromString("only once"), SqlType.String), 1), Layout);
        Assert.Single(KernelRunner.Run(kernel, 1, [[Row(1, "only once")]], Layout).Rows);
        return new WeakReference(kernel);
    }

    private static MirScalarExpr.Literal Literal(Datum value, SqlType type) => new(value, type.Nullable(false));

    private static Mfp Filter(MirScalarExpr.Literal literal, int column) => MfpBuilder.Identity(2)
        .Filter([new MirScalarExpr.Call(ScalarFunctions.Eq, [new MirScalarExpr.Column(column), literal], SqlType.Bool)]).Build();

    private static byte[] Row(long a, string b) => RowCodec.Pack(Layout, [Datum.FromInt64(a), Datum.FromString(b)]);
}
