using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Materialize.Interchange;

/// <summary>
/// Bytes on their way out: one contiguous, growing, pooled array, so that a length can be patched in after what it counts.
/// Integers are written big-endian, as the Postgres protocol has them.
/// </summary>
/// <remarks>One thread. An empty buffer holds no array worth speaking of: an idle connection costs next to nothing.</remarks>
public sealed class WireBuffer : IBufferWriter<byte>, IDisposable
{
    private const int KeptBytesMax = 128 * 1024;
    private byte[] _bytes = [];

    /// <summary>Bytes written since the last <see cref="Clear"/>.</summary>
    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    /// <summary>For filling in what was left open; valid until the next write.</summary>
    public Span<byte> MutableWritten => _bytes.AsSpan(0, Length);

    /// <summary>Valid until the next write.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, Length);

    /// <summary>Room for at least <paramref name="sizeHint"/> bytes, and at least one.</summary>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        if (_bytes.Length - Length < Math.Max(sizeHint, 1))
            Grow(Math.Max(sizeHint, 1));
        return _bytes.AsSpan(Length);
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_bytes.Length - Length < Math.Max(sizeHint, 1))
            Grow(Math.Max(sizeHint, 1));
        return _bytes.AsMemory(Length);
    }

    public void Advance(int count) => Length += count;

    public void WriteByte(byte value)
    {
        GetSpan(1)[0] = value;
        Length++;
    }

    public void WriteInt16(short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(GetSpan(2), value);
        Length += 2;
    }

    public void WriteInt32(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(GetSpan(4), value);
        Length += 4;
    }

    public void WriteInt64(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(GetSpan(8), value);
        Length += 8;
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        Length += bytes.Length;
    }

    /// <summary>Appends <paramref name="text"/> in UTF-8; lone surrogates become U+FFFD.</summary>
    public void WriteText(ReadOnlySpan<char> text) =>
        Length += Encoding.UTF8.GetBytes(text, GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length)));

    /// <summary>Appends a NUL-terminated string; a NUL inside would end it early, so it is left out.</summary>
    public void WriteCString(string text)
    {
        WriteText(text.Contains('\0', StringComparison.Ordinal) ? text.Replace("\0", "", StringComparison.Ordinal) : text);
        WriteByte(0);
    }

    /// <summary>Overwrites four bytes written before.</summary>
    public void PatchInt32(int at, int value) => BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(at, 4), value);

    /// <summary>Takes back what was written after <paramref name="length"/>.</summary>
    public void Truncate(int length) => Length = length;

    /// <summary>Forgets the content; gives an array back that a large message has made grow.</summary>
    public void Clear()
    {
        Length = 0;
        if (_bytes.Length > KeptBytesMax)
            Release();
    }

    /// <summary>Forgets the content and holds no memory until the next write.</summary>
    public void Release()
    {
        Length = 0;
        if (_bytes.Length > 0)
            ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    public void Dispose() => Release();

    private void Grow(int needed)
    {
        var size = Math.Max(_bytes.Length * 2L, Math.Max(1024L, (long)Length + needed));
        var grown = ArrayPool<byte>.Shared.Rent((int)Math.Min(size, Array.MaxLength));
        Written.CopyTo(grown);
        if (_bytes.Length > 0)
            ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = grown;
    }
}
