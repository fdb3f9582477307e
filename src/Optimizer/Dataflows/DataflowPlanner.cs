using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>A dataflow and the logical plan it came from, which EXPLAIN OPTIMIZED PLAN shows.</summary>
/// <param name="Plan">Optimised MIR of what the dataflow computes.</param>
public sealed record PlannedDataflow(MirRelationExpr Plan, DataflowDescription Dataflow);

/// <summary>
/// From a query's MIR to the dataflow that maintains it: views are expanded (unless an index has them), the whole is optimised, and
/// lowered. As-of and collection metadata are for the adapter and the controller to fill in.
/// </summary>
public static class DataflowPlanner
{
    /// <summary>An index. On a view it computes the view; on a collection that storage or another index has, it only arranges it.</summary>
    /// <param name="indexes">Indexes that may be used; not the one being built.</param>
    public static PlannedDataflow ForIndex(IDataflowCatalog catalog, GlobalId indexId, string name, GlobalId onId, RelationType type, ArrangementKey key)
    {
        var plan = Expand(catalog, new MirRelationExpr.Get(new Id.Global(onId), type));
        var export = new IndexExport(indexId, new IndexDesc(onId, key), type);
        if (IsBare(plan, onId))
        {
            var reader = new LirLowering(plan, catalog);
            reader.Import((MirRelationExpr.Get)plan);
            return new PlannedDataflow(plan, Describe(name, reader, [], [export], []));
        }

        var lowering = new LirLowering(plan, catalog);
        var objects = new BuildDesc(onId, lowering.Lower(plan, type.Columns));
        return new PlannedDataflow(plan, Describe(name, lowering, [objects], [export], []));
    }

    /// <summary>A materialized view.</summary>
    /// <param name="id">The view's id, which its sink has.</param>
    /// <param name="objectId">A transient id for the collection in the dataflow.</param>
    public static PlannedDataflow ForMaterializedView(
        IDataflowCatalog catalog, GlobalId id, GlobalId objectId, string name, MirRelationExpr view, CollectionMetadata metadata)
    {
        var sink = new SinkExport(id, objectId, metadata.Desc, new SinkConnection.MaterializedView(metadata), WithSnapshot: true, UpTo: null);
        return ForSink(catalog, name, objectId, view, sink);
    }

    /// <summary>A subscribe.</summary>
    /// <param name="objectId">A transient id for the collection in the dataflow.</param>
    public static PlannedDataflow ForSubscribe(
        IDataflowCatalog catalog, GlobalId id, GlobalId objectId, string name, MirRelationExpr query, RelationDesc desc, bool withSnapshot, ulong? upTo)
    {
        var sink = new SinkExport(id, objectId, desc, new SinkConnection.Subscribe(), withSnapshot, upTo);
        var planned = ForSink(catalog, name, objectId, query, sink);
        return planned with { Dataflow = planned.Dataflow with { Until = upTo } };
    }

    /// <summary>
    /// The collections that a query would read, views expanded: what a timestamp for it must suit. Storage collections, and indexed
    /// collections (by the id of what is indexed).
    /// </summary>
    public static IReadOnlySet<GlobalId> Inputs(IDataflowCatalog catalog, MirRelationExpr query)
    {
        var inputs = new SortedSet<GlobalId>();
        Visit(ViewExpansion.Expand(query, catalog));
        return inputs;

        void Visit(MirRelationExpr expr)
        {
            if (expr is MirRelationExpr.Get { Id: Id.Global g })
                inputs.Add(g.GlobalId);
            foreach (var child in expr.Children)
                Visit(child);
        }
    }

    private static PlannedDataflow ForSink(IDataflowCatalog catalog, string name, GlobalId objectId, MirRelationExpr query, SinkExport sink)
    {
        var plan = Expand(catalog, query);
        var lowering = new LirLowering(plan, catalog);
        var built = new BuildDesc(objectId, lowering.Lower(plan, sink.FromDesc.Type.Columns));
        return new PlannedDataflow(plan, Describe(name, lowering, [built], [], [sink]));
    }

    internal static MirRelationExpr Expand(IDataflowCatalog catalog, MirRelationExpr query) =>
        Optimizer.Optimize(ViewExpansion.Expand(query, catalog), catalog);

    internal static DataflowDescription Describe(
        string name, LirLowering lowering, ValueArray<BuildDesc> objects, ValueArray<IndexExport> indexes, ValueArray<SinkExport> sinks) =>
        new(name, lowering.SourceImports, lowering.IndexImports, objects, indexes, sinks, null, null);

    private static bool IsBare(MirRelationExpr plan, GlobalId id) => plan is MirRelationExpr.Get { Id: Id.Global g } && g.GlobalId == id;
}
