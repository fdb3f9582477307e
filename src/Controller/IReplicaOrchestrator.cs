using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>What a replica of a size is made of.</summary>
public sealed record ReplicaSize(string Name, int Processes, int Workers)
{
    /// <summary>Bytes of memory that each process may use; null: as much as there is.</summary>
    public long? MemoryLimit { get; init; }

    /// <summary>Whether state that does not fit memory may go to scratch files, where the orchestrator has room for them.</summary>
    public bool HasScratch { get; init; } = true;
}

/// <summary>How the controllers reach a replica, one connector per process.</summary>
public sealed record ReplicaEndpoints(
    IReadOnlyList<IControlConnector<ComputeCommand, ComputeResponse>> Compute,
    IReadOnlyList<IControlConnector<StorageCommand, StorageResponse>> Storage);

/// <summary>Runs clusterd processes: as child processes, inside this one, or (later) in Kubernetes.</summary>
public interface IReplicaOrchestrator : IAsyncDisposable
{
    /// <summary>
    /// Sees to it that the replica's processes run, from now on and again whenever one of them dies, until it is dropped.
    /// </summary>
    ReplicaEndpoints EnsureReplica(InstanceId instance, string replica, ReplicaSize size);

    ValueTask DropReplicaAsync(InstanceId instance, string replica);
}
