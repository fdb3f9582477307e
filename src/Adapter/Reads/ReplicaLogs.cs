using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Persist.Oracle;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>
/// The relations of mz_introspection: for each cluster one dataflow, whose imports are the logs that its replica keeps and whose exports are an
/// index on each. It is made when a query first reads a log there, so that a cluster nobody looks at pays nothing. Safe from any thread.
/// </summary>
internal sealed class ReplicaLogs(ComputeController compute, TransientIds ids, ITimestampOracle oracle)
{
    /// <summary>How long past times stay readable: enough for a query to get from its timestamp to its dataflow.</summary>
    private const ulong WindowMs = 2000;

    // Guards the map. A cluster is in it from the creation of its dataflow to its drop.
    private readonly Lock _gate = new();
    private readonly Dictionary<ClusterId, Dictionary<GlobalId, AvailableIndex>> _clusters = [];

    /// <summary>The index on a log, once <see cref="EnsureAsync"/> was called for the cluster; none for what is no log.</summary>
    public IReadOnlyList<AvailableIndex> IndexesOn(ClusterId cluster, GlobalId log)
    {
        lock (_gate)
            return _clusters.TryGetValue(cluster, out var indexes) && indexes.TryGetValue(log, out var index) ? [index] : [];
    }

    /// <summary>Has the cluster's replicas make collections of their logs. The cluster's compute instance exists.</summary>
    public async ValueTask EnsureAsync(ClusterId cluster, CancellationToken cancel)
    {
        lock (_gate)
        {
            if (_clusters.ContainsKey(cluster))
                return;
        }

        var asOf = (await oracle.ReadTsAsync(cancel)).Millis;
        lock (_gate)
        {
            if (_clusters.ContainsKey(cluster))
                return;
            var indexes = new Dictionary<GlobalId, AvailableIndex>();
            var imports = new List<LogImport>();
            var exports = new List<IndexExport>();
            foreach (var log in Builtins.Logs)
            {
                var key = new ArrangementKey(Enumerable.Range(0, log.Desc.Type.Columns.Count).Select(i => (MirScalarExpr)new MirScalarExpr.Column(i)).ToValueArray());
                var index = new AvailableIndex(ids.Next(), log.Id, key);
                indexes.Add(log.Id, index);
                imports.Add(new LogImport(log.Id, log.Name, log.Desc.Type));
                exports.Add(new IndexExport(index.Id, new IndexDesc(log.Id, key), log.Desc.Type));
            }

            var dataflow = new DataflowDescription("logs", [], [], [], exports.ToValueArray(), [], asOf, null) { LogImports = imports.ToValueArray() };
            compute.CreateDataflow(new InstanceId(cluster.Value), dataflow, [], WindowMs);
            _clusters.Add(cluster, indexes);
        }
    }

    /// <summary>The cluster is about to be dropped.</summary>
    public void Drop(ClusterId cluster)
    {
        lock (_gate)
        {
            if (_clusters.Remove(cluster, out var indexes))
                compute.DropExports(new InstanceId(cluster.Value), [.. indexes.Values.Select(i => i.Id)]);
        }
    }
}
