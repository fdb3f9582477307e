using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// An arrangement of another dataflow of this worker. Shape: first all that the trace holds, as one delta, then each delta as it is inserted. Time: updates before as-of appear at it (consumers apply
/// <see cref="Arranged{TTime}.Floor"/>). Work: O(1) a delta; no rows are copied but those of the trace's Recent, once. State: references.
/// </summary>
/// <remarks>
/// A delta is passed on inside the insertion into the trace, not in the next run: so that whoever reads the trace after has been told of all it holds, which the join relies on. The operator's hold, which only
/// its run moves, entitles to that.
/// </remarks>
internal sealed class ImportOperator<TTime> : Operator, IDeltaListener<TTime> where TTime : unmanaged, ITime<TTime>
{
    private readonly OutputPort<ArrangedDelta<TTime>> _output;
    private readonly Trace<TTime> _trace;
    private readonly TTime _asOf;
    private ArrangedDelta<TTime>? _initial;
    private Frontier<TTime> _upper;

    private ImportOperator(DataflowGraph graph, string name, Trace<TTime> trace, TTime asOf)
        : base(graph, name)
    {
        _output = new OutputPort<ArrangedDelta<TTime>>(this);
        _trace = trace;
        _asOf = asOf;
        _upper = trace.Upper;
        InitialHold(asOf.ToStamp());

        // Consumers are not connected yet: they get it at the first run, or before the first delta.
        var snapshot = trace.TakeSnapshot();
        _initial = new ArrangedDelta<TTime>(snapshot.ToBatches(), Snapshot<TTime>.Empty(trace), asOf.ToStamp());
        snapshot.Release();
        trace.AddListener(this);
    }

    public static Arranged<TTime> Build(Scope<TTime> scope, string name, TraceHandle<TTime> handle, TTime asOf)
    {
        if (!TTime.LessEqual(handle.Since, asOf))
            throw new ArgumentException($"the arrangement is readable from {handle.Since}, not at {asOf}", nameof(asOf));
        var op = new ImportOperator<TTime>(scope.Graph, name, handle.Trace, asOf);
        var hold = handle.Trace.NewHold();
        hold.Advance(asOf);
        scope.Graph.OnDrop(() => handle.Trace.Drop(hold));
        op._hold = hold;
        return new Arranged<TTime>(scope, op._output, handle.Trace, asOf);
    }

    private TraceHold<TTime>? _hold;

    public void OnDelta(ArrangedDelta<TTime> delta)
    {
        SendInitial();
        var min = Stamp.Min(delta.MinStamp, Stamp.Closed);
        if (min < _asOf.ToStamp())
        {
            foreach (var batch in delta.Batches)
                batch.AddReference();
            delta.Before.AddReference();
            var moved = new ArrangedDelta<TTime>(delta.Batches, delta.Before, _asOf.ToStamp());
            delta.Release();
            delta = moved;
        }

        _output.Send(delta);
        Activate();
    }

    public void OnUpper(Frontier<TTime> upper)
    {
        _upper = upper;
        Activate();
    }

    public override void Run()
    {
        SendInitial();
        var asOf = _asOf.ToStamp();
        var upper = _upper.ToStamp();
        SetHold(upper < asOf ? asOf : upper);

        // The import's own hold is for consumers that come and go; it follows what has been shown.
        if (!_upper.IsClosed)
            _hold?.Advance(_upper.Time.FutureBound);
    }

    public override void Dispose()
    {
        _trace.RemoveListener(this);
        _initial?.Release();
        _initial = null;
    }

    protected override void MeasureState(StateMeter meter)
    {
        _initial?.Measure(meter);
        _trace.Measure(meter); // nothing, unless whose it was is gone
    }

    private void SendInitial()
    {
        if (_initial is not { } initial)
            return;
        _initial = null;
        if (initial.Batches.Length > 0)
            _output.Send(initial);
        else
            initial.Release();
    }
}
