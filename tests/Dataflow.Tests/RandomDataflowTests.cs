using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>
/// Random dataflows over random histories, against an evaluator that knows only bags: equal at every time, for one worker and several, fixed and variable widths. A failure names its seed; SEEDS=n runs n seeds, FIRST_SEED=s begins at s.
/// </summary>
public sealed unsafe class RandomDataflowTests
{
    private const int SeedsUsually = 2000;

    [Fact]
    public void Random_dataflows_equal_their_definitions_at_every_time()
    {
        var first = Number("FIRST_SEED", 0);
        var seeds = Number("SEEDS", SeedsUsually);
        for (var seed = first; seed < first + seeds; seed++)
        {
            try
            {
                Run(seed);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }
    }

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text) : otherwise;

    private static void Run(int seed)
    {
        var random = new Random(seed);
        var rows = random.Next(3) == 0 ? PairRows.Text : PairRows.Fixed;
        var workers = random.Next(3) == 0 ? 2 : 1;
        var plan = new Plan(random, rows);
        using var rig = new Rig(workers);
        var handles = new InputHandle<Time>[workers];
        var outputs = new Captured();
        var traces = new TraceHandle<Time>[workers];
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", rows.Shape, 0);
            var result = plan.Build(stream);
            output(result, worker);
        });
        void output(Stream<Time> result, int worker)
        {
            outputs.Attach(result, rows, worker);
            traces[worker] = result.Arrange("kept", Kernels.Split(rows, plan.Key, plan.Key), plan.Key.Shape, plan.Key.Shape).Arranged.Trace();
        }

        var script = new Script(seed, 1 + random.Next(12), 1 + random.Next(20));
        var time = 0UL;
        for (var round = 0; round < 6; round++)
        {
            var spread = 1 + random.Next(3);
            var updates = script.Round(time, random.Next(round == 0 ? 60 : 15), spread, deletes: random.Next(2) == 0 ? 0.45 : 0.6);
            for (var i = 0; i < updates.Count; i++)
                handles[i % workers].Send(rows.Encode(updates[i].A, updates[i].B), updates[i].Time, updates[i].Diff);
            if (random.Next(3) == 0)
                rig.Run();
            if (random.Next(4) == 0)
                continue; // the next round is at the same times
            time += (ulong)spread + (ulong)random.Next(2);
            foreach (var handle in handles)
                handle.AdvanceTo(time);
            rig.Run();
            Assert.True(outputs.Frontier.HasPassed(time - 1), $"time {time - 1} is complete");
            for (var t = time - (ulong)Math.Min((int)time, 4); t < time; t++)
            {
                var expected = plan.Evaluate(Bag.At(script.Updates, t));
                expected.MustEqual(outputs.At(t), $"{plan.Text} at {t}");
            }

            // What is kept is compacted behind the reader, and still right where it may read.
            var kept = new Bag();
            foreach (var trace in traces)
            {
                using var cursor = trace.OpenCursor(time - 1);
                while (cursor.NextRow())
                    kept.Add((plan.Key.Decode(cursor.Key), plan.Key.Decode(cursor.Value)), cursor.Diff, 0);
                trace.AdvanceSince(time - 1);
            }

            plan.Evaluate(Bag.At(script.Updates, time - 1)).MustEqual(kept, $"{plan.Text} kept at {time - 1}");
        }

        foreach (var trace in traces)
            trace.Dispose();
        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.True(outputs.Frontier.IsClosed, "closing the input closes the output");
        plan.Evaluate(Bag.At(script.Updates, ulong.MaxValue)).MustEqual(outputs.At(ulong.MaxValue), $"{plan.Text} at the end");
    }

    /// <summary>A random expression over one collection of pairs, built as a dataflow and evaluated on bags.</summary>
    internal sealed class Plan
    {
        private readonly PairRows _rows;
        private readonly Random _random;
        private readonly Node _root;

        public Plan(Random random, PairRows rows)
        {
            _rows = rows;
            _random = random;
            Key = rows.Codec;
            _root = Make(1 + random.Next(4), inLoop: false);
            Text = _root.Text;
        }

        public string Text { get; }

        public Codec Key { get; }

        public Stream<Time> Build(Stream<Time> input) => _root.Build(input);

        public Bag Evaluate(Bag input) => _root.Evaluate(input);

        private sealed record Node(string Text, Func<Stream<Time>, Stream<Time>> Build, Func<Bag, Bag> Evaluate);

        private Node Make(int depth, bool inLoop)
        {
            if (depth == 0)
                return new Node("in", s => s, b => b);
            var of = Make(depth - 1, inLoop);
            switch (_random.Next(11))
            {
                case 0:
                    var modulus = (ulong)_random.Next(2, 5);
                    return Unary("map", of, s => s.Map("map", Kernels.Map(_rows, _rows, (a, b) => b % modulus == 1 ? null : (b % 7, a)), _rows.Shape).Ok,
                        bag => Sum(bag.Where(r => r.Key.B % modulus != 1).Select(r => ((r.Key.B % 7, r.Key.A), r.Value))));
                case 1:
                    var other = Make(_random.Next(depth), inLoop);
                    return new Node($"({of.Text} + {other.Text})", s => of.Build(s).Concat(other.Build(s)), b => Sum(of.Evaluate(b).Concat(other.Evaluate(b)).Select(r => (r.Key, r.Value))));
                case 2:
                    var less = Make(_random.Next(depth), inLoop);
                    return new Node($"({of.Text} - {less.Text})", s => of.Build(s).Concat(less.Build(s).Negate()),
                        b => Sum(of.Evaluate(b).Select(r => (r.Key, r.Value)).Concat(less.Evaluate(b).Select(r => (r.Key, -r.Value)))));
                case 3:
                    return Unary("distinct", of, s => s.Distinct(), bag => Sum(bag.Where(r => r.Value > 0).Select(r => (r.Key, 1L))));
                case 4:
                    return Unary("threshold", of, s => s.Threshold(), bag => Sum(bag.Where(r => r.Value > 0).Select(r => (r.Key, r.Value))));
                case 5:
                    return Unary("consolidate", of, s => s.Consolidate(), bag => bag);
                case 6:
                case 7:
                    long? limit = _random.Next(5) switch { 0 => null, 1 => 40, _ => _random.Next(1, 4) };
                    var offset = _random.Next(3) == 0 ? _random.Next(1, 3) : 0;
                    var narrow = _random.Next(2) == 0;
                    return Unary($"top{limit}@{offset}{(narrow ? "n" : "")}", of, s => TopK(s, limit, offset, narrow), bag => TopK(bag, limit, offset));
                case 8:
                    var with = Make(_random.Next(depth), inLoop);
                    return new Node($"({of.Text} * {with.Text})", s => Join(of.Build(s), with.Build(s)), b => Join(of.Evaluate(b), with.Evaluate(b)));
                case 9:
                    return Unary("groups", of, Groups, bag => Sum(bag.GroupBy(r => r.Key.A).Select(g => ((g.Key, (ulong)g.Count()), 1L))));
                default:
                    if (inLoop)
                        goto case 3;
                    return Unary("closure", of, Closure, Closure);
            }
        }

        private static Node Unary(string name, Node of, Func<Stream<Time>, Stream<Time>> build, Func<Bag, Bag> evaluate) =>
            new($"{name}({of.Text})", s => build(of.Build(s)), b => evaluate(of.Evaluate(b)));

        private static Bag Sum(IEnumerable<((ulong, ulong), long)> rows) => new(rows);

        private Stream<Time> TopK(Stream<Time> stream, long? limit, long offset, bool narrow) => narrow
            ? stream.TopK("top", Sorted(Key.Shape.Width == 8 ? 0 : 1), Key.Shape, Key.Shape, Key.Shape.Width == 8 ? RowShape.Empty : Key.Shape, limit, offset, FinishSorted, _rows.Shape).Ok
            : stream.TopK("top", Sorted(2), Key.Shape, Key.Shape, _rows.Shape, limit, offset).Ok;

        // By the second number; rows: nothing, the second number, or the pair.
        private RowKernel Sorted(int columns) => io =>
        {
            for (var i = 0; i < io.Count; i++)
            {
                var (a, b) = _rows.Decode(io.Parts[0][i]);
                io.Outputs[0].Append(Key.Encode(a));
                io.Outputs[1].Append(Key.Encode(b));
                io.Outputs[2].Append(columns == 0 ? [] : columns == 1 ? Key.Encode(b) : _rows.Encode(a, b));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        };

        private void FinishSorted(KernelIo io)
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(_rows.Encode(Key.Decode(io.Parts[0][i]), Key.Decode(io.Parts[2][i])));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }

        private Bag TopK(Bag bag, long? limit, long offset)
        {
            var result = new Bag();
            foreach (var group in bag.Where(r => r.Value > 0).GroupBy(r => r.Key.A))
            {
                var (skip, left) = (offset, limit ?? long.MaxValue);
                foreach (var (row, copies) in group.OrderBy(r => r.Key.B, Comparer<ulong>.Create((x, y) => Key.Encode(x).AsSpan().SequenceCompareTo(Key.Encode(y)))))
                {
                    var skipped = Math.Min(skip, copies);
                    var taken = Math.Min(left, copies - skipped);
                    (skip, left) = (skip - skipped, left - taken);
                    if (taken > 0)
                        result.Add(row, taken, 0);
                }
            }

            return result;
        }

        // On the first number: (left second, right second), small again.
        private Stream<Time> Join(Stream<Time> left, Stream<Time> right)
        {
            var l = left.Arrange("left", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            var r = right.Arrange("right", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            return l.Join("join", r, Pair, _rows.Shape).Ok;
        }

        private void Pair(KernelIo io)
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(_rows.Encode(Key.Decode(io.Parts[1][i]) % 9, Key.Decode(io.Parts[2][i]) % 11));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }

        private static Bag Join(Bag left, Bag right)
        {
            var byKey = right.ToLookup(r => r.Key.A);
            return Sum(left.SelectMany(l => byKey[l.Key.A].Select(r => ((l.Key.B % 9, r.Key.B % 11), l.Value * r.Value))));
        }

        private Stream<Time> Groups(Stream<Time> stream) => stream.Arrange("groups", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged
            .ReduceGroups("groups", (_, _, _, count, output, _) => output.Append(Key.Encode((ulong)count)), Key.Shape, Kernels.Pair(Key, Key, _rows), _rows.Shape).Ok;

        // Pairs connected by paths over positive rows, as a loop; some enter late.
        private Stream<Time> Closure(Stream<Time> stream)
        {
            var loop = stream.Scope.NewLoop();
            var edges = stream.Map("small", Kernels.Map(_rows, _rows, (a, b) => (a % 8, b % 8)), _rows.Shape).Ok.Distinct();
            var paths = loop.NewVariable(_rows.Shape);
            var late = loop.EnterAt(edges, row => (uint)(_rows.Decode(row).A % 3));
            var byTarget = paths.Value.Arrange("paths", Kernels.Split(_rows, Key, Key, (a, b) => (b, a)), Key.Shape, Key.Shape).Arranged;
            var bySource = loop.Enter(edges).Arrange("edges", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged;
            return loop.Leave(paths.Set(late.Concat(byTarget.Join("step", bySource, Pair, _rows.Shape).Ok).Distinct()));
        }

        private static Bag Closure(Bag bag)
        {
            var edges = new Bag(bag.Select(r => ((r.Key.A % 8, r.Key.B % 8), r.Value))).Where(r => r.Value > 0).Select(r => r.Key).ToList();
            var paths = new HashSet<(ulong A, ulong B)>(edges);
            for (var before = -1; before != paths.Count;)
            {
                before = paths.Count;
                foreach (var (from, to) in paths.ToList())
                {
                    foreach (var edge in edges)
                    {
                        if (edge.A == to)
                            paths.Add((from, edge.B));
                    }
                }
            }

            return Sum(paths.Select(p => (p, 1L)));
        }
    }
}
