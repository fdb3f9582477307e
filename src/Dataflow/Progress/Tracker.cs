using System.Numerics;
using System.Runtime.CompilerServices;
using Materialize.Core;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Progress;

// Progress tracking by counting pointstamps, as in Naiad.
//
// A *pointstamp* is a (place, time) at which something may still happen: a batch waiting at an operator's input, or a hold (a
// capability) by which an operator may still send. Each worker keeps, for each place, the count of outstanding times *over all
// workers*, and derives each input's frontier: the least time that any pointstamp upstream of it can still turn into.
//
// Safety. What a worker does (consumed −1, produced +1, hold moved −1 +1) it counts itself at once; for its peers it collects a pass's worth and publishes the sum as one atomic message, in order. A worker that
// has seen only some of the messages of others has a conservative view: whatever entitled the author of an unseen message to send (a batch not yet consumed, or a hold) is withdrawn only by that same message or
// a later one. A count may be negative meanwhile (a receiver consumed a batch whose sender's message is still under way): only positive counts hold a frontier back, and the sender's entitlement is still counted.
// Between runs of operators a worker's own counts are whole: each run withdraws an entitlement only after it has used it.
//
// What an operator may still *send* is decided by the messages that wait at its inputs at all workers. What may still *come* to it at this worker is less: what waits here, and what the operators upstream may send.
// A link hands on what one worker sends another in order, so a message is here before the progress that withdraws what entitled its sender to it. So a worker that has its peers' messages goes on without waiting
// for them to take its own: else two that exchange would work by turns.
//
// Times are totally ordered here (see ITime), so that a frontier is one Stamp. Frontiers are propagated in topological order from the places that changed: cost is O(changed), not O(operators), so that it is done
// before each run, and an operator may look again at what can still come once it has taken its messages (Refresh). So a small change goes from the inputs to the last sink in one pass. In a dataflow with loops,
// a change recomputes all of it, once a pass: a frontier in a loop supports itself, and only a least fixed point from the pointstamps alone is right.

/// <summary>What an operator does to times: nothing; drop the counter of the loop at <paramref name="LeavesLoop"/>; step that of the loop at <paramref name="StepsLoop"/>. Depths as in <see cref="Stamp"/>; 0 is no loop.</summary>
internal readonly record struct TimeEffect(int LeavesLoop, int StepsLoop)
{
    public bool IsNone => LeavesLoop == 0 && StepsLoop == 0;
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

    /// <summary>Whether others are told of changes.</summary>
    public bool HasPeers { get; private set; }

    public Place NewPlace(Operator owner)
    {
        var place = new Place(_places.Count, owner);
        _places.Add(place);
        return place;
    }

    public int Places => _places.Count;

    public Place this[int place] => _places[place];

    public void NotePending(Place place) => _pending.Add(place);

    /// <summary>Called once all operators exist: all frontiers are computed from the initial holds.</summary>
    public void Start(int peers)
    {
        var operators = graph.Operators;
        HasPeers = peers > 1;
        _dirty = new ulong[(operators.Count + 63) / 64];
        foreach (var op in operators)
        {
            if (op.Hold is { } hold)
                op.HoldPlace.Update(hold, peers);
            foreach (var input in op.Inputs)
            {
                foreach (var source in input.Sources)
                    _hasLoops |= source.Owner.Index >= op.Index;
            }
        }

        foreach (var op in operators)
            MarkDirty(op);
        Propagate();
    }

    /// <summary>Tells peers what this worker did since the last call.</summary>
    public void Publish(Worker worker)
    {
        if (_pending.Count == 0)
            return;
        _changes.Clear();
        foreach (var place in _pending)
            place.TakePending(_changes);
        _pending.Clear();
        if (_changes.Count > 0)
            worker.BroadcastProgress(graph.Id, [.. _changes]);
    }

    /// <summary>Applies a change by a peer.</summary>
    public void Apply(int place, Stamp stamp, long count)
    {
        var p = _places[place];
        if (p.Update(stamp, count))
            MarkDirty(p.Owner);
    }

    /// <summary><see cref="Propagate"/> where it costs no more than what changed; between two operators' runs.</summary>
    public void PropagateChanged()
    {
        if (_anyDirty && !_hasLoops)
            Propagate();
    }

    /// <summary>
    /// Brings the frontiers of a running operator's inputs up to date with the messages that it has taken, and does not activate it for that. No more than what was known before in dataflows with loops, where what an
    /// operator does can come back to it.
    /// </summary>
    public void Refresh(Operator op)
    {
        if (_hasLoops)
            return;
        foreach (var input in op.Inputs)
            SetInput(input, Stamp.Min(input.Waiting.Min, Upstream(input)));
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
                var least = op.HoldPlace.Min;
                var changed = false;
                foreach (var input in op.Inputs)
                {
                    var upstream = Upstream(input);
                    var frontier = Stamp.Min(input.Waiting.Min, upstream);
                    changed |= SetInput(input, frontier);
                    least = Stamp.Min(least, Through(op, input.IsCountedEverywhere ? frontier : Stamp.Min(input.MessagePlace.Min, upstream)));
                }

                if (changed && op.FollowsFrontier)
                    graph.Activate(op.Index);
                SetOutput(op, least);
            }
        }
    }

    // The least time that any worker may still send to an input.
    private static Stamp Upstream(InputPort input)
    {
        var sources = input.Sources;
        var least = sources.IsEmpty ? Stamp.Closed : sources[0].Owner.OutputFrontier;
        for (var i = 1; i < sources.Length; i++)
            least = Stamp.Min(least, sources[i].Owner.OutputFrontier);
        return least;
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
            foreach (var target in output.Targets)
                MarkDirty(target.Owner);
        }
    }

    public void MarkDirty(Operator op)
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
                    least = Stamp.Min(least, input.MessagePlace.Min);
                    foreach (var source in input.Sources)
                        least = Stamp.Min(least, outs[source.Owner.Index]);
                }

                least = Stamp.Min(Through(op, least), op.HoldPlace.Min);
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
                var frontier = input.Waiting.Min;
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
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Stamp Through(Operator op, Stamp stamp) => op.TimeEffect.IsNone ? stamp : Through(op.TimeEffect, stamp);

    private static Stamp Through(TimeEffect effect, Stamp stamp)
    {
        if (stamp.IsClosed)
            return stamp;
        return effect.LeavesLoop > 0 ? stamp.Outside(effect.LeavesLoop) : stamp.WithRound(effect.StepsLoop, checked(stamp.Round(effect.StepsLoop) + 1));
    }
}
