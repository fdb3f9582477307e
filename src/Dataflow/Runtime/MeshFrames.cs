using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;

namespace Materialize.Dataflow.Runtime;

// Frames between the processes of a replica: a length (4 bytes, of what follows), a kind (1 byte), a body. Numbers are little-endian; batches are raw columns. Both ends run the same build,
// which the handshake's version stands for.

internal enum FrameKind : byte
{
    /// <summary>from worker (4), dataflow (4), count (4), then place (4), outer (8), inner (8), count (8) each.</summary>
    Progress = 1,

    /// <summary>from worker (4), to worker (4), dataflow (4), place (4), batch.</summary>
    Data = 2,

    /// <summary>worker (4), bytes (8): that worker's data was taken from an inbox.</summary>
    Credit = 3,

    /// <summary>Bytes for the process, not for a worker.</summary>
    Control = 4,

    /// <summary>Nothing: the sender is alive.</summary>
    KeepAlive = 5,
}

internal static class MeshFrames
{
    public const int HeaderBytes = 5;
    public const int BytesMax = 1 << 30;
    private const int ChangeBytes = 36;

    public static byte[] Progress(int from, int dataflow, (int Place, Stamp Stamp, long Count)[] changes)
    {
        var frame = Begin(FrameKind.Progress, 12 + (ChangeBytes * changes.Length));
        var body = frame.AsSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(body, from);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], dataflow);
        BinaryPrimitives.WriteInt32LittleEndian(body[8..], changes.Length);
        body = body[12..];
        foreach (var (place, stamp, count) in changes)
        {
            BinaryPrimitives.WriteInt32LittleEndian(body, place);
            BinaryPrimitives.WriteUInt64LittleEndian(body[4..], stamp.Outer);
            BinaryPrimitives.WriteUInt64LittleEndian(body[12..], stamp.Inner);
            BinaryPrimitives.WriteUInt64LittleEndian(body[20..], stamp.Deep);
            BinaryPrimitives.WriteInt64LittleEndian(body[28..], count);
            body = body[ChangeBytes..];
        }

        return frame;
    }

    /// <exception cref="InvalidDataException">The body is of no such frame.</exception>
    public static InboxItem.Progress ReadProgress(ReadOnlySpan<byte> body)
    {
        if (body.Length < 12 || BinaryPrimitives.ReadInt32LittleEndian(body[8..]) != (body.Length - 12) / ChangeBytes || (body.Length - 12) % ChangeBytes != 0)
            throw new InvalidDataException($"a progress frame of {body.Length} bytes");
        var from = BinaryPrimitives.ReadInt32LittleEndian(body);
        var dataflow = BinaryPrimitives.ReadInt32LittleEndian(body[4..]);
        var changes = new (int, Stamp, long)[BinaryPrimitives.ReadInt32LittleEndian(body[8..])];
        body = body[12..];
        for (var i = 0; i < changes.Length; i++)
        {
            changes[i] = (
                BinaryPrimitives.ReadInt32LittleEndian(body),
                new Stamp(BinaryPrimitives.ReadUInt64LittleEndian(body[4..]), BinaryPrimitives.ReadUInt64LittleEndian(body[12..]), BinaryPrimitives.ReadUInt64LittleEndian(body[20..])),
                BinaryPrimitives.ReadInt64LittleEndian(body[28..]));
            body = body[ChangeBytes..];
        }

        return new InboxItem.Progress(from, dataflow, changes);
    }

    public static byte[] Data(int from, int to, int dataflow, int place, byte[] batch)
    {
        var frame = Begin(FrameKind.Data, 16 + batch.Length);
        var body = frame.AsSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(body, from);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], to);
        BinaryPrimitives.WriteInt32LittleEndian(body[8..], dataflow);
        BinaryPrimitives.WriteInt32LittleEndian(body[12..], place);
        batch.CopyTo(body[16..]);
        return frame;
    }

    /// <summary>The body of a data frame whose receiver is one of this process's workers.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    public static (int To, InboxItem.Encoded Item) ReadData(ReadOnlySpan<byte> body, int firstWorker, int workers, int allWorkers)
    {
        if (body.Length < 16)
            throw new InvalidDataException($"a data frame of {body.Length} bytes");
        var to = BinaryPrimitives.ReadInt32LittleEndian(body[4..]) - firstWorker;
        var from = BinaryPrimitives.ReadInt32LittleEndian(body);
        if ((uint)to >= (uint)workers || (uint)from >= (uint)allWorkers)
            throw new InvalidDataException($"a data frame from worker {from} for worker {to + (long)firstWorker}");
        return (to, new InboxItem.Encoded(BinaryPrimitives.ReadInt32LittleEndian(body[8..]), BinaryPrimitives.ReadInt32LittleEndian(body[12..]), body[16..].ToArray(), from));
    }

    /// <summary>The body of a credit frame for one of this process's workers.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    public static (int Worker, long Bytes) ReadCredit(ReadOnlySpan<byte> body, int firstWorker, int workers)
    {
        if (body.Length != 12)
            throw new InvalidDataException($"a credit frame of {body.Length} bytes");
        var worker = BinaryPrimitives.ReadInt32LittleEndian(body) - firstWorker;
        var bytes = BinaryPrimitives.ReadInt64LittleEndian(body[4..]);
        if ((uint)worker >= (uint)workers || bytes < 0)
            throw new InvalidDataException($"a credit of {bytes} bytes for worker {worker + (long)firstWorker}");
        return (worker, bytes);
    }

    public static byte[] Credit(int worker, long bytes)
    {
        var frame = Begin(FrameKind.Credit, 12);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(HeaderBytes), worker);
        BinaryPrimitives.WriteInt64LittleEndian(frame.AsSpan(HeaderBytes + 4), bytes);
        return frame;
    }

    public static byte[] Control(ReadOnlySpan<byte> message)
    {
        var frame = Begin(FrameKind.Control, message.Length);
        message.CopyTo(frame.AsSpan(HeaderBytes));
        return frame;
    }

    public static byte[] KeepAlive { get; } = Begin(FrameKind.KeepAlive, 0);

    private static byte[] Begin(FrameKind kind, int bodyBytes)
    {
        var frame = new byte[HeaderBytes + bodyBytes];
        BinaryPrimitives.WriteInt32LittleEndian(frame, bodyBytes + 1);
        frame[4] = (byte)kind;
        return frame;
    }
}

