using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Micro.Operators;

// Reductions: one row for a group, some of its rows, or each of its rows once. Aggregates are those of SQL, with its row layouts.
internal static partial class OperatorCatalogue
{
    private static readonly ColumnType WholeNumeric = SqlType.Numeric.Nullable();

    private static IEnumerable<OperatorBenchmark> Reductions()
    {
        yield return Aggregate("count", "count of each group", AggregateFunc.Count, OperatorRows.Int64, OperatorRows.Int64, OperatorRows.Word, OperatorInput.Default, values => (ulong)values.LongCount());
        yield return Aggregate("sum-int8", "sum of int8, which is a numeric", AggregateFunc.SumInt64, OperatorRows.Int64, WholeNumeric, v => OperatorRows.Whole(v, 0),
            new OperatorInput { Value = (v, _) => (ulong)((long)(v >> 8) - (1L << 55)) }, values => (ulong)values.Sum(v => (long)v));
        yield return Aggregate("sum-numeric", "sum of numeric", AggregateFunc.SumNumeric, SqlType.Numeric.Nullable(false), WholeNumeric, v => OperatorRows.Whole(v, 2),
            new OperatorInput { Value = (v, _) => v >> 24, Shape = new RowShape(8 + Numeric.Width), Write = OperatorRows.WriteNumeric }, values => values.Aggregate(0UL, (a, b) => a + b));
        yield return Aggregate("sum-float8", "sum of float8, exact", AggregateFunc.SumFloat64, SqlType.Float64.Nullable(false), SqlType.Float64.Nullable(), OperatorRows.Word,
            new OperatorInput { Value = (v, _) => OperatorRows.Float(v) },
            values => (ulong)BitConverter.DoubleToInt64Bits(OperatorRows.FloatSum(values.Select(v => BitConverter.Int64BitsToDouble((long)v)))));
        yield return Aggregate("bool-and", "bool_and", AggregateFunc.All, SqlType.Bool.Nullable(false), SqlType.Bool.Nullable(), v => v[0], Truth, values => values.All(v => v == 1) ? 1UL : 0);
        yield return Aggregate("bool-or", "bool_or", AggregateFunc.Any, SqlType.Bool.Nullable(false), SqlType.Bool.Nullable(), v => v[0], Truth, values => values.Any(v => v == 1) ? 1UL : 0);
        yield return Extreme("min", "the least of each group", descending: false, 1);
        yield return Extreme("max", "the greatest of each group", descending: true, 1);
        yield return Extreme("top-3", "the three greatest of each group", descending: true, 3);
        yield return Collected("list-agg", "a list of each group's values, in order", AggregateFunc.ListAgg, SqlType.ListOf(SqlType.Int64), descending: false, FoldedElements);
        yield return Collected("array-agg", "an array of each group's values, the greatest first", AggregateFunc.ArrayAgg, SqlType.ArrayOf(SqlType.Int64), descending: true, b => FoldedElements(b[12..]));
        yield return Collected("string-agg", "each group's values as text, in the order of the numbers", AggregateFunc.StringAgg, SqlType.String, descending: false, FoldedText);
        yield return new OperatorBenchmark("distinct", "each row once", g => OperatorOutput.Of(g.Rows.Distinct()), p => PlainRows.Of(p.Rows.Distinct()))
        {
            Inputs = [Repeated],
        };
        yield return new OperatorBenchmark("threshold", "one input less another, no row fewer than no times", g => OperatorOutput.Of(g.Inputs[0].Concat(g.Inputs[1].Negate()).Threshold()), p =>
        {
            var left = p.Inputs[0].CountBy(r => r).ToDictionary();
            foreach (var (row, count) in p.Inputs[1].CountBy(r => r))
                left[row] = left.GetValueOrDefault(row) - count;
            return PlainRows.Of(left.Where(r => r.Value > 0).SelectMany(r => Enumerable.Repeat(r.Key, r.Value)));
        })
        {
            Inputs = [Repeated with { Rows = n => n / 2 }, Repeated with { Rows = n => n / 2 }],
        };
        yield return new OperatorBenchmark("count-distinct", "count of the different values of each group", g =>
            CountOf(g.Rows.Distinct("different values")), p => PlainRows.Of(p.Groups.Select(values => (values.Key, (ulong)values.Distinct().LongCount()))))
        {
            Inputs = [Repeated],
        };
    }

    private static OperatorInput Truth { get; } = new() { Value = (v, _) => (v >> 16) % 8 == 0 ? 0UL : 1, Shape = new RowShape(9), Write = OperatorRows.WriteBool };

    /// <summary>Ten rows a key, of six values.</summary>
    private static OperatorInput Repeated { get; } = new() { Value = (v, _) => v % 6 };

