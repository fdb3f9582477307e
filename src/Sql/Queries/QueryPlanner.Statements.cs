// What statements other than SELECT ask of the query planner.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    /// <summary>An expression without columns or subqueries.</summary>
    public HirScalarExpr PlanConstant(Ast.Expr expr, string clause)
    {
        try
        {
            return PlanScalar(new ExprContext(clause, Scope.Empty) { AllowSubqueries = false }, expr);
        }
        catch (SqlException e) when (e.Message.StartsWith("column \"", StringComparison.Ordinal))
        {
            throw SqlException.Plan($"argument of {clause} must not contain variables", expr.Position());
        }
    }

    /// <summary>The same, as a type.</summary>
    public HirScalarExpr PlanConstantAs(Ast.Expr expr, string clause, SqlType type) =>
        PlanAs(new ExprContext(clause, Scope.Empty) { AllowSubqueries = false }, expr, type);

    /// <summary>Sort orders over the columns of a relation, by names only.</summary>
    public ValueArray<ColumnOrder> PlanColumnOrders(IReadOnlyList<Ast.OrderByExpr> orderBy, IReadOnlyList<ScopeItem> items, string clause)
    {
        var context = new ExprContext(clause, new Scope(items, null));
        return orderBy.Select(o =>
        {
            if (Ordinal(o.Expr, items.Count, clause) is { } ordinal)
                return OrderOf(o, ordinal);
            return PlanScalar(context, o.Expr) is HirScalarExpr.Column column
                ? OrderOf(o, column.Index)
                : throw SqlException.Unsupported($"expressions in {clause}", o.Expr.Position());
        }).ToValueArray();
    }

    /// <summary>The value of a column that an INSERT leaves out.</summary>
    /// <param name="sql">Its DEFAULT; null: NULL.</param>
    public HirScalarExpr PlanDefault(string? sql, SqlType type)
    {
        if (sql is null)
            return HirScalarExpr.Null(type);
        var context = new ExprContext("DEFAULT", Scope.Empty) { AllowSubqueries = false };
        return Coercion.Coerce(_statement, "DEFAULT", CastContext.Assignment, PlanExpr(context, Parser.SqlParser.ParseExpr(sql)), type);
    }

    /// <summary>Checks the DEFAULT of a column.</summary>
    public void CheckDefault(Ast.Expr expr, SqlType type, string column)
    {
        var context = new ExprContext("DEFAULT expression", Scope.Empty) { AllowSubqueries = false };
        var planned = PlanExpr(context, expr);
        if (Coercion.TryCoerce(_statement, CastContext.Assignment, planned, type) is null)
        {
            throw SqlException.Plan(
                $"column \"{column}\" is of type {type.ToSql()} but default expression is of type {Coercion.TypeName(_statement, planned)}", expr.Position());
        }
    }

    public (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanInsertValues(
        Ast.SetExpr.Values values, List<(SqlType Type, string Name, string? Default)> targets)
    {
        var context = new ExprContext("VALUES", Scope.Empty);
        var columns = targets.Select(_ => new HirScalarExpr[values.Rows.Count]).ToList();
        for (var r = 0; r < values.Rows.Count; r++)
        {
            var row = values.Rows[r];
            if (row.Count != targets.Count)
                throw SqlException.Plan($"VALUES expression has varying number of columns: {row.Count} vs {targets.Count}", values.Position());
            for (var i = 0; i < row.Count; i++)
            {
                var (type, name, fallback) = targets[i];
                if (row[i] is Ast.Expr.Identifier { Parts: [{ Value: "default" }] })
                {
                    columns[i][r] = PlanDefault(fallback, type);
                    continue;
                }

                var planned = PlanExpr(context, row[i]);
                columns[i][r] = Coercion.TryCoerce(_statement, CastContext.Assignment, planned, type)
                    ?? throw SqlException.Plan(
                        $"column \"{name}\" is of type {type.ToSql()} but expression is of type {Coercion.TypeName(_statement, planned)}", row[i].Position());
            }
        }

        var relation = RowsOf(columns, values.Rows.Count);
        return (relation, targets.Select((t, i) => new ScopeItem(null, t.Name, relation.Type.Columns[i])).ToList());
    }

    public (List<HirScalarExpr> Exprs, RelationDesc Desc) PlanReturning(IReadOnlyList<Ast.SelectItem> items, Scope scope)
    {
        var context = new ExprContext("RETURNING clause", scope) { AllowSubqueries = false };
        var outputs = ExpandItems(items, scope);
        var exprs = outputs.Select(o => o.Column ?? PlanScalar(context, o.Syntax!)).ToList();
        return (exprs, RelationDesc.Of([.. outputs.Select((o, i) => (o.Name, exprs[i].Type))]));
    }

    public HirScalarExpr PlanAssignment(Ast.Expr value, Scope scope, SqlType type, string column)
    {
        if (value is Ast.Expr.Identifier { Parts: [{ Value: "default" }] })
            throw SqlException.Unsupported("UPDATE … SET column = DEFAULT", value.Position());
        var planned = PlanExpr(new ExprContext("SET clause", scope) { AllowSubqueries = false }, value);
        return Coercion.TryCoerce(_statement, CastContext.Assignment, planned, type)
            ?? throw SqlException.Plan($"SET clause does not support casting from {Coercion.TypeName(_statement, planned)} to {type.ToSql()}", value.Position(), hint: $"Column \"{column}\" needs an explicit cast.");
    }

    /// <summary>The rows of a table that an UPDATE or DELETE changes, each as often as it is there.</summary>
    public PlannedQuery PlanMutation(CatalogItem table, Ast.TableAlias? alias, IReadOnlyList<Ast.TableWithJoins> usingTables, Ast.Expr? where)
    {
        var name = new Ast.ObjectName([.. new[] { table.Name.Database, table.Name.Schema, table.Name.Item }.OfType<string>().Select(p => new Ast.Ident(p))]);
        var (target, items) = PlanTableName(name);
        if (alias is not null)
            items = Alias(items, alias);
        var relation = target;
        if (usingTables.Count > 0)
        {
            // A target row goes once, however many partners it has.
            var scope = new Scope(items, null);
            var (right, rightScope) = PlanFrom(usingTables, scope.AsLateralSide(new object()).WithoutLateralSides());
            CheckTableNames(scope, rightScope, usingTables[0].Position());
            HirScalarExpr condition = HirScalarExpr.True;
            if (where is not null)
            {
                // The condition stands in the subquery: its own tables first, the target one level out.
                condition = PlanPredicate(NewContext("WHERE clause", new Scope(rightScope.Items, scope)), where);
            }

            relation = new HirRelationExpr.Filter(target, [new HirScalarExpr.Exists(new HirRelationExpr.Filter(right, [condition]))]);
        }
        else if (where is not null)
        {
            relation = new HirRelationExpr.Filter(target, [PlanPredicate(NewContext("WHERE clause", new Scope(items, null)), where)]);
        }

        return new PlannedQuery(relation, items, [], null, 0, ValueArray.Range(items.Count));
    }

    /// <summary>Expressions over a relation's columns, for index keys and the like.</summary>
    public HirScalarExpr PlanOver(Ast.Expr expr, IReadOnlyList<ScopeItem> items, string clause) =>
        PlanScalar(new ExprContext(clause, new Scope(items, null)) { AllowSubqueries = false }, expr);
}
