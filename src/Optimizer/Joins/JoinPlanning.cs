using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// Chooses how a join runs. A delta join, when every arrangement it looks up exists: it then needs no state of its own. Otherwise a
/// linear join, ordered greedily: an input found by a unique key first, then one that is arranged already, then one that literals or
/// filters make small, then one with the most key columns; a cross product last.
/// </summary>
public static class JoinPlanning
{
    /// <summary>Orders of more inputs are not tried from each start.</summary>
    private const int StartsMax = 16;

    public static JoinImplementation Choose(MirRelationExpr.Join join, IIndexOracle indexes, bool mayBeDelta = true)
    {
        var shape = new JoinShape(join);
        var inputs = join.Inputs.Select(i => new JoinInput(i, indexes));
        var orders = Enumerable.Range(0, Math.Min(join.Inputs.Count, StartsMax)).Select(start => Order(shape, join, inputs, start)).ToList();

        if (mayBeDelta && join.Inputs.Count > 2
            && orders.Count == join.Inputs.Count
            && orders.All(o => o.All(step => step.Rank.IsArranged)))
        {
            return new JoinImplementation.Delta(orders.Select(o => o.Select(s => s.Step).ToValueArray()).ToValueArray());
        }

        // The best order is the one whose worst step is best; then the one with the best start.
        var best = Enumerable.Range(0, orders.Count)
            .OrderByDescending(start => orders[start].Min(s => s.Rank))
            .ThenByDescending(start => inputs[start].Filters)
            .ThenBy(start => inputs[start].IsArranged ? 0 : 1)
            .First();
        return new JoinImplementation.Linear(best, orders[best].Select(s => s.Step).ToValueArray());
    }

    private static List<(JoinStep Step, StepRank Rank)> Order(JoinShape shape, MirRelationExpr.Join join, ValueArray<JoinInput> inputs, int start)
    {
        var bound = new SortedSet<int> { start };
        var steps = new List<(JoinStep, StepRank)>();
        while (bound.Count < join.Inputs.Count)
        {
            var (step, rank) = Enumerable.Range(0, join.Inputs.Count)
                .Where(i => !bound.Contains(i))
                .Select(i => Lookup(shape, join, inputs[i], i, bound))
                .MaxBy(x => x.Rank);
            steps.Add((step, rank));
            bound.Add(step.Input);
        }

        return steps;
    }

    private static (JoinStep Step, StepRank Rank) Lookup(JoinShape shape, MirRelationExpr.Join join, JoinInput input, int i, SortedSet<int> bound)
    {
        var key = shape.LookupKey(i, bound, join.Equivalences);

        // An existing arrangement will do if everything in its key is known; what it leaves open is checked afterwards.
        var arranged = input.Arrangements
            .Where(a => a.Count > 0 && shape.StreamKey(i, a, bound, join.Equivalences) is not null)
            .OrderByDescending(a => a.Count)
            .ToList();

        // Rather the arrangement that exists than a new one with a longer key, unless only the new one finds single rows.
        var finds = input.IsUnique(key);
        var chosen = arranged.Where(a => a.Count >= key.Count || input.IsUnique(a) == finds).Select(a => (ValueArray<MirScalarExpr>?)a).FirstOrDefault() ?? key;
        return (
            new JoinStep(i, chosen),
            new StepRank(finds, chosen.Count > 0, input.Arrangements.Contains(chosen), input.Filters, chosen.Count, -i));
    }

    /// <summary>How good a lookup is; greater is better, earlier parts weigh more.</summary>
    private readonly record struct StepRank(bool IsUnique, bool HasKey, bool IsArranged, int Filters, int KeyLength, int Position) : IComparable<StepRank>
    {
        public int CompareTo(StepRank other) =>
            (IsUnique, HasKey, IsArranged, Filters, KeyLength, Position).CompareTo(
                (other.IsUnique, other.HasKey, other.IsArranged, other.Filters, other.KeyLength, other.Position));
    }

    /// <summary>What matters of an input.</summary>
    private sealed class JoinInput
    {
        private readonly RelationType _type;

        public JoinInput(MirRelationExpr expr, IIndexOracle indexes)
        {
            _type = expr.TypeOf();
            var arranged = new List<ValueArray<MirScalarExpr>>();
            if (expr is MirRelationExpr.ArrangeBy by)
            {
                arranged.AddRange(by.Keys);
                expr = by.Input;
            }

            if (expr is MirRelationExpr.Get { Id: Id.Global global })
                arranged.AddRange(indexes.IndexesOn(global.GlobalId).Select(i => i.Key.Exprs));
            Arrangements = arranged.Distinct().ToValueArray();
            var (mfp, _) = Mfps.Extract(expr);
            Filters = mfp.Predicates.Sum(p => Weight(p.Expr));
        }

        public ValueArray<ValueArray<MirScalarExpr>> Arrangements { get; }

        public bool IsArranged => !Arrangements.IsEmpty;

        /// <summary>How selective its filters look: an equality with a literal counts most.</summary>
        public int Filters { get; }

        public bool IsUnique(ValueArray<MirScalarExpr> key) =>
            _type.Keys.Any(k => k.All(c => key.Any(e => e is MirScalarExpr.Column column && column.Index == c)));

        private static int Weight(MirScalarExpr predicate) => predicate switch
        {
            MirScalarExpr.Call c when c.Func == ScalarFunctions.Eq && c.Args.Any(a => a.IsLiteral()) => 100,
            MirScalarExpr.Call c when c.Func == ScalarFunctions.Not && c.Args[0].IsCallOf(ScalarFunctions.IsNull) => 1,
            MirScalarExpr.Call c when c.Func == ScalarFunctions.IsNull => 20,
            MirScalarExpr.Call c when c.Args.Any(a => a.IsLiteral()) => 10,
            _ => 5,
        };
    }
}
