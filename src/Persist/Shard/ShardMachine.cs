// One process's view of one shard: the latest state it knows, and the compare-and-set loop that changes it.
//
// A change is a pure function from a state to the changes it wants. It is run on the cached state; if consensus has moved on, the log is read and
// the function run again. A function that wants nothing ("the upper does not match") is only believed on a state that was read after the call
// began, so that answers are linearizable.
//
// An outcome that is not known (IndeterminateException) is settled before anything else happens: the same entry is tried again at the same sequence
// number until consensus says yes, or says no, in which case the log shows whether the entry that is there carries our operation id.

using System.Collections.Immutable;
using Materialize.Core;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Shard;

/// <summary>What a transition wants: changes to commit (none: nothing to do) and the answer if that works out.</summary>
internal readonly record struct Transition<T>(ImmutableArray<StateChange> Changes, T Result);

/// <summary>What all machines of a client share.</summary>
internal sealed record Services(
    IBlob Blob, IConsensus Consensus, IStatePush Push, PersistConfig Config, TimeProvider Time, IdSource Ids, Retry Retry, IPersistEvents Events)
{
    public ulong NowMs => (ulong)Math.Max(0, Time.GetUtcNow().ToUnixTimeMilliseconds());
}

/// <summary>Unique ids from the injected randomness. Clients that share a store need different seeds.</summary>
internal sealed class IdSource(Random random)
{
    // Random is not thread-safe; the lock is held for one id.
    private readonly Lock _lock = new();

    public Guid Next()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_lock)
            random.NextBytes(bytes);
        return new Guid(bytes);
    }
}

internal sealed class ShardMachine : IDisposable
{
    private const int ScanLimit = 256;
    private const int RebuildAttemptsMax = 64;

    private readonly Services _services;
    private readonly string _key;
    private readonly SemaphoreSlim _changing = new(1);   // one change of ours at a time: racing against ourselves helps nobody
    private readonly Lock _lock = new();                  // guards the four fields below, for assignments only
    private ShardState? _state;
    private RollupPointer _rollup;
    private TaskCompletionSource _moved = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stale;
    private readonly IDisposable _subscription;

    public ShardMachine(ShardId shard, Services services)
    {
        Shard = shard;
        _services = services;
        _key = shard.ToString();
        _subscription = services.Push.Subscribe(shard, OnPush);
    }

    public ShardId Shard { get; }

    public Services Services => _services;

    /// <summary>The latest state known here; may be behind. Only after <see cref="OpenAsync"/>.</summary>
    public ShardState State
    {
        get
        {
            lock (_lock)
                return _state ?? throw new InvalidOperationException("the machine is not open");
        }
    }

    public bool IsOpen
    {
        get
        {
            lock (_lock)
                return _state is not null;
        }
    }

    /// <summary>The latest rollup known here.</summary>
    public RollupPointer Rollup
    {
        get
        {
            lock (_lock)
                return _rollup;
        }
    }

    /// <summary>How far maintenance here has cut the log. Maintenance is the only user.</summary>
    public SeqNo TruncatedTo { get; set; } = SeqNo.First;

    /// <summary>1 while the shard waits for maintenance or undergoes it; set by compare-exchange.</summary>
    public int MaintenanceQueued;

    /// <summary>Reads the shard's state, making the shard if it does not exist.</summary>
    public async ValueTask OpenAsync(CancellationToken cancel)
    {
        while (await RefreshAsync(cancel) is null)
        {
            var initial = ShardState.Initial;
            var pointer = new RollupPointer(initial.SeqNo, "");
            var data = StateCodec.EncodeEntry(new LogEntry(initial.SeqNo, _services.Ids.Next(), pointer, [], initial));
            // Whoever wins, the state is the same; so an unknown outcome needs no settling.
            await _services.Retry.RunAsync(
                () => _services.Consensus.CompareAndSetAsync(_key, null, new VersionedData(initial.SeqNo, data), cancel), cancel);
        }
    }

    /// <summary>Makes the changes that <paramref name="transition"/> wants, as often as races need; see the head of this file.</summary>
    public ValueTask<T> UpdateAsync<T>(Func<ShardState, Transition<T>> transition, CancellationToken cancel) =>
        UpdateAsync(transition, static _ => true, cancel);

