// INSERT, UPDATE, DELETE, COPY … FROM.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static CatalogItem ResolveTable(StatementContext context, Ast.ObjectName name, string verb)
    {
        var item = context.ResolveItem(name);
        if (item.Kind != CatalogItemKind.Table)
            throw SqlException.Plan($"cannot {verb} non-table '{item.Name.Item}'", name.Position());
        if (item.IsSystem)
            throw SqlException.Plan($"cannot {verb} system table '{item.Name}'", name.Position());
        if (!item.IsWritable)
            throw SqlException.Plan($"cannot {verb} non-writeable table '{item.Name.Item}'", name.Position());
        return item;
    }

    private static (PlannedQuery Query, CatalogItem Table) PlanInsertRows(StatementContext context, Ast.Statement.Insert x)
    {
        var table = ResolveTable(context, x.Table, "insert into");
        return (InsertQuery(context, table, x.Columns, x.Source, x.Position()), table);
    }

    private static StatementPlan PlanInsert(StatementContext context, Ast.Statement.Insert x)
    {
        var (query, table) = PlanInsertRows(context, x);
        var returning = PlanReturning(context, table, x);
        return new StatementPlan.Insert(table.Id, table.Desc!, Finish(context, query), returning);
    }

    private static RelationDesc? DescribeInsert(StatementContext context, Ast.Statement.Insert x)
    {
        var (_, table) = PlanInsertRows(context, x);
        return PlanReturning(context, table, x)?.Desc;
    }

    /// <summary>The rows to insert, with all columns of the table: those named from the source, the others from their defaults.</summary>
    private static PlannedQuery InsertQuery(
        StatementContext context, CatalogItem table, IReadOnlyList<Ast.Ident> columns, Ast.Query? source, int? position)
    {
        var desc = table.Desc!;
        var types = desc.Type.Columns;
        var targets = ColumnPositions(desc, table.Name.Item, columns);
        var planner = new QueryPlanner(context);
        HirRelationExpr relation;
        if (source is null)
        {
            relation = HirRelationExpr.Constant.Unit;
            targets = [];
        }
        else if (source is { With: null, OrderBy.Count: 0, Limit: null, Offset: null, Body: Ast.SetExpr.Values values })
        {
            // Literals take the columns' types at once; DEFAULT is a value here.
            CheckArity(values.Rows[0].Count, targets.Count, columns.Count > 0, position);
            targets = [.. targets.Take(values.Rows[0].Count)];
            (relation, _) = planner.PlanInsertValues(values, targets.Select(t => (types[t].Type, desc.Names[t], table.ColumnDefaults.ElementAtOrDefault(t))).ToList());
        }
        else
        {
            var planned = planner.PlanQuery(source, Scope.Empty);
            relation = planned.ToRelation();
            CheckArity(relation.Arity, targets.Count, columns.Count > 0, position);
        }

        // Only as many leading columns as the source has.
        targets = targets.Take(relation.Arity).ToList();
        List<HirScalarExpr> scalars = [];
        for (var i = 0; i < types.Count; i++)
        {
            var at = targets.IndexOf(i);
            if (at < 0)
            {
                scalars.Add(planner.PlanDefault(table.ColumnDefaults.ElementAtOrDefault(i), types[i].Type));
                continue;
            }

            var column = new HirScalarExpr.Column(0, at, relation.Type.Columns[at]);
            scalars.Add(Coercion.TryCast(context, CastContext.Assignment, column, types[i].Type)
                ?? throw SqlException.Plan(
                    $"column \"{desc.Names[i]}\" is of type {types[i].Type.ToSql()} but expression is of type {column.Type.Type.ToSql()}", position));
        }

        HirRelationExpr rows = scalars.Index().All(s => s.Item is HirScalarExpr.Column column && column.Index == s.Index) && relation.Arity == scalars.Count
            ? relation
            : new HirRelationExpr.Project(new HirRelationExpr.Map(relation, scalars.ToValueArray()), Enumerable.Range(relation.Arity, scalars.Count).ToValueArray());
        var items = desc.Names.Select((n, i) => new ScopeItem(null, n, rows.Type.Columns[i])).ToList();
        return new PlannedQuery(rows, items, [], null, 0, ValueArray.Range(items.Count));
    }

    private static void CheckArity(int given, int wanted, bool named, int? position)
    {
        if (given > wanted)
            throw SqlException.Plan("INSERT has more expressions than target columns", position);

        // Columns at the end may be left out where none are named.
        if (given < wanted && named)
            throw SqlException.Plan("INSERT has more target columns than expressions", position);
    }

    private static List<int> ColumnPositions(RelationDesc desc, string table, IReadOnlyList<Ast.Ident> columns)
    {
        if (columns.Count == 0)
            return [.. Enumerable.Range(0, desc.Arity)];
        List<int> result = [];
        foreach (var column in columns)
        {
            var at = desc.Names.AsSpan().IndexOf(column.Value);
            if (at < 0)
                throw SqlException.Plan($"column \"{column.Value}\" of relation \"{table}\" does not exist", column.Position());
            if (result.Contains(at))
                throw SqlException.Plan($"column \"{column.Value}\" specified more than once", column.Position());
            result.Add(at);
        }

        return result;
    }

    private static ReturningPlan? PlanReturning(StatementContext context, CatalogItem table, Ast.Statement.Insert x)
    {
        if (x.Returning.Count == 0)
            return null;
        var (exprs, desc) = new QueryPlanner(context).PlanReturning(x.Returning, TableScope(table, null));
        return new ReturningPlan(exprs.Select(HirLowering.LowerScalar).ToValueArray(), desc);
    }

    private static Scope TableScope(CatalogItem table, Ast.TableAlias? alias)
    {
        var name = alias is null
            ? new PartialName(table.Name.Database, table.Name.Schema, table.Name.Item)
            : new PartialName(null, null, alias.Name.Value);
        var types = table.Desc!.Type.Columns;
        return new Scope(
            table.Desc.Names.Select((n, i) => new ScopeItem(name, alias is not null && i < alias.Columns.Count ? alias.Columns[i].Value : n, types[i])).ToList(), null);
    }

    private static StatementPlan PlanUpdate(StatementContext context, Ast.Statement.Update x)
    {
        var table = ResolveTable(context, x.Table, "mutate");
        var desc = table.Desc!;
        var planner = new QueryPlanner(context);
        List<(int Column, HirScalarExpr Value)> assignments = [];
        var scope = TableScope(table, x.Alias);
        foreach (var assignment in x.Assignments)
        {
            var at = desc.Names.AsSpan().IndexOf(assignment.Column.Value);
            if (at < 0)
                throw SqlException.Plan($"unknown column {assignment.Column.Value}", assignment.Position());
            if (assignments.Any(a => a.Column == at))
                throw SqlException.Plan($"column {assignment.Column.Value} set twice", assignment.Position());
            assignments.Add((at, planner.PlanAssignment(assignment.Value, scope, desc.Type.Columns[at].Type, desc.Names[at])));
        }

        var selection = planner.PlanMutation(table, x.Alias, [], x.Where);
        return new StatementPlan.ReadThenWrite(
            table.Id, desc, MutationKind.Update, Finish(context, selection),
            assignments.Select(a => new Assignment(a.Column, HirLowering.LowerScalar(a.Value))).ToValueArray());
    }

    private static StatementPlan PlanDelete(StatementContext context, Ast.Statement.Delete x)
    {
        var table = ResolveTable(context, x.Table, "mutate");
        var selection = new QueryPlanner(context).PlanMutation(table, x.Alias, x.Using, x.Where);
        return new StatementPlan.ReadThenWrite(table.Id, table.Desc!, MutationKind.Delete, Finish(context, selection), []);
    }

    private static StatementPlan PlanCopyFrom(StatementContext context, Ast.Statement.Copy x, OptionReader options)
    {
        if (x.Target is Ast.CopyTarget.Uri)
            throw SqlException.Unsupported("COPY FROM a URL", x.Position());
        if (x.Relation is not Ast.CopyRelation.Named named)
            throw SqlException.Plan("COPY FROM requires a table", x.Position());
        var table = ResolveTable(context, named.Name, "insert into");
        var desc = table.Desc!;
        var format = CopyFormatOf(options);
        if (format == CopyFormat.Binary)
            throw SqlException.Unsupported("COPY FROM with FORMAT BINARY", x.Position());
        if (format == CopyFormat.Text)
        {
            foreach (var name in (string[])["QUOTE", "ESCAPE", "HEADER"])
            {
                if (options.Has(name))
                    throw SqlException.Plan($"COPY {name.ToLowerInvariant()} available only in CSV mode", x.Position());
            }
        }

        var quote = Single(options, "QUOTE", '"');
        var copyOptions = new CopyFromOptions(
            format,
            Single(options, "DELIMITER", format == CopyFormat.Csv ? ',' : '\t'),
            options.Text("NULL") ?? (format == CopyFormat.Csv ? "" : "\\N"),
            quote,
            Single(options, "ESCAPE", quote),
            options.Bool("HEADER") ?? false);
        if (format == CopyFormat.Csv && copyOptions.Delimiter == copyOptions.Quote)
            throw SqlException.Plan("COPY delimiter and quote must be different", x.Position());
        var planner = new QueryPlanner(context);
        var defaults = desc.Type.Columns.Select((c, i) =>
            HirLowering.LowerScalar(planner.PlanDefault(table.ColumnDefaults.ElementAtOrDefault(i), c.Type))).ToValueArray();
        return new StatementPlan.CopyFrom(table.Id, desc, ColumnPositions(desc, table.Name.Item, named.Columns).ToValueArray(), defaults, copyOptions);
    }

    private static char Single(OptionReader options, string name, char fallback)
    {
        if (options.Text(name) is not { } text)
            return fallback;
        return text.Length == 1 && text[0] < 128
            ? text[0]
            : throw SqlException.Plan($"COPY {name.ToLowerInvariant()} must be a single one-byte character");
    }
}
