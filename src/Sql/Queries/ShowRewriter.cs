// SHOW as the query over the system catalog that it stands for: a selection from the view mz_internal.mz_show_… of that list.
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
            Ast.ShowStatement.Privileges x => (PrivilegesSql(x), x.Filter, "1, 2, 3, 4, 5, 6, 7"),
            Ast.ShowStatement.DefaultPrivileges x => (DefaultPrivilegesSql(x), x.Filter, "1, 2, 3, 4, 5, 6"),
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
        return $" AND cluster_id = {Quote(cluster.Id.Value)}";
    }

    private static CatalogItem ItemOf(ISqlCatalog catalog, Ast.ObjectName name) =>
        catalog.ResolveItem(StatementContext.Partial(name)) ?? throw SqlException.Plan($"unknown catalog item '{name}'", name.Position());

    private static string ObjectsSql(ISqlCatalog catalog, Ast.ShowStatement.Objects x)
    {
        string InSchema() => $"schema_id = {Quote(SchemaOf(catalog, x.From).Id.Value)}";
        string Of(string view, string columns) => $"SELECT {columns} FROM mz_internal.{view} WHERE {InSchema()}{Cluster(catalog, x.InCluster)}";
        switch (x.Kind)
        {
            case Ast.ShowKind.Databases:
                return "SELECT name, comment FROM mz_internal.mz_show_databases";
            case Ast.ShowKind.Schemas:
                {
                    var name = x.From?.Item.Value ?? catalog.Session.Database;
                    var database = catalog.ResolveDatabase(name) ?? throw SqlException.Plan($"unknown database '{name}'", x.Position());
                    return $"SELECT name, comment FROM mz_internal.mz_show_schemas WHERE database_id = {Quote(database.Id.Value)}"
                        + (x.From is null ? " OR database_id IS NULL" : "");
                }

            case Ast.ShowKind.Roles:
                return "SELECT name, comment FROM mz_internal.mz_show_roles";
            case Ast.ShowKind.Tables:
                return Of("mz_show_tables", "name, comment") + (x.On is null ? "" : $" AND source_id = {Quote(ItemOf(catalog, x.On).Id.ToString())}");
            case Ast.ShowKind.Views:
                return Of("mz_show_views", "name, comment");
            case Ast.ShowKind.Secrets:
                return Of("mz_show_secrets", "name, comment");
            case Ast.ShowKind.Types:
                return Of("mz_show_types", "name, comment");
            case Ast.ShowKind.MaterializedViews:
                return Of("mz_show_materialized_views", "name, cluster, comment");
            case Ast.ShowKind.Sources:
                return Of("mz_show_sources", "name, type, cluster, comment");
            case Ast.ShowKind.Sinks:
                return Of("mz_show_sinks", "name, type, cluster, comment");
            case Ast.ShowKind.Subsources:
                {
                    var of = x.On is null ? "" : $" AND d.referenced_object_id = {Quote(ItemOf(catalog, x.On).Id.ToString())}";
                    return "SELECT DISTINCT o.name, o.type FROM mz_catalog.mz_sources AS o JOIN mz_internal.mz_object_dependencies AS d ON d.object_id = o.id "
                        + $"WHERE o.type IN ('subsource', 'progress') AND o.{InSchema()}{of}";
                }

            case Ast.ShowKind.Connections:
                return Of("mz_show_connections", "name, type, comment");
            case Ast.ShowKind.Indexes:
                {
                    var place = x.On is { } on ? $"on_id = {Quote(ItemOf(catalog, on).Id.ToString())}" : InSchema();
                    return $"SELECT name, \"on\", cluster, key, comment FROM mz_internal.mz_show_indexes WHERE {place}{Cluster(catalog, x.InCluster)}";
                }

            case Ast.ShowKind.Objects:
                return Of("mz_show_all_objects", "name, type, comment");
            case Ast.ShowKind.Clusters:
                return "SELECT name, replicas, comment FROM mz_internal.mz_show_clusters";
            case Ast.ShowKind.ClusterReplicas:
                return "SELECT cluster, replica, size, ready, comment FROM mz_internal.mz_show_cluster_replicas";
            case Ast.ShowKind.NetworkPolicies:
                return "SELECT name, rules, comment FROM mz_internal.mz_show_network_policies";
            default:
                throw SqlException.NeverSupported("SHOW CONTINUAL TASKS", x.Position());
        }
    }

    private static string ColumnsSql(ISqlCatalog catalog, Ast.ShowStatement.Columns x)
    {
        var item = ItemOf(catalog, x.Relation);
        return item.Desc is null
            ? throw SqlException.Plan($"{item.Name} is a {KindNames.Of(item.Kind)} and so does not have columns", x.Position())
            : $"SELECT name, nullable, type, position, comment FROM mz_internal.mz_show_columns WHERE id = {Quote(item.Id.ToString())}";
    }

    private static string GrantType(Ast.GrantObjectKind kind) => kind.ToString().ToLowerInvariant().TrimEnd('s');

    private static string PrivilegesSql(Ast.ShowStatement.Privileges x)
    {
        var sql = "SELECT grantor, grantee, database, schema, name, object_type, privilege_type FROM mz_internal.mz_show_all_privileges";
        List<string> conditions = [];
        if (x.OnSystem)
            conditions.Add("object_type = 'system'");
        else if (x.On is { } kind)
            conditions.Add($"object_type = '{GrantType(kind)}'");
        if (x.For?.Name is { } role)
            conditions.Add($"(grantee = {Quote(role.Value)} OR grantee = 'PUBLIC')");
        return conditions.Count == 0 ? sql : $"{sql} WHERE {string.Join(" AND ", conditions)}";
    }

    private static string DefaultPrivilegesSql(Ast.ShowStatement.DefaultPrivileges x)
    {
        var sql = "SELECT object_owner, database, schema, object_type, grantee, privilege_type FROM mz_internal.mz_show_default_privileges";
        List<string> conditions = [];
        if (x.On is { } kind)
            conditions.Add($"object_type = '{GrantType(kind)}'");
        if (x.For?.Name is { } role)
            conditions.Add($"(grantee = {Quote(role.Value)} OR grantee = 'PUBLIC')");
        return conditions.Count == 0 ? sql : $"{sql} WHERE {string.Join(" AND ", conditions)}";
    }

    private static string MembershipSql(Ast.ShowStatement.RoleMembership x) =>
        "SELECT role, member, grantor FROM mz_internal.mz_show_role_members" + (x.For?.Name is { } role ? $" WHERE member = {Quote(role.Value)}" : "");
}
