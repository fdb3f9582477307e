// One worker's compute state: which dataflows it runs, which traces they keep, which peeks wait. Everything here runs on the
// worker's own thread: commands are posted to it in the controller's order, the same at all workers, and between two steps of the
// dataflows it answers peeks and tells frontiers. So a long hydration delays a peek by one step, not by itself.

using Materialize.Compute.Kernels;
using Materialize.Compute.Peeks;
using Materialize.Compute.Render;
using Materialize.Compute.Sinks;
using Materialize.Compute.Sources;
using Materialize.Core;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Workers;

/// <summary>Renders dataflows and serves reads at one worker. Worker thread only.</summary>
internal sealed partial class ComputeWorker(Worker worker, int localIndex, TimeProvider time)
{
    private readonly SortedDictionary<GlobalId, CollectionState> _collections = [];
    private readonly List<DataflowInstance> _scheduled = [];
    private ResponseSession _session = new();

    /// <summary>One worker speaks for all: it tells the frontiers of what is complete at all of them.</summary>
    private bool IsLeader => worker.Index == 0;

    /// <summary>Its dataflows' steps, then its own work. Whether anything was done.</summary>
    public bool Step()
    {
        var any = worker.Step();
        if (any)
            TellShares();
        TickLogs();
        any |= ServePeeks();
        if (IsLeader)
            ReportFrontiers();
        return any;
    }

    /// <summary>A new controller: peeks of the old one are forgotten, frontiers are told anew.</summary>
    public void BeginSession(ResponseSession session)
    {
        _session = session;
        ForgetPeeks();
        foreach (var collection in _collections.Values)
        {
            collection.ReportedWrite = null;
            collection.ReportedOutput = null;
        }
    }

    public void CreateDataflow(DataflowPlan plan)
    {
        var instance = new DataflowInstance(plan);
        foreach (var id in plan.Description.ExportIds)
        {
            var state = new CollectionState(id, instance);
            Invariant.Check(_collections.TryAdd(id, state), $"collection {id} is created once");
            if (IsLeader && plan.Sinks.TryGetValue(id, out var sink))
                sink.UpperAdvanced += upper => worker.Post(_ => state.WriteUpper = upper is { } u ? Math.Max(u, plan.AsOf) : null);
        }

        // Held from now on, so that what is imported is neither dropped nor compacted beyond the as-of before this is built.
        foreach (var import in plan.Description.IndexImports)
        {
            Invariant.Check(_collections.TryGetValue(import.Id, out var dependency), $"import {import.Id} exists");
            dependency!.Instance.AddReference();
            instance.Dependencies.Add(dependency.Instance);
            NoteReader(dependency);
        }
    }

    public void Schedule(GlobalId id)
    {
        if (!_collections.TryGetValue(id, out var state) || state.Instance.IsScheduled)
            return;
        state.Instance.IsScheduled = true;
        _scheduled.Add(state.Instance);

        // One that was waiting for an arrangement may be buildable now, and its own exports let others be.
        for (var i = 0; i < _scheduled.Count;)
        {
            if (!_scheduled[i].Plan.Description.IndexImports.All(import => _collections.GetValueOrDefault(import.Id)?.Trace is not null))
            {
                i++;
                continue;
            }

            var instance = _scheduled[i];
            _scheduled.RemoveAt(i);
            Build(instance);
            i = 0;
        }
    }

    /// <param name="since">Null drops the collection.</param>
    public void AllowCompaction(GlobalId id, ulong? since)
    {
        if (!_collections.TryGetValue(id, out var state))
            return;
        if (since is { } time)
        {
            state.Since = Math.Max(state.Since, time);
            if (state.Trace is { } trace)
            {
                trace.Rows.AdvanceSince(state.Since);
                trace.Errors.AdvanceSince(state.Since);
            }

            return;
        }

        _collections.Remove(id);
        _scheduled.Remove(state.Instance);
        if (IsLeader)
            SayDropped(state);
        _lookedUp.Remove(state);
        state.Drop();
    }

    /// <summary>Drops every dataflow.</summary>
    public void DropAll()
    {
        ForgetPeeks();
        foreach (var id in _collections.Keys.ToList())
            AllowCompaction(id, null);
    }

    private void SayDropped(CollectionState state)
    {
        if (state.Instance.Plan.Description.SinkExports.Any(s => s.Id == state.Id && s.Connection is SinkConnection.Subscribe))
        {
            if (state.Subscribe?.IsFinished != true)
                _session.Send(new ComputeResponse.SubscribeDropped(state.Id));
            return;
        }

        var end = new FrontierChange(null);
        if (state.ReportedWrite is not { Time: null } || state.ReportedOutput is not { Time: null })
            _session.Send(new ComputeResponse.Frontiers(state.Id, end, end, end));
    }

