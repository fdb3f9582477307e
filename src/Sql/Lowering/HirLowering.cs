// Decorrelation, HIR → MIR.
//
// Apply(e, outer) computes a relation whose columns are those of `outer` followed by those of `e`: for each row of `outer` the rows
// that `e` gives when its free columns have that row's values. `outer` has distinct rows, is cheap to name twice (a Get or the unit
// constant), and holds just the columns that `e` needs, so that the work is done once for each combination of them that occurs (the
// "magic set"). With the unit as outer this is plain translation.
//
// Branch is the step that makes such an outer: from a relation `inner` it takes the columns a subquery refers to, makes them
// distinct, applies the subquery to them, and joins the result back to `inner` on these columns. That join must match null with
// null; MIR joins do not, so nullable columns go through NullSafe unless the subquery has no rows for null anyway.
//
// Columns are tracked by absolute depth (how many relations lie outside), because levels are relative to where they stand.
using System.Diagnostics;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Turns a query with correlated subqueries into one without. Law: the same rows, for any contents of the inputs.</summary>
public sealed partial class HirLowering
{
    private readonly Dictionary<int, Cte> _ctes = [];
    private readonly Dictionary<HirRelationExpr, bool> _closed = new(ReferenceEqualityComparer.Instance);
    private int _nextLocalId;

    private HirLowering()
    {
    }

    /// <summary>The query's plan; parameters must have been bound.</summary>
    /// <exception cref="SqlException">0A000 for what has no plan yet (some window frames).</exception>
    public static MirRelationExpr Lower(HirRelationExpr query) => new HirLowering().Apply(query, Outer.Unit, 0).Expr;

    /// <summary>A scalar expression over one relation's columns, without subqueries.</summary>
    public static MirScalarExpr LowerScalar(HirScalarExpr scalar)
    {
        if (scalar.HasSubquery())
            throw SqlException.Unsupported("subqueries in this expression");
        var lowering = new HirLowering();
        return lowering.Scalar(scalar, new Place(0, 0, Outer.Unit.Map, []));
    }

    /// <summary>A relation and its column types; <c>Expr</c> is planned over them.</summary>
    private readonly record struct Rel(MirRelationExpr Expr, ValueArray<ColumnType> Columns)
    {
        public int Arity => Columns.Count;
    }

    /// <summary>The rows to apply a subquery to, and where each free column stands in them.</summary>
    private sealed record Outer(Rel Rel, IReadOnlyDictionary<(int Depth, int Index), int> Map)
    {
        public static readonly Outer Unit = new(
            new Rel(new MirRelationExpr.Constant([new ConstantRow([], 1)], RelationType.Empty), []), new Dictionary<(int, int), int>());

        public int Arity => Rel.Arity;
    }

    /// <summary>Where an expression is evaluated: the relation's own columns begin at <paramref name="OuterArity"/>.</summary>
    private sealed record Place(
        int Depth, int OuterArity, IReadOnlyDictionary<(int Depth, int Index), int> Map, Dictionary<HirScalarExpr, int> Subqueries)
    {
        public int Position(int absoluteDepth, int index) =>
            absoluteDepth == Depth ? OuterArity + index : Map[(absoluteDepth, index)];
    }

    private sealed record Cte(HirRelationExpr Value, int Depth, int? LocalId, ValueArray<ColumnType> Columns)
    {
        /// <summary>Of a correlated recursion: the outer rows that it is computed for.</summary>
        public Outer? Outer { get; init; }
    }

