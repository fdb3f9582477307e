using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Expr;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Scalar expressions and what is built of them.</summary>
internal static class ExprConversion
{
    public static Wire.ScalarExpr ToWire(MirScalarExpr expr)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (expr)
        {
            case MirScalarExpr.Column x:
                return new Wire.ScalarExpr { Column = checked((uint)x.Index) };
            case MirScalarExpr.Literal x:
                return new Wire.ScalarExpr { Literal = new Wire.Literal { Value = CommonConversion.ToWire(x.Value), Type = CommonConversion.ToWire(x.Type) } };
            case MirScalarExpr.LiteralError x:
                return new Wire.ScalarExpr
                {
                    LiteralError = new Wire.LiteralError { Error = CommonConversion.ToWire(x.Error), Type = CommonConversion.ToWire(x.Type) },
                };
            case MirScalarExpr.CallUnmaterializable x:
                return new Wire.ScalarExpr { Unmaterializable = x.Func.ToString() };
            case MirScalarExpr.Call x:
                var call = new Wire.Call { Func = x.Func.Id, Output = CommonConversion.ToWire(x.Output) };
                call.Args.AddAll(x.Args, ToWire);
                return new Wire.ScalarExpr { Call = call };
            case MirScalarExpr.If x:
                return new Wire.ScalarExpr { If = new Wire.If { Condition = ToWire(x.Condition), Then = ToWire(x.Then), Else = ToWire(x.Else) } };
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    public static MirScalarExpr FromWire(Wire.ScalarExpr? expr)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return Required(expr).ExprCase switch
        {
            Wire.ScalarExpr.ExprOneofCase.Column => new MirScalarExpr.Column(Index(expr!.Column)),
            Wire.ScalarExpr.ExprOneofCase.Literal =>
                new MirScalarExpr.Literal(CommonConversion.FromWire(expr!.Literal.Value), CommonConversion.FromWire(expr.Literal.Type)),
            Wire.ScalarExpr.ExprOneofCase.LiteralError =>
                new MirScalarExpr.LiteralError(CommonConversion.FromWire(expr!.LiteralError.Error), CommonConversion.FromWire(expr.LiteralError.Type)),
            Wire.ScalarExpr.ExprOneofCase.Unmaterializable =>
                new MirScalarExpr.CallUnmaterializable(ParseEnum<UnmaterializableFunc>(expr!.Unmaterializable, "function")),
            Wire.ScalarExpr.ExprOneofCase.Call => new MirScalarExpr.Call(
                ScalarFunctions.TryGet(expr!.Call.Func, out var func) ? func : throw Unknown("function", expr.Call.Func),
                expr.Call.Args.ToArray(FromWire),
                CommonConversion.FromWire(expr.Call.Output)),
            Wire.ScalarExpr.ExprOneofCase.If => new MirScalarExpr.If(FromWire(expr!.If.Condition), FromWire(expr.If.Then), FromWire(expr.If.Else)),
            _ => throw Unknown("expression", expr!.ExprCase),
        };
    }

    public static Wire.Mfp ToWire(Mfp mfp)
    {
        var wire = new Wire.Mfp { InputArity = checked((uint)mfp.InputArity) };
        wire.Maps.AddAll(mfp.Maps, ToWire);
        wire.Predicates.AddAll(mfp.Predicates, p => new Wire.MfpPredicate { Before = checked((uint)p.Before), Expr = ToWire(p.Expr) });
        wire.Projection.AddAll(mfp.Projection);
        return wire;
    }

    public static Mfp FromWire(Wire.Mfp? mfp) => new(
        Index(Required(mfp).InputArity),
        mfp!.Maps.ToArray(FromWire),
        mfp.Predicates.ToArray(p => new MfpPredicate(Index(p.Before), FromWire(p.Expr))),
        mfp.Projection.ToArray());

    public static Wire.ColumnOrder ToWire(ColumnOrder order) =>
        new() { Column = checked((uint)order.Column), Descending = order.Descending, NullsLast = order.NullsLast };

    public static ColumnOrder FromWire(Wire.ColumnOrder order) => new(Index(order.Column), order.Descending, order.NullsLast);

    public static Wire.AggregateExpr ToWire(AggregateExpr aggregate)
    {
        var wire = new Wire.AggregateExpr
        {
            Func = aggregate.Func.ToString(),
            Distinct = aggregate.Distinct,
            Output = CommonConversion.ToWire(aggregate.Output),
        };
        wire.Args.AddAll(aggregate.Args, ToWire);
        wire.OrderBy.AddAll(aggregate.OrderBy, ToWire);
        wire.OrderKeys.AddAll(aggregate.OrderKeys, ToWire);
        return wire;
    }

    public static AggregateExpr FromWire(Wire.AggregateExpr? aggregate) => new(
        ParseEnum<AggregateFunc>(Required(aggregate).Func, "aggregate"),
        aggregate!.Args.ToArray(FromWire),
        aggregate.Distinct,
        CommonConversion.FromWire(aggregate.Output),
        aggregate.OrderBy.ToArray(FromWire),
        aggregate.OrderKeys.ToArray(FromWire));

    public static Wire.RowSetFinishing ToWire(RowSetFinishing finishing)
    {
        var wire = new Wire.RowSetFinishing { Offset = finishing.Offset };
        wire.OrderBy.AddAll(finishing.OrderBy, ToWire);
        if (finishing.Limit is { } limit)
            wire.Limit = limit;
        wire.Project.AddAll(finishing.Project);
        return wire;
    }

    public static RowSetFinishing FromWire(Wire.RowSetFinishing? finishing) => new(
        Required(finishing).OrderBy.ToArray(FromWire), finishing!.HasLimit ? finishing.Limit : null, finishing.Offset, finishing.Project.ToArray());
}
