using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>distinct(distinct(a)) = distinct(a)</c> over the outer keys; group key columns that are literals, or equal to another, need not be
/// grouped by; duplicates and negations of nothing else change.
/// </summary>
public sealed class ReduceFusion : LocalRewrite
{
    public override string Name => "reduce_fusion";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Reduce reduce)
            return node;

        // distinct over a distinct: only which keys occur matters.
        if (reduce is { Aggregates.IsEmpty: true } && Mfps.Extract(reduce.Input) is ({ Predicates.IsEmpty: true } mfp, MirRelationExpr.Reduce { Aggregates.IsEmpty: true } inner))
        {
            var input = mfp.PermuteInput(inner.GroupKey.Count, c => c);
            if (Inlining.Outputs(input) is { } outputs)
            {
                var keys = reduce.GroupKey.Select(k => k.MapColumns(c => outputs[c]).MapColumns(c => inner.GroupKey[c]));
                return new MirRelationExpr.Reduce(inner.Input, keys, []);
            }
        }

        return DropKeys(reduce);
    }

    /// <summary>Group keys that other group keys decide are put back by a map.</summary>
    private static MirRelationExpr DropKeys(MirRelationExpr.Reduce reduce)
    {
        var keys = reduce.GroupKey;
        var kept = new List<MirScalarExpr>();
        foreach (var key in keys)
        {
            if (key is not MirScalarExpr.Literal && !kept.Contains(key))
                kept.Add(key);
        }

        if (kept.Count == keys.Count)
            return reduce;
        var literals = keys.Where(k => k is MirScalarExpr.Literal).Distinct().ToList();
        var places = keys.Select(k => k is MirScalarExpr.Literal ? kept.Count + reduce.Aggregates.Count + literals.IndexOf(k) : kept.IndexOf(k));
        MirRelationExpr result = reduce with { GroupKey = kept.ToValueArray() };
        if (literals.Count > 0)
            result = new MirRelationExpr.Map(result, literals.ToValueArray());
        return new MirRelationExpr.Project(result, [.. places, .. Enumerable.Range(kept.Count, reduce.Aggregates.Count)]);
    }
}
