using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>
/// What the storage controller tells a replica. Stages as for compute. Source: reference, consistency-and-time §14.3.
/// </summary>
public abstract record StorageCommand
{
    private StorageCommand()
    {
    }

    public sealed record Hello(Guid Nonce) : StorageCommand;

    public sealed record InitializationComplete : StorageCommand;

    public sealed record AllowWrites : StorageCommand;

    /// <summary>Start an ingestion, or restart it when its description has changed.</summary>
    public sealed record RunIngestion(IngestionDescription Ingestion) : StorageCommand;

    /// <summary>As for compute; null drops the ingestion or export.</summary>
    public sealed record AllowCompaction(GlobalId Id, ulong? Since) : StorageCommand;
}

/// <summary>A source to run.</summary>
/// <param name="Id">The source; its own shard is the progress (remap) collection.</param>
/// <param name="Remap">Source time ↔ our time, durable: where to resume.</param>
public sealed record IngestionDescription(
    GlobalId Id, string Name, SourceConnection Connection, CollectionMetadata Remap, ValueArray<SourceExport> Exports, ulong TimestampIntervalMs);

/// <summary>What a source reads.</summary>
public abstract record SourceConnection
{
    private SourceConnection()
    {
    }

    /// <summary>Logical replication of a publication.</summary>
    /// <param name="Password">Resolved from its secret; never logged.</param>
    /// <param name="Slot">The replication slot, ours alone.</param>
    public sealed record Postgres(
        string Host, int Port, string User, string? Password, string Database, string SslMode, string Publication, string Slot) : SourceConnection
    {
        /// <summary>Without the password: a record's generated text would put it into logs.</summary>
        public override string ToString() => $"postgres {User}@{Host}:{Port}/{Database} publication {Publication}";
    }
}

/// <summary>One collection that a source feeds.</summary>
/// <param name="UpstreamSchema">Upstream schema.</param>
/// <param name="UpstreamTable">Upstream table.</param>
/// <param name="UpstreamOid">Its oid at planning: a table dropped and made again is another table.</param>
/// <param name="Columns">For each column of the collection, its upstream name and type oid.</param>
public sealed record SourceExport(
    GlobalId Id, string UpstreamSchema, string UpstreamTable, uint UpstreamOid, ValueArray<UpstreamColumn> Columns, CollectionMetadata Metadata);

/// <summary>An upstream column, as it was when the export was planned.</summary>
public sealed record UpstreamColumn(string Name, uint TypeOid, int TypeModifier, bool IsNullable);

/// <summary>What a replica tells its storage controller.</summary>
public abstract record StorageResponse
{
    private StorageResponse()
    {
    }

    public sealed record FrontierUpper(GlobalId Id, FrontierChange Upper) : StorageResponse;

    /// <summary>Nothing more will come for this id.</summary>
    public sealed record DroppedId(GlobalId Id) : StorageResponse;

    /// <param name="Status">starting, running, stalled, paused, ceased or dropped.</param>
    /// <param name="Error">For stalled and ceased: what is wrong, for a person.</param>
    public sealed record StatusUpdate(GlobalId Id, string Status, string? Error, ValueArray<string> Hints) : StorageResponse;

    public sealed record StatisticsUpdate(
        GlobalId Id, ulong MessagesReceived, ulong BytesReceived, ulong UpdatesCommitted, bool SnapshotCommitted, ulong OffsetKnown, ulong OffsetCommitted)
        : StorageResponse;
}
