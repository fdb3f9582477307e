using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;

namespace Materialize.Persist.Tests.Shard;

public sealed class ShardTests
{
    private readonly MemoryBlob _blob = new();
    private readonly MemoryConsensus _consensus = new();
    private readonly ShardId _shard = ShardId.New();

    private static string Big => new('z', 300);

    private static async Task Append(WriteHandle writer, ulong lower, ulong upper, params (string, ulong, long)[] updates) =>
        Assert.IsType<AppendResult.Appended>(await writer.CompareAndAppendAsync(T.Columns(updates), T.F(lower), T.F(upper), T.Cancel));

    [Fact]
    public async Task What_is_appended_is_read_at_its_time()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        await Append(writer, 0, 5, ("a", 1, 1), (Big, 3, 2), ("a", 4, -1));
        Assert.Equal(["a"], (await T.ContentsAsync(reader, 2)).Keys);
        Assert.Equal(["a", Big], (await T.ContentsAsync(reader, 3)).Keys);
        Assert.Equal([Big], (await T.ContentsAsync(reader, 4, consolidated: true)).Keys);
    }

    [Fact]
    public async Task A_writer_with_an_old_upper_is_told_the_new_one()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await Append(writer, 0, 5);
        var result = await writer.CompareAndAppendAsync(T.Columns(("a", 1, 1)), T.F(0), T.F(6), T.Cancel);
        Assert.Equal(new AppendResult.Mismatch(T.F(5)), result);
    }

    [Fact]
    public async Task Updates_outside_of_the_stated_interval_are_refused()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await Assert.ThrowsAsync<ArgumentException>(async () => await writer.CompareAndAppendAsync(T.Columns(("a", 5, 1)), T.F(0), T.F(5), T.Cancel));
        await Append(writer, 0, 5);
        await Assert.ThrowsAsync<ArgumentException>(async () => await writer.CompareAndAppendAsync(T.Columns(("a", 4, 1)), T.F(5), T.F(9), T.Cancel));
        await Assert.ThrowsAsync<ArgumentException>(async () => await writer.CompareAndAppendAsync(T.Columns(), T.F(5), T.F(5), T.Cancel));
    }

    [Fact]
    public async Task A_closed_shard_takes_no_more_and_stays_readable()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        Assert.IsType<AppendResult.Appended>(await writer.CompareAndAppendAsync(T.Columns(("a", 1, 1)), T.F(0), T.Closed, T.Cancel));
        Assert.Equal(new AppendResult.Mismatch(T.Closed), await writer.CompareAndAppendAsync(T.Columns(), T.F(0), T.F(9), T.Cancel));
        Assert.Equal(["a"], (await T.ContentsAsync(reader, ulong.MaxValue)).Keys);
        var progress = new List<Frontier>();
        await foreach (var delta in reader.ListenAsync(new Timestamp(0), T.Cancel))
            progress.Add(delta.Progress);
        Assert.Equal(T.Closed, progress[^1]);
    }

    [Fact]
    public async Task A_finalised_shard_leaves_no_blobs_and_refuses_readers()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await Append(writer, 0, 5, (Big, 1, 1));
        using var critical = await client.OpenCriticalSinceAsync(_shard, new CriticalReaderId(Guid.NewGuid()), new FencingEpoch(1), "c", T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        await client.FinalizeShardAsync(_shard, T.Cancel);
        await client.FinalizeShardAsync(_shard, T.Cancel);
        await foreach (var entry in _blob.ListAsync("", T.Cancel))
            Assert.Fail(entry.Key);
        await Assert.ThrowsAsync<SinceViolationException>(async () => await T.ContentsAsync(reader, 4));
        await using var other = T.Client(_blob, _consensus, seed: 2);
        await using var later = await other.OpenReaderAsync(_shard, "late", T.Cancel);
        Assert.Equal(T.Closed, later.Since);
    }

    [Fact]
    public async Task A_staged_batch_is_appended_by_another_process_at_a_time_chosen_later()
    {
        await using var first = T.Client(_blob, _consensus);
        await using var second = T.Client(_blob, _consensus, seed: 2);
        using var stager = await first.OpenWriterAsync(_shard, T.Cancel);
        var builder = stager.NewBatch();
        for (var i = 0; i < 100; i++)
        {
            builder.Add(System.Text.Encoding.UTF8.GetBytes($"row {i:D4}"), Timestamp.MinValue, 1);
            await builder.FlushIfFullAsync(T.Cancel);
        }

        var encoded = (await builder.FinishAsync(T.Cancel)).Encode();
        using var writer = await second.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await second.OpenReaderAsync(_shard, "test", T.Cancel);
        var staged = StagedBatch.Decode("test", encoded).At(new Timestamp(7));
        Assert.IsType<AppendResult.Appended>(await writer.CompareAndAppendBatchesAsync([staged], T.F(0), T.F(8), T.Cancel));
        Assert.Empty(await T.ContentsAsync(reader, 6));
        Assert.Equal(100, (await T.ContentsAsync(reader, 7)).Count);
        Assert.Equal(100, (await T.ContentsAsync(reader, 7, consolidated: true)).Count);
    }

    [Fact]
    public async Task A_listener_in_another_process_is_woken_by_push()
    {
        // Both clients share the hub, and polling is out of the question: the safety net is an hour away.
        var push = new InProcessStatePush();
        var config = T.Small with { PollWhenPushed = TimeSpan.FromHours(1) };
        await using var first = T.Client(_blob, _consensus, push, config);
        await using var second = T.Client(_blob, _consensus, push, config, seed: 2);
        using var writer = await first.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await second.OpenReaderAsync(_shard, "test", T.Cancel);
        await using var listen = reader.ListenAsync(new Timestamp(0), T.Cancel).GetAsyncEnumerator(T.Cancel);
        for (ulong time = 0; time < 20; time++)
        {
            var next = listen.MoveNextAsync();
            await Append(writer, time, time + 1, ($"{time}", time, 1));
            Assert.True(await next);
            Assert.Equal([($"{time}", time, 1L)], T.Updates(listen.Current.Updates));
            Assert.True(await listen.MoveNextAsync());
            Assert.Equal(T.F(time + 1), listen.Current.Progress);
        }
    }

    [Fact]
    public async Task A_listener_without_push_polls()
    {
        await using var first = T.Client(_blob, _consensus, new Disconnected());
        await using var second = T.Client(_blob, _consensus, new Disconnected(), seed: 2);
        using var writer = await first.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await second.OpenReaderAsync(_shard, "test", T.Cancel);
        var upper = reader.WaitForUpperPastAsync(new Timestamp(4), T.Cancel);
        await Append(writer, 0, 5);
        Assert.Equal(T.F(5), await upper);
    }

    [Fact]
    public async Task Listening_resumes_between_compacted_batches_without_gap_or_repeat()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        for (ulong time = 0; time < 10; time++)
            await Append(writer, time, time + 1, ($"{time}", time, 1));
        await reader.DowngradeSinceAsync(T.F(4), T.Cancel);
        while (await client.MaintainAsync(_shard, T.Cancel))
        {
        }

        Assert.True((await client.StatisticsAsync(_shard, T.Cancel)).Batches < 10);
        var seen = new List<(string, ulong, long)>();
        await foreach (var delta in reader.ListenAsync(new Timestamp(5), T.Cancel))
        {
            seen.AddRange(T.Updates(delta.Updates));
            if (delta.Progress.Equals(T.F(10)))
                break;
        }

        Assert.Equal([5, 6, 7, 8, 9], seen.Select(u => (int)u.Item2).Order());
        Assert.Equal(5, (await T.ContentsAsync(reader, 4)).Count);
        Assert.Throws<SinceViolationException>(() => reader.ListenAsync(new Timestamp(4), T.Cancel).ToBlockingEnumerable(T.Cancel).First());
        await Assert.ThrowsAsync<SinceViolationException>(async () => await T.ContentsAsync(reader, 3));
    }

    [Fact]
    public async Task What_was_deleted_takes_no_space_once_nobody_can_see_it()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        for (ulong time = 0; time < 20; time++)
            await Append(writer, time, time + 1, ($"{time % 10}{Big}", time, time < 10 ? 1 : -1));
        while (await client.MaintainAsync(_shard, T.Cancel))
        {
        }

        Assert.Equal(20, (await client.StatisticsAsync(_shard, T.Cancel)).Updates);   // all detail can still be read
        Assert.Equal(5, (await T.ContentsAsync(reader, 14)).Count);
        await Append(writer, 20, 500);   // time passes, nothing is written
        await reader.DowngradeSinceAsync(T.F(400), T.Cancel);
        while (await client.MaintainAsync(_shard, T.Cancel))
        {
        }

        Assert.InRange((await client.StatisticsAsync(_shard, T.Cancel)).Updates, 0, 5);
        Assert.Empty(await T.ContentsAsync(reader, 400));
    }

    [Fact]
    public async Task A_reader_that_does_not_renew_loses_its_hold_and_hears_of_it()
    {
        var time = new ManualTime();
        await using var client = T.Client(_blob, _consensus, time: time);
        await using var other = T.Client(_blob, _consensus, time: time, seed: 2);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await Append(writer, 0, 10, (Big, 1, 1));
        await using var quiet = await other.OpenReaderAsync(_shard, "quiet", T.Cancel);
        await using var lively = await client.OpenReaderAsync(_shard, "lively", T.Cancel);
        await lively.DowngradeSinceAsync(T.F(5), T.Cancel);
        Assert.Equal(T.F(0), (await client.StatisticsAsync(_shard, T.Cancel)).Since);
        time.Advance(TimeSpan.FromSeconds(40));
        await lively.HeartbeatAsync(T.Cancel);
        time.Advance(TimeSpan.FromSeconds(40));
        await client.MaintainAsync(_shard, T.Cancel);
        Assert.Equal(T.F(5), (await client.StatisticsAsync(_shard, T.Cancel)).Since);
        await Assert.ThrowsAsync<LeaseExpiredException>(async () => await quiet.HeartbeatAsync(T.Cancel));
        Assert.Single(await T.ContentsAsync(lively, 5));
    }

    [Fact]
    public async Task What_a_snapshot_reads_is_not_deleted_under_it()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        for (ulong time = 0; time < 8; time++)
            await Append(writer, time, time + 1, ($"{time}{Big}", time, 1));
        using (var snapshot = await reader.SnapshotAsync(new Timestamp(7), T.Cancel))
        {
            await using var pieces = snapshot.ReadAsync(T.Cancel).GetAsyncEnumerator(T.Cancel);
            Assert.True(await pieces.MoveNextAsync());
            while (await client.MaintainAsync(_shard, T.Cancel))
            {
            }

            await reader.HeartbeatAsync(T.Cancel);
            await client.MaintainAsync(_shard, T.Cancel);
            Assert.NotEqual(0, (await client.StatisticsAsync(_shard, T.Cancel)).Garbage);
            var rest = 1;
            while (await pieces.MoveNextAsync())
                rest++;
            Assert.Equal(8, rest);
        }

        await reader.HeartbeatAsync(T.Cancel);
        while (await client.MaintainAsync(_shard, T.Cancel))
        {
        }

        Assert.Equal(0, (await client.StatisticsAsync(_shard, T.Cancel)).Garbage);
    }

    [Fact]
    public async Task Of_two_owners_of_a_critical_hold_the_one_with_the_old_epoch_is_fenced()
    {
        await using var client = T.Client(_blob, _consensus);
        await using var newer = T.Client(_blob, _consensus, seed: 2);
        var id = new CriticalReaderId(Guid.NewGuid());
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await Append(writer, 0, 10);
        using var old = await client.OpenCriticalSinceAsync(_shard, id, new FencingEpoch(1), "old", T.Cancel);
        Assert.Equal(
            new SinceResult.Downgraded(T.F(3)), await old.CompareAndDowngradeSinceAsync(new(1), new(1), T.F(3), T.Cancel));
        using var next = await newer.OpenCriticalSinceAsync(_shard, id, new FencingEpoch(2), "new", T.Cancel);
        Assert.Equal(new FencingEpoch(1), next.Epoch);
        Assert.Equal(new SinceResult.Downgraded(T.F(3)), await next.CompareAndDowngradeSinceAsync(new(1), new(2), T.F(0), T.Cancel));
        Assert.Equal(
            new SinceResult.Mismatch(new FencingEpoch(2)), await old.CompareAndDowngradeSinceAsync(new(1), new(1), T.F(7), T.Cancel));
        Assert.Equal(T.F(3), (await client.StatisticsAsync(_shard, T.Cancel)).Since);
    }

    [Fact]
    public async Task A_missing_or_damaged_blob_is_an_error_that_names_it()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        await Append(writer, 0, 1, (Big, 0, 1));
        var key = (await _blob.ListAsync("", T.Cancel).SingleAsync(T.Cancel)).Key;
        var value = (await _blob.GetAsync(key, T.Cancel))!.Value.ToArray();
        value[100] ^= 1;
        await _blob.SetAsync(key, value, T.Cancel);
        Assert.Equal(key, (await Assert.ThrowsAsync<CorruptDataException>(async () => await T.ContentsAsync(reader, 0))).Key);
        await _blob.DeleteAsync(key, T.Cancel);
        Assert.Equal(key, (await Assert.ThrowsAsync<MissingBlobException>(async () => await T.ContentsAsync(reader, 0))).Key);
    }

    [Fact]
    public async Task The_log_is_cut_behind_rollups_and_a_new_process_finds_its_way_in()
    {
        await using var client = T.Client(_blob, _consensus);
        using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(_shard, "test", T.Cancel);
        for (ulong time = 0; time < 100; time++)
        {
            await Append(writer, time, time + 1, ($"{time}", time, 1));
            await client.MaintainAsync(_shard, T.Cancel);
            if (time % 10 == 0)
                await reader.HeartbeatAsync(T.Cancel);
        }

        var log = await _consensus.ScanAsync(_shard.ToString(), new SeqNo(0), 1000, T.Cancel);
        Assert.InRange(log.Count, 1, 40);
        await using var other = T.Client(_blob, _consensus, seed: 2);
        await using var late = await other.OpenReaderAsync(_shard, "late", T.Cancel);
        Assert.Equal(100, (await T.ContentsAsync(late, 99)).Count);
    }

    [Fact]
    public async Task An_entry_of_a_later_version_is_refused_not_guessed()
    {
        await using (var client = T.Client(_blob, _consensus))
        {
            using var writer = await client.OpenWriterAsync(_shard, T.Cancel);
            await Append(writer, 0, 1);
        }

        var head = (await _consensus.HeadAsync(_shard.ToString(), T.Cancel))!.Value;
        var later = head.Data.ToArray();
        later[0] = 99;
        await _consensus.CompareAndSetAsync(_shard.ToString(), head.SeqNo, new VersionedData(head.SeqNo.Next(), later), T.Cancel);
        await using var old = T.Client(_blob, _consensus, seed: 2);
        await Assert.ThrowsAsync<UnsupportedFormatException>(async () => await old.OpenWriterAsync(_shard, T.Cancel));
    }

    private sealed class Disconnected : IStatePush
    {
        public bool IsConnected => false;

        public void Publish(ShardId shard, VersionedData diff)
        {
        }

        public IDisposable Subscribe(ShardId shard, Action<VersionedData> onDiff) => new MemoryStream();
    }
}
