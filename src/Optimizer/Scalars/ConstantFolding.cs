using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Calls whose arguments are all literals, evaluated at planning.</summary>
internal static class ConstantFolding
{
    /// <summary>Whether the call is a function of its arguments alone.</summary>
    public static bool CanFold(MirScalarExpr.Call call) => call.Func.Id is not ("mz_sleep" or "mz_panic");

    /// <summary>Whether the expression can be evaluated at planning, on rows that are known.</summary>
    public static bool CanEvaluate(MirScalarExpr expr) =>
        !expr.Any(e => e is MirScalarExpr.CallUnmaterializable or MirScalarExpr.Parameter || (e is MirScalarExpr.Call call && !CanFold(call)));

    /// <summary>The value as a literal, or the error as a literal error.</summary>
    public static MirScalarExpr Fold(MirScalarExpr.Call call, ValueArray<ColumnType> columns)
    {
        var type = call.TypeOf(columns);
        return Interpreter.TryEval(call, [], [], out var value) is { } error
            ? new MirScalarExpr.LiteralError(error, type)
            : new MirScalarExpr.Literal(value, type.Type.Nullable(value.IsNull));
    }
}
