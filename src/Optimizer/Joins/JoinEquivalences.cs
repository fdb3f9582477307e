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

    private static int Rank(MirScalarExpr expr) => expr switch
    {
        MirScalarExpr.Literal => 0,
        MirScalarExpr.Column => 1,
        _ => 1 + expr.Size(),
    };
}
