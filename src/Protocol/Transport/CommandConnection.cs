namespace Materialize.Protocol;

/// <summary>A frame channel with a codec for each direction. One sender and one receiver may work at the same time.</summary>
public sealed class CommandConnection<TSend, TReceive>(FrameChannel channel, IMessageCodec<TSend> sends, IMessageCodec<TReceive> receives) : IAsyncDisposable
    where TSend : class
    where TReceive : class
{
    /// <inheritdoc cref="FrameChannel.Closed"/>
    public Task<CloseReason> Closed => channel.Closed;

    /// <inheritdoc cref="FrameChannel.SendAsync"/>
    public ValueTask SendAsync(TSend message, CancellationToken cancel) => channel.SendAsync(sends.Encode(message), cancel);

    /// <inheritdoc cref="FrameChannel.TrySend"/>
    public bool TrySend(TSend message) => channel.TrySend(sends.Encode(message));

    /// <summary>The next message, or null once the connection is closed. What is no message closes it as malformed.</summary>
    public async ValueTask<TReceive?> ReceiveAsync(CancellationToken cancel)
    {
        if (await channel.ReceiveAsync(cancel) is not { } body)
            return null;
        try
        {
            return receives.Decode(body);
        }
        catch (ProtocolException e)
        {
            channel.Close(new CloseReason(CloseKind.Malformed, e.Message));
            return null;
        }
    }

    /// <inheritdoc cref="FrameChannel.Close"/>
    public void Close(CloseReason reason) => channel.Close(reason);

    public ValueTask DisposeAsync() => channel.DisposeAsync();
}