    /// <param name="mayRepeat">
    /// When nobody can tell any more whether an attempt was committed: whether, in the state as it is now, the transition may be run again as if
    /// it was not. Changes that say how something shall be may always.
    /// </param>
    public async ValueTask<T> UpdateAsync<T>(
        Func<ShardState, Transition<T>> transition, Func<ShardState, bool> mayRepeat, CancellationToken cancel)
    {
        await _changing.WaitAsync(cancel);
        try
        {
            var fresh = false;
            while (true)
            {
                var state = State;
                var wanted = transition(state);
                IndeterminateException? lost = null;
                if (wanted.Changes.IsDefaultOrEmpty)
                {
                    if (fresh)
                        return wanted.Result;
                }
                else
                {
                    try
                    {
                        if (await TryCommitAsync(state, wanted.Changes, cancel))
                            return wanted.Result;
                    }
                    catch (LogCutException e)
                    {
                        lost = e.Attempt;
                    }
                }

                var now = await RefreshAsync(cancel);
                if (lost is not null && !mayRepeat(now!))
                    throw lost;
                fresh = true;
            }
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>The state now: at or after every change that was committed before the call. Null if the shard does not exist.</summary>
    public async ValueTask<ShardState?> RefreshAsync(CancellationToken cancel)
    {
        ShardState? state;
        lock (_lock)
        {
            state = _state;
            _stale = false;
        }

        if (state is null)
            return await RebuildAsync(cancel);
        var pointer = Rollup;
        while (true)
        {
            var from = state.SeqNo.Next();
            var entries = await _services.Retry.RunAsync(() => _services.Consensus.ScanAsync(_key, from, ScanLimit, cancel), cancel);
            foreach (var data in entries)
            {
                if (data.SeqNo != state.SeqNo.Next())
                    return await RebuildAsync(cancel);   // the log was cut beyond what we knew
                var entry = StateCodec.DecodeEntry(_key, data);
                state = state.Apply(entry.Changes);
                pointer = entry.Rollup;
            }

            Adopt(state, pointer);
            if (entries.Count < ScanLimit)
                return State;
        }
    }

    /// <summary>Waits until the shard's state satisfies <paramref name="condition"/>. Woken by pushed diffs; polls as the safety net.</summary>
    public async ValueTask<ShardState> WaitAsync(Func<ShardState, bool> condition, CancellationToken cancel)
    {
        var pause = _services.Config.PollPauseMin;
        while (true)
        {
            Task moved;
            ShardState state;
            bool stale;
            lock (_lock)
            {
                state = _state!;
                stale = _stale;
                moved = _moved.Task;
            }

            if (condition(state))
                return state;
            if (stale)
            {
                await RefreshAsync(cancel);
                continue;
            }

            var pushed = _services.Push.IsConnected;
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            var timeout = Task.Delay(pushed ? _services.Config.PollWhenPushed : pause, _services.Time, timer.Token);
            if (await Task.WhenAny(moved, timeout) == moved)
            {
                await timer.CancelAsync();
                pause = _services.Config.PollPauseMin;
                continue;
            }

            await timeout;   // throws if cancelled
            if (!pushed)
                pause = pause * 2 < _services.Config.PollPauseMax ? pause * 2 : _services.Config.PollPauseMax;
            var before = state.SeqNo;
            if (await RefreshAsync(cancel) is { } now && now.SeqNo != before)
                pause = _services.Config.PollPauseMin;
        }
    }

    public void Dispose()
    {
        _subscription.Dispose();
        _changing.Dispose();
    }

    private async ValueTask<bool> TryCommitAsync(ShardState state, ImmutableArray<StateChange> changes, CancellationToken cancel)
    {
        var next = state.Apply(changes);
        var opId = _services.Ids.Next();
        var entry = new LogEntry(next.SeqNo, opId, PointerAfter(changes), changes, null);
        if (next.SeqNo.Value % (ulong)_services.Config.RollupEvery == 0 || next.IsTombstone)
        {
            // Small states are rolled up in passing. A state that is too large gets its rollup in a blob, by maintenance.
            var rolled = StateCodec.EncodeRollup(next);
            if (rolled.Length <= _services.Config.InlineRollupBytesMax || next.IsTombstone)
                entry = entry with { State = next, Rollup = new RollupPointer(next.SeqNo, "") };
        }

        var data = new VersionedData(next.SeqNo, StateCodec.EncodeEntry(entry));
        if (!await CompareAndSetAsync(state.SeqNo, data, opId, cancel))
            return false;
        Adopt(next, entry.Rollup);
        _services.Push.Publish(Shard, data);
        return true;
    }

    /// <summary>
    /// Never back: the log may have been cut at a later rollup than the one that is being linked (which then only waits to be collected).
    /// </summary>
    private RollupPointer PointerAfter(ImmutableArray<StateChange> changes)
    {
        var known = Rollup;
        return changes.OfType<StateChange.SetRollup>().LastOrDefault() is { } set && set.At > known.At ? new RollupPointer(set.At, set.Key) : known;
    }

    private async ValueTask<bool> CompareAndSetAsync(SeqNo expected, VersionedData data, Guid opId, CancellationToken cancel)
    {
        IndeterminateException? unknown = null;
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                if (await _services.Consensus.CompareAndSetAsync(_key, expected, data, cancel))
                    return true;
                if (unknown is null)
                    return false;
                var there = await _services.Retry.RunAsync(() => _services.Consensus.ScanAsync(_key, data.SeqNo, 1, cancel), cancel);
                if (there.Count == 0 || there[0].SeqNo != data.SeqNo)
                    throw new LogCutException(unknown);
                return StateCodec.DecodeEntry(_key, there[0]).OpId == opId;
            }
            catch (IndeterminateException e) when (attempt + 1 < _services.Config.AttemptsMax)
            {
                unknown = e;
            }
            catch (DeterminateException) when (attempt + 1 < _services.Config.AttemptsMax)
            {
                // Did not happen this time; an earlier attempt that may have is still remembered.
            }
            catch (DeterminateException e) when (unknown is not null)
            {
                throw new IndeterminateException($"the outcome of a change of {_key} is not known: {e.Message}", unknown);
            }

            await Task.Delay(_services.Retry.Pause(attempt), _services.Time, cancel);
        }
    }

