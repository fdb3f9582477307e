using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Calls whose arguments are all literals, evaluated at planning.</summary>
internal static class ConstantFolding
{
    /// <summary>Whether the call is a function of its arguments alone.</summary>
    public static bool CanFold(MirScalarExpr.Call call) => Evaluation.IsAvailable && call.Func.Id is not ("mz_sleep" or "random");

    /// <summary>The value as a literal, or the error as a literal error.</summary>
    public static MirScalarExpr Fold(MirScalarExpr.Call call, ValueArray<ColumnType> columns)
    {
        var type = call.TypeOf(columns);
        return Evaluation.Eval(call, []) is var (value, error) && error is null
            ? new MirScalarExpr.Literal(value, type.Type.Nullable(value.IsNull))
            : new MirScalarExpr.LiteralError(error, type);
    }
}

/// <summary>The interpreter, with errors as data.</summary>
internal static class Evaluation
{
    public const bool IsAvailable = false;

    public static (Datum Value, EvalError? Error) Eval(MirScalarExpr expr, ReadOnlySpan<Datum> row) => (Datum.Null, null);
}
