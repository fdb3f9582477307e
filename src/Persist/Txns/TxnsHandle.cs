// Writing tables: one compare-and-append for a group commit, whatever the number of tables.
//
// A commit at t appends the writes of all tables, as entries, to the txns shard and moves its upper to t + 1: that is the commit point, and every
// registered table is then complete before t + 1. Afterwards, in the background, writes are applied: appended to their own shards at their own
// time, in order, as often as need be (a second time finds the shard's upper beyond the write's time, and does nothing). Entries that have been
// applied are retracted along with the next commit.
//
// Ownership: an opener appends its epoch. That moves the upper, so that the previous owner's next commit does not match, looks, and finds that
// it is fenced. For this an owner only ever expects the upper that it wrote itself.

using System.Collections.Immutable;
using Materialize.Persist.Columns;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Txns;

/// <summary>What one commit writes to one table.</summary>
public sealed record TableWrite
{
    private TableWrite(ShardId shard, UpdateColumns? updates, StagedBatch? staged)
    {
        (Shard, Updates, Staged) = (shard, updates, staged);
    }

    public ShardId Shard { get; }

    internal UpdateColumns? Updates { get; }

    internal StagedBatch? Staged { get; }

    /// <param name="updates">Rows and diffs; their times do not count: all get the time of the commit.</param>
    public static TableWrite Of(ShardId shard, UpdateColumns updates) => new(shard, updates, null);

    /// <param name="staged">Written ahead for the table's shard. Belongs to the commit once that succeeds.</param>
    public static TableWrite Of(StagedBatch staged) => new(staged.Shard, null, staged);
}

/// <summary>The outcome of a commit, a registration or a forgetting.</summary>
public abstract record TxnsResult
{
    private TxnsResult()
    {
    }

    /// <summary>Durable, and visible at its time.</summary>
    public sealed record Committed : TxnsResult
    {
        public static Committed Instance { get; } = new();
    }

    /// <summary>The time is final already; nothing happened. Take a later time.</summary>
    /// <param name="Upper">The least time that would do.</param>
    public sealed record TooLate(Frontier Upper) : TxnsResult;
}

/// <summary>The writer of all tables of an environment. One owner at a time; thread-safe within it.</summary>
public sealed class TxnsHandle : IAsyncDisposable
{
    private readonly PersistClient _client;
    private readonly TxnsReader _reader;
    private readonly WriteHandle _txns;
    private readonly ulong _epoch;
    private readonly SemaphoreSlim _committing = new(1);   // one append of ours at a time; guards _upper
    private readonly SemaphoreSlim _applying = new(1);     // one round of applying at a time; guards _writers
    private readonly Dictionary<ShardId, WriteHandle> _writers = [];
    private readonly Lock _lock = new();                   // guards _applied
    private readonly HashSet<(ShardId Shard, Timestamp At, uint Index)> _appliedKeys = [];
    private readonly List<TxnsEntry.Write> _applied = [];
    private readonly CancellationTokenSource _stop = new();
    private Frontier _upper;
    private Task _background = Task.CompletedTask;

    private TxnsHandle(PersistClient client, TxnsReader reader, WriteHandle txns, ulong epoch)
    {
        _client = client;
        _reader = reader;
        _txns = txns;
        _epoch = epoch;
        _upper = txns.RecentUpper;
    }

    /// <summary>The least time at which a commit is possible.</summary>
    public Frontier Upper => _txns.RecentUpper;

    /// <summary>Takes ownership of the reader's txns shard. Afterwards the upper is at least 1.</summary>
    /// <param name="reader">Stays the caller's, and must live longer than this.</param>
    /// <param name="epoch">Greater than that of every earlier owner.</param>
    /// <exception cref="FencedException">There is an owner with a greater epoch.</exception>
    public static async ValueTask<TxnsHandle> OpenAsync(PersistClient client, TxnsReader reader, FencingEpoch epoch, CancellationToken cancel)
    {
        var handle = new TxnsHandle(client, reader, await client.OpenWriterAsync(reader.TxnsShard, cancel), epoch.Value);
        try
        {
            handle._upper = await handle._txns.FetchUpperAsync(cancel);
            while (true)
            {
                await handle.CheckOwnerAsync(cancel);
                var at = handle._upper.Time!.Value;
                var rows = new UpdateColumnsBuilder();
                if (reader.OwnerEpoch != epoch.Value)
                    rows.Add(new TxnsEntry.Owner(epoch.Value).Encode(), at, 1);
                if (reader.OwnerEpoch is var before and not 0 && before != epoch.Value)
                    rows.Add(new TxnsEntry.Owner(before).Encode(), at, -1);
                if (await handle.AppendAsync(rows.Build(), at, cancel) is TxnsResult.Committed)
                    break;
            }
        }
        catch
        {
            handle._txns.Dispose();
            throw;
        }

        if (client.Services.Config.Background)
            handle._background = Task.WhenAll(Task.Run(handle.ApplyInBackgroundAsync, CancellationToken.None), Task.Run(handle.SweepInBackgroundAsync, CancellationToken.None));
        return handle;
    }

