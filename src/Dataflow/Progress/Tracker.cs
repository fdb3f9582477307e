using System.Numerics;
using Materialize.Core;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Progress;

// Progress tracking by counting pointstamps, as in Naiad.
//
// A *pointstamp* is a (place, time) at which something may still happen: a batch waiting at an operator's input, or a hold (a
// capability) by which an operator may still send. Each worker keeps, for each place, the count of outstanding times *over all
// workers*, and derives each input's frontier: the least time that any pointstamp upstream of it can still turn into.
//
// Safety. During a pass a worker collects what it did (consumed −1, produced +1, hold moved −1 +1) and publishes the sum as one atomic
// message, in order, to each peer. A worker that has seen only some of the messages of others has a conservative view: whatever entitled
// the author of an unseen message to send (a batch not yet consumed, or a hold) is withdrawn only by that same message or a later one.
// A count may be negative meanwhile (a receiver consumed a batch whose sender's message is still under way): only positive counts hold
// a frontier back, and the sender's entitlement is still counted.
//
// Times are totally ordered here (see ITime), so that a frontier is one Stamp. Frontiers are propagated in topological order from the
// places that changed; cost is O(changed), not O(operators). In a dataflow with loops, a change recomputes all of it: a frontier in a loop
// supports itself, and only a least fixed point from the pointstamps alone is right.

/// <summary>One place where times are outstanding: an operator's hold, or one of its inputs.</summary>
internal sealed class Place(int id, Operator owner)
{
    public readonly int Id = id;
    public readonly Operator Owner = owner;
    public readonly StampCounts Counts = new();

    // Changes of the running pass, not yet published; the first time inline because there rarely is another.
    private Stamp _pendingStamp;
    private long _pendingCount;
    private List<(Stamp Stamp, long Count)>? _morePending;
    private bool _isPending;

    public void Add(Stamp stamp, long delta)
    {
        if (!_isPending)
        {
            _isPending = true;
            _pendingStamp = stamp;
            _pendingCount = delta;
            Owner.Graph.Tracker.NotePending(this);
        }
        else if (_pendingStamp == stamp)
        {
            _pendingCount += delta;
        }
        else
        {
            AddMore(stamp, delta);
        }
    }

    public void TakePending(List<(int Place, Stamp Stamp, long Count)> into)
    {
        if (_pendingCount != 0)
            into.Add((Id, _pendingStamp, _pendingCount));
        if (_morePending is { Count: > 0 })
        {
            foreach (var (stamp, count) in _morePending)
            {
                if (count != 0)
                    into.Add((Id, stamp, count));
            }

            _morePending.Clear();
        }

        _isPending = false;
    }

    private void AddMore(Stamp stamp, long delta)
    {
        _morePending ??= [];
        for (var i = 0; i < _morePending.Count; i++)
        {
            if (_morePending[i].Stamp == stamp)
            {
                _morePending[i] = (stamp, _morePending[i].Count + delta);
                return;
            }
        }

        _morePending.Add((stamp, delta));
    }
}

/// <summary>What an edge does to times: nothing, drop the innermost counter, or step it.</summary>
internal enum EdgeKind
{
    Plain,
    LeaveInner,
    LeaveInner2,
    StepInner,
    StepInner2,
}

/// <summary>The frontiers of one dataflow at one worker.</summary>
internal sealed class Tracker(DataflowGraph graph)
{
    private readonly List<Place> _places = [];
    private readonly List<Place> _pending = [];
    private readonly List<(int Place, Stamp Stamp, long Count)> _changes = [];
    private ulong[] _dirty = [];
    private bool _anyDirty;
    private bool _hasLoops;

    public Place NewPlace(Operator owner)
    {
        var place = new Place(_places.Count, owner);
        _places.Add(place);
        return place;
    }

    public int Places => _places.Count;

    public Place this[int place] => _places[place];

    public bool HasPending => _pending.Count > 0;

    public void NotePending(Place place) => _pending.Add(place);

    /// <summary>Called once all operators exist: all frontiers are computed from the initial holds.</summary>
    public void Start(int peers)
    {
        var operators = graph.Operators;
        _dirty = new ulong[(operators.Count + 63) / 64];
        foreach (var op in operators)
        {
            if (op.Hold is { } hold)
                op.HoldPlace.Counts.Update(hold, peers);
            foreach (var input in op.Inputs)
                _hasLoops |= input.Sources.Exists(s => s.Owner.Index >= op.Index);
        }

        foreach (var op in operators)
            MarkDirty(op);
        Propagate();
    }

