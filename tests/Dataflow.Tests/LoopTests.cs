using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Dataflow.Tests;

/// <summary>Recursion against fixed points computed from scratch, while the input changes.</summary>
[Collection("memory is counted process-wide")]
public sealed unsafe class LoopTests
{
    private static readonly PairRows Rows = PairRows.Fixed;
    private static readonly Codec Key = new(8);

    [Fact]
    public void Loops_nest_four_deep_and_no_deeper()
    {
        using var rig = new Rig(1);
        rig.Build((scope, _) =>
        {
            (var handle, var rows) = scope.NewInput("rows", Rows.Shape, 0);
            handle.Dispose();
            var one = scope.NewLoop();
            var two = one.Inner.NewLoop();
            var three = two.Inner.NewLoop();
            var four = three.Inner.NewLoop();
            one.Leave(two.Leave(three.Leave(four.Leave(four.Enter(three.Enter(two.Enter(one.Enter(rows)))))))).Probe();
            Assert.Throws<NotSupportedException>(() => four.Inner.NewLoop());
        });
    }

    [Fact]
    public void Stamps_keep_the_counters_of_four_loops_in_lexicographic_order()
    {
        var times = new List<Iterated<Iterated<Iterated<Iterated<Time>>>>>();
        foreach (var outer in (ulong[])[0, 1, ulong.MaxValue - 1])
        {
            for (var rounds = 0; rounds < 81; rounds++)
            {
                uint Round(int power) => (rounds / power % 3) switch { 0 => 0, 1 => 1, _ => uint.MaxValue };
                times.Add(new(new(new(new(outer, Round(27)), Round(9)), Round(3)), Round(1)));
            }
        }

        foreach (var a in times)
        {
            Assert.Equal(a, Iterated<Iterated<Iterated<Iterated<Time>>>>.FromStamp(a.ToStamp()));
            Assert.Equal(a.Before.Before.ToStamp(), a.ToStamp().Outside(3));
            foreach (var b in times)
                Assert.Equal(Math.Sign(a.CompareTo(b)), Math.Sign(a.ToStamp().CompareTo(b.ToStamp())));
        }
    }

    [Theory, InlineData(1), InlineData(3)]
    public void Reachability_follows_inserts_and_deletes(int workers)
    {
        using var rig = new Rig(workers, fuelMax: workers == 1 ? long.MaxValue : 4);
        var handles = new InputHandle<Time>[workers];
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (handles[worker], var edges) = scope.NewInput("edges", Rows.Shape, 0);
            var loop = scope.NewLoop();
            var reached = loop.NewVariable(Rows.Shape);
            var inner = loop.Enter(edges).Arrange("edges by source", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            var nodes = reached.Value.Arrange("reached", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            var next = nodes.Join("step", inner, Step, Rows.Shape).Ok;
            var roots = loop.Enter(edges).Map("roots", Kernels.Map(Rows, Rows, (a, _) => a == 0 ? (0UL, 0UL) : null), Rows.Shape).Ok;
            output.Attach(loop.Leave(reached.Set(roots.Concat(next).Distinct())).Consolidate(), Rows, worker);
        });
        Drive(rig, handles, output, input =>
        {
            var reached = new HashSet<ulong>();
            var queue = new Queue<ulong>();
            if (input.Any(e => e.Key.A == 0))
                queue.Enqueue(0);
            while (queue.TryDequeue(out var node))
            {
                if (!reached.Add(node))
                    continue;
                foreach (var edge in input.Keys.Where(e => e.A == node))
                    queue.Enqueue(edge.B);
            }

            return new Bag(reached.Select(n => ((n, 0UL), 1L)));
        });
    }

