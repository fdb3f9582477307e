// Frames over a byte stream. Both sides begin with eight bytes of magic and a Hello frame. A frame is its length as eight
// big-endian bytes and a body; an empty one keeps the connection alive. Big-endian lengths and the magic make a stranger (an HTTP
// client, say) fail on its first eight bytes. Source: reference, consistency-and-time §14.
//
// Threads: one task writes, from a bounded queue, so that what several senders bring meanwhile goes out in one write; whoever calls ReceiveAsync reads, so a slow reader holds the peer back. One
// timer does both clocks: it sends keep-alives and finds the peer dead. "Idle" counts only while this side waits for the peer: a
// receiver that takes long over a message does not kill its own connection.

using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;
using System.Threading.Channels;

namespace Materialize.Protocol;

/// <summary>A connection that carries frames both ways, in order, until it is closed for one recorded reason.</summary>
public sealed class FrameChannel : IAsyncDisposable
{
    private const ulong Magic = 0x4D5A_4353_4354_5031;   // "MZCSCTP1"
    private const int HeaderBytes = 8;
    private const int HelloBytesMax = 4096;
    private const int SmallFrameBytes = 16 * 1024;

    private readonly TransportConnection _connection;
    private readonly FrameOptions _options;
    private readonly TimeProvider _time;
    private readonly Channel<ReadOnlyMemory<byte>> _outgoing;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<CloseReason> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _writing;
    private readonly ITimer _clock;
    private long _sentAt;
    private long _waitingToWriteSince;
    private long _waitingToReadSince;

    private FrameChannel(TransportConnection connection, FrameHello peer, FrameOptions options, TimeProvider time)
    {
        _connection = connection;
        _options = options;
        _time = time;
        Peer = peer;
        _outgoing = Channel.CreateBounded<ReadOnlyMemory<byte>>(new BoundedChannelOptions(options.SendQueueFrames) { SingleReader = true });
        _sentAt = time.GetTimestamp();
        _writing = WriteAsync();
        var tick = options.KeepAliveInterval / 2;
        _clock = time.CreateTimer(_ => Tick(), null, tick, tick);
    }

    /// <summary>What the peer said first.</summary>
    public FrameHello Peer { get; }

    /// <summary>Completes, never fails, when the channel is closed.</summary>
    public Task<CloseReason> Closed => _closed.Task;

    /// <summary>Shakes hands over <paramref name="connection"/> and takes ownership of it.</summary>
    /// <exception cref="ConnectionClosedException">The peer speaks something else, or went away; the connection is disposed.</exception>
    public static async Task<FrameChannel> OpenAsync(
        TransportConnection connection, FrameHello hello, FrameOptions options, TimeProvider time, CancellationToken cancel)
    {
        using var timeout = new CancellationTokenSource(options.HandshakeTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancel);
        try
        {
            var peer = await ShakeHandsAsync(connection, hello, either.Token);
            return new FrameChannel(connection, peer, options, time);
        }
        catch (Exception e)
        {
            await connection.DisposeAsync();
            throw e switch
            {
                OperationCanceledException when timeout.IsCancellationRequested && !cancel.IsCancellationRequested =>
                    new ConnectionClosedException(new CloseReason(CloseKind.Handshake, "the handshake took too long")),
                IOException and not ConnectionClosedException or ObjectDisposedException =>
                    new ConnectionClosedException(new CloseReason(CloseKind.Io, e.Message)),
                _ => e,
            };
        }
    }

