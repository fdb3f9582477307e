using System.Diagnostics;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Storage commands and responses.</summary>
internal static class StorageConversion
{
    public static Wire.StorageCommand ToWire(StorageCommand command) => command switch
    {
        StorageCommand.Hello x => new() { Hello = CommonConversion.ToWire(x.Nonce) },
        StorageCommand.InitializationComplete => new() { InitializationComplete = new Wire.Empty() },
        StorageCommand.AllowWrites => new() { AllowWrites = new Wire.Empty() },
        StorageCommand.RunIngestion x => new() { RunIngestion = ToWire(x.Ingestion) },
        StorageCommand.AllowCompaction x => new() { AllowCompaction = ComputeConversion.AllowCompaction(x.Id, x.Since) },
        _ => throw new UnreachableException(command.GetType().Name),
    };

    public static StorageCommand FromWire(Wire.StorageCommand command) => command.CommandCase switch
    {
        Wire.StorageCommand.CommandOneofCase.Hello => new StorageCommand.Hello(GuidFromWire(command.Hello)),
        Wire.StorageCommand.CommandOneofCase.InitializationComplete => new StorageCommand.InitializationComplete(),
        Wire.StorageCommand.CommandOneofCase.AllowWrites => new StorageCommand.AllowWrites(),
        Wire.StorageCommand.CommandOneofCase.RunIngestion => new StorageCommand.RunIngestion(FromWire(command.RunIngestion)),
        Wire.StorageCommand.CommandOneofCase.AllowCompaction => new StorageCommand.AllowCompaction(
            CommonConversion.FromWire(command.AllowCompaction.Id), CommonConversion.FromWire(command.AllowCompaction.Since)),
        _ => throw Unknown("storage command", command.CommandCase),
    };

    public static Wire.StorageResponse ToWire(StorageResponse response)
    {
        switch (response)
        {
            case StorageResponse.FrontierUpper x:
                return new() { FrontierUpper = new Wire.FrontierUpper { Id = CommonConversion.ToWire(x.Id), Upper = FrontierToWire(x.Upper.Time) } };
            case StorageResponse.DroppedId x:
                return new() { DroppedId = CommonConversion.ToWire(x.Id) };
            case StorageResponse.StatusUpdate x:
                var status = new Wire.StatusUpdate { Id = CommonConversion.ToWire(x.Id), Status = x.Status };
                if (x.Error is { } error)
                    status.Error = error;
                status.Hints.AddAll(x.Hints, h => h);
                return new() { StatusUpdate = status };
            case StorageResponse.StatisticsUpdate x:
                return new()
                {
                    StatisticsUpdate = new Wire.StatisticsUpdate
                    {
                        Id = CommonConversion.ToWire(x.Id),
                        MessagesReceived = x.MessagesReceived,
                        BytesReceived = x.BytesReceived,
                        UpdatesCommitted = x.UpdatesCommitted,
                        SnapshotCommitted = x.SnapshotCommitted,
                        OffsetKnown = x.OffsetKnown,
                        OffsetCommitted = x.OffsetCommitted,
                    },
                };
            default:
                throw new UnreachableException(response.GetType().Name);
        }
    }

    public static StorageResponse FromWire(Wire.StorageResponse response)
    {
        switch (response.ResponseCase)
        {
            case Wire.StorageResponse.ResponseOneofCase.FrontierUpper:
                return new StorageResponse.FrontierUpper(
                    CommonConversion.FromWire(response.FrontierUpper.Id), new FrontierChange(CommonConversion.FromWire(response.FrontierUpper.Upper)));
            case Wire.StorageResponse.ResponseOneofCase.DroppedId:
                return new StorageResponse.DroppedId(CommonConversion.FromWire(response.DroppedId));
            case Wire.StorageResponse.ResponseOneofCase.StatusUpdate:
                var status = response.StatusUpdate;
                return new StorageResponse.StatusUpdate(
                    CommonConversion.FromWire(status.Id), status.Status, status.HasError ? status.Error : null, status.Hints.ToArray(h => h));
            case Wire.StorageResponse.ResponseOneofCase.StatisticsUpdate:
                var s = response.StatisticsUpdate;
                return new StorageResponse.StatisticsUpdate(
                    CommonConversion.FromWire(s.Id), s.MessagesReceived, s.BytesReceived, s.UpdatesCommitted, s.SnapshotCommitted, s.OffsetKnown, s.OffsetCommitted);
            default:
                throw Unknown("storage response", response.ResponseCase);
        }
    }

    private static Wire.Ingestion ToWire(IngestionDescription ingestion)
    {
        var wire = new Wire.Ingestion
        {
            Id = CommonConversion.ToWire(ingestion.Id),
            Name = ingestion.Name,
            Remap = DataflowConversion.ToWire(ingestion.Remap),
            TimestampIntervalMs = ingestion.TimestampIntervalMs,
        };
        switch (ingestion.Connection)
        {
            case SourceConnection.Postgres x:
                wire.Postgres = new Wire.PostgresConnection
                {
                    Host = x.Host,
                    Port = checked((uint)x.Port),
                    User = x.User,
                    Database = x.Database,
                    SslMode = x.SslMode,
                    Publication = x.Publication,
                    Slot = x.Slot,
                };
                if (x.Password is { } password)
                    wire.Postgres.Password = password;
                break;
            default:
                throw new UnreachableException(ingestion.Connection.GetType().Name);
        }

        wire.Exports.AddAll(ingestion.Exports, ToWire);
        return wire;
    }

    private static IngestionDescription FromWire(Wire.Ingestion ingestion) => new(
        CommonConversion.FromWire(ingestion.Id),
        ingestion.Name,
        ingestion.ConnectionCase switch
        {
            Wire.Ingestion.ConnectionOneofCase.Postgres => FromWire(ingestion.Postgres),
            _ => throw Unknown("source connection", ingestion.ConnectionCase),
        },
        DataflowConversion.FromWire(ingestion.Remap),
        ingestion.Exports.ToArray(FromWire),
        ingestion.TimestampIntervalMs);

    private static SourceConnection.Postgres FromWire(Wire.PostgresConnection x) =>
        new(x.Host, Index(x.Port), x.User, x.HasPassword ? x.Password : null, x.Database, x.SslMode, x.Publication, x.Slot);

    private static Wire.SourceExport ToWire(SourceExport export)
    {
        var wire = new Wire.SourceExport
        {
            Id = CommonConversion.ToWire(export.Id),
            UpstreamSchema = export.UpstreamSchema,
            UpstreamTable = export.UpstreamTable,
            UpstreamOid = export.UpstreamOid,
            Metadata = DataflowConversion.ToWire(export.Metadata),
        };
        wire.Columns.AddAll(
            export.Columns,
            c => new Wire.UpstreamColumn { Name = c.Name, TypeOid = c.TypeOid, TypeModifier = c.TypeModifier, Nullable = c.IsNullable });
        return wire;
    }

    private static SourceExport FromWire(Wire.SourceExport export) => new(
        CommonConversion.FromWire(export.Id),
        export.UpstreamSchema,
        export.UpstreamTable,
        export.UpstreamOid,
        export.Columns.ToArray(c => new UpstreamColumn(c.Name, c.TypeOid, c.TypeModifier, c.Nullable)),
        DataflowConversion.FromWire(export.Metadata));
}
