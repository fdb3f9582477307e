using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>
/// A physical plan: what a replica renders, operator by operator, with every decision taken (which arrangement, which kind of
/// join and reduce). Column types are explicit on each node, because row layouts follow from them.
/// </summary>
public abstract record LirRelationExpr(ValueArray<ColumnType> Columns)
{
    public sealed record Constant(ValueArray<ConstantRow> Rows, EvalError? Error, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>
    /// A collection by name: an import, an object built earlier in this dataflow, or a Let. <paramref name="Mfp"/> is applied on
    /// the way; if it is the identity, arrangements of the collection are passed on as they are.
    /// </summary>
    /// <param name="Key">If not null, read through the arrangement with this key instead of the plain collection.</param>
    /// <param name="Literals">With a key: only the rows whose key is one of these rows.</param>
    public sealed record Get(Id Id, ArrangementKey? Key, ValueArray<ValueArray<Datum>>? Literals, Mfp Mfp, ValueArray<ColumnType> Columns)
        : LirRelationExpr(Columns);

    public sealed record Let(int LocalId, LirRelationExpr Value, LirRelationExpr Body, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>See <see cref="MirRelationExpr.LetRec"/>. A binding's columns are those of its value.</summary>
    public sealed record LetRec(ValueArray<LirRecursiveBinding> Bindings, LirRelationExpr Body, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>Map, filter, project; may hold temporal filters.</summary>
    public sealed record MapFilterProject(LirRelationExpr Input, Mfp Mfp, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>For each input row, the rows of a table function appended to it, then <paramref name="MfpAfter"/>.</summary>
    /// <param name="FuncColumns">Types of the columns that the function appends.</param>
    public sealed record FlatMap(
        LirRelationExpr Input,
        TableFunc Func,
        TableFunc? Inner,
        ValueArray<MirScalarExpr> Args,
        ValueArray<ColumnType> FuncColumns,
        Mfp MfpAfter,
        ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    public sealed record Join(ValueArray<LirRelationExpr> Inputs, LirJoinPlan Plan, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>Groups by <paramref name="GroupKey"/>; columns are keys then aggregates, then <paramref name="MfpAfter"/>.</summary>
    /// <param name="Aggregates">Over the input's columns. None: distinct keys.</param>
    public sealed record Reduce(
        LirRelationExpr Input,
        ValueArray<MirScalarExpr> GroupKey,
        ValueArray<LirAggregate> Aggregates,
        Mfp MfpAfter,
        ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    public sealed record TopK(
        LirRelationExpr Input,
        ValueArray<int> GroupKey,
        ValueArray<ColumnOrder> OrderKey,
        MirScalarExpr? Limit,
        ulong Offset,
        ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>See <see cref="MirRelationExpr.Window"/>; maintained row by row.</summary>
    public sealed record Window(
        LirRelationExpr Input,
        ValueArray<int> PartitionKey,
        ValueArray<ColumnOrder> OrderKey,
        ValueArray<WindowCall> Calls,
        ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    public sealed record Negate(LirRelationExpr Input, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    public sealed record Threshold(LirRelationExpr Input, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <param name="Consolidate">Whether opposite updates should be cancelled here, because what follows would keep both.</param>
    public sealed record Union(ValueArray<LirRelationExpr> Inputs, bool Consolidate, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>The input with these arrangements besides what it has.</summary>
    public sealed record ArrangeBy(LirRelationExpr Input, ValueArray<ArrangementKey> Keys, ValueArray<ColumnType> Columns) : LirRelationExpr(Columns);

    /// <summary>The direct inputs.</summary>
    public IEnumerable<LirRelationExpr> Children => this switch
    {
        Constant or Get => [],
        Let x => [x.Value, x.Body],
        LetRec x => [.. x.Bindings.Select(b => b.Value), x.Body],
        MapFilterProject x => [x.Input],
        FlatMap x => [x.Input],
        Join x => x.Inputs,
        Reduce x => [x.Input],
        TopK x => [x.Input],
        Window x => [x.Input],
        Negate x => [x.Input],
        Threshold x => [x.Input],
        Union x => x.Inputs,
        ArrangeBy x => [x.Input],
        _ => throw new UnreachableException(GetType().Name),
    };
}

/// <summary>One of several collections that are defined by each other.</summary>
public sealed record LirRecursiveBinding(int LocalId, LirRelationExpr Value, RecursionLimit? Limit);

/// <summary>
/// The key of an arrangement. Its rows are stored as a key row (the values of <paramref name="Exprs"/>) and a value row: the
/// relation's columns, in order, without those that are themselves key expressions.
/// </summary>
public sealed record ArrangementKey(ValueArray<MirScalarExpr> Exprs)
{
    /// <summary>The relation's columns that the value row holds.</summary>
    public ValueArray<int> ValueColumns(int arity) =>
        Enumerable.Range(0, arity).Where(column => KeyPosition(column) < 0).ToValueArray();

    /// <summary>Which key expression is this very column, or -1.</summary>
    public int KeyPosition(int column)
    {
        for (var i = 0; i < Exprs.Count; i++)
        {
            if (Exprs[i] is MirScalarExpr.Column c && c.Index == column)
                return i;
        }

        return -1;
    }

    /// <summary>Where each of the relation's columns lies: part 0 is the key row, part 1 the value row.</summary>
    public ValueArray<(int Part, int Index)> Locate(int arity)
    {
        var next = 0;
        var places = new (int, int)[arity];
        for (var column = 0; column < arity; column++)
        {
            var position = KeyPosition(column);
            places[column] = position >= 0 ? (0, position) : (1, next++);
        }

        return ValueArray.Create<(int, int)>(places);
    }
}

/// <summary>How an aggregate is maintained.</summary>
public enum ReduceKind : byte
{
    /// <summary>A fixed-size accumulator; changes add and subtract.</summary>
    Accumulable,

    /// <summary>min and max: an ordered state.</summary>
    Hierarchical,

    /// <summary>The whole group is recomputed when it changes.</summary>
    Basic,
}

/// <summary>An aggregate and how it is maintained.</summary>
public sealed record LirAggregate(AggregateExpr Expr, ReduceKind Kind);

/// <summary>
/// How a join runs. In all stages the <em>stream</em> row is what earlier stages gave; a stage looks it up in another input and
/// applies its closure to (stream columns, looked-up input's columns); the closure's output is the next stream row.
/// </summary>
public abstract record LirJoinPlan
{
    private LirJoinPlan()
    {
    }

    /// <summary>Start at input <paramref name="Source"/>, then look up every other input once.</summary>
    /// <param name="SourceKey">If not null, the first stage joins this arrangement of the source directly.</param>
    /// <param name="Initial">Applied to the source's columns first; the identity when there is a <paramref name="SourceKey"/>.</param>
    public sealed record Linear(int Source, ArrangementKey? SourceKey, Mfp Initial, ValueArray<LirJoinStage> Stages) : LirJoinPlan;

    /// <summary>One path per input: a change of that input looks up all others in their arrangements.</summary>
    public sealed record Delta(ValueArray<LirDeltaPath> Paths) : LirJoinPlan;
}

/// <summary>One lookup of a join.</summary>
/// <param name="Input">Which input is looked up.</param>
/// <param name="StreamKey">Over the stream's columns.</param>
/// <param name="LookupKey">Over the looked-up input's columns; that arrangement exists.</param>
/// <param name="StreamColumns">Types of the stream's columns before this stage.</param>
/// <param name="Closure">Over stream columns followed by all of the looked-up input's columns.</param>
/// <param name="Output">Types of the columns that the closure gives.</param>
public sealed record LirJoinStage(
    int Input,
    ValueArray<MirScalarExpr> StreamKey,
    ArrangementKey LookupKey,
    ValueArray<ColumnType> StreamColumns,
    Mfp Closure,
    ValueArray<ColumnType> Output);

/// <summary>The path of one input through a delta join.</summary>
/// <param name="SourceKey">An arrangement of the source that exists; its changes drive the path.</param>
/// <param name="Initial">Applied to the source's columns first.</param>
public sealed record LirDeltaPath(int Source, ArrangementKey SourceKey, Mfp Initial, ValueArray<LirJoinStage> Stages);