    private async ValueTask<ShardState?> RebuildAsync(CancellationToken cancel)
    {
        for (var attempt = 0; attempt < RebuildAttemptsMax; attempt++)
        {
            if (await _services.Retry.RunAsync(() => _services.Consensus.HeadAsync(_key, cancel), cancel) is not { } head)
                return null;
            var pointer = StateCodec.DecodeEntry(_key, head).Rollup;
            if (await LoadRollupAsync(pointer, cancel) is not { } state)
                continue;   // a newer rollup replaced it while we looked: the head will say which
            if (await ReplayAsync(state, cancel) is { } replayed)
            {
                Adopt(replayed.State, replayed.Rollup ?? pointer);
                return State;
            }
        }

        throw new CorruptDataException(_key, "no rollup that the log names can be read");
    }

    private async ValueTask<ShardState?> LoadRollupAsync(RollupPointer pointer, CancellationToken cancel)
    {
        if (!pointer.IsInline)
        {
            var blob = await _services.Retry.RunAsync(() => _services.Blob.GetAsync(pointer.Key, cancel), cancel);
            return blob is { } bytes ? StateCodec.DecodeRollup(pointer.Key, bytes) : null;
        }

        var entries = await _services.Retry.RunAsync(() => _services.Consensus.ScanAsync(_key, pointer.At, 1, cancel), cancel);
        return entries.Count == 1 && entries[0].SeqNo == pointer.At ? StateCodec.DecodeEntry(_key, entries[0]).State : null;
    }

    private async ValueTask<(ShardState State, RollupPointer? Rollup)?> ReplayAsync(ShardState state, CancellationToken cancel)
    {
        RollupPointer? pointer = null;
        while (true)
        {
            var from = state.SeqNo.Next();
            var entries = await _services.Retry.RunAsync(() => _services.Consensus.ScanAsync(_key, from, ScanLimit, cancel), cancel);
            foreach (var data in entries)
            {
                if (data.SeqNo != state.SeqNo.Next())
                    return null;
                var entry = StateCodec.DecodeEntry(_key, data);
                state = state.Apply(entry.Changes);
                pointer = entry.Rollup;
            }

            if (entries.Count < ScanLimit)
                return (state, pointer);
        }
    }

    private void Adopt(ShardState state, RollupPointer rollup)
    {
        TaskCompletionSource moved;
        lock (_lock)
        {
            if (_state is { } known && known.SeqNo >= state.SeqNo)
                return;
            if (_state is { } before)
            {
                Invariant.Check(Frontier.LessEqual(before.Upper, state.Upper), "a shard's upper went back");
                Invariant.Check(Frontier.LessEqual(before.Since, state.Since), "a shard's since went back");
            }

            _state = state;
            _rollup = rollup;
            moved = _moved;
            _moved = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        moved.SetResult();
    }

    /// <summary>Runs on the pusher's thread: applies the next entry, or marks the state as behind so that a waiter looks.</summary>
    private void OnPush(VersionedData data)
    {
        ShardState? state;
        lock (_lock)
            state = _state;
        if (state is null || (data.SeqNo.Value != 0 && data.SeqNo <= state.SeqNo))
            return;
        if (data.SeqNo == state.SeqNo.Next())
        {
            try
            {
                var entry = StateCodec.DecodeEntry(_key, data);
                Adopt(state.Apply(entry.Changes), entry.Rollup);
                return;
            }
            catch (PersistException e)
            {
                _services.Events.PushRejected(Shard, e);   // consensus has the truth: look there
            }
        }

        TaskCompletionSource moved;
        lock (_lock)
        {
            _stale = true;
            moved = _moved;
            _moved = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        moved.SetResult();
    }

    /// <summary>The entry that would tell the outcome of an attempt has been cut off the log.</summary>
    private sealed class LogCutException(IndeterminateException attempt) : Exception
    {
        public IndeterminateException Attempt => attempt;
    }
}
