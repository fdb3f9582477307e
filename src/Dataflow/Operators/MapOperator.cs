using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Map, filter and project by one kernel. Shape: at most one row or error for a row. Time: of the input; with a temporal filter, moved to when the row becomes valid, and
/// a retraction when it ends. Work: O(rows); state: none, or the changes that lie ahead.
/// </summary>
/// <remarks>
/// Temporal: the row is valid at times t with ValidFrom ≤ t &lt; ValidUntil in the outer time. An update (row, t, d) thus becomes
/// (row, t ∨ from, d) and, if until &gt; t ∨ from, (row, t ∨ until, −d). Changes at outer times after the input frontier wait here, so that operators
/// downstream do not carry them through each of their rounds. Holding at the least of them only, the operator delays nobody: whatever is before it is complete downstream as soon as
/// upstream.
/// </remarks>
internal sealed unsafe class MapOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly KernelCall _call;
    private readonly ScheduledChanges<TTime>? _scheduled;

    private MapOperator(Stream<TTime> source, string name, RowKernel kernel, RowShape shape, bool temporal)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = Graph.Worker.Scratch.Errors<TTime>();
        _call = new KernelCall(Graph.Worker.Scratch, kernel, 1, [_rows.Rows], _errorRows.Rows, temporal);
        _scheduled = temporal ? new ScheduledChanges<TTime>(shape) : null;
    }

    public override bool FollowsFrontier => _scheduled is not null;

    public static OkErr<TTime> Build(Stream<TTime> source, string name, RowKernel kernel, RowShape shape, bool temporal)
    {
        var op = new MapOperator<TTime>(source, name, kernel, shape, temporal);
        return new OkErr<TTime>(
            new Stream<TTime>(source.Scope, op._ok, shape), new Stream<TTime>(source.Scope, op._errors, RowShape.Variable));
    }

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            Process(batch);
            batch.Release();
        }

        if (_scheduled is not null)
            EmitDue(_scheduled);
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }

    public override void Dispose()
    {
        _rows.Dispose();
        _scheduled?.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        _rows.Measure(meter);
        _scheduled?.Measure(meter);
    }

    private void Process(UpdateBatch<TTime> batch)
    {
        var io = _call.Io;
        for (var from = 0; from < batch.Count; from += KernelIo.Capacity)
        {
            var count = Math.Min(KernelIo.Capacity, batch.Count - from);
            batch.Rows.CopyAddresses(from, count, io.Parts[0]);
            var before = _rows.Rows.Count;
            _call.Invoke(count);
            if (_scheduled is not null)
                Schedule(batch, from, before, _scheduled);
            else
                _rows.AddSelected(batch, from, io.Selected, io.Emitted);
            _errorRows.AddSelected(batch, from, io.ErrorSelected, io.ErrorsEmitted);
            if (_rows.Count >= FlushRows)
                _ok.Send(_rows.Build());
            if (_errorRows.Count >= FlushRows)
                _errors.Send(_errorRows.Build());
        }
    }

    // The kernel appended its rows; those not valid yet leave the batch again.
    private void Schedule(UpdateBatch<TTime> batch, int from, int before, ScheduledChanges<TTime> scheduled)
    {
        var io = _call.Io;
        var emitted = _rows.Rows.Peek();
        var now = Frontier;
        using var kept = new RowWriter(_rows.Rows.Shape);
        for (var j = 0; j < io.Emitted; j++)
        {
            var i = from + io.Selected[j];
            var time = batch.TimeAt(i);
            var diff = batch.DiffAt(i);
            var starts = Math.Max(time.Outer, io.ValidFrom[j]);
            var ends = io.ValidUntil[j];
            if (ends <= starts || io.ValidFrom[j] == ulong.MaxValue)
                continue;
            var row = emitted[before + j];
            if (starts <= now)
            {
                kept.Append(row);
                _rows.Add(time.WithOuter(starts), diff);
            }
            else
            {
                scheduled.Add(row, time.WithOuter(starts), diff);
            }

            if (ends == ulong.MaxValue)
                continue;
            if (ends <= now)
            {
                kept.Append(row);
                _rows.Add(time.WithOuter(ends), -diff);
            }
            else
            {
                scheduled.Add(row, time.WithOuter(ends), -diff);
            }
        }

        _rows.Rows.Truncate(before);
        _rows.Rows.AppendRange(kept.Peek(), 0, kept.Count);
    }

    private ulong Frontier => _input.FrontierStamp.Outer;

    private void EmitDue(ScheduledChanges<TTime> scheduled)
    {
        if (_input.FrontierStamp.IsClosed)
            scheduled.TakeAll(_ok.Send);
        else
            scheduled.AdvanceTo(Frontier, _ok.Send);
        SetHold(scheduled.Count > 0 ? new Stamp(scheduled.Least, 0) : null);
    }
}
