using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Micro.Operators;

/// <summary>Every operator of the engine.</summary>
internal static partial class OperatorCatalogue
{
    private const ulong Small = 1000;

    public static IReadOnlyList<OperatorBenchmark> All => field ??= [.. ByRow(), .. Joins(), .. Reductions(), .. Windows(), .. Whole()];

    /// <exception cref="UsageException">There is none of that name.</exception>
    public static OperatorBenchmark Find(string name) => All.FirstOrDefault(o => o.Name == name)
        ?? throw new UsageException($"no operator is called {name}; there are {string.Join(", ", All.Select(o => o.Name))}");

    /// <summary>What takes row by row, and what adds rows up.</summary>
    private static IEnumerable<OperatorBenchmark> ByRow()
    {
        yield return new OperatorBenchmark("map", "filter, map and project by generated code", g =>
        {
            // SELECT key + value, value WHERE value > 0 AND key <> 7
            var layout = RowLayout.For([OperatorRows.Int64, OperatorRows.Int64]);
            MirScalarExpr[] columns = [new MirScalarExpr.Column(0), new MirScalarExpr.Column(1)];
            static MirScalarExpr.Call Call(ScalarFunc func, SqlType type, params MirScalarExpr[] args) => new(func, [.. args], type);
            static MirScalarExpr Int(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), OperatorRows.Int64);
            var mfp = MfpBuilder.Identity(2)
                .Filter([Call(ScalarFunctions.Gt, SqlType.Bool, columns[1], Int(0)), Call(ScalarFunctions.NotEq, SqlType.Bool, columns[0], Int(7))])
                .Map([Call(ScalarFunctions.ById("add_int8"), SqlType.Int64, columns[0], columns[1])])
                .Project([2, 1]).Build();
            return OperatorOutput.Of(g.Rows.Map("map", KernelCompiler.Compile(KernelInput.Whole(layout), mfp, layout), OperatorRows.Pair).Ok);
        }, p => PlainRows.Of(p.Rows.Where(r => r.Value > 0 && r.Key != 7).Select(r => (r.Key + r.Value, r.Value))))
        {
            Inputs = [new OperatorInput { Value = (v, _) => v % 3 }],
        };
        yield return new OperatorBenchmark("flat-map", "up to three rows for one", g => OperatorOutput.Of(g.Rows.FlatMap("flat map", Repeat, OperatorRows.Pair).Ok),
            p => PlainRows.Of(p.Rows.SelectMany(r => Enumerable.Range(0, (int)(r.Value % 4)).Select(i => (r.Key, (ulong)i)))));
        yield return new OperatorBenchmark("concat", "the sum of two inputs", g => OperatorOutput.Of(g.Inputs[0].Concat(g.Inputs[1])),
            p => PlainRows.Of(p.Inputs[0].Concat(p.Inputs[1])))
        {
            Inputs = [Half, Half],
        };
        yield return new OperatorBenchmark("negate", "one input less another", g => OperatorOutput.Of(g.Inputs[0].Concat(g.Inputs[1].Negate())), p =>
        {
            var check = PlainRows.Of(p.Inputs[0]);
            foreach (var (key, value) in p.Inputs[1])
                check.Add(-1, key, value);
            return check;
        })
        {
            Inputs = [Half, Half],
        };
        yield return new OperatorBenchmark("consolidate", "equal updates added up", g => OperatorOutput.Of(g.Rows.Consolidate()), p => PlainRows.Of(p.Rows))
        {
            Inputs = [new OperatorInput { Value = (v, _) => v % 4 }],
        };
        yield return new OperatorBenchmark("temporal", "a row is there until a time it names", g => OperatorOutput.Of(g.Rows.Map("temporal", UntilModulo(2 * g.Times), OperatorRows.Pair, temporal: true).Ok),
            p => PlainRows.Of(p.Rows.Where(r => r.Value % (2 * p.Now) > p.Now)));
        yield return new OperatorBenchmark("arrange", "indexed by key", g => OperatorOutput.Of(g.ByKey()), p => PlainRows.Of(p.Rows))
        {
            Inputs = [new OperatorInput { Keys = n => n }],
        };
        yield return new OperatorBenchmark("import", "an earlier dataflow's arrangement, read as rows", g => OperatorOutput.Of(g.Imported!.AsStream("rows", OperatorRows.Columns((0, 0), (1, 0)), OperatorRows.Pair).Ok),
            p => PlainRows.Of(p.Rows))
        {
            Imports = true,
        };
        yield return new OperatorBenchmark("sink", "updates put aside for each time, handed over when it is complete", g =>
        {
            var handed = g.Scope.NewInput("handed over", OperatorRows.Pair, 0);
            var aside = new SortedDictionary<Time, (RowWriter Rows, List<long> Diffs)>();
            var done = g.Rows.ForEach("sink", batch =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    var time = batch.TimeAt(i);
                    if (!aside.TryGetValue(time, out var updates))
                        aside.Add(time, updates = (new RowWriter(OperatorRows.Pair), []));
                    updates.Rows.Append(batch[i]);
                    updates.Diffs.Add(batch.DiffAt(i));
                }
            }, frontier =>
            {
                while (aside.Count > 0 && aside.First() is var (time, (rows, diffs)) && frontier.HasPassed(time))
                {
                    for (var i = 0; i < rows.Count; i++)
                        handed.Handle.Send(rows[i], time, diffs[i]);
                    aside.Remove(time);
                    rows.Dispose();
                }

                if (frontier.IsClosed)
                    handed.Handle.Close();
                else
                    handed.Handle.AdvanceTo(frontier.Time);
            });
            return OperatorOutput.Of(handed.Rows);
        }, p => PlainRows.Of(p.Rows));
    }

    private static OperatorInput Half { get; } = new() { Rows = n => n / 2 };

    private static unsafe void Repeat(nint row, FlatMapOutput output)
    {
        var (key, value) = (((ulong*)row)[0], ((ulong*)row)[1]);
        for (var i = 0UL; i < value % 4; i++)
            OperatorRows.WritePair(output.Rows, key, i);
    }

    private static unsafe RowKernel UntilModulo(ulong times) => io =>
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            (rows[2 * i], rows[(2 * i) + 1]) = (row[0], row[1]);
            (io.ValidFrom[i], io.ValidUntil[i]) = (0, row[1] % times);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    };
}
