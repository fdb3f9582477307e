using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Optimizer;
using Materialize.Persist.Columns;
using Materialize.Persist.Oracle;
using Materialize.Persist.Txns;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>A planned dataflow of an item that is about to be, with its inputs held at its as-of.</summary>
internal sealed class PreparedDataflow(DataflowDescription dataflow, IReadOnlyList<ReadHold> holds, ulong asOf) : IDisposable
{
    private bool _taken;

    public DataflowDescription Dataflow { get; } = dataflow;

    public ulong AsOf { get; } = asOf;

    /// <summary>The holds pass to the controller.</summary>
    public IReadOnlyList<ReadHold> TakeHolds()
    {
        _taken = true;
        return holds;
    }

    public void Dispose()
    {
        if (_taken)
            return;
        foreach (var hold in holds)
            hold.Dispose();
    }
}

/// <summary>
/// Makes the controllers do what the catalog says: collections, dataflows, replicas, ingestions. Used for each new item, and for all
/// of them at start.
/// </summary>
internal sealed class DataflowInstaller(AdapterServices services)
{
    private const ulong DefaultWindowMs = 1000;

    /// <summary>
    /// Plans the dataflow of an index or materialized view. It starts as far back as its inputs are readable, so that the new object
    /// is readable as far back as they are; after a restart, a materialized view goes on where its shard ends.
    /// </summary>
    public PreparedDataflow Prepare(CatalogState state, Item item, ulong? shardUpper = null)
    {
        var dataflow = item.Definition switch
        {
            ItemDefinition.Index x => DataflowPlanner.ForIndex(
                new DataflowCatalog(state, x.Cluster, builtFor: item.Id), item.Id, item.Name, x.On, state.Items[x.On].Desc!.Type, new ArrangementKey(x.Keys)).Dataflow,
            ItemDefinition.MaterializedView x => DataflowPlanner.ForMaterializedView(
                new DataflowCatalog(state, x.Cluster, builtFor: item.Id), item.Id, services.TransientIds.Next(), item.Name, x.Query.Whole, Metadata(item, isTable: false)).Dataflow,
            _ => throw new System.Diagnostics.UnreachableException(item.Kind.ToString()),
        };
        dataflow = dataflow with { SourceImports = dataflow.SourceImports.Select(i => i with { Metadata = services.Storage.Metadata(i.Id) }) };
        Invariant.Check(dataflow.SourceImports.All(i => i.Metadata is not null), $"every import of {item.Id} is a storage collection");
        var holds = services.Registry.Acquire([.. dataflow.ImportIds]);
        Invariant.Check(holds is not null, $"the imports of {item.Id} exist");
        var asOf = holds.Count == 0 ? 0 : holds.Max(h => h.At).Value;
        if (shardUpper is { } upper)
            asOf = Math.Max(asOf, Math.Max(upper, 1) - 1);
        foreach (var hold in holds)
            hold.DowngradeTo(Frontier.At(asOf));
        return new PreparedDataflow(dataflow with { AsOf = asOf }, holds, asOf);
    }

    public async Task AddTableAsync(Item item, CancellationToken cancel)
    {
        var metadata = Metadata(item, isTable: true);
        // Readable from a time at which it was registered, and complete up to the next commit.
        var at = await RegisterAsync([metadata.Shard], cancel);
        await services.Storage.AddCollectionAsync(item.Id, StorageCollectionKind.Table, metadata, 0, Window(item), cancel);
        services.Storage.AdvanceTables(at.AdvanceTo.Millis, [item.Id]);
    }

    /// <summary>All tables at start, registered at one time; registering again is harmless.</summary>
    public async Task AddTablesAsync(IReadOnlyList<Item> tables, CancellationToken cancel)
    {
        var at = await RegisterAsync([.. tables.Select(t => t.Shard!.Value)], cancel);
        await Task.WhenAll(tables.Select(
            t => services.Storage.AddCollectionAsync(t.Id, StorageCollectionKind.Table, Metadata(t, isTable: true), 0, Window(t), cancel)));
        services.Storage.AdvanceTables(at.AdvanceTo.Millis, []);
    }

    /// <summary>What sources and materialized views have stored, at start. All at once: their writes share commits of the consensus store.</summary>
    public Task AddCollectionsAsync(IReadOnlyList<Item> items, CancellationToken cancel) => Task.WhenAll(items.Select(item =>
        item.Definition is ItemDefinition.MaterializedView
            ? services.Storage.AddCollectionAsync(
                item.Id, StorageCollectionKind.MaterializedView, Metadata(item, isTable: false), item.AsOf ?? 0, Window(item), cancel)
            : AddSourceCollectionAsync(item, cancel)));

