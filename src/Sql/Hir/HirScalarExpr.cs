using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// A typed scalar expression that may hold subqueries. A column is named by how many relations outwards it belongs to: level 0 is
/// the relation the expression is evaluated over, level 1 the one around the innermost subquery (or, inside the right side of a join, the
/// join's left side), and so on. Types are carried in the nodes: planning computes them once, from the bottom.
/// </summary>
public abstract record HirScalarExpr
{
    private HirScalarExpr()
    {
    }

    /// <summary>The value's type.</summary>
    public abstract ColumnType Type { get; }

    /// <summary>A column; see the class for levels.</summary>
    public sealed record Column(int Level, int Index, ColumnType ColumnType) : HirScalarExpr
    {
        public override ColumnType Type => ColumnType;
    }

    /// <summary><c>$n</c>, from 1. Bound before lowering.</summary>
    public sealed record Parameter(int Number, SqlType ParameterType) : HirScalarExpr
    {
        public override ColumnType Type => ParameterType.Nullable();
    }

    public sealed record Literal(Datum Value, ColumnType LiteralType) : HirScalarExpr
    {
        public override ColumnType Type => LiteralType;

        /// <summary>By the value's text of the same type: <see cref="Datum"/> itself does not know how to compare.</summary>
        public bool Equals(Literal? other) =>
            other is not null && LiteralType.Equals(other.LiteralType) && Value.IsNull == other.Value.IsNull
            && (Value.IsNull || DatumIdentity.AreSame(LiteralType.Type, Value, other.Value));

        public override int GetHashCode() => HashCode.Combine(LiteralType, Value.IsNull);
    }

    public sealed record CallUnmaterializable(UnmaterializableFunc Func, ColumnType ResultType) : HirScalarExpr
    {
        public override ColumnType Type => ResultType;
    }

    /// <param name="ResultType">Also parametrises casts; see <see cref="MirScalarExpr.Call"/>.</param>
    public sealed record Call(ScalarFunc Func, ValueArray<HirScalarExpr> Args, ColumnType ResultType) : HirScalarExpr
    {
        public override ColumnType Type => ResultType;
    }

    public sealed record If(HirScalarExpr Condition, HirScalarExpr Then, HirScalarExpr Else) : HirScalarExpr
    {
        public override ColumnType Type => new(Then.Type.Type, Then.Type.IsNullable || Else.Type.IsNullable);
    }

    /// <summary>Whether the subquery has a row.</summary>
    public sealed record Exists(HirRelationExpr Query) : HirScalarExpr
    {
        public override ColumnType Type => SqlType.Bool.Nullable(false);
    }

    /// <summary>The one value of a subquery of one column; null without a row; an error for several.</summary>
    public sealed record Select(HirRelationExpr Query) : HirScalarExpr
    {
        public override ColumnType Type => Query.Type.Columns[0].Type.Nullable();
    }

    /// <summary>A window function over the rows of the relation the expression is evaluated over.</summary>
    public sealed record Windowed(WindowExpr Window) : HirScalarExpr
    {
        public override ColumnType Type => Window.Output;
    }

    public static readonly HirScalarExpr True = new Literal(Datum.True, SqlType.Bool.Nullable(false));

    public static readonly HirScalarExpr False = new Literal(Datum.False, SqlType.Bool.Nullable(false));

    public static HirScalarExpr Null(SqlType type) => new Literal(Datum.Null, type.Nullable());

    /// <summary>The direct scalar subexpressions; not those inside subqueries.</summary>
    public IEnumerable<HirScalarExpr> Children => this switch
    {
        Call x => x.Args,
        If x => [x.Condition, x.Then, x.Else],
        Windowed x => x.Window.Exprs,
        _ => [],
    };

    /// <summary>This node with <paramref name="f"/> applied to each direct scalar subexpression, <paramref name="g"/> to each subquery.</summary>
    public HirScalarExpr MapChildren(Func<HirScalarExpr, HirScalarExpr> f, Func<HirRelationExpr, HirRelationExpr> g) => this switch
    {
        Call x => x with { Args = x.Args.Select(f) },
        If x => new If(f(x.Condition), f(x.Then), f(x.Else)),
        Exists x => new Exists(g(x.Query)),
        Select x => new Select(g(x.Query)),
        Windowed x => new Windowed(x.Window.MapExprs(f)),
        _ => this,
    };
}

/// <summary>The functions that need a window, besides aggregates.</summary>
public enum WindowFunc
{
    RowNumber,
    Rank,
    DenseRank,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    Aggregate,
}

/// <summary>A bound of a frame, in rows: negative before, positive after the current row; null unbounded.</summary>
public readonly record struct FrameBound(long? Offset);

/// <summary>A frame. Not <paramref name="IsRows"/>: RANGE, whose only bounds are unbounded and the current row's peers.</summary>
public sealed record WindowFrame(bool IsRows, FrameBound Start, FrameBound End)
{
    /// <summary>RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW.</summary>
    public static readonly WindowFrame Default = new(false, new FrameBound(null), new FrameBound(0));
}

/// <summary>A call with OVER.</summary>
/// <param name="Args">Of the function; for an aggregate see <paramref name="Aggregate"/>.</param>
/// <param name="Orders">Over <paramref name="OrderBy"/>.</param>
public sealed record WindowExpr(
    WindowFunc Func,
    ValueArray<HirScalarExpr> Args,
    bool IgnoreNulls,
    AggregateFunc? Aggregate,
    ValueArray<HirScalarExpr> PartitionBy,
    ValueArray<HirScalarExpr> OrderBy,
    ValueArray<ColumnOrder> Orders,
    WindowFrame Frame,
    ColumnType Output)
{
    public IEnumerable<HirScalarExpr> Exprs => [.. Args, .. PartitionBy, .. OrderBy];

    public WindowExpr MapExprs(Func<HirScalarExpr, HirScalarExpr> f) =>
        this with { Args = Args.Select(f), PartitionBy = PartitionBy.Select(f), OrderBy = OrderBy.Select(f) };
}

/// <summary>An aggregate of a <see cref="HirRelationExpr.Reduce"/>; fields as in <see cref="AggregateExpr"/>.</summary>
public sealed record HirAggregate(
    AggregateFunc Func,
    ValueArray<HirScalarExpr> Args,
    bool Distinct,
    ColumnType Output,
    ValueArray<ColumnOrder> OrderBy,
    ValueArray<HirScalarExpr> OrderKeys)
{
    public IEnumerable<HirScalarExpr> Exprs => [.. Args, .. OrderKeys];

    public HirAggregate MapExprs(Func<HirScalarExpr, HirScalarExpr> f) =>
        this with { Args = Args.Select(f), OrderKeys = OrderKeys.Select(f) };
}
