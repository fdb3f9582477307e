using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>How operators get their inputs.</summary>
internal static class Wiring
{
    public static InputPort<UpdateBatch<TTime>> NewInput<TTime>(this Operator op, Stream<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<UpdateBatch<TTime>>(op, bytes => Decode(bytes, source));
        port.Connect(source.Output);
        return port;
    }

    public static InputPort<ArrangedDelta<TTime>> NewInput<TTime>(this Operator op, Arranged<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<ArrangedDelta<TTime>>(op);
        port.Connect(source.Output);
        return port;
    }

    // A batch of another shape than the channel's would be read beyond its rows.
    private static UpdateBatch<TTime> Decode<TTime>(ReadOnlySpan<byte> bytes, Stream<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var batch = UpdateBatchCodec<TTime>.Decode(bytes);
        if (batch.Shape == source.Shape)
            return batch;
        batch.Release();
        throw new InvalidDataException($"a batch of rows of width {batch.Shape.Width} on a channel of width {source.Shape.Width}");
    }
}