    /// <summary>
    /// Makes the catalog relations equal to the catalog: the process may have died between a change and its rows, and a new version
    /// may have other built-ins.
    /// </summary>
    public async Task ReconcileBuiltinsAsync(CancellationToken cancel)
    {
        var changes = new Dictionary<BuiltinRow, long>();
        foreach (var row in BuiltinRows.All(services.Catalog.State))
            changes[row] = changes.GetValueOrDefault(row) + 1;
        var readTs = await services.Oracle.ReadTsAsync(cancel);
        var stored = await Task.WhenAll(
            Builtins.Tables.Where(t => t != Builtins.SourceStatusHistory).Select(t => StoredRowsAsync(t, readTs, cancel)));
        foreach (var (row, count) in stored.SelectMany(rows => rows))
            changes[row] = changes.GetValueOrDefault(row) - count;

        var writes = BuiltinWrites(changes.Where(c => c.Value != 0).Select(c => (c.Key, c.Value)));
        if (writes.Count > 0)
            await services.Committer.SubmitAsync(writes);
    }

    /// <summary>Goes on with a view whose collection is there: from where its shard ends.</summary>
    public void RestartMaterializedView(CatalogState state, Item item)
    {
        using var prepared = Prepare(state, item, services.Registry.Frontiers(item.Id)!.Value.Upper.Time);
        services.Compute.CreateDataflow(
            new InstanceId(((ItemDefinition.MaterializedView)item.Definition).Cluster.Value), prepared.Dataflow, prepared.TakeHolds(), null);
    }

    /// <summary>A row of mz_source_status_history. Not waited for: it tells of what has happened.</summary>
    public void RecordSourceStatus(SourceStatus status)
    {
        var micros = (services.Time.GetUtcNow().UtcTicks - DateTime.UnixEpoch.AddYears(30).Ticks) / TimeSpan.TicksPerMicrosecond;
        var row = new BuiltinRow(
            Builtins.SourceStatusHistory.Id,
            [
                Datum.FromInt64(micros),
                Datum.FromString(status.Id.ToString()),
                Datum.FromString(status.Status),
                status.Error is { } error ? Datum.FromString(error) : Datum.Null,
                Datum.Null,
                Datum.Null,
            ]);
        _ = services.Committer.SubmitAsync(BuiltinWrites([(row, 1)]));
    }

    public async Task DropTableAsync(Item item)
    {
        services.Storage.DropCollection(item.Id);
        await services.Committer.AtNewTimeAsync(at => services.Txns.ForgetAsync(at, item.Shard!.Value, CancellationToken.None), CancellationToken.None);
    }

    public async Task AddMaterializedViewAsync(Item item, PreparedDataflow prepared, CancellationToken cancel)
    {
        var view = (ItemDefinition.MaterializedView)item.Definition;
        await services.Storage.AddCollectionAsync(
            item.Id, StorageCollectionKind.MaterializedView, Metadata(item, isTable: false), item.AsOf ?? prepared.AsOf, Window(item), cancel);
        services.Compute.CreateDataflow(new InstanceId(view.Cluster.Value), prepared.Dataflow, prepared.TakeHolds(), null);
    }

    public void AddIndex(Item item, PreparedDataflow prepared) => services.Compute.CreateDataflow(
        new InstanceId(((ItemDefinition.Index)item.Definition).Cluster.Value), prepared.Dataflow, prepared.TakeHolds(), Window(item));

    public async Task AddSourceCollectionAsync(Item item, CancellationToken cancel) => await services.Storage.AddCollectionAsync(
        item.Id, StorageCollectionKind.Source, Metadata(item, isTable: false), 0, Window(item), cancel);

    /// <summary>Runs a source with the outputs that it has in <paramref name="state"/>.</summary>
    public void RunIngestion(CatalogState state, Item item)
    {
        var source = (ItemDefinition.Source)item.Definition;
        var outputs = state.UsedBy.GetValueOrDefault(item.Id, [])
            .Select(id => state.Items[id])
            .Where(o => o.Definition is ItemDefinition.SourceOutput { IsProgress: false, Upstream: not null });
        var exports = outputs.Select(o =>
        {
            var upstream = ((ItemDefinition.SourceOutput)o.Definition).Upstream!;
            var columns = upstream.Columns.Select(c => new UpstreamColumn(c.Name, c.TypeOid, c.TypeModifier, c.IsNullable));
            return new SourceExport(o.Id, upstream.Schema, upstream.Name, upstream.Oid, columns.ToValueArray(), Metadata(o, isTable: false));
        });
        services.Storage.RunIngestion(
            new InstanceId(source.Cluster.Value),
            new IngestionDescription(
                item.Id, item.Name, ConnectionOf(state, source), Metadata(item, isTable: false), exports.ToValueArray(), source.TimestampIntervalMs));
    }

    public SourceConnection ConnectionOf(CatalogState state, ItemDefinition.Source source)
    {
        var postgres = (SourceConnector.Postgres)source.Connector;
        return ConnectionOf(state, postgres.Connection, postgres.Publication, source.Slot ?? "");
    }