/// <summary>What a process says first on each connection of the mesh.</summary>
internal readonly record struct MeshHello(string Replica, ulong Epoch, int Process, int Processes, int Workers)
{
    private const ulong Magic = 0x4853454D5A4D; // "MZMESH"
    private const uint Version = 2;
    private const int FixedBytes = 8 + 4 + 8 + 4 + 4 + 4 + 4;

    public async Task WriteAsync(PipeWriter writer, CancellationToken cancel)
    {
        var name = Encoding.UTF8.GetBytes(Replica);
        var bytes = new byte[FixedBytes + name.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(12), Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(20), Process);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(24), Processes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(28), Workers);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(32), name.Length);
        name.CopyTo(bytes, FixedBytes);
        await writer.WriteAsync(bytes, cancel);
    }

    /// <exception cref="InvalidDataException">The other side is not a process of this version's mesh.</exception>
    /// <exception cref="IOException">It went away before it had said who it is.</exception>
    public static async Task<MeshHello> ReadAsync(PipeReader reader, CancellationToken cancel)
    {
        var bytes = await ReadExactlyAsync(reader, FixedBytes, cancel);
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes) != Magic)
            throw new InvalidDataException("the peer does not speak the mesh protocol");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        if (version != Version)
            throw new InvalidDataException($"the peer speaks version {version} of the mesh protocol, this process {Version}");
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(32));
        if (length is < 0 or > 1024)
            throw new InvalidDataException("the peer's replica id is not plausible");
        var name = await ReadExactlyAsync(reader, length, cancel);
        return new MeshHello(
            Encoding.UTF8.GetString(name),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(12)),
            BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(20)),
            BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(24)),
            BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(28)));
    }

    private static async Task<byte[]> ReadExactlyAsync(PipeReader reader, int count, CancellationToken cancel)
    {
        if (count == 0)
            return [];
        var read = await reader.ReadAtLeastAsync(count, cancel);
        if (read.Buffer.Length < count)
            throw new EndOfStreamException("the peer went away");
        var taken = read.Buffer.Slice(0, count);
        var bytes = taken.ToArray();
        reader.AdvanceTo(taken.End);
        return bytes;
    }
}
