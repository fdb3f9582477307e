using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// Adjacent maps, filters and projects are one, in canonical order: each filter as low as it can be, then maps, then one project;
/// no map that nothing reads, none twice.
/// </summary>
public sealed class MfpFusion : ITransform
{
    public string Name => "mfp_fusion";

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context)
    {
        if (plan is not (MirRelationExpr.Map or MirRelationExpr.Filter or MirRelationExpr.Project))
            return plan.Rebuild(input => Apply(input, context));
        var (mfp, input) = Mfps.Extract(plan);
        var result = mfp.Optimize().Apply(input.Rebuild(i => Apply(i, context)));
        return result == plan ? plan : result;
    }
}
