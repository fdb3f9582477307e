using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>What a <see cref="MirRelationExpr.Get"/> names.</summary>
public abstract record Id
{
    private Id()
    {
    }

    /// <summary>Bound by an enclosing Let.</summary>
    public sealed record Local(int Number) : Id
    {
        public override string ToString() => $"l{Number}";
    }

    /// <summary>A collection of the catalog, or one built earlier in the same dataflow.</summary>
    public sealed record Global(GlobalId GlobalId) : Id
    {
        public override string ToString() => GlobalId.ToString();
    }
}

/// <summary>One column of a sort order.</summary>
public readonly record struct ColumnOrder(int Column, bool Descending, bool NullsLast);

/// <summary>A row of a constant, with its multiplicity.</summary>
public sealed record ConstantRow(ValueArray<Datum> Values, long Diff);

/// <summary>One aggregate of a Reduce.</summary>
/// <param name="Args">Usually one; string_agg has value and separator, and array_agg, list_agg and jsonb_agg may have a bool after the value: whether it is taken. <c>count(*)</c> counts the literal true.</param>
/// <param name="OrderBy">For collecting aggregates: orders over <paramref name="OrderKeys"/>.</param>
/// <param name="OrderKeys">Expressions the order columns index.</param>
public sealed record AggregateExpr(
    AggregateFunc Func,
    ValueArray<MirScalarExpr> Args,
    bool Distinct,
    ColumnType Output,
    ValueArray<ColumnOrder> OrderBy,
    ValueArray<MirScalarExpr> OrderKeys);

/// <summary>Aggregates that exist after planning: <c>avg</c> and its like have become sums and counts.</summary>
public enum AggregateFunc
{
    Count,
    Any,
    All,
    SumInt16,
    SumInt32,
    SumInt64,
    SumUInt16,
    SumUInt32,
    SumUInt64,
    SumFloat32,
    SumFloat64,
    SumNumeric,
    SumInterval,

    /// <summary>Of any ordered type; the argument's type says which.</summary>
    Min,
    Max,
    ArrayAgg,
    ListAgg,
    StringAgg,
    JsonbAgg,
    JsonbObjectAgg,
    MapAgg,

    /// <summary>Internal: the single value of a scalar subquery, or an error if there are several.</summary>
    SingleValue,
}

/// <summary>Functions that turn a row into rows.</summary>
public enum TableFunc
{
    GenerateSeriesInt32,
    GenerateSeriesInt64,
    GenerateSeriesTimestamp,
    GenerateSeriesTimestampTz,
    GenerateSubscripts,
    UnnestArray,
    UnnestList,
    UnnestMap,
    JsonbEach,
    JsonbEachText,
    JsonbObjectKeys,
    JsonbArrayElements,
    JsonbArrayElementsText,
    RegexpExtract,
    RegexpMatches,
    RegexpSplitToTable,
    CsvExtract,
    RepeatRow,
    AclExplode,

    /// <summary>Wraps another function's arguments: adds a row number; see <c>WITH ORDINALITY</c>.</summary>
    WithOrdinality,
}

/// <summary>
/// A query after decorrelation: relational operators over scalar expressions, no names, no nesting but by Let. The plan that
/// the optimizer rewrites. Vocabulary as in the original's documentation of its MIR.
/// </summary>
public abstract record MirRelationExpr
{
    private MirRelationExpr()
    {
    }

    /// <summary>Rows known at planning, or the error that computing them gave.</summary>
    public sealed record Constant(ValueArray<ConstantRow> Rows, RelationType Type, EvalError? Error = null) : MirRelationExpr;

    public sealed record Get(Id Id, RelationType Type) : MirRelationExpr;

    public sealed record Let(int LocalId, MirRelationExpr Value, MirRelationExpr Body) : MirRelationExpr;

    /// <summary>
    /// Collections defined by each other: all begin empty, and in each round each is what its value is, which sees those before it as of
    /// this round and the others, itself among them, as of the last; until a round changes nothing. The body sees the outcome.
    /// </summary>
    public sealed record LetRec(ValueArray<RecursiveBinding> Bindings, MirRelationExpr Body) : MirRelationExpr;

    /// <summary>Output column i is input column <c>Outputs[i]</c>.</summary>
    public sealed record Project(MirRelationExpr Input, ValueArray<int> Outputs) : MirRelationExpr;

    /// <summary>Appends columns; each may refer to the ones appended before it.</summary>
    public sealed record Map(MirRelationExpr Input, ValueArray<MirScalarExpr> Scalars) : MirRelationExpr;

    /// <summary>Appends the columns of each row that <paramref name="Func"/> gives, for each of them one output row.</summary>
    public sealed record FlatMap(MirRelationExpr Input, TableFunc Func, ValueArray<MirScalarExpr> Args, ValueArray<ColumnType> Output) : MirRelationExpr
    {
        /// <summary>For <see cref="TableFunc.WithOrdinality"/>: the function that is numbered.</summary>
        public TableFunc? Inner { get; init; }
    }

    /// <summary>Keeps rows for which every predicate is true.</summary>
    public sealed record Filter(MirRelationExpr Input, ValueArray<MirScalarExpr> Predicates) : MirRelationExpr;

