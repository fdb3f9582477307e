using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>Replaces what does not depend on the row by its value, or by the error that it gives.</summary>
public static class ConstantFolding
{
    /// <summary>An expression that means the same, with its constant parts evaluated.</summary>
    public static MirScalarExpr Fold(this MirScalarExpr expr, ValueArray<ColumnType> columns)
    {
        var folded = expr.MapChildren(e => e.Fold(columns));
        switch (folded)
        {
            case MirScalarExpr.If { Condition: MirScalarExpr.Literal condition } x:
                return !condition.Value.IsNull && condition.Value.AsBool ? x.Then : x.Else;
            case MirScalarExpr.If { Condition: MirScalarExpr.LiteralError condition } x:
                return condition with { Type = x.TypeOf(columns) };
            case MirScalarExpr.Call x when x.Func == ScalarFunctions.And || x.Func == ScalarFunctions.Or:
                return FoldAndOr(x, decides: x.Func == ScalarFunctions.Or);
            case MirScalarExpr.Call x when x.Func == ScalarFunctions.Coalesce:
                return FoldCoalesce(x, columns);
            case MirScalarExpr.Call x when x.Func.Id is "mz_sleep" or "mz_panic":
                return x;
            case MirScalarExpr.Call x when x.Args.All(a => a is MirScalarExpr.Literal or MirScalarExpr.LiteralError):
                return Value(x, columns);
            case MirScalarExpr.Call x when x.Func.PropagatesNulls && x.Args.Any(IsNull) && !x.Args.Any(a => a.CouldError()):
                return MirScalarExpr.Null(x.Output);
            default:
                return folded;
        }
    }

    /// <summary>Whether evaluation may fail for some row.</summary>
    public static bool CouldError(this MirScalarExpr expr) =>
        expr is MirScalarExpr.LiteralError || (expr is MirScalarExpr.Call call && call.Func.CouldError) || expr.Children.Any(CouldError);

    private static bool IsNull(MirScalarExpr expr) => expr is MirScalarExpr.Literal { Value.IsNull: true };

    private static MirScalarExpr Value(MirScalarExpr.Call call, ValueArray<ColumnType> columns)
    {
        if (Interpreter.TryEval(call, columns, [], out var value) is { } error)
            return new MirScalarExpr.LiteralError(error, call.Output.Nullable(false));
        return new MirScalarExpr.Literal(value, call.Output.Nullable(value.IsNull));
    }

    private static MirScalarExpr FoldAndOr(MirScalarExpr.Call call, bool decides)
    {
        var args = new List<MirScalarExpr>();
        foreach (var arg in call.Args)
        {
            if (arg is MirScalarExpr.Literal { Value: var value } && !value.IsNull)
            {
                if (value.AsBool == decides)
                    return decides ? MirScalarExpr.True : MirScalarExpr.False;
                continue;
            }

            if (!args.Contains(arg))
                args.Add(arg);
        }

        if (args.Count == 0)
            return decides ? MirScalarExpr.False : MirScalarExpr.True;
        return args.Count == 1 ? args[0] : call with { Args = args.ToValueArray() };
    }

    private static MirScalarExpr FoldCoalesce(MirScalarExpr.Call call, ValueArray<ColumnType> columns)
    {
        var args = new List<MirScalarExpr>();
        foreach (var arg in call.Args)
        {
            if (IsNull(arg))
                continue;
            args.Add(arg);
            if (!arg.TypeOf(columns).IsNullable)
                break;
        }

        return args.Count switch
        {
            0 => MirScalarExpr.Null(call.Output),
            1 => args[0],
            _ => call with { Args = args.ToValueArray() },
        };
    }
}
