using Materialize.Catalog;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Ddl
{
    private async Task<DdlResult> CreateDatabaseAsync(StatementPlan.CreateDatabase plan, SessionContext session, CancellationToken cancel)
    {
        if (services.Catalog.State.Databases.Values.Any(d => d.Name == plan.Name))
            return Exists("CREATE DATABASE", "42P04", $"database \"{plan.Name}\"", plan.IfNotExists);
        var (number, numbers) = services.Catalog.Allocate("database");
        var (schema, schemas) = services.Catalog.Allocate("schema");
        var (oid, oids) = services.Catalog.Allocate("oid", 2);
        await CommitAsync(
            [
                new CatalogEntry.Database($"u{number}", (uint)oid, plan.Name, session.Role.Value),
                new CatalogEntry.Schema($"u{schema}", (uint)oid + 1, $"u{number}", "public", session.Role.Value),
                numbers,
                schemas,
                oids,
            ],
            [],
            cancel);
        return new DdlResult("CREATE DATABASE");
    }

    private async Task<DdlResult> CreateSchemaAsync(StatementPlan.CreateSchema plan, SessionContext session, CancellationToken cancel)
    {
        if (services.Catalog.State.Schemas.Values.Any(s => s.Database == plan.DatabaseId && s.Name == plan.Name))
            return Exists("CREATE SCHEMA", "42P06", $"schema \"{plan.Name}\"", plan.IfNotExists);
        var (number, numbers) = services.Catalog.Allocate("schema");
        var (oid, oids) = services.Catalog.Allocate("oid");
        await CommitAsync(
            [new CatalogEntry.Schema($"u{number}", (uint)oid, plan.DatabaseId.Value, plan.Name, session.Role.Value), numbers, oids], [], cancel);
        return new DdlResult("CREATE SCHEMA");
    }

    private async Task<DdlResult> CreateRoleAsync(StatementPlan.CreateRole plan, CancellationToken cancel)
    {
        if (services.Catalog.State.Roles.Values.Any(r => r.Name == plan.Name))
            throw new SqlException("42710", $"role '{plan.Name}' already exists");
        if (plan.Attributes.Password is not null)
            throw SqlException.Unsupported("passwords");
        var (number, numbers) = services.Catalog.Allocate("role");
        var (oid, oids) = services.Catalog.Allocate("oid");
        var role = new CatalogEntry.Role(
            $"u{number}", (uint)oid, plan.Name, plan.Attributes.Superuser ?? false, plan.Attributes.Login ?? false);
        await CommitAsync([role, numbers, oids], [], cancel);
        return new DdlResult("CREATE ROLE");
    }

    private async Task<DdlResult> CreateClusterAsync(StatementPlan.CreateCluster plan, SessionContext session, CancellationToken cancel)
    {
        if (services.Catalog.State.Clusters.Values.Any(c => c.Name == plan.Name))
            throw new SqlException("42710", $"cluster '{plan.Name}' already exists");
        var managed = plan.Options.Managed ?? plan.Options.Size is not null;
        var replicas = managed
            ? Enumerable.Range(1, (int)(plan.Options.ReplicationFactor ?? 1)).Select(i => (Name: $"r{i}", Size: plan.Options.Size!)).ToList()
            : plan.Replicas.Select(r => (Name: r.Key, Size: r.Value.Size ?? throw SqlException.Unsupported("unorchestrated replicas"))).ToList();
        foreach (var (_, size) in replicas)
            CheckSize(size);
        var (number, numbers) = services.Catalog.Allocate("cluster");
        var (first, replicaNumbers) = services.Catalog.Allocate("replica", (ulong)replicas.Count);
        List<CatalogEntry> entries =
        [
            new CatalogEntry.Cluster($"u{number}", plan.Name, session.Role.Value, managed, plan.Options.Size, replicas.Count),
            numbers,
            replicaNumbers,
        ];
        entries.AddRange(replicas.Select((r, i) => new CatalogEntry.Replica($"u{first + (ulong)i}", $"u{number}", r.Name, r.Size, session.Role.Value)));
        var state = await CommitAsync(entries, [], cancel);
        installer.AddCluster(state.Clusters[new ClusterId($"u{number}")]);
        return new DdlResult("CREATE CLUSTER");
    }

    private async Task<DdlResult> CreateReplicaAsync(StatementPlan.CreateClusterReplica plan, SessionContext session, CancellationToken cancel)
    {
        var cluster = services.Catalog.State.Clusters[plan.Cluster];
        if (cluster.IsManaged)
            throw new SqlException("XX000", $"cannot modify managed cluster {cluster.Name}");
        if (cluster.Replicas.Any(r => r.Name == plan.Name))
            throw new SqlException("42710", $"cluster replica '{cluster.Name}.{plan.Name}' already exists");
        var size = plan.Options.Size ?? throw SqlException.Unsupported("unorchestrated replicas");
        CheckSize(size);
        var (number, numbers) = services.Catalog.Allocate("replica");
        var entry = new CatalogEntry.Replica($"u{number}", plan.Cluster.Value, plan.Name, size, session.Role.Value);
        var state = await CommitAsync([entry, numbers], [], cancel);
        installer.AddReplica(plan.Cluster, state.Clusters[plan.Cluster].Replicas.Single(r => r.Id.Value == entry.Id));
        return new DdlResult("CREATE CLUSTER REPLICA");
    }

    private async Task<DdlResult> AlterSystemAsync(string name, IReadOnlyList<string> values, CancellationToken cancel)
    {
        var variable = VariableTable.Find(name) ?? throw new SqlException("42704", $"unrecognized configuration parameter \"{name}\"");
        var value = VariableText.Normalize(variable, values);
        await CommitAsync([new CatalogEntry.SystemParameter(variable.Name.ToLowerInvariant(), value)], [], cancel);
        return new DdlResult("ALTER SYSTEM");
    }

    private async Task<DdlResult> ResetSystemAsync(string? name, CancellationToken cancel)
    {
        var names = name is null ? services.Catalog.State.SystemParameters.Keys.ToList() : [name.ToLowerInvariant()];
        if (name is not null && VariableTable.Find(name) is null)
            throw new SqlException("42704", $"unrecognized configuration parameter \"{name}\"");
        var removes = names.Select(n => $"parameter/{n}").Where(key => services.Catalog.Entry(key) is not null).ToList();
        await CommitAsync([], removes, cancel);
        return new DdlResult("ALTER SYSTEM");
    }

    private async Task<DdlResult> CommentAsync(StatementPlan.Comment plan, CancellationToken cancel)
    {
        if (plan.Text is { Length: > 1024 })
            throw new SqlException("XX000", "comment exceeds 1024 bytes");
        var (type, id) = plan.Id switch
        {
            ObjectId.Item x => (Words(services.Catalog.State.Items[x.Id].Kind.ToString()).ToLowerInvariant().Replace(' ', '-'), x.Id.ToString()),
            ObjectId.Database x => ("database", x.Id.Value),
            ObjectId.Schema x => ("schema", x.Id.Value),
            ObjectId.Cluster x => ("cluster", x.Id.Value),
            ObjectId.Role x => ("role", x.Id.Value),
            ObjectId.Replica x => ("cluster-replica", x.Id.Value),
            _ => throw SqlException.Unsupported("COMMENT on this object"),
        };
        var column = plan.Column + 1;
        var entry = new CatalogEntry.Comment(type, id, column, plan.Text ?? "");
        if (plan.Text is not null)
            await CommitAsync([entry], [], cancel);
        else if (services.Catalog.Entry(entry.Key) is not null)
            await CommitAsync([], [entry.Key], cancel);
        return new DdlResult("COMMENT");
    }

    private void CheckSize(string size)
    {
        if (services.Options.Sizes.ContainsKey(size))
            return;
        throw new SqlException("XX000", $"unknown cluster replica size {size}")
        {
            Hint = $"Valid sizes are: {string.Join(", ", services.Options.Sizes.Keys.Order())}.",
        };
    }

    private static DdlResult Exists(string tag, string state, string what, bool ifNotExists)
    {
        if (!ifNotExists)
            throw new SqlException(state, $"{what} already exists");
        return new DdlResult(tag, [new ErrorReport("NOTICE", state, $"{what} already exists, skipping")]);
    }
}
