using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>The type of an expression, from the types of the columns it reads.</summary>
public static class ScalarTyping
{
    private static readonly SqlType TextArray = SqlType.ArrayOf(SqlType.String);

    /// <summary>The type of <paramref name="expr"/> and whether it can be null, over a relation of these columns.</summary>
    public static ColumnType TypeOf(this MirScalarExpr expr, ValueArray<ColumnType> columns)
    {
        switch (expr)
        {
            case MirScalarExpr.Column x:
                return columns[x.Index];
            case MirScalarExpr.Literal x:
                return x.Type with { IsNullable = x.Value.IsNull };
            case MirScalarExpr.LiteralError x:
                return x.Type with { IsNullable = false };
            case MirScalarExpr.CallUnmaterializable x:
                return TypeOf(x.Func);
            case MirScalarExpr.Parameter x:
                return x.Type.Nullable();
            case MirScalarExpr.If x:
                var then = x.Then.TypeOf(columns);
                return then with { IsNullable = then.IsNullable || x.Else.TypeOf(columns).IsNullable };
            case MirScalarExpr.Call x:
                return x.Output.Nullable(IsNullable(x, columns));
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    /// <summary>The result type of a function of session and time.</summary>
    public static ColumnType TypeOf(UnmaterializableFunc func) => func switch
    {
        UnmaterializableFunc.CurrentSchema => SqlType.String.Nullable(),
        UnmaterializableFunc.CurrentSchemasWithSystem or UnmaterializableFunc.CurrentSchemasWithoutSystem => TextArray.Nullable(false),
        UnmaterializableFunc.CurrentTimestamp or UnmaterializableFunc.PgPostmasterStartTime => SqlType.TimestampTz.Nullable(false),
        UnmaterializableFunc.IsRbacEnabled or UnmaterializableFunc.MzIsSuperuser => SqlType.Bool.Nullable(false),
        UnmaterializableFunc.MzNow => SqlType.MzTimestamp.Nullable(false),
        UnmaterializableFunc.MzSessionId => SqlType.Uuid.Nullable(false),
        UnmaterializableFunc.MzUptime => SqlType.Interval.Nullable(),
        UnmaterializableFunc.MzVersionNum or UnmaterializableFunc.PgBackendPid => SqlType.Int32.Nullable(false),
        UnmaterializableFunc.ViewableVariables => SqlType.MapOf(SqlType.String).Nullable(false),
        UnmaterializableFunc.MzRoleOidMemberships => SqlType.MapOf(TextArray).Nullable(false),
        _ => SqlType.String.Nullable(false),
    };

    private static bool IsNullable(MirScalarExpr.Call call, ValueArray<ColumnType> columns)
    {
        if (call.Func.NeverNull)
            return false;
        if (call.Func.IntroducesNulls)
            return true;
        // Of these the result is null only if every argument is.
        var needsAll = call.Func.Id is "coalesce" or "greatest" or "least";
        if (call.Func.Id == "error_if_null")
            return false;
        var any = false;
        var all = true;
        foreach (var arg in call.Args)
        {
            var nullable = arg.TypeOf(columns).IsNullable;
            any |= nullable;
            all &= nullable;
        }

        return needsAll ? all : any;
    }
}
