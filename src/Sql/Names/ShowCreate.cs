using Materialize.Repr;
using Materialize.Sql.Parser;

namespace Materialize.Sql;

/// <summary>SHOW CREATE.</summary>
internal static class ShowCreate
{
    public static readonly RelationDesc Desc = RelationDesc.Of(("name", SqlType.String.Nullable(false)), ("create_sql", SqlType.String.Nullable(false)));

    public static ConstantResult Rows(StatementContext context, Ast.ShowStatement.Create show)
    {
        if (show.Kind == Ast.ObjectKind.Cluster)
            return Row(show.Name.ToString(), ClusterSql(context, show));
        if (show.Kind == Ast.ObjectKind.Type)
        {
            var type = context.Catalog.ResolveType(StatementContext.Partial(show.Name)) ?? throw SqlException.Plan($"unknown catalog item '{show.Name}'", show.Position());
            var typeItem = context.Catalog.GetItem(type.Id);
            if (typeItem is null || type.Id.IsSystem)
                throw SqlException.Plan($"cannot show create for system object {type.Name}", show.Position());
            return Row(typeItem.Name.ToString(), Pretty(typeItem.CreateSql, show.Redacted));
        }

        var item = context.ResolveText(show.Name);
        CatalogItemKind? wanted = show.Kind switch
        {
            Ast.ObjectKind.Table => CatalogItemKind.Table,
            Ast.ObjectKind.View => CatalogItemKind.View,
            Ast.ObjectKind.MaterializedView => CatalogItemKind.MaterializedView,
            Ast.ObjectKind.Source or Ast.ObjectKind.Subsource => CatalogItemKind.Source,
            Ast.ObjectKind.Sink => CatalogItemKind.Sink,
            Ast.ObjectKind.Index => CatalogItemKind.Index,
            Ast.ObjectKind.Connection => CatalogItemKind.Connection,
            _ => null,
        };
        if (item.Kind != wanted)
            throw SqlException.Plan($"{item.Name} is not a {(wanted is { } kind ? KindNames.Of(kind) : show.Kind.ToString().ToLowerInvariant())}", show.Position());
        if (item.IsSystem || item.CreateSql.Length == 0)
            throw SqlException.Plan($"cannot show create for system object {item.Name}", show.Position());
        return Row(item.Name.ToString(), Pretty(item.CreateSql, show.Redacted));
    }

    /// <summary>Stored SQL as people read it.</summary>
    public static string Pretty(string stored, bool redacted) =>
        AstPrinter.ToSql(SqlParser.ParseStatement(stored).Statement, redacted ? PrintMode.Redacted : PrintMode.Simple) + ";";

    private static ConstantResult Row(string name, string sql) => new(Desc, [[Datum.FromString(name), Datum.FromString(sql)]]);

    private static string ClusterSql(StatementContext context, Ast.ShowStatement.Create show)
    {
        var cluster = context.Catalog.ResolveCluster(show.Name.Item.Value) ?? throw SqlException.Plan($"unknown cluster '{show.Name}'", show.Position());
        if (!cluster.IsManaged)
            throw SqlException.Unsupported("SHOW CREATE for unmanaged clusters", show.Position());
        return $"CREATE CLUSTER \"{cluster.Name}\" (INTROSPECTION DEBUGGING = {(cluster.IntrospectionDebugging ? "true" : "false")}, "
            + $"INTROSPECTION INTERVAL = {(cluster.IntrospectionInterval is { } interval ? $"INTERVAL '{interval:hh\\:mm\\:ss}'" : "NULL")}, MANAGED = true, "
            + $"REPLICATION FACTOR = {cluster.ReplicationFactor}, SIZE = '{cluster.Size}', SCHEDULE = MANUAL)";
    }
}
