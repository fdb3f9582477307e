using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Columns that nothing reads are dropped where they arise: <c>project[c](f(a)) = project[c'](f(project[d](a)))</c> with d what f needs for c.</summary>
public sealed class ProjectionPushdown : ITransform
{
    public string Name => "projection_pushdown";

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context)
    {
        var demands = new Dictionary<int, SortedSet<int>>();
        return PushLets(plan, ValueArray.Range(plan.Arity()), demands);
    }

    /// <summary>The Lets of a normalised plan are at its root: the body first, so that each value knows what all its readers need.</summary>
    private static MirRelationExpr PushLets(MirRelationExpr expr, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        if (expr is not MirRelationExpr.Let let)
            return Push(expr, outputs, demands);
        var body = PushLets(let.Body, outputs, demands);
        if (!demands.TryGetValue(let.LocalId, out var demand))
            return body;
        var kept = demand.ToValueArray();
        demands.Remove(let.LocalId);
        var value = PushLets(let.Value, kept, demands);
        var type = value.TypeOf();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        return new MirRelationExpr.Let(let.LocalId, value, kept.Count == let.Value.Arity() ? body : Narrow(body));

        MirRelationExpr Narrow(MirRelationExpr e) => e switch
        {
            MirRelationExpr.Let inner when inner.LocalId == let.LocalId => inner with { Value = Narrow(inner.Value) },
            MirRelationExpr.Project { Input: MirRelationExpr.Get { Id: Id.Local l } get } p when l.Number == let.LocalId =>
                new MirRelationExpr.Project(get with { Type = type }, p.Outputs.Select(c => place[c])),
            _ => e.MapInputs(Narrow),
        };
    }

    /// <summary>A relation of exactly these columns of <paramref name="expr"/>, in this order.</summary>
    private static MirRelationExpr Push(MirRelationExpr expr, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        switch (expr)
        {
            case MirRelationExpr.Project x:
                return Push(x.Input, outputs.Select(o => x.Outputs[o]), demands);
            case MirRelationExpr.Get { Id: Id.Local local }:
                if (!demands.TryGetValue(local.Number, out var demand))
                    demands.Add(local.Number, demand = []);
                demand.UnionWith(outputs);
                return new MirRelationExpr.Project(expr, outputs);
            case MirRelationExpr.Get:
                return Project(expr, outputs);
            case MirRelationExpr.Let x:
                // Not at the root: only before Lets are normalised.
                return Project(x with { Value = Push(x.Value, All(x.Value), demands), Body = Push(x.Body, All(x.Body), demands) }, outputs);
            case MirRelationExpr.Constant x:
                return x.Error is null && outputs.All(o => o >= 0)
                    ? new MirRelationExpr.Constant(
                        x.Rows.Select(r => r with { Values = outputs.Select(o => r.Values[o]) }),
                        new RelationType(outputs.Select(o => x.Type.Columns[o])))
                    : new MirRelationExpr.Constant(x.Rows, new RelationType(outputs.Select(o => x.Type.Columns[o])), x.Error);
            case MirRelationExpr.Map x:
                return PushMap(x, outputs, demands);
            case MirRelationExpr.Filter x:
                return Narrow(x, outputs, x.Predicates, (input, place) => new MirRelationExpr.Filter(input, x.Predicates.Select(p => p.Permute(place))), demands);
            case MirRelationExpr.FlatMap x:
                return PushFlatMap(x, outputs, demands);
            case MirRelationExpr.Join x:
                return PushJoin(x, outputs, demands);
            case MirRelationExpr.Reduce x:
                return PushReduce(x, outputs, demands);
            case MirRelationExpr.TopK x:
                return PushTopK(x, outputs, demands);
            case MirRelationExpr.Window x:
                return PushWindow(x, outputs, demands);
            case MirRelationExpr.Negate or MirRelationExpr.Union:
                return expr.MapInputs(input => Push(input, outputs, demands));
            case MirRelationExpr.Threshold or MirRelationExpr.ArrangeBy:
                // What rows are equal, and what is indexed, depends on all columns.
                return Project(expr.MapInputs(input => Push(input, All(input), demands)), outputs);
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    private static ValueArray<int> All(MirRelationExpr expr) => ValueArray.Range(expr.Arity());

    private static MirRelationExpr Project(MirRelationExpr expr, ValueArray<int> outputs) =>
        outputs == All(expr) ? expr : new MirRelationExpr.Project(expr, outputs);

    /// <summary>For a node whose columns are its input's: the input keeps what is read or shown.</summary>
    private static MirRelationExpr Narrow(
        MirRelationExpr node,
        ValueArray<int> outputs,
        IEnumerable<MirScalarExpr> read,
        Func<MirRelationExpr, Func<int, int>, MirRelationExpr> rebuild,
        Dictionary<int, SortedSet<int>> demands)
    {
        var demand = new SortedSet<int>(outputs);
        foreach (var scalar in read)
            scalar.AddSupport(demand);
        var kept = demand.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var narrowed = rebuild(Push(node.Children.First(), kept, demands), c => place[c]);
        return Project(narrowed, outputs.Select(o => place[o]));
    }

    private static MirRelationExpr PushMap(MirRelationExpr.Map x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        var arity = x.Input.Arity();
        var demand = new SortedSet<int>(outputs);
        for (var i = x.Scalars.Count - 1; i >= 0; i--)
        {
            if (demand.Contains(arity + i))
                x.Scalars[i].AddSupport(demand);
        }

        var kept = demand.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var input = Push(x.Input, kept.Where(c => c < arity).ToValueArray(), demands);
        var scalars = kept.Where(c => c >= arity).Select(c => x.Scalars[c - arity].Permute(i => place[i])).ToValueArray();
        return Project(scalars.IsEmpty ? input : new MirRelationExpr.Map(input, scalars), outputs.Select(o => place[o]));
    }

    private static MirRelationExpr PushFlatMap(MirRelationExpr.FlatMap x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        var arity = x.Input.Arity();
        var demand = new SortedSet<int>(outputs.Where(o => o < arity));
        foreach (var arg in x.Args)
            arg.AddSupport(demand);
        var kept = demand.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var narrowed = x with { Input = Push(x.Input, kept, demands), Args = x.Args.Select(a => a.Permute(c => place[c])) };
        return Project(narrowed, outputs.Select(o => o < arity ? place[o] : o - arity + kept.Count));
    }

    private static MirRelationExpr PushJoin(MirRelationExpr.Join x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        var shape = new JoinShape(x);
        var demand = new SortedSet<int>(outputs);
        foreach (var member in x.Equivalences.SelectMany(c => c))
            member.AddSupport(demand);
        var kept = demand.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var inputs = x.Inputs
            .Select((input, i) => Push(input, kept.Where(c => shape.InputOf(c) == i).Select(c => c - shape.Offsets[i]).ToValueArray(), demands))
            .ToValueArray();
        var narrowed = new MirRelationExpr.Join(inputs, x.Equivalences.Select(c => c.Select(m => m.Permute(i => place[i]))));
        return Project(narrowed, outputs.Select(o => place[o]));
    }

    private static MirRelationExpr PushReduce(MirRelationExpr.Reduce x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        var keys = x.GroupKey.Count;
        var aggregates = outputs.Where(o => o >= keys).Distinct().Order().ToList();
        var demand = new SortedSet<int>();
        foreach (var scalar in x.GroupKey.Concat(aggregates.Select(a => x.Aggregates[a - keys]).SelectMany(a => a.Args.Concat(a.OrderKeys))))
            scalar.AddSupport(demand);
        var kept = demand.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var narrowed = (MirRelationExpr.Reduce)MirScalars.MapScalars(
            x with { Aggregates = aggregates.Select(a => x.Aggregates[a - keys]).ToValueArray() },
            s => s.Permute(c => place[c]));
        return Project(
            narrowed with { Input = Push(x.Input, kept, demands) },
            outputs.Select(o => o < keys ? o : keys + aggregates.IndexOf(o)));
    }

    /// <summary>Calls that nobody reads go; columns too, unless they decide among peers and that matters (see <see cref="PushTopK"/>).</summary>
    private static MirRelationExpr PushWindow(MirRelationExpr.Window x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        var arity = x.Input.Arity();
        var calls = Enumerable.Range(0, x.Calls.Count).Where(i => outputs.Contains(arity + i)).ToValueArray();
        if (calls.IsEmpty)
            return Push(x.Input, outputs, demands);
        var needed = new SortedSet<int>([
            .. outputs.Where(o => o < arity), .. x.PartitionKey, .. x.OrderKey.Select(o => o.Column), .. calls.SelectMany(i => x.Calls[i].Columns)]);
        if (calls.Any(i => x.Calls[i].SeesOrderOfPeers)
            && !x.Input.TypeOf().Keys.Any(key => key.All(c => x.PartitionKey.Contains(c) || x.OrderKey.Any(o => o.Column == c))))
        {
            needed.UnionWith(All(x.Input));
        }

        var kept = needed.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var narrowed = new MirRelationExpr.Window(
            Push(x.Input, kept, demands),
            x.PartitionKey.Select(c => place[c]),
            x.OrderKey.Select(o => o with { Column = place[o.Column] }),
            calls.Select(i => x.Calls[i].MapColumns(c => place[c])));
        return Project(narrowed, outputs.Select(o => o < arity ? place[o] : kept.Count + calls.AsSpan().IndexOf(o - arity)));
    }

    private static MirRelationExpr PushTopK(MirRelationExpr.TopK x, ValueArray<int> outputs, Dictionary<int, SortedSet<int>> demands)
    {
        // Ties are broken by the whole row: a column may be dropped only if the rest decides, as a key does, which rows come first.
        var needed = new SortedSet<int>(outputs.Concat(x.GroupKey).Concat(x.OrderKey.Select(o => o.Column)));
        x.Limit?.AddSupport(needed);
        if (!x.Input.TypeOf().Keys.Any(key => key.All(c => x.GroupKey.Contains(c) || x.OrderKey.Any(o => o.Column == c))))
            needed.UnionWith(All(x.Input));
        var kept = needed.ToValueArray();
        var place = Enumerable.Range(0, kept.Count).ToDictionary(i => kept[i]);
        var narrowed = x with
        {
            Input = Push(x.Input, kept, demands),
            GroupKey = x.GroupKey.Select(c => place[c]),
            OrderKey = x.OrderKey.Select(o => o with { Column = place[o.Column] }),
            Limit = x.Limit?.Permute(c => place[c]),
        };
        return Project(narrowed, outputs.Select(o => place[o]));
    }
}
