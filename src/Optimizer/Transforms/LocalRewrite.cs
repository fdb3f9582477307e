using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>A transform that looks at one node and what is right below it; applied bottom-up.</summary>
public abstract class LocalRewrite : ITransform
{
    public abstract string Name { get; }

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context) =>
        Keep(plan, Rewrite(plan.Rebuild(input => Apply(input, context)), context));

    /// <summary>The old node when the new one is no different.</summary>
    private static MirRelationExpr Keep(MirRelationExpr before, MirRelationExpr after) => before == after ? before : after;


    /// <summary>The node rewritten, or itself; its inputs are done.</summary>
    protected abstract MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context);
}
