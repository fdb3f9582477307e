// SELECT. The order of work is SQL's own: FROM, WHERE, table functions of the select list, then all expressions of the list, HAVING,
// QUALIFY and ORDER BY over the joined rows; only then is it known what is aggregated, and the expressions are rewritten from columns
// of the rows to columns of the groups.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    /// <summary>An item of the select list after wildcards are expanded: syntax, or a column that a wildcard stands for.</summary>
    private sealed record OutputItem(Ast.Expr? Syntax, HirScalarExpr? Column, string Name, string? Alias);

    private PlannedQuery PlanSelect(Ast.SetExpr.Select select, IReadOnlyList<Ast.OrderByExpr> orderBy, Scope outer)
    {
        var fromGroup = _fromGroup;
        _fromGroup = new object();
        var (relation, scope) = PlanFrom(select.From, outer);
        _fromGroup = fromGroup;
        if (select.Where is not null)
        {
            var predicate = PlanPredicate(NewContext("WHERE clause", scope), select.Where);
            relation = new HirRelationExpr.Filter(relation, [predicate]);
        }

        var outputs = ExpandItems(select.Projection, scope, select.From.Count > 0);
        (relation, scope, var tableFunctions) = PlanSelectTableFunctions(relation, scope, outputs, orderBy, outer);

        var hints = GroupSizeHints.Read(select.Options);
        var collector = new AggregateCollector(relation.Arity);
        var context = NewContext("SELECT clause", scope) with { Aggregates = collector, TableFunctions = tableFunctions, AllowWindows = true };

        // GROUP BY first, for its own columns win over aliases.
        var groupContext = context with { Clause = "GROUP BY clause", Aggregates = null, AllowWindows = false };
        var keys = new List<HirScalarExpr>();
        foreach (var expr in select.GroupBy)
        {
            var key = PlanGroupBy(groupContext, expr, outputs);
            if (key is not null && !keys.Contains(key))
                keys.Add(key);
        }

        var exprs = outputs.Select(o => o.Column ?? PlanScalar(context, o.Syntax!)).ToList();
        var having = select.Having is null ? null : PlanPredicate(context with { Clause = "HAVING clause", AllowWindows = false }, select.Having);
        var qualify = select.Qualify is null ? null : PlanPredicate(context with { Clause = "QUALIFY clause" }, select.Qualify);
        var distinctOn = select.Distinct is Ast.Distinct.On on ? on.Exprs.Select(e => PlanOrderKey(context with { Clause = "DISTINCT ON clause" }, e, outputs, exprs, "DISTINCT ON")).ToList() : [];
        var order = orderBy.Select(o => PlanOrderKey(context with { Clause = "ORDER BY clause" }, o.Expr, outputs, exprs, "ORDER BY")).ToList();

        if (select.GroupBy.Count > 0 || collector.Aggregates.Count > 0 || select.Having is not null)
        {
            var grouping = new Grouping(keys, collector, scope, _columnPositions);
            relation = grouping.Reduce(relation, hints.Aggregate);
            exprs = exprs.Select(grouping.Rewrite).ToList();
            having = having is null ? null : grouping.Rewrite(having);
            qualify = qualify is null ? null : grouping.Rewrite(qualify);
            distinctOn = distinctOn.Select(grouping.Rewrite).ToList();
            order = order.Select(grouping.Rewrite).ToList();
            if (having is not null)
                relation = new HirRelationExpr.Filter(relation, [having]);
        }

        var builder = new ColumnBuilder(relation);
        if (qualify is not null)
        {
            // Window functions are computed first, then filtered on.
            builder.Filter(qualify);
        }

        var project = exprs.Select(builder.Add).ToList();
        var items = outputs.Select((o, i) => new ScopeItem(null, NameOf(o), exprs[i].Type)).ToList();
        if (select.Distinct is Ast.Distinct.EntireRow)
            return Distinct(builder, project, items, orderBy, order);

        var orders = order.Select((e, i) => OrderOf(orderBy[i], builder.Add(e))).ToList();
        var on2 = distinctOn.Select(builder.Add).ToList();
        relation = builder.Build();
        if (select.Distinct is Ast.Distinct.On)
        {
            CheckDistinctOn(on2, orders, select.Distinct.Position());
            relation = new HirRelationExpr.TopK(relation, on2.Distinct().ToValueArray(), orders.ToValueArray(), Typing.Literal(1L), 0, hints.DistinctOn);
        }

        return new PlannedQuery(relation, items, orders.ToValueArray(), null, 0, project.ToValueArray()) { LimitGroupSize = hints.Limit };
    }

    private static PlannedQuery Distinct(
        ColumnBuilder builder, List<int> project, List<ScopeItem> items, IReadOnlyList<Ast.OrderByExpr> orderBy, List<HirScalarExpr> order)
    {
        List<ColumnOrder> orders = [];
        for (var i = 0; i < order.Count; i++)
        {
            var at = project.IndexOf(builder.Find(order[i]));
            if (at < 0)
                throw SqlException.Plan("for SELECT DISTINCT, ORDER BY expressions must appear in select list", orderBy[i].Expr.Position());
            orders.Add(OrderOf(orderBy[i], at));
        }

        var distinct = new HirRelationExpr.Distinct(PlannedQuery.Projected(builder.Build(), project.ToValueArray()));
        return new PlannedQuery(distinct, items, orders.ToValueArray(), null, 0, ValueArray.Range(items.Count));
    }

    private static void CheckDistinctOn(List<int> on, List<ColumnOrder> orders, int? position)
    {
        // The leading ORDER BY expressions must be those of DISTINCT ON, in any order.
        var remaining = on.ToHashSet();
        var listed = on.ToHashSet();
        foreach (var order in orders)
        {
            if (remaining.Count == 0)
                return;
            if (!listed.Contains(order.Column))
                throw SqlException.Plan("SELECT DISTINCT ON expressions must match initial ORDER BY expressions", position);
            remaining.Remove(order.Column);
        }
    }

    /// <summary>The output's name; that of a subquery is its first column's, which is known once it is planned.</summary>
    private string NameOf(OutputItem output) =>
        output.Alias is null && output.Syntax is not null
            ? ColumnNames.Of(output.Syntax, q => _subqueryNames.GetValueOrDefault(q)) ?? "?column?"
            : output.Name;

    // ---- The select list ---------------------------------------------------------------------------------------------

    private List<OutputItem> ExpandItems(IReadOnlyList<Ast.SelectItem> items, Scope scope, bool hasFrom = true)
    {
        List<OutputItem> outputs = [];
        foreach (var item in items)
        {
            switch (item)
            {
                case Ast.SelectItem.Wildcard:
                    if (!hasFrom)
                        throw SqlException.Plan("SELECT * with no tables specified is not valid", item.Position());
                    for (var i = 0; i < scope.Items.Count; i++)
                    {
                        if (scope.Items[i].IsUnqualified)
                            outputs.Add(Column(new ResolvedColumn(0, i, scope.Items[i])));
                    }

                    break;
                case Ast.SelectItem.Expression { Expr: Ast.Expr.QualifiedWildcard wildcard }:
                    var context = NewContext("SELECT clause", scope);
                    var columns = scope.ResolveTable(TableName(wildcard.Parts, wildcard.Parts.Count, wildcard.Position()), wildcard.Position())
                        ?? throw UnknownTable(context, wildcard.Parts, wildcard.Position());
                    outputs.AddRange(columns.Select(Column));
                    break;
                case Ast.SelectItem.Expression { Expr: Ast.Expr.WildcardAccess access }:
                    var record = PlanScalar(NewContext("SELECT clause", scope), access.Input);
                    if (record.Type.Type.Kind != ScalarKind.Record)
                        throw SqlException.Plan($"type {record.Type.Type.ToSql()} is not composite", access.Position());
                    outputs.AddRange(record.Type.Type.Fields.Select((f, i) => new OutputItem(null, Field(record, i), f.Name, null)));
                    break;
                case Ast.SelectItem.Expression x:
                    outputs.Add(new OutputItem(x.Expr, null, x.Alias?.Value ?? ColumnNames.Of(x.Expr) ?? "?column?", x.Alias?.Value));
                    break;
            }
        }

        return outputs;

        static OutputItem Column(ResolvedColumn column) => new(null, ColumnOf(column), column.Item.Column, column.Item.Column);
    }

    private HirScalarExpr? PlanGroupBy(ExprContext context, Ast.Expr expr, List<OutputItem> outputs)
    {
        if (Ordinal(expr, outputs.Count, "GROUP BY") is { } ordinal)
            return outputs[ordinal].Column ?? PlanScalar(context, outputs[ordinal].Syntax!);
        if (expr is Ast.Expr.Identifier { Parts: [var name] } && context.Scope.Resolve(name.Value, null) is not { Level: 0 }
            && Aliased(outputs, name.Value, expr.Position(), "GROUP BY") is { } output)
            return output.Column ?? PlanScalar(context, output.Syntax!);
        return PlanScalar(context, expr);
    }

    private static OutputItem? Aliased(List<OutputItem> outputs, string name, int? position, string clause)
    {
        var found = outputs.Where(o => (o.Alias ?? o.Name) == name).ToList();
        if (found.Count > 1 && found.Any(f => !Equals(f.Syntax, found[0].Syntax) || !Equals(f.Column, found[0].Column)))
            throw SqlException.Plan($"column reference \"{name}\" is ambiguous", position, detail: $"Several columns of the select list have the name that {clause} refers to.");
        return found.FirstOrDefault();
    }

    private HirScalarExpr PlanOrderKey(ExprContext context, Ast.Expr expr, List<OutputItem> outputs, List<HirScalarExpr> exprs, string clause)
    {
        if (Ordinal(expr, outputs.Count, clause) is { } ordinal)
            return exprs[ordinal];
        if (expr is Ast.Expr.Identifier { Parts: [var name] } && Aliased(outputs, name.Value, expr.Position(), clause) is { } output)
            return exprs[outputs.IndexOf(output)];
        return PlanScalar(context, expr);
    }

    // ---- Table functions in the select list ----------------------------------------------------------------------------

    /// <summary>Joins the table functions called in the list, side by side, to each row.</summary>
    private (HirRelationExpr Relation, Scope Scope, Dictionary<Ast.Expr, int>? Calls) PlanSelectTableFunctions(
        HirRelationExpr relation, Scope scope, List<OutputItem> outputs, IReadOnlyList<Ast.OrderByExpr> orderBy, Scope outer)
    {
        List<Ast.Expr.Function> calls = [];
        foreach (var expr in outputs.Select(o => o.Syntax).OfType<Ast.Expr>().Concat(orderBy.Select(o => o.Expr)))
            TableFunctionCalls.Collect(expr, calls);
        if (calls.Count == 0)
            return (relation, scope, null);

        var context = NewContext("SELECT clause", new Scope([], scope.AsLateralSide(new object())));
        var planned = calls.Select(c => PlanTableFunction(context, c.Name, c.Args, c.Position(), calls.Count > 1)).ToList();

        // Several columns are one value: a record.
        for (var i = 0; i < planned.Count; i++)
        {
            if (planned[i].Columns.Count == 1)
                continue;
            var columns = planned[i].Relation.Type.Columns;
            var count = planned[i].Columns.Count;
            var type = new SqlType(ScalarKind.Record) { Fields = planned[i].Columns.Select((c, n) => new RecordField(c, columns[n])).ToValueArray() };
            var record = Typing.Call(ScalarFunctions.RecordCreate, type, [.. Enumerable.Range(0, count).Select(HirScalarExpr (n) => new HirScalarExpr.Column(0, n, columns[n]))]);
            var mapped = new HirRelationExpr.Map(planned[i].Relation, [record]);
            planned[i] = planned[i] with
            {
                Columns = [planned[i].Name],
                Relation = new HirRelationExpr.Project(mapped, calls.Count > 1 ? [count + 1, count] : [count]),
            };
        }

        var (functions, items) = Zip(planned, withOrdinality: false, isRowsFrom: true);
        var joined = new HirRelationExpr.Join(relation, functions, HirScalarExpr.True, JoinKind.Inner);
        Dictionary<Ast.Expr, int> columnsOf = new(ReferenceEqualityComparer.Instance);
        for (var i = 0; i < calls.Count; i++)
            columnsOf[calls[i]] = relation.Arity + i;
        var all = scope.Items.Concat(items.Select(i => i with { IsUnqualified = false, IsQualified = false })).ToList();
        return (joined, new Scope(all, outer), columnsOf);
    }
}

