using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>A column that can be named.</summary>
internal sealed record ScopeItem(PartialName? Table, string Column, ColumnType Type)
{
    /// <summary>Whether the bare column name finds it, and <c>*</c> includes it: not for a side's column merged by USING.</summary>
    public bool IsUnqualified { get; init; } = true;

    /// <summary>Whether qualified names and <c>t.*</c> find it: not for a merged column, which belongs to neither side.</summary>
    public bool IsQualified { get; init; } = true;

    /// <summary>The one column of a function in FROM: the table's name names it too.</summary>
    public bool IsScalarFunction { get; init; }

    /// <summary>An ordinality or system column that a whole-row reference leaves out.</summary>
    public bool IsHidden { get; init; }
}

/// <summary>Where a name was found.</summary>
internal readonly record struct ResolvedColumn(int Level, int Index, ScopeItem Item);

/// <summary>
/// The columns in sight: those of the relation an expression is over, and outwards those around it, one scope for each level of
/// <see cref="HirScalarExpr.Column"/>.
/// </summary>
internal sealed class Scope(IReadOnlyList<ScopeItem> items, Scope? outer)
{
    public static readonly Scope Empty = new([], null);

    public IReadOnlyList<ScopeItem> Items { get; } = items;

    public Scope? Outer { get; } = outer;

    /// <summary>Whether this is the left side of a join, in sight of its right side only if that is lateral.</summary>
    public bool IsLateralSide { get; init; }

    /// <summary>Why columns found here must not be used, or null.</summary>
    public string? Forbidden { get; init; }

    private bool IsOutOfSight { get; init; }

    private object? Group { get; init; }

    /// <summary>Whether this scope or one further out of the same FROM, in sight, has such an item.</summary>
    private bool AlsoOuter(Func<ScopeItem, bool> matches)
    {
        for (var scope = Outer; scope is not null && Group is not null && scope.Group == Group; scope = scope.Outer)
        {
            if (!scope.IsOutOfSight && scope.Items.Any(matches))
                return true;
        }

        return false;
    }

    public Scope WithItems(IReadOnlyList<ScopeItem> items) => new(items, Outer) { IsLateralSide = IsLateralSide, Group = Group };

    /// <summary>As the scope around the right side of a join.</summary>
    /// <param name="group">The FROM it stands in: names are ambiguous among all its sides.</param>
    public Scope AsLateralSide(object group, string? forbidden = null) => new(Items, Outer) { IsLateralSide = true, Forbidden = forbidden, Group = group };

    /// <summary>As a subquery sees it that is not LATERAL: without the joins' left sides, whose levels still count.</summary>
    public Scope WithoutLateralSides() => !IsLateralSide ? this : new Scope(Items, Outer?.WithoutLateralSides()) { IsLateralSide = true, IsOutOfSight = true, Group = Group };

    /// <summary>As a query sees what is around it: what it can see at all, it can see from everywhere inside.</summary>
    public Scope Sealed() => !IsLateralSide && Outer is null
        ? this
        : new Scope(Items, Outer?.Sealed()) { IsOutOfSight = IsOutOfSight, Forbidden = Forbidden, Group = Group };

    /// <summary>The column a bare name means.</summary>
    /// <returns>Null if there is none.</returns>
    public ResolvedColumn? Resolve(string column, int? position)
    {
        var level = 0;
        for (var scope = this; scope is not null; scope = scope.Outer, level++)
        {
            if (scope.IsOutOfSight)
                continue;
            ResolvedColumn? found = null;
            for (var i = 0; i < scope.Items.Count; i++)
            {
                var item = scope.Items[i];
                if (item.Column != column || !item.IsUnqualified)
                    continue;
                if (found is not null)
                    throw SqlException.Plan($"column reference \"{column}\" is ambiguous", position);
                found = new ResolvedColumn(level, i, item);
            }

            if (found is null)
                continue;
            if (scope.AlsoOuter(i => i.Column == column && i.IsUnqualified))
                throw SqlException.Plan($"column reference \"{column}\" is ambiguous", position);
            return scope.Allowed(found.Value, position);
        }

        return null;
    }

    /// <summary>The column of a table.</summary>
    public ResolvedColumn? Resolve(PartialName table, string column, int? position)
    {
        var level = 0;
        for (var scope = this; scope is not null; scope = scope.Outer, level++)
        {
            if (scope.IsOutOfSight)
                continue;
            ResolvedColumn? found = null;
            for (var i = 0; i < scope.Items.Count; i++)
            {
                var item = scope.Items[i];
                if (item.Column != column || !item.IsQualified || !Names(item, table))
                    continue;
                if (found is not null)
                    throw SqlException.Plan($"column reference \"{column}\" is ambiguous", position);
                found = new ResolvedColumn(level, i, item);
            }

            if (found is null)
                continue;
            if (scope.AlsoOuter(i => Names(i, table)))
                throw SqlException.Plan($"table reference \"{table}\" is ambiguous", position);
            return scope.Allowed(found.Value, position);
        }

        return null;
    }

    /// <summary>All columns of the innermost table of that name; null if there is no such table.</summary>
    public List<ResolvedColumn>? ResolveTable(PartialName table, int? position)
    {
        var level = 0;
        for (var scope = this; scope is not null; scope = scope.Outer, level++)
        {
            if (scope.IsOutOfSight)
                continue;
            var found = new List<ResolvedColumn>();
            for (var i = 0; i < scope.Items.Count; i++)
            {
                if (scope.Items[i].IsQualified && Names(scope.Items[i], table))
                    found.Add(scope.Allowed(new ResolvedColumn(level, i, scope.Items[i]), position));
            }

            if (found.Count == 0)
                continue;
            if (scope.AlsoOuter(i => Names(i, table)))
                throw SqlException.Plan($"table reference \"{table}\" is ambiguous", position);
            return found;
        }

        return null;
    }

    /// <summary>Whether some table in sight, or hidden by a missing LATERAL, has that name.</summary>
    public bool HasTable(PartialName table, bool evenHidden)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            if ((evenHidden || !scope.IsOutOfSight) && scope.Items.Any(i => Names(i, table)))
                return true;
        }

        return false;
    }

    public IEnumerable<string> AllColumns
    {
        get
        {
            for (var scope = this; scope is not null; scope = scope.Outer)
            {
                if (scope.IsOutOfSight)
                    continue;
                foreach (var item in scope.Items)
                    yield return item.Column;
            }
        }
    }

    private static bool Names(ScopeItem item, PartialName table) =>
        item.Table is { } name && name.Item == table.Item
        && (table.Schema is null || name.Schema == table.Schema)
        && (table.Database is null || name.Database == table.Database);

    private ResolvedColumn Allowed(ResolvedColumn column, int? position) =>
        Forbidden is null ? column : throw SqlException.Plan(Forbidden, position);
}
