using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Materialize.Persist.Codec;
using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.Push;

internal enum PushKind : byte
{
    /// <summary>First frame of a client; its sequence number is the protocol's version.</summary>
    Hello = 0,

    /// <summary>Client to server: the shard's diffs are wanted.</summary>
    Subscribe = 1,

    /// <summary>Client to server: no longer.</summary>
    Unsubscribe = 2,

    /// <summary>Either way: an entry of the shard's log.</summary>
    Diff = 3,

    /// <summary>Server to client: from now on diffs come; those before may have been missed.</summary>
    Subscribed = 4,
}

internal readonly record struct PushFrame(PushKind Kind, ShardId Shard, VersionedData Data);

/// <summary>A frame is its length, a CRC32C of the rest, the kind, the shard, the sequence number and the entry; little-endian.</summary>
internal static class PushFrames
{
    public const ulong ProtocolVersion = 1;
    private const int HeaderBytes = 8;
    private const int FixedBytes = 1 + 16 + 8;

    /// <summary>More than any entry of a log: such a length is damage.</summary>
    private const int FrameBytesMax = 64 * 1024 * 1024;

    public static byte[] Encode(PushFrame frame)
    {
        var bytes = new byte[HeaderBytes + FixedBytes + frame.Data.Data.Length];
        var body = bytes.AsSpan(HeaderBytes);
        body[0] = (byte)frame.Kind;
        frame.Shard.Value.TryWriteBytes(body[1..]);
        BinaryPrimitives.WriteUInt64LittleEndian(body[17..], frame.Data.SeqNo.Value);
        frame.Data.Data.Span.CopyTo(body[FixedBytes..]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Sealed.Crc32C(body));
        return bytes;
    }

    /// <summary>The next frame; null at the end of the stream.</summary>
    /// <exception cref="InvalidDataException">The bytes are no frame: the connection is of no use any more.</exception>
    public static async ValueTask<PushFrame?> ReadAsync(PipeReader reader, CancellationToken cancel)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancel);
            var buffer = read.Buffer;
            if (TryTake(ref buffer, out var frame))
            {
                reader.AdvanceTo(buffer.Start);
                return frame;
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
                return null;
        }
    }

    private static bool TryTake(ref ReadOnlySequence<byte> buffer, out PushFrame frame)
    {
        frame = default;
        if (buffer.Length < HeaderBytes)
            return false;
        Span<byte> header = stackalloc byte[HeaderBytes];
        buffer.Slice(0, HeaderBytes).CopyTo(header);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (length is < FixedBytes or > FrameBytesMax)
            throw new InvalidDataException($"a push frame of {length} bytes");
        if (buffer.Length < HeaderBytes + length)
            return false;
        var body = buffer.Slice(HeaderBytes, length).ToArray();
        if (Sealed.Crc32C(body) != BinaryPrimitives.ReadUInt32LittleEndian(header[4..]))
            throw new InvalidDataException("a push frame's checksum does not match");
        buffer = buffer.Slice(HeaderBytes + length);
        frame = new PushFrame(
            (PushKind)body[0], new ShardId(new Guid(body.AsSpan(1, 16))),
            new VersionedData(new SeqNo(BinaryPrimitives.ReadUInt64LittleEndian(body.AsSpan(17))), body.AsMemory(FixedBytes)));
        return true;
    }
}
