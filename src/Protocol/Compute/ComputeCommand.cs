using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>
/// What the compute controller tells a replica, in order. Stages: Hello and CreateInstance; then any commands, which are the
/// reduced history, ending with InitializationComplete, at which the replica reconciles; then live commands.
/// Source: reference, consistency-and-time §14.1.
/// </summary>
public abstract record ComputeCommand
{
    private ComputeCommand()
    {
    }

    /// <summary>First on each connection. A new nonce makes the workers forget peeks and response state of the old one.</summary>
    public sealed record Hello(Guid Nonce) : ComputeCommand;

    public sealed record CreateInstance(InstanceConfig Config) : ComputeCommand;

    public sealed record InitializationComplete : ComputeCommand;

    public sealed record UpdateConfiguration(ulong MaxResultSize) : ComputeCommand;

    /// <summary>Ids are unique for ever; imports are readable at the as-of. Nothing runs before <see cref="Schedule"/>.</summary>
    public sealed record CreateDataflow(DataflowDescription Dataflow) : ComputeCommand;

    public sealed record Schedule(GlobalId Id) : ComputeCommand;

    /// <summary>The sink may write from now on.</summary>
    public sealed record AllowWrites(GlobalId Id) : ComputeCommand;

    /// <summary>Detail before <paramref name="Since"/> may be forgotten; null is the empty frontier: drop the collection.</summary>
    public sealed record AllowCompaction(GlobalId Id, ulong? Since) : ComputeCommand;

    /// <summary>Exactly one <see cref="ComputeResponse.PeekResult"/> follows from every process of the replica.</summary>
    public sealed record Peek(PeekRequest Request) : ComputeCommand;

    public sealed record CancelPeek(Guid Uuid) : ComputeCommand;
}

/// <summary>What a replica must agree on with its controller; a different one means a fresh process.</summary>
public sealed record InstanceConfig(ulong LoggingIntervalMs);

/// <summary>What a peek reads.</summary>
public abstract record PeekTarget
{
    private PeekTarget()
    {
    }

    public sealed record Index(GlobalId Id) : PeekTarget;

    public sealed record Persist(GlobalId Id, CollectionMetadata Metadata) : PeekTarget;
}

/// <summary>A read of one collection at one time.</summary>
/// <param name="LiteralKeys">For an index: only these keys, each one row of the arrangement's key; null: everything.</param>
/// <param name="Mfp">Over the collection's columns (in relation order).</param>
/// <param name="ResultColumns">What <paramref name="Mfp"/> gives: the layout of the answer's rows.</param>
/// <param name="Finishing">Workers may cut what the finishing is certain not to show; order, offset and projection are left to the adapter.</param>
public sealed record PeekRequest(
    Guid Uuid,
    PeekTarget Target,
    ValueArray<ValueArray<Datum>>? LiteralKeys,
    ulong Timestamp,
    Mfp Mfp,
    ValueArray<ColumnType> ResultColumns,
    RowSetFinishing Finishing,
    ulong MaxResultSize);
