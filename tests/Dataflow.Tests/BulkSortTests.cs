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
        Assert.Equal((whole.MinTime, whole.MaxTime, whole.TimeBound, whole.RepeatedRows), (parts.MinTime, parts.MaxTime, parts.TimeBound, parts.RepeatedRows));
        for (var row = 0; row < parts.Count; row++)
            Assert.True(parts.Hashes[parts.Seek(parts.Hashes[row])] == parts.Hashes[row], "the directory finds each row");
        parts.Release();
        whole.Release();
        foreach (var batch in batches)
            batch.Release();
    }

    private static List<string> Rows(Batch<Time> batch)
    {
        var rows = new List<string>();
        for (var row = 0; row < batch.Count; row++)
            rows.Add($"{batch.Hashes[row]:x} {(batch.KeysStored ? Convert.ToHexString(batch.Keys[row]) : "")} {Convert.ToHexString(batch.Values[row])} {batch.TimeAt(row)} {batch.DiffAt(row)}");
        return rows;
    }
}
