// DROP, and what falls with what is dropped.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static StatementPlan PlanDrop(StatementContext context, Ast.Statement.DropObjects x)
    {
        var catalog = context.Catalog;
        var kind = KindText(x.Kind);

        // DROP DATABASE takes what is in it along unless told otherwise.
        var cascade = x.Cascade ?? x.Kind == Ast.ObjectKind.Database;
        var drops = new DropCollector(catalog);
        List<ObjectId> named = [];
        foreach (var name in x.Names)
        {
            if (ResolveObject(context, x.Kind, name) is not { } id)
            {
                if (!x.IfExists)
                    throw UnknownObject(context, x.Kind, name);
                context.Notices.Add(new PlanNotice(SqlState.UndefinedObject, $"{kind.ToLowerInvariant()} \"{name}\" does not exist, skipping"));
                continue;
            }

            CheckDroppable(context, id, x, name);
            if (x.Kind == Ast.ObjectKind.Database && x.Cascade == false && catalog.Schemas.Any(s => s.DatabaseId == ((ObjectId.Database)id).Id))
                throw SqlException.Plan($"database '{name}' cannot be dropped with RESTRICT while it contains schemas", name.Position());
            named.Add(id);
        }

        // Things dropped together do not hold each other back.
        drops.Announce(named);
        foreach (var id in named)
            drops.Add(id, cascade);
        if (cascade && drops.All.Count > named.Count && x.Cascade == true)
            context.Notices.Add(new PlanNotice(SqlState.SuccessfulCompletion, $"drop cascades to {drops.All.Count - named.Count} other objects"));
        return new StatementPlan.DropObjects(kind, named.ToValueArray(), drops.All.ToValueArray());
    }

    private static void CheckDroppable(StatementContext context, ObjectId id, Ast.Statement.DropObjects x, Ast.ObjectName name)
    {
        var catalog = context.Catalog;
        switch (id)
        {
            case ObjectId.Item item when catalog.GetItem(item.Id) is { } found:
                if (found.IsSystem)
                    throw SqlException.Plan($"cannot drop item {found.Name} because it is required by the database system", name.Position());
                break;
            case ObjectId.Schema schema when catalog.Schemas.First(s => s.Id == schema.Id).IsSystem:
                throw SqlException.Plan($"cannot drop schema {name} because it is required by the database system", name.Position());
            case ObjectId.Cluster cluster when catalog.Clusters.First(c => c.Id == cluster.Id).IsSystem:
                throw SqlException.Plan($"cannot drop cluster {name} because it is required by the database system", name.Position());
            case ObjectId.Role role:
                if (catalog.Roles.First(r => r.Id == role.Id).IsSystem)
                    throw SqlException.Plan($"role name \"{name}\" is reserved", name.Position());
                if (role.Id == catalog.Session.Role)
                    throw SqlException.Plan("current role cannot be dropped", name.Position());
                var owned = OwnedBy(catalog, role.Id).ToList();
                if (owned.Count > 0)
                {
                    throw new SqlException(SqlState.DependentObjectsStillExist, $"role \"{name}\" cannot be dropped because some objects depend on it")
                    {
                        Detail = string.Join('\n', owned.Select(o => $"owner of {Describe(catalog, o)}")),
                        Position = name.Position(),
                    };
                }

                break;
        }
    }

    private static IEnumerable<ObjectId> OwnedBy(ISqlCatalog catalog, RoleId role) =>
    [
        .. catalog.Items.Where(i => i.Owner == role).Select(i => new ObjectId.Item(i.Id)),
        .. catalog.Schemas.Where(s => s.Owner == role).Select(s => new ObjectId.Schema(s.Id)),
        .. catalog.Databases.Where(d => d.Owner == role).Select(d => new ObjectId.Database(d.Id)),
        .. catalog.Clusters.Where(c => c.Owner == role).Select(c => new ObjectId.Cluster(c.Id)),
    ];

    private static StatementPlan PlanDropOwned(StatementContext context, Ast.Statement.DropOwned x)
    {
        var roles = x.Roles.Select(r => ResolveRole(context, r)).ToValueArray();
        var drops = new DropCollector(context.Catalog);
        var named = roles.SelectMany(r => OwnedBy(context.Catalog, r)).ToList();
        drops.Announce(named);
        foreach (var id in named)
            drops.Add(id, x.Cascade == true);
        return new StatementPlan.DropOwned(roles, drops.All.ToValueArray());
    }

    /// <summary>As messages name an object: <c>table "t"</c>.</summary>
    internal static string Describe(ISqlCatalog catalog, ObjectId id) => id switch
    {
        ObjectId.Item x => catalog.GetItem(x.Id) is { } item ? $"{KindNames.Of(item.Kind)} \"{item.Name.Item}\"" : $"item {x.Id}",
        ObjectId.Schema x => $"schema \"{catalog.Schemas.First(s => s.Id == x.Id).Name}\"",
        ObjectId.Database x => $"database \"{catalog.Databases.First(d => d.Id == x.Id).Name}\"",
        ObjectId.Cluster x => $"cluster \"{catalog.Clusters.First(c => c.Id == x.Id).Name}\"",
        ObjectId.Replica x => $"cluster replica \"{catalog.Clusters.First(c => c.Id == x.ClusterId).Replicas.First(r => r.Id == x.Id).Name}\"",
        ObjectId.Role x => $"role \"{catalog.Roles.First(r => r.Id == x.Id).Name}\"",
        ObjectId.NetworkPolicy x => $"network policy \"{x.Id}\"",
        _ => "SYSTEM",
    };

    private static string KindText(Ast.ObjectKind kind) => kind switch
    {
        Ast.ObjectKind.MaterializedView => "MATERIALIZED VIEW",
        Ast.ObjectKind.ClusterReplica => "CLUSTER REPLICA",
        Ast.ObjectKind.NetworkPolicy => "NETWORK POLICY",
        Ast.ObjectKind.ContinualTask => "CONTINUAL TASK",
        Ast.ObjectKind.User => "ROLE",
        Ast.ObjectKind.Subsource => "SOURCE",
        _ => kind.ToString().ToUpperInvariant(),
    };

    /// <summary>Any object by kind and name; null if there is none.</summary>
    /// <exception cref="SqlException">There is an item of that name, of another kind.</exception>
    private static ObjectId? ResolveObject(StatementContext context, Ast.ObjectKind kind, Ast.ObjectName name)
    {
        var catalog = context.Catalog;
        switch (kind)
        {
            case Ast.ObjectKind.Database:
                return catalog.ResolveDatabase(name.Item.Value) is { } database ? new ObjectId.Database(database.Id) : null;
            case Ast.ObjectKind.Schema:
                return catalog.ResolveSchema(name.Parts.Count > 1 ? name.Parts[^2].Value : null, name.Item.Value) is { } schema ? new ObjectId.Schema(schema.Id) : null;
            case Ast.ObjectKind.Cluster:
                return catalog.ResolveCluster(name.Item.Value) is { } cluster ? new ObjectId.Cluster(cluster.Id) : null;
            case Ast.ObjectKind.ClusterReplica:
                {
                    if (name.Parts.Count != 2)
                        throw SqlException.Plan($"a cluster replica is named by its cluster and itself, not {name}", name.Position());
                    if (catalog.ResolveCluster(name.Parts[0].Value) is not { } of)
                        return null;
                    return of.Replicas.FirstOrDefault(r => r.Name == name.Item.Value) is { } replica ? new ObjectId.Replica(of.Id, replica.Id) : null;
                }

            case Ast.ObjectKind.Role or Ast.ObjectKind.User:
                return catalog.ResolveRole(name.Item.Value) is { } role ? new ObjectId.Role(role.Id) : null;
            case Ast.ObjectKind.NetworkPolicy:
                return catalog.ResolveNetworkPolicy(name.Item.Value) is { } policy ? new ObjectId.NetworkPolicy(policy.Id) : null;
            case Ast.ObjectKind.Type:
                return catalog.ResolveType(StatementContext.Partial(name)) is { } type ? new ObjectId.Item(type.Id) : null;
            case Ast.ObjectKind.Function:
                throw SqlException.NeverSupported("DROP FUNCTION", name.Position());
        }

        if (context.Find(name) is not { } item)
            return null;
        CatalogItemKind? wanted = kind switch
        {
            Ast.ObjectKind.Table => CatalogItemKind.Table,
            Ast.ObjectKind.View => CatalogItemKind.View,
            Ast.ObjectKind.MaterializedView => CatalogItemKind.MaterializedView,
            Ast.ObjectKind.Source or Ast.ObjectKind.Subsource => CatalogItemKind.Source,
            Ast.ObjectKind.Sink => CatalogItemKind.Sink,
            Ast.ObjectKind.Index => CatalogItemKind.Index,
            Ast.ObjectKind.Secret => CatalogItemKind.Secret,
            Ast.ObjectKind.Connection => CatalogItemKind.Connection,
            _ => null,
        };
        if (item.Kind != wanted)
        {
            var article = KindText(kind) is ['A' or 'E' or 'I' or 'O' or 'U', ..] ? "an" : "a";
            var hint = item.Kind == CatalogItemKind.MaterializedView && wanted == CatalogItemKind.View
                ? "Use DROP MATERIALIZED VIEW to remove a materialized view."
                : null;
            throw SqlException.Plan($"{item.Name} is not {article} {KindText(kind)}", name.Position(), hint);
        }

        return new ObjectId.Item(item.Id);
    }

    private static SqlException UnknownObject(StatementContext context, Ast.ObjectKind kind, Ast.ObjectName name) => kind switch
    {
        Ast.ObjectKind.Database => SqlException.Plan($"unknown database '{name}'", name.Position()),
        Ast.ObjectKind.Schema => SqlException.Plan($"unknown schema '{name}'", name.Position()),
        Ast.ObjectKind.Cluster => SqlException.Plan($"unknown cluster '{name}'", name.Position()),
        Ast.ObjectKind.ClusterReplica => context.Catalog.ResolveCluster(name.Parts[0].Value) is null
            ? SqlException.Plan($"unknown cluster '{name.Parts[0].Value}'", name.Position())
            : SqlException.Plan($"unknown cluster replica '{name.Item.Value}'", name.Position()),
        Ast.ObjectKind.Role or Ast.ObjectKind.User => SqlException.Plan($"unknown role '{name}'", name.Position()),
        Ast.ObjectKind.NetworkPolicy => SqlException.Plan($"unknown network policy '{name}'", name.Position()),
        Ast.ObjectKind.Type => SqlException.Plan($"unknown catalog item '{name}'", name.Position()),
        _ => context.UnknownItem(name),
    };
}

