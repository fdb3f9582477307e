using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>A directory says where rows are, and of most hashes that are not there that they are not.</summary>
public sealed unsafe class BatchDirectoryTests
{
    /// <param name="room">How many rows there might have been for each that came.</param>
    [Theory, InlineData(1, 1), InlineData(2, 1), InlineData(5, 3), InlineData(1000, 1), InlineData(1000, 70), InlineData(20_000, 1), InlineData(20_000, 5), InlineData(70_000, 1), InlineData(70_000, 16), InlineData(70_000, 1000)]
    public void Every_row_is_found_and_most_others_are_known_to_be_none(int rows, int room)
    {
        var random = new Random(rows + room);
        var hashes = new ulong[rows];
        for (var i = 0; i < rows; i++)
            hashes[i] = i > 0 && random.Next(4) == 0 ? hashes[i - 1] : (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        hashes[0] = 0;
        hashes[^1] = ulong.MaxValue;
        Array.Sort(hashes);
        var directory = BatchDirectory.For((long)rows * room);
        var full = directory.Bits;
        var memory = new uint[directory.Bytes / sizeof(uint)];
        fixed (uint* entries = memory)
        fixed (ulong* sorted = hashes)
        {
            directory.Entries = entries;
            var next = 0;
            for (int from = 0, to; from < rows; from = to)
            {
                to = Math.Min(rows, from + random.Next(1, 3000));
                directory.Add(sorted, from, to, ref next);
            }

            directory.Finish(rows, next);
            Assert.Equal(full > BatchDirectory.For(rows).Bits, directory.Shrink(rows));
            Assert.True(directory.Bits == BatchDirectory.For(rows).Bits && directory.Bits <= full);
            for (ulong index = 0, row = 0; index <= 1UL << directory.Bits; index++)
            {
                while (row < (ulong)rows && directory.IndexOf(hashes[row]) < index)
                    row++;
                Assert.Equal((int)row, directory.RowAt(index));
            }

            foreach (var hash in hashes)
                Assert.True(directory.MayHold(hash), $"{hash:x} is there");
            var wrong = 0;
            for (var i = 0; i < 10_000; i++)
            {
                var hash = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
                if (Array.BinarySearch(hashes, hash) < 0 && directory.MayHold(hash))
                    wrong++;
            }

            // Two to four rows an entry; eight bits for them and more, but where there was room for many more rows than came.
            Assert.True(rows < 1000 || room > 16 || wrong < 4500, $"{wrong} of 10000 are not known to be none");
        }
    }
}
