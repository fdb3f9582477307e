using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>How operators get their inputs.</summary>
internal static class Wiring
{
    public static InputPort<UpdateBatch<TTime>> NewInput<TTime>(this Operator op, Stream<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<UpdateBatch<TTime>>(op, UpdateBatchCodec<TTime>.Decode);
        port.Connect(source.Output);
        return port;
    }

    public static InputPort<ArrangedDelta<TTime>> NewInput<TTime>(this Operator op, Arranged<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<ArrangedDelta<TTime>>(op);
        port.Connect(source.Output);
        return port;
    }
}
