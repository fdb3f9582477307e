using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>Small random tables, indexes on them, and random plans over them; all a function of the seed.</summary>
public sealed class RandomPlans
{
    private readonly Random _random;
    private readonly List<(MirRelationExpr.Get Get, Multiset Rows)> _tables = [];
    private readonly Stack<MirRelationExpr.Get> _locals = new();
    private int _nextLocal;

    /// <summary>All rows up to the current one's last peer.</summary>
    private static readonly WindowRows Peers = new(null, 0, ToPeers: true);

    public RandomPlans(int seed)
    {
        _random = new Random(seed);
        for (var i = 0; i < 3; i++)
            AddTable(GlobalId.User((ulong)i + 1));
        var indexes = new List<AvailableIndex>();
        foreach (var (get, _) in _tables)
        {
            for (var n = _random.Next(3); n > 0; n--)
            {
                var key = Enumerable.Range(0, get.Type.Arity).OrderBy(_ => _random.Next()).Take(_random.Next(1, 3)).Select(ScalarExprs.Column).ToValueArray();
                indexes.Add(new AvailableIndex(GlobalId.User((ulong)(100 + indexes.Count)), ((Id.Global)get.Id).GlobalId, new ArrangementKey(key)));
            }
        }

        Indexes = new IndexList(indexes);
    }

    public IndexList Indexes { get; }

    public RelationType TypeOf(GlobalId id) => _tables.Find(t => ((Id.Global)t.Get.Id).GlobalId == id).Get.Type;

    public IReadOnlyDictionary<GlobalId, Multiset> Collections => _tables.ToDictionary(t => ((Id.Global)t.Get.Id).GlobalId, t => t.Rows);

    public MirRelationExpr Plan(int depth)
    {
        // Below this, no multiplicity is negative: Reduce and TopK say nothing of negative ones.
        if (depth <= 0)
            return Leaf();
        switch (_random.Next(16))
        {
            case 0:
                var input = Plan(depth - 1);
                return new MirRelationExpr.Project(input, Enumerable.Range(0, _random.Next(1, 4)).Select(_ => _random.Next(input.Arity())).ToValueArray());
            case 1:
                input = Plan(depth - 1);
                return new MirRelationExpr.Map(input, Scalars(input, _random.Next(1, 3)));
            case 2 or 3:
                input = Plan(depth - 1);
                return new MirRelationExpr.Filter(input, Enumerable.Range(0, _random.Next(1, 3)).Select(_ => Predicate(input.TypeOf().Columns, 2)).ToValueArray());
            case 4 or 5 or 6:
                return Join([.. Enumerable.Range(0, _random.Next(2, 4)).Select(_ => Plan(depth - 2))]);
            case 7:
                input = Plan(depth - 1);
                return Reduce(input);
            case 8:
                input = Plan(depth - 1);
                return new MirRelationExpr.Reduce(input, Scalars(input, _random.Next(1, 3)), []);
            case 9:
                input = Plan(depth - 1);
                return TopK(input);
            case 10:
                var (a, b) = (Plan(depth - 1), Plan(depth - 2));
                return new MirRelationExpr.Union(a, [Reshape(b, a.TypeOf().Columns)]);
            case 11:
                (a, b) = (Plan(depth - 1), Plan(depth - 2));
                return new MirRelationExpr.Threshold(new MirRelationExpr.Union(a, [new MirRelationExpr.Negate(Reshape(b, a.TypeOf().Columns))]));
            case 12:
                var value = Plan(depth - 1);
                var local = _nextLocal++;
                _locals.Push(new MirRelationExpr.Get(new Id.Local(local), value.TypeOf()));
                var body = _random.Next(3) switch
                {
                    0 => OuterJoin(_locals.Peek(), Plan(depth - 2)),
                    1 => Branch(_locals.Peek(), Plan(depth - 2)),
                    _ => Join([_locals.Peek(), Plan(depth - 2), _locals.Peek()]),
                };
                _locals.Pop();
                return new MirRelationExpr.Let(local, value, body);
            case 13 or 14:
                return Window(Plan(depth - 1));
            default:
                input = Plan(depth - 2);
                return new MirRelationExpr.FlatMap(
                    input, TableFunc.GenerateSeriesInt32, [Int(0), Scalar(input.TypeOf().Columns, 0)], [SqlType.Int32.Nullable(false)]);
        }
    }