    private Rel Apply(HirRelationExpr e, Outer outer, int depth)
    {
        // What does not depend on the outer rows is computed once, not for each of them.
        if (outer.Arity > 0 && e is not HirRelationExpr.Get && IsClosed(e))
            return Product(outer.Rel, Apply(e, Outer.Unit, depth));
        switch (e)
        {
            case HirRelationExpr.Constant x:
                return Product(outer.Rel, Constant(x));
            case HirRelationExpr.Get { Id: Id.Global } x:
                return Product(outer.Rel, new Rel(new MirRelationExpr.Get(x.Id, new RelationType(x.Columns)), x.Columns));
            case HirRelationExpr.Get { Id: Id.Local local } x:
                return ApplyCte(_ctes[local.Number], outer, depth);
            case HirRelationExpr.Let x:
                return ApplyLet(x, outer, depth);
            case HirRelationExpr.LetRec x:
                return ApplyLetRec(x, outer, depth);
            case HirRelationExpr.Project x:
                {
                    var input = Apply(x.Input, outer, depth);
                    return Project(input, [.. ValueArray.Range(outer.Arity), .. x.Outputs.Select(i => outer.Arity + i)]);
                }

            case HirRelationExpr.Map x:
                return ApplyMap(Apply(x.Input, outer, depth), x.Scalars, outer, depth);
            case HirRelationExpr.CallTable x:
                return ApplyCallTable(x, outer, depth);
            case HirRelationExpr.Filter x:
                return ApplyFilter(Apply(x.Input, outer, depth), x.Predicates, outer, depth);
            case HirRelationExpr.Join x:
                return ApplyJoin(x, outer, depth);
            case HirRelationExpr.Reduce x:
                return ApplyReduce(x, outer, depth);
            case HirRelationExpr.Distinct x:
                return Distinct(Apply(x.Input, outer, depth));
            case HirRelationExpr.TopK x:
                return ApplyTopK(x, outer, depth);
            case HirRelationExpr.Negate x:
                {
                    var input = Apply(x.Input, outer, depth);
                    return input with { Expr = new MirRelationExpr.Negate(input.Expr) };
                }

            case HirRelationExpr.Threshold x:
                {
                    var input = Apply(x.Input, outer, depth);
                    return input with { Expr = new MirRelationExpr.Threshold(input.Expr) };
                }

            case HirRelationExpr.Union x:
                {
                    var first = Apply(x.Base, outer, depth);
                    var others = x.Inputs.Select(i => Apply(i, outer, depth).Expr);
                    return new Rel(new MirRelationExpr.Union(first.Expr, others), [.. outer.Rel.Columns, .. x.Type.Columns]);
                }

            default:
                throw new UnreachableException(e.GetType().Name);
        }
    }

    /// <summary>Whether nothing outside the relation decides its rows: no free columns, no CTE that has some.</summary>
    private bool IsClosed(HirRelationExpr e)
    {
        if (_closed.TryGetValue(e, out var known))
            return known;
        return _closed[e] = e.FreeColumns().Count == 0 && !NamesOpenCte(e);
    }

    private bool NamesOpenCte(HirRelationExpr e) =>
        e is HirRelationExpr.Get { Id: Id.Local local } && _ctes.TryGetValue(local.Number, out var cte) && (cte.LocalId is null || cte.Outer is not null)
        || e.Inputs().Any(NamesOpenCte)
        || e.RootScalars().Any(s => s.Subqueries().Any(NamesOpenCte));

    /// <summary>The outer columns, by absolute depth, that the correlated CTEs which the relation names depend on: it does not mention these itself.</summary>
    private IEnumerable<(int Depth, int Index)> ColumnsOfOpenCtes(HirRelationExpr e)
    {
        IEnumerable<(int, int)> own = [];
        if (e is HirRelationExpr.Get { Id: Id.Local local } && _ctes.TryGetValue(local.Number, out var cte))
        {
            own = cte.Outer is { } outer ? outer.Map.Keys
                : cte.LocalId is null ? cte.Value.FreeColumns().Select(c => (cte.Depth - c.Level, c.Index)).Concat(ColumnsOfOpenCtes(cte.Value))
                : [];
        }

        return own.Concat(e.Inputs().SelectMany(ColumnsOfOpenCtes))
            .Concat(e.RootScalars().SelectMany(s => s.Subqueries()).SelectMany(ColumnsOfOpenCtes)).Distinct();
    }

