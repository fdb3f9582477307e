using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Predicates that hold on every row of a relation, as far as its top few operators show.</summary>
internal static class KnownPredicates
{
    private const int DepthMax = 8;

    public static HashSet<MirScalarExpr> Of(MirRelationExpr expr, int depth = 0)
    {
        if (depth > DepthMax)
            return [];
        switch (expr)
        {
            case MirRelationExpr.Filter x:
                var known = Of(x.Input, depth + 1);
                known.UnionWith(x.Predicates.SelectMany(p => p.Conjuncts()).Where(p => !p.ContainsMzNow()));
                return known;
            case MirRelationExpr.Project x:
                var place = new Dictionary<int, int>();
                for (var i = 0; i < x.Outputs.Count; i++)
                    place.TryAdd(x.Outputs[i], i);
                return [.. Of(x.Input, depth + 1).Where(p => p.SupportAll(place.ContainsKey)).Select(p => p.Permute(c => place[c]))];
            case MirRelationExpr.Map x:
                known = Of(x.Input, depth + 1);
                var arity = x.Input.Arity();
                for (var i = 0; i < x.Scalars.Count; i++)
                {
                    if (x.Scalars[i] is MirScalarExpr.Literal { Value.IsNull: false } literal)
                        known.Add(ScalarExprs.Eq(ScalarExprs.Column(arity + i), literal));
                }

                return known;
            case MirRelationExpr.Join x:
                known = [];
                var shape = new JoinShape(x);
                for (var i = 0; i < x.Inputs.Count; i++)
                    known.UnionWith(Of(x.Inputs[i], depth + 1).Select(p => p.Shift(shape.Offsets[i])));
                return known;
            case MirRelationExpr.Reduce x:
                var keys = x.GroupKey;
                return [.. Of(x.Input, depth + 1)
                    .Where(p => p.SupportAll(c => keys.Contains(ScalarExprs.Column(c))))
                    .Select(p => p.Permute(c => keys.TakeWhile(k => k != ScalarExprs.Column(c)).Count()))];
            case MirRelationExpr.TopK or MirRelationExpr.Window or MirRelationExpr.ArrangeBy or MirRelationExpr.Threshold or MirRelationExpr.Negate or MirRelationExpr.FlatMap:
                return Of(expr.Children.First(), depth + 1);
            default:
                return [];
        }
    }
}
