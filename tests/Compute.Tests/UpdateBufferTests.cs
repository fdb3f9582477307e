using Materialize.Compute.Sinks;
using Materialize.Protocol;
using Xunit;

namespace Materialize.Compute.Tests;

/// <summary>Updates added up and put in order, against a sorted dictionary.</summary>
public sealed class UpdateBufferTests
{
    private sealed class ByTimeThenRow : IComparer<(ulong Time, byte[] Row)>
    {
        public int Compare((ulong Time, byte[] Row) a, (ulong Time, byte[] Row) b) =>
            a.Time != b.Time ? a.Time.CompareTo(b.Time) : a.Row.AsSpan().SequenceCompareTo(b.Row);
    }

    [Fact]
    public void Updates_are_added_up_and_taken_in_order_of_time_and_row()
    {
        var random = new Random(20);
        for (var round = 0; round < 300; round++)
        {
            var buffer = new UpdateBuffer();
            var model = new SortedDictionary<(ulong Time, byte[] Row), long>(new ByTimeThenRow());
            var taken = 0UL;
            var rows = Rows(random, round % 4);
            for (var step = random.Next(1, 5); step > 0; step--)
            {
                for (var n = random.Next(round % 10 == 0 ? 5000 : 60); n > 0; n--)
                    Add(rows[random.Next(rows.Length)], taken + (ulong)random.Next(6), random.Next(-2, 3));
                var upper = taken + (ulong)random.Next(5);
                buffer.AdvanceSince(taken);
                buffer.Consolidate();
                Check(buffer.TakeFirst(buffer.CountBefore(upper)), upper);
                taken = upper;
            }

            buffer.Consolidate();
            Assert.Equal(model.Values.Count(d => d != 0), buffer.Count);
            Check(buffer.TakeFirst(buffer.CountBefore(null)), ulong.MaxValue);
            Assert.True(buffer.IsEmpty);

            void Add(byte[] row, ulong time, long diff)
            {
                buffer.Add(row, time, diff);
                model[(time, row)] = model.GetValueOrDefault((time, row)) + diff;
            }

            void Check(RowBatch batch, ulong upper)
            {
                var expected = model.Where(e => e.Key.Time < upper && e.Value != 0).ToList();
                Assert.Equal(expected.Select(e => (e.Key.Time, Convert.ToHexString(e.Key.Row), e.Value)),
                    Enumerable.Range(0, batch.Count).Select(i => (batch.Times[i], Convert.ToHexString(batch.Row(i)), batch.Diffs[i])));
                foreach (var key in model.Keys.Where(k => k.Time < upper).ToList())
                    model.Remove(key);
            }
        }
    }

    [Fact]
    public void Times_before_the_since_appear_as_it_and_cancel()
    {
        var buffer = new UpdateBuffer();
        buffer.Add([1], 3, 1);
        buffer.Add([2], 4, 1);
        buffer.Consolidate();
        buffer.Add([1], 5, -1);
        buffer.AdvanceSince(6);
        buffer.Consolidate();
        Assert.Equal((1, 6UL, 1L), (buffer.Count, buffer.TimeAt(0), buffer.DiffAt(0)));
        Assert.Equal([2], buffer.Row(0).ToArray());
    }

    /// <summary>Few distinct ones: of equal beginnings, of zeros only, of numbers, or of all sorts.</summary>
    private static byte[][] Rows(Random random, int kind)
    {
        var rows = new byte[random.Next(1, 80)][];
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = new byte[kind == 2 ? 16 : random.Next(40)];
            if (kind == 0)
                rows[i].AsSpan().Fill(7);
            else if (kind == 2)
                BitConverter.TryWriteBytes(rows[i], random.NextInt64());
            else if (kind == 3)
                random.NextBytes(rows[i]);
            if (kind == 0 && rows[i].Length > 0)
                rows[i][^1] = (byte)random.Next(3);
        }

        return rows;
    }
}