/// <summary>Gathers what a drop takes with it, dependents first.</summary>
internal sealed class DropCollector(ISqlCatalog catalog)
{
    private readonly List<ObjectId> _all = [];
    private readonly HashSet<ObjectId> _seen = [];
    private readonly HashSet<ObjectId> _announced = [];

    public IReadOnlyList<ObjectId> All => _all;

    /// <summary>Objects that will all be added: one depending on another is no reason to refuse.</summary>
    public void Announce(IEnumerable<ObjectId> ids) => _announced.UnionWith(ids);

    /// <summary>Adds an object and all that cannot be without it.</summary>
    /// <exception cref="SqlException">Something else depends on it and <paramref name="cascade"/> is off.</exception>
    public void Add(ObjectId id, bool cascade)
    {
        if (!_seen.Add(id))
            return;
        var blockers = new List<ObjectId>();
        foreach (var (dependent, belongs) in Dependents(id))
        {
            if (!cascade && !belongs && !_announced.Contains(dependent) && !_seen.Contains(dependent))
                blockers.Add(dependent);
        }

        if (blockers.Count > 0)
        {
            var what = Planner.Describe(catalog, id);
            throw id is ObjectId.Schema
                ? SqlException.Plan($"schema '{Name(id)}' cannot be dropped without CASCADE while it contains objects")
                : id is ObjectId.Cluster
                    ? SqlException.Plan($"cannot drop {what} because other objects depend on it", hint: "Use DROP ... CASCADE to drop the dependent objects too.", detail: string.Join('\n', blockers.Select(b => Planner.Describe(catalog, b))))
                    : SqlException.Plan(
                        $"cannot drop {what}: still depended upon by {Planner.Describe(catalog, blockers[0])}",
                        hint: blockers.Count > 1 ? $"It is also depended upon by {string.Join(", ", blockers.Skip(1).Select(b => Planner.Describe(catalog, b)))}." : null);
        }

        foreach (var (dependent, _) in Dependents(id))
            Add(dependent, cascade);
        _all.Add(id);
    }

