using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary><c>a ∪ −a = ∅</c>, for branches of a union that are the same expression, negated on one side.</summary>
public sealed class UnionCancellation : LocalRewrite
{
    public override string Name => "union_cancellation";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Union union)
            return node;
        List<MirRelationExpr> branches = [union.Base, .. union.Inputs];
        for (var i = 0; i < branches.Count; i++)
        {
            var (negative, core) = Sign(branches[i]);
            var other = branches.FindIndex(i + 1, b => Sign(b) is var (n, c) && n != negative && c == core);
            if (other < 0)
                continue;
            branches.RemoveAt(other);
            branches.RemoveAt(i);
            i--;
        }

        return branches.Count == union.Inputs.Count + 1
            ? node
            : branches.Count switch
            {
                0 => EmptyPropagation.Empty(union),
                1 => branches[0],
                _ => new MirRelationExpr.Union(branches[0], branches.Skip(1).ToValueArray()),
            };
    }

    /// <summary>Whether the branch is subtracted, and what it is without the sign; maps, filters and projects commute with negation.</summary>
    private static (bool Negative, MirRelationExpr Core) Sign(MirRelationExpr branch)
    {
        switch (branch)
        {
            case MirRelationExpr.Negate x:
                var (negative, core) = Sign(x.Input);
                return (!negative, core);
            case MirRelationExpr.Map or MirRelationExpr.Filter or MirRelationExpr.Project:
                negative = false;
                core = branch.MapInputs(input =>
                {
                    var (sign, inner) = Sign(input);
                    negative = sign;
                    return inner;
                });
                return (negative, core);
            default:
                return (false, branch);
        }
    }
}