    private static OperatorBenchmark Aggregate(
        string name, string what, AggregateFunc func, ColumnType argument, ColumnType output, Func<ReadOnlySpan<byte>, ulong> number, OperatorInput input, Func<IEnumerable<ulong>, ulong> plain) =>
        new(name, what, g => Accumulated(g.Rows, func, argument, output, number), p => PlainRows.Of(p.Groups.Select(values => (values.Key, plain(values)))))
        {
            Inputs = [input],
        };

    private static OperatorOutput CountOf(Stream<Time> rows) => Accumulated(rows, AggregateFunc.Count, OperatorRows.Int64, OperatorRows.Int64, OperatorRows.Word);

    private static OperatorOutput Accumulated(Stream<Time> rows, AggregateFunc func, ColumnType argument, ColumnType output, Func<ReadOnlySpan<byte>, ulong> number)
    {
        ValueArray<ColumnType> keys = [OperatorRows.Int64], values = [argument], columns = [OperatorRows.Int64, output];
        var plan = AggregateCompiler.Accumulate([(OperatorRows.Aggregate(func, output), (ValueArray<int>)[0])], keys, values, columns);
        var reduced = rows.ReduceAccumulable(
            "reduce", OperatorRows.Split([OperatorRows.Int64, argument], 1), OperatorRows.Number, RowLayout.For(values).Shape, plan.Width, plan.Accumulate, plan.Finish, RowLayout.For(columns).Shape);
        return OperatorOutput.Of(reduced.Ok, OperatorRows.Result(output, number));
    }

    private static OperatorBenchmark Extreme(string name, string what, bool descending, int limit) => new(
        name, what,
        g => OperatorOutput.Of(g.Rows.TopK(
            name, ColumnKernels.SplitSorted(descending), OperatorRows.Number, OperatorRows.Number, RowShape.Empty, limit, finish: ColumnKernels.FinishSorted(descending), shape: OperatorRows.Pair).Ok),
        p => PlainRows.Of(p.Groups.SelectMany(values => (descending ? values.OrderDescending() : values.Order()).Take(limit).Select(v => (values.Key, v)))));

    // What is collected of each group, and of it the length and a sum that depends on the order; in place, since it is of the measured time.
    private static OperatorBenchmark Collected(string name, string what, AggregateFunc func, SqlType result, bool descending, Func<ReadOnlySpan<byte>, ulong> number) => new(name, what, g =>
    {
        var isText = func == AggregateFunc.StringAgg;
        var values = isText ? OperatorRows.TextColumns : [OperatorRows.Int64];
        ValueArray<int> args = isText ? [1, 2] : [0];
        var output = result.Nullable();
        var aggregate = new AggregateExpr(
            func, args.Select(a => (MirScalarExpr)new MirScalarExpr.Column(a)), false, output, [new ColumnOrder(0, descending, NullsLast: true)], [new MirScalarExpr.Column(0)]);
        ValueArray<ColumnType> columns = [OperatorRows.Int64, output];
        var finish = KernelCompiler.Compile(
            KernelInput.Concatenated(RowLayout.For([OperatorRows.Int64]), RowLayout.For([output])), Mfp.Identity(2), RowLayout.For(columns));
        var rows = isText ? g.Rows.Arrange("by key", OperatorRows.SplitText(), OperatorRows.Number, RowShape.Variable).Arranged : g.ByKey();
        var collected = rows.ReduceGroups("collect", AggregateCompiler.Group(aggregate, args, [0], values), RowLayout.For([output]).Shape, finish, RowLayout.For(columns).Shape);
        return OperatorOutput.Of(collected.Ok, OperatorRows.Result(output, number));
    }, p => PlainRows.Of(p.Groups.Select(g => (g.Key, Folded(descending ? g.OrderDescending() : g.Order())))))
    {
        Inputs =
        [
            func == AggregateFunc.StringAgg
                ? new OperatorInput { Value = (v, _) => v >> 1, Shape = RowShape.Variable, Write = OperatorRows.WriteText }
                : new OperatorInput { Value = (v, _) => v >> 1 },
        ],
    };

    private static ulong Folded(IEnumerable<ulong> values) => values.Aggregate(1UL, Folded);

    private static ulong Folded(ulong sum, ulong value) => (sum * 31) + value;

    /// <summary>Elements of int8 that are not null, in the form of a list or at the end of an array of one dimension.</summary>
    private static ulong FoldedElements(ReadOnlySpan<byte> elements)
    {
        var sum = 1UL;
        for (elements = elements[sizeof(int)..]; !elements.IsEmpty; elements = elements[(1 + sizeof(ulong))..])
            sum = Folded(sum, OperatorRows.Word(elements[1..]));
        return sum;
    }

    /// <summary>Numbers as text between commas.</summary>
    private static ulong FoldedText(ReadOnlySpan<byte> text)
    {
        var (sum, number) = (1UL, 0UL);
        foreach (var b in text)
        {
            if (b == (byte)',')
                (sum, number) = (Folded(sum, number), 0);
            else
                number = (number * 10) + b - '0';
        }

        return Folded(sum, number);
    }
}
