// Subqueries as values. ANY and ALL become an aggregate over the comparison, which lowering recognises where only true counts.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    private HirScalarExpr PlanSubqueryExpr(ExprContext context, Ast.Expr expr)
    {
        if (!context.AllowSubqueries)
            throw SqlException.Plan($"{context.Clause} does not allow subqueries", expr.Position());
        switch (expr)
        {
            case Ast.Expr.Exists x:
                return new HirScalarExpr.Exists(PlanSubquery(context, x.Query).ToRelation());
            case Ast.Expr.Subquery x:
                return new HirScalarExpr.Select(OneColumn(PlanSubquery(context, x.Query), x.Position()));
            case Ast.Expr.InSubquery x:
                {
                    var any = PlanAnyAll(context, x.Input, "=", isAny: true, x.Query, x.Position());
                    return x.Negated ? Typing.Not(any) : any;
                }

            case Ast.Expr.QuantifiedSubquery x:
                return PlanAnyAll(context, x.Left, x.Op.Name, x.Quantifier == Ast.Quantifier.Any, x.Query, x.Position());
            case Ast.Expr.ArraySubquery x:
                return Collect(context, x.Query, AggregateFunc.ArrayAgg, x.Position());
            case Ast.Expr.ListSubquery x:
                return Collect(context, x.Query, AggregateFunc.ListAgg, x.Position());
            case Ast.Expr.MapSubquery x:
                return Collect(context, x.Query, AggregateFunc.MapAgg, x.Position());
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>A query inside an expression: one level further in.</summary>
    private PlannedQuery PlanSubquery(ExprContext context, Ast.Query query)
    {
        var macro = _macro;
        _macro = context.Macro;
        try
        {
            // Aggregates of the outer query are columns beyond its own; a subquery cannot name them.
            var planned = PlanQuery(query, context.Scope);
            if (planned.Scope.Count > 0)
                _subqueryNames[query] = planned.Scope[0].Column;
            return planned;
        }
        finally
        {
            _macro = macro;
        }
    }

    private static HirRelationExpr OneColumn(PlannedQuery query, int? position)
    {
        var relation = query.ToRelation();
        return relation.Arity == 1
            ? relation
            : throw SqlException.Plan($"Expected subselect to return 1 column, got {relation.Arity} columns", position);
    }

    private HirScalarExpr PlanAnyAll(ExprContext context, Ast.Expr left, string op, bool isAny, Ast.Query query, int? position)
    {
        var relation = PlanSubquery(context, query).ToRelation();

        // The comparison stands inside the subquery's aggregate: the left side is one level further out there.
        var inner = context with { Scope = new Scope(relation.Type.Columns.Select(c => new ScopeItem(null, "", c) { IsUnqualified = false, IsQualified = false }).ToList(), context.Scope), Aggregates = null, TableFunctions = null };
        Coercible leftExpr = PlanExpr(context, left) switch
        {
            Coercible.Typed x => x.Expr.Shift(1),
            Coercible.Row x when x.Fields.Count > 1 || relation.Arity > 1 => ShiftRow(x),
            var x => x,
        };
        Coercible right;
        if (relation.Arity == 1)
        {
            right = new HirScalarExpr.Column(0, 0, relation.Type.Columns[0]);
            if (leftExpr is Coercible.Row { Fields.Count: not 1 } wide && relation.Type.Columns[0].Type.Kind != ScalarKind.Record)
                throw WrongArity(1, wide.Fields.Count, position);
        }
        else
        {
            var arity = leftExpr switch
            {
                Coercible.Row x => x.Fields.Count,
                Coercible.Typed { Expr.Type.Type: { Kind: ScalarKind.Record } type } => type.Fields.Count,
                _ => 1,
            };
            if (arity != relation.Arity)
                throw WrongArity(relation.Arity, arity, position);
            right = new Coercible.Row(relation.Type.Columns.Select((c, i) => (Coercible)new HirScalarExpr.Column(0, i, c)).ToValueArray());
        }

        var comparison = PlanOperator(inner, op, [leftExpr, right], position);
        var func = isAny ? AggregateFunc.Any : AggregateFunc.All;
        var aggregate = new HirAggregate(func, [comparison], false, new ColumnType(SqlType.Bool, comparison.Type.IsNullable), [], []);
        return new HirScalarExpr.Select(new HirRelationExpr.Reduce(relation, [], [aggregate]));
    }

    private static SqlException WrongArity(int given, int wanted, int? position) =>
        SqlException.Plan($"subquery1 has {given} columns available but {wanted} columns specified", position);

    private static Coercible.Row ShiftRow(Coercible.Row row) => new(row.Fields.Select(f => f switch
    {
        Coercible.Typed x => x.Expr.Shift(1),
        Coercible.Row x => ShiftRow(x),
        _ => f,
    }));

    /// <summary>ARRAY(q), LIST(q), MAP(q): the query's rows in its order, the empty container if there is none.</summary>
    private HirScalarExpr Collect(ExprContext context, Ast.Query query, AggregateFunc func, int? position)
    {
        var planned = PlanSubquery(context, query);
        var wanted = func == AggregateFunc.MapAgg ? 2 : 1;
        if (planned.Project.Count != wanted)
            throw SqlException.Plan($"Expected subselect to return {wanted} column{(wanted == 1 ? "" : "s")}, got {planned.Project.Count} columns", position);
        var relation = planned.ToOrderedRelation();
        var columns = relation.Type.Columns;
        var args = planned.Project.Select(HirScalarExpr (i) => new HirScalarExpr.Column(0, i, columns[i]));
        var element = args[^1].Type.Type;
        if (func == AggregateFunc.MapAgg && args[0].Type.Type.Kind != ScalarKind.String)
            throw SqlException.Plan($"cannot build map from subquery because first column is not of type text", position);
        if (func == AggregateFunc.ArrayAgg && element.Kind is ScalarKind.List or ScalarKind.Map or ScalarKind.Char)
            throw SqlException.Unsupported($"{element.ToSql()}[]", position);
        var type = func switch
        {
            AggregateFunc.ArrayAgg => element.Kind == ScalarKind.Array ? element : SqlType.ArrayOf(element),
            AggregateFunc.ListAgg => SqlType.ListOf(element),
            _ => SqlType.MapOf(element),
        };
        var keys = planned.OrderBy.Select((o, i) => o with { Column = i });
        var orderKeys = planned.OrderBy.Select(HirScalarExpr (o) => new HirScalarExpr.Column(0, o.Column, columns[o.Column]));
        var aggregate = new HirAggregate(func, args, false, type.Nullable(), keys.ToValueArray(), orderKeys);
        var value = new HirScalarExpr.Select(new HirRelationExpr.Reduce(relation, [], [aggregate]));
        var empty = func switch
        {
            AggregateFunc.ArrayAgg => ScalarFunctions.ArrayCreate,
            AggregateFunc.ListAgg => ScalarFunctions.ListCreate,
            _ => ScalarFunctions.MapCreate,
        };
        return Typing.Call(ScalarFunctions.Coalesce, type, value, Typing.Call(empty, type));
    }
}
