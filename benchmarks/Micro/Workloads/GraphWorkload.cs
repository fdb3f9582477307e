using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>reach N E B R, and cc N E B R: recursion over a changing graph.</summary>
internal sealed unsafe class GraphWorkload(bool components, long[] sizes) : SharedWorkload(components ? "cc" : "reach", sizes)
{
    private InputHandle<Time> _edges = null!;
    private InputHandle<Time> _root = null!;
    private Rng _inserts = new(42);
    private Rng _deletes = new(42);
    private Check _check;

    public override long LoadRows => Sizes[1];

    public override int Rounds => (int)Sizes[3];

    public override long UpdatesPerRound => 2 * Sizes[2];

    public override void Build(Scope<Time> scope)
    {
        (_edges, var edges) = scope.NewInput("edges", new RowShape(16), 0);
        (_root, var root) = scope.NewInput("root", new RowShape(8), 0);
        var loop = scope.NewLoop();
        Stream<Time> result;
        if (components)
        {
            var both = edges.Concat(edges.Map("reverse", Reverse, new RowShape(16)).Ok);
            var labels = loop.NewVariable(new RowShape(16));
            var inside = loop.Enter(both).Arrange("edges", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
            // Small labels first: a component has mostly settled on its least when the others come, and they spread no further.
            var own = loop.EnterAt(both.Map("own", Own, new RowShape(16)).Ok.Distinct("nodes"), row => 256 * (uint)System.Numerics.BitOperations.Log2(*(ulong*)row + 1));
            var spread = labels.Value.Arrange("labels", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged
                .Join("spread", inside, Spread, new RowShape(16)).Ok;
            result = loop.Leave(labels.Set(own.Concat(spread).TopK("least", ColumnKernels.SplitSorted(descending: false), new RowShape(8), new RowShape(8), RowShape.Empty, 1, 0, ColumnKernels.FinishSorted(descending: false), new RowShape(16)).Ok));
        }
        else
        {
            var reached = loop.NewVariable(new RowShape(8));
            var inside = loop.Enter(edges).Arrange("edges", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
            var next = reached.Value.Arrange("reached", null, default, default).Arranged.Join("step", inside, Target, new RowShape(8)).Ok;
            result = loop.Leave(reached.Set(loop.Enter(root).Concat(next).Distinct()));
        }

        var consolidated = result.Consolidate();
        consolidated.ForEach("check", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                if (components)
                    _check.Add(batch.DiffAt(i), row[0], row[1]);
                else
                    _check.Add(batch.DiffAt(i), row[0]);
            }
        });
        Probe = consolidated.Probe();
    }

    public override void Load()
    {
        if (Share == 0)
            Send(_root, 0, 1, 0);
        for (var i = 0L; i < Sizes[1]; i++)
        {
            Edge(ref _inserts, i, 0, 1);
            Breathe(i);
        }

        Advance(1);
    }

    public override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2]; i++)
        {
            Edge(ref _inserts, i, time, 1);
            Edge(ref _deletes, i, time, -1);
        }

        Advance(time + 1);
    }

    public override Check Final() => _check;

    public override Check Plain()
    {
        var rng = new Rng(42);
        var gone = Sizes[2] * Sizes[3];
        var edges = new List<(ulong From, ulong To)>();
        for (var i = 0L; i < Sizes[1] + gone; i++)
        {
            var edge = (rng.Below((ulong)Sizes[0]), rng.Below((ulong)Sizes[0]));
            if (i >= gone)
                edges.Add(edge);
        }

        if (components)
            edges.AddRange(edges.Select(e => (e.To, e.From)).ToList());
        var next = edges.ToLookup(e => e.From, e => e.To);
        var seen = new HashSet<ulong>();
        var check = default(Check);

        // From the least node on, so that whoever meets a node first is its component's least.
        IEnumerable<ulong> roots = components ? next.Select(e => e.Key).Order() : new ulong[1];
        foreach (var root in roots)
        {
            var open = new Stack<ulong>();
            open.Push(root);
            while (open.TryPop(out var node))
            {
                if (!seen.Add(node))
                    continue;
                if (components)
                    check.Add(1, node, root);
                else
                    check.Add(1, node);
                foreach (var neighbour in next[node])
                    open.Push(neighbour);
            }
        }

        return check;
    }

    public override void Close()
    {
        _edges.Dispose();
        _root.Dispose();
    }

    private static void Reverse(KernelIo io) => Pairs(io, 1, 0);

    private static void Own(KernelIo io) => Pairs(io, 0, 0);

    private static void Pairs(KernelIo io, int first, int second)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = ((ulong*)io.Parts[0][i])[first];
            rows[(2 * i) + 1] = ((ulong*)io.Parts[0][i])[second];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Spread(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)io.Parts[2][i];
            rows[(2 * i) + 1] = *(ulong*)io.Parts[1][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Target(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[i] = *(ulong*)io.Parts[2][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Edge(ref Rng rng, long number, ulong time, long diff)
    {
        var (from, to) = (rng.Below((ulong)Sizes[0]), rng.Below((ulong)Sizes[0]));
        if (IsMine(number))
            Send(_edges, time, diff, from, to);
    }

    private void Advance(ulong time)
    {
        _edges.AdvanceTo(time);
        _root.AdvanceTo(time);
    }
}
