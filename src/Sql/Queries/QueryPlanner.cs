// Queries: WITH, bodies, ORDER BY, LIMIT. SELECT and FROM have files of their own.
using System.Collections.Immutable;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Plans the queries and expressions of one statement.</summary>
internal sealed partial class QueryPlanner(StatementContext statement)
{
    private readonly StatementContext _statement = statement;

    /// <summary>Where columns of the relation being selected from were first named, for errors about grouping.</summary>
    private Dictionary<int, int> _columnPositions = [];

    /// <summary>The first column's name of each subquery planned.</summary>
    private readonly Dictionary<Ast.Query, string> _subqueryNames = new(ReferenceEqualityComparer.Instance);

    /// <summary>The FROM being planned: its join sides are looked into together.</summary>
    private object _fromGroup = new();

    private ImmutableDictionary<string, CteBinding> _ctes = ImmutableDictionary<string, CteBinding>.Empty;

    /// <summary>The macro whose subquery is being planned.</summary>
    private MacroFrame? _macro;

    private sealed record CteBinding(int LocalId, IReadOnlyList<ScopeItem> Items);

    public PlannedQuery PlanQuery(Ast.Query query, Scope outer)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        outer = outer.Sealed();
        var ctes = _ctes;
        var positions = _columnPositions;
        _columnPositions = [];
        try
        {
            List<(int Id, string Name, HirRelationExpr Value)> bindings = [];
            if (query.With is Ast.WithClause.MutuallyRecursive recursive)
            {
                var definitions = PlanRecursion(recursive, outer);
                var inside = PlanBody(query, outer);
                return inside with { Expr = definitions with { Body = inside.Expr } };
            }

            if (query.With is Ast.WithClause.Simple with)
            {
                HashSet<string> seen = [];
                foreach (var cte in with.Ctes)
                {
                    if (!seen.Add(cte.Name.Value))
                        throw SqlException.Plan($"WITH query name \"{cte.Name.Value}\" specified more than once", cte.Position());
                    var value = PlanQuery(cte.Query, outer);
                    var items = Rename(value.Scope, cte.Columns, new PartialName(null, null, cte.Name.Value), cte.Name.Value, cte.Position());
                    var id = _statement.NextLocalId();
                    bindings.Add((id, cte.Name.Value, value.ToRelation()));
                    _ctes = _ctes.SetItem(cte.Name.Value, new CteBinding(id, items));
                }
            }

            var planned = PlanBody(query, outer);
            foreach (var (id, name, value) in bindings.AsEnumerable().Reverse())
                planned = planned with { Expr = new HirRelationExpr.Let(id, name, value, planned.Expr) };
            return planned;
        }
        finally
        {
            _ctes = ctes;
            _columnPositions = positions;
        }
    }

    private PlannedQuery PlanBody(Ast.Query query, Scope outer)
    {
        var limit = query.Limit is null ? null : PlanLimit(query.Limit);
        var offset = query.Offset is null ? 0 : PlanOffset(query.Offset);
        PlannedQuery planned;
        switch (query.Body)
        {
            case Ast.SetExpr.Select select:
                planned = PlanSelect(select, query.OrderBy, outer);
                break;
            case Ast.SetExpr.Nested nested when query.OrderBy.Count == 0 && limit is null && offset == 0:
                return PlanQuery(nested.Query, outer);
            default:
                var (relation, items) = PlanSetExpr(query.Body, outer);
                planned = PlanOrderOver(relation, items, query.OrderBy, outer);
                break;
        }

        return planned with { Limit = limit, Offset = offset };
    }

    /// <summary>Orders the rows of a set operation or VALUES: by output columns or expressions over them.</summary>
    private PlannedQuery PlanOrderOver(HirRelationExpr relation, IReadOnlyList<ScopeItem> items, IReadOnlyList<Ast.OrderByExpr> orderBy, Scope outer)
    {
        var context = NewContext("ORDER BY clause", new Scope(items, outer));
        List<HirScalarExpr> extra = [];
        List<ColumnOrder> orders = [];
        foreach (var order in orderBy)
        {
            if (Ordinal(order.Expr, items.Count, "ORDER BY") is { } ordinal)
            {
                orders.Add(OrderOf(order, ordinal));
                continue;
            }

            var expr = PlanScalar(context, order.Expr);
            if (expr is HirScalarExpr.Column { Level: 0 } column)
            {
                orders.Add(OrderOf(order, column.Index));
                continue;
            }

            orders.Add(OrderOf(order, relation.Arity + extra.Count));
            extra.Add(expr);
        }

        var expr2 = extra.Count == 0 ? relation : new HirRelationExpr.Map(relation, extra.ToValueArray());
        return new PlannedQuery(expr2, items, orders.ToValueArray(), null, 0, ValueArray.Range(relation.Arity));
    }

    /// <summary>The column that a bare integer means, from 0; null if the expression is none.</summary>
    private static int? Ordinal(Ast.Expr expr, int count, string clause)
    {
        if (expr is not Ast.Expr.NumberLiteral number)
            return null;
        if (!int.TryParse(number.Text, out var n))
            throw SqlException.Plan($"non-integer constant in {clause}: {number.Text}", expr.Position());
        return n >= 1 && n <= count
            ? n - 1
            : throw SqlException.Plan($"column reference {n} in {clause} clause is out of range (1 - {count})", expr.Position());
    }

    private ExprContext NewContext(string clause, Scope scope) => new(clause, scope) { Macro = _macro };

    private HirScalarExpr? PlanLimit(Ast.Limit limit)
    {
        if (limit.WithTies)
            throw SqlException.Unsupported("FETCH ... WITH TIES", limit.Position());
        var value = PlanRowCount("LIMIT", limit.Quantity);
        return value is HirScalarExpr.Literal { Value.IsNull: true } ? null : value;
    }

    private ulong PlanOffset(Ast.Expr offset) =>
        PlanRowCount("OFFSET", offset) is HirScalarExpr.Literal { Value: { IsNull: false } value } ? (ulong)value.AsInt64 : 0;

    /// <summary>A constant, not negative; a parameter while its value is not known.</summary>
    private HirScalarExpr PlanRowCount(string clause, Ast.Expr expr)
    {
        var context = NewContext(clause, Scope.Empty) with { AllowSubqueries = false };
        HirScalarExpr planned;
        try
        {
            planned = Coercion.Coerce(_statement, clause, CastContext.Assignment, PlanExpr(context, expr), SqlType.Int64, expr.Position());
        }
        catch (SqlException e) when (e.Message.StartsWith("column \"", StringComparison.Ordinal))
        {
            throw SqlException.Plan($"argument of {clause} must not contain variables", expr.Position());
        }

        if (_statement.Values is null && HasParameter(planned))
            return planned;
        var value = Constants.Evaluate(planned, clause, expr.Position());
        if (!value.IsNull && value.AsInt64 < 0)
            throw SqlException.Plan($"{clause} must not be negative", expr.Position());
        return new HirScalarExpr.Literal(value, SqlType.Int64.Nullable(value.IsNull));
    }

    private static bool HasParameter(HirScalarExpr expr) => expr is HirScalarExpr.Parameter || expr.Children.Any(HasParameter);

    // ---- Bodies ------------------------------------------------------------------------------------------------------

    private (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanSetExpr(Ast.SetExpr body, Scope outer)
    {
        switch (body)
        {
            case Ast.SetExpr.Select x:
                {
                    var planned = PlanSelect(x, [], outer);
                    return (planned.ToRelation(), planned.Scope);
                }

            case Ast.SetExpr.Nested x:
                {
                    var planned = PlanQuery(x.Query, outer);
                    return (planned.ToRelation(), planned.Scope);
                }

            case Ast.SetExpr.Values x:
                return PlanValues(x, outer, null);
            case Ast.SetExpr.Table x:
                {
                    var (relation, items) = PlanTableName(x.Name);
                    return (relation, items);
                }

            case Ast.SetExpr.SetOperation x:
                return PlanSetOperation(x, outer);
            case Ast.SetExpr.Show x:
                {
                    if (_statement.Lifetime is QueryLifetime.View or QueryLifetime.MaterializedView)
                        throw SqlException.Plan("SHOW commands are not allowed in views", body.Position());
                    var planned = PlanQuery(ShowRewriter.Rewrite(_statement.Catalog, x.Statement), Scope.Empty);
                    return (planned.ToRelation(), planned.Scope);
                }

            default:
                throw new System.Diagnostics.UnreachableException(body.GetType().Name);
        }
    }

    /// <param name="targets">The types the columns must have, for INSERT; null: they find their own.</param>
    public (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanValues(Ast.SetExpr.Values values, Scope outer, IReadOnlyList<SqlType?>? targets)
    {
        var arity = values.Rows[0].Count;
        var context = NewContext("VALUES", new Scope([], outer));
        var columns = Enumerable.Range(0, arity).Select(_ => new List<Coercible>()).ToList();
        foreach (var row in values.Rows)
        {
            if (row.Count != arity)
                throw SqlException.Plan($"VALUES expression has varying number of columns: {row.Count} vs {arity}", values.Position());
            for (var i = 0; i < arity; i++)
                columns[i].Add(PlanExpr(context, row[i]));
        }

        var cast = columns.Select((c, i) => targets is not null && i < targets.Count && targets[i] is { } target
            ? c.Select((e, r) => Coercion.TryCoerce(_statement, CastContext.Assignment, e, target) ?? throw SqlException.Plan(
                $"column {i + 1} is of type {target.ToSql()} but expression is of type {Coercion.TypeName(_statement, e)}", values.Rows[r][i].Position())).ToArray()
            : Coercion.Unify(_statement, "VALUES", c, position: values.Position())).ToList();
        var relation = RowsOf(cast, values.Rows.Count);
        var items = Enumerable.Range(0, arity).Select(i => new ScopeItem(null, $"column{i + 1}", relation.Type.Columns[i])).ToList();
        return (relation, items);
    }

    /// <summary>Rows of expressions, given by column: a constant as far as they are literals.</summary>
    private static HirRelationExpr RowsOf(List<HirScalarExpr[]> columns, int count)
    {
        var types = columns.Select(c => c.Select(e => e.Type).Aggregate((a, b) => new ColumnType(Merge(a.Type, b.Type), a.IsNullable || b.IsNullable))).ToValueArray();
        if (columns.TrueForAll(c => c.All(e => e is HirScalarExpr.Literal)))
        {
            var rows = Enumerable.Range(0, count).Select(r => columns.Select(c => (HirScalarExpr.Literal)c[r]).ToValueArray()).ToValueArray();
            return new HirRelationExpr.Constant(rows, types);
        }

        var each = Enumerable.Range(0, count)
            .Select(HirRelationExpr (r) => new HirRelationExpr.Map(HirRelationExpr.Constant.Unit, columns.Select(c => c[r]).ToValueArray())).ToList();
        return each.Count == 1 ? each[0] : new HirRelationExpr.Union(each[0], each.Skip(1).ToValueArray());

        static SqlType Merge(SqlType a, SqlType b) => a == b || a.Kind is ScalarKind.Record ? a : a with { Modifier = null };
    }

    private (HirRelationExpr Relation, IReadOnlyList<ScopeItem> Items) PlanSetOperation(Ast.SetExpr.SetOperation x, Scope outer)
    {
        // A chain of one operator leans left and may be long.
        var (left, items) = PlanSetExpr(x.Left, outer);
        var (right, _) = PlanSetExpr(x.Right, outer);
        var name = x.Op.ToString().ToUpperInvariant();
        if (left.Arity != right.Arity)
            throw SqlException.Plan($"each {name} query must have the same number of columns: {left.Arity} vs {right.Arity}", x.Position());
        (left, right) = UnifyColumns(left, right, name, x.Position());
        HirRelationExpr result;
        switch (x.Op)
        {
            case Ast.SetOperator.Union:
                result = left is HirRelationExpr.Union union && x.All ? union with { Inputs = union.Inputs.Add(right) } : new HirRelationExpr.Union(left, [right]);
                if (!x.All)
                    result = new HirRelationExpr.Distinct(result);
                break;
            case Ast.SetOperator.Except:
                if (!x.All)
                    (left, right) = (new HirRelationExpr.Distinct(left), new HirRelationExpr.Distinct(right));
                result = Minus(left, right);
                break;
            default:
                if (!x.All)
                    (left, right) = (new HirRelationExpr.Distinct(left), new HirRelationExpr.Distinct(right));
                var id = _statement.NextLocalId();
                var get = new HirRelationExpr.Get(new Id.Local(id), left.Type.Columns);
                result = new HirRelationExpr.Let(
                    id, "intersect", left, new HirRelationExpr.Union(get, [new HirRelationExpr.Negate(Minus(get, right))]));
                break;
        }

        var types = result.Type.Columns;
        return (result, items.Select((item, i) => new ScopeItem(null, item.Column, types[i])).ToList());

        static HirRelationExpr Minus(HirRelationExpr a, HirRelationExpr b) =>
            new HirRelationExpr.Threshold(new HirRelationExpr.Union(a, [new HirRelationExpr.Negate(b)]));
    }

    private (HirRelationExpr Left, HirRelationExpr Right) UnifyColumns(HirRelationExpr left, HirRelationExpr right, string name, int? position)
    {
        var l = new HirScalarExpr[left.Arity];
        var r = new HirScalarExpr[left.Arity];
        for (var i = 0; i < l.Length; i++)
        {
            Coercible a = Loosen(left, i);
            Coercible b = Loosen(right, i);
            var target = Coercion.BestTarget(_statement, [a, b]);
            var castLeft = Coercion.TryCoerce(_statement, CastContext.Implicit, a, target);
            var castRight = Coercion.TryCoerce(_statement, CastContext.Implicit, b, target);
            if (castLeft is null || castRight is null)
                throw SqlException.Plan($"{name} types {left.Type.Columns[i].Type.ToSql()} and {right.Type.Columns[i].Type.ToSql()} cannot be matched", position);
            (l[i], r[i]) = (castLeft, castRight);
        }

        return (Recast(left, l), Recast(right, r));
    }

    /// <summary>A column of a query; an untyped NULL written there may still take the other side's type.</summary>
    private static Coercible Loosen(HirRelationExpr relation, int column)
    {
        if (ConstantColumn(relation, column) is HirScalarExpr.Literal { Value.IsNull: true, LiteralType.Type: { Kind: ScalarKind.String } })
            return new Coercible.NullLiteral();
        return new HirScalarExpr.Column(0, column, relation.Type.Columns[column]);
    }

    private static HirScalarExpr? ConstantColumn(HirRelationExpr relation, int column) => relation switch
    {
        HirRelationExpr.Project x => ConstantColumn(x.Input, x.Outputs[column]),
        HirRelationExpr.Map x when column >= x.Input.Arity => x.Scalars[column - x.Input.Arity],
        _ => null,
    };

    private static HirRelationExpr Recast(HirRelationExpr relation, HirScalarExpr[] columns)
    {
        if (columns.Index().All(c => c.Item is HirScalarExpr.Column { Level: 0 } column && column.Index == c.Index))
            return relation;
        var map = new HirRelationExpr.Map(relation, columns.ToValueArray());
        return new HirRelationExpr.Project(map, Enumerable.Range(relation.Arity, columns.Length).ToValueArray());
    }

    /// <summary>Scope items with new names for the first columns and one table name.</summary>
    private static List<ScopeItem> Rename(IReadOnlyList<ScopeItem> items, IReadOnlyList<Ast.Ident> names, PartialName? table, string what, int? position)
    {
        if (names.Count > items.Count)
            throw SqlException.Plan($"{what} has {items.Count} columns available but {names.Count} columns specified", position);
        return items.Select((item, i) => new ScopeItem(table, i < names.Count ? names[i].Value : item.Column, item.Type)
        {
            IsScalarFunction = item.IsScalarFunction,
            IsHidden = item.IsHidden,
        }).ToList();
    }
}
