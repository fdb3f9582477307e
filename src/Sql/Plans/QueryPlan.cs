using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>A query from HIR to MIR. Parameters are bound; views are not inlined: they are <see cref="MirRelationExpr.Get"/>s.</summary>
/// <param name="Hir">As typed and resolved: EXPLAIN RAW PLAN prints it.</param>
/// <param name="Mir">Decorrelated; columns as <paramref name="Hir"/>'s.</param>
/// <param name="Desc">What the client sees: names and types after <see cref="RowSetFinishing.Project"/>.</param>
/// <param name="DependsOn">Items named, views not expanded; ascending, without duplicates.</param>
public sealed record QueryPlan(
    HirRelationExpr Hir,
    MirRelationExpr Mir,
    RelationDesc Desc,
    RowSetFinishing Finishing,
    ValueArray<GlobalId> DependsOn)
{
    /// <summary>The same query as one relation whose columns are <see cref="Desc"/>: the finishing as TopK and Project. For views,
    /// indexes and subscribes, where order means nothing.</summary>
    public required MirRelationExpr Whole { get; init; }

    /// <summary>Whether mz_now(), now(), current_user and their like occur.</summary>
    public bool IsUnmaterializable { get; init; }
}

/// <summary>At what time a read happens.</summary>
public abstract record QueryWhen
{
    private QueryWhen()
    {
    }

    /// <summary>As the session's isolation level says.</summary>
    public sealed record Immediately : QueryWhen;

    /// <summary>Not before the last write of any table: reads of read-then-write.</summary>
    public sealed record FreshestTableWrite : QueryWhen;

    /// <summary>Exactly there.</summary>
    public sealed record AtTimestamp(ulong TimestampMs) : QueryWhen;

    /// <summary>There or later.</summary>
    public sealed record AtLeastTimestamp(ulong TimestampMs) : QueryWhen;

    public static readonly QueryWhen Now = new Immediately();
}

/// <summary>How COPY writes or reads rows.</summary>
public enum CopyFormat
{
    Text,
    Csv,
    Binary,
}

/// <summary>Values of <c>$1</c>… in order.</summary>
public sealed record Params(ValueArray<Datum> Values, ValueArray<SqlType> Types)
{
    public static readonly Params None = new([], []);

    /// <summary>The types are decided, the values are not: the plan holds for all of them.</summary>
    public static Params Open(ValueArray<SqlType> types) => new([], types) { AreOpen = true };

    /// <summary>Whether <see cref="Values"/> are still to come.</summary>
    public bool AreOpen { get; private init; }
}

/// <summary>What Parse and Describe tell a client.</summary>
/// <param name="Desc">Null for statements that return no rows.</param>
/// <param name="ParamTypes">One per parameter, inferred where the client left it open.</param>
public sealed record StatementDesc(RelationDesc? Desc, ValueArray<SqlType> ParamTypes)
{
    /// <summary>Whether rows leave as COPY data, and so without a RowDescription.</summary>
    public bool IsCopy { get; init; }
}

/// <summary>A column of a result row sent as it is.</summary>
public sealed record ConstantResult(RelationDesc Desc, ValueArray<ValueArray<Datum>> Rows);
