using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Persist;

/// <summary>What goes on in the background and nobody awaits.</summary>
internal interface IPersistEvents
{
    void PushRejected(ShardId shard, Exception why);

    void MaintenanceFailed(ShardId shard, Exception why);

    void HeartbeatFailed(ShardId shard, Exception why);

    void ReaderExpired(ShardId shard, string purpose);

    void Swept(int blobs);
}

internal sealed partial class PersistLog(ILogger<PersistClient> logger) : IPersistEvents
{
    [LoggerMessage(1, LogLevel.Warning, "A pushed diff of shard {Shard} cannot be read; consensus will be asked.")]
    public partial void PushRejected(ShardId shard, Exception why);

    [LoggerMessage(2, LogLevel.Warning, "Maintenance of shard {Shard} failed; it will be tried again.")]
    public partial void MaintenanceFailed(ShardId shard, Exception why);

    [LoggerMessage(3, LogLevel.Warning, "The lease of a reader of shard {Shard} could not be renewed.")]
    public partial void HeartbeatFailed(ShardId shard, Exception why);

    [LoggerMessage(4, LogLevel.Warning, "The lease of the reader \"{Purpose}\" of shard {Shard} expired.")]
    public partial void ReaderExpired(ShardId shard, string purpose);

    [LoggerMessage(5, LogLevel.Information, "Deleted {Blobs} blobs that earlier owners of the tables had staged and never committed.")]
    public partial void Swept(int blobs);
}
