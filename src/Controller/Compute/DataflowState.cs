using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Controller;

/// <summary>A dataflow that should be running on every replica of an instance.</summary>
internal sealed class DataflowState(DataflowDescription description, IReadOnlyList<ReadHold> inputHolds, ISubscribeReceiver? subscribe)
{
    /// <summary>Guards moving the input holds: frontiers of several replicas arrive at once.</summary>
    public Lock HoldGate { get; } = new();

    public IReadOnlyList<ReadHold> InputHolds { get; } = inputHolds;

    /// <summary>Exports not dropped yet.</summary>
    public HashSet<GlobalId> Live { get; } = [.. description.ExportIds];

    public ISubscribeReceiver? Subscribe { get; } = subscribe;

    public SubscribeMerge Merge { get; } = new(description.AsOf ?? 0);

    /// <summary>How far the subscribe's output has been handed on.</summary>
    public Frontier SubscribeFrontier { get; set; } = Frontier.At(description.AsOf ?? 0);

    public bool SubscribeDone { get; set; }

    public IEnumerable<GlobalId> ImportIds => description.ImportIds;

    public bool IsIndex(GlobalId export) => description.IndexExports.Any(x => x.Id == export);

    /// <summary>The least time from which it would be rebuilt if a replica came back now; empty when it never needs to be.</summary>
    public Frontier RebuildFrom(CollectionRegistry registry)
    {
        var from = Frontier.Empty;
        foreach (var export in description.IndexExports)
            from = Frontier.Min(from, registry.Frontiers(export.Id)?.Since ?? Frontier.Empty);
        foreach (var sink in description.SinkExports)
        {
            var upper = sink.Connection is SinkConnection.Subscribe
                ? SubscribeFrontier
                : registry.Frontiers(sink.Id)?.Upper ?? Frontier.Empty;
            from = Frontier.Min(from, upper.Time is { } time ? Frontier.At(Math.Max(time, 1) - 1) : Frontier.Empty);
        }

        return Frontier.Max(from, Frontier.At(description.AsOf ?? 0));
    }

    /// <summary>What tells a process to build it, from <paramref name="asOf"/> on.</summary>
    public IEnumerable<ComputeCommand> CreationCommands(Frontier asOf)
    {
        // An empty frontier: complete, and its output durable. Rebuilding it at its first time is idempotent, and keeps indexes of closed inputs.
        var at = asOf.Time ?? description.AsOf ?? 0;
        yield return new ComputeCommand.CreateDataflow(description with { AsOf = at });
        foreach (var id in Live)
            yield return new ComputeCommand.Schedule(id);
        foreach (var sink in description.SinkExports)
        {
            if (Live.Contains(sink.Id) && sink.Connection is SinkConnection.MaterializedView)
                yield return new ComputeCommand.AllowWrites(sink.Id);
        }
    }
}
