using System.Runtime.CompilerServices;
using Materialize.Persist.Columns;
using Materialize.Persist.Location;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>Some updates of a shard and how far they complete it.</summary>
/// <param name="Updates">At times not before the previous progress; consolidated within themselves, not among deltas.</param>
/// <param name="Progress">Everything before it has been delivered. Repeats while a step comes in several pieces; never goes back.</param>
public readonly record struct ShardDelta(UpdateColumns Updates, Frontier Progress);

/// <summary>
/// Reads one shard. Holds its since by a lease, which the client renews in the background; a process that dies loses it after
/// <see cref="PersistConfig.LeaseDuration"/>. Thread-safe.
/// </summary>
public sealed class ReadHandle : IAsyncDisposable
{
    private readonly MachineLease _lease;
    private readonly PersistClient _client;
    private readonly string _purpose;
    private readonly Guid _id;
    private readonly Lock _lock = new();   // guards the three fields below, for assignments only
    private readonly SortedDictionary<SeqNo, int> _inUse = [];
    private Frontier _since;
    private ulong _heartbeatMs;
    private bool _disposed;

    internal ReadHandle(MachineLease lease, PersistClient client, string purpose, Guid id, Frontier since, ulong heartbeatMs)
    {
        _lease = lease;
        _client = client;
        _purpose = purpose;
        _id = id;
        _since = since;
        _heartbeatMs = heartbeatMs;
    }

    public ShardId Shard => Machine.Shard;

    /// <summary>Reads at or beyond this are exact, as long as the handle lives.</summary>
    public Frontier Since
    {
        get
        {
            lock (_lock)
                return _since;
        }
    }

    /// <summary>The upper as last heard of; the true one is there or beyond.</summary>
    public Frontier RecentUpper => Machine.State.Upper;

    internal ShardMachine Machine => _lease.Value;

    /// <summary>The upper now.</summary>
    public async ValueTask<Frontier> FetchUpperAsync(CancellationToken cancel) => (await Machine.RefreshAsync(cancel))!.Upper;

    /// <summary>Waits until everything at <paramref name="time"/> is final. Returns the upper.</summary>
    public async ValueTask<Frontier> WaitForUpperPastAsync(Timestamp time, CancellationToken cancel) =>
        (await Machine.WaitAsync(s => s.Upper.IsPast(time), cancel)).Upper;

    /// <summary>The contents as of a time. Waits until that time is final.</summary>
    /// <returns>To be disposed of: what it reads is kept from deletion until then.</returns>
    /// <exception cref="SinceViolationException"><paramref name="asOf"/> is before this handle's since.</exception>
    public async ValueTask<ShardSnapshot> SnapshotAsync(Timestamp asOf, CancellationToken cancel)
    {
        await WaitForUpperPastAsync(asOf, cancel);
        return SnapshotOfKnown(asOf);
    }

    /// <summary>Changes from <paramref name="from"/> on, as they are appended. Ends when the shard is closed and everything was delivered.</summary>
    /// <param name="from">
    /// Beyond the since (or the minimum): detail at the since itself is merged with what was before. A snapshot as of t is continued by a listen
    /// from t + 1. The handle's since must stay before the last progress while this runs.
    /// </param>
    /// <exception cref="SinceViolationException">The since has reached <paramref name="from"/>.</exception>
    public async IAsyncEnumerable<ShardDelta> ListenAsync(Timestamp from, [EnumeratorCancellation] CancellationToken cancel)
    {
        CheckListen(from, Since);
        var progress = Frontier.Of(from);
        while (progress.Time is { } next)
        {
            var target = progress;
            await Machine.WaitAsync(s => target.IsBefore(s.Upper), cancel);
            using var use = Use();
            var upper = use.State.Upper;
            var store = new PartStore(Shard, Machine.Services);
            foreach (var part in PartsFrom(use.State, next))
            {
                var updates = (await FetchAsync(store, part, cancel)).Between(next, null);
                if (!updates.IsEmpty)
                    yield return new ShardDelta(updates, progress);
            }

            progress = upper;
            yield return new ShardDelta(UpdateColumns.Empty, progress);
        }
    }

    /// <summary>
    /// Gives up detail before <paramref name="since"/>, now. Never moves back; empty gives up everything. Costs a write: see
    /// <see cref="DowngradeSinceEventually"/>.
    /// </summary>
    /// <exception cref="LeaseExpiredException">The hold was lost before.</exception>
    public async ValueTask DowngradeSinceAsync(Frontier since, CancellationToken cancel)
    {
        DowngradeSinceEventually(since);
        await HeartbeatAsync(cancel);
    }

    /// <summary>Gives up detail before <paramref name="since"/> along with the next renewal of the lease. Costs nothing.</summary>
    public void DowngradeSinceEventually(Frontier since)
    {
        lock (_lock)
            _since = _since.JoinWith(since);
    }

