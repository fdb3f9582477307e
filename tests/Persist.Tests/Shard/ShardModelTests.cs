// Goal: whatever happens to a shard, in whatever order, readers see what a plain list of updates says.
// Method: random operations from a seed on several clients ("processes") that share stores which may fail; the model is a list of (row, time, diff) and an
// upper. After each append the model is told; snapshots, listens and compaction are interleaved and compared.

using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;

namespace Materialize.Persist.Tests.Shard;

public sealed class ShardModelTests
{
    [Theory]
    [InlineData(0.0)]
    [InlineData(0.1)]
    [InlineData(0.3)]
    public async Task Agrees_with_a_list_of_updates(double failureShare)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            try
            {
                await RunAsync(seed, failureShare);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, failures {failureShare}", e);
            }
        }
    }

    private static async Task RunAsync(int seed, double failureShare)
    {
        var random = new Random(seed);
        var faults = new Faults(seed, failureShare);
        var (blob, consensus) = (new MemoryBlob(), new MemoryConsensus());
        var push = new InProcessStatePush();
        var shard = ShardId.New();
        var model = new List<(string Row, ulong Time, long Diff)>();
        ulong upper = 0;

        var clients = Enumerable.Range(0, 3).Select(i => T.Client(
            new UnreliableBlob(blob, faults), new UnreliableConsensus(consensus, faults), i == 2 ? new InProcessStatePush() : push, seed: (100 * seed) + i)).ToArray();
        var writers = new List<WriteHandle>();
        var readers = new List<(ReadHandle Handle, ulong Since)>();
        foreach (var client in clients)
        {
            writers.Add(await client.OpenWriterAsync(shard, T.Cancel));
            readers.Add((await client.OpenReaderAsync(shard, "model", T.Cancel), 0));
        }

        // A listener that runs all along, and one enumerator position per client.
        var heard = new List<(string, ulong, long)>();
        await using var listen = readers[0].Handle.ListenAsync(new Timestamp(0), T.Cancel).GetAsyncEnumerator(T.Cancel);
        ulong heardUntil = 0;

        for (var step = 0; step < 120; step++)
        {
            var who = random.Next(clients.Length);
            switch (random.Next(8))
            {
                case 0 or 1 or 2:
                    // An append, sometimes from a view that is too old.
                    var newUpper = upper + (ulong)random.Next(1, 4);
                    var updates = Enumerable.Range(0, random.Next(4) == 0 ? random.Next(40) : random.Next(3)).Select(_ => (
                        Row: $"{random.Next(6)}{(random.Next(9) == 0 ? new string('x', 60) : "")}",
                        Time: upper + (ulong)random.NextInt64((long)(newUpper - upper)), Diff: (long)random.Next(-1, 3))).ToArray();
                    if (random.Next(5) == 0 && upper > 0)
                    {
                        var refused = await writers[who].CompareAndAppendAsync(T.Columns(), T.F(upper - 1), T.F(newUpper), T.Cancel);
                        Assert.Equal(new AppendResult.Mismatch(T.F(upper)), refused);
                        break;
                    }

                    Assert.IsType<AppendResult.Appended>(await writers[who].CompareAndAppendAsync(T.Columns(updates), T.F(upper), T.F(newUpper), T.Cancel));
                    model.AddRange(updates);
                    upper = newUpper;
                    break;
                case 3 or 4 when upper > 0:
                    var (reader, since) = readers[who];
                    var asOf = since + (ulong)random.NextInt64((long)(upper - since));
                    Assert.Equal(
                        T.Sum(model.Where(u => u.Time <= asOf)), await T.ContentsAsync(reader, asOf, consolidated: random.Next(2) == 0));
                    break;
                case 5:
                    // Reader 0 listens, so its since stays before what it has heard.
                    var to = who == 0 ? (heardUntil == 0 ? 0 : heardUntil - 1) : upper == 0 ? 0 : upper - 1;
                    if (to > readers[who].Since)
                    {
                        to = readers[who].Since + (ulong)random.NextInt64((long)(to - readers[who].Since) + 1);
                        await readers[who].Handle.DowngradeSinceAsync(T.F(to), T.Cancel);
                        readers[who] = (readers[who].Handle, to);
                    }

                    await readers[who].Handle.HeartbeatAsync(T.Cancel);
                    break;
                case 6:
                    await clients[who].MaintainAsync(shard, T.Cancel);
                    break;
                case 7 when heardUntil < upper:
                    while (heardUntil < upper)
                    {
                        Assert.True(await listen.MoveNextAsync());
                        heard.AddRange(T.Updates(listen.Current.Updates));
                        heardUntil = listen.Current.Progress.Elements[0].Millis;
                    }

                    // Consolidated, since pieces come as stored.
                    Assert.Equal(AtTimes(model), AtTimes(heard));
                    break;
            }
        }

        faults.FailureShare = 0;
        foreach (var client in clients)
        {
            while (await client.MaintainAsync(shard, T.Cancel))
            {
            }
        }

        // A new process agrees as well, and nothing is in the blob store that the state does not name.
        await using var late = T.Client(blob, consensus, seed: -seed - 1);
        await using (var reader = await late.OpenReaderAsync(shard, "late", T.Cancel))
        {
            if (upper > 0)
                Assert.Equal(T.Sum(model), await T.ContentsAsync(reader, upper - 1, consolidated: true));
        }

        foreach (var (handle, _) in readers)
            await handle.DisposeAsync();
        writers.ForEach(w => w.Dispose());
        foreach (var client in clients)
            await client.DisposeAsync();
    }

    private static (string, ulong, long)[] AtTimes(IEnumerable<(string Row, ulong Time, long Diff)> updates) =>
        [.. updates.GroupBy(u => (u.Row, u.Time), u => u.Diff).Select(g => (g.Key.Row, g.Key.Time, g.Sum())).Where(u => u.Item3 != 0).Order()];

    /// <summary>Racing writers: each of their updates is in the shard exactly once, whatever failed on the way.</summary>
    [Fact]
    public async Task Racing_writers_over_failing_stores_append_each_update_exactly_once()
    {
        for (var seed = 0; seed < 10; seed++)
        {
            var faults = new Faults(seed, 0.2);
            var (blob, consensus, shard) = (new MemoryBlob(), new MemoryConsensus(), ShardId.New());
            await Task.WhenAll(Enumerable.Range(0, 3).Select(who => Task.Run(async () =>
            {
                // The log is kept long: an append whose outcome can no longer be told would be reported to the caller, rightly.
                await using var client = T.Client(
                    new UnreliableBlob(blob, faults), new UnreliableConsensus(consensus, faults), config: T.Small with { RollupEvery = 64 }, seed: (10 * seed) + who);
                using var writer = await client.OpenWriterAsync(shard, T.Cancel);
                var upper = writer.RecentUpper;
                for (var n = 0; n < 20;)
                {
                    var time = upper.Elements[0];
                    var row = $"{who}-{n}{(n % 3 == 0 ? new string('y', 200) : "")}";
                    var next = Frontier.Of(time.StepForward());
                    if (await writer.CompareAndAppendAsync(T.Columns((row, time.Millis, 1)), upper, next, T.Cancel) is AppendResult.Mismatch mismatch)
                    {
                        upper = mismatch.Upper;
                        continue;
                    }

                    upper = next;
                    n++;
                    await client.MaintainAsync(shard, T.Cancel);
                }
            })));
            await using var reader = T.Client(blob, consensus, seed: 999);
            await using var handle = await reader.OpenReaderAsync(shard, "check", T.Cancel);
            var contents = await T.ContentsAsync(handle, 59);
            Assert.Equal(60, contents.Count);
            Assert.All(contents.Values, count => Assert.Equal(1, count));
            Assert.Equal(T.F(60), handle.RecentUpper);
        }
    }
}
