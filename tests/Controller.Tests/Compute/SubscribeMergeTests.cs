namespace Materialize.Controller.Tests.Compute;

/// <summary>One stream out of those of several replicas.</summary>
public sealed class SubscribeMergeTests
{
    [Fact]
    public void What_another_replica_has_told_already_is_told_once()
    {
        var merge = new SubscribeMerge(5);
        AssertBatch(merge.Add(Batch(0, 8, 6, 7)), 5, 8, 6, 7);
        Assert.Null(merge.Add(Batch(0, 7, 6)));
        AssertBatch(merge.Add(Batch(7, 10, 7, 8, 9)), 8, 10, 8, 9);
        Assert.Null(merge.Add(Batch(8, 10, 8, 9)));
        AssertBatch(merge.Add(Batch(10, null)), 10, null);
    }

    [Fact]
    public void An_error_ends_the_stream_where_it_stands()
    {
        var merge = new SubscribeMerge(5);
        AssertBatch(merge.Add(Batch(0, 8, 6)), 5, 8, 6);
        var error = merge.Add(new SubscribeBatch(7, 12, RowBatch.Empty, EvalError.DivisionByZero));
        Assert.Equal((8UL, EvalError.DivisionByZero), (error!.Lower, error.Error));
    }

    /// <summary>
    /// However replicas cut the stream into batches, and wherever a lost one begins again, the merged stream is contiguous and holds each update
    /// once: the oracle is the stream itself.
    /// </summary>
    [Fact]
    public void Any_cuts_of_several_replicas_make_the_same_stream()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var start = (ulong)random.Next(1, 5);
            var end = start + (ulong)random.Next(5, 40);
            var updates = Enumerable.Range(0, random.Next(30))
                .Select(i => (Time: start + (ulong)random.NextInt64((long)(end - start)), Row: (byte)i)).OrderBy(u => u.Time).ToArray();
            var merge = new SubscribeMerge(start);
            var replicas = new (ulong Lower, ulong AsOf)[random.Next(1, 4)];
            Array.Fill(replicas, (0UL, start));
            var done = start;
            var seen = new List<(ulong, byte)>();
            while (done < end)
            {
                var r = random.Next(replicas.Length);
                if (random.Next(8) == 0)
                {
                    // Connected anew: from one before what has been handed on, where all that was before appears.
                    replicas[r] = (0, done - 1);
                }

                var (lower, asOf) = replicas[r];
                if (lower >= end)
                    continue;
                var upper = Math.Max(asOf, lower) + (ulong)random.Next(1, 9);
                var told = updates
                    .Select(u => u with { Time = Math.Max(u.Time, asOf) })
                    .Where(u => u.Time >= lower && u.Time < upper).ToArray();
                replicas[r] = (upper, asOf);
                var batch = merge.Add(new SubscribeBatch(
                    lower, upper, new RowBatch(told.Select(u => u.Row).ToArray(), [.. told.Select((_, i) => i + 1)], [.. told.Select(u => u.Time)], [.. told.Select(_ => 1L)]), null));
                if (upper <= done)
                {
                    Assert.Null(batch);
                    continue;
                }

                Assert.Equal((done, upper), (batch!.Lower, batch.Upper!.Value));
                done = upper;
                for (var i = 0; i < batch.Updates.Count; i++)
                    seen.Add((batch.Updates.Times[i], batch.Updates.Row(i)[0]));
            }

            Assert.Equal(updates.Where(u => u.Time < done).Order(), seen.Order());
        }
    }

    private static SubscribeBatch Batch(ulong lower, ulong? upper, params ulong[] times) => new(
        lower, upper, new RowBatch(times.Select(t => (byte)t).ToArray(), [.. times.Select((_, i) => i + 1)], times, [.. times.Select(_ => 1L)]), null);

    private static void AssertBatch(SubscribeBatch? batch, ulong lower, ulong? upper, params ulong[] times)
    {
        Assert.NotNull(batch);
        Assert.Equal((lower, upper), (batch.Lower, batch.Upper));
        Assert.Equal(times, batch.Updates.Times);
        Assert.Equal(times.Select(t => (byte)t), Enumerable.Range(0, batch.Updates.Count).Select(i => batch.Updates.Row(i)[0]));
    }
}
