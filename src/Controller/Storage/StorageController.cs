using Materialize.Core;
using Materialize.Persist;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>How a storage collection gets its rows.</summary>
public enum StorageCollectionKind
{
    /// <summary>Through the transaction log, all tables together.</summary>
    Table,

    /// <summary>From an ingestion.</summary>
    Source,

    /// <summary>From a dataflow's sink.</summary>
    MaterializedView,
}

/// <summary>What a source says of itself.</summary>
public sealed record SourceStatus(GlobalId Id, string Status, string? Error, IReadOnlyList<string> Hints);

/// <summary>
/// Drives the storage side: which collection is in which shard, how far each has come, ingestions and their health; lets shards
/// forget what no read hold needs.
/// </summary>
/// <remarks>
/// Called from the coordinator, from sessions (for metadata) and from links. Source: reference, consistency-and-time §6, §11, §14.3.
/// </remarks>
public sealed partial class StorageController : IAsyncDisposable
{
    /// <summary>How far a shard's durable since may lag behind what nobody needs any more: each downgrade is a write.</summary>
    private const ulong DurableSinceLagMs = 5_000;

    /// <summary>The hold of every environmentd, one after the other: each takes over its predecessor's by epoch.</summary>
    private static readonly CriticalReaderId EnvironmentHold = new(new Guid("6d61746c-0000-4000-8000-656e7669726f"));

    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromSeconds(1);

    private readonly PersistClient _persist;
    private readonly CollectionRegistry _registry;
    private readonly ulong _epoch;
    private readonly TimeProvider _time;
    private readonly ILogger<StorageController> _logger;

    // Guards the maps below; nothing under it waits.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, StorageCollection> _collections = [];
    private readonly Dictionary<InstanceId, StorageInstance> _instances = [];
    private readonly Dictionary<GlobalId, StorageResponse.StatusUpdate> _statuses = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _maintenance;

    /// <param name="epoch">Of this environmentd: sinces are downgraded under it, so that a fenced process cannot.</param>
    public StorageController(PersistClient persist, CollectionRegistry registry, ulong epoch, TimeProvider time, ILoggerFactory loggers)
    {
        _persist = persist;
        _registry = registry;
        _epoch = epoch;
        _time = time;
        _logger = loggers.CreateLogger<StorageController>();
        _maintenance = MaintainAsync();
    }

    /// <summary>A source's health has changed. Any thread.</summary>
    public event Action<SourceStatus>? SourceStatusChanged;

    /// <summary>This process was fenced by a newer one and must stop. Any thread.</summary>
    public event Action? Fenced;

    /// <summary>Adds a collection that is readable from its shard's since, or from <paramref name="asOf"/> if that is later.</summary>
    /// <param name="windowMs">How much history stays readable.</param>
    public async Task AddCollectionAsync(
        GlobalId id, StorageCollectionKind kind, CollectionMetadata metadata, ulong asOf, ulong windowMs, CancellationToken cancel)
    {
        var critical = await _persist.OpenCriticalSinceAsync(metadata.Shard, EnvironmentHold, new FencingEpoch(_epoch), "environmentd", cancel);
        if (critical.Epoch.Value != _epoch)
        {
            // Ours from now on: an environmentd of an older epoch cannot move it any more.
            await critical.CompareAndDowngradeSinceAsync(critical.Epoch, new FencingEpoch(_epoch), critical.Since, cancel);
        }

        var since = Frontier.Of(critical.Since);
        if (!since.IsEmpty)
            since = Frontier.Max(since, Frontier.At(asOf));
        var upper = Frontier.Minimum;
        if (kind != StorageCollectionKind.Table)
        {
            using var writer = await _persist.OpenWriterAsync(metadata.Shard, cancel);
            upper = Frontier.Of(await writer.FetchUpperAsync(cancel));
        }

        _registry.Register(id, since, Frontier.Max(upper, Frontier.At(asOf)), windowMs);
        lock (_gate)
            _collections.Add(id, new StorageCollection(kind, metadata, critical));
    }

    /// <summary>Where a collection lies; null when it is not a storage collection.</summary>
    public CollectionMetadata? Metadata(GlobalId id)
    {
        lock (_gate)
            return _collections.GetValueOrDefault(id)?.Metadata;
    }

    /// <summary>All tables are complete up to <paramref name="upper"/>; <paramref name="written"/> got rows.</summary>
    public void AdvanceTables(ulong upper, IEnumerable<GlobalId> written)
    {
        List<GlobalId> tables;
        lock (_gate)
        {
            tables = [.. _collections.Where(x => x.Value.Kind == StorageCollectionKind.Table).Select(x => x.Key)];
            foreach (var id in written)
            {
                if (_collections.TryGetValue(id, out var collection))
                    collection.WrittenSinceMaintenance = true;
            }
        }

        _registry.AdvanceUppers(tables, Frontier.At(upper));
    }

    /// <summary>Nobody new may read it; its shard is deleted once nobody does.</summary>
    public void DropCollection(GlobalId id)
    {
        lock (_gate)
        {
            if (_collections.TryGetValue(id, out var collection))
                collection.Dropped = true;
            _statuses.Remove(id);
        }

        _registry.Drop(id);
    }

