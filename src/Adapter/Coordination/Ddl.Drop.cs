using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Ddl
{
    private async Task<DdlResult> DropAsync(StatementPlan.DropObjects plan, CancellationToken cancel)
    {
        var state = services.Catalog.State;
        var removes = new List<string>();
        var retired = new List<Item>();
        var clusters = new List<ClusterEntry>();
        var replicas = new List<(ClusterId Cluster, ReplicaEntry Replica)>();
        foreach (var id in plan.All)
        {
            switch (id)
            {
                case ObjectId.Item x:
                    removes.Add($"item/{x.Id}");
                    retired.Add(state.Items[x.Id]);
                    break;
                case ObjectId.Database x:
                    removes.Add($"database/{x.Id}");
                    break;
                case ObjectId.Schema x:
                    removes.Add($"schema/{x.Id}");
                    break;
                case ObjectId.Role x:
                    CheckRoleOwnsNothing(state, x.Id);
                    removes.Add($"role/{x.Id}");
                    break;
                case ObjectId.Cluster x:
                    removes.Add($"cluster/{x.Id}");
                    clusters.Add(state.Clusters[x.Id]);
                    foreach (var replica in state.Clusters[x.Id].Replicas)
                        removes.Add($"replica/{replica.Id}");
                    break;
                case ObjectId.Replica x:
                    removes.Add($"replica/{x.Id}");
                    replicas.Add((x.ClusterId, state.Clusters[x.ClusterId].Replicas.Single(r => r.Id == x.Id)));
                    break;
                default:
                    throw SqlException.Unsupported($"DROP {plan.Kind}");
            }
        }

        removes.AddRange(state.Comments.Where(c => removes.Contains($"item/{c.Value.ObjectId}")).Select(c => c.Key));
        await CommitAsync([], [.. removes.Distinct()], cancel);
        await RetireAsync(retired);
        foreach (var (cluster, replica) in replicas)
            await installer.DropReplicaAsync(cluster, replica);
        foreach (var cluster in clusters)
            await installer.DropClusterAsync(cluster);
        return new DdlResult($"DROP {plan.Kind}");
    }

    private async Task CommitAndRetireAsync(IReadOnlyList<CatalogEntry> puts, ValueArray<GlobalId> replaced, CancellationToken cancel) =>
        await RetireAsync((await CommitKeepingRetiredAsync(puts, replaced, cancel)).Retired);

    private async Task<(CatalogState State, List<Item> Retired)> CommitKeepingRetiredAsync(
        IReadOnlyList<CatalogEntry> puts, ValueArray<GlobalId> replaced, CancellationToken cancel)
    {
        var retired = replaced.Select(id => services.Catalog.State.Items[id]).ToList();
        var state = await CommitAsync(puts, [.. retired.Select(i => $"item/{i.Id}")], cancel);
        return (state, retired);
    }

    /// <summary>Stops what runs because of dropped items; what reads them ends with an error, and their data go once nobody does.</summary>
    private async Task RetireAsync(List<Item> items)
    {
        foreach (var item in items)
        {
            switch (item.Definition)
            {
                case ItemDefinition.Index x:
                    services.Compute.DropExports(new InstanceId(x.Cluster.Value), [item.Id]);
                    break;
                case ItemDefinition.MaterializedView x:
                    services.Compute.DropExports(new InstanceId(x.Cluster.Value), [item.Id]);
                    services.Storage.DropCollection(item.Id);
                    break;
                case ItemDefinition.Table:
                    await installer.DropTableAsync(item);
                    break;
                case ItemDefinition.Source x:
                    await services.Storage.StopIngestionAsync(new InstanceId(x.Cluster.Value), item.Id, CancellationToken.None);
                    services.Storage.DropCollection(item.Id);
                    break;
                case ItemDefinition.SourceOutput:
                    services.Storage.DropCollection(item.Id);
                    break;
                case ItemDefinition.Secret:
                    services.Secrets.Remove(item.Id);
                    break;
            }
        }

        services.Compute.EndReaders(items.Where(i => i.IsStored).Select(i => i.Id).ToHashSet());

        // A table of a source that goes on: the ingestion is run again without it.
        var sources = items.Select(i => i.Definition).OfType<ItemDefinition.SourceOutput>().Select(o => o.SourceId).Distinct();
        foreach (var source in sources)
        {
            if (services.Catalog.State.Items.TryGetValue(source, out var left))
                installer.RunIngestion(services.Catalog.State, left);
        }
    }

    private static void CheckRoleOwnsNothing(CatalogState state, RoleId role)
    {
        var owned = state.Items.Values.Where(i => i.Owner == role).Select(i => i.Name).Order().ToList();
        if (owned.Count == 0)
            return;
        throw new SqlException("2BP01", $"role \"{state.Roles[role].Name}\" cannot be dropped because some objects depend on it")
        {
            Detail = string.Join("\n", owned.Select(name => $"owner of {name}")),
        };
    }
}
