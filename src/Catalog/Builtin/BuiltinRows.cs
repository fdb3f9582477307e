using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser;
using Ast = Materialize.Sql.Parser.Ast;

namespace Materialize.Catalog;

/// <summary>A row of a built-in table.</summary>
public readonly record struct BuiltinRow(GlobalId Table, ValueArray<Datum> Values);

/// <summary>
/// What the catalog relations say of each object: pure functions from a state to rows. A change of the catalog is written to the
/// tables as the difference between the rows of the objects before and after.
/// </summary>
public static class BuiltinRows
{
    /// <summary>All rows of a state.</summary>
    public static IEnumerable<BuiltinRow> All(CatalogState state)
    {
        foreach (var row in Static())
            yield return row;
        foreach (var row in state.Databases.Values.SelectMany(Database))
            yield return row;
        foreach (var row in state.Schemas.Values.SelectMany(Schema))
            yield return row;
        foreach (var row in state.Roles.Values.SelectMany(Role))
            yield return row;
        foreach (var row in state.Clusters.Values.SelectMany(Cluster))
            yield return row;
        foreach (var row in state.Comments.Values.SelectMany(Comment))
            yield return row;
        foreach (var row in state.Items.Values.SelectMany(item => Item(state, item)))
            yield return row;
    }

    /// <summary>The rows to add (+1) and to remove (−1) when the catalog goes from one state to another.</summary>
    public static IEnumerable<(BuiltinRow Row, long Diff)> Changes(CatalogState before, CatalogState after)
    {
        var rows = Changed(before.Databases, after.Databases, Database, Database)
            .Concat(Changed(before.Schemas, after.Schemas, Schema, Schema))
            .Concat(Changed(before.Roles, after.Roles, Role, Role))
            .Concat(Changed(before.Clusters, after.Clusters, Cluster, Cluster))
            .Concat(Changed(before.Comments, after.Comments, Comment, Comment))
            .Concat(Changed(before.Items, after.Items, item => Item(before, item), item => Item(after, item)));
        var sums = new Dictionary<BuiltinRow, long>();
        foreach (var (row, diff) in rows)
            sums[row] = sums.GetValueOrDefault(row) + diff;
        return sums.Where(x => x.Value != 0).Select(x => (x.Key, x.Value));
    }

    private static IEnumerable<(BuiltinRow Row, long Diff)> Changed<TKey, TEntry>(
        IReadOnlyDictionary<TKey, TEntry> before,
        IReadOnlyDictionary<TKey, TEntry> after,
        Func<TEntry, IEnumerable<BuiltinRow>> rowsBefore,
        Func<TEntry, IEnumerable<BuiltinRow>> rowsAfter)
        where TKey : notnull
        where TEntry : class
    {
        foreach (var (key, entry) in before)
        {
            if (after.TryGetValue(key, out var now) && ReferenceEquals(now, entry))
                continue;
            foreach (var row in rowsBefore(entry))
                yield return (row, -1);
        }

        foreach (var (key, entry) in after)
        {
            if (before.TryGetValue(key, out var old) && ReferenceEquals(old, entry))
                continue;
            foreach (var row in rowsAfter(entry))
                yield return (row, 1);
        }
    }

    private static IEnumerable<BuiltinRow> Database(DatabaseEntry x) =>
        [Row(Builtins.Databases, Text(x.Id.Value), Oid(x.Oid), Text(x.Name), Text(x.Owner.Value), Privileges(x.Owner, "UC"))];

    private static IEnumerable<BuiltinRow> Schema(SchemaEntry x) =>
    [
        Row(
            Builtins.Schemas,
            Text(x.Id.Value),
            Oid(x.Oid),
            Text(x.Database?.Value),
            Text(x.Name),
            Text(x.Owner.Value),
            Privileges(x.Owner, "UC")),
    ];