    public void CreateInstance(InstanceId id)
    {
        lock (_gate)
            _instances.Add(id, new StorageInstance(id, _time, _logger, Received));
    }

    public async ValueTask DropInstanceAsync(InstanceId id)
    {
        StorageInstance? instance;
        lock (_gate)
            _instances.Remove(id, out instance);
        if (instance is not null)
            await instance.DisposeAsync();
    }

    public void AddReplica(InstanceId id, string replica, IReadOnlyList<IControlConnector<StorageCommand, StorageResponse>> processes) =>
        Instance(id).AddReplica(replica, processes);

    public ValueTask DropReplicaAsync(InstanceId id, string replica) => Instance(id).DropReplicaAsync(replica);

    /// <summary>Runs an ingestion on a cluster, now and whenever its replica comes back; again with a new description to change it.</summary>
    public void RunIngestion(InstanceId id, IngestionDescription ingestion) => Instance(id).Run(ingestion);

    /// <summary>Stops an ingestion; the task completes when the replica has cleaned up after it, or after a while if there is none.</summary>
    public Task StopIngestionAsync(InstanceId id, GlobalId ingestion, CancellationToken cancel) => Instance(id).StopAsync(ingestion, cancel);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _maintenance;
        List<StorageInstance> instances;
        lock (_gate)
            instances = [.. _instances.Values];
        foreach (var instance in instances)
            await instance.DisposeAsync();
        _stop.Dispose();
    }

    private StorageInstance Instance(InstanceId id)
    {
        lock (_gate)
        {
            var found = _instances.TryGetValue(id, out var instance);
            Invariant.Check(found, $"storage instance {id} exists");
            return instance!;
        }
    }

    private void Received(StorageResponse response)
    {
        switch (response)
        {
            case StorageResponse.FrontierUpper upper:
                lock (_gate)
                {
                    if (_collections.TryGetValue(upper.Id, out var collection))
                        collection.WrittenSinceMaintenance = true;
                }

                _registry.AdvanceUpper(upper.Id, Frontier.Of(upper.Upper.Time));
                break;
            case StorageResponse.StatusUpdate status:
                lock (_gate)
                {
                    // A replica tells all it knows to whoever connects: that is news only if it differs.
                    if (status.Equals(_statuses.GetValueOrDefault(status.Id)))
                        break;
                    _statuses[status.Id] = status;
                }

                LogStatus(status.Id, status.Status, status.Error);
                SourceStatusChanged?.Invoke(new SourceStatus(status.Id, status.Status, status.Error, [.. status.Hints]));
                break;
        }
    }

    /// <summary>Once a second: durable sinces follow, written shards are compacted a step, dropped ones deleted.</summary>
    private async Task MaintainAsync()
    {
        using var timer = new PeriodicTimer(MaintenanceInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                List<(GlobalId Id, StorageCollection Collection)> work;
                lock (_gate)
                    work = [.. _collections.Select(x => (x.Key, x.Value))];
                foreach (var (id, collection) in work)
                    await MaintainAsync(id, collection, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private async Task MaintainAsync(GlobalId id, StorageCollection collection, CancellationToken cancel)
    {
        try
        {
            if (_registry.Frontiers(id) is not { } frontiers)
            {
                if (!collection.Dropped)
                    return;
                await _persist.FinalizeShardAsync(collection.Metadata.Shard, cancel);
                lock (_gate)
                    _collections.Remove(id);
                return;
            }

            var durable = Frontier.Of(collection.Critical.Since).Value;
            var active = collection.Kind == StorageCollectionKind.MaterializedView || collection.WrittenSinceMaintenance;
            if (!active || frontiers.Since.Time is not { } since || since < durable || since - durable < DurableSinceLagMs)
                return;
            collection.WrittenSinceMaintenance = false;
            var mine = new FencingEpoch(_epoch);
            var result = await collection.Critical.CompareAndDowngradeSinceAsync(mine, mine, Frontier.At(since).ToAntichain(), cancel);
            if (result is SinceResult.Mismatch)
            {
                Fenced?.Invoke();
                return;
            }

            await _persist.MaintainAsync(collection.Metadata.Shard, cancel);
        }
        catch (Exception e) when (e is PersistException or IOException)
        {
            // Nothing is lost: the next round tries again. The disk may be full.
            LogMaintenance(id, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "source {Id} is {Status}: {Error}")]
    private partial void LogStatus(GlobalId id, string status, string? error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "maintenance of {Id} is delayed: {Reason}")]
    private partial void LogMaintenance(GlobalId id, string reason);

    private sealed class StorageCollection(StorageCollectionKind kind, CollectionMetadata metadata, CriticalSince critical)
    {
        public StorageCollectionKind Kind { get; } = kind;

        public CollectionMetadata Metadata { get; } = metadata;

        public CriticalSince Critical { get; } = critical;

        public bool WrittenSinceMaintenance { get; set; }

        public bool Dropped { get; set; }
    }
}
