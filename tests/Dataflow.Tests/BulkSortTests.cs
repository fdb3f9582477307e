using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>Sorting by parts gives the batch that sorting all at once gives.</summary>
public sealed unsafe class BulkSortTests
{
    public static TheoryData<int, int> ShapesAndHotRows
    {
        get
        {
            var data = new TheoryData<int, int>();
            for (var shape = 0; shape < 6; shape++)
            {
                foreach (var hotRows in (int[])[1 << 20, 4000, 512])
                    data.Add(shape, hotRows);
            }

            return data;
        }
    }

    /// <param name="hotRows">More rows than that in one part are sorted as runs.</param>
    [Theory, MemberData(nameof(ShapesAndHotRows))]
    public void Parts_give_the_batch_that_one_sort_gives(int shape, int hotRows)
    {
        var (key, value) = OperatorTests.Shapes[shape];
        var random = new Random(shape);
        using var scratch = new WorkerScratch();
        using var tools = new MergeTools<Time>(scratch, key.Shape, value.Shape);
        using var bulk = new BulkSort<Time>(tools, hotRows);
        var batches = new List<UpdateBatch<Time>>();
        for (var b = 0; b < 6; b++)
        {
            // Many keys, a hot one, repeated rows, several times, rows that cancel.
            using var builder = new BatchBuilder<Time>(value.Shape, Core.Hashing.RowHash.IsBijective(key.Shape) ? null : key.Shape);
            for (var i = 0; i < 3000; i++)
            {
                var k = key.Encode(random.Next(4) == 0 ? 7UL : (ulong)random.Next(2000));
                builder.Keys?.Append(k);
                builder.Rows.Append(value.Encode((ulong)random.Next(b == 0 ? 3 : 300)));
                builder.AddHash(Core.Hashing.RowHash.Hash(key.Shape, k));
                builder.Add((ulong)(b % 2 == 0 ? 4 : random.Next(3, 6)), random.Next(3) - 1 is var d && d == 0 ? 1 : d);
            }

            batches.Add(builder.Build()!);
            bulk.Add(batches[^1]);
        }

        while (!bulk.IsSorted)
            Assert.True(bulk.Work(1000) > 0 || bulk.IsSorted, "work gets on");
        var parts = bulk.Finish()!;
        var whole = tools.SortRun(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(batches), Time.Minimum)!;
        Assert.Equal(3UL, bulk.MinStamp.Outer);
        Assert.Equal(Rows(whole), Rows(parts));
        Assert.Equal(ByDefinition(batches), Rows(parts));
        Assert.Equal((whole.MinTime, whole.MaxTime, whole.TimeBound, whole.RepeatedRows), (parts.MinTime, parts.MaxTime, parts.TimeBound, parts.RepeatedRows));
        for (var row = 0; row < parts.Count; row++)
            Assert.True(parts.Hashes[parts.Seek(parts.Hashes[row])] == parts.Hashes[row], "the directory finds each row");
        parts.Release();
        whole.Release();
        foreach (var batch in batches)
            batch.Release();
    }