    private Rel ApplyLet(HirRelationExpr.Let let, Outer outer, int depth)
    {
        var columns = let.Value.Type.Columns;
        if (!IsClosed(let.Value))
        {
            // Correlated: computed anew at each use, over the outer rows of that place.
            _ctes[let.LocalId] = new Cte(let.Value, depth, null, columns);
            return Apply(let.Body, outer, depth);
        }

        var value = Apply(let.Value, Outer.Unit, depth);
        var id = _nextLocalId++;
        _ctes[let.LocalId] = new Cte(let.Value, depth, id, columns);
        var body = Apply(let.Body, outer, depth);
        return body with { Expr = new MirRelationExpr.Let(id, value.Expr, body.Expr) };
    }

    private Rel ApplyLetRec(HirRelationExpr.LetRec x, Outer outer, int depth)
    {
        // Correlated: each collection is computed for all outer rows at once, whose columns it has first.
        var isOpen = outer.Arity > 0;
        ValueArray<ColumnType> first = isOpen ? outer.Rel.Columns : [];
        foreach (var binding in x.Bindings)
            _ctes[binding.LocalId] = new Cte(binding.Value, depth, _nextLocalId++, binding.Columns) { Outer = isOpen ? outer : null };
        var bindings = x.Bindings.Select(b => new RecursiveBinding(
            _ctes[b.LocalId].LocalId!.Value, Apply(b.Value, outer, depth).Expr, [.. first, .. b.Columns], x.Limit));
        var body = Apply(x.Body, outer, depth);
        return body with { Expr = new MirRelationExpr.LetRec(bindings, body.Expr) };
    }

    private static Rel ApplyRecursive(Cte cte, Outer of, Outer outer)
    {
        ValueArray<ColumnType> columns = [.. of.Rel.Columns, .. cte.Columns];
        var get = new Rel(new MirRelationExpr.Get(new Id.Local(cte.LocalId!.Value), new RelationType(columns)), columns);
        if (of.Map.Count == outer.Map.Count && of.Arity == outer.Arity && of.Map.All(c => outer.Map.TryGetValue(c.Key, out var place) && place == c.Value))
            return get;

        // Other outer rows, which have these columns among theirs: those of the collection that belong to them.
        List<ValueArray<MirScalarExpr>> equal = [];
        foreach (var (column, place) in of.Map)
        {
            equal.AddRange(NullSafe.Equality(new MirScalarExpr.Column(outer.Map[column]), new MirScalarExpr.Column(outer.Arity + place), of.Rel.Columns[place].Type));
        }

        var joined = new Rel(new MirRelationExpr.Join([outer.Rel.Expr, get.Expr], equal.ToValueArray()), [.. outer.Rel.Columns, .. columns]);
        return Project(joined, [.. ValueArray.Range(outer.Arity), .. Enumerable.Range(outer.Arity + of.Arity, cte.Columns.Count)]);
    }

    private Rel ApplyCte(Cte cte, Outer outer, int depth) =>
        cte.Outer is { } of
            ? ApplyRecursive(cte, of, outer)
            : cte.LocalId is { } id
            ? Product(outer.Rel, new Rel(new MirRelationExpr.Get(new Id.Local(id), new RelationType(cte.Columns)), cte.Columns))
            : Apply(cte.Value.Shift(depth - cte.Depth), outer, depth);

    private static Rel Constant(HirRelationExpr.Constant x)
    {
        var rows = x.Rows.Select(r => new ConstantRow(r.Select(l => l.Value), 1));
        return new Rel(new MirRelationExpr.Constant(rows, new RelationType(x.Columns)), x.Columns);
    }

    private Rel ApplyMap(Rel input, ValueArray<HirScalarExpr> scalars, Outer outer, int depth)
    {
        List<MirScalarExpr> pending = [];
        List<ColumnType> types = [];
        void Flush()
        {
            if (pending.Count == 0)
                return;
            input = Map(input, pending, types);
            pending = [];
            types = [];
        }

        foreach (var scalar in scalars)
        {
            if (!scalar.HasSubquery())
            {
                pending.Add(Scalar(scalar, new Place(depth, outer.Arity, outer.Map, [])));
                types.Add(scalar.Type);
                continue;
            }

            Flush();
            var arity = input.Arity;
            var (extended, place) = WithSubqueries(input, [scalar], outer, depth);
            var mapped = Map(extended, [Scalar(scalar, place)], [scalar.Type]);
            input = Project(mapped, [.. ValueArray.Range(arity), mapped.Arity - 1]);
        }

        Flush();
        return input;
    }

