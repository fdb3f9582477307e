using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>What a join does with rows that have no partner.</summary>
public enum JoinKind
{
    Inner,
    LeftOuter,
    RightOuter,
    FullOuter,
}

/// <summary>
/// A query as typed and resolved, before decorrelation: subqueries are still inside scalar expressions, and the right side of a join
/// may refer to its left side (level 1), which is how LATERAL and table functions in FROM are written.
/// </summary>
public abstract record HirRelationExpr
{
    private readonly TypeCache _type;

    private HirRelationExpr()
    {
        _type = new TypeCache();
    }

    /// <summary>A copy made by <c>with</c> has other inputs: its type is computed anew.</summary>
    protected HirRelationExpr(HirRelationExpr original)
    {
        _ = original;
        _type = new TypeCache();
    }

    /// <summary>The columns; keys are not tracked here.</summary>
    public RelationType Type => _type.Value ??= new RelationType(ComputeColumns());

    public int Arity => Type.Arity;

    public sealed record Constant(ValueArray<ValueArray<HirScalarExpr.Literal>> Rows, ValueArray<ColumnType> Columns) : HirRelationExpr
    {
        /// <summary>One row of no columns: what a SELECT without FROM reads.</summary>
        public static readonly Constant Unit = new([ValueArray<HirScalarExpr.Literal>.Empty], []);
    }

    public sealed record Get(Id Id, ValueArray<ColumnType> Columns) : HirRelationExpr;

    /// <summary>A common table expression. Local ids are unique in a statement.</summary>
    public sealed record Let(int LocalId, string Name, HirRelationExpr Value, HirRelationExpr Body) : HirRelationExpr;

    /// <summary>WITH MUTUALLY RECURSIVE; see <see cref="MirRelationExpr.LetRec"/>. Values have exactly the types of the bindings' columns.</summary>
    public sealed record LetRec(ValueArray<HirRecursiveBinding> Bindings, RecursionLimit? Limit, HirRelationExpr Body) : HirRelationExpr;

    public sealed record Project(HirRelationExpr Input, ValueArray<int> Outputs) : HirRelationExpr;

    /// <summary>Each scalar may refer to the ones before it.</summary>
    public sealed record Map(HirRelationExpr Input, ValueArray<HirScalarExpr> Scalars) : HirRelationExpr;

    /// <summary>A table function. Its arguments have no level 0; what it is joined to is level 1.</summary>
    public sealed record CallTable(TableFunc Func, ValueArray<HirScalarExpr> Args, ValueArray<ColumnType> Output) : HirRelationExpr
    {
        /// <summary>For <see cref="TableFunc.WithOrdinality"/>.</summary>
        public TableFunc? Inner { get; init; }
    }

    public sealed record Filter(HirRelationExpr Input, ValueArray<HirScalarExpr> Predicates) : HirRelationExpr;

    /// <param name="On">Over left's columns, then right's.</param>
    public sealed record Join(HirRelationExpr Left, HirRelationExpr Right, HirScalarExpr On, JoinKind Kind) : HirRelationExpr;

    /// <summary>Keys, then aggregates. Without keys: exactly one row.</summary>
    public sealed record Reduce(HirRelationExpr Input, ValueArray<int> GroupKey, ValueArray<HirAggregate> Aggregates, ulong? ExpectedGroupSize = null)
        : HirRelationExpr;

    public sealed record Distinct(HirRelationExpr Input) : HirRelationExpr;

    /// <param name="Limit">int8, constant for each run of the enclosing query; null: none.</param>
    public sealed record TopK(
        HirRelationExpr Input,
        ValueArray<int> GroupKey,
        ValueArray<ColumnOrder> OrderKey,
        HirScalarExpr? Limit,
        ulong Offset,
        ulong? ExpectedGroupSize = null) : HirRelationExpr;

    public sealed record Negate(HirRelationExpr Input) : HirRelationExpr;

    public sealed record Threshold(HirRelationExpr Input) : HirRelationExpr;

    public sealed record Union(HirRelationExpr Base, ValueArray<HirRelationExpr> Inputs) : HirRelationExpr;

    private ValueArray<ColumnType> ComputeColumns() => this switch
    {
        Constant x => x.Columns,
        Get x => x.Columns,
        Let x => x.Body.Type.Columns,
        LetRec x => x.Body.Type.Columns,
        Project x => x.Outputs.Select(i => x.Input.Type.Columns[i]),
        Map x => [.. x.Input.Type.Columns, .. x.Scalars.Select(s => s.Type)],
        CallTable x => x.Output,
        Filter x => x.Input.Type.Columns,
        Join x => JoinColumns(x),
        Reduce x => [.. x.GroupKey.Select(i => x.Input.Type.Columns[i]), .. x.Aggregates.Select(a => a.Output)],
        Distinct x => x.Input.Type.Columns,
        TopK x => x.Input.Type.Columns,
        Negate x => x.Input.Type.Columns,
        Threshold x => x.Input.Type.Columns,
        Union x => UnionColumns(x),
        _ => throw new UnreachableException(GetType().Name),
    };

    private static ValueArray<ColumnType> JoinColumns(Join join)
    {
        var leftNullable = join.Kind is JoinKind.RightOuter or JoinKind.FullOuter;
        var rightNullable = join.Kind is JoinKind.LeftOuter or JoinKind.FullOuter;
        return
        [
            .. join.Left.Type.Columns.Select(c => c with { IsNullable = c.IsNullable || leftNullable }),
            .. join.Right.Type.Columns.Select(c => c with { IsNullable = c.IsNullable || rightNullable }),
        ];
    }

    private static ValueArray<ColumnType> UnionColumns(Union union)
    {
        var columns = union.Base.Type.Columns.AsSpan().ToArray();
        foreach (var input in union.Inputs)
        {
            for (var i = 0; i < columns.Length; i++)
                columns[i] = columns[i] with { IsNullable = columns[i].IsNullable || input.Type.Columns[i].IsNullable };
        }

        return columns.ToValueArray();
    }

    /// <summary>Computed at first use; takes no part in the record's equality.</summary>
    private sealed class TypeCache
    {
        public RelationType? Value { get; set; }

        public override bool Equals(object? obj) => obj is TypeCache;

        public override int GetHashCode() => 0;
    }
}

/// <summary>A binding of WITH MUTUALLY RECURSIVE.</summary>
public sealed record HirRecursiveBinding(int LocalId, string Name, HirRelationExpr Value, ValueArray<ColumnType> Columns);
