using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>A group's values come in order, wherever they lie.</summary>
[Collection("memory is counted process-wide")]
public sealed unsafe class GroupReaderTests
{
    [Theory, InlineData(3), InlineData(40), InlineData(900), InlineData(5000)]
    public void Newest_rows_of_a_key_come_in_the_order_of_their_bytes_and_are_sorted_once_they_are_many(int rows)
    {
        var random = new Random(rows);
        using var group = new WorkerGroup(1, startThreads: false);
        var trace = new Trace<Time>(group.Workers[0], new RowShape(8), RowShape.Variable);
        var hold = trace.NewHold();
        var expected = new SortedDictionary<string, long>(StringComparer.Ordinal);
        var time = 0UL;
        for (var round = 0; round < 3; round++)
        {
            using var builder = new BatchBuilder<Time>(RowShape.Variable);
            for (var i = 0; i < rows; i++)
            {
                // Alike for the first none to eighty bytes, and of many lengths.
                var value = new byte[random.Next(100)];
                Array.Fill(value, (byte)7);
                for (var at = random.Next(80); at < value.Length; at++)
                    value[at] = (byte)random.Next(256);
                var diff = random.Next(2) == 0 ? 1 : 2;
                builder.Rows.Append(value);
                builder.AddHash(RowHash.Mix(5));
                builder.Add(time, diff);
                var text = Convert.ToHexString(value);
                expected[text] = expected.GetValueOrDefault(text) + diff;
            }

            var delta = new ArrangedDelta<Time>([builder.Build()!], trace.TakeSnapshot());
            trace.Insert(delta, Frontier<Time>.At(++time));
            delta.Release();
            Assert.Equal(expected.ToList(), Read(trace));
        }

        var last = trace.TakeSnapshot();
        if (rows > 1024 && rows < 10_000)
            Assert.Equal(rows, last.RecentCount); // what came before was made a batch, since it was read
        last.Release();
        trace.Drop(hold);
    }

    private static List<KeyValuePair<string, long>> Read(Trace<Time> trace)
    {
        var read = new List<KeyValuePair<string, long>>();
        var snapshot = trace.TakeSnapshot();
        var key = 5UL;
        using (var reader = new GroupReader<Time>())
        {
            reader.Start();
            reader.Add(snapshot, RowHash.Mix(5), (byte*)&key, sizeof(ulong), filtered: false);
            while (reader.Next(out var value, out var length, out var diff))
                read.Add(new(Convert.ToHexString(new ReadOnlySpan<byte>(value, length)), diff));
        }

        snapshot.Release();
        return read;
    }
}
