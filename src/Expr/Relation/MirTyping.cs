using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>The type of a relation: columns, nullability, and keys (which assume that no multiplicity is negative).</summary>
public static class MirTyping
{
    /// <summary>Keys beyond this number are forgotten: combining all of them is exponential and gains nothing.</summary>
    private const int KeysMax = 8;

    /// <summary>Plans are immutable, so a node's type is computed once.</summary>
    private static readonly ConditionalWeakTable<MirRelationExpr, RelationType> Known = [];

    public static RelationType TypeOf(this MirRelationExpr expr)
    {
        if (expr is MirRelationExpr.Get get)
            return get.Type;
        if (Known.TryGetValue(expr, out var known))
            return known;
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var type = Compute(expr);
        type = type with { Keys = Minimize(type.Keys) };
        Known.AddOrUpdate(expr, type);
        return type;
    }

    public static int Arity(this MirRelationExpr expr) => expr.TypeOf().Arity;

    /// <summary>The aggregate's result type for an input of these columns.</summary>
    /// <remarks>Inside a group there is at least one row, so an aggregate of a column that is never null is not null.</remarks>
    public static ColumnType TypeOf(this AggregateExpr aggregate, ValueArray<ColumnType> columns) => aggregate.Func switch
    {
        AggregateFunc.ArrayAgg or AggregateFunc.ListAgg or AggregateFunc.JsonbAgg or AggregateFunc.JsonbObjectAgg or AggregateFunc.MapAgg => aggregate.Output,
        AggregateFunc.Count => aggregate.Output with { IsNullable = false },
        _ => aggregate.Output with { IsNullable = aggregate.Output.IsNullable && aggregate.Args[0].TypeOf(columns).IsNullable },
    };

