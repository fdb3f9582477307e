using Materialize.Dataflow;
using Materialize.Dataflow.Progress;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>
/// Conservative progress, checked from outside: a worker's frontier is never beyond what a message or a hold that exists anywhere can still turn into, and never goes back. What exists is looked for: holds of
/// operators, queues of inputs, and the courier's account of what is under way; nothing is taken from the counts that the workers exchange.
/// </summary>
internal sealed class FrontierCheck(List<Job> jobs, Courier courier, int workers)
{
    private readonly bool[,] _lost = new bool[jobs.Count, workers];
    private readonly Dictionary<InputPort, Stamp> _reported = [];

    /// <summary>A worker's copy is gone: what it held is withdrawn by nobody, and exists no more.</summary>
    public void Lose(Job job, int worker) => _lost[job.Id, worker] = true;

    public void Check(Job job)
    {
        DataflowGraph? any = null;
        for (var w = 0; w < workers && any is null; w++)
            any = _lost[job.Id, w] ? null : job.Graphs[w];
        if (any is null)
            return;
        var existing = Existing(job, any);
        var outputs = Outputs(any, existing);
        for (var w = 0; w < workers; w++)
        {
            if (_lost[job.Id, w] || job.Graphs[w] is not { } graph)
                continue;
            if (graph.Id != any.Id)
                throw new ViolationException($"job {job.Id} is dataflow {graph.Id} at worker {w} and {any.Id} elsewhere");
            foreach (var input in graph.Inputs)
            {
                if (!input.FrontierKnown)
                    continue;
                var possible = input.IsCountedEverywhere ? existing[input.MessagePlace.Id] : Stamp.Min(input.LeastWaiting, courier.UnderWayTo(w, graph.Id, input.MessagePlace.Id));
                foreach (var source in input.Sources)
                    possible = Stamp.Min(possible, outputs[source.Owner.Index]);
                if (input.FrontierStamp > possible)
                {
                    throw new ViolationException(
                        $"worker {w} says that {input.Owner.Name} (operator {input.Owner.Index} of dataflow {graph.Id}) has seen all before {input.FrontierStamp}, but {possible} can still come");
                }

                if (_reported.TryGetValue(input, out var before) && input.FrontierStamp < before)
                    throw new ViolationException($"the frontier of {input.Owner.Name} at worker {w} went back from {before} to {input.FrontierStamp}");
                _reported[input] = input.FrontierStamp;
            }
        }
    }

    private Stamp[] Existing(Job job, DataflowGraph any)
    {
        var least = new Stamp[any.Tracker.Places];
        Array.Fill(least, Stamp.Closed);
        for (var w = 0; w < workers; w++)
        {
            if (_lost[job.Id, w])
                continue;
            if (job.Graphs[w] is not { } graph)
            {
                // Yet to be built there, with these holds.
                foreach (var op in any.Operators)
                    least[op.HoldPlace.Id] = Stamp.Min(least[op.HoldPlace.Id], job.InitialHolds![op.Index]);
                continue;
            }

            foreach (var op in graph.Operators)
            {
                if (op.Hold is { } hold)
                    least[op.HoldPlace.Id] = Stamp.Min(least[op.HoldPlace.Id], hold);
            }

            foreach (var input in graph.Inputs)
                least[input.MessagePlace.Id] = Stamp.Min(least[input.MessagePlace.Id], input.LeastWaiting);
        }

        foreach (var (place, stamp) in courier.UnderWay(any.Id))
            least[place] = Stamp.Min(least[place], stamp);

        return least;
    }

    // What each operator may still send, by going round until nothing changes.
    private static Stamp[] Outputs(DataflowGraph graph, Stamp[] existing)
    {
        var outputs = new Stamp[graph.Operators.Count];
        Array.Fill(outputs, Stamp.Closed);
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var op in graph.Operators)
            {
                var least = existing[op.HoldPlace.Id];
                foreach (var input in op.Inputs)
                {
                    least = Stamp.Min(least, After(op.TimeEffect, existing[input.MessagePlace.Id]));
                    foreach (var source in input.Sources)
                        least = Stamp.Min(least, After(op.TimeEffect, outputs[source.Owner.Index]));
                }

                if (least < outputs[op.Index])
                {
                    outputs[op.Index] = least;
                    changed = true;
                }
            }
        }

        return outputs;
    }

    private static Stamp After(TimeEffect effect, Stamp stamp)
    {
        if (stamp.IsClosed)
            return stamp;
        uint[] rounds = [(uint)(stamp.Inner >> 32), (uint)stamp.Inner, (uint)(stamp.Deep >> 32), (uint)stamp.Deep];
        if (effect.LeavesLoop > 0)
            rounds.AsSpan(effect.LeavesLoop - 1).Clear();
        if (effect.StepsLoop > 0)
            rounds[effect.StepsLoop - 1]++;
        return new Stamp(stamp.Outer, ((ulong)rounds[0] << 32) | rounds[1], ((ulong)rounds[2] << 32) | rounds[3]);
    }
}
