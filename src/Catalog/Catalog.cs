using System.Collections.Immutable;
using Materialize.Core;
using Materialize.Persist;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser;

namespace Materialize.Catalog;

/// <summary>
/// The catalog of one environment: what is durable, and the state made from it. Changed only by the coordinator, one transaction
/// at a time; read by everybody through immutable states.
/// </summary>
public sealed class Catalog
{
    private readonly DurableCatalog _durable;
    private CatalogState _state;

    private Catalog(DurableCatalog durable, CatalogState state)
    {
        _durable = durable;
        _state = state;
    }

    /// <summary>The state after the last transaction; safe from any thread.</summary>
    public CatalogState State => Volatile.Read(ref _state);

    public ulong Epoch => _durable.Epoch;

    /// <summary>
    /// Plans the built-in views, which <see cref="OpenAsync"/> needs and which needs nothing: a program that starts does it while it
    /// waits for storage.
    /// </summary>
    public static void Prepare() => _ = Bootstrap.SystemState;

    /// <summary>Takes over the catalog shard, making what every environment has if it is new.</summary>
    /// <param name="defaultReplicaSize">The size of the replicas of a new environment's clusters.</param>
    /// <exception cref="CatalogFencedException">Another environmentd owns it.</exception>
    /// <exception cref="InvalidDataException">This version cannot read an entry, or cannot plan an item; the message names it.</exception>
    public static async Task<Catalog> OpenAsync(
        PersistClient persist, ShardId shard, ulong deployGeneration, string defaultReplicaSize, CancellationToken cancel)
    {
        var durable = await DurableCatalog.OpenAsync(persist, shard, deployGeneration, cancel);
        // Users may drop any database or role they own, also the first ones; the allocator of oids is never removed.
        if (!durable.Entries.ContainsKey("id/oid"))
            await durable.CommitAsync(Bootstrap.Entries(defaultReplicaSize), [], cancel);
        var state = Bootstrap.SystemState;
        foreach (var entry in durable.Entries.Values.Where(e => e is not CatalogEntry.Item))
            state = Apply(state, entry);
        foreach (var builtin in Builtins.Tables)
            state = state.With(Bootstrap.TableItem(state, builtin, durable.Entries));
        var items = durable.Entries.Values.OfType<CatalogEntry.Item>()
            .OrderBy(e => GlobalId.TryParse(e.Id, out var id) ? id : default);
        foreach (var item in items)
            state = ApplyStored(state, item);
        return new Catalog(durable, state);
    }

    /// <summary>
    /// Puts and removes entries, all or none, durably; then the new state is visible. Items are planned first, so that a statement
    /// that cannot be planned changes nothing.
    /// </summary>
    /// <exception cref="SqlException">An item does not plan.</exception>
    /// <exception cref="CatalogFencedException">This process no longer owns the catalog.</exception>
    public async Task<CatalogState> TransactAsync(
        IReadOnlyList<CatalogEntry> puts, IReadOnlyList<string> removes, CancellationToken cancel)
    {
        var state = State;
        foreach (var key in removes)
            state = Remove(state, _durable.Entries[key]);
        foreach (var put in puts)
            state = Apply(state, put);
        await _durable.CommitAsync(puts, removes, cancel);
        state = state with { Revision = State.Revision + 1 };
        Volatile.Write(ref _state, state);
        return state;
    }

    /// <summary>
    /// The next <paramref name="count"/> numbers of a name space, and the entry that makes them taken: put it in the same
    /// transaction as what uses them.
    /// </summary>
    public (ulong First, CatalogEntry.IdAllocator Entry) Allocate(string space, ulong count = 1)
    {
        var first = _durable.Entries.TryGetValue($"id/{space}", out var entry) ? ((CatalogEntry.IdAllocator)entry).Next : 1;
        return (first, new CatalogEntry.IdAllocator(space, first + count));
    }

    public CatalogEntry? Entry(string key) => _durable.Entries.GetValueOrDefault(key);