    /// <summary>
    /// Collections that are defined by each other, by any operators, also such as never settle: a limit of a few rounds ends them. Some of
    /// them are defined by a recursion of their own.
    /// </summary>
    public MirRelationExpr Recursion(int depth, int nesting = 2)
    {
        ValueArray<ColumnType> columns = [SqlType.Int32.Nullable(), SqlType.Int32.Nullable()];
        var limit = new RecursionLimit((uint)_random.Next(1, nesting == 2 ? 5 : 3), ReturnsAtLimit: true);
        var ids = Enumerable.Range(0, _random.Next(1, 4)).Select(_ => _nextLocal++).ToList();
        foreach (var id in ids)
            _locals.Push(new MirRelationExpr.Get(new Id.Local(id), new RelationType(columns)));
        var bindings = ids.Select(id =>
        {
            var value = nesting > 1 && _random.Next(4) == 0 ? Recursion(depth - 1, nesting - 1) : Plan(depth);
            var all = new MirRelationExpr.Union(Reshape(value, columns), [Reshape(_tables[_random.Next(_tables.Count)].Get, columns)]);

            // As sets, for the most part: else products of products grow beyond all measure.
            return new RecursiveBinding(id, new MirRelationExpr.Reduce(all, [ScalarExprs.Column(0), ScalarExprs.Column(1)], []), columns, limit);
        }).ToList();
        var body = Plan(depth);
        foreach (var _ in ids)
            _locals.Pop();
        return new MirRelationExpr.LetRec(bindings.ToValueArray(), body);
    }

    private MirRelationExpr Leaf()
    {
        if (_locals.Count > 0 && _random.Next(2) == 0)
            return _locals.ElementAt(_random.Next(_locals.Count));
        if (_random.Next(12) > 0)
            return _tables[_random.Next(_tables.Count)].Get;
        var rows = Enumerable.Range(0, _random.Next(3)).Select(_ => new ConstantRow([Value(), Datum.FromInt64(_random.Next(3))], 1)).ToValueArray();
        return new MirRelationExpr.Constant(rows, new RelationType([SqlType.Int32.Nullable(), SqlType.Int32.Nullable(false)]));
    }

    private void AddTable(GlobalId id)
    {
        var columns = Enumerable.Range(0, _random.Next(2, 4)).Select(_ => SqlType.Int32.Nullable(_random.Next(3) > 0)).ToValueArray();
        var isKeyed = _random.Next(2) == 0;
        if (isKeyed)
            columns = columns.Set(0, SqlType.Int32.Nullable(false));
        var rows = new Multiset();
        for (var n = _random.Next(6); n > 0; n--)
        {
            Datum[] row = [.. columns.Select(c => c.IsNullable ? Value() : Datum.FromInt64(_random.Next(3)))];
            if (isKeyed)
                row[0] = Datum.FromInt64(n);
            rows.Add(row, 1);
        }

        _tables.Add((new MirRelationExpr.Get(new Id.Global(id), new RelationType(columns, isKeyed ? [[0]] : [])), rows));
    }

    /// <summary>A left join as it comes out of decorrelation.</summary>
    private MirRelationExpr OuterJoin(MirRelationExpr.Get left, MirRelationExpr right)
    {
        var arity = left.Type.Arity;
        var on = _random.Next(right.Arity());
        var column = _random.Next(arity);
        var inner = new MirRelationExpr.Join([left, right], [[ScalarExprs.Column(column), ScalarExprs.Column(arity + on)]]);
        var matched = new MirRelationExpr.Project(
            new MirRelationExpr.Join(
                [left, new MirRelationExpr.Reduce(right, [ScalarExprs.Column(on)], [])],
                [[ScalarExprs.Column(column), ScalarExprs.Column(arity)]]),
            ValueArray.Range(arity));
        var padded = new MirRelationExpr.Map(
            new MirRelationExpr.Union(left, [new MirRelationExpr.Negate(matched)]),
            right.TypeOf().Columns.Select(c => MirScalarExpr.Null(c.Type)));
        return new MirRelationExpr.Union(inner, [padded]);
    }

    /// <summary>A LATERAL subquery as it comes out of decorrelation: over the distinct values that it refers to, joined back so that null finds null.</summary>
    private MirRelationExpr Branch(MirRelationExpr.Get left, MirRelationExpr right)
    {
        var arity = left.Type.Arity;
        var column = _random.Next(arity);
        var outer = new MirRelationExpr.Reduce(left, [ScalarExprs.Column(column)], []);
        var subquery = new MirRelationExpr.Filter(new MirRelationExpr.Join([outer, right], []), [Predicate(right.TypeOf().Columns, 1).Shift(1)]);
        MirScalarExpr Stand(int c) => ScalarExprs.Call(ScalarFunctions.Coalesce, SqlType.Int32, ScalarExprs.Column(c), Int(0));
        return new MirRelationExpr.Join(
            [left, subquery],
            left.Type.Columns[column].Type.Kind == ScalarKind.Int32 && _random.Next(4) > 0
                ? [[ScalarExprs.IsNull(ScalarExprs.Column(column)), ScalarExprs.IsNull(ScalarExprs.Column(arity))], [Stand(column), Stand(arity)]]
                : [[ScalarExprs.Column(column), ScalarExprs.Column(arity)]]);
    }

