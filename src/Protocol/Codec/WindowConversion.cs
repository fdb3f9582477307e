using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Windows and their functions, as messages.</summary>
internal static class WindowConversion
{
    public static Wire.LirWindow ToWire(LirRelationExpr.Window window, Wire.LirRelation input)
    {
        var wire = new Wire.LirWindow { Input = input };
        wire.PartitionKey.AddAll(window.PartitionKey);
        wire.OrderKey.AddAll(window.OrderKey, ExprConversion.ToWire);
        wire.Calls.AddAll(window.Calls, ToWire);
        return wire;
    }

    public static LirRelationExpr.Window FromWire(Wire.LirWindow window, LirRelationExpr input, ValueArray<ColumnType> columns) => new(
        input, window.PartitionKey.ToArray(), window.OrderKey.ToArray(ExprConversion.FromWire), window.Calls.ToArray(FromWire), columns);

    private static Wire.WindowCall ToWire(WindowCall call)
    {
        var wire = new Wire.WindowCall { Output = CommonConversion.ToWire(call.Output) };
        switch (call)
        {
            case WindowCall.Number x:
                wire.Number = x.Which.ToString();
                break;
            case WindowCall.Neighbour x:
                wire.Neighbour = new Wire.WindowNeighbour { Column = checked((uint)x.Column), Offset = x.Offset };
                if (x.Default is { } other)
                    wire.Neighbour.Default = checked((uint)other);
                break;
            case WindowCall.Edge x:
                wire.Edge = new Wire.WindowEdge { Column = checked((uint)x.Column), IsFirst = x.IsFirst, Frame = ToWire(x.Frame) };
                break;
            case WindowCall.Aggregate x:
                wire.Aggregate = new Wire.WindowAggregate { Func = x.Func.ToString(), Column = checked((uint)x.Column), Frame = ToWire(x.Frame) };
                break;
            default:
                throw new System.Diagnostics.UnreachableException(call.GetType().Name);
        }

        return wire;
    }

    private static WindowCall FromWire(Wire.WindowCall call)
    {
        var output = CommonConversion.FromWire(call.Output);
        return call.CallCase switch
        {
            Wire.WindowCall.CallOneofCase.Number => new WindowCall.Number(ParseEnum<WindowNumber>(call.Number, "window function"), output),
            Wire.WindowCall.CallOneofCase.Neighbour => new WindowCall.Neighbour(
                Index(call.Neighbour.Column), call.Neighbour.Offset, call.Neighbour.HasDefault ? Index(call.Neighbour.Default) : null, output),
            Wire.WindowCall.CallOneofCase.Edge => new WindowCall.Edge(Index(call.Edge.Column), call.Edge.IsFirst, FromWire(call.Edge.Frame), output),
            Wire.WindowCall.CallOneofCase.Aggregate => new WindowCall.Aggregate(
                ParseEnum<AggregateFunc>(call.Aggregate.Func, "aggregate"), Index(call.Aggregate.Column), FromWire(call.Aggregate.Frame), output),
            _ => throw Unknown("window call", call.CallCase),
        };
    }

    private static Wire.WindowRows ToWire(WindowRows frame)
    {
        var wire = new Wire.WindowRows { ToPeers = frame.ToPeers };
        if (frame.Start is { } start)
            wire.Start = start;
        if (frame.End is { } end)
            wire.End = end;
        return wire;
    }

    private static WindowRows FromWire(Wire.WindowRows? frame) =>
        new(Required(frame).HasStart ? frame!.Start : null, frame!.HasEnd ? frame.End : null, frame.ToPeers);
}