    [Theory, InlineData(1, 0), InlineData(3, 0), InlineData(1, 1), InlineData(2, 2)]
    public void Least_labels_of_components(int workers, int body)
    {
        // Labels spread along edges in both directions; the least wins. Three ways to say "least".
        using var rig = new Rig(workers, fuelMax: workers == 1 ? long.MaxValue : 4);
        var handles = new InputHandle<Time>[workers];
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (handles[worker], var edges) = scope.NewInput("edges", Rows.Shape, 0);
            var both = edges.Concat(edges.Map("reverse", Kernels.Map(Rows, Rows, (a, b) => (b, a)), Rows.Shape).Ok);
            var loop = scope.NewLoop();
            var labels = loop.NewVariable(Rows.Shape);
            var inside = loop.Enter(both);
            var arranged = inside.Arrange("edges", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            var own = inside.Map("own", Kernels.Map(Rows, Rows, (a, _) => (a, a)), Rows.Shape).Ok;
            var spread = labels.Value.Arrange("labels", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged.Join("spread", arranged, Step2, Rows.Shape).Ok;
            var candidates = own.Concat(spread);
            var least = body switch
            {
                0 => candidates.TopK("least", Sorted, Key.Shape, Key.Shape, Rows.Shape, 1).Ok,
                1 => candidates.Arrange("candidates", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged
                    .ReduceGroups("least", Least, Key.Shape, Kernels.Pair(Key, Key, Rows), Rows.Shape).Ok,
                _ => candidates.Distinct().TopK("least", Sorted, Key.Shape, Key.Shape, Rows.Shape, 1).Ok,
            };
            output.Attach(loop.Leave(labels.Set(least)), Rows, worker);
        });
        Drive(rig, handles, output, input =>
        {
            var label = input.Keys.SelectMany(e => new[] { e.A, e.B }).Distinct().ToDictionary(n => n, n => n);
            for (var again = true; again;)
            {
                again = false;
                foreach (var (a, b) in input.Keys)
                {
                    var least = Math.Min(label[a], label[b]);
                    again |= label[a] != least || label[b] != least;
                    label[a] = label[b] = least;
                }
            }

            return new Bag(label.Select(l => ((l.Key, l.Value), 1L)));
        });
    }

    [Fact]
    public void Counting_paths_sums_inside_a_loop()
    {
        // Numbers of paths from 0 in an acyclic graph (a < b), by rounds: sums change with partially ordered times.
        using var rig = new Rig(2);
        var handles = new InputHandle<Time>[2];
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (handles[worker], var edges) = scope.NewInput("edges", Rows.Shape, 0);
            var acyclic = edges.Map("acyclic", Kernels.Map(Rows, Rows, (a, b) => a < b ? (a, b) : null), Rows.Shape).Ok.Distinct();
            var loop = scope.NewLoop();
            var paths = loop.NewVariable(Rows.Shape); // (node, number of paths)
            var arranged = loop.Enter(acyclic).Arrange("edges", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            var steps = paths.Value.Arrange("paths", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape).Arranged.Join("step", arranged, Step2, Rows.Shape).Ok;
            var roots = loop.Enter(acyclic).Map("root", Kernels.Map(Rows, Rows, (a, _) => a == 0 ? (0UL, 1UL) : null), Rows.Shape).Ok.Distinct();
            var sums = roots.Concat(steps).ReduceAccumulable("sum", Kernels.Split(Rows, Key, Key), Key.Shape, Key.Shape, 16, Sum, FinishSum, Rows.Shape).Ok;
            output.Attach(loop.Leave(paths.Set(sums)), Rows, worker);
        });
        Drive(rig, handles, output, input =>
        {
            var count = new SortedDictionary<ulong, ulong>();
            var edges = input.Keys.Where(e => e.A < e.B).ToList();
            if (edges.Exists(e => e.A == 0))
                count[0] = 1;
            foreach (var group in edges.GroupBy(e => e.A).OrderBy(g => g.Key))
            {
                if (!count.TryGetValue(group.Key, out var n))
                    continue;
                foreach (var (_, b) in group)
                    count[b] = count.GetValueOrDefault(b) + n;
            }

            return new Bag(count.Select(c => ((c.Key, c.Value), 1L)));
        });
    }

