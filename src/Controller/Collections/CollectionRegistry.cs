using Materialize.Core;
using Materialize.Repr;

namespace Materialize.Controller;

/// <summary>
/// The since and upper of every collection, stored or arranged, and who holds its since back. The one place where
/// "since never passes a read hold" and "an upper never goes back" are kept.
/// </summary>
/// <remarks>
/// A collection's since is the least of its <em>implied</em> capability (its upper less the compaction window) and all
/// <see cref="ReadHold"/>s. Sessions acquire holds on their own threads while replicas report uppers on theirs, so a lock guards
/// the table; nothing under it waits or calls out. Changes of since are handed to <see cref="SinceAdvanced"/> after it is released.
/// Source: reference, consistency-and-time §6.
/// </remarks>
public sealed class CollectionRegistry
{
    // Guards all state below: short table updates from many threads.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, Collection> _collections = [];
    private TaskCompletionSource _uppersMoved = NewSignal();
    private bool _keepsSinces;

    /// <summary>A collection's since has moved forward; empty when it was dropped and nobody reads it any more. Any thread.</summary>
    public event Action<GlobalId, Frontier>? SinceAdvanced;

    /// <summary>Adds a collection, readable from <paramref name="since"/>.</summary>
    /// <param name="windowMs">How far the implied capability stays behind the upper; null: it stays at <paramref name="since"/>.</param>
    public void Register(GlobalId id, Frontier since, Frontier upper, ulong? windowMs)
    {
        lock (_gate)
            _collections.Add(id, new Collection { Implied = since, Since = since, Upper = upper, WindowMs = windowMs });
    }

    public bool Contains(GlobalId id)
    {
        lock (_gate)
            return _collections.ContainsKey(id);
    }

    /// <summary>Since and upper; null when there is no such collection.</summary>
    public (Frontier Since, Frontier Upper)? Frontiers(GlobalId id)
    {
        lock (_gate)
            return _collections.TryGetValue(id, out var c) ? (c.Since, c.Upper) : null;
    }

    /// <summary>Holds on all of <paramref name="ids"/> at their sinces of one moment; null, holding nothing, if one is unknown.</summary>
    public IReadOnlyList<ReadHold>? Acquire(IReadOnlyCollection<GlobalId> ids)
    {
        lock (_gate)
        {
            foreach (var id in ids)
            {
                if (!_collections.TryGetValue(id, out var c) || c.Dropped)
                    return null;
            }

            var holds = new List<ReadHold>(ids.Count);
            foreach (var id in ids)
            {
                var collection = _collections[id];
                collection.Hold(collection.Since);
                holds.Add(new ReadHold(this, id, collection.Since));
            }

            return holds;
        }
    }

    /// <summary>The collection's upper is now at least <paramref name="upper"/>; an older one is ignored.</summary>
    public void AdvanceUpper(GlobalId id, Frontier upper) => AdvanceUppers([id], upper);

    /// <summary>As <see cref="AdvanceUpper"/> for several collections at one moment.</summary>
    public void AdvanceUppers(IEnumerable<GlobalId> ids, Frontier upper)
    {
        List<(GlobalId, Frontier)>? moved = null;
        TaskCompletionSource? signal = null;
        lock (_gate)
        {
            foreach (var id in ids)
            {
                if (!_collections.TryGetValue(id, out var c) || upper <= c.Upper)
                    continue;
                c.Upper = upper;
                signal = _uppersMoved;
                Follow(id, c, ref moved);
            }

            if (signal is not null)
                _uppersMoved = NewSignal();
        }

        signal?.TrySetResult();
        Announce(moved);
    }

    /// <summary>
    /// Until disposed of, sinces do not follow uppers. At start, uppers are known before the dataflows that hold the sinces back are
    /// there again: a materialized view that lagged behind its inputs when the process ended must find them readable where its shard ends.
    /// </summary>
    public IDisposable KeepSinces()
    {
        lock (_gate)
            _keepsSinces = true;
        return new Keeping(this);
    }

    /// <summary>Completes when the collection's upper is beyond <paramref name="time"/>, or false when it is gone.</summary>
    public async Task<bool> WaitForUpperPastAsync(GlobalId id, ulong time, CancellationToken cancel)
    {
        while (true)
        {
            Task moved;
            lock (_gate)
            {
                if (!_collections.TryGetValue(id, out var c) || c.Dropped)
                    return false;
                if (c.Upper.Value > time)
                    return true;
                moved = _uppersMoved.Task;
            }

            await moved.WaitAsync(cancel);
        }
    }

    /// <summary>Changes the compaction window.</summary>
    public void SetWindow(GlobalId id, ulong windowMs)
    {
        lock (_gate)
        {
            if (_collections.TryGetValue(id, out var c))
                c.WindowMs = windowMs;
        }
    }

