// SHOW as the query over the system catalog that it stands for. Only the catalog's base tables are named, so that SHOW works as soon as
// they do.
using Materialize.Sql.Parser;

namespace Materialize.Sql;

/// <summary>Rewrites SHOW into SELECT.</summary>
internal static class ShowRewriter
{
    public static Ast.Query Rewrite(ISqlCatalog catalog, Ast.ShowStatement show)
    {
        var (sql, filter, order) = show switch
        {
            Ast.ShowStatement.Objects x => (ObjectsSql(catalog, x), x.Filter, x.Kind == Ast.ShowKind.ClusterReplicas ? "cluster, replica" : "name"),
            Ast.ShowStatement.Columns x => (ColumnsSql(catalog, x), x.Filter, "position"),
            Ast.ShowStatement.Privileges x => (PrivilegesSql(catalog, x), x.Filter, "1, 2, 3, 4, 5, 6, 7"),
            Ast.ShowStatement.DefaultPrivileges x => (DefaultPrivilegesSql(catalog, x), x.Filter, "1, 2, 3, 4, 5, 6"),
            Ast.ShowStatement.RoleMembership x => (MembershipSql(x), x.Filter, "1, 2, 3"),
            Ast.ShowStatement.Create => throw SqlException.Unsupported("SHOW CREATE in a subquery", show.Position()),
            _ => throw SqlException.Unsupported("SHOW of a variable in a subquery", show.Position()),
        };
        var columns = show is Ast.ShowStatement.Columns ? "name, nullable, type, comment" : "*";
        var where = filter switch
        {
            Ast.ShowFilter.Like like => $" WHERE q.{(show is Ast.ShowStatement.Objects { Kind: Ast.ShowKind.ClusterReplicas } ? "replica" : "name")} LIKE {Quote(like.Pattern)}",
            Ast.ShowFilter.Where condition => $" WHERE {AstPrinter.ToSql(condition.Condition)}",
            _ => "",
        };
        return SqlParser.ParseQuery($"SELECT {columns} FROM ({sql}) AS q{where} ORDER BY {order}");
    }

    private static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    private static string Comment(string type, string id = "o.id") =>
        $"LEFT JOIN (SELECT id, comment FROM mz_internal.mz_comments WHERE object_sub_id IS NULL AND object_type = '{type}') AS c ON c.id = {id}";

    private const string CommentColumn = "coalesce(c.comment, '') AS comment";

    private static CatalogSchema SchemaOf(ISqlCatalog catalog, Ast.ObjectName? from)
    {
        if (from is null)
            return catalog.CurrentSchema ?? throw new SqlException(SqlState.InvalidSchemaName, "no schema has been selected");
        return catalog.ResolveSchema(from.Parts.Count > 1 ? from.Parts[^2].Value : null, from.Item.Value)
            ?? throw SqlException.Plan($"unknown schema '{from}'", from.Position());
    }

    private static string Cluster(ISqlCatalog catalog, Ast.ClusterName? name)
    {
        if (name is null)
            return "";
        var cluster = catalog.ResolveCluster(name.Name?.Value ?? "") ?? throw SqlException.Plan($"unknown cluster '{name.Name?.Value}'", name.Position());
        return $" AND o.cluster_id = {Quote(cluster.Id.Value)}";
    }

    private static CatalogItem ItemOf(ISqlCatalog catalog, Ast.ObjectName name) =>
        catalog.ResolveItem(StatementContext.Partial(name)) ?? throw SqlException.Plan($"unknown catalog item '{name}'", name.Position());