    [Fact]
    public void A_limit_of_rounds_stops_what_would_not_end()
    {
        using var rig = new Rig(1);
        var output = new Captured();
        var beyond = new Captured();
        InputHandle<Time> handle = null!;
        rig.Build((scope, worker) =>
        {
            (handle, var start) = scope.NewInput("start", Rows.Shape, 0);
            var loop = scope.NewLoop();
            var numbers = loop.NewVariable(Rows.Shape, roundsMax: 10);
            var more = numbers.Value.Map("successor", Kernels.Map(Rows, Rows, (a, b) => (a + 1, b)), Rows.Shape).Ok;
            output.Attach(loop.Leave(numbers.Set(loop.Enter(start).Concat(more).Distinct())), Rows, worker);
            beyond.Attach(loop.Leave(numbers.BeyondLimit), Rows, worker);
        });
        handle.Send(Rows.Encode(0, 7), 3, 1);
        handle.AdvanceTo(4);
        rig.Run();
        Assert.Equal(4UL, output.Frontier.Time.Value);
        Assert.Equal(Enumerable.Range(0, 11).Select(i => (ulong)i), output.At(3).Keys.Select(r => r.A).Order());
        Assert.NotEmpty(beyond.At(3));
    }

    private static void Drive(Rig rig, InputHandle<Time>[] handles, Captured output, Func<Bag, Bag> definition)
    {
        var random = new Random(handles.Length);
        var present = new List<(ulong, ulong)>();
        var updates = new List<(ulong A, ulong B, ulong Time, long Diff)>();
        for (var time = 0UL; time < 40; time++)
        {
            var changes = new List<(ulong, ulong, ulong, long)>();
            for (var i = random.Next(5); i >= 0; i--)
            {
                if (present.Count > 25 || (present.Count > 0 && random.Next(3) == 0))
                {
                    var at = random.Next(present.Count);
                    changes.Add((present[at].Item1, present[at].Item2, time, -1));
                    present.RemoveAt(at);
                }
                else
                {
                    var edge = ((ulong)random.Next(20), (ulong)random.Next(20));
                    changes.Add((edge.Item1, edge.Item2, time, 1));
                    present.Add(edge);
                }
            }

            updates.AddRange(changes);
            OperatorTests.Send(changes, handles, Rows);
            if (time % 3 == 1)
                continue; // two outer times complete at once
            foreach (var handle in handles)
                handle.AdvanceTo(time + 1);
            rig.Run();
            Assert.Equal(time + 1, output.Frontier.Time.Value);
            for (var t = time == 0 ? 0 : time - 1; t <= time; t++)
                definition(Bag.At(updates, t)).MustEqual(output.At(t), $"at {t}");
        }

        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.True(output.Frontier.IsClosed);
    }

    // (node, _) with an edge to b: (b, 0).
    private static void Step(KernelIo io) => Each(io, i => (Key.Decode(io.Parts[2][i]), 0UL));

    // (node, label) with an edge to b: (b, label).
    private static void Step2(KernelIo io) => Each(io, i => (Key.Decode(io.Parts[2][i]), Key.Decode(io.Parts[1][i])));

    private static void FinishSum(KernelIo io) => Each(io, i => (Key.Decode(io.Parts[0][i]), ((ulong*)io.Parts[1][i])[1]));

    private static void Each(KernelIo io, Func<int, (ulong, ulong)> row)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var (a, b) = row(i);
            io.Outputs[0].Append(Rows.Encode(a, b));
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Sorted(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var (a, b) = Rows.Decode(io.Parts[0][i]);
            io.Outputs[0].Append(Key.Encode(a));
            io.Outputs[1].Append(Key.Encode(b));
            io.Outputs[2].Append(Rows.Encode(a, b));
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Least(nint key, nint* values, long* diffs, int count, RowWriter output, RowWriter errors)
    {
        for (var i = 0; i < count; i++)
        {
            if (diffs[i] > 0)
            {
                output.Append(Key.Encode(Key.Decode(values[i])));
                return;
            }
        }
    }

    private static void Sum(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
        {
            ((long*)accumulators[i])[0] += diffs[i];
            ((long*)accumulators[i])[1] += diffs[i] * (long)Key.Decode(values[i]);
        }
    }
}
