// A controller that connects replays what it wants as if the replica were new. What is already running and does the same is kept:
// hydrating it again would cost the user minutes. Source: reference, consistency-and-time §14.4.

using Materialize.Compute.Workers;
using Materialize.Core.Collections;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute;

/// <summary>A dataflow that the workers have, as the session's task sees it.</summary>
internal sealed class InstalledDataflow(DataflowPlan plan)
{
    private readonly Dictionary<GlobalId, ulong> _since = plan.Description.ExportIds.ToDictionary(id => id, _ => plan.AsOf);

    public DataflowPlan Plan => plan;

    public void AllowCompaction(GlobalId id, ulong since) => _since[id] = Math.Max(_since[id], since);

    /// <summary>Whether it can serve as <paramref name="wanted"/>: the same but for its name and its as-of, which it can still be read at, and nothing that must start afresh.</summary>
    public bool CanServeAs(DataflowDescription wanted) =>
        plan.Description with { AsOf = wanted.AsOf, DebugName = wanted.DebugName } == wanted
        && _since.Values.All(since => since <= wanted.AsOf)
        && !wanted.SinkExports.Any(s => s.Connection is SinkConnection.Subscribe);
}

public sealed partial class ComputeState
{
    private void Reconcile(List<ComputeCommand> history, ResponseSession session)
    {
        ForgetPeeks();
        var wanted = history.OfType<ComputeCommand.CreateDataflow>().Select(c => c.Dataflow).ToList();
        var kept = new HashSet<InstalledDataflow>();
        var retained = new HashSet<GlobalId>();
        foreach (var dataflow in wanted)
        {
            if (Find(dataflow) is not { } installed || !installed.CanServeAs(dataflow)
                || !dataflow.IndexImports.All(import => retained.Contains(import.Id)))
            {
                continue;
            }

            kept.Add(installed);
            retained.UnionWith(dataflow.ExportIds);
        }

        // What is not kept goes first, to make room. Those that depend on others were created after them.
        var dropped = _installed.Where(x => !kept.Contains(x.Value)).Select(x => x.Key).OrderDescending().ToList();
        LogReconciled(wanted.Count, kept.Count, dropped.Count);
        foreach (var id in dropped)
            AllowCompaction(id, null);
        Post(w => w.BeginSession(session));
        foreach (var command in history)
        {
            if (command is not ComputeCommand.CreateDataflow create || !create.Dataflow.ExportIds.All(retained.Contains))
            {
                Apply(command, session);
                continue;
            }

            foreach (var id in create.Dataflow.ExportIds)
                AllowCompaction(id, create.Dataflow.AsOf);
        }
    }

    /// <summary>The installed dataflow with exactly these exports.</summary>
    private InstalledDataflow? Find(DataflowDescription wanted)
    {
        var ids = wanted.ExportIds.ToHashSet();
        return ids.Count > 0 && _installed.TryGetValue(ids.First(), out var installed)
            && installed.Plan.Description.ExportIds.ToHashSet().SetEquals(ids) && ids.All(_installed.ContainsKey)
            ? installed
            : null;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "reconciled: {Wanted} dataflows wanted, {Kept} kept, {Dropped} exports dropped")]
    private partial void LogReconciled(int wanted, int kept, int dropped);
}
