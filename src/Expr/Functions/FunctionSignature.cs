using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>What a parameter accepts; polymorphic ones are tied together by the rules of Postgres' overload resolution.</summary>
public abstract record ParamType
{
    private ParamType()
    {
    }

    /// <summary>A value of this type, modifiers aside.</summary>
    public sealed record Exact(SqlType Type) : ParamType;

    public sealed record Any : ParamType;

    public sealed record AnyElement : ParamType;

    public sealed record AnyNonArray : ParamType;

    public sealed record AnyArray : ParamType;

    public sealed record AnyList : ParamType;

    public sealed record AnyMap : ParamType;

    public sealed record AnyRange : ParamType;

    public sealed record AnyRecord : ParamType;

    public sealed record AnyCompatible : ParamType;

    public sealed record AnyCompatibleArray : ParamType;

    public sealed record AnyCompatibleList : ParamType;

    public sealed record AnyCompatibleMap : ParamType;

    /// <summary>The type itself is the parameter: <c>Exact</c> for a plain type.</summary>
    public static implicit operator ParamType(SqlType type) => new Exact(type);
}

/// <summary>What a resolved name turns into.</summary>
public abstract record FunctionTarget
{
    private FunctionTarget()
    {
    }

    public sealed record Scalar(ScalarFunc Func) : FunctionTarget;

    public sealed record Unmaterializable(UnmaterializableFunc Func) : FunctionTarget;

    public sealed record Aggregate(AggregateFunc Func) : FunctionTarget;

    /// <summary>Gives rows of <paramref name="Columns"/>; types may depend on the arguments through <see cref="FunctionSignature.Return"/>.</summary>
    public sealed record Table(TableFunc Func, ValueArray<string> Columns) : FunctionTarget;

    /// <summary>
    /// Written in SQL over other functions, with <c>$1</c>, <c>$2</c>… for the arguments: <c>avg(x)</c> is
    /// <c>sum($1) / count($1)</c> with casts. The planner parses and plans it in place.
    /// </summary>
    public sealed record Macro(string Sql) : FunctionTarget;
}

/// <summary>One overload of a SQL function or operator.</summary>
/// <param name="Name">Lower case; an operator's symbol.</param>
/// <param name="Schema">pg_catalog, mz_catalog, mz_internal or mz_unsafe.</param>
/// <param name="Params">One per argument.</param>
/// <param name="Variadic">If not null, any number of further arguments of this type.</param>
/// <param name="Return">The result's type from the actual argument types (after coercion); null for polymorphic element rules
/// that the argument types do not decide.</param>
/// <param name="Oid">As in pg_proc or pg_operator.</param>
public sealed record FunctionSignature(
    string Name,
    string Schema,
    ValueArray<ParamType> Params,
    ParamType? Variadic,
    Func<IReadOnlyList<SqlType>, SqlType> Return,
    FunctionTarget Target,
    uint Oid);

/// <summary>In which places a cast happens by itself. Implicit ⊂ assignment ⊂ explicit.</summary>
public enum CastContext
{
    Implicit,
    Assignment,
    Explicit,
}

/// <summary>A cast from one type to another.</summary>
/// <param name="Context">The narrowest context in which it may be used; it is also allowed in the wider ones.</param>
/// <param name="Func">Null when the bytes are the same and nothing needs to run.</param>
public sealed record CastSignature(CastContext Context, ScalarFunc? Func)
{
    /// <summary>What an explicit cast runs instead, if not null: it truncates where assignment fails.</summary>
    public ScalarFunc? ExplicitFunc { get; init; }
}
