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
        yield return Collected();
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

    // A list of each group's values in order, and of it the length and a sum that depends on the order.
    private static OperatorBenchmark Collected()
    {
        var list = SqlType.ListOf(SqlType.Int64).Nullable();
        return new OperatorBenchmark("list-agg", "a list of each group's values, in order", g =>
        {
            var aggregate = new AggregateExpr(
                AggregateFunc.ListAgg, [new MirScalarExpr.Column(0)], false, list, [new ColumnOrder(0, Descending: false, NullsLast: true)], [new MirScalarExpr.Column(0)]);
            ValueArray<ColumnType> columns = [OperatorRows.Int64, list];
            var finish = KernelCompiler.Compile(
                KernelInput.Concatenated(RowLayout.For([OperatorRows.Int64]), RowLayout.For([list])), Mfp.Identity(2), RowLayout.For(columns));
            var lists = g.ByKey().ReduceGroups("list", AggregateCompiler.Group(aggregate, [0], [0], [OperatorRows.Int64]), RowLayout.For([list]).Shape, finish, RowLayout.For(columns).Shape);
            return OperatorOutput.Of(lists.Ok, OperatorRows.Result(list, FoldedBytes));
        }, p => PlainRows.Of(p.Groups.Select(values => (values.Key, Folded(values.Order())))))
        {
            Inputs = [new OperatorInput { Value = (v, _) => v >> 1 }],
        };

        static ulong Folded(IEnumerable<ulong> values) => values.Aggregate(1UL, (sum, v) => (sum * 31) + v);

        // A count, then each value with a byte before it that says that it is there.
        static ulong FoldedBytes(ReadOnlySpan<byte> list)
        {
            var sum = 1UL;
            for (var at = sizeof(int); at < list.Length; at += 1 + sizeof(ulong))
                sum = (sum * 31) + OperatorRows.Word(list[(at + 1)..]);
            return sum;
        }
    }
}