    /// <summary>Renews the lease. The client does this by itself unless <see cref="PersistConfig.Background"/> is off.</summary>
    /// <exception cref="LeaseExpiredException">It came too late, and what this handle held has been given up.</exception>
    public async ValueTask HeartbeatAsync(CancellationToken cancel)
    {
        var services = Machine.Services;
        var ok = await Machine.UpdateAsync(state =>
        {
            var now = services.NowMs;
            LeasedReader reader;
            lock (_lock)
            {
                var hold = _inUse.Count > 0 ? _inUse.Keys.First() : state.SeqNo;
                reader = new LeasedReader(_purpose, _since, hold, now, (ulong)services.Config.LeaseDuration.TotalMilliseconds);
            }

            if (state.IsTombstone)
                return new Transition<bool>([], true);
            if (!state.Readers.TryGetValue(_id, out var old) && !Frontier.LessEqual(state.Since, reader.Since))
                return new([], false);
            if (old is not null && old with { HeartbeatMs = now } == reader && now - old.HeartbeatMs < 1000)
                return new([], true);   // nothing to say
            return new([new StateChange.SetReader(_id, reader)], true);
        }, cancel);
        if (!ok)
            throw new LeaseExpiredException(Shard);
        lock (_lock)
            _heartbeatMs = services.NowMs;
        _client.NoteChanged(Machine);
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        _client.Forget(this);
        try
        {
            await Machine.UpdateAsync<bool>(
                state => state.Readers.ContainsKey(_id) ? new([new StateChange.RemoveReader(_id)], true) : new([], false), CancellationToken.None);
        }
        catch (PersistException)
        {
            // The lease will run out.
        }

        _lease.Dispose();
    }

    internal bool HeartbeatIsDue(ulong nowMs, TimeSpan every)
    {
        lock (_lock)
            return !_disposed && nowMs >= _heartbeatMs + (ulong)every.TotalMilliseconds;
    }

    /// <summary>What is known now, times raised to <paramref name="asOf"/>, even if the upper is not past it: the caller knows that nothing is missing.</summary>
    internal ShardSnapshot SnapshotOfKnown(Timestamp asOf, Func<ShardState, IReadOnlyList<Run>>? unapplied = null)
    {
        var since = Since;
        if (!since.IsBeyond(asOf))
            throw new SinceViolationException(Shard, asOf, since);
        var use = Use();
        if (!use.State.Since.IsBeyond(asOf))
        {
            use.Dispose();
            throw use.State.IsTombstone ? new SinceViolationException(Shard, asOf, Frontier.Empty) : new LeaseExpiredException(Shard);
        }

        return new ShardSnapshot(this, use, asOf, unapplied?.Invoke(use.State) ?? []);
    }

    /// <summary>Keeps the latest known state's blobs from deletion.</summary>
    internal StateUse Use()
    {
        lock (_lock)
        {
            var state = Machine.State;
            _inUse[state.SeqNo] = _inUse.GetValueOrDefault(state.SeqNo) + 1;
            return new StateUse(this, state);
        }
    }

    internal void Release(SeqNo seqNo)
    {
        lock (_lock)
        {
            if (--_inUse[seqNo] == 0)
                _inUse.Remove(seqNo);
        }
    }

    /// <summary>The parts that may hold updates at or beyond <paramref name="from"/>, checked to have kept their times there.</summary>
    internal IEnumerable<Part> PartsFrom(ShardState state, Timestamp from)
    {
        foreach (var batch in state.Trace)
        {
            if (batch.IsEmpty || !Frontier.Of(from).IsBefore(batch.Upper))
                continue;
            // Times were raised to the batch's since; that is harmless if it is before `from`, or at most the batch's own lower bound.
            var intact = batch.Since.Time is { } since && (since < from || Frontier.LessEqual(batch.Since, batch.Lower)
                || (from == Timestamp.MinValue && since == from));
            if (!intact)
                throw new SinceViolationException(Shard, from, batch.Since);
            foreach (var part in batch.Parts)
                yield return part;
        }
    }

    /// <summary>As <see cref="PartStore.FetchAsync"/>; a missing blob is explained by a lost lease if that is what happened.</summary>
    internal async ValueTask<UpdateColumns> FetchAsync(PartStore store, Part part, CancellationToken cancel)
    {
        try
        {
            return await store.FetchAsync(part, cancel);
        }
        catch (MissingBlobException)
        {
            if (!(await Machine.RefreshAsync(cancel))!.Readers.ContainsKey(_id))
                throw new LeaseExpiredException(Shard);
            throw;
        }
    }

    private void CheckListen(Timestamp from, Frontier since)
    {
        var ok = since.Time is { } time && (time < from || from == Timestamp.MinValue);
        if (!ok)
            throw new SinceViolationException(Shard, from, since);
    }
}

/// <summary>A state whose blobs a reader is using.</summary>
internal sealed class StateUse(ReadHandle handle, ShardState state) : IDisposable
{
    private int _released;

    public ShardState State => state;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
            handle.Release(state.SeqNo);
    }
}
