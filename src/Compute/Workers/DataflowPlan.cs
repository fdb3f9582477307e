using Materialize.Compute.Peeks;
using Materialize.Compute.Sinks;
using Materialize.Compute.Sources;
using Materialize.Core;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Workers;

/// <summary>What all workers of this process share of one dataflow: its description, and the tasks that do its I/O.</summary>
internal sealed class DataflowPlan
{
    /// <param name="workers">Of this process.</param>
    public DataflowPlan(
        DataflowDescription description, int workers, Func<SourceImport, PersistSource> source, Func<SinkExport, CollectionMetadata, PersistSink> sink)
    {
        Description = description;
        Invariant.Check(description.AsOf is not null, "a dataflow comes with an as-of");
        Sources = description.SourceImports.ToDictionary(i => i.Id, source);
        Sinks = description.SinkExports
            .Where(s => s.Connection is SinkConnection.MaterializedView)
            .ToDictionary(s => s.Id, s => sink(s, ((SinkConnection.MaterializedView)s.Connection).Metadata));
        Indexes = description.IndexExports.ToDictionary(i => i.Id, _ => new IndexShares(workers));
    }

    public DataflowDescription Description { get; }

    public ulong AsOf => Description.AsOf!.Value;

    public IReadOnlyDictionary<GlobalId, PersistSource> Sources { get; }

    public IReadOnlyDictionary<GlobalId, PersistSink> Sinks { get; }

    /// <summary>For each index that it exports.</summary>
    public IReadOnlyDictionary<GlobalId, IndexShares> Indexes { get; }

    /// <summary>Ends all I/O. Any thread, any number of times.</summary>
    public void Stop()
    {
        foreach (var source in Sources.Values)
            source.Stop();
        foreach (var sink in Sinks.Values)
            sink.Stop();
    }
}
