using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Classes of expressions that a join makes equal.</summary>
public static class JoinEquivalences
{
    /// <summary>
    /// The same conditions in canonical form: classes that share a member are one, members are distinct, simple members first;
    /// <c>[true, a = b]</c> is the class <c>[a, b]</c>. A class of one column that cannot be null says nothing and is gone.
    /// </summary>
    /// <param name="isNullable">Whether an expression may be null.</param>
    public static ValueArray<ValueArray<MirScalarExpr>> Canonicalize(
        IEnumerable<ValueArray<MirScalarExpr>> equivalences, Func<MirScalarExpr, bool> isNullable)
    {
        var classes = equivalences.Select(c => c.Distinct().ToList()).ToList();
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var members in classes.ToList())
            {
                if (!members.Any(m => m.IsLiteralTrue()))
                    continue;
                foreach (var equality in members.OfType<MirScalarExpr.Call>().Where(c => c.Func == ScalarFunctions.Eq).ToList())
                {
                    members.Remove(equality);
                    classes.Add([.. equality.Args.Distinct()]);
                    changed = true;
                }
            }

            for (var i = 0; i < classes.Count; i++)
            {
                for (var j = classes.Count - 1; j > i; j--)
                {
                    if (!classes[i].Intersect(classes[j]).Any())
                        continue;
                    classes[i] = [.. classes[i].Union(classes[j])];
                    classes.RemoveAt(j);
                    changed = true;
                }
            }
        }

        return classes
            .Where(c => c.Count > 1 || (c.Count == 1 && isNullable(c[0])))
            .Select(c => c.OrderBy(Rank).ThenBy(m => m is MirScalarExpr.Column column ? column.Index : 0).ToValueArray())
            .OrderBy(c => c[0] is MirScalarExpr.Column first ? first.Index : int.MaxValue)
            .ToValueArray();
    }

    /// <summary>
    /// Whether the classes match one column with the other: as equal values, or so that null matches null too, which is said in the two
    /// classes <c>[a is null, b is null]</c> and <c>[coalesce(a, v), coalesce(b, v)]</c>, or in <c>[row(a), row(b)]</c>.
    /// </summary>
    public static bool Match(ValueArray<ValueArray<MirScalarExpr>> equivalences, int a, int b)
    {
        var (columnA, columnB) = (ScalarExprs.Column(a), ScalarExprs.Column(b));
        return Have((one, other) => one == columnA && other == columnB)
            || Have((one, other) => IsOver(one, ScalarFunctions.RecordCreate, columnA) && IsOver(other, ScalarFunctions.RecordCreate, columnB))
            || (Have((one, other) => IsOver(one, ScalarFunctions.IsNull, columnA) && IsOver(other, ScalarFunctions.IsNull, columnB))
                && Have((one, other) => IsOver(one, ScalarFunctions.Coalesce, columnA) && IsOver(other, ScalarFunctions.Coalesce, columnB)
                    && one is MirScalarExpr.Call { Args: [_, MirScalarExpr.Literal v] } && other is MirScalarExpr.Call { Args: [_, MirScalarExpr.Literal w] } && v == w));

        bool Have(Func<MirScalarExpr, MirScalarExpr, bool> says) => equivalences.Any(members => members.Any(one => members.Any(other => says(one, other))));

        static bool IsOver(MirScalarExpr expr, ScalarFunc func, MirScalarExpr column) => expr is MirScalarExpr.Call call && call.Func == func && call.Args[0] == column
            && (func == ScalarFunctions.Coalesce || call.Args.Count == 1);
    }

    private static int Rank(MirScalarExpr expr) => expr switch
    {
        MirScalarExpr.Literal => 0,
        MirScalarExpr.Column => 1,
        _ => 1 + expr.Size(),
    };
}