    private static string ObjectsSql(ISqlCatalog catalog, Ast.ShowStatement.Objects x)
    {
        string InSchema() => $"o.schema_id = {Quote(SchemaOf(catalog, x.From).Id.Value)}";
        string Simple(string table, string type) => $"SELECT o.name, {CommentColumn} FROM mz_catalog.{table} AS o {Comment(type)} WHERE {InSchema()}";
        const string clusterJoin = "LEFT JOIN mz_catalog.mz_clusters AS k ON k.id = o.cluster_id";
        switch (x.Kind)
        {
            case Ast.ShowKind.Databases:
                return $"SELECT o.name, {CommentColumn} FROM mz_catalog.mz_databases AS o {Comment("database")}";
            case Ast.ShowKind.Schemas:
            {
                var name = x.From?.Item.Value ?? catalog.Session.Database;
                var database = catalog.ResolveDatabase(name) ?? throw SqlException.Plan($"unknown database '{name}'", x.Position());
                return $"SELECT o.name, {CommentColumn} FROM mz_catalog.mz_schemas AS o {Comment("schema")} WHERE o.database_id = {Quote(database.Id.Value)}"
                    + (x.From is null ? " OR o.database_id IS NULL" : "");
            }

            case Ast.ShowKind.Roles:
                return $"SELECT o.name, {CommentColumn} FROM mz_catalog.mz_roles AS o {Comment("role")} WHERE o.id LIKE 'u%'";
            case Ast.ShowKind.Tables:
                return Simple("mz_tables", "table") + (x.On is null ? "" : $" AND o.source_id = {Quote(ItemOf(catalog, x.On).Id.ToString())}");
            case Ast.ShowKind.Views:
                return Simple("mz_views", "view");
            case Ast.ShowKind.Secrets:
                return Simple("mz_secrets", "secret");
            case Ast.ShowKind.Types:
                return Simple("mz_types", "type");
            case Ast.ShowKind.MaterializedViews:
                return $"SELECT o.name, k.name AS cluster, {CommentColumn} FROM mz_catalog.mz_materialized_views AS o {clusterJoin} {Comment("materialized-view")} WHERE {InSchema()}{Cluster(catalog, x.InCluster)}";
            case Ast.ShowKind.Sources:
                return $"SELECT o.name, o.type, k.name AS cluster, {CommentColumn} FROM mz_catalog.mz_sources AS o {clusterJoin} {Comment("source")} WHERE {InSchema()}{Cluster(catalog, x.InCluster)}";
            case Ast.ShowKind.Sinks:
                return $"SELECT o.name, o.type, k.name AS cluster, {CommentColumn} FROM mz_catalog.mz_sinks AS o {clusterJoin} {Comment("sink")} WHERE {InSchema()}{Cluster(catalog, x.InCluster)}";
            case Ast.ShowKind.Subsources:
            {
                var of = x.On is null ? "" : $" AND d.object_id = {Quote(ItemOf(catalog, x.On).Id.ToString())}";
                return "SELECT DISTINCT o.name, o.type FROM mz_catalog.mz_sources AS o JOIN mz_internal.mz_object_dependencies AS d ON d.referenced_object_id = o.id OR d.object_id = o.id "
                    + $"WHERE o.type IN ('subsource', 'progress') AND {InSchema()}{of}";
            }

            case Ast.ShowKind.Connections:
                return $"SELECT o.name, o.type, {CommentColumn} FROM mz_catalog.mz_connections AS o {Comment("connection")} WHERE {InSchema()}";
            case Ast.ShowKind.Indexes:
            {
                var place = x.On is { } on ? $"o.on_id = {Quote(ItemOf(catalog, on).Id.ToString())}" : $"r.schema_id = {Quote(SchemaOf(catalog, x.From).Id.Value)}";
                return "SELECT o.name, r.name AS on, k.name AS cluster, "
                    + "(SELECT array_agg(CASE WHEN ic.on_expression IS NOT NULL THEN '{' || ic.on_expression || '}' ELSE col.name END ORDER BY ic.index_position) "
                    + "FROM mz_catalog.mz_index_columns AS ic LEFT JOIN mz_catalog.mz_columns AS col ON col.id = o.on_id AND col.position = ic.on_position WHERE ic.index_id = o.id) AS key, "
                    + $"{CommentColumn} FROM mz_catalog.mz_indexes AS o JOIN ({Relations}) AS r ON r.id = o.on_id {clusterJoin} {Comment("index")} "
                    + $"WHERE {place}{Cluster(catalog, x.InCluster)}";
            }

            case Ast.ShowKind.Objects:
                return $"SELECT o.name, o.type, coalesce(c.comment, '') AS comment FROM ({Objects}) AS o "
                    + $"LEFT JOIN (SELECT id, object_type, comment FROM mz_internal.mz_comments WHERE object_sub_id IS NULL) AS c ON c.id = o.id AND c.object_type = o.type WHERE {InSchema()}";
            case Ast.ShowKind.Clusters:
                return "SELECT o.name, coalesce((SELECT string_agg(r.name || ' (' || coalesce(r.size, '') || ')', ', ' ORDER BY r.name) FROM mz_catalog.mz_cluster_replicas AS r WHERE r.cluster_id = o.id), '') AS replicas, "
                    + $"{CommentColumn} FROM mz_catalog.mz_clusters AS o {Comment("cluster")}";
            case Ast.ShowKind.ClusterReplicas:
                return "SELECT k.name AS cluster, o.name AS replica, o.size, true AS ready, "
                    + $"{CommentColumn} FROM mz_catalog.mz_cluster_replicas AS o JOIN mz_catalog.mz_clusters AS k ON k.id = o.cluster_id {Comment("cluster-replica")}";
            case Ast.ShowKind.NetworkPolicies:
                return View(catalog, "mz_show_network_policies", "name, rules, comment", "SHOW NETWORK POLICIES", x.Position());
            default:
                throw SqlException.NeverSupported("SHOW CONTINUAL TASKS", x.Position());
        }
    }