    /// <summary>Rows that are nothing like those before them, in a chunk that was laid out for those.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public void Rows_of_any_length_have_room(int seed)
    {
        var random = new Random(seed);
        var shape = RowShape.Variable;
        using var scratch = new WorkerScratch();
        using var tools = new MergeTools<Time>(scratch, shape, shape);
        using var bulk = new BulkSort<Time>(tools);
        var batches = new List<UpdateBatch<Time>>();
        for (var b = 0; b < 40; b++)
        {
            using var builder = new BatchBuilder<Time>(shape, shape);
            var (keyMax, valueMax) = (1 << random.Next(0, 10), 1 << random.Next(0, 12));
            for (var i = 0; i < 200; i++)
            {
                var key = Bytes(random, random.Next(60) == 0 ? random.Next(100_000) : random.Next(keyMax));
                builder.Keys!.Append(key);
                builder.Rows.Append(Bytes(random, random.Next(60) == 0 ? random.Next(100_000) : random.Next(valueMax)));
                builder.AddHash(Core.Hashing.RowHash.Hash(shape, key) >> 3); // few parts
                builder.Add((ulong)(b / 20), b < 30 ? 1 : 2);
            }

            batches.Add(builder.Build()!);
            bulk.Add(batches[^1]);
        }

        var meter = new StateMeter();
        bulk.Measure(meter);
        Assert.Equal(40 * 200, meter.Take().Rows);
        while (!bulk.IsSorted)
            bulk.Work(1);
        var sorted = bulk.Finish()!;
        Assert.Equal(ByDefinition(batches), Rows(sorted));
        sorted.Release();
        foreach (var batch in batches)
            batch.Release();
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Rows_leave_their_parts_as_the_batch_grows(bool isText)
    {
        const int count = 3_000_000; // columns are mappings of their own
        var shape = isText ? RowShape.Variable : new RowShape(8);
        using var scratch = new WorkerScratch();
        using var tools = new MergeTools<Time>(scratch, new RowShape(8), shape);
        using var bulk = new BulkSort<Time>(tools);
        var before = SlabPool.BytesInUse;
        var value = new byte[20];
        for (var i = 0; i < count;)
        {
            using var builder = new BatchBuilder<Time>(shape);
            for (var end = i + 30_000; i < end; i++)
            {
                System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(value, i);
                builder.Rows.Append(value.AsSpan(0, isText ? 8 + (i % 13) : 8));
                builder.AddHash(Core.Hashing.RowHash.Hash(new RowShape(8), BitConverter.GetBytes((long)i)));
                builder.Add(1UL, 1);
            }

            var batch = builder.Build()!;
            bulk.Add(batch);
            batch.Release();
        }

        var most = SlabPool.BytesInUse - before;
        while (!bulk.IsSorted)
        {
            bulk.Work(30_000);
            var inUse = SlabPool.BytesInUse - before;
            most = Math.Max(most, inUse);
            var meter = new StateMeter();
            bulk.Measure(meter);
            tools.Measure(meter);
            scratch.Window.Measure(meter);
            Assert.InRange(meter.Take().CapacityBytes, inUse - 64, inUse + 64);
        }

        var sorted = bulk.Finish()!;
        Assert.Equal(count, sorted.Count);
        Assert.InRange(most, 0, sorted.Bytes * 5 / 4);
        sorted.Release();
    }

    private static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    // Hashes, keys, values, times in order; equal ones added up.
    private static List<string> ByDefinition(List<UpdateBatch<Time>> batches)
    {
        var sums = new Dictionary<(ulong Hash, string Key, string Value, ulong Time), long>();
        foreach (var batch in batches)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var update = (batch.Hashes[i], batch.IsKeyed ? Convert.ToHexString(batch.Keys[i]) : "", Convert.ToHexString(batch.Rows[i]), batch.TimeAt(i).Value);
                sums[update] = sums.GetValueOrDefault(update) + batch.DiffAt(i);
            }
        }

        return [.. sums.Where(s => s.Value != 0)
            .OrderBy(s => s.Key.Hash).ThenBy(s => s.Key.Key, StringComparer.Ordinal).ThenBy(s => s.Key.Value, StringComparer.Ordinal).ThenBy(s => s.Key.Time)
            .Select(s => $"{s.Key.Hash:x} {s.Key.Key} {s.Key.Value} {new Time(s.Key.Time)} {s.Value}")];
    }

    private static List<string> Rows(Batch<Time> batch)
    {
        var rows = new List<string>();
        for (var row = 0; row < batch.Count; row++)
            rows.Add($"{batch.Hashes[row]:x} {(batch.KeysStored ? Convert.ToHexString(batch.Keys[row]) : "")} {Convert.ToHexString(batch.Values[row])} {batch.TimeAt(row)} {batch.DiffAt(row)}");
        return rows;
    }
}
