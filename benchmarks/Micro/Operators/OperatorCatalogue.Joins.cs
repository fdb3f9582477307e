using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro.Operators;

// Joins, and what is made of them.
internal static partial class OperatorCatalogue
{
    private static readonly RowShape Triple = new(24);

    /// <summary>Half of the rows, about one a key.</summary>
    private static OperatorInput HalfByKey { get; } = new() { Rows = n => n / 2, Keys = n => n / 2 };

    private static IEnumerable<OperatorBenchmark> Joins()
    {
        yield return new OperatorBenchmark("join", "two arrangements by key", g => OperatorOutput.Of(Join(g.ByKey(0), g.ByKey(1))), p => Joined(p.Inputs[0], p.Inputs[1]))
        {
            Inputs = [HalfByKey, HalfByKey],
        };
        yield return new OperatorBenchmark("half-join", "a delta join: changes of each side look into the other's arrangement", g =>
        {
            var (left, right) = (g.ByKey(0), g.ByKey(1));
            var rows = OperatorRows.Columns((0, 0), (1, 0));
            var fromLeft = left.AsStream("delta of left", rows, OperatorRows.Pair).Ok
                .HalfJoin("right", ColumnKernels.PairSplit, OperatorRows.Number, right, HalfJoinTimes.Inclusive, OperatorRows.Columns((0, 0), (1, 0), (2, 0)), Triple).Ok;
            var fromRight = right.AsStream("delta of right", rows, OperatorRows.Pair).Ok
                .HalfJoin("left", ColumnKernels.PairSplit, OperatorRows.Number, left, HalfJoinTimes.Strict, OperatorRows.Columns((0, 0), (2, 0), (1, 0)), Triple).Ok;
            return OperatorOutput.Of(fromLeft.Concat(fromRight));
        }, p => Joined(p.Inputs[0], p.Inputs[1]))
        {
            Inputs = [HalfByKey, HalfByKey],
        };
        yield return new OperatorBenchmark("cross-join", "every row with each of four: one key for all", g =>
        {
            var (left, right) = (g.Inputs[0].Arrange("left", NoKey, RowShape.Empty, OperatorRows.Number).Arranged, g.Inputs[1].Arrange("right", NoKey, RowShape.Empty, OperatorRows.Number).Arranged);
            return OperatorOutput.Of(left.Join("cross join", right, OperatorRows.Columns((1, 0), (2, 0)), OperatorRows.Pair).Ok);
        }, p => PlainRows.Of(p.Inputs[0].SelectMany(l => p.Inputs[1].Select(r => (l.Value, r.Value)))))
        {
            Inputs = [OperatorInput.Default, new OperatorInput { Rows = _ => 4, Changes = false }],
        };
        yield return new OperatorBenchmark("semijoin", "rows whose key is on the other side", g => OperatorOutput.Of(Semijoin(g)), p =>
        {
            var keys = p.Inputs[1].Select(r => r.Key).ToHashSet();
            return PlainRows.Of(p.Inputs[0].Where(r => keys.Contains(r.Key)));
        })
        {
            Inputs = [HalfByKey, HalfByKey],
        };
        yield return new OperatorBenchmark("antijoin", "rows whose key is not", g => OperatorOutput.Of(g.Inputs[0].Concat(Semijoin(g).Negate())), p =>
        {
            var keys = p.Inputs[1].Select(r => r.Key).ToHashSet();
            return PlainRows.Of(p.Inputs[0].Where(r => !keys.Contains(r.Key)));
        })
        {
            Inputs = [HalfByKey, HalfByKey],
        };
    }

    private static Stream<Time> Join(Arranged<Time> left, Arranged<Time> right) => left.Join("join", right, OperatorRows.Columns((0, 0), (1, 0), (2, 0)), Triple).Ok;

    private static Stream<Time> Semijoin(OperatorGraph g)
    {
        var keys = g.Inputs[1].Map("keys", OperatorRows.Columns((0, 0)), OperatorRows.Number).Ok.Distinct().Arrange("keys", null, default, default).Arranged;
        return g.ByKey(0).Join("semijoin", keys, OperatorRows.Columns((0, 0), (1, 0)), OperatorRows.Pair).Ok;
    }

    private static Check Joined(List<(ulong Key, ulong Value)> left, List<(ulong Key, ulong Value)> right)
    {
        var byKey = right.ToLookup(r => r.Key, r => r.Value);
        var check = default(Check);
        foreach (var (key, value) in left)
        {
            foreach (var other in byKey[key])
                check.Add(1, key, value, other);
        }

        return check;
    }

    // The value alone.
    private static unsafe void NoKey(KernelIo io)
    {
        io.Outputs[0].AppendFixed(io.Count);
        var values = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            values[i] = ((ulong*)io.Parts[0][i])[1];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
