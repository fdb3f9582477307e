using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Materialize.Persist.Push;

/// <summary>One socket with a bounded queue of frames to send. What does not fit is dropped: push is a hint, and a follower notices the gap.</summary>
internal sealed class PushConnection(Socket socket) : IDisposable
{
    private const int QueuedFramesMax = 4096;

    private readonly Channel<byte[]> _out = Channel.CreateBounded<byte[]>(
        new BoundedChannelOptions(QueuedFramesMax) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });

    public void Send(PushFrame frame) => _out.Writer.TryWrite(PushFrames.Encode(frame));

    public void Send(byte[] frame) => _out.Writer.TryWrite(frame);

    /// <summary>Runs until the peer goes, the bytes make no sense, or <paramref name="cancel"/>; returns then, whatever the reason.</summary>
    public async Task RunAsync(Func<PushFrame, bool> onFrame, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using var stream = new NetworkStream(socket, ownsSocket: false);
        var reading = ReadAsync(stream, onFrame, stop.Token);
        var writing = WriteAsync(stream, stop.Token);
        await Task.WhenAny(reading, writing);
        await stop.CancelAsync();
        try
        {
            await Task.WhenAll(reading, writing);
        }
        catch (Exception e) when (e is IOException or SocketException or InvalidDataException or OperationCanceledException or ObjectDisposedException)
        {
            // However a connection ends, the answer is the same: connect again and look.
        }
    }

    public void Dispose()
    {
        _out.Writer.TryComplete();
        socket.Dispose();
    }

    private static async Task ReadAsync(Stream stream, Func<PushFrame, bool> onFrame, CancellationToken cancel)
    {
        var reader = PipeReader.Create(stream);
        while (await PushFrames.ReadAsync(reader, cancel) is { } frame && onFrame(frame))
        {
        }
    }

    private async Task WriteAsync(Stream stream, CancellationToken cancel)
    {
        while (await _out.Reader.WaitToReadAsync(cancel))
        {
            while (_out.Reader.TryRead(out var frame))
                await stream.WriteAsync(frame, cancel);
        }
    }
}