    private MirRelationExpr.Join Join(ValueArray<MirRelationExpr> inputs)
    {
        var shape = new JoinShape(inputs.Select(i => i.Arity()));
        var columns = inputs.SelectMany(i => i.TypeOf().Columns).ToValueArray();
        var equivalences = Enumerable.Range(0, _random.Next(1, 3)).Select(_ =>
        {
            ValueArray<MirScalarExpr> members = [Scalar(columns, 0), Scalar(columns, 0)];
            if (_random.Next(5) == 0)
                members = members.Add(_random.Next(2) == 0 ? Int(_random.Next(3)) : Scalar(columns, 1));
            return members;
        });
        return new MirRelationExpr.Join(inputs, equivalences.ToValueArray());
    }

    private MirRelationExpr.Reduce Reduce(MirRelationExpr input)
    {
        var columns = input.TypeOf().Columns;
        var aggregates = Enumerable.Range(0, _random.Next(1, 3)).Select(_ =>
        {
            var func = _random.Next(4) switch { 0 => AggregateFunc.Count, 1 => AggregateFunc.SumInt32, 2 => AggregateFunc.Min, _ => AggregateFunc.Max };
            var output = func switch
            {
                AggregateFunc.Count => SqlType.Int64.Nullable(false),
                AggregateFunc.SumInt32 => SqlType.Int64.Nullable(),
                _ => SqlType.Int32.Nullable(),
            };
            return new AggregateExpr(func, [Scalar(columns, 1)], _random.Next(3) == 0, output, [], []);
        });
        var reduce = new MirRelationExpr.Reduce(input, Scalars(input, _random.Next(3)), aggregates.ToValueArray());

        // Mostly int4 columns, so that most things can be combined; never no column at all.
        var ints = reduce.Aggregates.Where(a => a.Output.Type.Kind == ScalarKind.Int32).ToValueArray();
        return ints.Count + reduce.GroupKey.Count > 0 && _random.Next(4) > 0 ? reduce with { Aggregates = ints } : reduce;
    }

    private MirRelationExpr.TopK TopK(MirRelationExpr input)
    {
        var arity = input.Arity();
        var group = Enumerable.Range(0, arity).Where(_ => _random.Next(3) == 0).ToValueArray();
        ValueArray<ColumnOrder> order = [new ColumnOrder(_random.Next(arity), _random.Next(2) == 0, _random.Next(2) == 0)];
        var limit = new MirScalarExpr.Literal(Datum.FromInt64(_random.Next(3)), SqlType.Int64.Nullable(false));
        return new MirRelationExpr.TopK(input, group, order, _random.Next(5) == 0 ? null : limit, (ulong)_random.Next(2));
    }

    private MirRelationExpr.Window Window(MirRelationExpr input)
    {
        var columns = input.TypeOf().Columns;
        var partition = Enumerable.Range(0, columns.Count).Where(_ => _random.Next(3) == 0).ToValueArray();
        var order = Enumerable.Range(0, _random.Next(3)).Select(_ => new ColumnOrder(_random.Next(columns.Count), _random.Next(2) == 0, _random.Next(2) == 0)).ToValueArray();
        return new MirRelationExpr.Window(input, partition, order, Enumerable.Range(0, _random.Next(1, 3)).Select(_ => Call(columns)).ToValueArray());
    }

    private WindowCall Call(ValueArray<ColumnType> columns)
    {
        var column = _random.Next(columns.Count);
        var type = columns[column];
        switch (_random.Next(5))
        {
            case 0:
                return new WindowCall.Number((WindowNumber)_random.Next(3), SqlType.Int64.Nullable(false));
            case 1:
                int? other = _random.Next(2) == 0 ? Enumerable.Range(0, columns.Count).Where(c => columns[c].Type == type.Type).Last() : null;
                return new WindowCall.Neighbour(column, _random.Next(-2, 3), other, type with { IsNullable = true });
            case 2:
                var around = _random.Next(3) == 0 ? Peers : new WindowRows(_random.Next(2) == 0 ? null : -_random.Next(3), _random.Next(2) == 0 ? null : _random.Next(3), false);
                return new WindowCall.Edge(column, _random.Next(2) == 0, around, type);
            default:
                long? start = _random.Next(2) == 0 ? null : _random.Next(-2, 2);
                var frame = _random.Next(3) == 0 ? Peers : new WindowRows(start, Math.Max(start ?? -2, _random.Next(-1, 3)), false);
                return type.Type.Kind == ScalarKind.Int32 && _random.Next(2) == 0
                    ? new WindowCall.Aggregate(AggregateFunc.SumInt32, column, frame, SqlType.Int64.Nullable())
                    : new WindowCall.Aggregate(AggregateFunc.Count, column, frame, SqlType.Int64.Nullable(false));
        }
    }

