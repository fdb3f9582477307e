using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// What is computed from nothing is nothing; a filter by what is never true gives nothing; a TopK of no rows gives nothing.
/// </summary>
public sealed class EmptyPropagation : LocalRewrite
{
    public override string Name => "empty_propagation";

    /// <summary>No rows, of the type that <paramref name="like"/> has.</summary>
    public static MirRelationExpr Empty(MirRelationExpr like) => new MirRelationExpr.Constant([], like.TypeOf() with { Keys = [[]] });

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context) => node switch
    {
        MirRelationExpr.Filter x when x.Predicates.Any(p => p.IsLiteralFalse() || p.IsLiteralNull()) => Empty(node),
        MirRelationExpr.TopK { Limit: MirScalarExpr.Literal { Value: { IsNull: false } limit } } when limit.AsInt64 == 0 => Empty(node),
        MirRelationExpr.Join x when x.Inputs.Any(i => i.IsEmpty()) => Empty(node),
        MirRelationExpr.Join x when x.Equivalences.Any(c => c.Any(m => m.IsLiteralNull())) => Empty(node),
        MirRelationExpr.Map or MirRelationExpr.Filter or MirRelationExpr.Project or MirRelationExpr.FlatMap or MirRelationExpr.Reduce
            or MirRelationExpr.TopK or MirRelationExpr.Window or MirRelationExpr.Negate or MirRelationExpr.Threshold or MirRelationExpr.ArrangeBy
            when node.Children.First().IsEmpty() => Empty(node),
        _ => node,
    };
}
