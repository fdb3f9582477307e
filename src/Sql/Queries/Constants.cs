using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Computing what is constant while planning.</summary>
internal static class Constants
{
    /// <summary>Microseconds from 1970 to 2000.</summary>
    private const long MicrosTo2000 = 946_684_800_000_000;

    /// <summary>A literal's cast as the literal it gives; the call itself where it fails, so that it fails only if it is evaluated.</summary>
    public static HirScalarExpr FoldLiteral(HirScalarExpr call) =>
        Interpreter.TryEval(HirLowering.LowerScalar(call), [], [], out var value) is null
            ? new HirScalarExpr.Literal(value, new ColumnType(call.Type.Type, value.IsNull))
            : call;

    /// <summary>The literal of a type with that text.</summary>
    public static HirScalarExpr ParseLiteral(string text, SqlType type, int? position)
    {
        try
        {
            return new HirScalarExpr.Literal(DatumText.Parse(type, text), type.Nullable(false));
        }
        catch (TextFormatException e)
        {
            throw new SqlException(e.SqlState, e.Message) { Position = position };
        }
    }

    public static HirScalarExpr Interval(Ast.IntervalValue value, int? position)
    {
        try
        {
            var tail = FieldOf(value.Low);
            var parsed = IntervalText.Parse(value.Text, tail, value is { High: Ast.DateTimeField.Minute, Low: Ast.DateTimeField.Second });
            if (value.High != Ast.DateTimeField.Year || value.Low != Ast.DateTimeField.Second || value.Precision is not null)
                parsed = IntervalText.Truncate(parsed, tail, value.Precision);
            return new HirScalarExpr.Literal(Datum.FromInterval(parsed), SqlType.Interval.Nullable(false));
        }
        catch (TextFormatException e)
        {
            throw new SqlException(e.SqlState, e.Message) { Position = position };
        }
    }

    private static IntervalField FieldOf(Ast.DateTimeField field) => Enum.Parse<IntervalField>(field.ToString(), ignoreCase: true);

    /// <summary>The value of an expression without columns.</summary>
    /// <param name="now">What now() gives; null: the expression must not ask.</param>
    public static Datum Evaluate(HirScalarExpr expr, string clause, int? position, DateTimeOffset? now = null)
    {
        var mir = HirLowering.LowerScalar(expr);
        if (now is { } time)
            mir = BindNow(mir, time);
        if (IsUnmaterializable(mir))
            throw SqlException.Plan($"{clause} must be constant: cannot call functions of session or time", position);
        if (HasParameter(mir))
            throw SqlException.Plan($"{clause} must be constant: the parameter's value is not known", position);
        if (Interpreter.TryEval(mir, [], [], out var value) is { } error)
            throw new SqlException(error.SqlState, error.Message) { Detail = error.Detail, Hint = error.Hint, Position = position };
        return value;
    }

    private static MirScalarExpr BindNow(MirScalarExpr expr, DateTimeOffset now) => expr switch
    {
        MirScalarExpr.CallUnmaterializable { Func: UnmaterializableFunc.CurrentTimestamp } =>
            new MirScalarExpr.Literal(Datum.FromInt64((now.ToUnixTimeMilliseconds() * 1000) - MicrosTo2000), SqlType.TimestampTz.Nullable(false)),
        MirScalarExpr.CallUnmaterializable { Func: UnmaterializableFunc.MzNow } =>
            new MirScalarExpr.Literal(Datum.FromUInt64((ulong)now.ToUnixTimeMilliseconds()), SqlType.MzTimestamp.Nullable(false)),
        _ => expr.MapChildren(c => BindNow(c, now)),
    };

    internal static bool HasParameter(MirScalarExpr expr) => expr is MirScalarExpr.Parameter || expr.Children.Any(HasParameter);

    private static bool IsUnmaterializable(MirScalarExpr expr) => expr is MirScalarExpr.CallUnmaterializable || expr.Children.Any(IsUnmaterializable);
}