    /// <summary>Publishes and applies what this worker did since the last call.</summary>
    public void Flush(Worker worker)
    {
        if (_pending.Count == 0)
            return;
        _changes.Clear();
        foreach (var place in _pending)
            place.TakePending(_changes);
        _pending.Clear();
        if (_changes.Count == 0)
            return;
        if (worker.Peers > 1)
            worker.BroadcastProgress(graph.Id, [.. _changes]);
        foreach (var (place, stamp, count) in _changes)
            Apply(place, stamp, count);
    }

    /// <summary>Applies a change by this worker or a peer.</summary>
    public void Apply(int place, Stamp stamp, long count)
    {
        var p = _places[place];
        if (p.Counts.Update(stamp, count))
            MarkDirty(p.Owner);
    }

    /// <summary>Brings the frontiers up to date and activates operators that follow theirs.</summary>
    public void Propagate()
    {
        if (!_anyDirty)
            return;
        _anyDirty = false;
        if (_hasLoops)
        {
            PropagateLoops();
            return;
        }

        for (var word = 0; word < _dirty.Length; word++)
        {
            while (_dirty[word] != 0)
            {
                var bit = BitOperations.TrailingZeroCount(_dirty[word]);
                _dirty[word] &= _dirty[word] - 1;
                var op = graph.Operators[(word * 64) + bit];
                var least = op.HoldPlace.Counts.Min;
                var changed = false;
                foreach (var input in op.Inputs)
                {
                    var frontier = input.MessagePlace.Counts.Min;
                    foreach (var source in input.Sources)
                        frontier = Stamp.Min(frontier, source.Owner.OutputFrontier);
                    changed |= SetInput(input, frontier);
                    least = Stamp.Min(least, Through(op, frontier));
                }

                if (changed && op.FollowsFrontier)
                    graph.Activate(op.Index);
                SetOutput(op, least);
            }
        }
    }

    private static bool SetInput(InputPort input, Stamp frontier)
    {
        if (frontier == input.FrontierStamp)
            return false;
        if (frontier < input.FrontierStamp && input.FrontierKnown)
            Invariant.Check(false, $"the frontier of {input.Owner.Name} went back from {input.FrontierStamp} to {frontier}");
        input.FrontierStamp = frontier;
        input.FrontierKnown = true;
        return true;
    }

    private void SetOutput(Operator op, Stamp frontier)
    {
        if (frontier == op.OutputFrontier)
            return;
        op.OutputFrontier = frontier;
        foreach (var output in op.Outputs)
        {
            foreach (var target in output.TargetPorts)
                MarkDirty(target.Owner);
        }
    }

    private void MarkDirty(Operator op)
    {
        _dirty[op.Index >> 6] |= 1UL << (op.Index & 63);
        _anyDirty = true;
    }

    // Least fixed point from the pointstamps: relax until nothing falls. Edges never lower a time, so that the number of
    // rounds is bounded by the depth of the graph plus one lap around each loop.
    private void PropagateLoops()
    {
        Array.Clear(_dirty);
        var operators = graph.Operators;
        var outs = new Stamp[operators.Count];
        Array.Fill(outs, Stamp.Closed);
        for (var again = true; again;)
        {
            again = false;
            foreach (var op in operators)
            {
                var least = Stamp.Closed;
                foreach (var input in op.Inputs)
                {
                    least = Stamp.Min(least, input.MessagePlace.Counts.Min);
                    foreach (var source in input.Sources)
                        least = Stamp.Min(least, outs[source.Owner.Index]);
                }

                least = Stamp.Min(Through(op, least), op.HoldPlace.Counts.Min);
                if (least < outs[op.Index])
                {
                    outs[op.Index] = least;
                    again = true;
                }
            }
        }

        foreach (var op in operators)
        {
            var changed = false;
            foreach (var input in op.Inputs)
            {
                var frontier = input.MessagePlace.Counts.Min;
                foreach (var source in input.Sources)
                    frontier = Stamp.Min(frontier, outs[source.Owner.Index]);
                changed |= SetInput(input, frontier);
            }

            op.OutputFrontier = outs[op.Index];
            if (changed && op.FollowsFrontier)
                graph.Activate(op.Index);
        }
    }

    /// <summary>The least time at which <paramref name="op"/> can send because of a message at <paramref name="stamp"/>.</summary>
    public static Stamp Through(Operator op, Stamp stamp) => stamp.IsClosed
        ? stamp
        : op.TimeEffect switch
        {
            EdgeKind.Plain => stamp,
            EdgeKind.LeaveInner => stamp with { Inner = 0 },
            EdgeKind.LeaveInner2 => stamp with { Inner = stamp.Inner & 0xFFFFFFFF00000000 },
            EdgeKind.StepInner => stamp with { Inner = stamp.Inner + (1UL << 32) },
            _ => stamp with { Inner = stamp.Inner + 1 },
        };
}
