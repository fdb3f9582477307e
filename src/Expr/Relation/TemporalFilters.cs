using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>A predicate <c>mz_now() ⋛ bound</c>, as the times it lets a row be present.</summary>
/// <param name="Before">As in <see cref="MfpPredicate.Before"/>.</param>
/// <param name="Bound">Of type mz_timestamp; null means never.</param>
/// <param name="IsLower">True: present from the bound on; false: until before it.</param>
/// <param name="PlusOne">The bound itself is on the other side.</param>
public sealed record TemporalBound(int Before, MirScalarExpr Bound, bool IsLower, bool PlusOne);

/// <summary>Tells temporal predicates, which bound a row's times, from the others, which keep or drop it.</summary>
public static class TemporalFilters
{
    private static readonly MirScalarExpr Now = new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.MzNow);

    /// <summary>Whether <paramref name="expr"/> mentions <c>mz_now()</c>.</summary>
    public static bool MentionsNow(MirScalarExpr expr) => expr == Now || expr.Children.Any(MentionsNow);

    /// <summary>The bounds that a predicate stands for: a comparison of <c>mz_now()</c> with an expression without it.</summary>
    /// <returns>Null if it mentions <c>mz_now()</c> in any other way.</returns>
    public static IReadOnlyList<TemporalBound>? Bounds(MfpPredicate predicate)
    {
        if (predicate.Expr is not MirScalarExpr.Call { Args.Count: 2 } call)
            return null;
        var (left, right) = (call.Args[0], call.Args[1]);
        var flipped = right == Now;
        if ((left == Now) == flipped || MentionsNow(flipped ? left : right))
            return null;
        var bound = flipped ? left : right;
        var id = (call.Func.Id, flipped) switch
        {
            ("lt", true) => "gt",
            ("lte", true) => "gte",
            ("gt", true) => "lt",
            ("gte", true) => "lte",
            var (other, _) => other,
        };
        return id switch
        {
            "lt" => [Upper(false)],
            "lte" => [Upper(true)],
            "gt" => [Lower(true)],
            "gte" => [Lower(false)],
            "eq" => [Lower(false), Upper(true)],
            _ => null,
        };

        TemporalBound Lower(bool plusOne) => new(predicate.Before, bound, true, plusOne);

        TemporalBound Upper(bool plusOne) => new(predicate.Before, bound, false, plusOne);
    }

    /// <summary>Splits the predicates of an Mfp.</summary>
    /// <exception cref="EvalException">A predicate mentions <c>mz_now()</c> in a way that bounds no times (SQLSTATE 0A000).</exception>
    public static (ValueArray<MfpPredicate> Plain, ValueArray<TemporalBound> Bounds) Split(Mfp mfp)
    {
        var plain = new List<MfpPredicate>();
        var bounds = new List<TemporalBound>();
        foreach (var predicate in mfp.Predicates)
        {
            if (!MentionsNow(predicate.Expr))
                plain.Add(predicate);
            else if (Bounds(predicate) is { } found)
                bounds.AddRange(found);
            else
                throw new EvalException(new EvalError("0A000", "unsupported temporal predicate") { Hint = "mz_now() must be directly compared to a non-temporal expression of type mz_timestamp." });
        }

        return (plain.ToValueArray(), bounds.ToValueArray());
    }
}
