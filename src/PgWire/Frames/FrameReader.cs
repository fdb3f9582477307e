using System.Buffers;
using System.Net.Sockets;

namespace Materialize.PgWire;

/// <summary>
/// Bytes from the client, in one growing array. Grows only as bytes come, never by what a length field promises.
/// </summary>
/// <remarks>
/// Not a PipeReader, because while a statement runs we must look out for the client's disappearance, that is keep a read going,
/// and yet parse what lies already here (the Sync behind an Execute) the moment the statement is done; a PipeReader's buffer
/// may not be touched while a read is outstanding. Here the read fills the array's free tail, and bytes before the tail stay
/// where they are until the read is over. One task at a time.
/// </remarks>
internal sealed class FrameReader(Stream stream, CancellationToken cancel) : IDisposable
{
    private const int IdleBytes = 4096;
    private const int WatchedBytesMax = 64 * 1024;
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private Task<int>? _pending;

    /// <summary>Bytes here and not consumed.</summary>
    public int Available => _end - _start;

    /// <summary>The client has closed, or the connection broke. What came before can still be read.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>Valid until the next call that reads.</summary>
    public ReadOnlySpan<byte> Span => _buffer.AsSpan(_start, Available);

    public void Consume(int count) => _start += count;

    /// <summary>Waits until <paramref name="count"/> bytes are here; false if the client ends before.</summary>
    public async ValueTask<bool> FillAsync(int count)
    {
        while (Available < count)
        {
            if (IsEnded)
                return false;
            if (_pending is null)
            {
                MakeRoom(count);
                await EndReadAsync(stream.ReadAsync(_buffer.AsMemory(_end), cancel));
            }
            else
            {
                await EndReadAsync();
            }
        }

        return true;
    }

    /// <summary>Throws away <paramref name="count"/> bytes, as they come.</summary>
    public async ValueTask<bool> SkipAsync(long count)
    {
        while (count > 0)
        {
            if (!await FillAsync(1))
                return false;
            var taken = (int)Math.Min(count, Available);
            Consume(taken);
            count -= taken;
        }

        return true;
    }

    /// <summary>
    /// A read that goes on beside a running statement, completing when bytes come or the client goes; null if enough lies here
    /// unread, or the end was seen. Nothing that was handed out by <see cref="Span"/> may be in use.
    /// </summary>
    public Task? BeginRead()
    {
        if (_pending is not null)
            return _pending;
        if (IsEnded || Available >= WatchedBytesMax)
            return null;
        MakeRoom(Available + 1);
        return _pending = stream.ReadAsync(_buffer.AsMemory(_end), cancel).AsTask();
    }

    /// <summary>Waits for the read that <see cref="BeginRead"/> began.</summary>
    public ValueTask EndReadAsync()
    {
        var pending = _pending!;
        _pending = null;
        return EndReadAsync(new ValueTask<int>(pending));
    }

    /// <summary>Call only when no read can be outstanding any more: after the stream is closed.</summary>
    public void Dispose()
    {
        if (_buffer.Length > 0 && _pending is null or { IsCompleted: true })
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _start = _end = 0;
    }

    private async ValueTask EndReadAsync(ValueTask<int> read)
    {
        var count = 0;
        try
        {
            count = await read;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // A broken connection is an ended one: what matters is that nobody is there.
        }

        _end += count;
        IsEnded |= count == 0;
    }

    private void MakeRoom(int count)
    {
        if (Available == 0)
        {
            _start = _end = 0;
            // An idle connection keeps a small array; one that has just sent much has to say so again.
            if (_buffer.Length > WatchedBytesMax)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
                _buffer = [];
            }
        }

        if (_buffer.Length - _start >= count && _end < _buffer.Length)
            return;
        if (_buffer.Length >= count && Available < _buffer.Length)
        {
            _buffer.AsSpan(_start, Available).CopyTo(_buffer);
        }
        else
        {
            // Double, whatever is asked for: 1 GB is only held by who has sent half of it.
            var size = Math.Max(IdleBytes, Math.Min(Math.Max(count, _buffer.Length + 1L), Math.Max(_buffer.Length, IdleBytes) * 2L));
            var grown = ArrayPool<byte>.Shared.Rent((int)Math.Min(size, Array.MaxLength));
            _buffer.AsSpan(_start, Available).CopyTo(grown);
            if (_buffer.Length > 0)
                ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = grown;
        }

        _end -= _start;
        _start = 0;
    }
}
