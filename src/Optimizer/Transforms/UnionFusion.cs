using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>(a ∪ b) ∪ c = a ∪ b ∪ c</c>; <c>−(a ∪ b) = −a ∪ −b</c>; <c>−−a = a</c>; a union of one is that one; empty branches go.
/// </summary>
public sealed class UnionFusion : LocalRewrite
{
    public override string Name => "union_fusion";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        switch (node)
        {
            case MirRelationExpr.Negate { Input: MirRelationExpr.Negate inner }:
                return inner.Input;
            case MirRelationExpr.Negate { Input: MirRelationExpr.Union u }:
                return new MirRelationExpr.Union(Negate(u.Base), u.Inputs.Select(Negate));
            case MirRelationExpr.Negate { Input: MirRelationExpr.Constant { Error: null } c }:
                return c with { Rows = c.Rows.Select(r => r with { Diff = -r.Diff }), Type = c.Type with { Keys = [] } };
            case MirRelationExpr.Union union:
                var branches = Flatten(union).Where(b => !b.IsEmpty()).ToList();
                return branches.Count switch
                {
                    0 => EmptyPropagation.Empty(union),
                    1 => branches[0],
                    _ => new MirRelationExpr.Union(branches[0], branches.Skip(1).ToValueArray()),
                };
            default:
                return node;
        }
    }

    private static MirRelationExpr Negate(MirRelationExpr expr) => expr is MirRelationExpr.Negate n ? n.Input : new MirRelationExpr.Negate(expr);

    private static IEnumerable<MirRelationExpr> Flatten(MirRelationExpr expr) =>
        expr is MirRelationExpr.Union u ? Flatten(u.Base).Concat(u.Inputs.SelectMany(Flatten)) : [expr];
}
