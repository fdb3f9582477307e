using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>A rewrite of plans into plans with the same rows. The law it applies is its doc comment.</summary>
public interface ITransform
{
    /// <summary>Stable, lower case with underscores: names the transform in traces and tests.</summary>
    string Name { get; }

    MirRelationExpr Apply(MirRelationExpr plan, TransformContext context);
}

/// <summary>What transforms may look at besides the plan.</summary>
/// <param name="Indexes">Arrangements that exist.</param>
/// <param name="ConstantRowsMax">Relations of more rows are not computed at planning.</param>
public sealed record TransformContext(IIndexOracle Indexes, int ConstantRowsMax = 10_000)
{
    public static readonly TransformContext Default = new(IndexList.None);
}

/// <summary>MIR → MIR: the list of transforms, in order.</summary>
public static class Optimizer
{
    /// <summary>A plan with the same rows that is cheaper to maintain, its joins planned over the indexes that exist.</summary>
    public static MirRelationExpr Optimize(MirRelationExpr plan, IIndexOracle indexes) => plan;
}
