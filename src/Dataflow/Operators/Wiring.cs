using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>How operators get their inputs.</summary>
internal static class Wiring
{
    public static InputPort<UpdateBatch<TTime>> NewInput<TTime>(this Operator op, Stream<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<UpdateBatch<TTime>>(op, Decode<TTime>, source.Shape);
        port.Connect(source.Output);
        return port;
    }

    public static InputPort<ArrangedDelta<TTime>> NewInput<TTime>(this Operator op, Arranged<TTime> source) where TTime : unmanaged, ITime<TTime>
    {
        var port = new InputPort<ArrangedDelta<TTime>>(op);
        port.Connect(source.Output);
        return port;
    }

    /// <summary>Reads a batch that comes over a channel for rows of <paramref name="shape"/>: one of another would be read beyond its rows.</summary>
    /// <exception cref="InvalidDataException">It is no batch of the channel's.</exception>
    public static UpdateBatch<TTime> Decode<TTime>(ReadOnlySpan<byte> bytes, RowShape shape) where TTime : unmanaged, ITime<TTime>
    {
        var batch = UpdateBatchCodec<TTime>.Decode(bytes);
        if (batch.Shape == shape)
            return batch;
        batch.Release();
        throw new InvalidDataException($"a batch of rows of width {batch.Shape.Width} on a channel of width {shape.Width}");
    }
}
