using System.Runtime.InteropServices;
using Materialize.Core;
using Materialize.Core.Memory;
using Materialize.Core.Rows;

namespace Materialize.Dataflow;

/// <summary>
/// A batch as bytes between the processes of one replica: its columns, raw. Not a stored format: both ends run the same build, which
/// the mesh's handshake checks; byte order is the machine's. Times of loops go as their stamps, cut to the rounds there are: as they lie in
/// memory, they have padding, whose bytes are whatever was there before. So batches that are equal have equal bytes.
/// </summary>
internal static unsafe class UpdateBatchCodec<TTime> where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Bytes of the outer time and of the rounds.</summary>
    private static int TimeBytes => sizeof(ulong) + (TTime.Depth * sizeof(uint));

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
            WriteTimes(stream, new ReadOnlySpan<TTime>(batch.Times, batch.Count));
        WriteTimes(stream, [batch.UniformTime, batch.MinTime]);
        if (batch.Diffs != null)
            stream.Write(new ReadOnlySpan<byte>(batch.Diffs, batch.Count * sizeof(long)));
        Write(stream, batch.UniformDiff);
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="Encode"/> wrote. Allocates no more than the bytes there are.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a batch.</exception>
    public static UpdateBatch<TTime> Decode(ReadOnlySpan<byte> bytes)
    {
        var count = Read<int>(ref bytes);
        var flags = Read<int>(ref bytes);
        if (count <= 0 || (flags & ~15) != 0)
            throw new InvalidDataException($"a batch of {count} updates, flags {flags}");
        var batch = UpdateBatch<TTime>.New();
        batch.Count = count;
        batch.IsKeyed = (flags & 1) != 0;
        try
        {
            ReadRows(ref bytes, count, ref batch.Rows);
            if (batch.IsKeyed)
                ReadRows(ref bytes, count, ref batch.Keys);
            if ((flags & 8) != 0)
                batch.Hashes = (ulong*)ReadColumn(ref bytes, (long)count * sizeof(ulong), out batch.HashesCapacity);
            if ((flags & 2) != 0)
                ReadTimes(ref bytes, batch);
            batch.UniformTime = ReadTime(ref bytes);
            batch.MinTime = ReadTime(ref bytes);
            if ((flags & 4) != 0)
                batch.Diffs = (long*)ReadColumn(ref bytes, (long)count * sizeof(long), out batch.DiffsCapacity);
            batch.UniformDiff = Read<long>(ref bytes);
            if (!bytes.IsEmpty)
                throw new InvalidDataException($"{bytes.Length} bytes follow a batch");
            return batch;
        }
        catch
        {
            batch.Release();
            throw;
        }
    }

    private static void WriteTimes(MemoryStream stream, ReadOnlySpan<TTime> times)
    {
        if (TTime.Depth == 0)
        {
            stream.Write(MemoryMarshal.AsBytes(times));
            return;
        }

        Span<ulong> words = stackalloc ulong[2];
        foreach (var time in times)
        {
            var stamp = time.ToStamp();
            words[0] = stamp.Outer;
            words[1] = stamp.Inner >> (64 - (32 * TTime.Depth));
            stream.Write(MemoryMarshal.AsBytes(words)[..TimeBytes]);
        }
    }

    private static void ReadTimes(ref ReadOnlySpan<byte> bytes, UpdateBatch<TTime> batch)
    {
        if (TTime.Depth == 0)
        {
            batch.Times = (TTime*)ReadColumn(ref bytes, (long)batch.Count * sizeof(TTime), out batch.TimesCapacity);
            return;
        }

        if ((long)batch.Count * TimeBytes > bytes.Length)
            throw new InvalidDataException($"{batch.Count} times in {bytes.Length} bytes");
        batch.TimesCapacity = SlabPool.CapacityFor((long)batch.Count * sizeof(TTime));
        batch.Times = (TTime*)SlabPool.Rent(batch.TimesCapacity);
        for (var i = 0; i < batch.Count; i++)
            batch.Times[i] = ReadTime(ref bytes);
    }

    private static TTime ReadTime(ref ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < TimeBytes)
            throw new InvalidDataException("a batch ends early");
        Span<ulong> words = stackalloc ulong[2];
        words.Clear();
        bytes[..TimeBytes].CopyTo(MemoryMarshal.AsBytes(words));
        bytes = bytes[TimeBytes..];
        return TTime.FromStamp(new Stamp(words[0], TTime.Depth == 0 ? 0 : words[1] << (64 - (32 * TTime.Depth))));
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

    private static void ReadRows(ref ReadOnlySpan<byte> bytes, int count, ref RowColumn rows)
    {
        var width = Read<int>(ref bytes);
        var length = Read<long>(ref bytes);
        if (width < RowShape.VariableWidth || length < 0 || (width >= 0 && length != (long)width * count))
            throw new InvalidDataException($"{count} rows of width {width} in {length} bytes");
        rows.Shape = new RowShape(width);
        rows.Count = count;
        rows.Bytes = length;
        if (length > 0)
            rows.Data = ReadColumn(ref bytes, length, out rows.DataCapacity);
        if (rows.IsFixed)
            return;
        rows.Ends = (uint*)ReadColumn(ref bytes, (long)count * sizeof(uint), out rows.EndsCapacity);
        var last = 0u;
        for (var i = 0; i < count; i++)
        {
            if (rows.Ends[i] < last)
                throw new InvalidDataException("a row ends before it begins");
            last = rows.Ends[i];
        }

        if (last != length)
            throw new InvalidDataException("the last row does not end where the rows do");
    }

    // Lengths are believed only when the bytes are there.
    private static byte* ReadColumn(ref ReadOnlySpan<byte> bytes, long length, out long capacity)
    {
        if (length > bytes.Length)
            throw new InvalidDataException($"a column of {length} bytes where {bytes.Length} are left");
        capacity = SlabPool.CapacityFor(length);
        var data = SlabPool.Rent(capacity);
        bytes[..(int)length].CopyTo(new Span<byte>(data, (int)length));
        bytes = bytes[(int)length..];
        return data;
    }

    private static void Write<T>(MemoryStream stream, T value) where T : unmanaged =>
        stream.Write(new ReadOnlySpan<byte>(&value, sizeof(T)));

    private static T Read<T>(ref ReadOnlySpan<byte> bytes) where T : unmanaged
    {
        if (bytes.Length < sizeof(T))
            throw new InvalidDataException("a batch ends early");
        var value = MemoryMarshal.Read<T>(bytes);
        bytes = bytes[sizeof(T)..];
        return value;
    }
}
