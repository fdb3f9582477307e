using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>The catalog as one session sees it: a state, plus search path, current database and variables.</summary>
/// <param name="variables">Values of session and system variables by name; null for an unknown one.</param>
public sealed class SessionCatalog(CatalogState state, SessionContext session, Func<string, string?> variables) : ISqlCatalog
{
    private static readonly string[] ImplicitSchemas = ["mz_catalog", "pg_catalog"];

    public CatalogState State { get; } = state;

    public SessionContext Session { get; } = session;

    public CatalogSchema? CurrentSchema =>
        Session.SearchPath.Select(name => ResolveSchema(null, name)).FirstOrDefault(schema => schema is not null);

    public IEnumerable<CatalogItem> Items => State.Items.Values.Select(Describe);

    public IEnumerable<CatalogSchema> Schemas => State.Schemas.Values.Select(Describe);

    public IEnumerable<CatalogDatabase> Databases => State.Databases.Values.Select(Describe);

    public IEnumerable<CatalogCluster> Clusters => State.Clusters.Values.Select(Describe);

    public IEnumerable<CatalogRole> Roles => State.Roles.Values.Select(r => new CatalogRole(r.Id, r.Name));

    public CatalogItem? ResolveItem(PartialName name)
    {
        foreach (var schema in SchemasToSearch(name.Database, name.Schema))
        {
            if (State.ItemsByName.TryGetValue((schema, name.Item), out var id))
                return Describe(State.Items[id]);
        }

        return null;
    }

    public CatalogType? ResolveType(PartialName name)
    {
        foreach (var schema in SchemasToSearch(name.Database, name.Schema))
        {
            if (State.TypesByName.TryGetValue((schema, name.Item), out var type))
                return type;
        }

        return null;
    }

    public CatalogItem? GetItem(GlobalId id) => State.Items.TryGetValue(id, out var item) ? Describe(item) : null;

    public CatalogDatabase? ResolveDatabase(string name) =>
        State.Databases.Values.FirstOrDefault(d => d.Name == name) is { } database ? Describe(database) : null;

    public CatalogSchema? ResolveSchema(string? database, string name)
    {
        var inDatabase = database ?? Session.Database;
        SchemaEntry? system = null;
        foreach (var schema in State.Schemas.Values)
        {
            if (schema.Name != name)
                continue;
            if (schema.Database is not { } id)
                system = schema;
            else if (State.Databases[id].Name == inDatabase)
                return Describe(schema);
        }

        // System schemas belong to no database, and may be named as if they belonged to any.
        return system is null ? null : Describe(system);
    }

    public CatalogCluster? ResolveCluster(string name) =>
        State.Clusters.Values.FirstOrDefault(c => c.Name == name) is { } cluster ? Describe(cluster) : null;

    public CatalogRole? ResolveRole(string name) =>
        State.Roles.Values.FirstOrDefault(r => r.Name == name) is { } role ? new CatalogRole(role.Id, role.Name) : null;

    public CatalogNetworkPolicy? ResolveNetworkPolicy(string name) => null;

    public bool IsEnabled(string flag) => (variables(flag) ?? throw new InvalidOperationException($"the planner asks for \"{flag}\", which no variable is")) is "on" or "true";

    public string? GetVariable(string name) => variables(name);

    public CatalogItem Describe(Item item) => new()
    {
        Id = item.Id,
        Oid = item.Oid,
        Name = State.NameOf(item),
        Kind = item.Kind,
        SchemaId = item.SchemaId,
        Owner = item.Owner,
        Desc = item.Desc,
        CreateSql = item.CreateSql,
        DependsOn = [.. item.DependsOn],
        UsedBy = [.. State.UsedBy.GetValueOrDefault(item.Id, [])],
        Cluster = item.Definition switch
        {
            ItemDefinition.Index x => x.Cluster,
            ItemDefinition.MaterializedView x => x.Cluster,
            ItemDefinition.Source x => x.Cluster,
            ItemDefinition.Unplanned x => x.Cluster,
            _ => null,
        },
        Unplanned = (item.Definition as ItemDefinition.Unplanned)?.Reason,
        ColumnDefaults = item.Definition is ItemDefinition.Table table ? [.. table.Defaults] : [],
        IsWritable = item.Definition is ItemDefinition.Table && !item.Id.IsSystem,
        ParentId = item.Definition switch
        {
            ItemDefinition.Index x => x.On,
            ItemDefinition.SourceOutput x => x.SourceId,
            _ => null,
        },
        IndexKeys = item.Definition is ItemDefinition.Index index ? [.. index.Keys] : [],
        ConnectorType = item.Definition switch
        {
            ItemDefinition.Source { Connector: SourceConnector.Postgres } => "postgres",
            ItemDefinition.SourceOutput { IsProgress: true } => "progress",
            ItemDefinition.SourceOutput => "subsource",
            ItemDefinition.Log => "log",
            ItemDefinition.Connection x => x.Details.Type,
            _ => null,
        },
    };

    private IEnumerable<SchemaId> SchemasToSearch(string? database, string? schema)
    {
        if (schema is not null)
        {
            if (ResolveSchema(database, schema) is { } found && (database is null || found.Database is null || found.Database == database))
                yield return found.Id;
            yield break;
        }

        foreach (var name in ImplicitSchemas.Where(n => !Session.SearchPath.Contains(n)).Concat(Session.SearchPath))
        {
            if (ResolveSchema(null, name) is { } found)
                yield return found.Id;
        }
    }

    private CatalogDatabase Describe(DatabaseEntry database) => new(database.Id, database.Name, database.Owner);

    private CatalogSchema Describe(SchemaEntry schema) => new(
        schema.Id,
        schema.Database,
        schema.Database is { } database ? State.Databases[database].Name : null,
        schema.Name,
        schema.Owner);

    private static CatalogCluster Describe(ClusterEntry cluster) => new(cluster.Id, cluster.Name, cluster.Owner)
    {
        IsManaged = cluster.IsManaged,
        Size = cluster.Size,
        ReplicationFactor = cluster.ReplicationFactor,
        Replicas = [.. cluster.Replicas.Select(r => new CatalogReplica(r.Id, r.Name, r.Size, r.Owner))],
    };
}