    /// <summary>Queues a frame; waits while the queue is full. The memory must not change afterwards.</summary>
    /// <exception cref="ConnectionClosedException">The channel is closed. That a frame was queued does not mean that it arrived.</exception>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        ArgumentOutOfRangeException.ThrowIfZero(body.Length);
        try
        {
            await _outgoing.Writer.WriteAsync(body, cancel);
        }
        catch (ChannelClosedException)
        {
            throw new ConnectionClosedException(await _closed.Task);
        }
    }

    /// <summary>Queues a frame if there is room at once; false also when the channel is closed. The memory must not change afterwards.</summary>
    public bool TrySend(ReadOnlyMemory<byte> body)
    {
        ArgumentOutOfRangeException.ThrowIfZero(body.Length);
        return _outgoing.Writer.TryWrite(body);
    }

    /// <summary>The next frame's body, or null once the channel is closed. One caller at a time.</summary>
    public ValueTask<ReadOnlyMemory<byte>?> ReceiveAsync(CancellationToken cancel) =>
        TryTakeBuffered() is { } body ? new(body) : ReceiveSlowlyAsync(cancel);

    /// <summary>A small frame that is here already, as most are when many come; null leaves everything to a read that waits.</summary>
    private byte[]? TryTakeBuffered()
    {
        var input = _connection.Input;
        if (_closed.Task.IsCompleted || !input.TryRead(out var result))
            return null;
        var buffer = result.Buffer;
        Span<byte> header = stackalloc byte[HeaderBytes];
        while (buffer.Length >= HeaderBytes)
        {
            buffer.Slice(0, HeaderBytes).CopyTo(header);
            var length = BinaryPrimitives.ReadUInt64BigEndian(header);
            if (length == 0)
            {
                buffer = buffer.Slice(HeaderBytes);
                continue;
            }

            if (length > SmallFrameBytes || buffer.Length < HeaderBytes + (long)length || (long)length > _options.FrameBytesMax)
                break;
            var body = buffer.Slice(HeaderBytes, (long)length).ToArray();
            input.AdvanceTo(buffer.GetPosition(HeaderBytes + (long)length));
            return body;
        }

        // Nothing counts as looked at, so that the waiting read finds it again.
        input.AdvanceTo(buffer.Start, buffer.Start);
        return null;
    }

    private async ValueTask<ReadOnlyMemory<byte>?> ReceiveSlowlyAsync(CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, cancel);
        try
        {
            while (true)
            {
                var body = await ReadFrameAsync(_connection.Input, _options.FrameBytesMax, true, either.Token);
                if (body is null)
                {
                    Close(new CloseReason(CloseKind.Peer, "closed by the peer"));
                    return null;
                }

                if (body.Length > 0)
                    return body;
            }
        }
        catch (ConnectionClosedException e)
        {
            Close(e.Reason);
            return null;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException && !cancel.IsCancellationRequested)
        {
            Close(new CloseReason(CloseKind.Io, e.Message));
            return null;
        }
        finally
        {
            Volatile.Write(ref _waitingToReadSince, 0);
        }
    }

    /// <summary>Ends the channel; the first reason is the one that is kept. What is queued and unsent is lost.</summary>
    public void Close(CloseReason reason)
    {
        if (!_closed.TrySetResult(reason))
            return;
        _clock?.Dispose();
        _outgoing.Writer.TryComplete();
        _stop.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        Close(new CloseReason(CloseKind.Local, "closed"));
        await _writing;
        await _connection.DisposeAsync();
    }

    private static async Task<FrameHello> ShakeHandsAsync(TransportConnection connection, FrameHello hello, CancellationToken cancel)
    {
        WriteHello(connection.Output, hello);
        await connection.Output.FlushAsync(cancel);
        var magic = new byte[HeaderBytes];
        if (!await FillAsync(connection.Input, magic, null, cancel) || BinaryPrimitives.ReadUInt64BigEndian(magic) != Magic)
            throw Refuse("the peer does not speak this protocol");
        var body = await new FrameReader(connection.Input).ReadAsync(HelloBytesMax, cancel) ?? throw Refuse("the peer went away");
        var peer = ParseHello(body);
        if (peer.Service != hello.Service)
            throw Refuse($"the peer speaks {peer.Service}, not {hello.Service}");
        if (peer.Version != hello.Version)
            throw Refuse($"the peer has protocol version {peer.Version}, not {hello.Version}");
        if (peer.Host.Length > 0 && hello.Host.Length > 0 && peer.Host != hello.Host)
            throw Refuse($"the connection is for {peer.Host}, not for {hello.Host}");
        return peer;

        static ConnectionClosedException Refuse(string why) => new(new CloseReason(CloseKind.Handshake, why));
    }

    private static void WriteHello(PipeWriter output, FrameHello hello)
    {
        var service = Encoding.UTF8.GetBytes(hello.Service);
        var host = Encoding.UTF8.GetBytes(hello.Host);
        var length = 4 + 2 + service.Length + 2 + host.Length;
        var span = output.GetSpan((2 * HeaderBytes) + length);
        BinaryPrimitives.WriteUInt64BigEndian(span, Magic);
        BinaryPrimitives.WriteInt64BigEndian(span[8..], length);
        BinaryPrimitives.WriteUInt32BigEndian(span[16..], hello.Version);
        BinaryPrimitives.WriteUInt16BigEndian(span[20..], checked((ushort)service.Length));
        service.CopyTo(span[22..]);
        var rest = span[(22 + service.Length)..];
        BinaryPrimitives.WriteUInt16BigEndian(rest, checked((ushort)host.Length));
        host.CopyTo(rest[2..]);
        output.Advance((2 * HeaderBytes) + length);
    }

    private static FrameHello ParseHello(ReadOnlySpan<byte> body)
    {
        var malformed = new ConnectionClosedException(new CloseReason(CloseKind.Handshake, "malformed hello"));
        if (body.Length < 4)
            throw malformed;
        var version = BinaryPrimitives.ReadUInt32BigEndian(body);
        body = body[4..];
        return new FrameHello(version, Text(ref body), Text(ref body));

        string Text(ref ReadOnlySpan<byte> rest)
        {
            if (rest.Length < 2 || BinaryPrimitives.ReadUInt16BigEndian(rest) is var length && rest.Length < 2 + length)
                throw malformed;
            var text = Encoding.UTF8.GetString(rest.Slice(2, length));
            rest = rest[(2 + length)..];
            return text;
        }
    }

    /// <summary>Fills <paramref name="target"/>; false if the stream ended before its first byte.</summary>
    /// <exception cref="ConnectionClosedException">It ended after its first byte.</exception>
    private static async ValueTask<bool> FillAsync(PipeReader input, Memory<byte> target, FrameChannel? channel, CancellationToken cancel)
    {
        var filled = 0;
        while (filled < target.Length)
        {
            if (!input.TryRead(out var result))
            {
                channel?.BeginWait(ref channel._waitingToReadSince);
                result = await input.ReadAsync(cancel);
            }

            var available = result.Buffer.Slice(0, Math.Min(result.Buffer.Length, target.Length - filled));
            available.CopyTo(target.Span[filled..]);
            filled += (int)available.Length;
            input.AdvanceTo(available.End);
            if (available.Length == 0 && result.IsCompleted)
            {
                return filled == 0
                    ? false
                    : throw new ConnectionClosedException(new CloseReason(CloseKind.Io, "the connection ended within a frame"));
            }
        }

        if (channel is not null)
            Volatile.Write(ref channel._waitingToReadSince, 0);
        return true;
    }

    private async ValueTask<byte[]?> ReadFrameAsync(PipeReader input, long bytesMax, bool clocked, CancellationToken cancel) =>
        await new FrameReader(input, clocked ? this : null).ReadAsync(bytesMax, cancel);

    private void BeginWait(ref long since) => Volatile.Write(ref since, Math.Max(1, _time.GetTimestamp()));

    private async Task WriteAsync()
    {
        // Off the caller's stack: the first write must not run in the constructor.
        await Task.Yield();
        var output = _connection.Output;
        try
        {
            while (await _outgoing.Reader.WaitToReadAsync(_stop.Token))
            {
                BeginWait(ref _waitingToWriteSince);
                while (_outgoing.Reader.TryRead(out var body))
                {
                    BinaryPrimitives.WriteInt64BigEndian(output.GetSpan(HeaderBytes), body.Length);
                    output.Advance(HeaderBytes);
                    if (body.Length > SmallFrameBytes)
                    {
                        await WriteInPiecesAsync(output, body);
                        BeginWait(ref _waitingToWriteSince);
                    }
                    else
                    {
                        output.Write(body.Span);
                    }

                    if (output.CanGetUnflushedBytes && output.UnflushedBytes > SmallFrameBytes)
                        await output.FlushAsync(_stop.Token);
                }

                var flushed = await output.FlushAsync(_stop.Token);
                Volatile.Write(ref _waitingToWriteSince, 0);
                Volatile.Write(ref _sentAt, _time.GetTimestamp());
                if (flushed.IsCompleted)
                {
                    Close(new CloseReason(CloseKind.Peer, "closed by the peer"));
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Closed; the reason is recorded.
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            Close(new CloseReason(CloseKind.Io, e.Message));
        }
    }

    /// <summary>A long frame goes out in pieces, each of which counts as a sign of life.</summary>
    private async ValueTask WriteInPiecesAsync(PipeWriter output, ReadOnlyMemory<byte> body)
    {
        const int PieceBytes = 256 * 1024;
        for (var at = 0; at < body.Length; at += PieceBytes)
        {
            BeginWait(ref _waitingToWriteSince);
            await output.WriteAsync(body.Slice(at, Math.Min(PieceBytes, body.Length - at)), _stop.Token);
        }
    }

    private void Tick()
    {
        if (_closed.Task.IsCompleted)
            return;
        var now = _time.GetTimestamp();
        if (_options.IdleTimeout is { } limit)
        {
            if (Overdue(ref _waitingToReadSince, now, limit))
                Close(new CloseReason(CloseKind.Idle, $"the peer sent nothing for {limit.TotalSeconds} s"));
            else if (Overdue(ref _waitingToWriteSince, now, limit))
                Close(new CloseReason(CloseKind.Idle, $"the peer took nothing for {limit.TotalSeconds} s"));
        }

        // A full queue needs no keep-alive.
        if (_time.GetElapsedTime(Volatile.Read(ref _sentAt), now) >= _options.KeepAliveInterval)
            _outgoing.Writer.TryWrite(ReadOnlyMemory<byte>.Empty);
    }

    private bool Overdue(ref long since, long now, TimeSpan limit)
    {
        var started = Volatile.Read(ref since);
        return started != 0 && _time.GetElapsedTime(started, now) >= limit;
    }

    /// <summary>Reads one frame at a time.</summary>
    private readonly struct FrameReader(PipeReader input, FrameChannel? channel = null)
    {
        /// <summary>The body, empty for a keep-alive; null when the stream ended between frames.</summary>
        public async ValueTask<byte[]?> ReadAsync(long bytesMax, CancellationToken cancel)
        {
            var header = new byte[HeaderBytes];
            if (!await FillAsync(input, header, channel, cancel))
                return null;
            var length = BinaryPrimitives.ReadUInt64BigEndian(header);
            if (length > (ulong)Math.Min(bytesMax, Array.MaxLength))
                throw new ConnectionClosedException(new CloseReason(CloseKind.Malformed, $"a frame of {length} bytes"));
            if (length == 0)
                return [];
            var body = GC.AllocateUninitializedArray<byte>((int)length);
            return await FillAsync(input, body, channel, cancel)
                ? body
                : throw new ConnectionClosedException(new CloseReason(CloseKind.Io, "the connection ended within a frame"));
        }
    }
}
