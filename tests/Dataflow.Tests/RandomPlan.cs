using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Dataflow.Tests;

/// <summary>A random expression over one collection of pairs, built as a dataflow and evaluated on bags.</summary>
internal sealed unsafe class RandomPlan
{
    private readonly PairRows _rows;
    private readonly Random _random;
    private readonly Node _root;

    public RandomPlan(Random random, PairRows rows)
    {
        _rows = rows;
        _random = random;
        Key = rows.Codec;
        _root = Make(1 + random.Next(4));
        Text = _root.Text;
    }

    public string Text { get; }

    public Codec Key { get; }

    public Stream<Time> Build(Stream<Time> input) => _root.Build(input);

    public Bag Evaluate(Bag input) => _root.Evaluate(input);

    private sealed record Node(string Text, Func<Stream<Time>, Stream<Time>> Build, Func<Bag, Bag> Evaluate);

    private Node Make(int depth)
    {
        if (depth == 0)
            return new Node("in", s => s, b => b);
        var of = Make(depth - 1);
        switch (_random.Next(12))
        {
            case 0:
                var modulus = (ulong)_random.Next(2, 5);
                return Unary("map", of, s => s.Map("map", Kernels.Map(_rows, _rows, (a, b) => b % modulus == 1 ? null : (b % 7, a)), _rows.Shape).Ok,
                    bag => Sum(bag.Where(r => r.Key.B % modulus != 1).Select(r => ((r.Key.B % 7, r.Key.A), r.Value))));
            case 1:
                var other = Make(_random.Next(depth));
                return new Node($"({of.Text} + {other.Text})", s => of.Build(s).Concat(other.Build(s)), b => Sum(of.Evaluate(b).Concat(other.Evaluate(b)).Select(r => (r.Key, r.Value))));
            case 2:
                var less = Make(_random.Next(depth));
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
                var with = Make(_random.Next(depth));
                return new Node($"({of.Text} * {with.Text})", s => Join(of.Build(s), with.Build(s)), b => Join(of.Evaluate(b), with.Evaluate(b)));
            case 9:
                return Unary("groups", of, Groups, bag => Sum(bag.GroupBy(r => r.Key.A).Select(g => ((g.Key, (ulong)g.Count()), 1L))));
            case 10 when _random.Next(4) == 0:
                // Each loop more makes histories of one dimension more: few rows there.
                var loops = _random.Next(4) > 0 ? 2 : _random.Next(3, Stamp.DepthMax + 1);
                var range = loops == 2 ? 4UL : 3;
                return Unary($"nested{loops}", of, s => Nested(Edges(s, range), loops, range), bag => Sum(Nested([.. EdgesOf(bag, range)], loops, range).Select(p => (p, 1L))));
            default:
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
        var edges = Edges(stream, 8);
        var paths = loop.NewVariable(_rows.Shape);
        var late = loop.EnterAt(edges, row => (uint)(_rows.Decode(row).A % 3));
        var byTarget = paths.Value.Arrange("paths", Kernels.Split(_rows, Key, Key, (a, b) => (b, a)), Key.Shape, Key.Shape).Arranged;
        var bySource = loop.Enter(edges).Arrange("edges", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged;
        return loop.Leave(paths.Set(late.Concat(byTarget.Join("step", bySource, Pair, _rows.Shape).Ok).Distinct()));
    }

    private Stream<Time> Edges(Stream<Time> stream, ulong range) =>
        stream.Map("small", Kernels.Map(_rows, _rows, (a, b) => (a % range, b % range)), _rows.Shape).Ok.Distinct();

    // Loops in loops. The innermost connects paths; each around it adds some of what the one inside finds, turned round, until that is no more.
    private Stream<TTime> Nested<TTime>(Stream<TTime> pairs, int loops, ulong range) where TTime : unmanaged, ITime<TTime>
    {
        var loop = pairs.Scope.NewLoop();
        var variable = loop.NewVariable(_rows.Shape);
        var entered = loop.Enter(pairs);
        Stream<Iterated<TTime>> found;
        if (loops > 1)
        {
            var turned = Kernels.Map(_rows, _rows, (a, b) => (a + b + (ulong)loops) % 3 == 0 ? (b, (a + 1) % range) : null);
            found = Nested(variable.Value, loops - 1, range).Map("turn", turned, _rows.Shape).Ok;
        }
        else
        {
            var byTarget = variable.Value.Arrange("paths", Kernels.Split(_rows, Key, Key, (a, b) => (b, a)), Key.Shape, Key.Shape).Arranged;
            found = byTarget.Join("step", entered.Arrange("edges", Kernels.Split(_rows, Key, Key), Key.Shape, Key.Shape).Arranged, Pair, _rows.Shape).Ok;
        }

        return loop.Leave(variable.Set(entered.Concat(found).Distinct()));
    }

    private static HashSet<(ulong A, ulong B)> Nested(HashSet<(ulong A, ulong B)> pairs, int loops, ulong range)
    {
        var found = new HashSet<(ulong A, ulong B)>(pairs);
        for (var before = -1; before != found.Count;)
        {
            before = found.Count;
            var more = loops > 1
                ? Nested(found, loops - 1, range).Where(p => (p.A + p.B + (ulong)loops) % 3 == 0).Select(p => (p.B, (p.A + 1) % range))
                : found.ToList().SelectMany(p => pairs.Where(e => e.A == p.B).Select(e => (p.A, e.B)));
            found.UnionWith(more.ToList());
        }

        return found;
    }

    private static IEnumerable<(ulong A, ulong B)> EdgesOf(Bag bag, ulong range) =>
        new Bag(bag.Select(r => ((r.Key.A % range, r.Key.B % range), r.Value))).Where(r => r.Value > 0).Select(r => r.Key);

    private static Bag Closure(Bag bag) => Sum(Nested([.. EdgesOf(bag, 8)], 1, 8).Select(p => (p, 1L)));
}
