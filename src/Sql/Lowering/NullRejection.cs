using Materialize.Expr;

namespace Materialize.Sql;

/// <summary>Whether a query surely has no rows where one of its free columns is null, because a filter on it is not true then.</summary>
internal static class NullRejection
{
    /// <param name="level">Levels outwards from the query, from 1.</param>
    public static bool Rejects(HirRelationExpr e, int level, int index) => e switch
    {
        HirRelationExpr.Project x => Rejects(x.Input, level, index),
        HirRelationExpr.Map x => Rejects(x.Input, level, index),
        HirRelationExpr.Distinct x => Rejects(x.Input, level, index),
        HirRelationExpr.TopK x => Rejects(x.Input, level, index),
        HirRelationExpr.Let x => Rejects(x.Body, level, index),
        HirRelationExpr.Reduce x => !x.GroupKey.IsEmpty && Rejects(x.Input, level, index),
        HirRelationExpr.Filter x =>
            Rejects(x.Input, level, index) || x.Predicates.SelectMany(HirLowering.Conjuncts).Any(p => IsStrict(p, level, index)),
        HirRelationExpr.Join { Kind: JoinKind.Inner } x =>
            Rejects(x.Left, level, index) || Rejects(x.Right, level + 1, index)
            || HirLowering.Conjuncts(x.On).Any(p => IsStrict(p, level, index)),
        HirRelationExpr.Join { Kind: JoinKind.LeftOuter } x => Rejects(x.Left, level, index),
        HirRelationExpr.Union x => Rejects(x.Base, level, index) && x.Inputs.All(i => Rejects(i, level, index)),
        _ => false,
    };

    /// <summary>Whether the expression is null where the column is.</summary>
    private static bool IsStrict(HirScalarExpr e, int level, int index) => e switch
    {
        HirScalarExpr.Column x => x.Level == level && x.Index == index,
        HirScalarExpr.Call x => x.Func.PropagatesNulls && x.Args.Any(a => IsStrict(a, level, index)),
        _ => false,
    };
}
