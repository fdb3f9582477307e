using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Numerics;
using System.Runtime.InteropServices;
using Materialize.Persist.Codec;
using Materialize.Repr;

namespace Materialize.Persist.Columns;

/// <summary>How the row bytes of a part are stored.</summary>
public enum PartCompression : byte
{
    /// <summary>As they are: fastest, read without a copy.</summary>
    None = 0,

    /// <summary>Brotli at its fastest level, kept only where it saves space.</summary>
    Brotli = 1,
}

/// <summary>
/// The stored form of a part: sorted, consolidated updates as columns. Columns whose values are all equal (one time, +1, rows of one width)
/// take no space per update; others take the least of 1, 2, 4 or 8 bytes.
/// </summary>
internal static class PartCodec
{
    private const byte Version = 1;

    public static ReadOnlyMemory<byte> Encode(UpdateColumns updates, PartCompression compression)
    {
        var start = updates.Offsets[0];
        var rows = updates.Rows[start..updates.Offsets[^1]];
        var encoder = Encoder.Start(out var buffer, rows.Length + (20 * updates.Count) + 64);
        encoder.Varint((ulong)updates.Count);
        var lengths = ArrayPool<ulong>.Shared.Rent(Math.Max(1, updates.Count));
        for (var i = 0; i < updates.Count; i++)
            lengths[i] = (ulong)(updates.Offsets[i + 1] - updates.Offsets[i]);
        Column(encoder, buffer, lengths.AsSpan(0, updates.Count));
        Column(encoder, buffer, MemoryMarshal.Cast<Timestamp, ulong>(updates.Times));
        for (var i = 0; i < updates.Count; i++)
            lengths[i] = ZigZag(updates.Diffs[i]);
        Column(encoder, buffer, lengths.AsSpan(0, updates.Count));
        ArrayPool<ulong>.Shared.Return(lengths);
        Rows(encoder, rows, compression);
        return Sealed.Seal(buffer, Version);
    }

    /// <summary>The rows share memory with <paramref name="bytes"/> unless they were compressed.</summary>
    /// <param name="key">Names the place in errors.</param>
    public static UpdateColumns Decode(string key, ReadOnlyMemory<byte> bytes)
    {
        var decoder = new Decoder(key, Sealed.Open(key, bytes, Version));
        var claimed = decoder.Varint();
        if (claimed > int.MaxValue - 1)
            throw decoder.Corrupt($"{claimed} updates are too many");
        var count = (int)claimed;
        var column = ArrayPool<ulong>.Shared.Rent(Math.Max(1, count));
        try
        {
            var values = column.AsSpan(0, count);
            Column(ref decoder, values);
            var offsets = new int[count + 1];
            long end = 0;
            for (var i = 0; i < count; i++)
            {
                end += (long)Math.Min(values[i], int.MaxValue);
                if (end > int.MaxValue)
                    throw decoder.Corrupt("the rows are too long");
                offsets[i + 1] = (int)end;
            }

            var times = new Timestamp[count];
            Column(ref decoder, MemoryMarshal.Cast<Timestamp, ulong>(times.AsSpan()));
            Column(ref decoder, values);
            var diffs = new long[count];
            for (var i = 0; i < count; i++)
                diffs[i] = UnZigZag(values[i]);
            var rows = Rows(ref decoder, (int)end);
            decoder.End();
            return new UpdateColumns(rows, offsets, times, diffs);
        }
        finally
        {
            ArrayPool<ulong>.Shared.Return(column);
        }
    }

    public static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    public static long UnZigZag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);

    /// <summary>A width of 0 says that all values are the one that follows; else that many bytes a value, above the least value.</summary>
    private static void Column(Encoder encoder, ArrayBufferWriter<byte> buffer, ReadOnlySpan<ulong> values)
    {
        ulong min = ulong.MaxValue, max = 0;
        foreach (var value in values)
        {
            min = Math.Min(min, value);
            max = Math.Max(max, value);
        }

        if (values.IsEmpty)
            min = max = 0;
        var bits = 64 - BitOperations.LeadingZeroCount(max - min);
        var width = bits == 0 ? 0 : bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
        encoder.Byte((byte)width);
        encoder.Varint(min);
        if (width == 0)
            return;
        var span = buffer.GetSpan(values.Length * width)[..(values.Length * width)];
        switch (width)
        {
            case 1:
                for (var i = 0; i < values.Length; i++)
                    span[i] = (byte)(values[i] - min);
                break;
            case 2:
                for (var i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteUInt16LittleEndian(span[(2 * i)..], (ushort)(values[i] - min));
                break;
            case 4:
                for (var i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteUInt32LittleEndian(span[(4 * i)..], (uint)(values[i] - min));
                break;
            default:
                for (var i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteUInt64LittleEndian(span[(8 * i)..], values[i] - min);
                break;
        }

        buffer.Advance(span.Length);
    }

    private static void Column(ref Decoder decoder, Span<ulong> values)
    {
        var width = decoder.Byte();
        var min = decoder.Varint();
        if (width == 0)
        {
            values.Fill(min);
            return;
        }

        if (width is not (1 or 2 or 4 or 8))
            throw decoder.Corrupt($"{width} is no column width");
        var span = decoder.Raw(checked(values.Length * width));
        switch (width)
        {
            case 1:
                for (var i = 0; i < values.Length; i++)
                    values[i] = min + span[i];
                break;
            case 2:
                for (var i = 0; i < values.Length; i++)
                    values[i] = min + BinaryPrimitives.ReadUInt16LittleEndian(span[(2 * i)..]);
                break;
            case 4:
                for (var i = 0; i < values.Length; i++)
                    values[i] = min + BinaryPrimitives.ReadUInt32LittleEndian(span[(4 * i)..]);
                break;
            default:
                for (var i = 0; i < values.Length; i++)
                    values[i] = min + BinaryPrimitives.ReadUInt64LittleEndian(span[(8 * i)..]);
                break;
        }
    }

    private static void Rows(Encoder encoder, ReadOnlySpan<byte> rows, PartCompression compression)
    {
        if (compression == PartCompression.Brotli && rows.Length >= 128)
        {
            var scratch = ArrayPool<byte>.Shared.Rent(rows.Length);
            // A result that does not fit below the input's own size is not worth having, and TryCompress then says false.
            if (BrotliEncoder.TryCompress(rows, scratch.AsSpan(0, rows.Length - 1), out var written, quality: 1, window: 22))
            {
                encoder.Byte((byte)PartCompression.Brotli);
                encoder.Bytes(scratch.AsSpan(0, written));
                ArrayPool<byte>.Shared.Return(scratch);
                return;
            }

            ArrayPool<byte>.Shared.Return(scratch);
        }

        encoder.Byte((byte)PartCompression.None);
        encoder.Bytes(rows);
    }

    private static ReadOnlyMemory<byte> Rows(ref Decoder decoder, int length)
    {
        var compression = (PartCompression)decoder.Byte();
        var stored = decoder.Bytes();
        switch (compression)
        {
            case PartCompression.None when stored.Length == length:
                return stored;
            case PartCompression.Brotli:
                var rows = new byte[length];
                if (BrotliDecoder.TryDecompress(stored.Span, rows, out var written) && written == length)
                    return rows;
                throw decoder.Corrupt("the rows do not decompress");
            default:
                throw decoder.Corrupt("the rows do not have the length that their ends say");
        }
    }
}
