using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

// Grouping. Keys and arguments are computed first, by one map; from there on everything is columns. Each kind of aggregate has its
// own operator; where a reduce has several kinds, the parts (each: keys, then some aggregates) are joined on the keys.
internal sealed partial class Render<TTime>
{
    /// <summary>Some aggregates of a reduce: a stream of keys and their values.</summary>
    private sealed record ReducePart(Bundle<TTime> Rows, ValueArray<int> Aggregates);

    private Bundle<TTime> Reduce(LirRelationExpr.Reduce node)
    {
        var input = Plan(node.Input);
        var exprs = new List<MirScalarExpr>(node.GroupKey);
        var args = node.Aggregates.Select(a => AddColumns(exprs, a.Expr.Args));
        var orderKeys = node.Aggregates.Select(a => AddColumns(exprs, a.Expr.OrderKeys));
        var inputColumns = input.Columns;
        var columns = exprs.Select(e => e.TypeOf(inputColumns)).ToValueArray();
        var arity = inputColumns.Count;
        var map = new Mfp(arity, exprs.ToValueArray(), [], Enumerable.Range(arity, exprs.Count).ToValueArray());
        var mapped = Apply(input, map, columns, "group keys and arguments");
        var keys = columns.AsSpan()[..node.GroupKey.Count].ToArray().ToValueArray();

        if (node.Aggregates.IsEmpty)
        {
            var distinct = Bundle<TTime>.OfStream(mapped.Ok.Distinct("distinct keys"), mapped.Errors, keys);
            return Apply(distinct, node.MfpAfter, node.Columns, "after reduce");
        }

        var group = new Grouping(node, keys, args, orderKeys);
        var parts = new List<ReducePart>();
        var plain = Enumerable.Range(0, node.Aggregates.Count)
            .Where(i => node.Aggregates[i].Kind == ReduceKind.Accumulable && !node.Aggregates[i].Expr.Distinct)
            .ToValueArray();
        if (!plain.IsEmpty)
            parts.Add(Accumulable(mapped, group, plain));
        for (var i = 0; i < node.Aggregates.Count; i++)
        {
            var aggregate = node.Aggregates[i];
            switch (aggregate.Kind)
            {
                case ReduceKind.Accumulable when aggregate.Expr.Distinct:
                    parts.Add(DistinctAccumulable(mapped, group, i));
                    break;
                case ReduceKind.Hierarchical:
                    parts.Add(Hierarchical(mapped, group, i));
                    break;
                case ReduceKind.Basic:
                    parts.Add(Basic(mapped, group, i));
                    break;
            }
        }

        var result = Collate(parts, keys);
        result.WithErrors(mapped.Errors);
        return Apply(InOrder(result, parts, node, keys), node.MfpAfter, node.Columns, "after reduce");
    }

    /// <param name="Args">For each aggregate, its arguments among the mapped columns.</param>
    private sealed record Grouping(
        LirRelationExpr.Reduce Node, ValueArray<ColumnType> Keys, ValueArray<ValueArray<int>> Args, ValueArray<ValueArray<int>> OrderKeys)
    {
        public ValueArray<int> KeyColumns => ValueArray.Range(Keys.Count);

        public AggregateExpr Aggregate(int index) => Node.Aggregates[index].Expr;

        public ValueArray<ColumnType> OutputColumns(ValueArray<int> aggregates) => [.. Keys, .. aggregates.Select(i => Aggregate(i).Output)];
    }

    private static ValueArray<int> AddColumns(List<MirScalarExpr> exprs, ValueArray<MirScalarExpr> more)
    {
        var columns = new int[more.Count];
        for (var i = 0; i < columns.Length; i++)
        {
            // The same argument twice is one column; keys count too.
            columns[i] = exprs.IndexOf(more[i]);
            if (columns[i] >= 0)
                continue;
            columns[i] = exprs.Count;
            exprs.Add(more[i]);
        }

        return ValueArray.Create<int>(columns);
    }

    private static ReducePart Accumulable(Bundle<TTime> mapped, Grouping group, ValueArray<int> aggregates)
    {
        // Only the arguments that these aggregates read, each once.
        var values = aggregates.SelectMany(i => group.Args[i]).Distinct().ToValueArray();
        var all = mapped.Columns;
        var shape = new ArrangementShape(
            new ArrangementKey([]), group.Keys, values.Select(c => all[c]), values, []);
        var output = group.OutputColumns(aggregates);
        var plan = RowKernels.Accumulate(
            aggregates.Select(i => (group.Aggregate(i), group.Args[i].Select(c => IndexOf(values, c)))), group.Keys, shape.ValueColumns, output);
        var rows = mapped.Ok.ReduceAccumulable(
            "reduce",
            RowKernels.SplitColumns(RowSource.Whole(mapped.Columns), group.KeyColumns, group.Keys, values, shape.ValueColumns),
            shape.KeyLayout.Shape,
            shape.ValueLayout.Shape,
            plan.Width,
            plan.Accumulate,
            plan.Finish,
            RowLayout.For(output).Shape);
        return new ReducePart(Bundle<TTime>.OfStream(rows, output), aggregates);
    }