    /// <summary>The relation with columns of the given types: taken, or null, or a number.</summary>
    private MirRelationExpr.Project Reshape(MirRelationExpr expr, ValueArray<ColumnType> columns)
    {
        var own = expr.TypeOf().Columns;
        var maps = new List<MirScalarExpr>();
        var outputs = columns.Select(type =>
        {
            var fitting = Enumerable.Range(0, own.Count).Where(i => own[i].Type == type.Type).ToList();
            if (fitting.Count > 0 && _random.Next(4) > 0)
                return fitting[_random.Next(fitting.Count)];
            maps.Add(type.Type.Kind == ScalarKind.Bool ? MirScalarExpr.True
                : _random.Next(2) == 0 ? MirScalarExpr.Null(type.Type)
                : new MirScalarExpr.Literal(Datum.FromInt64(_random.Next(3)), type.Type.Nullable(false)));
            return own.Count + maps.Count - 1;
        });
        return new MirRelationExpr.Project(new MirRelationExpr.Map(expr, maps.ToValueArray()), outputs);
    }

    private ValueArray<MirScalarExpr> Scalars(MirRelationExpr input, int count)
    {
        var columns = input.TypeOf().Columns;
        return Enumerable.Range(0, count).Select(_ => Scalar(columns, 1)).ToValueArray();
    }

    private static MirScalarExpr Int(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), SqlType.Int32.Nullable(false));

    private Datum Value() => _random.Next(4) == 0 ? Datum.Null : Datum.FromInt64(_random.Next(3));

    /// <summary>An int4 expression.</summary>
    private MirScalarExpr Scalar(ValueArray<ColumnType> columns, int depth)
    {
        var ints = Enumerable.Range(0, columns.Count).Where(i => columns[i].Type.Kind == ScalarKind.Int32).ToList();
        if (ints.Count == 0)
            return Int(_random.Next(3));
        switch (depth == 0 ? 0 : _random.Next(9))
        {
            case 1:
                return Int(_random.Next(3));
            case 2:
                return ScalarExprs.Call(ScalarFunctions.ById("add_int4"), SqlType.Int32, Scalar(columns, depth - 1), Int(_random.Next(3)));
            case 3:
                return ScalarExprs.Call(ScalarFunctions.Coalesce, SqlType.Int32, Scalar(columns, depth - 1), Scalar(columns, depth - 1), Int(1));
            case 4:
                return new MirScalarExpr.If(Predicate(columns, depth - 1), Scalar(columns, depth - 1), Scalar(columns, depth - 1));
            case 5:
                return MirScalarExpr.Null(SqlType.Int32);
            default:
                return ScalarExprs.Column(ints[_random.Next(ints.Count)]);
        }
    }

    private MirScalarExpr Predicate(ValueArray<ColumnType> columns, int depth)
    {
        switch (_random.Next(depth == 0 ? 5 : 10))
        {
            case 0 or 1:
                return ScalarExprs.Bool(ScalarFunctions.Eq, Scalar(columns, depth), Int(_random.Next(3)));
            case 2:
                return ScalarExprs.Bool(ScalarFunctions.Eq, Scalar(columns, depth), Scalar(columns, depth));
            case 3:
                return ScalarExprs.Bool(_random.Next(2) == 0 ? ScalarFunctions.Lt : ScalarFunctions.Gte, Scalar(columns, depth), Scalar(columns, depth));
            case 4:
                return _random.Next(2) == 0 ? ScalarExprs.IsNull(Scalar(columns, depth)) : ScalarExprs.IsNotNull(Scalar(columns, depth));
            case 5 or 6:
                return ScalarExprs.Bool(ScalarFunctions.Or, Predicate(columns, depth - 1), Predicate(columns, depth - 1));
            case 7:
                return ScalarExprs.Bool(ScalarFunctions.And, Predicate(columns, depth - 1), Predicate(columns, depth - 1));
            case 8:
                return ScalarExprs.Bool(ScalarFunctions.Not, Predicate(columns, depth - 1));
            default:
                return ScalarExprs.Bool(ScalarFunctions.IsTrue, Predicate(columns, depth - 1));
        }
    }
}