    private static IEnumerable<BuiltinRow> Role(RoleEntry x) =>
        [Row(Builtins.Roles, Text(x.Id.Value), Oid(x.Oid), Text(x.Name), Datum.True, Bool(x.CanLogin), Bool(x.IsSuperuser))];

    private static IEnumerable<BuiltinRow> Cluster(ClusterEntry x)
    {
        yield return Row(
            Builtins.Clusters,
            Text(x.Id.Value),
            Text(x.Name),
            Text(x.Owner.Value),
            Privileges(x.Owner, "UC"),
            Bool(x.IsManaged),
            Text(x.Size),
            x.IsManaged ? Datum.FromInt64(x.ReplicationFactor) : Datum.Null,
            Datum.Null,
            Datum.Null,
            Datum.Null,
            Datum.Null);
        foreach (var replica in x.Replicas)
        {
            yield return Row(
                Builtins.ClusterReplicas,
                Text(replica.Id.Value),
                Text(replica.Name),
                Text(x.Id.Value),
                Text(replica.Size),
                Datum.Null,
                Text(replica.Owner.Value),
                Datum.Null);
        }
    }

    private static IEnumerable<BuiltinRow> Comment(CatalogEntry.Comment x) =>
    [
        Row(
            Builtins.Comments,
            Text(x.ObjectId),
            Text(x.ObjectType),
            x.Column is { } column ? Datum.FromInt64(column) : Datum.Null,
            Text(x.Text)),
    ];

    private static IEnumerable<BuiltinRow> Item(CatalogState state, Item item)
    {
        if (item.Definition is ItemDefinition.Unplanned unplanned)
        {
            foreach (var row in Unplanned(item, unplanned))
                yield return row;
            yield break;
        }

        var id = Text(item.Id.ToString());
        var schema = Text(item.SchemaId.Value);
        var name = Text(item.Name);
        var owner = Text(item.Owner.Value);
        var statement = item.CreateSql.Length == 0 ? null : SqlParser.ParseStatements(item.CreateSql).Single().Statement;
        var sql = statement is null ? Datum.Null : Text(item.CreateSql);
        var redacted = statement is null ? Datum.Null : Text(AstPrinter.ToSql(statement, PrintMode.Redacted));
        var oid = Oid(item.Oid);
        var select = Privileges(item.Owner, "r");
        switch (item.Definition)
        {
            case ItemDefinition.Table:
                yield return Row(Builtins.TablesTable, id, oid, schema, name, owner, Privileges(item.Owner, "arwd"), sql, redacted, Datum.Null);
                break;
            case ItemDefinition.SourceOutput { IsTable: true } x:
                yield return Row(Builtins.TablesTable, id, oid, schema, name, owner, select, sql, redacted, Text(x.SourceId.ToString()));
                break;
            case ItemDefinition.SourceOutput x:
                yield return SourceRow(x.IsProgress ? "progress" : "subsource", null, null);
                break;
            case ItemDefinition.Source x:
                yield return SourceRow(
                    x.Connector is SourceConnector.Postgres ? "postgres" : x.Connector.GetType().Name.ToLowerInvariant(),
                    x.Connector is SourceConnector.Postgres postgres ? postgres.Connection : null,
                    x.Cluster.Value);
                if (x.Slot is { } slot)
                    yield return Row(Builtins.PostgresSources, id, Text(slot), Datum.Null);
                break;
            case ItemDefinition.Log:
                yield return SourceRow("log", null, null);
                break;
            case ItemDefinition.View:
                yield return Row(Builtins.ViewsTable, id, oid, schema, name, Text(DefinitionText(statement)), owner, select, sql, redacted);
                break;
            case ItemDefinition.MaterializedView x:
                yield return Row(
                    Builtins.MaterializedViews, id, oid, schema, name, Text(x.Cluster.Value), Text(DefinitionText(statement)), owner, select, sql, redacted);
                break;
            case ItemDefinition.Index x:
                yield return Row(Builtins.Indexes, id, oid, name, Text(x.On.ToString()), Text(x.Cluster.Value), owner, sql, redacted);
                foreach (var row in IndexColumns(state, item, x, ((Ast.Statement.CreateIndex)statement!).Key))
                    yield return row;
                break;
            case ItemDefinition.Connection x:
                yield return Row(Builtins.Connections, id, oid, schema, name, Text(x.Details.Type), owner, Privileges(item.Owner, "U"), sql, redacted);
                break;
            case ItemDefinition.Secret:
                yield return Row(Builtins.Secrets, id, oid, schema, name, owner, Privileges(item.Owner, "U"));
                break;
            case ItemDefinition.Type:
                yield return Row(
                    Builtins.Types, id, oid, schema, name, Text("user-defined"), owner, Privileges(item.Owner, "U"), sql, redacted);
                break;
        }

        if (item.Definition is ItemDefinition.SourceOutput { Upstream: { } upstream })
            yield return Row(Builtins.PostgresSourceTables, id, Text(upstream.Schema), Text(upstream.Name));
        foreach (var row in Columns(item))
            yield return row;
        foreach (var input in item.DependsOn)
            yield return Row(Builtins.ObjectDependencies, id, Text(input.ToString()));

        BuiltinRow SourceRow(string type, GlobalId? connection, string? cluster) => Row(
            Builtins.Sources,
            id,
            oid,
            schema,
            name,
            Text(type),
            Text(connection?.ToString()),
            Datum.Null,
            Datum.Null,
            Datum.Null,
            Datum.Null,
            Text(cluster),
            owner,
            select,
            sql,
            redacted);
    }

