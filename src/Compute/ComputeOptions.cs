using Materialize.Persist;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute;

/// <summary>What the compute side of a process needs from outside.</summary>
public sealed record ComputeOptions
{
    /// <summary>Worker threads of this process, at least one.</summary>
    public required int Workers { get; init; }

    /// <summary>Keep each worker's thread on a processor of its own. For machines that nothing else runs on.</summary>
    public bool PinWorkers { get; init; }

    /// <summary>The replica's other processes; null: there are none.</summary>
    public ReplicaMesh? Mesh { get; init; }

    /// <summary>A sink that is behind by more than this, because the store is slow, holds the sources of its dataflow back.</summary>
    public long SinkBacklogBytesMax { get; init; } = 64L << 20;

    /// <summary>Not owned.</summary>
    public required PersistClient Persist { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILoggerFactory Logs { get; init; }

    /// <summary>
    /// Told, once, why this process cannot go on: storage failed for good, an invariant broke in a worker, or a controller asked for
    /// another configuration. The process should end; it is rebuilt from commands and shards.
    /// </summary>
    public required Action<Exception> Fatal { get; init; }
}

/// <summary>A replica of several processes, and which of them this one is.</summary>
/// <param name="Replica">A name that all its processes have, and no other replica's.</param>
/// <param name="Process">From 0. Process 0 is the one that takes commands.</param>
/// <param name="Addresses">Where each process listens for those with a higher number.</param>
/// <param name="Transport">By which they reach each other.</param>
public sealed record ReplicaMesh(string Replica, int Process, IReadOnlyList<TransportAddress> Addresses, ITransport Transport);