    /// <summary>
    /// Makes shards tables from <paramref name="at"/> on: they may be written by <see cref="CommitAsync"/> only, after this. Those that are
    /// tables already stay so.
    /// </summary>
    public async ValueTask<TxnsResult> RegisterAsync(Timestamp at, IReadOnlyList<ShardId> shards, CancellationToken cancel)
    {
        var result = await LockedAppendAsync(
            at,
            () =>
            {
                var rows = new UpdateColumnsBuilder();
                foreach (var shard in shards.Distinct().Where(s => _reader.RegisteredAt(s) is null))
                    rows.Add(new TxnsEntry.Registered(shard, at).Encode(), at, 1);
                return rows;
            },
            cancel);
        if (result is not TxnsResult.Committed)
            return result;
        await _reader.WaitForUpperPastAsync(at, cancel);
        // Those that are tables already may have writes that the last owner committed and did not apply: filled over, they would count as applied.
        await ApplyAsync(cancel);
        // At once: their appends share commits of the consensus store, and a starting environment registers hundreds.
        await Task.WhenAll(shards.Distinct().Select(shard => FillAsync(shard, at, cancel).AsTask()));
        return result;
    }

    /// <summary>Ends what <see cref="RegisterAsync"/> began: everything written is applied, and from then on the shard stands for itself.</summary>
    public async ValueTask<TxnsResult> ForgetAsync(Timestamp at, ShardId shard, CancellationToken cancel)
    {
        var result = await LockedAppendAsync(
            at,
            () =>
            {
                var rows = new UpdateColumnsBuilder();
                if (_reader.RegisteredAt(shard) is { } since)
                    rows.Add(new TxnsEntry.Registered(shard, since).Encode(), at, -1);
                return rows;
            },
            cancel);
        if (result is not TxnsResult.Committed)
            return result;
        await _reader.WaitForUpperPastAsync(at, cancel);
        await ApplyAsync(cancel);
        await FillAsync(shard, at, cancel);
        await _applying.WaitAsync(cancel);
        try
        {
            if (_writers.Remove(shard, out var writer))
                writer.Dispose();
        }
        finally
        {
            _applying.Release();
        }

        return result;
    }

    /// <summary>
    /// Starts a batch of a table's rows, to be written ahead of their commit by this handle. What a process leaves behind that dies before its commit, the
    /// next owner deletes.
    /// </summary>
    public BatchBuilder NewBatch(ShardId table) => new(table, _client.Services, _epoch);