    private static ReducePart DistinctAccumulable(Bundle<TTime> mapped, Grouping group, int aggregate)
    {
        var kept = group.KeyColumns.Concat(group.Args[aggregate]).ToValueArray();
        var all = mapped.Columns;
        var columns = kept.Select(c => all[c]);
        var projected = mapped.Ok.Map(
            "distinct arguments", RowKernels.Project(RowSource.Whole(mapped.Columns), kept, columns), RowLayout.For(columns).Shape);
        var distinct = Bundle<TTime>.OfStream(projected.Ok.Distinct("distinct arguments"), projected.Errors, columns);
        var at = Enumerable.Range(group.Keys.Count, group.Args[aggregate].Count).ToValueArray();
        var part = Accumulable(distinct, group with { Args = group.Args.Set(aggregate, at) }, [aggregate]);
        part.Rows.WithErrors(distinct.Errors);
        return part;
    }

    /// <summary>The least or greatest of a group is the first of its order; nulls are last, so that they win only where there is nothing else.</summary>
    private static ReducePart Hierarchical(Bundle<TTime> mapped, Grouping group, int aggregate)
    {
        var expr = group.Aggregate(aggregate);
        var argument = group.Args[aggregate][0];
        var output = group.OutputColumns([aggregate]);
        var order = new ColumnOrder(argument, expr.Func == AggregateFunc.Max, NullsLast: true);
        ValueArray<ColumnType> single = [expr.Output];

        // What is stored for a row is its argument; the key's columns come back with the key.
        var split = RowKernels.TopKSplit(RowSource.Whole(mapped.Columns), group.KeyColumns, [order], [argument], single);
        var finish = RowKernels.Project(new RowSource([group.Keys, single], [.. group.KeyColumns.Select(i => (0, i)), (1, 0)]), output);
        var rows = mapped.Ok.TopK(
            expr.Func == AggregateFunc.Max ? "max" : "min", split, RowLayout.For(group.Keys).Shape, RowShape.Variable, RowLayout.For(single).Shape, 1,
            finish: finish, shape: RowLayout.For(output).Shape);
        return new ReducePart(Bundle<TTime>.OfStream(rows, output), [aggregate]);
    }

    private static ReducePart Basic(Bundle<TTime> mapped, Grouping group, int aggregate)
    {
        var expr = group.Aggregate(aggregate);
        var values = group.Args[aggregate].Concat(group.OrderKeys[aggregate]).Distinct().ToValueArray();
        var all = mapped.Columns;
        var valueColumns = values.Select(c => all[c]);
        var output = group.OutputColumns([aggregate]);
        var arranged = mapped.Ok.Arrange(
            "arrange for reduce",
            RowKernels.SplitColumns(RowSource.Whole(mapped.Columns), group.KeyColumns, group.Keys, values, valueColumns),
            RowLayout.For(group.Keys).Shape,
            RowLayout.For(valueColumns).Shape);
        ValueArray<ColumnType> single = [expr.Output];
        var kernel = RowKernels.Group(
            expr,
            group.Args[aggregate].Select(c => IndexOf(values, c)),
            group.OrderKeys[aggregate].Select(c => IndexOf(values, c)),
            valueColumns);
        var finish = new RowSource(
            [group.Keys, single], [.. group.KeyColumns.Select(i => (0, i)), (1, 0)]);
        var rows = arranged.Arranged.ReduceGroups(
            "reduce groups", kernel, RowLayout.For(single).Shape, RowKernels.Project(finish, output), RowLayout.For(output).Shape);
        return new ReducePart(Bundle<TTime>.OfStream(rows, output, arranged.Errors), [aggregate]);
    }

    /// <summary>The parts side by side. Each has a row for each group, so that none is lost; null keys meet, since keys are compared as bytes.</summary>
    private static Bundle<TTime> Collate(List<ReducePart> parts, ValueArray<ColumnType> keys)
    {
        var result = parts[0].Rows;
        var key = new ArrangementKey(Enumerable.Range(0, keys.Count).Select(i => (MirScalarExpr)new MirScalarExpr.Column(i)).ToValueArray());
        foreach (var part in parts.Skip(1))
        {
            var left = result.Arrange(key);
            var right = part.Rows.Arrange(key);
            var source = RowSource.Joined(left.Shape, right.Shape);
            var leftArity = result.Columns.Count;
            var kept = Enumerable.Range(0, leftArity).Concat(Enumerable.Range(leftArity + keys.Count, part.Aggregates.Count)).ToValueArray();
            var all = source.Columns;
            var columns = kept.Select(c => all[c]);
            var joined = left.Arranged.Join("collate", right.Arranged, RowKernels.Project(source, kept, columns), RowLayout.For(columns).Shape);
            result = Bundle<TTime>.OfStream(joined, columns, result.Errors, part.Rows.Errors);
        }

        return result;
    }

    /// <summary>The aggregates in the order of the plan.</summary>
    private static Bundle<TTime> InOrder(Bundle<TTime> result, List<ReducePart> parts, LirRelationExpr.Reduce node, ValueArray<ColumnType> keys)
    {
        var order = parts.SelectMany(p => p.Aggregates).ToValueArray();
        if (order == ValueArray.Range(order.Count))
            return result;
        ValueArray<int> outputs = [.. Enumerable.Range(0, keys.Count), .. Enumerable.Range(0, order.Count).Select(i => keys.Count + IndexOf(order, i))];
        var before = result.Columns;
        var columns = outputs.Select(c => before[c]);
        var rows = result.Ok.Map(
            "order aggregates", RowKernels.Project(RowSource.Whole(before), outputs, columns), RowLayout.For(columns).Shape);
        return Bundle<TTime>.OfStream(rows, columns, result.Errors);
    }

    private static int IndexOf(ValueArray<int> items, int item) => items.AsSpan().IndexOf(item);
}
