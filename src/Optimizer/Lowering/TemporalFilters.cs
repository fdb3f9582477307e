using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// A temporal filter is a conjunct <c>mz_now() cmp e</c> or <c>e cmp mz_now()</c> with cmp one of = &lt; ≤ &gt; ≥ and <c>e</c> free of
/// <c>mz_now()</c>: it bounds the times at which a row is present. Anything else about <c>mz_now()</c> cannot be maintained.
/// </summary>
public static class TemporalFilters
{
    public static bool IsTemporal(this Mfp mfp) => mfp.Predicates.Any(p => p.Expr.ContainsMzNow()) || mfp.Maps.Any(m => m.ContainsMzNow());

    /// <exception cref="OptimizerException">0A000: <c>mz_now()</c> stands where it is not a temporal filter.</exception>
    public static void Check(Mfp mfp)
    {
        foreach (var map in mfp.Maps)
            CheckFree(map);
        foreach (var predicate in mfp.Predicates)
        {
            if (!IsTemporalFilter(predicate.Expr))
                CheckFree(predicate.Expr);
        }
    }

    /// <exception cref="OptimizerException">0A000: <c>mz_now()</c> stands where it is not a temporal filter.</exception>
    public static void CheckFree(MirScalarExpr expr)
    {
        if (expr.ContainsMzNow())
            throw OptimizerException.UnsupportedTemporal(MirPrinter.Print(expr));
    }

    public static bool IsTemporalFilter(MirScalarExpr predicate) =>
        predicate is MirScalarExpr.Call { Args.Count: 2 } call
        && (call.Func == ScalarFunctions.Eq || call.Func == ScalarFunctions.Lt || call.Func == ScalarFunctions.Lte
            || call.Func == ScalarFunctions.Gt || call.Func == ScalarFunctions.Gte)
        && ((IsMzNow(call.Args[0]) && !call.Args[1].ContainsMzNow()) || (IsMzNow(call.Args[1]) && !call.Args[0].ContainsMzNow()));

    /// <summary>
    /// The part that every operator can apply while it produces rows, and the rest, which starts with the temporal filters.
    /// </summary>
    public static (Mfp Before, Mfp? Temporal) Split(Mfp mfp)
    {
        if (!mfp.IsTemporal())
            return (mfp, null);
        Check(mfp);
        var early = mfp.Predicates.Where(p => p.Before == mfp.InputArity && !p.Expr.ContainsMzNow()).ToList();
        var rest = mfp with { Predicates = mfp.Predicates.Where(p => !early.Contains(p)).ToValueArray() };
        var demand = rest.Demand().ToValueArray();
        var before = Mfp.Identity(mfp.InputArity).Filter(early.Select(p => p.Expr)).Project(demand);
        var place = Enumerable.Range(0, demand.Count).ToDictionary(i => demand[i]);
        return (before, rest.PermuteInput(demand.Count, c => place[c]));
    }

    private static bool IsMzNow(MirScalarExpr expr) => expr is MirScalarExpr.CallUnmaterializable { Func: UnmaterializableFunc.MzNow };
}
