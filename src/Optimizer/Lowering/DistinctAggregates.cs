using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>count(DISTINCT x)</c> per group = count of x over the distinct (group, x). Several kinds of aggregate in one group become a
/// union of reduces, one column filled in each, folded by max: a group has at most one value that is not null in each column.
/// </summary>
internal static class DistinctAggregates
{
    /// <summary>The plan without distinct aggregates; null if there is nothing to do.</summary>
    public static MirRelationExpr? Split(MirRelationExpr.Reduce reduce)
    {
        if (!reduce.Aggregates.Any(a => a.Distinct))
            return null;

        // min, max, any and all do not see duplicates; collecting aggregates deal with them themselves.
        var normal = reduce.Aggregates.Select(a => a with { Distinct = a.Distinct && MustSplit(a.Func) || a.Distinct && IsCollecting(a.Func) });
        if (!normal.Any(a => a.Distinct && MustSplit(a.Func)))
            return normal == reduce.Aggregates ? null : reduce with { Aggregates = normal };

        var parts = Enumerable.Range(0, normal.Count)
            .GroupBy(i => normal[i].Distinct && MustSplit(normal[i].Func) ? normal[i].Args : (ValueArray<MirScalarExpr>?)null)
            .Select(g => (Args: g.Key, Aggregates: g.ToList()))
            .ToList();
        var keys = reduce.GroupKey.Count;
        if (parts.Count == 1)
            return Part(reduce, parts[0].Args, [.. parts[0].Aggregates.Select(i => normal[i])]);

        var type = reduce.TypeOf();
        var branches = parts.Select(part =>
        {
            var one = Part(reduce, part.Args, [.. part.Aggregates.Select(i => normal[i])]);
            var nulls = Enumerable.Range(0, normal.Count).Where(i => !part.Aggregates.Contains(i)).ToList();
            var mapped = new MirRelationExpr.Map(one, nulls.Select(i => MirScalarExpr.Null(normal[i].Output.Type)).ToValueArray());
            var place = Enumerable.Range(0, normal.Count).Select(i => part.Aggregates.Contains(i)
                ? keys + part.Aggregates.IndexOf(i)
                : keys + part.Aggregates.Count + nulls.IndexOf(i));
            return (MirRelationExpr)new MirRelationExpr.Project(mapped, [.. Enumerable.Range(0, keys), .. place]);
        }).ToList();
        var union = new MirRelationExpr.Union(branches[0], branches.Skip(1).ToValueArray());
        return new MirRelationExpr.Reduce(
            union,
            Enumerable.Range(0, keys).Select(ScalarExprs.Column).ToValueArray(),
            Enumerable.Range(0, normal.Count).Select(i => new AggregateExpr(
                AggregateFunc.Max, [ScalarExprs.Column(keys + i)], false, type.Columns[keys + i].Type.Nullable(), [], [])).ToValueArray());
    }

    private static MirRelationExpr Part(MirRelationExpr.Reduce reduce, ValueArray<MirScalarExpr>? args, ValueArray<AggregateExpr> aggregates)
    {
        if (args is not { } distinct)
            return reduce with { Aggregates = aggregates };
        var keys = reduce.GroupKey.Count;
        var input = new MirRelationExpr.Reduce(reduce.Input, [.. reduce.GroupKey, .. distinct], []);
        return new MirRelationExpr.Reduce(
            input,
            Enumerable.Range(0, keys).Select(ScalarExprs.Column).ToValueArray(),
            aggregates.Select(a => a with { Distinct = false, Args = Enumerable.Range(0, distinct.Count).Select(i => ScalarExprs.Column(keys + i)).ToValueArray() }));
    }

    private static bool MustSplit(AggregateFunc func) => LirLowering.KindOf(func) == Protocol.ReduceKind.Accumulable
        && func is not (AggregateFunc.Any or AggregateFunc.All);

    private static bool IsCollecting(AggregateFunc func) => LirLowering.KindOf(func) == Protocol.ReduceKind.Basic;
}
