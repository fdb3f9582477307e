namespace Materialize.Dataflow.Traces;

/// <summary>
/// A reader's hold on a trace: while it lives, the trace exists, and reads at or beyond <see cref="Since"/> are exact. Many handles
/// share one trace; the trace compacts to the least of their sinces.
/// </summary>
/// <remarks>Worker thread only, like the trace. Dispose to let go; the last disposal frees the trace's memory.</remarks>
public sealed class TraceHandle<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private readonly Trace<TTime> _trace;
    private TraceHold<TTime>? _hold;

    internal TraceHandle(Trace<TTime> trace)
    {
        _trace = trace;
        _hold = trace.NewHold();
    }

    public Core.Rows.RowShape KeyShape => _trace.KeyShape;

    public Core.Rows.RowShape ValueShape => _trace.ValueShape;

    /// <summary>This handle's hold: reads at or beyond it are exact.</summary>
    public TTime Since => Hold.Since;

    /// <summary>Times not beyond it are complete.</summary>
    public Frontier<TTime> Upper => _trace.Upper;

    /// <summary>Gives up the right to read before <paramref name="since"/>. Going back is ignored.</summary>
    public void AdvanceSince(TTime since) => Hold.Advance(since);

    /// <summary>Another handle with the same since.</summary>
    public TraceHandle<TTime> Clone()
    {
        var clone = new TraceHandle<TTime>(_trace);
        clone.AdvanceSince(Since);
        return clone;
    }

    /// <summary>
    /// Reads this worker's part of the arrangement as it is at <paramref name="time"/>, which must be at or beyond <see cref="Since"/>; the answer is right once <see cref="Upper"/> has
    /// passed it. The cursor pins memory until disposed.
    /// </summary>
    public TraceCursor<TTime> OpenCursor(TTime time) => new(_trace, time);

    /// <summary>What this worker's part of the arrangement takes.</summary>
    public Runtime.StateSize Size
    {
        get
        {
            var meter = new Runtime.StateMeter();
            _trace.Measure(meter);
            return meter.Take();
        }
    }

    internal Trace<TTime> Trace => _trace;

    private TraceHold<TTime> Hold => _hold ?? throw new ObjectDisposedException(nameof(TraceHandle<TTime>));

    public void Dispose()
    {
        if (_hold is not { } hold)
            return;
        _hold = null;
        _trace.Drop(hold);
    }
}