    /// <summary>
    /// The rows of the cross product for which, in each class of <paramref name="Equivalences"/>, all expressions are equal and
    /// not null. Expressions are over the concatenated columns of the inputs.
    /// </summary>
    public sealed record Join(ValueArray<MirRelationExpr> Inputs, ValueArray<ValueArray<MirScalarExpr>> Equivalences) : MirRelationExpr
    {
        /// <summary>How it will run; chosen late by the optimizer.</summary>
        public JoinImplementation Implementation { get; init; } = JoinImplementation.Unimplemented;
    }

    /// <summary>Groups by the key, nulls equal; columns are keys, then aggregates. No key: still no row for no input.</summary>
    public sealed record Reduce(
        MirRelationExpr Input,
        ValueArray<MirScalarExpr> GroupKey,
        ValueArray<AggregateExpr> Aggregates,
        bool Monotonic = false,
        ulong? ExpectedGroupSize = null) : MirRelationExpr;

    /// <summary>In each group, rows <paramref name="Offset"/> to offset + limit of the order; ties by the whole row.</summary>
    public sealed record TopK(
        MirRelationExpr Input,
        ValueArray<int> GroupKey,
        ValueArray<ColumnOrder> OrderKey,
        MirScalarExpr? Limit,
        ulong Offset,
        bool Monotonic = false,
        ulong? ExpectedGroupSize = null) : MirRelationExpr;

    /// <summary>
    /// Appends a column for each call: what it is for the row among those of its partition (nulls equal), in this order. Ties go by the whole row, in the order of its values. Copies of a row have places of their own.
    /// </summary>
    public sealed record Window(
        MirRelationExpr Input, ValueArray<int> PartitionKey, ValueArray<ColumnOrder> OrderKey, ValueArray<WindowCall> Calls) : MirRelationExpr;

    public sealed record Negate(MirRelationExpr Input) : MirRelationExpr;

    /// <summary>Keeps rows with positive multiplicity.</summary>
    public sealed record Threshold(MirRelationExpr Input) : MirRelationExpr;

    public sealed record Union(MirRelationExpr Base, ValueArray<MirRelationExpr> Inputs) : MirRelationExpr;

    /// <summary>The same rows, indexed by each of the keys.</summary>
    public sealed record ArrangeBy(MirRelationExpr Input, ValueArray<ValueArray<MirScalarExpr>> Keys) : MirRelationExpr;

    /// <summary>The direct inputs.</summary>
    public IEnumerable<MirRelationExpr> Children => this switch
    {
        Let x => [x.Value, x.Body],
        LetRec x => [.. x.Bindings.Select(b => b.Value), x.Body],
        Project x => [x.Input],
        Map x => [x.Input],
        FlatMap x => [x.Input],
        Filter x => [x.Input],
        Join x => x.Inputs,
        Reduce x => [x.Input],
        TopK x => [x.Input],
        Window x => [x.Input],
        Negate x => [x.Input],
        Threshold x => [x.Input],
        Union x => [x.Base, .. x.Inputs],
        ArrangeBy x => [x.Input],
        Constant or Get => [],
        _ => throw new UnreachableException(GetType().Name),
    };

    /// <summary>This node with <paramref name="f"/> applied to each direct input; the one place that knows the shape.</summary>
    public MirRelationExpr MapInputs(Func<MirRelationExpr, MirRelationExpr> f) => this switch
    {
        Let x => x with { Value = f(x.Value), Body = f(x.Body) },
        LetRec x => x with { Bindings = x.Bindings.Select(b => b with { Value = f(b.Value) }), Body = f(x.Body) },
        Project x => x with { Input = f(x.Input) },
        Map x => x with { Input = f(x.Input) },
        FlatMap x => x with { Input = f(x.Input) },
        Filter x => x with { Input = f(x.Input) },
        Join x => x with { Inputs = x.Inputs.Select(f) },
        Reduce x => x with { Input = f(x.Input) },
        TopK x => x with { Input = f(x.Input) },
        Window x => x with { Input = f(x.Input) },
        Negate x => x with { Input = f(x.Input) },
        Threshold x => x with { Input = f(x.Input) },
        Union x => x with { Base = f(x.Base), Inputs = x.Inputs.Select(f) },
        ArrangeBy x => x with { Input = f(x.Input) },
        Constant or Get => this,
        _ => throw new UnreachableException(GetType().Name),
    };
}

/// <summary>How a join runs.</summary>
public abstract record JoinImplementation
{
    private JoinImplementation()
    {
    }

    public static readonly JoinImplementation Unimplemented = new NotChosen();

    public sealed record NotChosen : JoinImplementation;

    /// <summary>A chain of binary joins: start at one input, then each next one looked up by its key.</summary>
    public sealed record Linear(int Start, ValueArray<JoinStep> Steps) : JoinImplementation;

    /// <summary>One path per input, each looking up all the others; needs no intermediate state.</summary>
    public sealed record Delta(ValueArray<ValueArray<JoinStep>> Paths) : JoinImplementation;
}

/// <summary>Look up <paramref name="Input"/>, arranged by <paramref name="Key"/> (over its own columns).</summary>
public sealed record JoinStep(int Input, ValueArray<MirScalarExpr> Key);
