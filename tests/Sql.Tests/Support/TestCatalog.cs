using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Sql.Tests;

/// <summary>A catalog of tables made by CREATE TABLE and filled by hand, with one database, schema and cluster.</summary>
internal sealed class TestCatalog : ISqlCatalog
{
    private readonly Dictionary<string, CatalogItem> _items = [];
    private readonly Dictionary<GlobalId, CatalogItem> _byId = [];
    private readonly Dictionary<string, CatalogType> _types = [];
    private readonly HashSet<string> _flags = [];
    private ulong _next = 1;

    public SessionContext Session { get; set; } = new(
        "materialize", ["public"], new RoleId("u1"), "materialize", "quickstart", new DateTimeOffset(2024, 1, 2, 3, 4, 5, TimeSpan.Zero));

    public CatalogSchema? CurrentSchema => Public;

    public IEnumerable<CatalogItem> Items => _items.Values;

    public IEnumerable<CatalogSchema> Schemas => [Public, System];

    public IEnumerable<CatalogDatabase> Databases => [new(new DatabaseId("u1"), "materialize", new RoleId("s1"))];

    public IEnumerable<CatalogCluster> Clusters => [new(new ClusterId("u1"), "quickstart", new RoleId("s1")) { Size = "25cc" }];

    public IEnumerable<CatalogRole> Roles => [new(new RoleId("u1"), "materialize"), new(new RoleId("u2"), "joe")];

    private static CatalogSchema Public { get; } = new(new SchemaId("u3"), new DatabaseId("u1"), "materialize", "public", new RoleId("s1"));

    private static CatalogSchema System { get; } = new(new SchemaId("s1"), null, null, "mz_catalog", new RoleId("s1"));

    public void Enable(string flag) => _flags.Add(flag);

    /// <summary>Adds what a CREATE plan describes.</summary>
    public CatalogItem Add(StatementPlan.CreateItem plan)
    {
        var id = GlobalId.User(_next++);
        var item = new CatalogItem
        {
            Id = id,
            Oid = (uint)(20_000 + id.Number),
            Name = plan.Name,
            SchemaId = plan.SchemaId,
            Owner = new RoleId("u1"),
            CreateSql = plan.CreateSql,
            DependsOn = [.. plan.DependsOn],
            Kind = plan switch
            {
                StatementPlan.CreateTable => CatalogItemKind.Table,
                StatementPlan.CreateView => CatalogItemKind.View,
                StatementPlan.CreateMaterializedView => CatalogItemKind.MaterializedView,
                StatementPlan.CreateIndex => CatalogItemKind.Index,
                StatementPlan.CreateSecret => CatalogItemKind.Secret,
                StatementPlan.CreateConnection => CatalogItemKind.Connection,
                StatementPlan.CreateSource => CatalogItemKind.Source,
                StatementPlan.CreateType => CatalogItemKind.Type,
                _ => throw new ArgumentException(plan.GetType().Name),
            },
            Desc = plan switch
            {
                StatementPlan.CreateTable x => x.Desc,
                StatementPlan.CreateView x => x.Query.Desc,
                StatementPlan.CreateMaterializedView x => x.Query.Desc,
                StatementPlan.CreateSource x => x.Desc,
                _ => null,
            },
            Cluster = plan switch
            {
                StatementPlan.CreateMaterializedView x => x.Cluster,
                StatementPlan.CreateIndex x => x.Cluster,
                StatementPlan.CreateSource x => x.Cluster,
                _ => null,
            },
            ColumnDefaults = plan is StatementPlan.CreateTable table ? [.. table.Defaults] : [],
            IsWritable = plan is StatementPlan.CreateTable,
            ConnectorType = plan is StatementPlan.CreateConnection connection ? connection.Details.Type : null,
        };
        _items[plan.Name.Item] = item;
        _byId[id] = item;
        foreach (var on in plan.DependsOn)
        {
            if (_byId.TryGetValue(on, out var used))
            {
                var changed = used with { UsedBy = [.. used.UsedBy, id] };
                _byId[on] = changed;
                _items[used.Name.Item] = changed;
            }
        }

        if (plan is StatementPlan.CreateType type)
            _types[plan.Name.Item] = new CatalogType(id, plan.Name, type.Type with { CustomId = id });
        return item;
    }

    public CatalogItem? ResolveItem(PartialName name) =>
        name.Schema is null or "public" && name.Database is null or "materialize" && _items.GetValueOrDefault(name.Item) is { Kind: not CatalogItemKind.Type } item ? item : null;

    public CatalogType? ResolveType(PartialName name) => _types.GetValueOrDefault(name.Item);

    public CatalogItem? GetItem(GlobalId id) => _byId.GetValueOrDefault(id);

    public CatalogDatabase? ResolveDatabase(string name) => Databases.FirstOrDefault(d => d.Name == name);

    public CatalogSchema? ResolveSchema(string? database, string name) => Schemas.FirstOrDefault(s => s.Name == name);

    public CatalogCluster? ResolveCluster(string name) => Clusters.FirstOrDefault(c => c.Name == name);

    public CatalogRole? ResolveRole(string name) => Roles.FirstOrDefault(r => r.Name == name);

    public CatalogNetworkPolicy? ResolveNetworkPolicy(string name) => null;

    public bool IsEnabled(string flag) => _flags.Contains(flag);

    public string? GetVariable(string name) => name == "cluster" ? "quickstart" : null;
}
