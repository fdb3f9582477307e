using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Progress;

/// <summary>One place where times are outstanding, an operator's hold or one of its inputs: how often each is, at all workers together.</summary>
internal sealed class Place(int id, Operator owner) : StampCounts
{
    public readonly int Id = id;
    public readonly Operator Owner = owner;

    private Unpublished? _unpublished; // where there are peers, once something has changed

    /// <summary>This worker's own change.</summary>
    public void Add(Stamp stamp, long delta)
    {
        // What appears is at or after a time that was outstanding before, or it could not have been made: only what goes can move a frontier.
        var tracker = Owner.Graph.Tracker;
        var min = Min;
        if (Update(stamp, delta) && Min > min)
            tracker.MarkDirty(Owner);
        if (tracker.HasPeers && (_unpublished ??= new Unpublished()).Add(stamp, delta))
            tracker.NotePending(this);
    }

    /// <summary>This worker's own change: <paramref name="to"/> appears, which <paramref name="from"/> entitles to, and that goes.</summary>
    public void Move(Stamp from, Stamp to)
    {
        var tracker = Owner.Graph.Tracker;
        if (tracker.HasPeers || !TryReplace(from, to))
        {
            Add(to, 1);
            Add(from, -1);
        }
        else if (to > from)
        {
            tracker.MarkDirty(Owner);
        }
    }

    /// <summary>Hands over what this worker changed since the last call.</summary>
    public void TakePending(List<(int Place, Stamp Stamp, long Count)> into) => _unpublished!.Take(Id, into);

    /// <summary>Changes that peers have not been told of; the first time inline because there rarely is another.</summary>
    private sealed class Unpublished
    {
        private Stamp _stamp;
        private long _count;
        private List<(Stamp Stamp, long Count)>? _more;
        private bool _any;

        /// <summary>Whether it is the first.</summary>
        public bool Add(Stamp stamp, long delta)
        {
            if (!_any)
            {
                (_any, _stamp, _count) = (true, stamp, delta);
                return true;
            }

            if (_stamp == stamp)
                _count += delta;
            else
                AddMore(stamp, delta);
            return false;
        }

        public void Take(int place, List<(int Place, Stamp Stamp, long Count)> into)
        {
            if (_count != 0)
                into.Add((place, _stamp, _count));
            if (_more is { Count: > 0 })
            {
                foreach (var (stamp, count) in _more)
                {
                    if (count != 0)
                        into.Add((place, stamp, count));
                }

                _more.Clear();
            }

            _any = false;
        }

        private void AddMore(Stamp stamp, long delta)
        {
            _more ??= [];
            for (var i = 0; i < _more.Count; i++)
            {
                if (_more[i].Stamp == stamp)
                {
                    _more[i] = (stamp, _more[i].Count + delta);
                    return;
                }
            }

            _more.Add((stamp, delta));
        }
    }
}