    /// <summary>A Postgres connection with its secrets resolved.</summary>
    public SourceConnection.Postgres ConnectionOf(CatalogState state, GlobalId connection, string publication, string slot)
    {
        var details = ((ItemDefinition.Connection)state.Items[connection].Definition).Details;
        return new SourceConnection.Postgres(
            Text("host") ?? "localhost",
            int.TryParse(Text("port"), out var port) ? port : 5432,
            Text("user") ?? "postgres",
            Text("password"),
            Text("database") ?? "postgres",
            Text("ssl mode") ?? "disable",
            publication,
            slot);

        string? Text(string option) => details.Find(option) switch
        {
            ConnectionValue.Text text => text.Value,
            ConnectionValue.Secret secret => services.Secrets.Get(secret.Id),
            null => null,
            _ => throw SqlException.Unsupported("connections through tunnels"),
        };
    }

    public void AddCluster(ClusterEntry cluster)
    {
        var instance = new InstanceId(cluster.Id.Value);
        services.Compute.CreateInstance(instance);
        services.Storage.CreateInstance(instance);
        foreach (var replica in cluster.Replicas)
            AddReplica(cluster.Id, replica);
    }

    public void AddReplica(ClusterId cluster, ReplicaEntry replica)
    {
        var instance = new InstanceId(cluster.Value);
        var endpoints = services.Orchestrator.EnsureReplica(instance, replica.Id.Value, services.Options.Sizes[replica.Size]);
        services.Compute.AddReplica(instance, replica.Id.Value, endpoints.Compute);
        services.Storage.AddReplica(instance, replica.Id.Value, endpoints.Storage);
    }

    public async Task DropReplicaAsync(ClusterId cluster, ReplicaEntry replica)
    {
        var instance = new InstanceId(cluster.Value);
        await services.Compute.DropReplicaAsync(instance, replica.Id.Value);
        await services.Storage.DropReplicaAsync(instance, replica.Id.Value);
        await services.Orchestrator.DropReplicaAsync(instance, replica.Id.Value);
    }

    public async Task DropClusterAsync(ClusterEntry cluster)
    {
        var instance = new InstanceId(cluster.Id.Value);
        services.Logs.Drop(cluster.Id);
        await services.Compute.DropInstanceAsync(instance);
        await services.Storage.DropInstanceAsync(instance);
        foreach (var replica in cluster.Replicas)
            await services.Orchestrator.DropReplicaAsync(instance, replica.Id.Value);
    }

    /// <summary>Rows of catalog relations as writes to their tables.</summary>
    public List<TableWrite> BuiltinWrites(IEnumerable<(BuiltinRow Row, long Diff)> changes)
    {
        var writes = new List<TableWrite>();
        foreach (var table in changes.GroupBy(c => c.Row.Table))
        {
            var item = services.Catalog.State.Items[table.Key];
            var layout = RowLayout.For(item.Desc!.Type.Columns);
            var builder = new UpdateColumnsBuilder();
            foreach (var (row, diff) in table)
                builder.Add(RowCodec.Pack(layout, row.Values.AsSpan()), Timestamp.MinValue, diff);
            writes.Add(new TableWrite(item.Id, item.Shard!.Value, builder.Build()));
        }

        return writes;
    }

    private async Task<List<(BuiltinRow Row, long Count)>> StoredRowsAsync(Builtin.Table table, Timestamp asOf, CancellationToken cancel)
    {
        var rows = new List<(BuiltinRow, long)>();
        var layout = RowLayout.For(table.Desc.Type.Columns);
        await using var reader = await services.Persist.OpenReaderAsync(services.Catalog.State.Items[table.Id].Shard!.Value, "reconcile", cancel);
        using var snapshot = await services.TxnsReader.SnapshotAsync(reader, asOf, cancel);
        await foreach (var part in snapshot.ReadConsolidatedAsync(cancel))
        {
            for (var i = 0; i < part.Count; i++)
                rows.Add((new BuiltinRow(table.Id, [.. RowCodec.Unpack(layout, part.Row(i))]), part.Diffs[i]));
        }

        return rows;
    }

    private Task<WriteTimestamp> RegisterAsync(IReadOnlyList<ShardId> shards, CancellationToken cancel) =>
        services.Committer.AtNewTimeAsync(at => services.Txns.RegisterAsync(at, shards, cancel), cancel);

    private CollectionMetadata Metadata(Item item, bool isTable) =>
        new(item.Shard!.Value, isTable ? services.TxnsReader.TxnsShard : null, item.Desc!);

    private static ulong Window(Item item) => item.Definition switch
    {
        ItemDefinition.Table x => x.WindowMs,
        ItemDefinition.MaterializedView x => x.WindowMs,
        ItemDefinition.Index x => x.WindowMs,
        _ => null,
    } ?? DefaultWindowMs;
}
