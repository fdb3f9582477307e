using System.Diagnostics;
using Google.Protobuf;
using Materialize.Core.Collections;
using Materialize.Repr;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Compute commands and responses.</summary>
internal static class ComputeConversion
{
    public static Wire.ComputeCommand ToWire(ComputeCommand command) => command switch
    {
        ComputeCommand.Hello x => new() { Hello = CommonConversion.ToWire(x.Nonce) },
        ComputeCommand.CreateInstance x => new() { CreateInstance = new Wire.CreateInstance { LoggingIntervalMs = x.Config.LoggingIntervalMs } },
        ComputeCommand.InitializationComplete => new() { InitializationComplete = new Wire.Empty() },
        ComputeCommand.UpdateConfiguration x => new() { UpdateConfiguration = new Wire.UpdateConfiguration { MaxResultSize = x.MaxResultSize } },
        ComputeCommand.CreateDataflow x => new() { CreateDataflow = DataflowConversion.ToWire(x.Dataflow) },
        ComputeCommand.Schedule x => new() { Schedule = CommonConversion.ToWire(x.Id) },
        ComputeCommand.AllowWrites x => new() { AllowWrites = CommonConversion.ToWire(x.Id) },
        ComputeCommand.AllowCompaction x => new() { AllowCompaction = AllowCompaction(x.Id, x.Since) },
        ComputeCommand.Peek x => new() { Peek = ToWire(x.Request) },
        ComputeCommand.CancelPeek x => new() { CancelPeek = CommonConversion.ToWire(x.Uuid) },
        _ => throw new UnreachableException(command.GetType().Name),
    };

    public static ComputeCommand FromWire(Wire.ComputeCommand command) => command.CommandCase switch
    {
        Wire.ComputeCommand.CommandOneofCase.Hello => new ComputeCommand.Hello(GuidFromWire(command.Hello)),
        Wire.ComputeCommand.CommandOneofCase.CreateInstance => new ComputeCommand.CreateInstance(new InstanceConfig(command.CreateInstance.LoggingIntervalMs)),
        Wire.ComputeCommand.CommandOneofCase.InitializationComplete => new ComputeCommand.InitializationComplete(),
        Wire.ComputeCommand.CommandOneofCase.UpdateConfiguration => new ComputeCommand.UpdateConfiguration(command.UpdateConfiguration.MaxResultSize),
        Wire.ComputeCommand.CommandOneofCase.CreateDataflow => new ComputeCommand.CreateDataflow(DataflowConversion.FromWire(command.CreateDataflow)),
        Wire.ComputeCommand.CommandOneofCase.Schedule => new ComputeCommand.Schedule(CommonConversion.FromWire(command.Schedule)),
        Wire.ComputeCommand.CommandOneofCase.AllowWrites => new ComputeCommand.AllowWrites(CommonConversion.FromWire(command.AllowWrites)),
        Wire.ComputeCommand.CommandOneofCase.AllowCompaction => new ComputeCommand.AllowCompaction(
            CommonConversion.FromWire(command.AllowCompaction.Id), CommonConversion.FromWire(command.AllowCompaction.Since)),
        Wire.ComputeCommand.CommandOneofCase.Peek => new ComputeCommand.Peek(FromWire(command.Peek)),
        Wire.ComputeCommand.CommandOneofCase.CancelPeek => new ComputeCommand.CancelPeek(GuidFromWire(command.CancelPeek)),
        _ => throw Unknown("compute command", command.CommandCase),
    };

    public static Wire.AllowCompaction AllowCompaction(GlobalId id, ulong? since) => new() { Id = CommonConversion.ToWire(id), Since = FrontierToWire(since) };