    private static RelationType Compute(MirRelationExpr expr)
    {
        switch (expr)
        {
            case MirRelationExpr.Constant x:
                return ConstantType(x);
            case MirRelationExpr.Let x:
                return x.Body.TypeOf();
            case MirRelationExpr.LetRec x:
                return x.Body.TypeOf();
            case MirRelationExpr.Project x:
                var input = x.Input.TypeOf();
                return new RelationType(x.Outputs.Select(i => input.Columns[i]), ProjectKeys(input.Keys, x.Outputs));
            case MirRelationExpr.Map x:
                return MapType(x);
            case MirRelationExpr.FlatMap x:
                return new RelationType([.. x.Input.TypeOf().Columns, .. x.Output]);
            case MirRelationExpr.Filter x:
                return FilterType(x);
            case MirRelationExpr.Join x:
                return JoinType(x);
            case MirRelationExpr.Reduce x:
                return ReduceType(x);
            case MirRelationExpr.TopK x:
                input = x.Input.TypeOf();
                return x.Limit is MirScalarExpr.Literal { Value: { IsNull: false } limit } && limit.AsInt64 == 1
                    ? input with { Keys = input.Keys.Add(x.GroupKey) }
                    : input;
            case MirRelationExpr.Window x:
                return WindowType(x);
            case MirRelationExpr.Negate x:
                return x.Input.TypeOf() with { Keys = [] };
            case MirRelationExpr.Threshold { Input: MirRelationExpr.Union u } when u.Inputs.All(i => i is MirRelationExpr.Negate):
                return u.TypeOf() with { Keys = u.Base.TypeOf().Keys };
            case MirRelationExpr.Threshold x:
                return x.Input.TypeOf();
            case MirRelationExpr.Union x:
                var types = x.Inputs.Select(i => i.TypeOf());
                return new RelationType(x.Base.TypeOf().Columns.Select((c, i) => c with { IsNullable = c.IsNullable || types.Any(t => t.Columns[i].IsNullable) }).ToValueArray());
            case MirRelationExpr.ArrangeBy x:
                return x.Input.TypeOf();
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    private static RelationType WindowType(MirRelationExpr.Window x)
    {
        var input = x.Input.TypeOf();
        var keys = input.Keys;
        for (var i = 0; i < x.Calls.Count && keys.Count < KeysMax; i++)
        {
            if (x.Calls[i] is WindowCall.Number { Which: WindowNumber.RowNumber })
                keys = keys.Add([.. x.PartitionKey, input.Arity + i]);
        }

        return new RelationType([.. input.Columns, .. x.Calls.Select(c => c.Output)], keys);
    }

    private static RelationType ConstantType(MirRelationExpr.Constant x)
    {
        if (x.Error is not null || !x.Type.Keys.IsEmpty)
            return x.Type;
        if (x.Rows.IsEmpty || (x.Rows.Count == 1 && x.Rows[0].Diff == 1))
            return x.Type with { Keys = [[]] };
        if (x.Rows.Count > 1000 || x.Rows.Any(r => r.Diff != 1))
            return x.Type;
        var unique = Enumerable.Range(0, x.Type.Arity).Where(c => x.Rows.Select(r => r.Values[c]).AsEnumerable().Distinct().Count() == x.Rows.Count);
        return x.Type with { Keys = [.. unique.Select(c => (ValueArray<int>)[c])] };
    }

    private static RelationType MapType(MirRelationExpr.Map x)
    {
        var input = x.Input.TypeOf();
        var columns = input.Columns;
        var keys = input.Keys;
        foreach (var scalar in x.Scalars)
        {
            // A copy of a column can stand for it in a key.
            if (scalar is MirScalarExpr.Column c && keys.Count < KeysMax)
            {
                var added = columns.Count;
                keys = [.. keys, .. keys.Where(k => k.Contains(c.Index)).Select(k => k.Select(i => i == c.Index ? added : i))];
            }

            columns = columns.Add(scalar.TypeOf(columns));
        }

        return new RelationType(columns, keys);
    }

    private static RelationType FilterType(MirRelationExpr.Filter x)
    {
        var input = x.Input.TypeOf();
        var columns = input.Columns;
        var fixedColumns = new HashSet<int>();
        foreach (var predicate in x.Predicates)
        {
            foreach (var column in NotNullColumns(predicate))
                columns = columns.Set(column, columns[column] with { IsNullable = false });
            if (predicate is MirScalarExpr.Call { Func: var f } call && f == ScalarFunctions.Eq)
            {
                if (call.Args[0] is MirScalarExpr.Column a && call.Args[1] is MirScalarExpr.Literal)
                    fixedColumns.Add(a.Index);
                else if (call.Args[1] is MirScalarExpr.Column b && call.Args[0] is MirScalarExpr.Literal)
                    fixedColumns.Add(b.Index);
            }
        }

        return new RelationType(columns, input.Keys.Select(k => k.Where(c => !fixedColumns.Contains(c)).ToValueArray()));
    }

    /// <summary>Columns that are not null on rows where the predicate is true.</summary>
    private static IEnumerable<int> NotNullColumns(MirScalarExpr predicate)
    {
        if (predicate is MirScalarExpr.Column c)
            return [c.Index];
        if (predicate is not MirScalarExpr.Call call)
            return [];
        if (call.Func == ScalarFunctions.And)
            return call.Args.SelectMany(NotNullColumns);
        if (call.Func == ScalarFunctions.Not && call.Args[0] is MirScalarExpr.Call inner && inner.Func == ScalarFunctions.IsNull)
            return StrictColumns(inner.Args[0]);
        return StrictColumns(predicate);
    }

    private static IEnumerable<int> StrictColumns(MirScalarExpr expr) => expr switch
    {
        MirScalarExpr.Column c => [c.Index],
        MirScalarExpr.Call { Func.PropagatesNulls: true } call when call.Func != ScalarFunctions.And && call.Func != ScalarFunctions.Or
            => call.Args.SelectMany(StrictColumns),
        _ => [],
    };

    private static RelationType JoinType(MirRelationExpr.Join x)
    {
        var types = x.Inputs.Select(i => i.TypeOf());
        var columns = types.SelectMany(t => t.Columns).ToArray();
        foreach (var expr in x.Equivalences.SelectMany(c => c))
        {
            foreach (var column in StrictColumns(expr))
                columns[column] = columns[column] with { IsNullable = false };
        }

        return new RelationType(ValueArray.Create<ColumnType>(columns), JoinKeys(types, x.Equivalences));
    }

    /// <summary>
    /// From each input as a start: inputs one of whose keys is equal to columns of inputs already there add at most one row each;
    /// any other adds its key.
    /// </summary>
    private static ValueArray<ValueArray<int>> JoinKeys(ValueArray<RelationType> types, ValueArray<ValueArray<MirScalarExpr>> equivalences)
    {
        var offsets = new int[types.Count + 1];
        for (var i = 0; i < types.Count; i++)
            offsets[i + 1] = offsets[i] + types[i].Arity;
        var inputOf = new int[offsets[^1]];
        for (var i = 0; i < types.Count; i++)
            Array.Fill(inputOf, i, offsets[i], types[i].Arity);

        var keys = new List<ValueArray<int>>();
        for (var start = 0; start < types.Count && keys.Count < KeysMax; start++)
        {
            var bound = new HashSet<int>();
            var partial = new List<int[]> { Array.Empty<int>() };
            var next = start;
            while (next >= 0 && partial.Count > 0)
            {
                partial = [.. partial.SelectMany(p => types[next].Keys.Select(k => p.Concat(k.Select(c => c + offsets[next])).ToArray())).Take(KeysMax)];
                bound.Add(next);
                while (Enumerable.Range(0, types.Count).FirstOrDefault(i => !bound.Contains(i) && IsDetermined(i, bound), -1) is >= 0 and var determined)
                    bound.Add(determined);
                next = Enumerable.Range(0, types.Count).FirstOrDefault(i => !bound.Contains(i), -1);
            }

            keys.AddRange(partial.Select(p => ValueArray.Create<int>(p)));
        }

        return keys.ToValueArray();

        bool IsDetermined(int input, HashSet<int> bound) => types[input].Keys.Any(key => key.All(c => equivalences.Any(e =>
            e.Any(member => member is MirScalarExpr.Column m && m.Index == c + offsets[input])
            && e.Any(member => IsOver(member, bound)))));

        bool IsOver(MirScalarExpr expr, HashSet<int> bound) => expr switch
        {
            MirScalarExpr.Column c => bound.Contains(inputOf[c.Index]),
            MirScalarExpr.CallUnmaterializable => false,
            _ => expr.Children.All(child => IsOver(child, bound)),
        };
    }

    private static RelationType ReduceType(MirRelationExpr.Reduce x)
    {
        var input = x.Input.TypeOf();
        ValueArray<ColumnType> columns = [.. x.GroupKey.Select(k => k.TypeOf(input.Columns)), .. x.Aggregates.Select(a => a.TypeOf(input.Columns))];
        var places = x.GroupKey.Select(k => k is MirScalarExpr.Column c ? c.Index : -1);
        return new RelationType(columns, [ValueArray.Range(x.GroupKey.Count), .. ProjectKeys(input.Keys, places)]);
    }

    private static ValueArray<ValueArray<int>> ProjectKeys(ValueArray<ValueArray<int>> keys, ValueArray<int> outputs)
    {
        var result = new List<ValueArray<int>>();
        foreach (var key in keys)
        {
            var places = key.Select(c => outputs.TakeWhile(o => o != c).Count());
            if (places.All(p => p < outputs.Count))
                result.Add(places);
        }

        return result.ToValueArray();
    }

    /// <summary>Sorted, without those that contain another.</summary>
    private static ValueArray<ValueArray<int>> Minimize(ValueArray<ValueArray<int>> keys)
    {
        if (keys.IsEmpty)
            return keys;
        var minimal = new List<ValueArray<int>>();
        foreach (var key in keys.Select(k => k.Distinct().Order().ToValueArray()).OrderBy(k => k.Count))
        {
            if (!minimal.Any(m => m.All(c => key.Contains(c))))
                minimal.Add(key);
        }

        return minimal.Take(KeysMax).ToValueArray();
    }
}
