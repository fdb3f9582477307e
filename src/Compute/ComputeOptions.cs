using Materialize.Persist;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute;

/// <summary>What the compute side of a process needs from outside.</summary>
public sealed record ComputeOptions
{
    /// <summary>Worker threads of this process, at least one.</summary>
    public required int Workers { get; init; }

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
