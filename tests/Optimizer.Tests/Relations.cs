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
