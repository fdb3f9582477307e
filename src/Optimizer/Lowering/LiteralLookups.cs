using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// Predicates that fix every part of an index key to literals: <c>k = 1</c>, <c>k IN (1, 2)</c>, <c>(a = 1 AND b = 2) OR (a = 3 AND b = 4)</c>.
/// A literal may also be an expression of parameters, which is one as soon as they are bound.
/// </summary>
public static class LiteralLookups
{
    /// <summary>More keys than this are found faster by a scan than by planning them.</summary>
    private const int KeysMax = 1000;

    /// <summary>The keys to look up, without duplicates, and the predicates that the lookup makes superfluous; null if the key is not fixed.</summary>
    public static (ValueArray<ValueArray<MirScalarExpr>> Keys, HashSet<MirScalarExpr> Consumed)? Find(ArrangementKey key, IReadOnlyList<MirScalarExpr> predicates)
    {
        if (key.Exprs.IsEmpty)
            return null;
        foreach (var predicate in predicates)
        {
            if (WholeKeys(key, predicate) is { } rows)
                return (rows, [predicate]);
        }

        var consumed = new HashSet<MirScalarExpr>();
        List<ValueArray<MirScalarExpr>> product = [[]];
        foreach (var part in key.Exprs)
        {
            MirScalarExpr? by = null;
            List<MirScalarExpr>? fewest = null;
            foreach (var predicate in predicates)
            {
                if (Values(part, predicate) is { } values && (fewest is null || values.Count < fewest.Count))
                    (by, fewest) = (predicate, values);
            }

            if (fewest is null || product.Count * fewest.Count > KeysMax)
                return null;
            consumed.Add(by!);
            product = [.. product.SelectMany(row => fewest.Select(v => row.Add(v)))];
        }

        return (product.ToValueArray(), consumed);
    }

    /// <summary>The literals that <paramref name="predicate"/> allows <paramref name="part"/> to be; null if it says something else.</summary>
    private static List<MirScalarExpr>? Values(MirScalarExpr part, MirScalarExpr predicate)
    {
        var values = new List<MirScalarExpr>();
        var disjuncts = predicate.Disjuncts().ToList();
        foreach (var disjunct in disjuncts)
        {
            if (EqualLiteral(part, disjunct) is not { } literal || (disjuncts.Count > 1 && !HasPlainEquality(KindOf(literal))))
                return null;
            if (!values.Exists(v => IsSame(v, literal)))
                values.Add(literal);
        }

        return values;
    }

    /// <summary>For a disjunction of conjunctions that each fix the whole key and say no more.</summary>
    private static ValueArray<ValueArray<MirScalarExpr>>? WholeKeys(ArrangementKey key, MirScalarExpr predicate)
    {
        var disjuncts = predicate.Disjuncts().ToList();
        if (key.Exprs.Count < 2 || disjuncts.Count < 2 || disjuncts.Count > KeysMax)
            return null;
        var rows = new List<ValueArray<MirScalarExpr>>();
        foreach (var disjunct in disjuncts)
        {
            var conjuncts = disjunct.Conjuncts().ToList();
            if (conjuncts.Count != key.Exprs.Count)
                return null;
            var row = key.Exprs.Select(part => conjuncts.Select(c => EqualLiteral(part, c)).FirstOrDefault(l => l is not null));
            if (row.Any(l => l is null || !HasPlainEquality(KindOf(l))))
                return null;
            var literals = row.Select(l => l!);
            if (!rows.Exists(r => r.Zip(literals, IsSame).All(same => same)))
                rows.Add(literals);
        }

        return rows.ToValueArray();
    }

    /// <summary>Whether equal values are equal datums, so that a key named twice is seen to be one.</summary>
    private static bool HasPlainEquality(ScalarKind kind) => kind is not (ScalarKind.Bytes or ScalarKind.Jsonb or ScalarKind.Interval
        or ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Record or ScalarKind.Range);

    private static bool IsSame(MirScalarExpr a, MirScalarExpr b) =>
        a is MirScalarExpr.Literal x && b is MirScalarExpr.Literal y ? x.Value.Equals(y.Value) : a == b;

    private static ScalarKind KindOf(MirScalarExpr literal) => literal.TypeOf([]).Type.Kind;

    private static MirScalarExpr? EqualLiteral(MirScalarExpr part, MirScalarExpr predicate)
    {
        if (predicate is not MirScalarExpr.Call call || call.Func != ScalarFunctions.Eq)
            return null;
        var literal = call.Args[0] == part ? call.Args[1] : call.Args[1] == part ? call.Args[0] : null;
        return literal is MirScalarExpr.Literal { Value.IsNull: false } || (literal is not null && IsOfParameters(literal)) ? literal : null;
    }

    /// <summary>Whether binding the parameters makes a value of it.</summary>
    private static bool IsOfParameters(MirScalarExpr expr) =>
        expr.Any(e => e is MirScalarExpr.Parameter)
        && !expr.Any(e => e is MirScalarExpr.Column or MirScalarExpr.CallUnmaterializable || (e is MirScalarExpr.Call call && !ConstantFolding.CanFold(call)));
}
