// Recursion. The transforms know plans without it, and most laws they apply would be wrong across the definition of a recursive
// collection: what stands for it means another round's contents before its definition than after it, so it must not be replaced by
// its value, nor may what is known of its value be assumed of it. So a plan with recursion is cut into parts without: each
// recursive value, what is bound around them, and the body. In a part, a collection of another part is a leaf of which nothing is
// known but its columns. Each part is optimised by itself, and the plan is put together again.

using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Optimises plans with <see cref="MirRelationExpr.LetRec"/>.</summary>
internal static class Recursion
{
    public static bool Contains(MirRelationExpr plan) => plan is MirRelationExpr.LetRec || plan.Children.Any(Contains);

    /// <param name="optimize">Optimises a part; told whether it is inside a recursion.</param>
    public static MirRelationExpr Optimize(MirRelationExpr plan, Func<MirRelationExpr, bool, MirRelationExpr> optimize)
    {
        var block = new Cutter().Cut(plan, new Dictionary<int, int>());
        var result = Assemble(block, inLoop: false, optimize);
        return new Renumbering().Apply(result, new Dictionary<int, int>());
    }

    /// <summary>Bindings, in order, and what they are for.</summary>
    private sealed record Block(List<Step> Steps, MirRelationExpr Body);

    private abstract record Step
    {
        public sealed record Let(int Id, MirRelationExpr Value) : Step;

        public sealed record Rec(ValueArray<RecursiveBinding> Declared, List<Block> Values) : Step;
    }

    /// <summary>A leaf of a part that stands for a collection of another.</summary>
    private static GlobalId Leaf(int id) => new(GlobalIdSpace.Explain, (ulong)id + 1);

    private static int? LeafOf(MirRelationExpr expr) =>
        expr is MirRelationExpr.Get { Id: Id.Global { GlobalId: { Space: GlobalIdSpace.Explain, Number: > 0 } id } } ? (int)id.Number - 1 : null;

    private static MirRelationExpr Assemble(Block block, bool inLoop, Func<MirRelationExpr, bool, MirRelationExpr> optimize)
    {
        var (steps, body) = (block.Steps.SelectMany(Unrecursive).ToList(), block.Body);

        // From the last to the first, so that what only unused ones used is seen to be unused.
        for (var i = steps.Count - 1; i >= 0; i--)
        {
            if (steps[i] is Step.Rec rec)
            {
                if (!rec.Declared.Any(b => Uses(steps.Skip(i + 1), body, b.LocalId) > 0))
                    steps.RemoveAt(i);
                continue;
            }

            var let = (Step.Let)steps[i];
            var uses = Uses(steps.Skip(i + 1), body, let.Id);
            var inRecursion = steps.Skip(i + 1).OfType<Step.Rec>().Any(r => r.Values.Any(v => Uses(v.Steps, v.Body, let.Id) > 0));
            if (uses > 1 || inRecursion)
                continue;
            steps.RemoveAt(i);
            if (uses == 0)
                continue;
            for (var j = i; j < steps.Count; j++)
            {
                if (steps[j] is Step.Let later)
                    steps[j] = later with { Value = Inline(later.Value, let) };
            }

            body = Inline(body, let);
        }

        var result = optimize(body, inLoop);
        for (var i = steps.Count - 1; i >= 0; i--)
        {
            result = steps[i] switch
            {
                Step.Let x => new MirRelationExpr.Let(Outside(x.Id), optimize(x.Value, inLoop), result),
                Step.Rec x => new MirRelationExpr.LetRec(
                    x.Declared.Select((b, v) => b with { LocalId = Outside(b.LocalId), Value = Assemble(x.Values[v], true, optimize) }).ToValueArray(), result),
                _ => throw new System.Diagnostics.UnreachableException(),
            };
        }

        return result;
    }

    /// <summary>
    /// What is at the start of a recursion and depends on nothing of it is the same in all rounds; what is at its end and nothing of it depends on
    /// is wanted of the last round only. Both are plain bindings, before and after it.
    /// </summary>
    private static IEnumerable<Step> Unrecursive(Step step)
    {
        if (step is not Step.Rec rec)
            return [step];
        var ids = rec.Declared.Select(b => b.LocalId);
        int UsesOf(int value, int id) => Uses(rec.Values[value].Steps, rec.Values[value].Body, id);
        var (first, last) = (0, ids.Count);
        while (first < last && ids.All(id => rec.Declared[first].LocalId > id || UsesOf(first, id) == 0))
            first++;
        while (last > first && Enumerable.Range(first, last - first).All(v => UsesOf(v, ids[last - 1]) == 0))
            last--;
        IEnumerable<Step> Plain(int from, int to) => Enumerable.Range(from, to - from).SelectMany(i => (IEnumerable<Step>)
            [.. rec.Values[i].Steps.SelectMany(Unrecursive), new Step.Let(rec.Declared[i].LocalId, rec.Values[i].Body)]);
        return
        [
            .. Plain(0, first),
            .. first < last ? [new Step.Rec(rec.Declared.Skip(first).Take(last - first).ToValueArray(), rec.Values[first..last])] : Array.Empty<Step>(),
            .. Plain(last, ids.Count),
        ];
    }