/// <summary>Appends expressions to a relation, each once.</summary>
internal sealed class ColumnBuilder(HirRelationExpr relation)
{
    private readonly List<HirScalarExpr> _scalars = [];
    private HirRelationExpr _relation = relation;

    /// <summary>The column that holds the expression.</summary>
    public int Add(HirScalarExpr expr)
    {
        var at = Find(expr);
        if (at >= 0)
            return at;
        _scalars.Add(expr);
        return _relation.Arity + _scalars.Count - 1;
    }

    /// <summary>The column that holds it already, or −1.</summary>
    public int Find(HirScalarExpr expr)
    {
        if (expr is HirScalarExpr.Column { Level: 0 } column)
            return column.Index;
        var at = _scalars.IndexOf(expr);
        return at < 0 ? -1 : _relation.Arity + at;
    }

    public void Filter(HirScalarExpr predicate) => _relation = new HirRelationExpr.Filter(_relation, [predicate]);

    public HirRelationExpr Build() => _scalars.Count == 0 ? _relation : new HirRelationExpr.Map(_relation, _scalars.ToValueArray());
}

/// <summary>From expressions over rows to expressions over groups.</summary>
internal sealed class Grouping(List<HirScalarExpr> keys, AggregateCollector collector, Scope scope, Dictionary<int, int> positions)
{
    /// <summary>Groups: the keys' columns, then the aggregates'.</summary>
    public HirRelationExpr Reduce(HirRelationExpr relation, ulong? groupSize)
    {
        var builder = new ColumnBuilder(relation);
        var columns = keys.Select(builder.Add).ToValueArray();
        return new HirRelationExpr.Reduce(builder.Build(), columns, collector.Aggregates.ToValueArray(), groupSize);
    }

