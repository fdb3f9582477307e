// Joins. An outer join is the inner join, and the rows of a side that found no partner, padded with nulls. Which rows found one is a
// semijoin with the distinct join keys when the condition is made of equations and one-sided predicates; else it is read off
// the inner join's own rows.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public sealed partial class HirLowering
{
    private Rel ApplyJoin(HirRelationExpr.Join join, Outer outer, int depth)
    {
        if (join.Kind == JoinKind.RightOuter)
            return ApplyJoin(Swap(join), outer, depth);

        var left = Apply(join.Left, outer, depth);
        var isCorrelated = !IsClosed(join.Right);
        if (join.Kind == JoinKind.FullOuter)
            return ApplyFullJoin(join, left, isCorrelated, outer, depth);

        if (join.Kind == JoinKind.Inner)
        {
            if (TryFlatMap(left, join.Right, outer, depth) is { } flat)
                return ApplyFilter(flat, [join.On], outer, depth);
            var product = isCorrelated
                ? Bind(left, bound => Branch(bound, outer, depth, join.Right, mayRejectNull: true, (r, _) => r))
                : Product(left, Apply(join.Right, Outer.Unit, depth + 1));
            return ApplyFilter(product, [join.On], outer, depth);
        }

        var types = JoinTypes(outer, join);
        if (isCorrelated)
        {
            return Bind(left, bound =>
            {
                var product = Branch(bound, outer, depth, join.Right, mayRejectNull: true, (r, _) => r);
                return Bind(ApplyFilter(product, [join.On], outer, depth), inner => Union(inner, PadRight(Unmatched(bound, inner, 0), inner.Columns)) with { Columns = types });
            });
        }

        var right = Apply(join.Right, Outer.Unit, depth + 1);
        return Bind(left, boundLeft => Bind(right, boundRight => OuterJoin(join, boundLeft, boundRight, 0, isFull: false, outer, depth) with { Columns = types }));
    }

    /// <summary>A table function joined to rows is applied to each of them: nothing to make distinct or to join back.</summary>
    private Rel? TryFlatMap(Rel left, HirRelationExpr right, Outer outer, int depth)
    {
        var call = right as HirRelationExpr.CallTable ?? (right as HirRelationExpr.Project)?.Input as HirRelationExpr.CallTable;
        if (call is null || call.Args.Any(a => a.HasSubquery()))
            return null;
        var place = new Place(depth, outer.Arity, outer.Map, []);
        var args = call.Args.Select(a => Scalar(a.Shift(-1), place));
        var flat = new Rel(new MirRelationExpr.FlatMap(left.Expr, call.Func, args, call.Output) { Inner = call.Inner }, [.. left.Columns, .. call.Output]);
        return right is HirRelationExpr.Project project
            ? Project(flat, [.. ValueArray.Range(left.Arity), .. project.Outputs.Select(i => left.Arity + i)])
            : flat;
    }

    private Rel ApplyFullJoin(HirRelationExpr.Join join, Rel left, bool isCorrelated, Outer outer, int depth)
    {
        // The right side must know the outer columns too: its unmatched rows are rows of each outer row.
        _ = isCorrelated;
        var right = Apply(join.Right, outer, depth + 1);
        return Bind(left, boundLeft => Bind(right, boundRight =>
            OuterJoin(join, boundLeft, boundRight, outer.Arity, isFull: true, outer, depth) with { Columns = JoinTypes(outer, join) }));
    }

    private static ValueArray<ColumnType> JoinTypes(Outer outer, HirRelationExpr.Join join) => [.. outer.Rel.Columns, .. join.Type.Columns];

    /// <summary>
    /// A left or full join of two named relations. The right one's first <paramref name="shared"/> columns are outer columns, equal to the
    /// left one's first.
    /// </summary>
    private Rel OuterJoin(HirRelationExpr.Join join, Rel left, Rel right, int shared, bool isFull, Outer outer, int depth)
    {
        // Columns of the condition: left, then right without its outer columns.
        var arity = left.Arity + right.Arity - shared;
        ValueArray<int> outputs = [.. ValueArray.Range(left.Arity), .. Enumerable.Range(left.Arity + shared, right.Arity - shared)];
        JoinCondition? condition = null;
        if (!join.On.HasSubquery())
        {
            var place = new Place(depth, outer.Arity, outer.Map, []);
            condition = JoinCondition.TrySplit(Conjuncts(join.On).Select(c => Scalar(c, place)), left.Arity, shared);
        }

        List<ValueArray<MirScalarExpr>> outerKeys = [];
        for (var i = 0; i < shared; i++)
            AddEquality(outerKeys, i, left.Arity + i, left.Columns[i], left.Columns[i].IsNullable);

        if (condition is null)
        {
            var product = Project(
                new Rel(new MirRelationExpr.Join([left.Expr, right.Expr], outerKeys.ToValueArray()), [.. left.Columns, .. right.Columns]), outputs);
            return Bind(ApplyFilter(product, [join.On], outer, depth), inner =>
            {
                var withLeft = Union(inner, PadRight(Unmatched(left, inner, 0), inner.Columns));
                if (!isFull)
                    return withLeft;
                ValueArray<int> rightColumns = [.. ValueArray.Range(shared), .. Enumerable.Range(left.Arity, right.Arity - shared)];
                return Union(withLeft, PadLeft(Unmatched(right, Project(inner, rightColumns), 0), left, right, shared));
            });
        }

        return Bind(Filter(left, condition.LeftOnly), matchableLeft => Bind(Filter(right, condition.RightOnly), matchableRight =>
        {
            ValueArray<ValueArray<MirScalarExpr>> equivalences =
            [
                .. outerKeys,
                .. condition.Pairs.Select(p => (ValueArray<MirScalarExpr>)[p.Left, Columns.Shift(p.Right, left.Arity)]),
            ];
            var joined = Project(
                new Rel(new MirRelationExpr.Join([matchableLeft.Expr, matchableRight.Expr], equivalences), [.. left.Columns, .. right.Columns]), outputs);
            var leftKeys = outerKeys.Select(k => k[0]).Concat(condition.Pairs.Select(p => p.Left)).ToValueArray();
            var rightKeys = outerKeys.Select(k => Columns.Shift(k[1], -left.Arity)).Concat(condition.Pairs.Select(p => p.Right)).ToValueArray();
            var leftMatched = KeySemiJoin(matchableLeft, leftKeys, matchableRight, rightKeys);
            var result = Union(joined, PadRight(Union(left, Negate(leftMatched)), joined.Columns));
            if (!isFull)
                return result;
            var rightMatched = KeySemiJoin(matchableRight, rightKeys, matchableLeft, leftKeys);
            return Union(result, PadLeft(Union(right, Negate(rightMatched)), left, right, shared));
        }));
    }

    /// <summary>The rows of <paramref name="input"/> whose keys occur among the other's.</summary>
    private static Rel KeySemiJoin(Rel input, ValueArray<MirScalarExpr> keys, Rel other, ValueArray<MirScalarExpr> otherKeys)
    {
        var distinct = new MirRelationExpr.Reduce(other.Expr, otherKeys, []);
        var equivalences = Enumerable.Range(0, keys.Count)
            .Select(i => (ValueArray<MirScalarExpr>)[keys[i], new MirScalarExpr.Column(input.Arity + i)]).ToValueArray();
        var join = new MirRelationExpr.Join([input.Expr, distinct], equivalences);
        return new Rel(new MirRelationExpr.Project(join, ValueArray.Range(input.Arity)), input.Columns);
    }

    /// <summary>The rows of <paramref name="side"/>, with their multiplicity, that are not among the columns of <paramref name="joined"/> from <paramref name="at"/> on.</summary>
    private static Rel Unmatched(Rel side, Rel joined, int at)
    {
        var matched = Distinct(Project(joined, Enumerable.Range(at, side.Arity).ToValueArray()));
        List<ValueArray<MirScalarExpr>> equivalences = [];
        for (var i = 0; i < side.Arity; i++)
            AddEquality(equivalences, i, side.Arity + i, side.Columns[i], side.Columns[i].IsNullable);
        var semi = new MirRelationExpr.Project(
            new MirRelationExpr.Join([side.Expr, matched.Expr], equivalences.ToValueArray()), ValueArray.Range(side.Arity));
        return Union(side, Negate(side with { Expr = semi }));
    }

    private static Rel PadRight(Rel left, ValueArray<ColumnType> columns)
    {
        var missing = columns.Skip(left.Arity).Select(c => c with { IsNullable = true }).ToList();
        return Map(left, missing.Select(c => MirScalarExpr.Null(c.Type)), missing);
    }

    /// <summary>Right rows (shared outer columns first) with nulls where left's own columns are.</summary>
    private static Rel PadLeft(Rel rows, Rel left, Rel right, int shared)
    {
        var missing = left.Columns.Skip(shared).Select(c => c with { IsNullable = true }).ToList();
        var padded = Map(rows, missing.Select(c => MirScalarExpr.Null(c.Type)), missing);
        return Project(
            padded,
            [.. ValueArray.Range(shared), .. Enumerable.Range(right.Arity, missing.Count), .. Enumerable.Range(shared, right.Arity - shared)]);
    }

    /// <summary>A right join as a left join of the sides exchanged; free columns keep their meaning though the sides change level.</summary>
    private static HirRelationExpr Swap(HirRelationExpr.Join join)
    {
        var leftArity = join.Left.Arity;
        var rightArity = join.Right.Arity;
        var on = join.On.MapColumns(0, (c, nesting) => c.Level != nesting
            ? c
            : c with { Index = c.Index < leftArity ? c.Index + rightArity : c.Index - leftArity });
        var swapped = new HirRelationExpr.Join(join.Right.Shift(-1), join.Left.Shift(1), on, JoinKind.LeftOuter);
        return new HirRelationExpr.Project(swapped, [.. Enumerable.Range(rightArity, leftArity), .. Enumerable.Range(0, rightArity)]);
    }

    private Rel ApplyJoin(HirRelationExpr swapped, Outer outer, int depth) => Apply(swapped, outer, depth);
}
