using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary><c>threshold(a) = a</c> when no multiplicity of a can be negative.</summary>
public sealed class ThresholdElision : LocalRewrite
{
    public override string Name => "threshold_elision";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context) =>
        node is MirRelationExpr.Threshold x && IsNonNegative(x.Input) ? x.Input : node;

    /// <summary>Collections of the catalog have no negative multiplicities; only Negate and constants make them.</summary>
    internal static bool IsNonNegative(MirRelationExpr expr) => expr switch
    {
        MirRelationExpr.Negate => false,
        MirRelationExpr.Constant x => x.Rows.All(r => r.Diff > 0),
        MirRelationExpr.Get { Id: Id.Local } => false,
        MirRelationExpr.Get or MirRelationExpr.Threshold or MirRelationExpr.Reduce => true,
        MirRelationExpr.FlatMap { Func: TableFunc.RepeatRow } => false,
        MirRelationExpr.Union { Inputs: [MirRelationExpr.Negate { Input: var part }] } x when IsSubset(part, x.Base) => true,
        _ => expr.Children.All(IsNonNegative),
    };

    /// <summary>Whether <paramref name="part"/> is a filter of <paramref name="whole"/>.</summary>
    private static bool IsSubset(MirRelationExpr part, MirRelationExpr whole) =>
        IsNonNegative(whole) && (part == whole || (part is MirRelationExpr.Filter f && IsSubset(f.Input, whole)));
}