    public HirScalarExpr Rewrite(HirScalarExpr expr) => Rewrite(expr, 0);

    private HirScalarExpr Rewrite(HirScalarExpr expr, int nesting)
    {
        for (var i = 0; i < keys.Count; i++)
        {
            if (expr.Equals(keys[i].Shift(nesting)))
                return new HirScalarExpr.Column(nesting, i, keys[i].Type);
        }

        if (expr is not HirScalarExpr.Column column)
            return expr.MapChildren(c => Rewrite(c, nesting), r => r.MapScalars(nesting + 1, Rewrite));
        if (column.Level != nesting)
            return column;
        if (column.Index >= collector.Arity)
            return column with { Index = keys.Count + column.Index - collector.Arity };
        var item = scope.Items[column.Index];
        var name = item.Table is { } table ? $"{table.Item}.{item.Column}" : item.Column;
        throw SqlException.Plan(
            $"column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function",
            positions.TryGetValue(column.Index, out var position) ? position : null);
    }
}

/// <summary>OPTIONS ( … ) of a SELECT.</summary>
internal sealed record GroupSizeHints(ulong? Aggregate, ulong? DistinctOn, ulong? Limit)
{
    public static GroupSizeHints Read(IReadOnlyList<Ast.SqlOption> options)
    {
        ulong? Value(string name)
        {
            if (options.FirstOrDefault(o => o.Name == name) is not { } option)
                return null;
            if (option.Value is Ast.OptionValue.Literal { Value: Ast.Expr.NumberLiteral number } && ulong.TryParse(number.Text, out var value))
                return value;
            throw SqlException.Plan($"invalid {name}: must be a positive integer", option.Position());
        }

        var all = Value("EXPECTED GROUP SIZE");
        var hints = new GroupSizeHints(Value("AGGREGATE INPUT GROUP SIZE"), Value("DISTINCT ON INPUT GROUP SIZE"), Value("LIMIT INPUT GROUP SIZE"));
        if (all is not null && (hints.Aggregate ?? hints.DistinctOn ?? hints.Limit) is not null)
            throw SqlException.Plan("EXPECTED GROUP SIZE cannot be provided simultaneously with any of AGGREGATE INPUT GROUP SIZE, DISTINCT ON INPUT GROUP SIZE, or LIMIT INPUT GROUP SIZE");
        return all is null ? hints : new GroupSizeHints(all, all, all);
    }
}