    private Rel ApplyCallTable(HirRelationExpr.CallTable x, Outer outer, int depth)
    {
        // The arguments stand at this depth but see only outer columns, so the outer rows are the input.
        var (input, place) = x.Args.Any(a => a.HasSubquery())
            ? WithSubqueries(outer.Rel, x.Args, outer, depth)
            : (outer.Rel, new Place(depth, outer.Arity, outer.Map, []));
        var call = new MirRelationExpr.FlatMap(input.Expr, x.Func, x.Args.Select(a => Scalar(a, place)), x.Output) { Inner = x.Inner };
        var result = new Rel(call, [.. input.Columns, .. x.Output]);
        return Project(result, [.. ValueArray.Range(outer.Arity), .. Enumerable.Range(input.Arity, x.Output.Count)]);
    }

    private Rel ApplyReduce(HirRelationExpr.Reduce x, Outer outer, int depth)
    {
        var input = Apply(x.Input, outer, depth);
        var (extended, place) = WithSubqueries(input, x.Aggregates.SelectMany(a => a.Exprs), outer, depth);
        ValueArray<MirScalarExpr> keys =
        [
            .. Enumerable.Range(0, outer.Arity).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)),
            .. x.GroupKey.Select(MirScalarExpr (i) => new MirScalarExpr.Column(outer.Arity + i)),
        ];
        var aggregates = x.Aggregates.Select(a => new AggregateExpr(
            a.Func, a.Args.Select(s => Scalar(s, place)), a.Distinct, a.Output, a.OrderBy, a.OrderKeys.Select(s => Scalar(s, place))));
        var reduce = new Rel(
            new MirRelationExpr.Reduce(extended.Expr, keys, aggregates, ExpectedGroupSize: x.ExpectedGroupSize),
            [.. outer.Rel.Columns, .. x.Type.Columns]);
        if (!x.GroupKey.IsEmpty)
            return reduce;

        // Without keys there is one row for each outer row, also where nothing was aggregated.
        var defaults = x.Aggregates.Select(MirScalarExpr (a) => new MirScalarExpr.Literal(EmptyValue(a), a.Output));
        return WithDefault(reduce, outer, defaults, x.Aggregates.Select(a => a.Output));
    }

    private static Datum EmptyValue(HirAggregate aggregate) => aggregate.Func switch
    {
        AggregateFunc.Count => Datum.FromInt64(0),
        AggregateFunc.Any => Datum.False,
        AggregateFunc.All => Datum.True,
        _ => Datum.Null,
    };

    /// <summary>Adds, for each outer row that <paramref name="result"/> (outer columns, then values) lacks, one with these values.</summary>
    private Rel WithDefault(Rel result, Outer outer, ValueArray<MirScalarExpr> defaults, ValueArray<ColumnType> defaultTypes) =>
        Bind(result, bound =>
        {
            var present = Project(bound, ValueArray.Range(outer.Arity));
            var missing = Union(outer.Rel, Negate(present));
            return Union(bound, Map(missing, defaults, defaultTypes)) with { Columns = result.Columns };
        });

    private Rel ApplyTopK(HirRelationExpr.TopK x, Outer outer, int depth)
    {
        var input = Apply(x.Input, outer, depth);
        var topK = new MirRelationExpr.TopK(
            input.Expr,
            [.. ValueArray.Range(outer.Arity), .. x.GroupKey.Select(i => outer.Arity + i)],
            x.OrderKey.Select(o => o with { Column = outer.Arity + o.Column }),
            x.Limit is null ? null : Scalar(x.Limit, new Place(depth, outer.Arity, outer.Map, [])),
            x.Offset,
            ExpectedGroupSize: x.ExpectedGroupSize);
        return input with { Expr = topK };
    }

    private MirScalarExpr Scalar(HirScalarExpr scalar, Place place) => scalar switch
    {
        HirScalarExpr.Column x => new MirScalarExpr.Column(place.Position(place.Depth - x.Level, x.Index)),
        HirScalarExpr.Literal x => new MirScalarExpr.Literal(x.Value, x.LiteralType),
        HirScalarExpr.CallUnmaterializable x => new MirScalarExpr.CallUnmaterializable(x.Func),
        HirScalarExpr.Call x => new MirScalarExpr.Call(x.Func, x.Args.Select(a => Scalar(a, place)), x.ResultType.Type),
        HirScalarExpr.If x when place.Subqueries.TryGetValue(x, out var column) => new MirScalarExpr.Column(column),
        HirScalarExpr.If x => new MirScalarExpr.If(Scalar(x.Condition, place), Scalar(x.Then, place), Scalar(x.Else, place)),
        HirScalarExpr.Exists or HirScalarExpr.Select or HirScalarExpr.Windowed => new MirScalarExpr.Column(place.Subqueries[scalar]),
        HirScalarExpr.Parameter x => new MirScalarExpr.Parameter(x.Number, x.ParameterType),
        _ => throw new UnreachableException(scalar.GetType().Name),
    };

    // ---- Small pieces ------------------------------------------------------------------------------------------------

    /// <summary>Names a relation so that it can be used twice; what is cheap to repeat is left as it is.</summary>
    private Rel Bind(Rel value, Func<Rel, Rel> body)
    {
        if (value.Expr is MirRelationExpr.Get or MirRelationExpr.Constant { Rows.Count: <= 1 })
            return body(value);
        var id = _nextLocalId++;
        var result = body(new Rel(new MirRelationExpr.Get(new Id.Local(id), new RelationType(value.Columns)), value.Columns));
        return result with { Expr = new MirRelationExpr.Let(id, value.Expr, result.Expr) };
    }

    private static bool IsUnit(Rel rel) => rel.Arity == 0 && rel.Expr is MirRelationExpr.Constant { Rows: [{ Diff: 1 }], Error: null };

    private static Rel Product(Rel left, Rel right)
    {
        if (IsUnit(left))
            return right;
        if (IsUnit(right))
            return left;
        return new Rel(new MirRelationExpr.Join([left.Expr, right.Expr], []), [.. left.Columns, .. right.Columns]);
    }

    private static Rel Project(Rel input, ValueArray<int> outputs) =>
        outputs == ValueArray.Range(input.Arity)
            ? input
            : new Rel(new MirRelationExpr.Project(input.Expr, outputs), outputs.Select(i => input.Columns[i]));

    private static Rel Map(Rel input, IEnumerable<MirScalarExpr> scalars, IEnumerable<ColumnType> types)
    {
        var all = scalars.ToValueArray();
        return all.IsEmpty ? input : new Rel(new MirRelationExpr.Map(input.Expr, all), [.. input.Columns, .. types]);
    }

    private static Rel Filter(Rel input, IEnumerable<MirScalarExpr> predicates)
    {
        var all = predicates.Where(p => !p.Equals(MirScalarExpr.True)).ToValueArray();
        return all.IsEmpty ? input : input with { Expr = new MirRelationExpr.Filter(input.Expr, all) };
    }

    private static Rel Negate(Rel input) => input with { Expr = new MirRelationExpr.Negate(input.Expr) };

    private static Rel Union(Rel first, params ReadOnlySpan<Rel> others)
    {
        var exprs = new MirRelationExpr[others.Length];
        for (var i = 0; i < others.Length; i++)
            exprs[i] = others[i].Expr;
        return first with { Expr = new MirRelationExpr.Union(first.Expr, exprs.ToValueArray()) };
    }

    private static Rel Distinct(Rel input) => DistinctBy(input, Enumerable.Range(0, input.Arity).Select(MirScalarExpr (i) => new MirScalarExpr.Column(i)).ToValueArray(), input.Columns);

    private static Rel DistinctBy(Rel input, ValueArray<MirScalarExpr> keys, ValueArray<ColumnType> types) =>
        new(new MirRelationExpr.Reduce(input.Expr, keys, []), types);
}