    /// <summary>What can be said without a plan: enough to find it and what it belongs to. Its text may not even parse.</summary>
    private static IEnumerable<BuiltinRow> Unplanned(Item item, ItemDefinition.Unplanned definition)
    {
        var (id, oid, schema, name, owner) = (Text(item.Id.ToString()), Oid(item.Oid), Text(item.SchemaId.Value), Text(item.Name), Text(item.Owner.Value));
        var (sql, select, cluster) = (Text(item.CreateSql), Privileges(item.Owner, "r"), Text(definition.Cluster?.Value ?? ""));
        var redacted = Text("");
        switch (definition.Kind)
        {
            case CatalogItemKind.Table:
                yield return Row(Builtins.TablesTable, id, oid, schema, name, owner, Privileges(item.Owner, "arwd"), sql, redacted, Datum.Null);
                break;
            case CatalogItemKind.View:
                yield return Row(Builtins.ViewsTable, id, oid, schema, name, sql, owner, select, sql, redacted);
                break;
            case CatalogItemKind.MaterializedView:
                yield return Row(Builtins.MaterializedViews, id, oid, schema, name, cluster, sql, owner, select, sql, redacted);
                break;
            case CatalogItemKind.Index when item.DependsOn is [var on, ..]:
                yield return Row(Builtins.Indexes, id, oid, name, Text(on.ToString()), cluster, owner, sql, redacted);
                break;
        }

        foreach (var input in item.DependsOn)
            yield return Row(Builtins.ObjectDependencies, id, Text(input.ToString()));
    }

    private static IEnumerable<BuiltinRow> Columns(Item item)
    {
        if (item.Desc is not { } desc)
            yield break;
        var defaults = item.Definition is ItemDefinition.Table table ? table.Defaults : [];
        for (var i = 0; i < desc.Arity; i++)
        {
            var type = desc.Type.Columns[i].Type;
            yield return Row(
                Builtins.Columns,
                Text(item.Id.ToString()),
                Text(desc.Names[i]),
                Datum.FromInt64(i + 1),
                Bool(desc.Type.Columns[i].IsNullable),
                Text(type.ToSql()),
                i < defaults.Count ? Text(defaults[i]) : Datum.Null,
                Oid(PgType.OidOf(type)),
                Datum.FromInt64(PgType.TypmodOf(type)));
        }
    }