    /// <summary>Nobody new may read it; it disappears when the last hold is released.</summary>
    public void Drop(GlobalId id)
    {
        List<(GlobalId, Frontier)>? moved = null;
        TaskCompletionSource signal;
        lock (_gate)
        {
            if (!_collections.TryGetValue(id, out var c))
                return;
            c.Dropped = true;
            c.Implied = Frontier.Empty;
            Recompute(id, c, ref moved);
            signal = _uppersMoved;
            _uppersMoved = NewSignal();
        }

        signal.TrySetResult();
        Announce(moved);
    }

    internal void Change(GlobalId id, Frontier from, Frontier to)
    {
        Invariant.Check(from <= to, "a read hold never moves back");
        List<(GlobalId, Frontier)>? moved = null;
        lock (_gate)
        {
            if (!_collections.TryGetValue(id, out var c))
                return;
            c.Release(from);
            if (!to.IsEmpty)
                c.Hold(to);
            Recompute(id, c, ref moved);
        }

        Announce(moved);
    }

    /// <summary>The implied capability follows the upper at the distance of the window.</summary>
    private void Follow(GlobalId id, Collection c, ref List<(GlobalId, Frontier)>? moved)
    {
        // A sealed collection stays readable at its last times: an empty upper stops the policy.
        if (_keepsSinces || c.Dropped || c.WindowMs is not { } window || c.Upper.Time is not { } time || time <= window)
            return;

        // In whole steps, so that an idle collection does not send a compaction with every tick.
        var step = Math.Clamp(window, 1, 1000);
        c.Implied = Frontier.Max(c.Implied, Frontier.At((time - window) / step * step));
        Recompute(id, c, ref moved);
    }

    private void FollowAgain()
    {
        List<(GlobalId, Frontier)>? moved = null;
        lock (_gate)
        {
            _keepsSinces = false;
            foreach (var (id, c) in _collections)
                Follow(id, c, ref moved);
        }

        Announce(moved);
    }

    private void Recompute(GlobalId id, Collection c, ref List<(GlobalId, Frontier)>? moved)
    {
        var since = Frontier.Min(c.Implied, c.LeastHold);
        Invariant.Check(since >= c.Since, $"the since of {id} must not go back");
        if (since == c.Since)
            return;
        c.Since = since;
        if (since.IsEmpty && c.Dropped)
            _collections.Remove(id);
        (moved ??= []).Add((id, since));
    }

    private void Announce(List<(GlobalId, Frontier)>? moved)
    {
        foreach (var (id, since) in moved ?? [])
            SinceAdvanced?.Invoke(id, since);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Keeping(CollectionRegistry registry) : IDisposable
    {
        public void Dispose() => registry.FollowAgain();
    }

    private sealed class Collection
    {
        // How often each time is held, in order. Few differ: what is read lies within moments of each other.
        private readonly List<(Frontier At, int Count)> _holds = [];

        public Frontier Implied { get; set; }

        public Frontier Since { get; set; }

        public Frontier Upper { get; set; }

        public ulong? WindowMs { get; set; }

        public bool Dropped { get; set; }

        public Frontier LeastHold => _holds.Count > 0 ? _holds[0].At : Frontier.Empty;

        public void Hold(Frontier at)
        {
            var index = Find(at);
            if (index >= 0)
                _holds[index] = (at, _holds[index].Count + 1);
            else
                _holds.Insert(~index, (at, 1));
        }

        public void Release(Frontier at)
        {
            var index = Find(at);
            Invariant.Check(index >= 0, "what is released was held");
            if (_holds[index].Count == 1)
                _holds.RemoveAt(index);
            else
                _holds[index] = (at, _holds[index].Count - 1);
        }

        /// <summary>Where the time is, or the complement of where it belongs.</summary>
        private int Find(Frontier at)
        {
            var (low, high) = (0, _holds.Count);
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (_holds[middle].At < at)
                    low = middle + 1;
                else
                    high = middle;
            }

            return low < _holds.Count && _holds[low].At == at ? low : ~low;
        }
    }
}

/// <summary>
/// The right to read a collection at all times beyond <see cref="At"/>. Dispose it when done; disposing twice is fine. One owner
/// at a time.
/// </summary>
public sealed class ReadHold : IDisposable
{
    private readonly CollectionRegistry _registry;

    internal ReadHold(CollectionRegistry registry, GlobalId id, Frontier at)
    {
        _registry = registry;
        Id = id;
        At = at;
    }

    public GlobalId Id { get; }

    /// <summary>Reads at and after this are still exact; empty once released.</summary>
    public Frontier At { get; private set; }

    /// <summary>Gives up the times before <paramref name="to"/>; no effect when that is not beyond <see cref="At"/>.</summary>
    public void DowngradeTo(Frontier to)
    {
        if (to <= At)
            return;
        var from = At;
        At = to;
        _registry.Change(Id, from, to);
    }

    public void Dispose() => DowngradeTo(Frontier.Empty);
}
