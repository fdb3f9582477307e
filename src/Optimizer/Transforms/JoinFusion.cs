using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>(a ⋈ b) ⋈ c = a ⋈ b ⋈ c</c>, whatever maps, filters and projects lie between; units (one row, no columns) go; a join of one input is
/// that input, filtered.
/// </summary>
public sealed class JoinFusion : LocalRewrite
{
    public override string Name => "join_fusion";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join join)
            return node;
        if (!join.Inputs.Any(i => i.IsUnit() || Mfps.Extract(i).Input is MirRelationExpr.Join))
            return Small(join);

        return JoinLifting.Lift(
            join,
            (_, inner) => inner is MirRelationExpr.Join || inner.IsUnit(),
            inner => inner is MirRelationExpr.Join nested ? (nested.Inputs, nested.Equivalences) : ([], []),
            Small);
    }

    private static MirRelationExpr Small(MirRelationExpr.Join join) => join.Inputs.Count switch
    {
        0 => new MirRelationExpr.Constant([new ConstantRow([], 1)], RelationType.Empty with { Keys = [[]] }),
        1 => Filter(join),
        _ => join,
    };

    private static MirRelationExpr Filter(MirRelationExpr.Join join)
    {
        var predicates = join.Equivalences.SelectMany(members => members.Count == 1
            ? [ScalarExprs.IsNotNull(members[0])]
            : members.Skip(1).Select(m => ScalarExprs.Eq(members[0], m)).ToArray()).ToValueArray();
        return predicates.IsEmpty ? join.Inputs[0] : new MirRelationExpr.Filter(join.Inputs[0], predicates);
    }
}
