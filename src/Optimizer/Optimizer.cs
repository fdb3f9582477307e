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
/// <param name="InLoop">The plan is part of a recursion: what needs a total order of times cannot be chosen.</param>
public sealed record TransformContext(IIndexOracle Indexes, int ConstantRowsMax = 10_000, bool InLoop = false)
{
    public static readonly TransformContext Default = new(IndexList.None);
}

/// <summary>MIR → MIR: the list of transforms, in order.</summary>
public static class Optimizer
{
    /// <summary>Rounds of the logical transforms; plans settle in two or three.</summary>
    private const int RoundsMax = 12;

    private static readonly ITransform[] Logical =
    [
        new NormalizeLets(),
        new ScalarSimplify(),
        new EmptyPropagation(),
        new UnionFusion(),
        new UnionCancellation(),
        new MfpFusion(),
        new JoinFusion(),
        new PredicatePushdown(),
        new MfpFusion(),
        new ReduceFusion(),
        new ReduceElision(),
        new TopKElision(),
        new ThresholdElision(),
        new SemijoinIdempotence(),
        new RedundantJoin(),
        new ProjectionPushdown(),
        new MfpFusion(),
        new ConstantRelations(),
        new RelationCse(),
    ];

    private static readonly ITransform[] Reads =
    [
        new MfpFusion(),
        new ScalarSimplify(),
        new EmptyPropagation(),
        new MfpFusion(),
        new ConstantRelations(),
    ];

    private static readonly ITransform[] Physical =
    [
        new IndexedJoinInputs(),
        new ScalarSimplify(),
        new MfpFusion(),
        new JoinChoice(),
        new RelationCse(),
    ];

    /// <summary>All transforms, in the order of their first use.</summary>
    public static IReadOnlyList<ITransform> All => [.. Logical.Concat(Physical).DistinctBy(t => t.Name)];

    /// <summary>A plan with the same rows that is cheaper to maintain, its joins planned over the indexes that exist.</summary>
    public static MirRelationExpr Optimize(MirRelationExpr plan, IIndexOracle indexes) =>
        Recursion.Contains(plan)
            ? Recursion.Optimize(plan, (part, inLoop) => OptimizeWhole(part, new TransformContext(indexes, InLoop: inLoop)))
            : OptimizeWhole(plan, new TransformContext(indexes));

    private static MirRelationExpr OptimizeWhole(MirRelationExpr plan, TransformContext context)
    {
        plan = OptimizeLocally(plan, context);
        if (IsRead(plan))
            return plan;
        foreach (var transform in Physical)
            plan = transform.Apply(plan, context);
        return plan;
    }

    /// <summary>The part that does not depend on indexes: what is kept of a view.</summary>
    public static MirRelationExpr OptimizeLocally(MirRelationExpr plan) =>
        Recursion.Contains(plan)
            ? Recursion.Optimize(plan, (part, inLoop) => OptimizeLocally(part, TransformContext.Default with { InLoop = inLoop }))
            : OptimizeLocally(plan, TransformContext.Default);

    private static MirRelationExpr OptimizeLocally(MirRelationExpr plan, TransformContext context)
    {
        // Most queries of an application are lookups: they need but a few of the transforms, once.
        if (IsRead(plan))
            return Reads.Aggregate(plan, (p, transform) => transform.Apply(p, context));
        for (var round = 0; round < RoundsMax; round++)
        {
            var before = plan;
            foreach (var transform in Logical)
                plan = transform.Apply(plan, context);
            if (plan == before)
                break;
        }

        return plan;
    }

    /// <summary>Maps, filters and projects of one collection or constant.</summary>
    private static bool IsRead(MirRelationExpr plan) => plan switch
    {
        MirRelationExpr.Map or MirRelationExpr.Filter or MirRelationExpr.Project => IsRead(plan.Children.First()),
        MirRelationExpr.Get or MirRelationExpr.Constant => true,
        _ => false,
    };
}
