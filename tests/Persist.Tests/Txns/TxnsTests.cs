using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Persist.Txns;
using Materialize.Repr;

namespace Materialize.Persist.Tests.Txns;

public sealed class TxnsTests
{
    private static readonly ShardId s_txns = ShardId.New();
    private readonly MemoryBlob _blob = new();
    private readonly MemoryConsensus _consensus = new();
    private readonly InProcessStatePush _push = new();

    private PersistClient Client(int seed) => T.Client(_blob, _consensus, _push, seed: seed);

    private static async Task Commit(TxnsHandle txns, ulong at, params TableWrite[] writes) =>
        Assert.IsType<TxnsResult.Committed>(await txns.CommitAsync(new Timestamp(at), writes, T.Cancel));

    private static TableWrite Write(ShardId table, params (string, ulong, long)[] updates) => TableWrite.Of(table, T.Columns(updates));

    private static async Task<SortedDictionary<string, long>> Contents(TxnsReader reader, ReadHandle data, ulong asOf)
    {
        using var snapshot = await reader.SnapshotAsync(data, new Timestamp(asOf), T.Cancel);
        var all = new List<(string, ulong Time, long)>();
        await foreach (var updates in snapshot.ReadConsolidatedAsync(T.Cancel))
            all.AddRange(T.Updates(updates));
        Assert.All(all, u => Assert.Equal(asOf, u.Time));
        return T.Sum(all);
    }

    [Fact]
    public async Task A_commit_is_read_before_it_is_applied_and_moves_all_tables()
    {
        await using var client = Client(1);
        await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
        await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
        var (a, b) = (ShardId.New(), ShardId.New());
        Assert.IsType<TxnsResult.Committed>(await txns.RegisterAsync(new Timestamp(10), [a, b], T.Cancel));
        await using var readA = await client.OpenReaderAsync(a, "a", T.Cancel);
        await using var readB = await client.OpenReaderAsync(b, "b", T.Cancel);
        await Commit(txns, 20, Write(a, ("x", 0, 1)));
        Assert.Equal(["x"], (await Contents(reader, readA, 20)).Keys);
        Assert.Empty(await Contents(reader, readA, 19));
        Assert.Empty(await Contents(reader, readB, 20));
        Assert.Equal(T.F(11), await readA.FetchUpperAsync(T.Cancel));   // not applied
        await txns.ApplyAsync(T.Cancel);
        Assert.Equal(T.F(21), await readA.FetchUpperAsync(T.Cancel));
        Assert.Equal(["x"], (await Contents(reader, readA, 20)).Keys);
        await Commit(txns, 30);   // tidies
        await Commit(txns, 31, Write(a, ("x", 0, -1), ("y", 0, 1)));
        Assert.Equal(["x"], (await Contents(reader, readA, 30)).Keys);
        Assert.Equal(["y"], (await Contents(reader, readA, 31)).Keys);
    }

    /// <summary>The reader's view of the data shard is old, and the entry that would make up for it has been tidied away.</summary>
    [Fact]
    public async Task A_data_shard_whose_diffs_were_lost_is_read_up_to_date()
    {
        await using var client = Client(1);
        await using var other = T.Client(
            _blob, _consensus, new OnlyOf(s_txns, _push), T.Small with { PollWhenPushed = TimeSpan.FromHours(1) }, seed: 2);
        await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
        await using var otherReader = await TxnsReader.OpenAsync(other, s_txns, T.Cancel);
        await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
        var table = ShardId.New();
        await txns.RegisterAsync(new Timestamp(10), [table], T.Cancel);
        await using var data = await other.OpenReaderAsync(table, "t", T.Cancel);
        await Commit(txns, 20, Write(table, ("x", 0, 1)));
        await txns.ApplyAsync(T.Cancel);
        await Commit(txns, 30);   // tidies
        await otherReader.WaitForUpperPastAsync(new Timestamp(30), T.Cancel);
        Assert.Equal(T.F(11), data.RecentUpper);   // old indeed
        Assert.Equal(["x"], (await Contents(otherReader, data, 30)).Keys);
        await using var late = await other.OpenReaderAsync(table, "late", T.Cancel);
        await foreach (var delta in otherReader.SubscribeAsync(late, new Timestamp(0), T.Cancel))
        {
            Assert.Equal([("x", 20ul, 1L)], T.Updates(delta.Updates));
            break;
        }
    }

