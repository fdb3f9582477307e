using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>What MIR and LIR operators mean, where it is the same in both.</summary>
public static class Relations
{
    public static Multiset Reduce(Multiset input, ValueArray<MirScalarExpr> keys, IReadOnlyList<AggregateExpr> aggregates)
    {
        var groups = new Dictionary<string, (Datum[] Key, List<(Datum[] Row, long Diff)> Rows)>();
        foreach (var (row, diff) in input.Rows)
        {
            Datum[] key = [.. keys.Select(k => Scalars.Eval(k, row))];
            if (!groups.TryGetValue(Multiset.Key(key), out var group))
                groups.Add(Multiset.Key(key), group = (key, []));
            group.Rows.Add((row, diff));
        }

        var result = new Multiset();
        foreach (var (key, rows) in groups.Values)
        {
            if (rows.Sum(r => r.Diff) != 0)
                result.Add([.. key, .. aggregates.Select(a => Aggregate(a, rows))], 1);
        }

        return result;
    }

    public static Multiset TopK(Multiset input, ValueArray<int> groupKey, ValueArray<ColumnOrder> order, MirScalarExpr? limit, ulong offset)
    {
        var result = new Multiset();
        foreach (var group in input.Rows.GroupBy(r => Multiset.Key(groupKey.Select(c => r.Row[c]))))
        {
            var rows = Ordered(group, order);
            var skip = (long)offset;
            var left = limit is null ? long.MaxValue : Scalars.Eval(limit, rows[0].Row) is var l && l.IsNull ? long.MaxValue : l.AsInt64;
            foreach (var (row, diff) in rows)
            {
                var rest = Math.Max(0, diff - skip);
                skip = Math.Max(0, skip - diff);
                var taken = Math.Min(rest, left);
                left -= taken;
                result.Add(row, taken);
            }
        }

        return result;
    }

    /// <summary>Each copy of a row has a place of its own; ties go by the whole row.</summary>
    public static Multiset Window(Multiset input, ValueArray<int> partitionKey, ValueArray<ColumnOrder> order, ValueArray<WindowCall> calls)
    {
        var result = new Multiset();
        foreach (var partition in input.Rows.GroupBy(r => Multiset.Key(partitionKey.Select(c => r.Row[c]))))
        {
            var rows = Ordered(partition, order).SelectMany(r => Enumerable.Repeat(r.Row, checked((int)r.Diff))).ToList();
            for (var i = 0; i < rows.Count; i++)
                result.Add([.. rows[i], .. calls.Select(call => Window(call, rows, order, i))], 1);
        }

        return result;
    }

    private static Datum Window(WindowCall call, List<Datum[]> rows, ValueArray<ColumnOrder> order, int at)
    {
        bool ArePeers(int a, int b) => order.All(o => Scalars.Compare(rows[a][o.Column], rows[b][o.Column], false, true) == 0);
        List<Datum[]> Frame(WindowRows frame)
        {
            var first = Math.Max(0, at + frame.Start ?? 0);
            var last = Math.Min(rows.Count - 1, frame.ToPeers ? Enumerable.Range(at, rows.Count - at).Last(i => ArePeers(at, i)) : at + frame.End ?? long.MaxValue);
            return [.. rows.Where((_, i) => i >= first && i <= last)];
        }

        switch (call)
        {
            case WindowCall.Number x:
                return Datum.FromInt64(x.Which switch
                {
                    WindowNumber.RowNumber => at + 1,
                    WindowNumber.Rank => Enumerable.Range(0, rows.Count).First(i => ArePeers(at, i)) + 1,
                    _ => Enumerable.Range(1, at).Count(i => !ArePeers(i - 1, i)) + 1,
                });
            case WindowCall.Neighbour x:
                return at + x.Offset >= 0 && at + x.Offset < rows.Count ? rows[(int)(at + x.Offset)][x.Column] : x.Default is { } other ? rows[at][other] : Datum.Null;
            case WindowCall.Edge x:
                return (x.IsFirst ? Frame(x.Frame)[0] : Frame(x.Frame)[^1])[x.Column];
            case WindowCall.Aggregate x:
                return Aggregate(new AggregateExpr(x.Func, [ScalarExprs.Column(x.Column)], false, x.Output, [], []), [.. Frame(x.Frame).Select(row => (row, 1L))]);
            default:
                throw new UnreachableException(call.ToString());
        }
    }

