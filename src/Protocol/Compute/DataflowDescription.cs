using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>Where a storage collection lies.</summary>
/// <param name="Shard">Its persist shard.</param>
/// <param name="TxnsShard">If not null, the collection is a table: it is written through this transaction log.</param>
public sealed record CollectionMetadata(ShardId Shard, ShardId? TxnsShard, RelationDesc Desc);

/// <summary>A storage collection that a dataflow reads.</summary>
/// <param name="Metadata">Filled by the controller; null before.</param>
/// <param name="Mfp">Applied while reading.</param>
/// <param name="Columns">What <paramref name="Mfp"/> gives.</param>
public sealed record SourceImport(GlobalId Id, RelationType Type, CollectionMetadata? Metadata, Mfp Mfp, ValueArray<ColumnType> Columns);

/// <summary>A log that each worker of the replica keeps of itself, as a collection: not read from anywhere.</summary>
/// <param name="Name">Of the log relation; reference, system-catalog §6.</param>
public sealed record LogImport(GlobalId Id, string Name, RelationType Type);

/// <summary>An index: which relation it arranges, by what.</summary>
public sealed record IndexDesc(GlobalId OnId, ArrangementKey Key);

/// <summary>An index of the same cluster that a dataflow reads.</summary>
public sealed record IndexImport(GlobalId Id, IndexDesc Desc, RelationType Type);

/// <summary>An object that a dataflow computes; later objects may refer to earlier ones by id.</summary>
public sealed record BuildDesc(GlobalId Id, LirRelationExpr Plan);

/// <summary>An arrangement that outlives the dataflow's building and may be read by peeks and other dataflows.</summary>
public sealed record IndexExport(GlobalId Id, IndexDesc Desc, RelationType Type);

/// <summary>Where a dataflow's output goes.</summary>
public abstract record SinkConnection
{
    private SinkConnection()
    {
    }

    /// <summary>A persist shard that is kept equal to the collection.</summary>
    public sealed record MaterializedView(CollectionMetadata Metadata) : SinkConnection;

    /// <summary>Changes are sent to the controller.</summary>
    public sealed record Subscribe : SinkConnection;
}

/// <summary>A sink on the object <paramref name="From"/>.</summary>
/// <param name="WithSnapshot">Whether what is there at the as-of is sent.</param>
/// <param name="UpTo">Only times before it are sent; null: all.</param>
public sealed record SinkExport(GlobalId Id, GlobalId From, RelationDesc FromDesc, SinkConnection Connection, bool WithSnapshot, ulong? UpTo);

/// <summary>A dataflow to build: what it reads, computes and exports, and from which time on.</summary>
/// <param name="AsOf">All imports are readable at it; output before it is advanced to it. Filled by the adapter.</param>
/// <param name="Until">Updates at or beyond it may be dropped; null: none.</param>
public sealed record DataflowDescription(
    string DebugName,
    ValueArray<SourceImport> SourceImports,
    ValueArray<IndexImport> IndexImports,
    ValueArray<BuildDesc> Objects,
    ValueArray<IndexExport> IndexExports,
    ValueArray<SinkExport> SinkExports,
    ulong? AsOf,
    ulong? Until)
{
    /// <summary>Logs of the replica that it makes collections of.</summary>
    public ValueArray<LogImport> LogImports { get; init; } = [];

    public IEnumerable<GlobalId> ExportIds => IndexExports.Select(x => x.Id).AsEnumerable().Concat(SinkExports.Select(x => x.Id));

    public IEnumerable<GlobalId> ImportIds => SourceImports.Select(x => x.Id).AsEnumerable().Concat(IndexImports.Select(x => x.Id));
}
