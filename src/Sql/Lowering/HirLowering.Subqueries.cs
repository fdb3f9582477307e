// Subqueries in scalar expressions, and predicates that are nothing but a subquery.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public sealed partial class HirLowering
{
    /// <summary>
    /// Joins <paramref name="inner"/> (outer columns, then those at <paramref name="depth"/>) to what <paramref name="use"/> makes of the
    /// subquery applied to the distinct values it refers to. The result: inner's columns, then those that <paramref name="use"/> gives after the key.
    /// </summary>
    /// <param name="inner">Cheap to name twice.</param>
    /// <param name="use">From the applied subquery (key columns first) and its outer, to a relation that begins with the key columns.</param>
    /// <param name="mayRejectNull">Whether rows with a null key may be missing from the result where the subquery has none for them.</param>
    private Rel Branch(
        Rel inner, Outer outer, int depth, HirRelationExpr subquery, bool mayRejectNull, Func<Rel, Outer, Rel> use)
    {
        var place = new Place(depth, outer.Arity, outer.Map, []);
        var free = subquery.FreeColumns().Select(c => (Depth: depth + 1 - c.Level, c.Index)).Union(ColumnsOfOpenCtes(subquery)).ToList();
        List<int> key = [];
        Dictionary<(int, int), int> map = [];
        var rejects = true;
        List<bool> nullSafe = [];
        foreach (var column in free)
        {
            var position = place.Position(column.Depth, column.Index);
            var at = key.IndexOf(position);
            if (at < 0)
            {
                at = key.Count;
                key.Add(position);
                rejects = mayRejectNull && NullRejection.Rejects(subquery, depth + 1 - column.Depth, column.Index);
                nullSafe.Add(inner.Columns[position].IsNullable && !rejects);
            }

            map[column] = at;
        }

        if (key.Count == 0)
            return Product(inner, use(Apply(subquery, Outer.Unit, depth + 1), Outer.Unit));

        var keyed = DistinctBy(
            inner, key.Select(MirScalarExpr (k) => new MirScalarExpr.Column(k)).ToValueArray(), key.Select(k => inner.Columns[k]).ToValueArray());
        return Bind(keyed, bound =>
        {
            var newOuter = new Outer(bound, map);
            var result = use(Apply(subquery, newOuter, depth + 1), newOuter);
            List<ValueArray<MirScalarExpr>> equivalences = [];
            for (var i = 0; i < key.Count; i++)
                AddEquality(equivalences, key[i], inner.Arity + i, inner.Columns[key[i]], nullSafe[i]);
            var join = new Rel(
                new MirRelationExpr.Join([inner.Expr, result.Expr], equivalences.ToValueArray()), [.. inner.Columns, .. result.Columns]);
            return Project(join, [.. ValueArray.Range(inner.Arity), .. Enumerable.Range(inner.Arity + key.Count, result.Arity - key.Count)]);
        });
    }

    private static void AddEquality(List<ValueArray<MirScalarExpr>> equivalences, int left, int right, ColumnType type, bool nullSafe)
    {
        if (nullSafe)
            equivalences.AddRange(NullSafe.Equality(new MirScalarExpr.Column(left), new MirScalarExpr.Column(right), type.Type));
        else
            equivalences.Add([new MirScalarExpr.Column(left), new MirScalarExpr.Column(right)]);
    }

    /// <summary>Appends a column to <paramref name="input"/> for each subquery in <paramref name="scalars"/>.</summary>
    private (Rel Input, Place Place) WithSubqueries(Rel input, IEnumerable<HirScalarExpr> scalars, Outer outer, int depth)
    {
        var subqueries = new Dictionary<HirScalarExpr, int>(ReferenceEqualityComparer.Instance);
        foreach (var scalar in scalars)
            input = AddSubqueries(input, scalar, subqueries, outer, depth);
        return (input, new Place(depth, outer.Arity, outer.Map, subqueries));
    }

    private Rel AddSubqueries(Rel input, HirScalarExpr scalar, Dictionary<HirScalarExpr, int> subqueries, Outer outer, int depth)
    {
        switch (scalar)
        {
            case HirScalarExpr.Exists or HirScalarExpr.Select or HirScalarExpr.Windowed when subqueries.ContainsKey(scalar):
                return input;
            case HirScalarExpr.Exists x:
                subqueries.Add(x, input.Arity);
                return Bind(input, bound => Branch(bound, outer, depth, x.Query, mayRejectNull: false, ExistsColumn));
            case HirScalarExpr.Select x:
                subqueries.Add(x, input.Arity);
                return Bind(input, bound => Branch(bound, outer, depth, x.Query, mayRejectNull: false, (r, o) => ScalarColumn(x, r, o)));
            case HirScalarExpr.If x when subqueries.ContainsKey(x):
                return input;
            case HirScalarExpr.If x when x.Then.HasSubquery() || x.Else.HasSubquery():
                return AddConditional(AddSubqueries(input, x.Condition, subqueries, outer, depth), x, subqueries, outer, depth);
            case HirScalarExpr.Windowed x:
                foreach (var child in x.Children)
                    input = AddSubqueries(input, child, subqueries, outer, depth);
                subqueries.Add(x, input.Arity);
                return AddWindow(input, x.Window, new Place(depth, outer.Arity, outer.Map, subqueries));
            default:
                foreach (var child in scalar.Children)
                    input = AddSubqueries(input, child, subqueries, outer, depth);
                return input;
        }
    }

    /// <summary>
    /// A CASE with subqueries in its branches, as a column: each branch is computed for the rows that take it only, so that
    /// the other's errors do not come up.
    /// </summary>
    private Rel AddConditional(Rel input, HirScalarExpr.If expr, Dictionary<HirScalarExpr, int> subqueries, Outer outer, int depth)
    {
        var arity = input.Arity;
        var place = new Place(depth, outer.Arity, outer.Map, subqueries);
        var condition = Scalar(expr.Condition, place);
        var result = Bind(input, bound =>
        {
            Rel Branch(HirScalarExpr value, MirScalarExpr taken)
            {
                var known = new Dictionary<HirScalarExpr, int>(subqueries, ReferenceEqualityComparer.Instance);
                var extended = AddSubqueries(Filter(bound, [taken]), value, known, outer, depth);
                var mapped = Map(extended, [Scalar(value, new Place(depth, outer.Arity, outer.Map, known))], [expr.Type]);
                return Project(mapped, [.. ValueArray.Range(arity), mapped.Arity - 1]);
            }

            var isTrue = Call(ScalarFunctions.IsTrue, SqlType.Bool, condition);
            return Union(Branch(expr.Then, isTrue), Branch(expr.Else, Call(ScalarFunctions.Not, SqlType.Bool, isTrue)));
        });
        subqueries.Add(expr, arity);
        return result;
    }

    /// <summary>The key columns and whether the subquery has a row for them.</summary>
    private Rel ExistsColumn(Rel applied, Outer outer)
    {
        var type = SqlType.Bool.Nullable(false);
        var present = Map(Distinct(Project(applied, ValueArray.Range(outer.Arity))), [MirScalarExpr.True], [type]);
        return WithDefault(present, outer, [MirScalarExpr.False], [type]);
    }

    /// <summary>The key columns and the subquery's one value, or null.</summary>
    private Rel ScalarColumn(HirScalarExpr.Select select, Rel applied, Outer outer)
    {
        var type = select.Type;
        var single = applied;
        if (!RowCount.IsAtMostOne(select.Query))
        {
            var keys = Enumerable.Range(0, outer.Arity).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)).ToValueArray();
            var value = new AggregateExpr(AggregateFunc.SingleValue, [new MirScalarExpr.Column(outer.Arity)], false, type, [], []);
            single = new Rel(new MirRelationExpr.Reduce(applied.Expr, keys, [value]), [.. outer.Rel.Columns, type]);
        }

        return RowCount.IsExactlyOne(select.Query)
            ? single
            : WithDefault(single, outer, [MirScalarExpr.Null(type.Type)], [type]);
    }

    private Rel ApplyFilter(Rel input, ValueArray<HirScalarExpr> predicates, Outer outer, int depth)
    {
        var conjuncts = predicates.SelectMany(Conjuncts).ToList();

        // Plain predicates first: fewer rows reach the subqueries.
        var place = new Place(depth, outer.Arity, outer.Map, []);
        var plain = conjuncts.Where(c => !c.HasSubquery()).Select(c => Scalar(c, place)).ToList();
        input = Filter(input, plain);
        foreach (var conjunct in conjuncts.Where(c => c.HasSubquery()))
        {
            foreach (var simple in ExistencePredicates.Rewrite(conjunct).SelectMany(Conjuncts))
                input = ApplySubqueryPredicate(input, simple, outer, depth);
        }

        return input;
    }

    private Rel ApplySubqueryPredicate(Rel input, HirScalarExpr predicate, Outer outer, int depth)
    {
        switch (predicate)
        {
            case HirScalarExpr.Exists exists:
                return Bind(input, bound => SemiJoin(bound, exists.Query, outer, depth));
            case HirScalarExpr.Call { Func: var not, Args: [HirScalarExpr.Exists exists] } when not == ScalarFunctions.Not:
                return Bind(input, bound => Union(bound, Negate(SemiJoin(bound, exists.Query, outer, depth))));
            default:
                var arity = input.Arity;
                var (extended, place) = WithSubqueries(input, [predicate], outer, depth);
                return Project(Filter(extended, [Scalar(predicate, place)]), ValueArray.Range(arity));
        }
    }

    /// <summary>The rows of <paramref name="input"/> for which the subquery has a row.</summary>
    private Rel SemiJoin(Rel input, HirRelationExpr subquery, Outer outer, int depth) =>
        TryKeySemiJoin(input, subquery, outer, depth)
        ?? Branch(input, outer, depth, subquery, mayRejectNull: true, (applied, newOuter) => Distinct(Project(applied, ValueArray.Range(newOuter.Arity))));

    /// <summary>
    /// A subquery that depends on the outside only through equations of its filter: its distinct right-hand sides are all there is to
    /// know, and the outer rows need no branch. Null for any other.
    /// </summary>
    private Rel? TryKeySemiJoin(Rel input, HirRelationExpr subquery, Outer outer, int depth)
    {
        // Only whether there are rows counts, not what is in them.
        while (subquery is HirRelationExpr.Project or HirRelationExpr.Map or HirRelationExpr.Distinct)
            subquery = subquery.Inputs().Single();
        List<HirScalarExpr> conjuncts = [];
        while (subquery is HirRelationExpr.Filter filter)
        {
            conjuncts.AddRange(filter.Predicates.SelectMany(Conjuncts));
            subquery = filter.Input;
            while (subquery is HirRelationExpr.Project project && conjuncts.TrueForAll(c => !c.HasSubquery()))
            {
                // Predicates over a projection are predicates over its input.
                conjuncts = conjuncts.ConvertAll(c => c.MapColumns(0, (column, nesting) => column.Level == nesting ? column with { Index = project.Outputs[column.Index] } : column));
                subquery = project.Input;
            }
        }

        if (!IsClosed(subquery))
            return null;
        List<(HirScalarExpr Outer, HirScalarExpr Inner)> pairs = [];
        List<HirScalarExpr> inner = [];
        foreach (var conjunct in conjuncts)
        {
            if (ExistencePredicates.IsInner(conjunct))
                inner.Add(conjunct);
            else if (conjunct is HirScalarExpr.Call { Args: [var a, var b] } call && call.Func == ScalarFunctions.Eq && ExistencePredicates.IsOuter(a) && ExistencePredicates.IsInner(b))
                pairs.Add((a, b));
            else if (conjunct is HirScalarExpr.Call { Args: [var c, var d] } other && other.Func == ScalarFunctions.Eq && ExistencePredicates.IsInner(c) && ExistencePredicates.IsOuter(d))
                pairs.Add((d, c));
            else
                return null;
        }

        var place = new Place(depth, outer.Arity, outer.Map, []);
        var right = ApplyFilter(Apply(subquery, Outer.Unit, depth + 1), inner.ToValueArray(), Outer.Unit, depth + 1);
        var rightPlace = new Place(depth + 1, 0, Outer.Unit.Map, []);
        return KeySemiJoin(
            input, pairs.Select(p => Scalar(p.Outer.Shift(-1), place)).ToValueArray(), right, pairs.Select(p => Scalar(p.Inner, rightPlace)).ToValueArray());
    }

    internal static IEnumerable<HirScalarExpr> Conjuncts(HirScalarExpr predicate) =>
        predicate is HirScalarExpr.Call { Func: var func } call && func == ScalarFunctions.And ? call.Args.SelectMany(Conjuncts) : [predicate];
}