    /// <summary>
    /// Writes to any number of tables, at one time, all or nothing; with no writes, declares that time to be final. All tables' upper is
    /// then the next time.
    /// </summary>
    /// <returns>
    /// <see cref="TxnsResult.TooLate"/> if the time is final already. Staged batches stay the caller's then.
    /// </returns>
    /// <exception cref="ArgumentException">A shard is not a table.</exception>
    /// <exception cref="DeterminateException">Nothing was written.</exception>
    /// <exception cref="IndeterminateException">It may have been committed: stop this process; the next one reads what is there.</exception>
    /// <exception cref="FencedException">There is a newer owner.</exception>
    public async ValueTask<TxnsResult> CommitAsync(Timestamp at, IReadOnlyList<TableWrite> writes, CancellationToken cancel)
    {
        foreach (var write in writes)
        {
            if (_reader.RegisteredAt(write.Shard) is not { } since || since > at)
                throw new ArgumentException($"shard {write.Shard} is not registered at {at}", nameof(writes));
        }

        var ownStaged = new List<StagedBatch>();
        var entries = new List<TxnsEntry.Write>();
        foreach (var write in writes)
        {
            if (await StageAsync(write, ownStaged, cancel) is { IsEmpty: false } staged)
                entries.Add(new TxnsEntry.Write(write.Shard, at, (uint)entries.Count, staged.At(at).Runs));
        }

        var tidied = ImmutableArray<TxnsEntry.Write>.Empty;
        var result = await LockedAppendAsync(
            at,
            () =>
            {
                var rows = new UpdateColumnsBuilder();
                foreach (var entry in entries)
                    rows.Add(entry.Encode(), at, 1);
                lock (_lock)
                    tidied = [.. _applied];
                foreach (var entry in tidied)
                    rows.Add(entry.Encode(), at, -1);
                return rows;
            },
            cancel,
            committed: () =>
            {
                lock (_lock)
                    _applied.RemoveRange(0, tidied.Length);
            });
        if (result is TxnsResult.TooLate)
        {
            foreach (var staged in ownStaged)
                await _txns.DeleteAsync(staged, cancel);
        }

        return result;
    }

    /// <summary>
    /// Appends the committed writes to their shards. Done in the background unless <see cref="PersistConfig.Background"/> is off; readers
    /// do not wait for it.
    /// </summary>
    public async ValueTask ApplyAsync(CancellationToken cancel)
    {
        await _applying.WaitAsync(cancel);
        try
        {
            var unapplied = _reader.Unapplied();
            lock (_lock)
            {
                // What the reader has seen retracted is forgotten here as well.
                var there = unapplied.SelectMany(t => t.Writes).Select(w => (w.Shard, w.At, w.Index)).ToHashSet();
                _appliedKeys.IntersectWith(there);
                unapplied = [.. unapplied.Select(t => (t.Shard, t.Writes.RemoveAll(w => _appliedKeys.Contains((w.Shard, w.At, w.Index)))))];
            }

            // All shards at once: their appends share commits of the consensus store.
            await Task.WhenAll(unapplied.Where(t => !t.Item2.IsEmpty).Select(async t =>
            {
                await ApplyAsync(await WriterAsync(t.Shard, cancel), t.Item2, cancel);
                lock (_lock)
                {
                    foreach (var write in t.Item2)
                    {
                        _applied.Add(write);
                        _appliedKeys.Add((write.Shard, write.At, write.Index));
                    }
                }
            }));
        }
        finally
        {
            _applying.Release();
        }
    }

