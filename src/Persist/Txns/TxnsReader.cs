// Reading tables that are written through a txns shard.
//
// A data shard's own upper lags: only applying a write moves it. What tells how far a table is complete is the upper of the txns shard, and what
// the data shard does not have yet is in the txns shard's entries. So, for a view V of the txns shard with upper U, and a state of the data shard
// with upper P that was read from consensus *after* V:
//
//     contents before U  =  data shard at times before P  +  entries of V with times in [P, U)
//
// because an entry is retracted only after the data shard has it: an entry with a time at or beyond P has not been applied in that state, hence was
// not retracted in V, which is older. And entries before P are in the data shard. So readers never wait for apply, nor write anything.
//
// One listener per process reads the txns shard and keeps the entries that are not retracted; all tables share it.

using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Materialize.Core;
using Materialize.Persist.Columns;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Txns;

/// <summary>Reads tables; one for each process and txns shard. Thread-safe.</summary>
public sealed class TxnsReader : IAsyncDisposable
{
    private const long FollowerBytesMax = 64 * 1024 * 1024;

    private readonly ReadHandle _txns;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _pump;
    private readonly Lock _lock = new();   // guards everything below; nothing is awaited under it
    private readonly Dictionary<ShardId, Table> _tables = [];
    private Frontier _upper = Frontiers.Minimum;
    private ulong _ownerEpoch;
    private TaskCompletionSource _moved = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? _failure;

    private TxnsReader(ReadHandle txns)
    {
        _txns = txns;
        _pump = PumpAsync();
    }

    /// <summary>Starts to follow the txns shard, which is made if it does not exist.</summary>
    public static async ValueTask<TxnsReader> OpenAsync(PersistClient client, ShardId txnsShard, CancellationToken cancel) =>
        new(await client.OpenReaderAsync(txnsShard, "txns", cancel));

    public ShardId TxnsShard => _txns.Shard;

    /// <summary>Every registered table is complete before this, as far as is known here.</summary>
    public Frontier Upper
    {
        get
        {
            lock (_lock)
                return _upper;
        }
    }

    /// <summary>The epoch of the latest owner seen.</summary>
    internal ulong OwnerEpoch
    {
        get
        {
            lock (_lock)
                return _ownerEpoch;
        }
    }

    /// <summary>Waits until all tables are final at <paramref name="time"/>.</summary>
    public async ValueTask<Frontier> WaitForUpperPastAsync(Timestamp time, CancellationToken cancel)
    {
        while (true)
        {
            Task moved;
            lock (_lock)
            {
                CheckFailure();
                if (_upper.IsPast(time))
                    return _upper;
                moved = _moved.Task;
            }

            await moved.WaitAsync(cancel);
        }
    }

    /// <summary>A table's contents as of a time; waits until that time is final. A shard that is not registered is read by itself.</summary>
    /// <param name="data">A reader of the table's shard.</param>
    /// <returns>To be disposed of.</returns>
    /// <exception cref="SinceViolationException"><paramref name="asOf"/> is before the reader's since.</exception>
    public async ValueTask<ShardSnapshot> SnapshotAsync(ReadHandle data, Timestamp asOf, CancellationToken cancel)
    {
        await WaitForUpperPastAsync(asOf, cancel);
        ImmutableArray<TxnsEntry.Write> entries;
        lock (_lock)
        {
            if (!_tables.TryGetValue(data.Shard, out var table) || !table.IsRegistered)
                entries = default;
            else
                entries = [.. table.Unapplied.Where(w => w.At <= asOf)];
        }

        if (entries.IsDefault)
            return await data.SnapshotAsync(asOf, cancel);
        await data.Machine.RefreshAsync(cancel);   // after the view of the entries: see the head of this file
        return data.SnapshotOfKnown(asOf, state => [.. entries.Where(w => state.Upper.IsBeyond(w.At)).SelectMany(w => w.Runs)]);
    }