    private static IEnumerable<BuiltinRow> IndexColumns(
        CatalogState state, Item item, ItemDefinition.Index index, IReadOnlyList<Ast.Expr>? written)
    {
        var desc = state.Items[index.On].Desc!;
        for (var i = 0; i < index.Keys.Count; i++)
        {
            var column = (index.Keys[i] as MirScalarExpr.Column)?.Index;
            yield return Row(
                Builtins.IndexColumns,
                Text(item.Id.ToString()),
                Datum.FromInt64(i + 1),
                column is { } position ? Datum.FromInt64(position + 1) : Datum.Null,
                column is null ? Text(AstPrinter.ToSql(written![i])) : Datum.Null,
                Bool(column is not { } c || desc.Type.Columns[c].IsNullable));
        }
    }

    /// <summary>Types, functions and operators: they never change.</summary>
    private static IEnumerable<BuiltinRow> Static()
    {
        var typeIds = BuiltinTypes.All.ToDictionary(t => t.Oid, t => t.Id.ToString());
        foreach (var type in BuiltinTypes.All)
        {
            var id = Text(type.Id.ToString());
            yield return Row(
                Builtins.Types,
                id,
                Oid(type.Oid),
                Text(type.Schema.Value),
                Text(type.Name),
                Text(type.Category),
                Text("s1"),
                Privileges(new RoleId("s1"), "U"),
                Datum.Null,
                Datum.Null);
            yield return type.Element is { } element
                ? Row(Builtins.ArrayTypes, id, Text(element.Id.ToString()))
                : Row(Builtins.BaseTypes, id);
        }

        foreach (var function in FunctionTable.All)
        {
            yield return Row(
                Builtins.Functions,
                Text($"s{50_000 + function.Oid}"),
                Oid(function.Oid),
                Text(function.Schema == "pg_catalog" ? "s2" : function.Schema == "mz_catalog" ? "s1" : function.Schema == "mz_internal" ? "s4" : function.Schema == "information_schema" ? "s5" : "s6"),
                Text(function.Name),
                TextArray(function.Params.Select(p => TypeId(p)).ToValueArray()),
                function.Variadic is { } variadic ? Text(TypeId(variadic)) : Datum.Null,
                Datum.Null,
                Bool(function.Target is FunctionTarget.Table),
                Text("s1"));
        }

        foreach (var op in FunctionTable.AllOperators)
            yield return Row(Builtins.Operators, Oid(op.Oid), Text(op.Name), TextArray(op.Params.Select(p => TypeId(p)).ToValueArray()), Datum.Null);

        string TypeId(ParamType param) =>
            param is ParamType.Exact exact && typeIds.TryGetValue(PgType.OidOf(exact.Type), out var id) ? id : param.GetType().Name.ToLowerInvariant();
    }

    private static string? DefinitionText(Ast.Statement? statement) => statement switch
    {
        Ast.Statement.CreateView x => AstPrinter.ToSql(x.Query) + ";",
        Ast.Statement.CreateMaterializedView x => AstPrinter.ToSql(x.Query) + ";",
        _ => null,
    };

    private static BuiltinRow Row(Builtin.Table table, params ReadOnlySpan<Datum> values) => new(table.Id, ValueArray.Create(values));

    private static Datum Text(string? text) => text is null ? Datum.Null : Datum.FromString(text);

    private static Datum Oid(uint oid) => Datum.FromInt64(oid);

    private static Datum Bool(bool value) => Datum.FromBool(value);

    private static Datum Privileges(RoleId owner, string codes) => TextArray([$"{owner}={codes}/{owner}"]);

    private static Datum TextArray(ValueArray<string> texts) => Datum.FromArray(texts.IsEmpty
        ? new ArrayDatum([], [])
        : new ArrayDatum([new ArrayDimension(1, texts.Count)], texts.Select(Datum.FromString)));
}