    private void Build(DataflowInstance instance)
    {
        var plan = instance.Plan;
        var description = plan.Description;
        instance.Graph = worker.BuildDataflow(description.DebugName, scope =>
        {
            var render = RenderStart.Begin(scope, plan.AsOf);
            foreach (var import in description.SourceImports)
            {
                try
                {
                    var (input, bundle) = SourceInput.Build(scope, import, plan.AsOf, description.Until);
                    instance.Inputs.Add(input);
                    render.Bind(new Expr.Id.Global(import.Id), bundle);
                    plan.Sources[import.Id].Attach(localIndex, worker, input);
                }
                catch (UnsupportedPlanException e)
                {
                    // At all workers alike: nobody attaches, nothing is read.
                    render.Bind(new Expr.Id.Global(import.Id), render.Failed(import.Columns, e.Error));
                }
            }

            foreach (var import in description.LogImports)
                instance.Logs.Add(scope, render, import, plan.AsOf);
            foreach (var import in description.IndexImports)
                render.Import(scope, import, _collections[import.Id].Trace!, plan.AsOf);
            foreach (var build in description.Objects)
                render.Bind(new Expr.Id.Global(build.Id), render.Plan(build.Plan));
            foreach (var export in description.IndexExports)
                ExportIndex(_collections[export.Id], export, render.Collection(export.Desc.OnId), plan.AsOf);
            foreach (var export in description.SinkExports)
                ExportSink(_collections[export.Id], export, render.Collection(export.From), plan);
        });
        if (!instance.Logs.IsEmpty)
            StartLogging(instance);
    }

    private static void ExportIndex(CollectionState state, IndexExport export, Bundle bundle, ulong asOf)
    {
        var arranged = bundle.Arrange(export.Desc.Key);
        var errors = bundle.Errors.Arrange("arrange errors", null, Bundle.ErrorShape, RowShape.Empty);
        var trace = new IndexTrace(arranged.Arranged, errors.Arranged, arranged.Shape, bundle.Columns, state.Instance);
        trace.Rows.AdvanceSince(Math.Max(asOf, state.Since));
        trace.Errors.AdvanceSince(Math.Max(asOf, state.Since));
        state.Trace = trace;
    }

    private void ExportSink(CollectionState state, SinkExport export, Bundle bundle, DataflowPlan plan)
    {
        switch (export.Connection)
        {
            case SinkConnection.MaterializedView:
                state.Probe = plan.Sinks[export.Id].Build(bundle, IsLeader);
                break;
            case SinkConnection.Subscribe:
                state.Subscribe = SubscribeSink.Build(export, bundle, plan.AsOf, IsLeader ? _session : null);
                break;
        }
    }

    /// <summary>Tells what has come further since it was last told.</summary>
    private void ReportFrontiers()
    {
        foreach (var state in _collections.Values)
        {
            if (state.Subscribe is not null)
                continue;
            ulong? output = state.Instance.Plan.AsOf;
            if (state.Trace is { } trace)
                output = Time(trace.UpperOfAll);
            else if (state.Probe is { } probe)
                output = Time(probe.Frontier);
            else if (!state.IsSink && IsSubscribe(state))
                continue;
            var write = state.IsSink ? state.WriteUpper : output;
            var (writeChange, outputChange) = (Change(state.ReportedWrite, write), Change(state.ReportedOutput, output));
            if (writeChange is null && outputChange is null)
                continue;

            // What has come out has gone in: a lower bound of the input frontier, which is all that holds on inputs need.
            _session.Send(new ComputeResponse.Frontiers(state.Id, writeChange, outputChange, outputChange));
            state.ReportedWrite = writeChange ?? state.ReportedWrite;
            state.ReportedOutput = outputChange ?? state.ReportedOutput;
        }
    }

    private static bool IsSubscribe(CollectionState state) =>
        state.Instance.Plan.Description.SinkExports.Any(s => s.Id == state.Id && s.Connection is SinkConnection.Subscribe);

    private static ulong? Time(Frontier frontier) => frontier.IsClosed ? null : frontier.Time.Value;

    /// <summary>The change to tell, if any. A frontier that seems to go back (an as-of, before the dataflow has begun) is not told.</summary>
    private static FrontierChange? Change(FrontierChange? reported, ulong? now)
    {
        if (reported is { } r && (r.Time is null || now <= r.Time))
            return null;
        return new FrontierChange(now);
    }
}
