using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Sql;

/// <summary>
/// In a filter only true counts, so <c>x IN (query)</c> (an ANY aggregate over <c>x = c</c>) is a question of existence. Law: the
/// conjunction of the results is true exactly when the predicate is.
/// </summary>
internal static class ExistencePredicates
{
    public static IEnumerable<HirScalarExpr> Rewrite(HirScalarExpr predicate)
    {
        switch (predicate)
        {
            // Some row makes it true.
            case HirScalarExpr.Select { Query: var query } when Match(query, AggregateFunc.Any) is var (input, arg):
                return [new HirScalarExpr.Exists(new HirRelationExpr.Filter(input, [arg]))];

            // No row makes it anything but true.
            case HirScalarExpr.Select { Query: var query } when Match(query, AggregateFunc.All) is var (input, arg):
                return [NotExists(new HirRelationExpr.Filter(input, [arg.Type.IsNullable ? Not(IsTrue(arg)) : Not(arg)]))];

            // No row makes it anything but false.
            case HirScalarExpr.Call { Args: [HirScalarExpr.Select { Query: var query }] } call
                when call.Func == ScalarFunctions.Not && Match(query, AggregateFunc.Any) is var (input, arg):
                return NotAny(input, arg);
            case HirScalarExpr.Call { Args: [HirScalarExpr.Call { Args: [var inner] } twice] } call
                when call.Func == ScalarFunctions.Not && twice.Func == ScalarFunctions.Not:
                return Rewrite(inner);
            default:
                return [predicate];
        }
    }

    private static IEnumerable<HirScalarExpr> NotAny(HirRelationExpr input, HirScalarExpr arg)
    {
        if (!arg.Type.IsNullable)
            return [NotExists(new HirRelationExpr.Filter(input, [arg]))];

        // x NOT IN S, where x is from outside and c of S: S is empty, or neither x nor any c is null and none is equal.
        // Three questions that are equations, instead of one that compares each x with each c.
        if (arg is HirScalarExpr.Call { Args: [var x, var c] } equation && equation.Func == ScalarFunctions.Eq && IsOuter(x) && IsInner(c))
        {
            List<HirScalarExpr> all = [NotExists(new HirRelationExpr.Filter(input, [arg]))];
            if (c.Type.IsNullable)
                all.Add(NotExists(new HirRelationExpr.Filter(input, [IsNull(c)])));
            if (x.Type.IsNullable)
                all.Add(Or(Not(IsNull(x.Shift(-1))), NotExists(input)));
            return all;
        }

        return [NotExists(new HirRelationExpr.Filter(input, [Not(IsFalse(arg))]))];
    }

    /// <summary>Whether all its columns are of outside the subquery it stands in.</summary>
    public static bool IsOuter(HirScalarExpr e)
    {
        var outer = !e.HasSubquery();
        e.Visit(0, (c, nesting) => outer &= c.Level > nesting);
        return outer;
    }

    /// <summary>Whether all its columns are of the subquery it stands in.</summary>
    public static bool IsInner(HirScalarExpr e)
    {
        var inner = !e.HasSubquery();
        e.Visit(0, (c, nesting) => inner &= c.Level <= nesting);
        return inner;
    }

    /// <summary>A query that is one aggregate, over all rows, of one expression.</summary>
    private static (HirRelationExpr Input, HirScalarExpr Arg)? Match(HirRelationExpr query, AggregateFunc func) =>
        query is HirRelationExpr.Reduce { GroupKey.IsEmpty: true, Aggregates: [{ Args: [var arg] } aggregate] } reduce && aggregate.Func == func
            ? (reduce.Input, arg)
            : null;

    private static HirScalarExpr NotExists(HirRelationExpr query) => Not(new HirScalarExpr.Exists(query));

    private static HirScalarExpr Not(HirScalarExpr e) => Typing.Bool(ScalarFunctions.Not, e);

    private static HirScalarExpr IsNull(HirScalarExpr e) => Typing.Bool(ScalarFunctions.IsNull, e);

    private static HirScalarExpr IsTrue(HirScalarExpr e) => Typing.Bool(ScalarFunctions.IsTrue, e);

    private static HirScalarExpr IsFalse(HirScalarExpr e) => Typing.Bool(ScalarFunctions.IsFalse, e);

    private static HirScalarExpr Or(HirScalarExpr a, HirScalarExpr b) => Typing.Bool(ScalarFunctions.Or, a, b);
}
