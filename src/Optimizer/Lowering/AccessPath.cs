using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>How an indexed collection is read.</summary>
/// <param name="Keys">Only these keys: literals, or expressions of parameters; null: all of it.</param>
/// <param name="Mfp">What is left to apply.</param>
public sealed record AccessPath(AvailableIndex Index, ValueArray<ValueArray<MirScalarExpr>>? Keys, Mfp Mfp)
{
    /// <summary>The keys' values, in a plan without parameters.</summary>
    public ValueArray<ValueArray<Datum>>? Literals => Keys?.Select(key => key.Select(part => ((MirScalarExpr.Literal)part).Value));

    /// <summary>
    /// Prefers an index whose whole key the predicates fix to literals, the widest key first; then the one with the key
    /// <paramref name="wanted"/>; then the first.
    /// </summary>
    public static AccessPath Choose(IReadOnlyList<AvailableIndex> available, Mfp mfp, ArrangementKey? wanted)
    {
        var predicates = mfp.Predicates.Where(p => p.Before == mfp.InputArity).Select(p => p.Expr).ToList();
        foreach (var index in available.OrderByDescending(i => i.Key.Exprs.Count))
        {
            if (LiteralLookups.Find(index.Key, predicates) is { } lookup)
            {
                var rest = mfp with { Predicates = mfp.Predicates.Where(p => !lookup.Consumed.Contains(p.Expr)).ToValueArray() };
                return new AccessPath(index, lookup.Keys, rest);
            }
        }

        return new AccessPath(available.FirstOrDefault(i => i.Key == wanted) ?? available[0], null, mfp);
    }
}
