using Materialize.Core;
using Materialize.Core.Memory;
using Materialize.Core.Rows;

namespace Materialize.Dataflow;

/// <summary>
/// A batch as bytes between the processes of one replica: its columns, raw. Not a stored format: both ends run the same build, which
/// the mesh's handshake checks; byte order is the machine's.
/// </summary>
internal static unsafe class UpdateBatchCodec<TTime> where TTime : unmanaged, ITime<TTime>
{
    public static byte[] Encode(UpdateBatch<TTime> batch)
    {
        var stream = new MemoryStream((int)Math.Min(batch.Bytes + 128, 1 << 28));
        Write(stream, batch.Count);
        Write(stream, (batch.IsKeyed ? 1 : 0) | (batch.Times != null ? 2 : 0) | (batch.Diffs != null ? 4 : 0) | (batch.Hashes != null ? 8 : 0));
        WriteRows(stream, batch.Rows, batch.Count);
        if (batch.IsKeyed)
            WriteRows(stream, batch.Keys, batch.Count);
        if (batch.Hashes != null)
            stream.Write(new ReadOnlySpan<byte>(batch.Hashes, batch.Count * sizeof(ulong)));
        if (batch.Times != null)
            stream.Write(new ReadOnlySpan<byte>(batch.Times, batch.Count * sizeof(TTime)));
        var uniform = batch.UniformTime;
        stream.Write(new ReadOnlySpan<byte>(&uniform, sizeof(TTime)));
        var min = batch.MinTime;
        stream.Write(new ReadOnlySpan<byte>(&min, sizeof(TTime)));
        if (batch.Diffs != null)
            stream.Write(new ReadOnlySpan<byte>(batch.Diffs, batch.Count * sizeof(long)));
        Write(stream, batch.UniformDiff);
        return stream.ToArray();
    }

    public static UpdateBatch<TTime> Decode(ReadOnlySpan<byte> bytes)
    {
        var count = Read<int>(ref bytes);
        var flags = Read<int>(ref bytes);
        Invariant.Check(count >= 0, "a batch has a count");
        var batch = new UpdateBatch<TTime> { Count = count, IsKeyed = (flags & 1) != 0, Rows = ReadRows(ref bytes, count) };
        if (batch.IsKeyed)
            batch.Keys = ReadRows(ref bytes, count);
        if ((flags & 8) != 0)
            batch.Hashes = (ulong*)ReadColumn(ref bytes, (long)count * sizeof(ulong), out batch.HashesCapacity);
        if ((flags & 2) != 0)
            batch.Times = (TTime*)ReadColumn(ref bytes, (long)count * sizeof(TTime), out batch.TimesCapacity);
        batch.UniformTime = Read<TTime>(ref bytes);
        batch.MinTime = Read<TTime>(ref bytes);
        if ((flags & 4) != 0)
            batch.Diffs = (long*)ReadColumn(ref bytes, (long)count * sizeof(long), out batch.DiffsCapacity);
        batch.UniformDiff = Read<long>(ref bytes);
        return batch;
    }

    private static void WriteRows(MemoryStream stream, in RowColumn rows, int count)
    {
        Write(stream, rows.Shape.Width);
        Write(stream, rows.Bytes);
        if (rows.Bytes > 0)
            stream.Write(new ReadOnlySpan<byte>(rows.Data, checked((int)rows.Bytes)));
        if (!rows.IsFixed)
            stream.Write(new ReadOnlySpan<byte>(rows.Ends, count * sizeof(uint)));
    }

    private static RowColumn ReadRows(ref ReadOnlySpan<byte> bytes, int count)
    {
        var rows = new RowColumn { Shape = new RowShape(Read<int>(ref bytes)), Count = count };
        rows.Bytes = Read<long>(ref bytes);
        if (rows.Bytes > 0)
            rows.Data = ReadColumn(ref bytes, rows.Bytes, out rows.DataCapacity);
        if (!rows.IsFixed)
            rows.Ends = (uint*)ReadColumn(ref bytes, (long)count * sizeof(uint), out rows.EndsCapacity);
        return rows;
    }

    private static byte* ReadColumn(ref ReadOnlySpan<byte> bytes, long length, out long capacity)
    {
        capacity = SlabPool.CapacityFor(length);
        var data = SlabPool.Rent(capacity);
        bytes[..checked((int)length)].CopyTo(new Span<byte>(data, (int)length));
        bytes = bytes[(int)length..];
        return data;
    }

    private static void Write<T>(MemoryStream stream, T value) where T : unmanaged =>
        stream.Write(new ReadOnlySpan<byte>(&value, sizeof(T)));

    private static T Read<T>(ref ReadOnlySpan<byte> bytes) where T : unmanaged
    {
        var value = System.Runtime.InteropServices.MemoryMarshal.Read<T>(bytes);
        bytes = bytes[sizeof(T)..];
        return value;
    }
}