    private sealed class OnlyOf(ShardId shard, IStatePush inner) : IStatePush
    {
        public bool IsConnected => true;

        public void Publish(ShardId of, VersionedData diff) => inner.Publish(of, diff);

        public IDisposable Subscribe(ShardId of, Action<VersionedData> onDiff) =>
            of == shard ? inner.Subscribe(of, onDiff) : new MemoryStream();
    }

    [Fact]
    public async Task A_time_that_is_final_is_too_late_and_a_shard_that_is_no_table_is_refused()
    {
        await using var client = Client(1);
        await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
        await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
        await Commit(txns, 10);
        Assert.Equal(new TxnsResult.TooLate(T.F(11)), await txns.CommitAsync(new Timestamp(10), [], T.Cancel));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Commit(txns, 20, Write(ShardId.New(), ("x", 0, 1))));
    }

    [Fact]
    public async Task A_newer_owner_fences_the_one_before()
    {
        await using var first = Client(1);
        await using var second = Client(2);
        await using var readerOne = await TxnsReader.OpenAsync(first, s_txns, T.Cancel);
        await using var readerTwo = await TxnsReader.OpenAsync(second, s_txns, T.Cancel);
        await using var old = await TxnsHandle.OpenAsync(first, readerOne, new FencingEpoch(1), T.Cancel);
        await Commit(old, 10);
        await using var next = await TxnsHandle.OpenAsync(second, readerTwo, new FencingEpoch(2), T.Cancel);
        await Assert.ThrowsAsync<FencedException>(async () => await Commit(old, 20));
        await Commit(next, 20);
        await Assert.ThrowsAsync<FencedException>(async () => await TxnsHandle.OpenAsync(first, readerOne, new FencingEpoch(1), T.Cancel));
    }

    [Fact]
    public async Task A_forgotten_table_has_everything_and_stands_for_itself()
    {
        await using var client = Client(1);
        await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
        await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
        var table = ShardId.New();
        await txns.RegisterAsync(new Timestamp(10), [table], T.Cancel);
        await using var data = await client.OpenReaderAsync(table, "t", T.Cancel);
        await using var subscription = reader.SubscribeAsync(data, new Timestamp(0), T.Cancel).GetAsyncEnumerator(T.Cancel);
        await Commit(txns, 20, Write(table, ("x", 0, 1)));
        Assert.IsType<TxnsResult.Committed>(await txns.ForgetAsync(new Timestamp(30), table, T.Cancel));
        Assert.Equal(T.F(31), await data.FetchUpperAsync(T.Cancel));
        Assert.Equal(["x"], (await Contents(reader, data, 30)).Keys);
        using var writer = await client.OpenWriterAsync(table, T.Cancel);
        await writer.CompareAndAppendAsync(T.Columns(("y", 40, 1)), T.F(31), Frontier.Empty, T.Cancel);
        var seen = new List<(string, ulong, long)>();
        var progress = T.F(0);
        while (await subscription.MoveNextAsync())
        {
            seen.AddRange(T.Updates(subscription.Current.Updates));
            progress = subscription.Current.Progress;
        }

        Assert.Equal([("x", 20ul, 1L), ("y", 40ul, 1L)], seen);
        Assert.Equal(Frontier.Empty, progress);
    }

    // The first owner, of a table from 10 on, which leaves things as they are after what it does.
    private async Task OwnAndDie(ShardId table, Func<TxnsHandle, Task> does)
    {
        await using var client = Client(1);
        await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
        await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
        await txns.RegisterAsync(new Timestamp(10), [table], T.Cancel);
        await does(txns);
    }

    [Fact]
    public async Task What_a_crashed_owner_committed_the_next_one_applies()
    {
        var table = ShardId.New();
        await OwnAndDie(table, async txns =>
        {
            await Commit(txns, 20, Write(table, ("x", 0, 1)));
            await txns.ApplyAsync(T.Cancel);   // applied, not tidied
            await Commit(txns, 21, Write(table, ("y", 0, 1), (new string('z', 500), 0, 1)));   // not applied
        });

        await using var later = Client(2);
        await using var readerAgain = await TxnsReader.OpenAsync(later, s_txns, T.Cancel);
        await using var again = await TxnsHandle.OpenAsync(later, readerAgain, new FencingEpoch(2), T.Cancel);
        await using var data = await later.OpenReaderAsync(table, "t", T.Cancel);
        Assert.Equal(3, (await Contents(readerAgain, data, 21)).Count);
        await again.ApplyAsync(T.Cancel);
        await Commit(again, 30);
        await again.ApplyAsync(T.Cancel);
        Assert.Equal(T.F(22), await data.FetchUpperAsync(T.Cancel));
        Assert.Equal(3, (await Contents(readerAgain, data, 30)).Count);
    }

    /// <summary>As every start does: all tables are registered once more.</summary>
    [Fact]
    public async Task Registering_again_keeps_what_a_crashed_owner_committed_and_did_not_apply()
    {
        var table = ShardId.New();
        await OwnAndDie(table, async txns => await Commit(txns, 20, Write(table, ("x", 0, 1))));

        await using var next = Client(2);
        await using var nextReader = await TxnsReader.OpenAsync(next, s_txns, T.Cancel);
        await using var owner = await TxnsHandle.OpenAsync(next, nextReader, new FencingEpoch(2), T.Cancel);
        await using var data = await next.OpenReaderAsync(table, "t", T.Cancel);
        Assert.Equal(T.F(11), await data.FetchUpperAsync(T.Cancel));
        await owner.RegisterAsync(new Timestamp(30), [table], T.Cancel);
        Assert.Equal(["x"], (await Contents(nextReader, data, 30)).Keys);
        await owner.ApplyAsync(T.Cancel);
        await Commit(owner, 40);   // tidies
        Assert.Equal(["x"], (await Contents(nextReader, data, 40)).Keys);
    }

    [Fact]
    public async Task What_an_earlier_owner_staged_and_did_not_commit_is_swept_and_nothing_else()
    {
        var (table, dropped) = (ShardId.New(), ShardId.New());
        await using (var client = Client(1))
        {
            await using var reader = await TxnsReader.OpenAsync(client, s_txns, T.Cancel);
            await using var txns = await TxnsHandle.OpenAsync(client, reader, new FencingEpoch(1), T.Cancel);
            await txns.RegisterAsync(new Timestamp(10), [table, dropped], T.Cancel);
            await Commit(txns, 20, TableWrite.Of(await StageAsync(txns, table, 1)));
            await txns.ApplyAsync(T.Cancel);   // applied, not tidied
            await Commit(txns, 21, Write(table, (new string('z', 500), 0, 1)));   // not applied
            await Commit(txns, 22, TableWrite.Of(await StageAsync(txns, dropped, 2)));
            await txns.ForgetAsync(new Timestamp(23), dropped, T.Cancel);
            await client.FinalizeShardAsync(dropped, T.Cancel);
            await StageAsync(txns, table, 3);
            await StageAsync(txns, dropped, 4);
        }

        var staged = (await StagedAsync(_blob)).Count;
        await using var later = Client(2);
        await using var readerAgain = await TxnsReader.OpenAsync(later, s_txns, T.Cancel);
        await using var again = await TxnsHandle.OpenAsync(later, readerAgain, new FencingEpoch(2), T.Cancel);
        await using var data = await later.OpenReaderAsync(table, "t", T.Cancel);
        var own = await StageAsync(again, table, 5);
        var swept = await again.SweepAsync(T.Cancel);
        Assert.True(swept >= 2, $"{swept} of {staged} are swept");
        Assert.Equal(0, await again.SweepAsync(T.Cancel));
        Assert.Equal(41, (await Contents(readerAgain, data, 23)).Count);
        await Commit(again, 30, TableWrite.Of(own));
        await again.ApplyAsync(T.Cancel);
        await Commit(again, 31);
        Assert.Equal(81, (await Contents(readerAgain, data, 31)).Count);
        Assert.Equal(0, await again.SweepAsync(T.Cancel));
    }

    /// <summary>40 rows that are not like those of another number.</summary>
    private static async Task<StagedBatch> StageAsync(TxnsHandle txns, ShardId table, int number)
    {
        var batch = txns.NewBatch(table);
        await batch.AddAsync(T.Columns([.. Enumerable.Range(0, 40).Select(i => ($"staged {number} {i}", 0ul, 1L))]), T.Cancel);
        return (await batch.FinishAsync(T.Cancel)).At(Timestamp.MinValue);
    }

    private static async Task<HashSet<string>> StagedAsync(MemoryBlob blob)
    {
        var keys = new HashSet<string>();
        await foreach (var (key, _) in blob.ListAsync("staged/", T.Cancel))
            keys.Add(key);
        return keys;
    }

    /// <summary>
    /// Random commits over several tables while other processes read and subscribe and the owner applies, compacts and crashes. Oracle: a list
    /// of commits. Each commit writes its number to every table it touches, so a reader that saw half a commit would differ from the list.
    /// </summary>
    [Theory]
    [InlineData(0.0)]
    [InlineData(0.1)]
    public async Task Readers_and_subscribers_agree_with_a_list_of_commits(double failureShare)
    {
        for (var seed = 0; seed < 8; seed++)
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
        var (memoryBlob, memoryConsensus) = (new MemoryBlob(), new MemoryConsensus());
        IBlob blob = new UnreliableBlob(memoryBlob, faults);
        IConsensus consensus = new UnreliableConsensus(memoryConsensus, faults);
        var push = new InProcessStatePush();
        var txnsShard = ShardId.New();
        var tables = Enumerable.Range(0, 3).Select(_ => ShardId.New()).ToArray();
        var commits = new List<(ulong At, int Table, string Row, long Diff)>();
        using var stop = new CancellationTokenSource();
        ulong now = 10;

        await using var readers = T.Client(blob, consensus, push, seed: (100 * seed) + 50);
        await using var reader = await TxnsReader.OpenAsync(readers, txnsShard, T.Cancel);
        var owner = T.Client(blob, consensus, push, seed: 100 * seed);
        var ownerReader = await TxnsReader.OpenAsync(owner, txnsShard, T.Cancel);
        var txns = await TxnsHandle.OpenAsync(owner, ownerReader, new FencingEpoch(1), T.Cancel);
        await txns.RegisterAsync(new Timestamp(now), tables, T.Cancel);

        // Subscribers that start at different moments, some in the owner's way of thinking "late".
        var handles = new List<ReadHandle>();
        var subscribers = new List<Task<List<(string, ulong, long)>>>();
        var last = new TaskCompletionSource<ulong>(TaskCreationOptions.RunContinuationsAsynchronously);
        var finished = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task Subscribe(int table)
        {
            var data = await readers.OpenReaderAsync(tables[table], "subscriber", T.Cancel);
            handles.Add(data);
            subscribers.Add(Task.Run(async () =>
            {
                var seen = new List<(string, ulong, long)>();
                await foreach (var delta in reader.SubscribeAsync(data, new Timestamp(0), T.Cancel))
                {
                    seen.AddRange(T.Updates(delta.Updates));
                    if (last.Task.IsCompletedSuccessfully && delta.Progress.Elements[0].Millis > await last.Task)
                        break;
                }

                return seen;
            }));
        }

        for (var t = 0; t < tables.Length; t++)
            await Subscribe(t);
        await using var check = await readers.OpenReaderAsync(tables[0], "check 0", T.Cancel);
        await using var check1 = await readers.OpenReaderAsync(tables[1], "check 1", T.Cancel);
        ReadHandle[] checks = [check, check1];
        for (var step = 0; step < 60; step++)
        {
            switch (random.Next(7))
            {
                case 0 or 1 or 2:
                    now += (ulong)random.Next(1, 4);
                    var touched = Enumerable.Range(0, tables.Length).Where(_ => random.Next(2) == 0).ToArray();
                    var row = $"commit {step}{(random.Next(3) == 0 ? new string('b', 300) : "")}";
                    var writes = touched.Select(t => (Table: t, Row: row, Diff: 1L)).ToList();
                    if (random.Next(3) == 0 && commits.Count > 0)
                    {
                        var undone = commits[random.Next(commits.Count)];
                        writes.Add((undone.Table, undone.Row, -undone.Diff));
                    }

                    await Commit(txns, now, [.. writes.Select(w => Write(tables[w.Table], (w.Row, 0, w.Diff)))]);
                    commits.AddRange(writes.Select(w => (now, w.Table, w.Row, w.Diff)));
                    break;
                case 3:
                    await txns.ApplyAsync(T.Cancel);
                    break;
                case 4:
                    await owner.MaintainAsync(tables[random.Next(tables.Length)], T.Cancel);
                    await owner.MaintainAsync(txnsShard, T.Cancel);
                    break;
                case 5:
                    var asOf = (ulong)random.NextInt64(10, (long)now + 1);
                    for (var t = 0; t < 2; t++)
                        Assert.Equal(T.Sum(commits.Where(c => c.Table == t && c.At <= asOf).Select(c => (c.Row, c.At, c.Diff))), await Contents(reader, checks[t], asOf));
                    break;
                case 6 when random.Next(3) == 0:
                    // The owner dies, between staging and commit, and another takes over.
                    var before = await StagedAsync(memoryBlob);
                    await StageAsync(txns, tables[random.Next(tables.Length)], step);
                    var orphans = (await StagedAsync(memoryBlob)).Except(before).ToList();
                    Assert.NotEmpty(orphans);
                    await txns.DisposeAsync();
                    await ownerReader.DisposeAsync();
                    await owner.DisposeAsync();
                    owner = T.Client(blob, consensus, push, seed: (100 * seed) + step + 1000);
                    ownerReader = await TxnsReader.OpenAsync(owner, txnsShard, T.Cancel);
                    txns = await TxnsHandle.OpenAsync(owner, ownerReader, new FencingEpoch((ulong)step + 2), T.Cancel);
                    now = Math.Max(now, txns.Upper.Elements[0].Millis);
                    if (random.Next(2) == 0)
                        await txns.ApplyAsync(T.Cancel);
                    if (random.Next(2) == 0)
                        await txns.RegisterAsync(new Timestamp(++now), tables, T.Cancel);   // as a start does
                    await txns.SweepAsync(T.Cancel);
                    Assert.Empty((await StagedAsync(memoryBlob)).Intersect(orphans));
                    await Subscribe(random.Next(tables.Length));
                    break;
            }
        }

        faults.FailureShare = 0;
        now++;
        last.SetResult(now);
        await Commit(txns, now);
        for (var i = 0; i < subscribers.Count; i++)
        {
            var table = Array.IndexOf(tables, handles[i].Shard);
            var expected = commits.Where(c => c.Table == table).Select(c => (c.Row, c.At, c.Diff));
            Assert.Equal(AtTimes(expected), AtTimes(await subscribers[i].WaitAsync(TimeSpan.FromSeconds(20), T.Cancel)));
        }

        foreach (var handle in handles)
            await handle.DisposeAsync();
        await txns.DisposeAsync();
        await ownerReader.DisposeAsync();
        await owner.DisposeAsync();
    }

    private static (string, ulong, long)[] AtTimes(IEnumerable<(string Row, ulong Time, long Diff)> updates) =>
        [.. updates.GroupBy(u => (u.Row, u.Time), u => u.Diff).Select(g => (g.Key.Row, g.Key.Time, g.Sum())).Where(u => u.Item3 != 0).Order()];
}
