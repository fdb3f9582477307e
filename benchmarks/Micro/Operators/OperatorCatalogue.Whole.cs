using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro.Operators;

// Window functions, and recursion.
internal static partial class OperatorCatalogue
{
    private static IEnumerable<OperatorBenchmark> Windows() => WindowQuery.Functions.Select(function =>
    {
        var query = new WindowQuery(function);
        return new OperatorBenchmark($"window-{function}", query.What, g => OperatorOutput.Of(g.Rows.Window("window", query.Plan()).Ok, ReadWindow), p => query.Plain(p.Rows.Select(r => (r.Key, r.Value % Orders, r.Value / Orders % Small))))
        {
            Inputs = [new OperatorInput { Shape = new RowShape(WindowQuery.InputWidth), Write = (rows, key, value) => WindowQuery.Write(rows, key, value % Orders, value / Orders % Small) }],
        };
    });

    // Few, so that rows have peers.
    private const ulong Orders = 16;

    private static int ReadWindow(ReadOnlySpan<byte> row, Span<ulong> columns)
    {
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(row).CopyTo(columns);
        columns[1] = BinaryPrimitives.ReverseEndianness(columns[1]);
        return 4;
    }

    private static IEnumerable<OperatorBenchmark> Whole()
    {
        // Nodes that an even number of edges away from a root, and those that an odd number is: each is defined by the other.
        yield return new OperatorBenchmark("iterate", "two collections, each defined by the other: nodes an even and an odd number of edges from a root", g =>
        {
            var loop = g.Scope.NewLoop();
            var (even, odd) = (loop.NewVariable(OperatorRows.Number), loop.NewVariable(OperatorRows.Number));
            var edges = loop.Enter(g.Inputs[0]).Arrange("edges", ColumnKernels.PairSplit, OperatorRows.Number, OperatorRows.Number).Arranged;
            var roots = loop.Enter(g.Inputs[1].Map("root", OperatorRows.Columns((0, 0)), OperatorRows.Number).Ok);
            var evens = even.Set(roots.Concat(Step(odd)).Distinct("even"));
            var odds = odd.Set(Step(even).Distinct("odd"));
            return OperatorOutput.Of(Marked(loop.Leave(evens), 0).Concat(Marked(loop.Leave(odds), 1)));

            Stream<Iterated<Time>> Step(LoopVariable<Time> from) =>
                from.Value.Arrange("reached", null, default, default).Arranged.Join("step", edges, OperatorRows.Columns((2, 0)), OperatorRows.Number).Ok;
        }, p =>
        {
            var next = p.Inputs[0].ToLookup(e => e.Key, e => e.Value);
            var seen = new HashSet<(ulong Node, ulong Parity)>();
            var open = new Stack<(ulong Node, ulong Parity)>(p.Inputs[1].Select(r => (r.Key, 0UL)));
            while (open.TryPop(out var at))
            {
                if (!seen.Add(at))
                    continue;
                foreach (var node in next[at.Node])
                    open.Push((node, 1 - at.Parity));
            }

            return PlainRows.Of(seen);
        })
        {
            // Half an edge a node: what is reached stays small, whatever changes.
            Inputs =
            [
                new OperatorInput { Keys = n => 2 * n, Value = (v, n) => (v >> 32) % (2 * (ulong)n) },
                new OperatorInput { Keys = n => 2 * n, Rows = n => n / 20, Changes = false },
            ],
        };
    }

    private static unsafe Stream<Time> Marked(Stream<Time> nodes, ulong mark) => nodes.Map("marked", io =>
    {
        var row = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            *row++ = *(ulong*)io.Parts[0][i];
            *row++ = mark;
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }, OperatorRows.Pair).Ok;
}