    private string Name(ObjectId id) => id is ObjectId.Schema schema && catalog.Schemas.FirstOrDefault(s => s.Id == schema.Id) is { } found
        ? found.Database is null ? found.Name : $"{found.Database}.{found.Name}"
        : id.ToString();

    /// <summary>What would be left without the object; <c>Belongs</c>: it is a part of it and goes without asking.</summary>
    private IEnumerable<(ObjectId Id, bool Belongs)> Dependents(ObjectId id)
    {
        switch (id)
        {
            case ObjectId.Database x:
                foreach (var schema in catalog.Schemas.Where(s => s.DatabaseId == x.Id).ToList())
                    yield return (new ObjectId.Schema(schema.Id), false);
                break;
            case ObjectId.Schema x:
                foreach (var item in catalog.Items.Where(i => i.SchemaId == x.Id).ToList())
                    yield return (new ObjectId.Item(item.Id), false);
                break;
            case ObjectId.Cluster x:
                foreach (var item in catalog.Items.Where(i => i.Cluster == x.Id).ToList())
                    yield return (new ObjectId.Item(item.Id), false);
                foreach (var replica in catalog.Clusters.First(c => c.Id == x.Id).Replicas)
                    yield return (new ObjectId.Replica(x.Id, replica.Id), true);
                break;
            case ObjectId.Item x when catalog.GetItem(x.Id) is { } item:
                foreach (var usedBy in item.UsedBy)
                {
                    if (usedBy == item.Id || catalog.GetItem(usedBy) is not { } dependent)
                        continue;
                    var belongs = dependent.Kind == CatalogItemKind.Index
                        || (dependent.Kind == CatalogItemKind.Source && dependent.ParentId == item.Id)
                        || (dependent.IsTemporary && !item.IsTemporary);
                    yield return (new ObjectId.Item(dependent.Id), belongs);
                }

                break;
        }
    }
}