    /// <summary>
    /// Deletes what earlier owners staged and never committed. Done once in the background, after opening, unless <see cref="PersistConfig.Background"/> is off.
    /// </summary>
    /// <returns>How many blobs were deleted.</returns>
    public ValueTask<int> SweepAsync(CancellationToken cancel) => StagedParts.SweepAsync(_client, _reader, _txns, _epoch, cancel);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _background;
        foreach (var writer in _writers.Values)
            writer.Dispose();
        _txns.Dispose();
        _stop.Dispose();
    }

    /// <summary>The write in stored form: as it is if it was staged or is small, else in blobs of the table's shard.</summary>
    private async ValueTask<StagedBatch?> StageAsync(TableWrite write, List<StagedBatch> own, CancellationToken cancel)
    {
        if (write.Staged is { } staged)
            return staged;
        var builder = NewBatch(write.Shard);
        await builder.AddAsync(write.Updates!.AllAt(Timestamp.MinValue), cancel);   // one time, so that all of a row's updates add up
        var batch = await builder.FinishAsync(cancel);
        own.Add(batch);
        return batch;
    }

    private async ValueTask<TxnsResult> LockedAppendAsync(
        Timestamp at, Func<UpdateColumnsBuilder> rows, CancellationToken cancel, Action? committed = null)
    {
        await _committing.WaitAsync(cancel);
        try
        {
            var result = await AppendAsync(rows().Build(), at, cancel);
            if (result is TxnsResult.Committed)
                committed?.Invoke();
            return result;
        }
        finally
        {
            _committing.Release();
        }
    }

    private async ValueTask<TxnsResult> AppendAsync(UpdateColumns rows, Timestamp at, CancellationToken cancel)
    {
        while (true)
        {
            if (_upper.IsPast(at))
                return new TxnsResult.TooLate(_upper);
            var next = Frontier.Of(at.StepForward());
            switch (await _txns.CompareAndAppendAsync(rows, _upper, next, cancel))
            {
                case AppendResult.Mismatch mismatch:
                    _upper = mismatch.Upper;
                    await CheckOwnerAsync(cancel);
                    break;
                default:
                    _upper = next;
                    return TxnsResult.Committed.Instance;
            }
        }
    }

    /// <summary>Somebody else has moved the upper (or we have just come): look who.</summary>
    private async ValueTask CheckOwnerAsync(CancellationToken cancel)
    {
        if (_upper.Time is not { } upper)
            throw new FencedException("the txns shard is closed");
        if (upper.StepBack() is { } last)
            await _reader.WaitForUpperPastAsync(last, cancel);
        if (_reader.OwnerEpoch > _epoch)
            throw new FencedException($"tables are written by epoch {_reader.OwnerEpoch} now, this is {_epoch}");
    }

    /// <summary>Moves a shard's own upper past a time at which, and before which, it has everything.</summary>
    private async ValueTask FillAsync(ShardId shard, Timestamp through, CancellationToken cancel)
    {
        using var writer = await _client.OpenWriterAsync(shard, cancel);
        var upper = writer.RecentUpper;
        while (!upper.IsPast(through)
            && await writer.CompareAndAppendAsync(UpdateColumns.Empty, upper, Frontier.Of(through.StepForward()), cancel) is AppendResult.Mismatch mismatch)
        {
            upper = mismatch.Upper;
        }
    }

    private async ValueTask<WriteHandle> WriterAsync(ShardId shard, CancellationToken cancel)
    {
        lock (_writers)
        {
            if (_writers.TryGetValue(shard, out var known))
                return known;
        }

        var opened = await _client.OpenWriterAsync(shard, cancel);
        lock (_writers)
            return _writers[shard] = opened;
    }

    /// <summary>In order of time; those before the shard's upper are there already.</summary>
    private static async ValueTask ApplyAsync(WriteHandle writer, ImmutableArray<TxnsEntry.Write> writes, CancellationToken cancel)
    {
        var upper = writer.RecentUpper;
        while (true)
        {
            var missing = writes.Where(w => upper.IsBeyond(w.At)).ToArray();
            if (missing.Length == 0)
                return;
            var newUpper = Frontier.Of(missing[^1].At.StepForward());
            // Small writes become one part, sorted and added up; blobs are linked as they are.
            var store = new PartStore(writer.Shard, writer.Services);
            var builder = writer.NewBatch();
            var runs = ImmutableArray.CreateBuilder<Run>();
            foreach (var run in missing.SelectMany(w => w.Runs))
            {
                if (run.Parts.All(p => p is Part.Inline))
                {
                    foreach (var part in run.Parts)
                        await builder.AddAsync(await store.FetchAsync(part, cancel), cancel);
                }
                else
                {
                    runs.Add(run);
                }
            }

            var merged = await builder.FinishAsync(cancel);
            runs.AddRange(merged.Runs);
            if (await writer.AppendAsync(runs.ToImmutable(), upper, newUpper, cancel) is not AppendResult.Mismatch mismatch)
                return;
            await writer.DeleteAsync(merged, cancel);
            upper = mismatch.Upper;
        }
    }

    private async Task SweepInBackgroundAsync()
    {
        try
        {
            await SweepAsync(_stop.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The end of this handle or of its reader.
        }
        catch (PersistException e)
        {
            _client.Services.Events.MaintenanceFailed(_txns.Shard, e);   // what stays, the next owner finds
        }
    }

    private async Task ApplyInBackgroundAsync()
    {
        var services = _client.Services;
        try
        {
            while (true)
            {
                var moved = _reader.NextMove();
                try
                {
                    await ApplyAsync(_stop.Token);
                }
                catch (PersistException e)
                {
                    services.Events.MaintenanceFailed(_txns.Shard, e);   // the next round tries again
                }

                await moved.WaitAsync(_stop.Token);
                await Task.Delay(services.Config.TxnsApplyPause, services.Time, _stop.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The end of this handle or of its reader.
        }
        catch (DeterminateException e)
        {
            services.Events.MaintenanceFailed(_txns.Shard, e);   // the reader has failed, and tells everybody who commits or reads
        }
    }
}