    public static Wire.ComputeResponse ToWire(ComputeResponse response)
    {
        switch (response)
        {
            case ComputeResponse.Frontiers x:
                var frontiers = new Wire.Frontiers { Id = CommonConversion.ToWire(x.Id) };
                if (x.Write is { } write)
                    frontiers.Write = FrontierToWire(write.Time);
                if (x.Input is { } input)
                    frontiers.Input = FrontierToWire(input.Time);
                if (x.Output is { } output)
                    frontiers.Output = FrontierToWire(output.Time);
                return new Wire.ComputeResponse { Frontiers = frontiers };
            case ComputeResponse.PeekResponse x:
                return new Wire.ComputeResponse { Peek = ToWire(x) };
            case ComputeResponse.SubscribeResponse x:
                var subscribe = new Wire.SubscribeResponse
                {
                    Id = CommonConversion.ToWire(x.Id),
                    Lower = x.Batch.Lower,
                    Upper = FrontierToWire(x.Batch.Upper),
                    Updates = CommonConversion.ToWire(x.Batch.Updates),
                };
                if (x.Batch.Error is { } error)
                    subscribe.Error = CommonConversion.ToWire(error);
                return new Wire.ComputeResponse { Subscribe = subscribe };
            case ComputeResponse.SubscribeDropped x:
                return new Wire.ComputeResponse { SubscribeDropped = CommonConversion.ToWire(x.Id) };
            default:
                throw new UnreachableException(response.GetType().Name);
        }
    }

    public static ComputeResponse FromWire(Wire.ComputeResponse response)
    {
        switch (response.ResponseCase)
        {
            case Wire.ComputeResponse.ResponseOneofCase.Frontiers:
                var x = response.Frontiers;
                return new ComputeResponse.Frontiers(CommonConversion.FromWire(x.Id), Change(x.Write), Change(x.Input), Change(x.Output));
            case Wire.ComputeResponse.ResponseOneofCase.Peek:
                return new ComputeResponse.PeekResponse(GuidFromWire(response.Peek.Uuid), ResultFromWire(response.Peek));
            case Wire.ComputeResponse.ResponseOneofCase.Subscribe:
                var subscribe = response.Subscribe;
                return new ComputeResponse.SubscribeResponse(
                    CommonConversion.FromWire(subscribe.Id),
                    new SubscribeBatch(
                        subscribe.Lower,
                        CommonConversion.FromWire(subscribe.Upper),
                        CommonConversion.FromWire(subscribe.Updates),
                        subscribe.Error is null ? null : CommonConversion.FromWire(subscribe.Error)));
            case Wire.ComputeResponse.ResponseOneofCase.SubscribeDropped:
                return new ComputeResponse.SubscribeDropped(CommonConversion.FromWire(response.SubscribeDropped));
            default:
                throw Unknown("compute response", response.ResponseCase);
        }
    }

    private static FrontierChange? Change(Wire.Frontier? frontier) => frontier is null ? null : new FrontierChange(CommonConversion.FromWire(frontier));

    private static Wire.PeekResponse ToWire(ComputeResponse.PeekResponse response)
    {
        var wire = new Wire.PeekResponse { Uuid = CommonConversion.ToWire(response.Uuid) };
        switch (response.Result)
        {
            case PeekResult.Rows x:
                wire.Rows = CommonConversion.ToWire(x.Batch);
                break;
            case PeekResult.Error x:
                wire.Error = CommonConversion.ToWire(x.Reason);
                break;
            case PeekResult.Canceled:
                wire.Canceled = new Wire.Empty();
                break;
            default:
                throw new UnreachableException(response.Result.GetType().Name);
        }

        return wire;
    }

    private static PeekResult ResultFromWire(Wire.PeekResponse response) => response.ResultCase switch
    {
        Wire.PeekResponse.ResultOneofCase.Rows => new PeekResult.Rows(CommonConversion.FromWire(response.Rows)),
        Wire.PeekResponse.ResultOneofCase.Error => new PeekResult.Error(CommonConversion.FromWire(response.Error)),
        Wire.PeekResponse.ResultOneofCase.Canceled => new PeekResult.Canceled(),
        _ => throw Unknown("peek result", response.ResultCase),
    };

    private static Wire.Peek ToWire(PeekRequest peek)
    {
        var wire = new Wire.Peek
        {
            Uuid = CommonConversion.ToWire(peek.Uuid),
            Timestamp = peek.Timestamp,
            Body = PeekBodies.ToWire(peek),
        };
        if (peek.LiteralKeys is { } keys)
            wire.LiteralKeys = LirConversion.ToWire(keys);
        return wire;
    }

    private static PeekRequest FromWire(Wire.Peek peek) => PeekBodies.FromWire(peek.Body) with
    {
        Uuid = GuidFromWire(peek.Uuid),
        LiteralKeys = peek.LiteralKeys is null ? null : LirConversion.FromWire(peek.LiteralKeys),
        Timestamp = peek.Timestamp,
    };
}
