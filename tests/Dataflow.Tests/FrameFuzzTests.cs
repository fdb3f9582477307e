using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

/// <summary>What comes over the mesh is believed only as far as the bytes go: nonsense gives an exception, never a crash, a read beyond the end, or an allocation larger than the frame.</summary>
public sealed class FrameFuzzTests
{
    [Theory, InlineData(false, false), InlineData(true, false), InlineData(false, true), InlineData(true, true)]
    public void Batches_survive_the_wire_and_their_mutations_are_refused_or_whole(bool text, bool keyed)
    {
        var random = new Random(text ? 1 : 2);
        for (var i = 0; i < 3000; i++)
        {
            var bytes = Encoded(random, text, keyed, out var rows);
            using (var whole = new Decoded(bytes))
                Assert.Equal(rows, whole.ReadAll());
            Mutate(random, ref bytes);
            var before = SlabPool.BytesInUse;
            try
            {
                using var mutated = new Decoded(bytes);
                // Each slab is at most twice what was sent for it, or the least size there is.
                Assert.True(SlabPool.BytesInUse - before <= (2L * bytes.Length) + (7 << 10), $"{SlabPool.BytesInUse - before} bytes for a frame of {bytes.Length}");
                mutated.ReadAll();
            }
            catch (InvalidDataException)
            {
            }

            Assert.Equal(before, SlabPool.BytesInUse);
        }
    }

    [Fact]
    public void Equal_batches_are_equal_bytes_whatever_lies_between_the_parts_of_their_times()
    {
        Same(r => new Time((ulong)r));
        Same(r => new Iterated<Time>((ulong)(r % 3), (uint)r));
        Same(r => new Iterated<Iterated<Time>>(new((ulong)(r % 3), (uint)(r % 5)), uint.MaxValue - (uint)r));
    }

    /// <summary>Memory as others left it, in which a time's padding keeps what it held.</summary>
    private static unsafe void Same<TTime>(Func<int, TTime> time) where TTime : unmanaged, ITime<TTime>
    {
        byte[] Encoded(byte before)
        {
            var codec = new Codec(8);
            using var builder = new BatchBuilder<TTime>(codec.Shape, null);
            for (var i = 0; i < 20; i++)
            {
                builder.Rows.Append(codec.Encode((ulong)i));
                builder.Add(time(i), 1);
            }

            var batch = builder.Build()!;
            for (var i = 0; i < batch.Count; i++)
            {
                var value = batch.TimeAt(i);
                new Span<byte>(batch.Times + i, sizeof(TTime)).Fill(before);
                Assign(batch.Times + i, value.ToStamp());
            }

            var bytes = batch.Encode();
            batch.Release();
            var decoded = UpdateBatchCodec<TTime>.Decode(bytes);
            for (var i = 0; i < 20; i++)
                Assert.Equal(time(i), decoded.TimeAt(i));
            Assert.Equal(Enumerable.Range(0, 20).Select(time).Min(), decoded.MinTime);
            decoded.Release();
            return bytes;
        }

        // Field by field, as a struct in registers is stored: what is between the fields stays.
        static void Assign(TTime* at, Stamp stamp)
        {
            switch ((object)TTime.FromStamp(stamp))
            {
                case Time x:
                    *(ulong*)at = x.Value;
                    break;
                case Iterated<Time> x:
                    *(ulong*)at = x.Before.Value;
                    ((uint*)at)[2] = x.Round;
                    break;
                case Iterated<Iterated<Time>> x:
                    *(ulong*)at = x.Before.Before.Value;
                    ((uint*)at)[2] = x.Before.Round;
                    ((uint*)at)[4] = x.Round;
                    break;
            }
        }

        Assert.Equal(Encoded(0), Encoded(0xA5));
    }

