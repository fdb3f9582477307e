using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>The scalar expressions of one relational node.</summary>
public static class MirScalars
{
    /// <summary>The node with <paramref name="f"/> applied to each of its scalar expressions; inputs stay.</summary>
    public static MirRelationExpr MapScalars(MirRelationExpr expr, Func<MirScalarExpr, MirScalarExpr> f) => expr switch
    {
        MirRelationExpr.Map x => x with { Scalars = x.Scalars.Select(f) },
        MirRelationExpr.FlatMap x => x with { Args = x.Args.Select(f) },
        MirRelationExpr.Filter x => x with { Predicates = x.Predicates.Select(f) },
        MirRelationExpr.Join x => x with { Equivalences = x.Equivalences.Select(c => c.Select(f)) },
        MirRelationExpr.Reduce x => x with
        {
            GroupKey = x.GroupKey.Select(f),
            Aggregates = x.Aggregates.Select(a => a with { Args = a.Args.Select(f), OrderKeys = a.OrderKeys.Select(f) }),
        },
        MirRelationExpr.TopK { Limit: { } limit } x => x with { Limit = f(limit) },
        MirRelationExpr.ArrangeBy x => x with { Keys = x.Keys.Select(k => k.Select(f)) },
        _ => expr,
    };

    public static IEnumerable<MirScalarExpr> Scalars(MirRelationExpr expr) => expr switch
    {
        MirRelationExpr.Map x => x.Scalars,
        MirRelationExpr.FlatMap x => x.Args,
        MirRelationExpr.Filter x => x.Predicates,
        MirRelationExpr.Join x => x.Equivalences.SelectMany(c => c),
        MirRelationExpr.Reduce x => [.. x.GroupKey, .. x.Aggregates.SelectMany(a => a.Args.Concat(a.OrderKeys))],
        MirRelationExpr.TopK { Limit: { } limit } => [limit],
        MirRelationExpr.ArrangeBy x => x.Keys.SelectMany(k => k),
        _ => [],
    };
}
