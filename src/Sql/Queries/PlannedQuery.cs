using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>A query whose order and limit are not yet part of the relation: what they become depends on where it stands.</summary>
/// <param name="Expr">May have columns beyond those the query gives: what it is ordered by.</param>
/// <param name="Scope">The names of the columns given, in the order of <paramref name="Project"/>.</param>
/// <param name="OrderBy">Over <paramref name="Expr"/>'s columns.</param>
/// <param name="Limit">int8; null: none.</param>
internal sealed record PlannedQuery(
    HirRelationExpr Expr, IReadOnlyList<ScopeItem> Scope, ValueArray<ColumnOrder> OrderBy, HirScalarExpr? Limit, ulong Offset, ValueArray<int> Project)
{
    public ulong? LimitGroupSize { get; init; }

    private bool IsCut => Limit is not null || Offset > 0;

    /// <summary>As a relation of the given columns; the order matters only for what LIMIT cuts.</summary>
    public HirRelationExpr ToRelation() => Projected(ToOrderedRelation(), Project);

    /// <summary>The same, columns of the order included and nothing projected.</summary>
    public HirRelationExpr ToOrderedRelation() =>
        IsCut ? new HirRelationExpr.TopK(Expr, [], OrderBy, Limit, Offset, LimitGroupSize) : Expr;

    public static HirRelationExpr Projected(HirRelationExpr expr, ValueArray<int> project) =>
        project == ValueArray.Range(expr.Arity) ? expr : new HirRelationExpr.Project(expr, project);
}
