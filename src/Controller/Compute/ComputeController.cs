using Materialize.Core;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>Identifies a cluster to the controllers: its catalog id.</summary>
public readonly record struct InstanceId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>
/// Drives the compute side of all clusters: creates dataflows, keeps their inputs readable, issues peeks, and collects frontiers and
/// results from replicas. Knows no SQL.
/// </summary>
/// <remarks>
/// Called from the coordinator and from every session, and by the links as responses come in; each instance guards its own state
/// with a short lock. Source of the protocol: reference, consistency-and-time §14.
/// </remarks>
public sealed class ComputeController : IAsyncDisposable
{
    private readonly CollectionRegistry _registry;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly InstanceConfig _config;

    // Guards the map only; instances guard themselves.
    private readonly Lock _gate = new();
    private readonly Dictionary<InstanceId, ComputeInstance> _instances = [];

    public ComputeController(CollectionRegistry registry, InstanceConfig config, TimeProvider time, ILoggerFactory loggers)
    {
        _registry = registry;
        _config = config;
        _time = time;
        _loggers = loggers;
        registry.SinceAdvanced += OnSinceAdvanced;
    }

    /// <summary>Which replica process a peek or a hydration question may be asked of.</summary>
    public event Action<InstanceId, string, ReplicaStatus>? ReplicaStatusChanged;

    public void CreateInstance(InstanceId id)
    {
        lock (_gate)
            _instances.Add(id, new ComputeInstance(id, _registry, _config, _time, _loggers.CreateLogger<ComputeInstance>()));
    }

    /// <summary>Drops the cluster: its replicas are let go, its peeks fail.</summary>
    public async ValueTask DropInstanceAsync(InstanceId id)
    {
        ComputeInstance? instance;
        lock (_gate)
            _instances.Remove(id, out instance);
        if (instance is not null)
            await instance.DisposeAsync();
    }

    /// <summary>Adds a replica of one or more processes; all get the same command stream.</summary>
    public void AddReplica(InstanceId id, string replica, IReadOnlyList<IControlConnector<ComputeCommand, ComputeResponse>> processes) =>
        Instance(id).AddReplica(replica, processes, status => ReplicaStatusChanged?.Invoke(id, replica, status));

    public ValueTask DropReplicaAsync(InstanceId id, string replica) => Instance(id).DropReplicaAsync(replica);

    /// <summary>Replicas that a cluster has, reachable or not.</summary>
    public int ReplicaCount(InstanceId id) => Instance(id).ReplicaCount;

    /// <summary>
    /// Builds a dataflow on every replica. Its inputs are held readable from the as-of for as long as it lives; its index exports
    /// are registered as collections readable from the as-of, with the given compaction window.
    /// </summary>
    /// <param name="inputHolds">Holds on all imports, at or before the as-of; ownership passes.</param>
    /// <param name="subscribe">Receives the batches of the dataflow's subscribe sink, if it has one.</param>
    public void CreateDataflow(
        InstanceId id, DataflowDescription dataflow, IReadOnlyList<ReadHold> inputHolds, ulong? windowMs, ISubscribeReceiver? subscribe = null) =>
        Instance(id).CreateDataflow(dataflow, inputHolds, windowMs, subscribe);

    /// <summary>Drops exports; a dataflow goes when all its exports have.</summary>
    public void DropExports(InstanceId id, IReadOnlyCollection<GlobalId> exports) => TryInstance(id)?.DropExports(exports);

    /// <summary>Ends, with an error, every peek and subscribe that reads one of the dropped collections, on any cluster.</summary>
    public void EndReaders(IReadOnlySet<GlobalId> dropped)
    {
        List<ComputeInstance> instances;
        lock (_gate)
            instances = [.. _instances.Values];
        foreach (var instance in instances)
            instance.EndReaders(dropped);
    }

    /// <summary>Reads a collection at a time; the first replica to answer wins.</summary>
    /// <param name="hold">Keeps the target readable; released when the peek is over.</param>
    /// <returns>The rows of all workers, or an error.</returns>
    public Task<PeekAnswer> PeekAsync(InstanceId id, PeekRequest request, ReadHold hold, CancellationToken cancel) =>
        Instance(id).PeekAsync(request, hold, cancel);

    public async ValueTask DisposeAsync()
    {
        List<ComputeInstance> instances;
        lock (_gate)
        {
            instances = [.. _instances.Values];
            _instances.Clear();
        }

        foreach (var instance in instances)
            await instance.DisposeAsync();
    }

    private ComputeInstance Instance(InstanceId id)
    {
        var instance = TryInstance(id);
        Invariant.Check(instance is not null, $"compute instance {id} exists");
        return instance;
    }

    private ComputeInstance? TryInstance(InstanceId id)
    {
        lock (_gate)
            return _instances.GetValueOrDefault(id);
    }

    private void OnSinceAdvanced(GlobalId id, Frontier since)
    {
        List<ComputeInstance> instances;
        lock (_gate)
            instances = [.. _instances.Values];
        foreach (var instance in instances)
            instance.SinceAdvanced(id, since);
    }
}

/// <summary>What is known of a replica.</summary>
public enum ReplicaStatus
{
    Offline,
    Online,
}

/// <summary>The outcome of a peek on one replica: row batches, one or more per process, or why there are none.</summary>
public abstract record PeekAnswer
{
    private PeekAnswer()
    {
    }

    public sealed record Rows(IReadOnlyList<RowBatch> Batches) : PeekAnswer;

    public sealed record Error(Materialize.Expr.EvalError Reason) : PeekAnswer;

    /// <summary>What it read was dropped meanwhile.</summary>
    public sealed record Dropped : PeekAnswer;
}

/// <summary>Takes the output of a subscribe, called in order by one link at a time; must not block.</summary>
public interface ISubscribeReceiver
{
    /// <summary>Contiguous with the batch before. The last one has no upper.</summary>
    void Receive(SubscribeBatch batch);

    /// <summary>The dataflow is gone before it was complete.</summary>
    void Dropped();
}