    /// <summary>
    /// A table's changes from <paramref name="from"/> on, as they are committed. Progress is that of all tables. Ends when the shard is closed
    /// (dropped) and everything was delivered.
    /// </summary>
    /// <param name="data">A reader of the table's shard, whose since stays before the progress while this runs.</param>
    /// <param name="from">As for <see cref="ReadHandle.ListenAsync"/>.</param>
    public async IAsyncEnumerable<ShardDelta> SubscribeAsync(
        ReadHandle data, Timestamp from, [EnumeratorCancellation] CancellationToken cancel)
    {
        if (!(data.Since.Time is { } since && (since < from || from == Timestamp.MinValue)))
            throw new SinceViolationException(data.Shard, from, data.Since);
        var store = new PartStore(data.Shard, data.Machine.Services);
        var progress = Frontier.Of(from);
        while (progress.Time is { } next)
        {
            // What was registered before this call is known from here on.
            var fresh = await _txns.FetchUpperAsync(cancel);
            if (fresh.Time?.StepBack() is { } last)
                await WaitForUpperPastAsync(last, cancel);
            using var follower = Follow(data.Shard);
            if (follower is null)
            {
                // Dropped or never a table: the shard speaks for itself, to its end.
                await foreach (var delta in data.ListenAsync(next, cancel))
                    yield return delta;
                yield break;
            }

            await data.Machine.RefreshAsync(cancel);   // after the view of the entries: see the head of this file
            Frontier applied;
            using (var use = data.Use())
            {
                applied = use.State.Upper;
                foreach (var part in data.PartsFrom(use.State, next))
                {
                    var updates = (await data.FetchAsync(store, part, cancel)).Between(next, null);
                    if (!updates.IsEmpty)
                        yield return new ShardDelta(updates, progress);
                }
            }

            progress = progress.JoinWith(applied);
            if (progress.IsEmpty)
                yield return new ShardDelta(UpdateColumns.Empty, progress);
            for (var resync = progress.IsEmpty; !resync;)
            {
                var step = await follower.TakeAsync(cancel);
                foreach (var commit in step.Writes.GroupBy(w => w.At))
                {
                    if (!progress.IsBeyond(commit.Key))
                        continue;   // the data shard's state had it
                    using var use = data.Use();
                    var parts = commit.SelectMany(w => w.Runs).SelectMany(r => r.Parts).ToArray();
                    // Not applied in a state that we hold: nobody deletes its blobs. Applied already: they may be gone, but the data shard has it.
                    resync = parts.Any(p => p is Part.Blob) && !use.State.Upper.IsBeyond(commit.Key);
                    if (resync)
                        break;
                    foreach (var part in parts)
                        yield return new ShardDelta(await store.FetchAsync(part, cancel), progress);
                    progress = Frontier.Of(commit.Key.StepForward());
                }

                if (!resync)
                    progress = progress.JoinWith(step.Upper);
                yield return new ShardDelta(UpdateColumns.Empty, progress);
                resync |= step.Detached;
            }
        }
    }

    /// <summary>Writes that are not known to be in their shards yet, by shard, in order of time.</summary>
    internal IReadOnlyList<(ShardId Shard, ImmutableArray<TxnsEntry.Write> Writes)> Unapplied()
    {
        lock (_lock)
            return [.. _tables.Where(t => t.Value.Unapplied.Count > 0).Select(t => (t.Key, t.Value.Unapplied.ToImmutableArray()))];
    }

    /// <summary>Since when the shard is registered; null if it is not.</summary>
    public Timestamp? RegisteredAt(ShardId shard)
    {
        lock (_lock)
            return _tables.GetValueOrDefault(shard)?.RegisteredAt;
    }

    /// <summary>Every registered shard.</summary>
    public IReadOnlyList<ShardId> Registered()
    {
        lock (_lock)
            return [.. _tables.Where(t => t.Value.IsRegistered).Select(t => t.Key)];
    }

