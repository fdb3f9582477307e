using Materialize.Compute.Kernels;
using Materialize.Compute.Peeks;
using Materialize.Compute.Sinks;
using Materialize.Compute.Sources;
using Materialize.Core.Collections;
using Materialize.Dataflow.Runtime;
using Materialize.Repr;

namespace Materialize.Compute.Workers;

/// <summary>
/// One worker's copy of a dataflow. It lives while one of its exports does, or a later dataflow or a peek reads one of its
/// arrangements: those would stand still without it.
/// </summary>
internal sealed class DataflowInstance(DataflowPlan plan)
{
    private int _references = plan.Description.ExportIds.Count();

    public DataflowPlan Plan => plan;

    /// <summary>Whether the controller has allowed it to run.</summary>
    public bool IsScheduled { get; set; }

    /// <summary>Null until built.</summary>
    public DataflowGraph? Graph { get; set; }

    public List<SourceInput> Inputs { get; } = [];

    /// <summary>Logs that it imports.</summary>
    public Logging.LogInputs Logs { get; } = new();

    /// <summary>Dataflows whose arrangements it imports.</summary>
    public List<DataflowInstance> Dependencies { get; } = [];

    /// <summary>Told when the last reference goes.</summary>
    public Action? Released { get; set; }

    public void AddReference() => _references++;

    /// <summary>Lets go; the last one drops the dataflow, and lets go of those that it depends on.</summary>
    public void Release()
    {
        if (--_references > 0)
            return;
        plan.Stop();
        Released?.Invoke();
        foreach (var input in Inputs)
            input.Dispose();
        Graph?.Drop();
        foreach (var dependency in Dependencies)
            dependency.Release();
        Dependencies.Clear();
    }
}

/// <summary>An arrangement that outlives the building of its dataflow: what peeks and later dataflows read.</summary>
internal sealed class IndexTrace(ArrangedRows rows, ArrangedRows errors, ArrangementShape shape, ValueArray<ColumnType> columns, DataflowInstance owner) : IDisposable
{
    public TraceHandle Rows { get; } = rows.Trace();

    public TraceHandle Errors { get; } = errors.Trace();

    public ArrangementShape Shape => shape;

    public ValueArray<ColumnType> Columns => columns;

    public DataflowInstance Owner => owner;

    /// <summary>Up to where both are complete at this worker.</summary>
    public Frontier Upper => Frontier.Min(Rows.Upper, Errors.Upper);

    /// <summary>Up to where both are complete at all workers.</summary>
    public Frontier UpperOfAll => Frontier.Min(rows.Frontier, errors.Frontier);

    public void Dispose()
    {
        Rows.Dispose();
        Errors.Dispose();
    }
}

/// <summary>An export as the controller knows it, and what it was last told.</summary>
internal sealed class CollectionState(GlobalId id, DataflowInstance instance)
{
    private PeekRows? _tools;
    private bool _isDropped;

    public GlobalId Id => id;

    public DataflowInstance Instance => instance;

    /// <summary>For an index, once built.</summary>
    public IndexTrace? Trace { get; set; }

    /// <summary>For an index: whom lookups in it have to ask.</summary>
    public IndexShares? Shares { get; } = instance.Plan.Indexes.GetValueOrDefault(id);

    /// <summary>What <see cref="Shares"/> were last told of: up to here nothing has changed since.</summary>
    public Frontier? SharesToldAt { get; set; }

    /// <summary>For a sink into a shard, once built: how far the dataflow is.</summary>
    public Dataflow.Probe<Time>? Probe { get; set; }

    /// <summary>For a sink into a shard: how far the shard is.</summary>
    public ulong? WriteUpper { get; set; } = instance.Plan.AsOf;

    public bool IsSink => instance.Plan.Sinks.ContainsKey(id);

    public SubscribeSink? Subscribe { get; set; }

    /// <summary>How far what is exported has come at this worker; null before it is built, and for subscribes.</summary>
    public Frontier? OutputFrontier => Trace?.Upper ?? Probe?.Frontier;

    /// <summary>Compaction that was allowed before the trace existed.</summary>
    public ulong Since { get; set; } = instance.Plan.AsOf;

    /// <summary>The last that the controller was told: a time, or null for the empty frontier; absent: nothing yet.</summary>
    public Protocol.FrontierChange? ReportedWrite { get; set; }

    public Protocol.FrontierChange? ReportedOutput { get; set; }

    /// <summary>What an earlier peek has left to read rows with, made ready for this one; null if there is nothing that fits.</summary>
    public PeekRows? TakeTools(PeekJob job)
    {
        var tools = _tools;
        _tools = null;
        if (tools is null || tools.TryRestart(job))
            return tools;
        tools.Dispose();
        return null;
    }

    /// <summary>Gives over what a peek has read with, for the next one.</summary>
    public void LeaveTools(PeekRows tools)
    {
        if (_tools is not null || _isDropped)
            tools.Dispose();
        else
            _tools = tools;
    }

    /// <summary>It is a collection no more, though a peek may still read it.</summary>
    public void Drop()
    {
        _isDropped = true;
        _tools?.Dispose();
        _tools = null;
        Trace?.Dispose();
        Instance.Release();
    }
}
