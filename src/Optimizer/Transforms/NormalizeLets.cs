using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>let l = v in b</c> = b with v for l. All Lets come to the root, numbered in order; values that are equal, unused, used once, or no
/// more than a map, filter and project of another Get are not bound. Gets take the type that their value has now.
/// </summary>
public sealed class NormalizeLets : ITransform
{
    public string Name => "normalize_lets";

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context)
    {
        if (!HasLet(plan))
            return plan;
        var bindings = new List<MirRelationExpr>();
        var bound = new Dictionary<MirRelationExpr, int>();
        var body = Hoist(plan, new Dictionary<int, int>(), bindings, bound);

        var uses = new int[bindings.Count];
        Count(body, uses);
        for (var i = bindings.Count - 1; i >= 0; i--)
        {
            if (uses[i] > 0)
                Count(bindings[i], uses);
        }

        // In order, so that a value's own Gets are already final.
        var values = new MirRelationExpr[bindings.Count];
        var kept = new List<int>();
        for (var i = 0; i < bindings.Count; i++)
        {
            if (uses[i] == 0)
                continue;
            var value = Inline(bindings[i], values);
            if (uses[i] == 1 || IsTrivial(value))
            {
                values[i] = value;
            }
            else
            {
                values[i] = new MirRelationExpr.Get(new Id.Local(kept.Count), value.TypeOf());
                bindings[i] = value;
                kept.Add(i);
            }
        }

        var result = Inline(body, values);
        for (var k = kept.Count - 1; k >= 0; k--)
            result = new MirRelationExpr.Let(k, bindings[kept[k]], result);
        return result;
    }

    private static bool HasLet(MirRelationExpr expr) => expr is MirRelationExpr.Let || expr.Children.Any(HasLet);

    /// <summary>The expression without Lets; local ids are now indexes into <paramref name="bindings"/>.</summary>
    private static MirRelationExpr Hoist(
        MirRelationExpr expr, Dictionary<int, int> scope, List<MirRelationExpr> bindings, Dictionary<MirRelationExpr, int> bound)
    {
        switch (expr)
        {
            case MirRelationExpr.Get { Id: Id.Local local } get:
                return get with { Id = new Id.Local(scope[local.Number]) };
            case MirRelationExpr.Let let:
                var value = Hoist(let.Value, scope, bindings, bound);
                if (!bound.TryGetValue(value, out var index))
                {
                    index = bindings.Count;
                    bindings.Add(value);
                    bound.Add(value, index);
                }

                return Hoist(let.Body, new Dictionary<int, int>(scope) { [let.LocalId] = index }, bindings, bound);
            default:
                return expr.Rebuild(input => Hoist(input, scope, bindings, bound));
        }
    }

    private static void Count(MirRelationExpr expr, int[] uses)
    {
        if (expr is MirRelationExpr.Get { Id: Id.Local local })
            uses[local.Number]++;
        foreach (var child in expr.Children)
            Count(child, uses);
    }

    private static MirRelationExpr Inline(MirRelationExpr expr, MirRelationExpr[] values) =>
        expr is MirRelationExpr.Get { Id: Id.Local local } ? values[local.Number] : expr.Rebuild(input => Inline(input, values));

    /// <summary>Computing it again costs no more than passing it on.</summary>
    private static bool IsTrivial(MirRelationExpr value)
    {
        var (_, input) = Mfps.Extract(value);
        return input is MirRelationExpr.Get || input is MirRelationExpr.Constant { Rows.Count: <= 1 };
    }
}