    private static CatalogState Apply(CatalogState state, CatalogEntry entry)
    {
        switch (entry)
        {
            case CatalogEntry.Database x:
                var database = new DatabaseEntry(new DatabaseId(x.Id), x.Oid, x.Name, new RoleId(x.Owner));
                return state with { Databases = state.Databases.SetItem(database.Id, database) };
            case CatalogEntry.Schema x:
                var inDatabase = x.DatabaseId is { } d ? new DatabaseId(d) : (DatabaseId?)null;
                var schema = new SchemaEntry(new SchemaId(x.Id), x.Oid, inDatabase, x.Name, new RoleId(x.Owner));
                return state with { Schemas = state.Schemas.SetItem(schema.Id, schema) };
            case CatalogEntry.Role x:
                var role = new RoleEntry(new RoleId(x.Id), x.Oid, x.Name, x.IsSuperuser, x.CanLogin);
                return state with { Roles = state.Roles.SetItem(role.Id, role) };
            case CatalogEntry.Cluster x:
                var id = new ClusterId(x.Id);
                var cluster = new ClusterEntry(id, x.Name, new RoleId(x.Owner), x.IsManaged, x.Size, x.ReplicationFactor)
                {
                    Replicas = state.Clusters.TryGetValue(id, out var old) ? old.Replicas : [],
                };
                return state with { Clusters = state.Clusters.SetItem(id, cluster) };
            case CatalogEntry.Replica x:
                return WithReplicas(state, x, replicas => replicas
                    .RemoveAll(r => r.Id.Value == x.Id)
                    .Add(new ReplicaEntry(new ReplicaId(x.Id), x.Name, x.Size, new RoleId(x.Owner))));
            case CatalogEntry.Item x:
                return state.With(ItemPlanner.Plan(state, x));
            case CatalogEntry.Comment x:
                return state with { Comments = state.Comments.SetItem(x.Key, x) };
            case CatalogEntry.SystemParameter x:
                return state with { SystemParameters = state.SystemParameters.SetItem(x.Name, x.Value) };
            default:
                // Fences, allocators and shards of built-ins are not part of what a session sees.
                return state;
        }
    }

    private static CatalogState ApplyStored(CatalogState state, CatalogEntry.Item item)
    {
        try
        {
            return Apply(state, item);
        }
        catch (Exception e) when (e is SqlException or ParseException)
        {
            return state.With(UnplannedItem.Of(state, item, e.Message));
        }
    }

    private static CatalogState Remove(CatalogState state, CatalogEntry entry)
    {
        switch (entry)
        {
            case CatalogEntry.Database x:
                return state with { Databases = state.Databases.Remove(new DatabaseId(x.Id)) };
            case CatalogEntry.Schema x:
                return state with { Schemas = state.Schemas.Remove(new SchemaId(x.Id)) };
            case CatalogEntry.Role x:
                return state with { Roles = state.Roles.Remove(new RoleId(x.Id)) };
            case CatalogEntry.Cluster x:
                return state with { Clusters = state.Clusters.Remove(new ClusterId(x.Id)) };
            case CatalogEntry.Replica x:
                return WithReplicas(state, x, replicas => replicas.RemoveAll(r => r.Id.Value == x.Id));
            case CatalogEntry.Item x:
                Invariant.Check(GlobalId.TryParse(x.Id, out var id), "an item's id");
                return state.Without(id);
            case CatalogEntry.Comment x:
                return state with { Comments = state.Comments.Remove(x.Key) };
            case CatalogEntry.SystemParameter x:
                return state with { SystemParameters = state.SystemParameters.Remove(x.Name) };
            default:
                return state;
        }
    }

    private static CatalogState WithReplicas(
        CatalogState state, CatalogEntry.Replica replica, Func<ImmutableList<ReplicaEntry>, ImmutableList<ReplicaEntry>> change)
    {
        // At start, entries come in no order: a replica may come before its cluster.
        var id = new ClusterId(replica.ClusterId);
        var cluster = state.Clusters.GetValueOrDefault(id) ?? new ClusterEntry(id, "", new RoleId("s1"), true, null, 0);
        return state with { Clusters = state.Clusters.SetItem(id, cluster with { Replicas = change(cluster.Replicas) }) };
    }
}
