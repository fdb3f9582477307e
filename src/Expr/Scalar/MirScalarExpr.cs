using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>A scalar expression over the columns of one relation: no subqueries, no names, fully typed.</summary>
public abstract record MirScalarExpr
{
    private MirScalarExpr()
    {
    }

    /// <summary>Column <paramref name="Index"/> of the input.</summary>
    public sealed record Column(int Index) : MirScalarExpr;

    /// <summary>A constant; <paramref name="Value"/> is of type <paramref name="Type"/>.</summary>
    public sealed record Literal(Datum Value, ColumnType Type) : MirScalarExpr;

    /// <summary>An expression known to fail, when and if it is evaluated.</summary>
    public sealed record LiteralError(EvalError Error, ColumnType Type) : MirScalarExpr;

    /// <summary>A function that depends on session or time: replaced by a literal before anything runs, except
    /// <see cref="UnmaterializableFunc.MzNow"/> in temporal filters.</summary>
    public sealed record CallUnmaterializable(UnmaterializableFunc Func) : MirScalarExpr;

    /// <summary>
    /// <c>$n</c>, from 1: stands in the plan of a prepared read that is made once for all values. It may be null, and nobody looks
    /// at it before it is replaced by a literal; it never reaches a cluster.
    /// </summary>
    public sealed record Parameter(int Number, SqlType Type) : MirScalarExpr;

    /// <summary>A function of its arguments. <paramref name="Output"/> is its result's type, which also parametrises casts.</summary>
    public sealed record Call(ScalarFunc Func, ValueArray<MirScalarExpr> Args, SqlType Output) : MirScalarExpr;

    /// <summary><c>CASE WHEN condition THEN then ELSE else END</c>; only the chosen branch is evaluated.</summary>
    public sealed record If(MirScalarExpr Condition, MirScalarExpr Then, MirScalarExpr Else) : MirScalarExpr;

    public static readonly MirScalarExpr True = new Literal(Datum.True, SqlType.Bool.Nullable(false));

    public static readonly MirScalarExpr False = new Literal(Datum.False, SqlType.Bool.Nullable(false));

    public static MirScalarExpr Null(SqlType type) => new Literal(Datum.Null, type.Nullable());

    /// <summary>The direct subexpressions.</summary>
    public IEnumerable<MirScalarExpr> Children => this switch
    {
        Call x => x.Args,
        If x => [x.Condition, x.Then, x.Else],
        _ => [],
    };

    /// <summary>This node with <paramref name="f"/> applied to each direct subexpression; the one place that knows the shape.</summary>
    public MirScalarExpr MapChildren(Func<MirScalarExpr, MirScalarExpr> f) => this switch
    {
        Call x => x with { Args = x.Args.Select(f) },
        If x => new If(f(x.Condition), f(x.Then), f(x.Else)),
        _ => this,
    };
}

/// <summary>Functions whose value a session or a moment decides.</summary>
public enum UnmaterializableFunc
{
    CurrentDatabase,
    CurrentSchema,
    CurrentSchemasWithSystem,
    CurrentSchemasWithoutSystem,
    CurrentTimestamp,
    CurrentUser,
    SessionUser,
    IsRbacEnabled,
    MzEnvironmentId,
    MzIsSuperuser,
    MzNow,
    MzSessionId,
    MzUptime,
    MzVersion,
    MzVersionNum,
    PgBackendPid,
    PgPostmasterStartTime,
    Version,
    ViewableVariables,
    MzRoleOidMemberships,
}