    /// <summary>Completes when the upper moves next.</summary>
    internal Task NextMove()
    {
        lock (_lock)
        {
            CheckFailure();
            return _moved.Task;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _pump;
        await _txns.DisposeAsync();
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        await Task.Yield();
        try
        {
            var upper = (await _txns.Machine.WaitAsync(state => Frontiers.Minimum.IsBefore(state.Upper), _stop.Token)).Upper;
            var asOf = upper.Time!.Value.StepBack()!.Value;
            using (var snapshot = await _txns.SnapshotAsync(asOf, _stop.Token))
            {
                var entries = new List<UpdateColumns>();
                await foreach (var updates in snapshot.ReadConsolidatedAsync(_stop.Token))
                    entries.Add(updates);
                Apply(entries, Frontier.Of(asOf.StepForward()));
            }

            var arrived = new List<UpdateColumns>();
            var progress = Upper;
            await foreach (var delta in _txns.ListenAsync(asOf.StepForward(), _stop.Token))
            {
                if (!delta.Updates.IsEmpty)
                    arrived.Add(delta.Updates);
                if (delta.Progress.Equals(progress))
                    continue;
                progress = delta.Progress;
                Apply(arrived, progress);
                arrived.Clear();
                if (progress.Time?.StepBack() is { } last)
                    _txns.DowngradeSinceEventually(Frontier.Of(last));
            }

            Fail(new InvalidOperationException("the txns shard was closed"));
        }
        catch (OperationCanceledException)
        {
            Fail(new ObjectDisposedException(nameof(TxnsReader)));
        }
        catch (Exception e)
        {
            Fail(e);   // everybody who waits here, and the next to ask, hears of it
        }
    }

    /// <summary>Takes in all entries before <paramref name="upper"/> that have not been taken in yet.</summary>
    private void Apply(List<UpdateColumns> columns, Frontier upper)
    {
        var updates = columns
            .SelectMany(c => Enumerable.Range(0, c.Count).Select(i => (Columns: c, Index: i, Time: c.Times[i], Diff: c.Diffs[i])))
            .Select(u => (u.Time, u.Diff, Entry: TxnsEntry.Decode(TxnsShard, u.Columns.Row(u.Index).ToArray())))
            // In order of commit; within one time what ends before what begins.
            .OrderBy(u => u.Time).ThenBy(u => u.Diff).ThenBy(u => (u.Entry as TxnsEntry.Write)?.At).ThenBy(u => (u.Entry as TxnsEntry.Write)?.Index)
            .ToArray();
        TaskCompletionSource moved;
        lock (_lock)
        {
            foreach (var (_, diff, entry) in updates)
                ApplyOne(entry, diff);
            _upper = upper;
            moved = _moved;
            _moved = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            foreach (var table in _tables.Values)
            {
                foreach (var follower in table.Followers)
                    follower.Advance(upper);
            }
        }

        moved.SetResult();
    }

    private void ApplyOne(TxnsEntry entry, long diff)
    {
        Invariant.Check(diff is 1 or -1, "an entry of the txns shard occurs once");
        switch (entry)
        {
            case TxnsEntry.Owner x when diff > 0:
                _ownerEpoch = Math.Max(_ownerEpoch, x.Epoch);
                break;
            case TxnsEntry.Registered x when diff > 0:
                TableOf(x.Shard).RegisteredAt = x.At;
                break;
            case TxnsEntry.Registered x:
                var forgotten = TableOf(x.Shard);
                forgotten.RegisteredAt = null;
                foreach (var follower in forgotten.Followers)
                    follower.Detach();
                if (forgotten.Unapplied.Count == 0 && forgotten.Followers.Count == 0)
                    _tables.Remove(x.Shard);
                break;
            case TxnsEntry.Write x when diff > 0:
                var written = TableOf(x.Shard);
                written.Unapplied.Add(x);
                foreach (var follower in written.Followers)
                    follower.Add(x);
                break;
            case TxnsEntry.Write x:
                var tidied = TableOf(x.Shard);
                var removed = tidied.Unapplied.RemoveAll(w => w.At == x.At && w.Index == x.Index);
                Invariant.Check(removed == 1, "a write that is tidied was there");
                if (!tidied.IsRegistered && tidied.Unapplied.Count == 0 && tidied.Followers.Count == 0)
                    _tables.Remove(x.Shard);
                break;
        }
    }

    private Table TableOf(ShardId shard)
    {
        if (!_tables.TryGetValue(shard, out var table))
            _tables[shard] = table = new Table();
        return table;
    }

    private Follower? Follow(ShardId shard)
    {
        lock (_lock)
        {
            CheckFailure();
            if (!_tables.TryGetValue(shard, out var table) || !table.IsRegistered)
                return null;
            var follower = new Follower(this, shard, [.. table.Unapplied], _upper);
            table.Followers.Add(follower);
            return follower;
        }
    }

    private void Unfollow(Follower follower)
    {
        lock (_lock)
        {
            if (_tables.TryGetValue(follower.Shard, out var table))
                table.Followers.Remove(follower);
        }
    }

    private void Fail(Exception e)
    {
        TaskCompletionSource moved;
        lock (_lock)
        {
            _failure = e;
            moved = _moved;
            foreach (var follower in _tables.Values.SelectMany(t => t.Followers))
                follower.Detach();
        }

        moved.TrySetResult();
    }

    private void CheckFailure()
    {
        if (_failure is ObjectDisposedException)
            throw new ObjectDisposedException(nameof(TxnsReader));
        if (_failure is { } failure)
            throw new DeterminateException($"following the txns shard {TxnsShard} has failed: {failure.Message}", failure);
    }

    private sealed class Table
    {
        public Timestamp? RegisteredAt { get; set; }

        public bool IsRegistered => RegisteredAt is not null;

        public List<TxnsEntry.Write> Unapplied { get; } = [];

        public List<Follower> Followers { get; } = [];
    }

    /// <summary>What a subscription has not taken yet. One that is too slow is detached, and reads the data shard again to catch up.</summary>
    private sealed class Follower(TxnsReader owner, ShardId shard, List<TxnsEntry.Write> writes, Frontier upper) : IDisposable
    {
        private List<TxnsEntry.Write> _writes = writes;
        private long _bytes;
        private bool _detached;
        private bool _changed = true;   // what was there at the start is to be taken
        private Frontier _followed = upper;
        private TaskCompletionSource _signal = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ShardId Shard => shard;

        public void Add(TxnsEntry.Write write)
        {
            if (_detached)
                return;
            _writes.Add(write);
            _bytes += write.EncodedBytes;
            if (_bytes <= FollowerBytesMax)
                return;
            // What is thrown away was before the last upper: claim none, so that the subscription starts again from what it delivered.
            (_writes, _bytes, _followed) = ([], 0, Frontiers.Minimum);
            Detach();
        }

        public void Advance(Frontier to)
        {
            if (_detached)
                return;
            _followed = to;
            Signal();
        }

        /// <summary>Nothing more comes: what is queued is complete only before the last upper.</summary>
        public void Detach()
        {
            _detached = true;
            Signal();
        }

        /// <summary>Everything before <c>Upper</c> that was not taken before; waits for news.</summary>
        public async ValueTask<(List<TxnsEntry.Write> Writes, Frontier Upper, bool Detached)> TakeAsync(CancellationToken cancel)
        {
            while (true)
            {
                Task signal;
                lock (owner._lock)
                {
                    if (_detached)
                        owner.CheckFailure();
                    if (_changed)
                    {
                        var taken = (_writes, _followed, _detached);
                        (_writes, _bytes, _changed) = ([], 0, false);
                        return taken;
                    }

                    signal = _signal.Task;
                }

                await signal.WaitAsync(cancel);
            }
        }

        public void Dispose() => owner.Unfollow(this);

        private void Signal()
        {
            if (_changed)
                return;
            _changed = true;
            var signal = _signal;
            _signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            signal.SetResult();
        }
    }
}