    private const string Relations =
        "SELECT id, name, schema_id FROM mz_catalog.mz_tables UNION ALL SELECT id, name, schema_id FROM mz_catalog.mz_views "
        + "UNION ALL SELECT id, name, schema_id FROM mz_catalog.mz_materialized_views UNION ALL SELECT id, name, schema_id FROM mz_catalog.mz_sources";

    private const string Objects =
        "SELECT id, name, schema_id, 'table' AS type FROM mz_catalog.mz_tables UNION ALL SELECT id, name, schema_id, 'view' FROM mz_catalog.mz_views "
        + "UNION ALL SELECT id, name, schema_id, 'materialized-view' FROM mz_catalog.mz_materialized_views UNION ALL SELECT id, name, schema_id, 'source' FROM mz_catalog.mz_sources "
        + "UNION ALL SELECT id, name, schema_id, 'sink' FROM mz_catalog.mz_sinks UNION ALL SELECT id, name, schema_id, 'connection' FROM mz_catalog.mz_connections "
        + "UNION ALL SELECT id, name, schema_id, 'secret' FROM mz_catalog.mz_secrets UNION ALL SELECT id, name, schema_id, 'type' FROM mz_catalog.mz_types "
        + "UNION ALL SELECT i.id, i.name, r.schema_id, 'index' FROM mz_catalog.mz_indexes AS i JOIN (" + Relations + ") AS r ON r.id = i.on_id";

    private static string ColumnsSql(ISqlCatalog catalog, Ast.ShowStatement.Columns x)
    {
        var item = ItemOf(catalog, x.Relation);
        if (item.Desc is null)
            throw SqlException.Plan($"{item.Name} is a {KindNames.Of(item.Kind)} and so does not have columns", x.Position());
        var id = Quote(item.Id.ToString());
        return "SELECT o.name, o.nullable, o.type, o.position, coalesce(c.comment, '') AS comment FROM mz_catalog.mz_columns AS o "
            + $"LEFT JOIN (SELECT object_sub_id, comment FROM mz_internal.mz_comments WHERE id = {id} AND object_type IN ('table', 'view', 'materialized-view', 'source')) AS c "
            + $"ON c.object_sub_id = o.position::int8::int4 WHERE o.id = {id}";
    }

    private static string View(ISqlCatalog catalog, string view, string columns, string what, int? position) =>
        catalog.ResolveItem(new PartialName(null, "mz_internal", view)) is null
            ? throw SqlException.Unsupported(what, position)
            : $"SELECT {columns} FROM mz_internal.{view}";

    private static string GrantType(Ast.GrantObjectKind kind) => kind.ToString().ToLowerInvariant().TrimEnd('s');

    private static string PrivilegesSql(ISqlCatalog catalog, Ast.ShowStatement.Privileges x)
    {
        var sql = View(catalog, "mz_show_all_privileges", "grantor, grantee, database, schema, name, object_type, privilege_type", "SHOW PRIVILEGES", x.Position());
        List<string> conditions = [];
        if (x.OnSystem)
            conditions.Add("object_type = 'system'");
        else if (x.On is { } kind)
            conditions.Add($"object_type = '{GrantType(kind)}'");
        if (x.For?.Name is { } role)
            conditions.Add($"(grantee = {Quote(role.Value)} OR grantee = 'PUBLIC')");
        return conditions.Count == 0 ? sql : $"{sql} WHERE {string.Join(" AND ", conditions)}";
    }

    private static string DefaultPrivilegesSql(ISqlCatalog catalog, Ast.ShowStatement.DefaultPrivileges x)
    {
        var sql = View(catalog, "mz_show_default_privileges", "object_owner, database, schema, object_type, grantee, privilege_type", "SHOW DEFAULT PRIVILEGES", x.Position());
        List<string> conditions = [];
        if (x.On is { } kind)
            conditions.Add($"object_type = '{GrantType(kind)}'");
        if (x.For?.Name is { } role)
            conditions.Add($"(grantee = {Quote(role.Value)} OR grantee = 'PUBLIC')");
        return conditions.Count == 0 ? sql : $"{sql} WHERE {string.Join(" AND ", conditions)}";
    }

    private static string MembershipSql(Ast.ShowStatement.RoleMembership x) =>
        "SELECT r.name AS role, m.name AS member, g.name AS grantor FROM mz_catalog.mz_role_members AS o JOIN mz_catalog.mz_roles AS r ON r.id = o.role_id "
        + "JOIN mz_catalog.mz_roles AS m ON m.id = o.member JOIN mz_catalog.mz_roles AS g ON g.id = o.grantor"
        + (x.For?.Name is { } role ? $" WHERE m.name = {Quote(role.Value)}" : "");
}
