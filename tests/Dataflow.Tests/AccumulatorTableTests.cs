using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;

namespace Materialize.Dataflow.Tests;

public sealed unsafe class AccumulatorTableTests
{
    // Small, past the first page, past where pages come from large mappings; and records so large that a page is 16 MiB.
    [Theory]
    [InlineData(1_000, 8)]
    [InlineData(20_000, 16)]
    [InlineData(500_000, 8)]
    [InlineData(20_000, 2_000)]
    public void Holds_what_was_added_and_not_removed_whatever_its_size(int keys, int accumulatorBytes)
    {
        var before = SlabPool.Mark();
        var random = new Random(keys);
        var model = new Dictionary<ulong, long>();
        using (var table = new AccumulatorTable(new RowShape(8), accumulatorBytes))
        {
            for (var i = 0; i < keys; i++)
            {
                var key = (ulong)random.NextInt64();
                table.Reserve(1);
                var number = table.FindOrAdd(RowHash.Mix(key), null, 0);
                var accumulator = new Span<byte>(table.Accumulator(number), accumulatorBytes);
                Assert.False(accumulator.ContainsAnyExcept((byte)0), "a new accumulator is zero");
                *(long*)table.Accumulator(number) = model[key] = i + 1;
                *(table.Accumulator(number) + accumulatorBytes - 1) = 0xFF;
            }

            foreach (var key in model.Keys.Where((_, i) => i % 3 == 0).ToList())
            {
                table.Remove(table.FindOrAdd(RowHash.Mix(key), null, 0));
                model.Remove(key);
            }

            Assert.Equal(model.Count, table.Count);
            foreach (var (key, value) in model)
            {
                var number = table.FindOrAdd(RowHash.Mix(key), null, 0);
                Assert.Equal(value, accumulatorBytes == 8 ? *(long*)table.Accumulator(number) & ~(0xFFL << 56) : *(long*)table.Accumulator(number));
            }

            Assert.Equal(model.Count, table.Count);
        }

        Assert.Empty(SlabPool.Outstanding(before));
    }
}
