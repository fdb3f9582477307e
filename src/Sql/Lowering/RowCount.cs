using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>How many rows a query can have, as far as its form says.</summary>
internal static class RowCount
{
    public static bool IsExactlyOne(HirRelationExpr e) => e switch
    {
        HirRelationExpr.Constant x => x.Rows.Count == 1,
        HirRelationExpr.Reduce x => x.GroupKey.IsEmpty,
        HirRelationExpr.Project x => IsExactlyOne(x.Input),
        HirRelationExpr.Map x => IsExactlyOne(x.Input),
        HirRelationExpr.Distinct x => IsExactlyOne(x.Input),
        HirRelationExpr.Let x => IsExactlyOne(x.Body),
        HirRelationExpr.LetRec x => IsExactlyOne(x.Body),
        HirRelationExpr.Join x => IsExactlyOne(x.Left) && IsExactlyOne(x.Right) && x.On.Equals(HirScalarExpr.True),
        _ => false,
    };

    public static bool IsAtMostOne(HirRelationExpr e) => IsExactlyOne(e) || e switch
    {
        HirRelationExpr.Constant x => x.Rows.Count <= 1,
        HirRelationExpr.Project x => IsAtMostOne(x.Input),
        HirRelationExpr.Map x => IsAtMostOne(x.Input),
        HirRelationExpr.Filter x => IsAtMostOne(x.Input),
        HirRelationExpr.Distinct x => IsAtMostOne(x.Input),
        HirRelationExpr.Let x => IsAtMostOne(x.Body),
        HirRelationExpr.LetRec x => IsAtMostOne(x.Body),
        HirRelationExpr.Join x => x.Kind == JoinKind.Inner && IsAtMostOne(x.Left) && IsAtMostOne(x.Right),
        HirRelationExpr.TopK x => x.GroupKey.IsEmpty && x.Limit is HirScalarExpr.Literal { Value: { IsNull: false, AsInt64: <= 1 } },
        _ => false,
    };
}
