// FROM: tables, subqueries, table functions, joins. The right side of a join is planned inside its left side's scope, so that LATERAL
// needs nothing more.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    private (HirRelationExpr Relation, Scope Scope) PlanFrom(IReadOnlyList<Ast.TableWithJoins> from, Scope outer)
    {
        HirRelationExpr relation = HirRelationExpr.Constant.Unit;
        var scope = new Scope([], outer);
        for (var i = 0; i < from.Count; i++)
        {
            if (i == 0)
            {
                (relation, scope) = PlanTableWithJoins(from[i], outer);
                continue;
            }

            var (right, rightScope) = PlanTableWithJoins(from[i], scope.AsLateralSide(_fromGroup));
            CheckTableNames(scope, rightScope, from[i].Position());
            relation = new HirRelationExpr.Join(relation, right, HirScalarExpr.True, JoinKind.Inner);
            scope = new Scope([.. scope.Items, .. rightScope.Items], outer);
        }

        return (relation, scope);
    }

    private static void CheckTableNames(Scope left, Scope right, int? position)
    {
        // An alias clashes with any table of that name; tables of different schemas do not clash.
        var names = left.Items.Where(i => i.Table is not null).Select(i => i.Table!.Value).Distinct().ToList();
        foreach (var table in right.Items.Select(i => i.Table).OfType<PartialName>().Distinct())
        {
            if (names.Exists(n => n.Item == table.Item && (n.Schema is null || table.Schema is null || n == table)))
                throw SqlException.Plan($"table name \"{table.Item}\" specified more than once", position);
        }
    }

    private (HirRelationExpr Relation, Scope Scope) PlanTableWithJoins(Ast.TableWithJoins table, Scope outer)
    {
        var (relation, items) = PlanFactor(table.Relation, outer);
        var scope = new Scope(items, outer);
        foreach (var join in table.Joins)
            (relation, scope) = PlanJoin(relation, scope, join, outer);
        return (relation, scope);
    }

    private (HirRelationExpr Relation, Scope Scope) PlanJoin(HirRelationExpr left, Scope leftScope, Ast.Join join, Scope outer)
    {
        var kind = join.Kind switch
        {
            Ast.JoinKind.Left => JoinKind.LeftOuter,
            Ast.JoinKind.Right => JoinKind.RightOuter,
            Ast.JoinKind.Full => JoinKind.FullOuter,
            _ => JoinKind.Inner,
        };
        var forbidden = kind is JoinKind.RightOuter or JoinKind.FullOuter
            ? "the combining JOIN type must be INNER or LEFT for a LATERAL reference"
            : null;
        var (right, rightItems) = PlanFactor(join.Relation, leftScope.AsLateralSide(_fromGroup, forbidden));
        var rightScope = new Scope(rightItems, outer);
        CheckTableNames(leftScope, rightScope, join.Position());
        switch (join.Constraint)
        {
            case null:
                return Joined(left, leftScope, right, rightScope, HirScalarExpr.True, kind, outer);
            case Ast.JoinConstraint.On on:
                {
                    var both = new Scope([.. leftScope.Items, .. rightScope.Items], outer);
                    var condition = PlanPredicate(NewContext("JOIN clause", both) with { Clause = "ON clause" }, on.Condition);
                    return Joined(left, leftScope, right, rightScope, condition, kind, outer);
                }

            case Ast.JoinConstraint.Using @using:
                return PlanUsing(left, leftScope, right, rightScope, @using.Columns.Select(c => c.Value).ToList(), @using.Alias?.Value, kind, outer, join.Position());
            case Ast.JoinConstraint.Natural:
                {
                    var names = leftScope.Items.Where(i => i.IsUnqualified).Select(i => i.Column)
                        .Where(c => rightItems.Any(i => i.IsUnqualified && i.Column == c)).Distinct().ToList();
                    return PlanUsing(left, leftScope, right, rightScope, names, null, kind, outer, join.Position());
                }

            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static (HirRelationExpr Relation, Scope Scope) Joined(
        HirRelationExpr left, Scope leftScope, HirRelationExpr right, Scope rightScope, HirScalarExpr on, JoinKind kind, Scope outer)
    {
        var relation = new HirRelationExpr.Join(left, right, on, kind);
        var columns = relation.Type.Columns;
        var items = leftScope.Items.Concat(rightScope.Items).Select((item, i) => item with { Type = columns[i] }).ToList();
        return (relation, new Scope(items, outer));
    }

    private (HirRelationExpr Relation, Scope Scope) PlanUsing(
        HirRelationExpr left, Scope leftScope, HirRelationExpr right, Scope rightScope, List<string> names, string? alias, JoinKind kind, Scope outer, int? position)
    {
        List<HirScalarExpr> conditions = [];
        List<(int Left, int Right)> pairs = [];
        var both = NewContext("USING clause", new Scope([.. leftScope.Items, .. rightScope.Items], outer));
        foreach (var name in names)
        {
            var l = Find(leftScope.Items, name, "left", position);
            var r = Find(rightScope.Items, name, "right", position);
            pairs.Add((l, r));
            conditions.Add(PlanOperator(
                both, "=",
                [
                    new HirScalarExpr.Column(0, l, leftScope.Items[l].Type),
                    new HirScalarExpr.Column(0, left.Arity + r, rightScope.Items[r].Type),
                ],
                position));
        }

        var (relation, scope) = Joined(left, leftScope, right, rightScope, Typing.And(conditions), kind, outer);
        if (pairs.Count == 0)
            return (relation, scope);

        // The merged columns come first; each side's own are reached by qualified names only.
        List<HirScalarExpr> merged = [];
        List<ScopeItem> mergedItems = [];
        var items = scope.Items.ToList();
        for (var i = 0; i < pairs.Count; i++)
        {
            var (l, r) = (pairs[i].Left, left.Arity + pairs[i].Right);
            var unified = Coercion.Unify(_statement, "NATURAL/USING", [new HirScalarExpr.Column(0, l, items[l].Type), new HirScalarExpr.Column(0, r, items[r].Type)], position: position);
            var value = kind switch
            {
                JoinKind.Inner or JoinKind.LeftOuter => unified[0],
                JoinKind.RightOuter => unified[1],
                _ => Typing.Call(ScalarFunctions.Coalesce, unified[0].Type.Type, unified),
            };
            merged.Add(value);
            mergedItems.Add(new ScopeItem(alias is null ? null : new PartialName(null, null, alias), names[i], value.Type));
            items[l] = items[l] with { IsUnqualified = false };
            items[r] = items[r] with { IsUnqualified = false };
        }

        var arity = items.Count;
        relation = new HirRelationExpr.Project(
            new HirRelationExpr.Map(relation, merged.ToValueArray()), [.. Enumerable.Range(arity, merged.Count), .. Enumerable.Range(0, arity)]);
        return (relation, new Scope([.. mergedItems, .. items], outer));
    }

    private static int Find(IReadOnlyList<ScopeItem> items, string name, string side, int? position)
    {
        var found = -1;
        for (var i = 0; i < items.Count; i++)
        {
            if (items[i].Column != name || !items[i].IsUnqualified)
                continue;
            if (found >= 0)
                throw SqlException.Plan($"common column name \"{name}\" appears more than once in {side} table", position);
            found = i;
        }

        return found >= 0 ? found : throw SqlException.Plan($"column \"{name}\" specified in USING clause does not exist in {side} table", position);
    }

    private (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanFactor(Ast.TableFactor factor, Scope outer)
    {
        switch (factor)
        {
            case Ast.TableFactor.Table x:
                {
                    var (relation, items) = PlanTableName(x.Name);
                    return (relation, x.Alias is null ? items : Alias(items, x.Alias));
                }

            case Ast.TableFactor.Derived x:
                {
                    var planned = PlanQuery(x.Query, x.Lateral ? outer : outer.WithoutLateralSides());
                    var items = planned.Scope.Select(i => new ScopeItem(null, i.Column, i.Type)).ToList();
                    return (planned.ToRelation(), x.Alias is null ? items : Alias(items, x.Alias));
                }

            case Ast.TableFactor.NestedJoin x:
                {
                    var (relation, scope) = PlanTableWithJoins(x.Join, outer);
                    if (x.Alias is null)
                        return (relation, scope.Items);
                    var visible = scope.Items.Index().Where(i => i.Item.IsUnqualified).ToList();
                    return (
                        PlannedQuery.Projected(relation, visible.Select(v => v.Index).ToValueArray()),
                        Alias(visible.Select(v => v.Item).ToList(), x.Alias));
                }

            case Ast.TableFactor.Function x:
                return PlanTableFunctions([x.Call], x.WithOrdinality, x.Alias, outer, isRowsFrom: false);
            case Ast.TableFactor.RowsFrom x:
                return PlanTableFunctions(x.Calls, x.WithOrdinality, x.Alias, outer, isRowsFrom: true);
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static List<ScopeItem> Alias(IReadOnlyList<ScopeItem> items, Ast.TableAlias alias) =>
        Rename(items, alias.Columns, new PartialName(null, null, alias.Name.Value), $"table \"{alias.Name.Value}\"", alias.Position());

    /// <summary>A relation by name: a CTE if the bare name is one, else an item of the catalog.</summary>
    private (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanTableName(Ast.ObjectName name)
    {
        if (name.Parts.Count == 1 && name.Id is null && _ctes.TryGetValue(name.Item.Value, out var cte))
            return (new HirRelationExpr.Get(new Id.Local(cte.LocalId), cte.Items.Select(i => i.Type).ToValueArray()), cte.Items);
        var item = _statement.ResolveItem(name);
        if (!item.IsRelation || item.Desc is null)
            throw SqlException.Plan($"catalog item '{item.Name}' is not a relation: it is a{(item.Kind == CatalogItemKind.Index ? "n" : "")} {KindNames.Of(item.Kind)}", name.Position());
        var table = new PartialName(item.Name.Database, item.Name.Schema, item.Name.Item);
        var columns = item.Desc.Type.Columns;
        var items = item.Desc.Names.Select((n, i) => new ScopeItem(table, n, columns[i])).ToList();
        return (new HirRelationExpr.Get(new Id.Global(item.Id), columns), items);
    }

    // ---- Table functions ---------------------------------------------------------------------------------------------

    private sealed record PlannedTableFunction(HirRelationExpr Relation, IReadOnlyList<string> Columns, string Name, bool IsScalar);

    private (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanTableFunctions(
        IReadOnlyList<Ast.TableFunction> calls, bool withOrdinality, Ast.TableAlias? alias, Scope outer, bool isRowsFrom)
    {
        // The functions have no columns of their own in sight: what they see is around them.
        var context = NewContext("FROM clause", new Scope([], outer));
        var planned = calls.Select(c => PlanTableFunction(context, c.Name, c.Args, c.Position(), withOrdinality || calls.Count > 1)).ToList();
        var (relation, items) = Zip(planned, withOrdinality, isRowsFrom);
        var name = alias?.Name.Value ?? (planned.Count == 1 ? planned[0].Name : "");
        var table = name.Length == 0 ? (PartialName?)null : new PartialName(null, null, name);
        var columns = alias?.Columns ?? [];
        if (columns.Count > items.Count)
            throw SqlException.Plan($"table \"{name}\" has {items.Count} columns available but {columns.Count} columns specified", alias!.Position());
        var scope = items.Select((item, i) => item with
        {
            Table = table,
            Column = i < columns.Count ? columns[i].Value : item.IsScalarFunction && alias is not null ? alias.Name.Value : item.Column,
        }).ToList();
        return (relation, scope);
    }

    /// <summary>One function gives its own columns; several are put side by side by row number, the shorter ones padded with null.</summary>
    private static (HirRelationExpr Relation, List<ScopeItem> Items) Zip(List<PlannedTableFunction> functions, bool withOrdinality, bool isRowsFrom)
    {
        var items = functions.SelectMany(f =>
        {
            var types = f.Relation.Type.Columns;
            return f.Columns.Select((c, i) => new ScopeItem(null, c, types[i] with { IsNullable = types[i].IsNullable || functions.Count > 1 })
            {
                IsScalarFunction = f.IsScalar && functions.Count == 1,
            });
        }).ToList();
        var ordinality = new ScopeItem(null, "ordinality", SqlType.Int64.Nullable(false)) { IsHidden = true };
        _ = isRowsFrom;
        if (functions.Count == 1)
            return (functions[0].Relation, withOrdinality ? [.. items, ordinality] : items);

        // Each relation has its row number last. Join them all by it, keeping the merged number at the end.
        var first = functions[0];
        HirRelationExpr result = first.Relation;
        List<int> kept = [.. Enumerable.Range(0, first.Columns.Count)];
        foreach (var next in functions.Skip(1))
        {
            var left = result.Arity;
            var number = SqlType.Int64.Nullable();
            var on = Typing.Bool(
                ScalarFunctions.Eq,
                new HirScalarExpr.Column(0, left - 1, SqlType.Int64.Nullable(false)),
                new HirScalarExpr.Column(0, left + next.Columns.Count, SqlType.Int64.Nullable(false)));
            var join = new HirRelationExpr.Join(result, next.Relation.Shift(1), on, JoinKind.FullOuter);
            var merged = Typing.Call(
                ScalarFunctions.Coalesce, SqlType.Int64, new HirScalarExpr.Column(0, left - 1, number), new HirScalarExpr.Column(0, left + next.Columns.Count, number));
            var map = new HirRelationExpr.Map(join, [merged]);
            result = new HirRelationExpr.Project(
                map, [.. Enumerable.Range(0, left - 1), .. Enumerable.Range(left, next.Columns.Count), map.Arity - 1]);
        }

        if (!withOrdinality)
            result = new HirRelationExpr.Project(result, ValueArray.Range(result.Arity - 1));
        return (result, withOrdinality ? [.. items, ordinality] : items);
    }

    private PlannedTableFunction PlanTableFunction(ExprContext context, Ast.ObjectName name, Ast.FunctionArgs arguments, int? position, bool numbered)
    {
        var bare = name.Item.Value;
        if (arguments is not Ast.FunctionArgs.List list)
            throw SqlException.Plan($"{bare}(*) is not a table function", position);
        var args = list.Args.Select(a => PlanExpr(context, a)).ToList();
        var overloads = Overloads(name);
        var selected = FunctionSelection.Select(_statement, overloads, args, isOperator: false, bare, position);
        switch (selected.Signature.Target)
        {
            case FunctionTarget.Table table:
                return CallTable(table, selected, bare, numbered, position);
            case FunctionTarget.Macro { Sql: "unnest($1) WITH ORDINALITY" }:
                {
                    var unnest = FunctionSelection.Select(
                        _statement, FunctionTable.Functions("unnest"), selected.Args.Select(Coercible (a) => a).ToList(), isOperator: false, "unnest", position);
                    var inner = CallTable((FunctionTarget.Table)unnest.Signature.Target, unnest, bare, numbered: true, position);
                    var number = Typing.Call(
                        Casts.Find(SqlType.Int64, SqlType.Int32)!.Func!, SqlType.Int32, new HirScalarExpr.Column(0, 1, SqlType.Int64.Nullable(false)));
                    var relation = new HirRelationExpr.Project(
                        new HirRelationExpr.Map(inner.Relation, [number]), numbered ? [0, 2, 1] : [0, 2]);
                    return new PlannedTableFunction(relation, ["x", "n"], bare, false);
                }

            case FunctionTarget.Aggregate:
                throw SqlException.Plan($"aggregate functions are not allowed in FROM clause (function pg_catalog.{bare})", position);
            default:
                // A scalar function in FROM: one row of its value.
                var value = CallSelected(context, selected, position, distinct: false, filter: null);
                var one = new HirRelationExpr.Map(HirRelationExpr.Constant.Unit, numbered ? [value, Typing.Literal(1L)] : [value]);
                return new PlannedTableFunction(one, [bare], bare, true);
        }
    }

    private static PlannedTableFunction CallTable(FunctionTarget.Table table, SelectedFunction selected, string name, bool numbered, int? position)
    {
        var (columns, types) = TableFunctionShape.Of(table, selected, name, position);
        var relation = new HirRelationExpr.CallTable(table.Func, selected.Args.ToValueArray(), types);
        if (numbered)
        {
            relation = new HirRelationExpr.CallTable(TableFunc.WithOrdinality, selected.Args.ToValueArray(), types.Add(SqlType.Int64.Nullable(false)))
            {
                Inner = table.Func,
            };
        }

        return new PlannedTableFunction(relation, columns, name, columns.Count == 1);
    }
}

/// <summary>Kinds of items as messages name them.</summary>
internal static class KindNames
{
    public static string Of(CatalogItemKind kind) => kind switch
    {
        CatalogItemKind.MaterializedView => "materialized view",
        CatalogItemKind.Func => "function",
        _ => kind.ToString().ToLowerInvariant(),
    };
}