    /// <summary>Rows in this order; ties by the whole row, nulls last.</summary>
    private static List<(Datum[] Row, long Diff)> Ordered(IEnumerable<(Datum[] Row, long Diff)> group, ValueArray<ColumnOrder> order)
    {
        var rows = group.ToList();
        rows.Sort((a, b) =>
        {
            foreach (var o in order)
            {
                if (Scalars.Compare(a.Row[o.Column], b.Row[o.Column], o.Descending, o.NullsLast) is not 0 and var c)
                    return c;
            }

            for (var i = 0; i < a.Row.Length; i++)
            {
                if (Scalars.Compare(a.Row[i], b.Row[i], false, true) is not 0 and var c)
                    return c;
            }

            return 0;
        });
        return rows;
    }

    public static Multiset FlatMap(Multiset input, TableFunc func, ValueArray<MirScalarExpr> args)
    {
        if (func != TableFunc.GenerateSeriesInt32)
            throw new UnreachableException(func.ToString());
        var result = new Multiset();
        foreach (var (row, diff) in input.Rows)
        {
            var bounds = args.Select(a => Scalars.Eval(a, row));
            if (bounds[0].IsNull || bounds[1].IsNull)
                continue;
            for (var i = bounds[0].AsInt64; i <= bounds[1].AsInt64; i++)
                result.Add([.. row, Datum.FromInt64(i)], diff);
        }

        return result;
    }

    public static Multiset Select(Multiset input, Func<Datum[], IEnumerable<Datum[]>> f, int sign = 1)
    {
        var result = new Multiset();
        foreach (var (row, diff) in input.Rows)
        {
            foreach (var output in f(row))
                result.Add(output, diff * sign);
        }

        return result;
    }

    public static Multiset Union(IEnumerable<Multiset> inputs)
    {
        var result = new Multiset();
        foreach (var (row, diff) in inputs.SelectMany(i => i.Rows))
            result.Add(row, diff);
        return result;
    }

    public static Multiset Threshold(Multiset input)
    {
        var result = new Multiset();
        foreach (var (row, diff) in input.Rows.Where(r => r.Diff > 0))
            result.Add(row, diff);
        return result;
    }

    private static Datum Aggregate(AggregateExpr aggregate, List<(Datum[] Row, long Diff)> rows)
    {
        var values = rows.Select(r => (Value: Scalars.Eval(aggregate.Args[0], r.Row), r.Diff)).Where(v => !v.Value.IsNull).ToList();
        if (aggregate.Distinct)
            values = [.. values.GroupBy(v => v.Value.AsInt64).Select(g => (g.First().Value, 1L))];
        if (aggregate.Func == AggregateFunc.Count)
            return Datum.FromInt64(values.Sum(v => v.Diff));
        if (values.Count == 0)
            return Datum.Null;
        return aggregate.Func switch
        {
            AggregateFunc.SumInt32 => Datum.FromInt64(values.Sum(v => v.Value.AsInt64 * v.Diff)),
            AggregateFunc.Min => Datum.FromInt64(values.Min(v => v.Value.AsInt64)),
            AggregateFunc.Max => Datum.FromInt64(values.Max(v => v.Value.AsInt64)),
            AggregateFunc.Any => Datum.FromBool(values.Any(v => v.Value.AsBool)),
            AggregateFunc.All => Datum.FromBool(values.All(v => v.Value.AsBool)),
            _ => throw new UnreachableException(aggregate.Func.ToString()),
        };
    }
}