    /// <summary>Local ids of bindings between parts, apart from those that parts give to their own until all are numbered anew.</summary>
    private static int Outside(int id) => -1 - id;

    private static int Uses(IEnumerable<Step> steps, MirRelationExpr body, int id) => steps.Sum(s => s switch
    {
        Step.Let x => Uses(x.Value, id),
        Step.Rec x => x.Values.Sum(v => Uses(v.Steps, v.Body, id)),
        _ => 0,
    }) + Uses(body, id);

    private static int Uses(MirRelationExpr expr, int id) => LeafOf(expr) is { } leaf ? (leaf == id ? 1 : 0) : expr.Children.Sum(c => Uses(c, id));

    private static MirRelationExpr Inline(MirRelationExpr expr, Step.Let let) =>
        LeafOf(expr) is { } leaf ? (leaf == let.Id ? let.Value : expr) : expr.Rebuild(c => Inline(c, let));

    /// <summary>Takes a plan apart. Bindings get ids that are unique in the whole plan.</summary>
    private sealed class Cutter
    {
        private int _next;

        /// <param name="scope">For each binding in sight, by its id in the plan, its new id.</param>
        public Block Cut(MirRelationExpr plan, Dictionary<int, int> scope)
        {
            var steps = new List<Step>();
            return new Block(steps, Hoist(plan, scope, steps));
        }

        private MirRelationExpr Hoist(MirRelationExpr expr, Dictionary<int, int> scope, List<Step> steps)
        {
            switch (expr)
            {
                case MirRelationExpr.Get { Id: Id.Local local } get:
                    return scope.TryGetValue(local.Number, out var id) ? get with { Id = new Id.Global(Leaf(id)) } : get;
                case MirRelationExpr.LetRec x:
                    var inner = new Dictionary<int, int>(scope);
                    foreach (var binding in x.Bindings)
                        inner[binding.LocalId] = _next++;
                    var values = x.Bindings.Select(b => Cut(b.Value, inner)).AsEnumerable().ToList();
                    steps.Add(new Step.Rec(x.Bindings.Select(b => b with { LocalId = inner[b.LocalId] }), values));
                    return Hoist(x.Body, inner, steps);
                case MirRelationExpr.Let x when Contains(x):
                    var value = Hoist(x.Value, scope, steps);
                    var bound = new Dictionary<int, int>(scope) { [x.LocalId] = _next++ };
                    steps.Add(new Step.Let(bound[x.LocalId], value));
                    return Hoist(x.Body, bound, steps);
                case MirRelationExpr.Let x:
                    // Stays in its part, where its name is its own.
                    var hidden = new Dictionary<int, int>(scope);
                    hidden.Remove(x.LocalId);
                    return x with { Value = Hoist(x.Value, scope, steps), Body = Hoist(x.Body, hidden, steps) };
                default:
                    return expr.Rebuild(c => Hoist(c, scope, steps));
            }
        }
    }

    /// <summary>Numbers all bindings from 0, in the order in which EXPLAIN shows them.</summary>
    private sealed class Renumbering
    {
        private int _next;

        public MirRelationExpr Apply(MirRelationExpr expr, Dictionary<int, int> scope)
        {
            switch (expr)
            {
                case MirRelationExpr.Get get when LeafOf(get) is { } leaf:
                    return get with { Id = new Id.Local(scope[Outside(leaf)]) };
                case MirRelationExpr.Get { Id: Id.Local local } get:
                    return get with { Id = new Id.Local(scope[local.Number]) };
                case MirRelationExpr.Let x:
                    var value = Apply(x.Value, scope);
                    var id = _next++;
                    return new MirRelationExpr.Let(id, value, Apply(x.Body, new Dictionary<int, int>(scope) { [x.LocalId] = id }));
                case MirRelationExpr.LetRec x:
                    var inner = new Dictionary<int, int>(scope);
                    foreach (var binding in x.Bindings)
                        inner[binding.LocalId] = _next++;
                    return new MirRelationExpr.LetRec(
                        x.Bindings.Select(b => b with { LocalId = inner[b.LocalId], Value = Apply(b.Value, inner) }), Apply(x.Body, inner));
                default:
                    return expr.Rebuild(c => Apply(c, scope));
            }
        }
    }
}
