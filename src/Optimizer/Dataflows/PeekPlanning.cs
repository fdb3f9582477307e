using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>How a one-shot query is answered. Rows have the columns <paramref name="ResultColumns"/>; the finishing is still to be done.</summary>
/// <param name="Plan">Optimised MIR, for EXPLAIN.</param>
public abstract record PeekPlan(MirRelationExpr Plan, ValueArray<ColumnType> ResultColumns)
{
    /// <summary>No cluster is needed.</summary>
    public sealed record Constant(MirRelationExpr Plan, ValueArray<ConstantRow> Rows, EvalError? Error, ValueArray<ColumnType> ResultColumns)
        : PeekPlan(Plan, ResultColumns);

    /// <summary>A read of one index: all of it, or some keys.</summary>
    public sealed record FastPathIndex(
        MirRelationExpr Plan, GlobalId OnId, GlobalId IndexId, ArrangementKey Key, ValueArray<ValueArray<Datum>>? LiteralKeys, Mfp Mfp, ValueArray<ColumnType> ResultColumns)
        : PeekPlan(Plan, ResultColumns);

    /// <summary>A read of one storage collection.</summary>
    public sealed record FastPathPersist(MirRelationExpr Plan, GlobalId Id, Mfp Mfp, ValueArray<ColumnType> ResultColumns)
        : PeekPlan(Plan, ResultColumns);

    /// <summary>A transient dataflow, whose index is read whole (by a trivial Mfp) and then dropped.</summary>
    public sealed record SlowPath(MirRelationExpr Plan, DataflowDescription Dataflow, GlobalId IndexId, ValueArray<ColumnType> ResultColumns)
        : PeekPlan(Plan, ResultColumns);

    /// <summary>Ids of what is read: storage collections, and indexes.</summary>
    public IEnumerable<GlobalId> ImportIds => this switch
    {
        FastPathIndex x => [x.IndexId],
        FastPathPersist x => [x.Id],
        SlowPath x => x.Dataflow.ImportIds,
        _ => [],
    };
}

/// <summary>Plans one-shot queries.</summary>
public static class PeekPlanning
{
    /// <param name="query">The query; may be any MIR.</param>
    /// <param name="columns">The result's column types as described to the client.</param>
    /// <param name="finishing">What the adapter does to the result: says whether a read of a storage collection stays small.</param>
    /// <param name="environment">Gives the value of functions of session and time, as a literal; null leaves the call. With
    /// <c>mz_now()</c> given, it may stand anywhere.</param>
    /// <param name="objectId">A transient id for the collection of a slow path.</param>
    /// <param name="indexId">A transient id for the index of a slow path.</param>
    /// <param name="persistFastPathLimit">Storage is read without a dataflow when at most so many rows can be the result.</param>
    /// <exception cref="OptimizerException">The query cannot run.</exception>
    public static PeekPlan Plan(
        IDataflowCatalog catalog,
        MirRelationExpr query,
        ValueArray<ColumnType> columns,
        RowSetFinishing finishing,
        Func<UnmaterializableFunc, MirScalarExpr?> environment,
        GlobalId objectId,
        GlobalId indexId,
        ulong persistFastPathLimit = 1000)
    {
        var expanded = Unmaterializable.Substitute(ViewExpansion.Expand(query, catalog), environment);
        var plan = Optimizer.Optimize(expanded, catalog);
        return FastPath(catalog, plan, columns, finishing, persistFastPathLimit) ?? SlowPath(catalog, plan, columns, objectId, indexId);
    }

    /// <summary>
    /// Plans a query with open parameters (<see cref="MirScalarExpr.Parameter"/>) for all of their values; null unless it is a read of
    /// one index, which is where planning costs more than reading.
    /// </summary>
    /// <param name="query">Calls no function of session or time.</param>
    /// <param name="parameters">Types of the parameters, in order.</param>
    public static OpenPeek? PlanOpen(
        IDataflowCatalog catalog, MirRelationExpr query, ValueArray<ColumnType> columns, ValueArray<SqlType> parameters)
    {
        var plan = Optimizer.Optimize(ViewExpansion.Expand(query, catalog), catalog);
        if (IndexRead(catalog, plan) is not { } read)
            return null;
        var template = new PeekPlan.FastPathIndex(plan, read.Id, read.Access.Index.Id, read.Access.Index.Key, null, read.Access.Mfp, columns);
        return new OpenPeek(template, read.Columns, read.Access.Keys, parameters);
    }

    private static (GlobalId Id, AccessPath Access, ValueArray<ColumnType> Columns)? IndexRead(IDataflowCatalog catalog, MirRelationExpr plan)
    {
        var (mfp, input) = Mfps.Extract(plan);
        mfp = mfp.Optimize();
        if (mfp.IsTemporal() || input is not MirRelationExpr.Get { Id: Id.Global global } get)
            return null;
        var indexes = catalog.IndexesOn(global.GlobalId);
        return indexes.Count == 0 ? null : (global.GlobalId, AccessPath.Choose(indexes, mfp, null), get.Type.Columns);
    }

    private static PeekPlan? FastPath(
        IDataflowCatalog catalog, MirRelationExpr plan, ValueArray<ColumnType> columns, RowSetFinishing finishing, ulong persistFastPathLimit)
    {
        if (plan is MirRelationExpr.Constant constant)
            return new PeekPlan.Constant(plan, constant.Rows, constant.Error, columns);
        if (IndexRead(catalog, plan) is { } read)
            return new PeekPlan.FastPathIndex(plan, read.Id, read.Access.Index.Id, read.Access.Index.Key, read.Access.Literals, read.Access.Mfp, columns);
        var (mfp, input) = Mfps.Extract(plan);
        mfp = mfp.Optimize();
        if (mfp.IsTemporal() || input is not MirRelationExpr.Get { Id: Id.Global global })
            return null;
        var id = global.GlobalId;

        // A filter may have to read everything to find the few rows, and an order must see them all; a bare limit stops early.
        var isSmall = finishing.Limit is { } limit && finishing.OrderBy.IsEmpty && mfp.Predicates.IsEmpty
            && limit + finishing.Offset <= persistFastPathLimit;
        return isSmall && catalog.Describe(id) is CollectionSource.Storage ? new PeekPlan.FastPathPersist(plan, id, mfp, columns) : null;
    }

    private static PeekPlan.SlowPath SlowPath(
        IDataflowCatalog catalog, MirRelationExpr plan, ValueArray<ColumnType> columns, GlobalId objectId, GlobalId indexId)
    {
        var lowering = new LirLowering(plan, catalog);
        var built = new BuildDesc(objectId, lowering.Lower(plan, columns));

        // All columns: rows spread over the workers, and equal rows meet.
        var key = new ArrangementKey(Enumerable.Range(0, columns.Count).Select(ScalarExprs.Column).ToValueArray());
        var export = new IndexExport(indexId, new IndexDesc(objectId, key), new RelationType(columns));
        return new PeekPlan.SlowPath(plan, DataflowPlanner.Describe($"peek {objectId}", lowering, [built], [export], []), indexId, columns);
    }
}
