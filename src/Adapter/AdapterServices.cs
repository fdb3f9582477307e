using System.Buffers.Binary;
using Materialize.Controller;
using Materialize.Persist;
using Materialize.Persist.Oracle;
using Materialize.Persist.Txns;
using Microsoft.Extensions.Logging;

namespace Materialize.Adapter;

/// <summary>What sessions and the coordinator share; each part is safe to call from any thread.</summary>
internal sealed record AdapterServices(
    Catalog.Catalog Catalog,
    CollectionRegistry Registry,
    ComputeController Compute,
    StorageController Storage,
    IReplicaOrchestrator Orchestrator,
    PersistClient Persist,
    TxnsHandle Txns,
    TxnsReader TxnsReader,
    ITimestampOracle Oracle,
    GroupCommitter Committer,
    SecretStore Secrets,
    IUpstreamInspector Upstream,
    TransientIds TransientIds,
    EnvironmentOptions Options,
    TimeProvider Time,
    ILoggerFactory Loggers)
{
    public TimestampSelection Timestamps { get; } = new(Registry, Oracle);

    public ReplicaLogs Logs { get; } = new(Compute, TransientIds, Oracle);

    /// <summary>When this process began to serve.</summary>
    public DateTimeOffset StartedAt { get; } = Time.GetUtcNow();

    public TableLocks TableLocks { get; } = new();

    public PeekIds PeekIds { get; } = new();

    /// <summary>A system parameter's value, null when it has its default.</summary>
    public string? SystemParameter(string name) => Catalog.State.SystemParameters.GetValueOrDefault(name.ToLowerInvariant());
}

/// <summary>Ids of dataflows that live as long as a query.</summary>
internal sealed class TransientIds
{
    private ulong _last;

    public Repr.GlobalId Next() => Repr.GlobalId.Transient(Interlocked.Increment(ref _last));
}

/// <summary>Ids of peeks: unique to this process's start, without asking the system for randomness each time.</summary>
internal sealed class PeekIds
{
    private readonly ulong _start = BitConverter.ToUInt64(Guid.NewGuid().ToByteArray());
    private ulong _last;

    public Guid Next()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, _start);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], Interlocked.Increment(ref _last));
        return new Guid(bytes);
    }
}

/// <summary>What an environment is started with.</summary>
/// <param name="DeployGeneration">A higher one takes over from a lower one, never the other way.</param>
/// <param name="DefaultSize">Size of the replicas of a new environment.</param>
/// <param name="Sizes">Sizes that CREATE CLUSTER may name.</param>
public sealed record EnvironmentOptions(
    string EnvironmentId, ulong DeployGeneration, string SecretsDirectory, ReplicaSize DefaultSize, IReadOnlyDictionary<string, ReplicaSize> Sizes);
