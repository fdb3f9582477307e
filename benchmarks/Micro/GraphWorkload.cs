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

    protected override long LoadRows => Sizes[1];

    protected override int Rounds => (int)Sizes[3];

    protected override long UpdatesPerRound => 2 * Sizes[2];

    protected override void Build(Scope<Time> scope)
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
            result = loop.Leave(labels.Set(own.Concat(spread).TopK("least", ColumnKernels.SplitSorted(descending: false), new RowShape(8), new RowShape(8), RowShape.Empty, 1, 0, Labelled, new RowShape(16)).Ok));
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

    protected override void Load()
    {
        Send(_root, 0, 1, 0);
        for (var i = 0L; i < Sizes[1]; i++)
        {
            Edge(ref _inserts, 0, 1);
            if ((i & 65535) == 65535)
                Breathe();
        }

        Advance(1);
    }

    protected override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2]; i++)
        {
            Edge(ref _inserts, time, 1);
            Edge(ref _deletes, time, -1);
        }

        Advance(time + 1);
    }

    protected override Check Final() => _check;

    protected override void Close()
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

    private static void Labelled(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)io.Parts[0][i];
            rows[(2 * i) + 1] = ColumnKernels.Sorted(*(ulong*)io.Parts[2][i], descending: false);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Edge(ref Rng rng, ulong time, long diff)
    {
        var from = rng.Below((ulong)Sizes[0]);
        Send(_edges, time, diff, from, rng.Below((ulong)Sizes[0]));
    }

    private void Advance(ulong time)
    {
        _edges.AdvanceTo(time);
        _root.AdvanceTo(time);
    }
}
