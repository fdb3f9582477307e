using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// A reduce whose groups have one row each (the input has a key within the group key) is a map: <c>min(x) = x</c>,
/// <c>count(x) = case when x is null then 0 else 1 end</c>, and so on.
/// </summary>
public sealed class ReduceElision : LocalRewrite
{
    public override string Name => "reduce_elision";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Reduce reduce)
            return node;
        var input = reduce.Input.TypeOf();
        if (!input.Keys.Any(key => key.All(c => reduce.GroupKey.Any(k => k is MirScalarExpr.Column column && column.Index == c))))
            return node;
        var values = reduce.Aggregates.Select(a => OfOneRow(a, input.Columns));
        if (values.Any(v => v is null))
            return node;
        ValueArray<MirScalarExpr> scalars = [.. reduce.GroupKey, .. values.Select(v => v!)];
        return Mfp.Identity(input.Arity).Map(scalars.Select(s => s.Shift(0)))
            .Project(Enumerable.Range(input.Arity, scalars.Count).ToValueArray())
            .Apply(reduce.Input);
    }

    /// <summary>The aggregate of a single row; null if no expression says it.</summary>
    private static MirScalarExpr? OfOneRow(AggregateExpr aggregate, ValueArray<ColumnType> columns)
    {
        var arg = aggregate.Args[0];
        var type = arg.TypeOf(columns);
        switch (aggregate.Func)
        {
            case AggregateFunc.Min or AggregateFunc.Max or AggregateFunc.SingleValue or AggregateFunc.Any or AggregateFunc.All:
                return arg;
            case AggregateFunc.Count:
                var one = new MirScalarExpr.Literal(Datum.FromInt64(1), SqlType.Int64.Nullable(false));
                var zero = new MirScalarExpr.Literal(Datum.FromInt64(0), SqlType.Int64.Nullable(false));
                return type.IsNullable ? new MirScalarExpr.If(ScalarExprs.IsNull(arg), zero, one) : one;
            case AggregateFunc.SumInt16 or AggregateFunc.SumInt32 or AggregateFunc.SumInt64 or AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32
                or AggregateFunc.SumUInt64 or AggregateFunc.SumNumeric:
                if (type.Type.BaseEquals(aggregate.Output.Type))
                    return arg;
                return Casts.Find(type.Type, aggregate.Output.Type) is { } cast
                    ? cast.Func is { } func ? ScalarExprs.Call(func, aggregate.Output.Type, arg) : arg
                    : null;
            default:
                return null;
        }
    }
}