    [Fact]
    public void Random_bytes_are_no_batch_and_no_frame()
    {
        var random = new Random(3);
        for (var i = 0; i < 50_000; i++)
        {
            var bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            if (bytes.Length > 4 && random.Next(2) == 0)
                bytes.AsSpan(1, 3).Clear(); // small counts get further
            Refused(() => new Decoded(bytes).Dispose());
            Refused(() => MeshFrames.ReadProgress(bytes));
            Refused(() => MeshFrames.ReadData(bytes, 2, 2, 6));
            Refused(() => MeshFrames.ReadCredit(bytes, 2, 2));
        }
    }

    [Fact]
    public void Frames_read_back_what_was_written()
    {
        (int, Stamp, long)[] changes = [(3, new Stamp(7, 1UL << 40), -2), (900, Stamp.Closed, 1)];
        var progress = MeshFrames.ReadProgress(MeshFrames.Progress(1, 12, changes).AsSpan(MeshFrames.HeaderBytes));
        Assert.Equal(12, progress.Dataflow);
        Assert.Equal(changes, progress.Changes);
        var (to, item) = MeshFrames.ReadData(MeshFrames.Data(5, 3, 8, 9, [1, 2, 3]).AsSpan(MeshFrames.HeaderBytes), 2, 2, 6);
        Assert.Equal((1, 5, 8, 9), (to, item.From, item.Dataflow, item.Place));
        Assert.Equal([1, 2, 3], item.Bytes);
        Assert.Equal((0, 99L), MeshFrames.ReadCredit(MeshFrames.Credit(2, 99).AsSpan(MeshFrames.HeaderBytes), 2, 2));
    }

    private static void Refused(Action read)
    {
        try
        {
            read();
        }
        catch (InvalidDataException)
        {
        }
    }

    private static byte[] Encoded(Random random, bool text, bool keyed, out List<string> rows)
    {
        var codec = new Codec(text ? -1 : 8);
        using var builder = new BatchBuilder<Time>(codec.Shape, keyed ? codec.Shape : null);
        rows = [];
        var oneTime = random.Next(2) == 0;
        for (var n = random.Next(1, 20); n > 0; n--)
        {
            var row = codec.Encode((ulong)random.Next(1000));
            var key = codec.Encode((ulong)random.Next(1000));
            var time = oneTime ? 5UL : (ulong)random.Next(5, 9);
            var diff = random.Next(3) == 0 ? random.Next(-3, 4) : 1;
            builder.Rows.Append(row);
            builder.Keys?.Append(key);
            if (keyed)
                builder.AddHash(42);
            builder.Add(time, diff);
            rows.Add($"{(keyed ? Convert.ToHexString(key) : "")} {Convert.ToHexString(row)} {time} {diff}");
        }

        var batch = builder.Build()!;
        var bytes = batch.Encode();
        batch.Release();
        return bytes;
    }

    private static void Mutate(Random random, ref byte[] bytes)
    {
        switch (random.Next(3))
        {
            case 0:
                bytes = bytes[..random.Next(bytes.Length)];
                break;
            case 1:
                for (var n = random.Next(1, 4); n > 0; n--)
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                break;
            default:
                // Numbers are where trouble is: one word becomes something large, small or negative.
                var at = random.Next(Math.Max(1, bytes.Length / 4)) * 4;
                if (at + 4 <= bytes.Length)
                    BitConverter.TryWriteBytes(bytes.AsSpan(at), random.Next(4) switch { 0 => int.MaxValue, 1 => -1, 2 => 0, _ => random.Next(100) });
                break;
        }
    }

    private sealed class Decoded(byte[] bytes) : IDisposable
    {
        private readonly UpdateBatch<Time> _batch = UpdateBatchCodec<Time>.Decode(bytes);

        public List<string> ReadAll()
        {
            var rows = new List<string>();
            for (var i = 0; i < _batch.Count; i++)
                rows.Add($"{(_batch.IsKeyed ? Convert.ToHexString(_batch.Keys[i]) : "")} {Convert.ToHexString(_batch[i])} {_batch.TimeAt(i)} {_batch.DiffAt(i)}");
            return rows;
        }

        public void Dispose() => _batch.Release();
    }
}
