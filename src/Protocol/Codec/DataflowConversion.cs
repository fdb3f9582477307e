using System.Diagnostics;
using Google.Protobuf;
using Materialize.Repr;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Dataflow descriptions and the storage metadata they carry.</summary>
internal static class DataflowConversion
{
    public static Wire.Dataflow ToWire(DataflowDescription dataflow)
    {
        var wire = new Wire.Dataflow { DebugName = dataflow.DebugName };
        wire.SourceImports.AddAll(dataflow.SourceImports, ToWire);
        wire.IndexImports.AddAll(dataflow.IndexImports, i => Index(i.Id, i.Desc, i.Type));
        wire.Objects.AddAll(dataflow.Objects, o => new Wire.BuildDesc { Id = CommonConversion.ToWire(o.Id), Plan = LirConversion.ToWire(o.Plan) });
        wire.IndexExports.AddAll(dataflow.IndexExports, i => Index(i.Id, i.Desc, i.Type));
        wire.SinkExports.AddAll(dataflow.SinkExports, ToWire);
        wire.LogImports.AddAll(
            dataflow.LogImports, i => new Wire.LogImport { Id = CommonConversion.ToWire(i.Id), Name = i.Name, Type = CommonConversion.ToWire(i.Type) });
        if (dataflow.AsOf is { } asOf)
            wire.AsOf = asOf;
        if (dataflow.Until is { } until)
            wire.Until = until;
        return wire;
    }

    public static DataflowDescription FromWire(Wire.Dataflow dataflow) => new(
        dataflow.DebugName,
        dataflow.SourceImports.ToArray(FromWire),
        dataflow.IndexImports.ToArray(i => new IndexImport(CommonConversion.FromWire(i.Id), FromWire(i.Desc), CommonConversion.FromWire(i.Type))),
        dataflow.Objects.ToArray(o => new BuildDesc(CommonConversion.FromWire(o.Id), LirConversion.FromWire(o.Plan))),
        dataflow.IndexExports.ToArray(i => new IndexExport(CommonConversion.FromWire(i.Id), FromWire(i.Desc), CommonConversion.FromWire(i.Type))),
        dataflow.SinkExports.ToArray(FromWire),
        dataflow.HasAsOf ? dataflow.AsOf : null,
        dataflow.HasUntil ? dataflow.Until : null)
    {
        LogImports = dataflow.LogImports.ToArray(i => new LogImport(CommonConversion.FromWire(i.Id), i.Name, CommonConversion.FromWire(i.Type))),
    };

    public static Wire.CollectionMetadata ToWire(CollectionMetadata metadata)
    {
        var wire = new Wire.CollectionMetadata { Shard = CommonConversion.ToWire(metadata.Shard.Value), Desc = CommonConversion.ToWire(metadata.Desc) };
        if (metadata.TxnsShard is { } txns)
            wire.TxnsShard = CommonConversion.ToWire(txns.Value);
        return wire;
    }

    public static CollectionMetadata FromWire(Wire.CollectionMetadata? metadata) => new(
        new ShardId(GuidFromWire(Required(metadata).Shard)),
        metadata!.HasTxnsShard ? new ShardId(GuidFromWire(metadata.TxnsShard)) : null,
        CommonConversion.FromWire(metadata.Desc));

    private static Wire.SourceImport ToWire(SourceImport import)
    {
        var wire = new Wire.SourceImport
        {
            Id = CommonConversion.ToWire(import.Id),
            Type = CommonConversion.ToWire(import.Type),
            Mfp = ExprConversion.ToWire(import.Mfp),
        };
        if (import.Metadata is { } metadata)
            wire.Metadata = ToWire(metadata);
        wire.Columns.AddAll(import.Columns, CommonConversion.ToWire);
        return wire;
    }

    private static SourceImport FromWire(Wire.SourceImport import) => new(
        CommonConversion.FromWire(import.Id),
        CommonConversion.FromWire(import.Type),
        import.Metadata is null ? null : FromWire(import.Metadata),
        ExprConversion.FromWire(import.Mfp),
        import.Columns.ToArray(CommonConversion.FromWire));

    private static Wire.Index Index(GlobalId id, IndexDesc desc, RelationType type) => new()
    {
        Id = CommonConversion.ToWire(id),
        Desc = new Wire.IndexDesc { OnId = CommonConversion.ToWire(desc.OnId), Key = LirConversion.ToWire(desc.Key) },
        Type = CommonConversion.ToWire(type),
    };

    private static IndexDesc FromWire(Wire.IndexDesc? desc) => new(CommonConversion.FromWire(Required(desc).OnId), LirConversion.FromWire(desc!.Key));

    private static Wire.SinkExport ToWire(SinkExport sink)
    {
        var wire = new Wire.SinkExport
        {
            Id = CommonConversion.ToWire(sink.Id),
            From = CommonConversion.ToWire(sink.From),
            FromDesc = CommonConversion.ToWire(sink.FromDesc),
            WithSnapshot = sink.WithSnapshot,
        };
        if (sink.UpTo is { } upTo)
            wire.UpTo = upTo;
        switch (sink.Connection)
        {
            case SinkConnection.MaterializedView x:
                wire.MaterializedView = ToWire(x.Metadata);
                break;
            case SinkConnection.Subscribe:
                wire.Subscribe = new Wire.SubscribeConnection();
                break;
            default:
                throw new UnreachableException(sink.Connection.GetType().Name);
        }

        return wire;
    }

    private static SinkExport FromWire(Wire.SinkExport sink) => new(
        CommonConversion.FromWire(sink.Id),
        CommonConversion.FromWire(sink.From),
        CommonConversion.FromWire(sink.FromDesc),
        sink.ConnectionCase switch
        {
            Wire.SinkExport.ConnectionOneofCase.MaterializedView => new SinkConnection.MaterializedView(FromWire(sink.MaterializedView)),
            Wire.SinkExport.ConnectionOneofCase.Subscribe => new SinkConnection.Subscribe(),
            _ => throw Unknown("sink connection", sink.ConnectionCase),
        },
        sink.WithSnapshot,
        sink.HasUpTo ? sink.UpTo : null);
}
