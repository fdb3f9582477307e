using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// Linear join. Write L(i) for the left updates of the first i deltas, R(j) likewise. The join owes the product L × R: each pair of updates once, at the join of their times. When left delta i is taken while j right deltas
// were taken, it owes dL(i) × R(j); when right delta j is taken with i left deltas taken, L(i) × dR(j). In any order of taking, each pair is owed exactly once: by whichever of its
// two members is taken later.
//
// R(j) is known without keeping anything: if right delta j + 1 waits in our queue, it carries the snapshot from before it; else the trace itself is R(j), because an arrangement inserts into its trace and tells its consumers in one go.
//
// Compaction of the traces: our hold keeps since(R) at or before the frontier of left deltas still to come, so that joining their times with compacted times of R gives what the uncompacted ones would.

/// <summary>
/// <c>(K,V1) ⋈ (K,V2) → kernel(K,V1,V2)</c>. Time: the join of both times. Work: O(log) per probe, O(pairs); yields after <see cref="RowsPerRun"/>. State: none of its own but work in progress.
/// </summary>
internal sealed class JoinOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long RowsPerRun = 128 * 1024;
    private readonly InputPort<ArrangedDelta<TTime>> _left;
    private readonly InputPort<ArrangedDelta<TTime>> _right;
    private readonly Trace<TTime> _leftTrace;
    private readonly Trace<TTime> _rightTrace;
    private readonly MatchOutput<TTime> _output;
    private readonly Queue<MatchWork<TTime>> _work = new();
    private TraceHold<TTime>? _leftHold;
    private TraceHold<TTime>? _rightHold;

    private JoinOperator(Arranged<TTime> left, Arranged<TTime> right, string name, RowKernel kernel, RowShape shape)
        : base(left.Scope.Graph, name)
    {
        _left = this.NewInput(left);
        _right = this.NewInput(right);
        _leftTrace = left.SharedTrace;
        _rightTrace = right.SharedTrace;
        _leftHold = _leftTrace.NewHold();
        _rightHold = _rightTrace.NewHold();
        _output = new MatchOutput<TTime>(this, kernel, shape, MatchTimes.Any, left.Floor, right.Floor);
    }

    public static OkErr<TTime> Build(Arranged<TTime> left, Arranged<TTime> right, string name, RowKernel kernel, RowShape shape)
    {
        if (left.KeyShape != right.KeyShape)
            throw new ArgumentException($"keys of {left.KeyShape} do not match keys of {right.KeyShape}", nameof(right));
        var op = new JoinOperator<TTime>(left, right, name, kernel, shape);
        return op._output.Streams(left.Scope);
    }

    public override void Run()
    {
        TakeDeltas();
        SeeFrontiers();
        var fuel = Graph.Worker.IsCongested ? 0 : Fuel(RowsPerRun);
        while (fuel > 0 && _work.TryPeek(out var work))
        {
            fuel -= _output.Match(work, fuel);
            if (!work.IsDone)
                break;
            _work.Dequeue();
            work.Release();
        }

        _output.Flush();
        SetHold(LeastPending());
        if (_work.Count > 0)
            ActivateWithCredit();
        AdvanceHold(ref _rightHold, _rightTrace, _left.FrontierStamp);
        AdvanceHold(ref _leftHold, _leftTrace, _right.FrontierStamp);
    }

    public override void Dispose()
    {
        foreach (var work in _work)
            work.Release();
        _work.Clear();
        AdvanceHold(ref _rightHold, _rightTrace, Stamp.Closed);
        AdvanceHold(ref _leftHold, _leftTrace, Stamp.Closed);
        _output.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var work in _work)
            work.Measure(meter);
        _output.Measure(meter);
    }

    // All that wait, all left ones first. With no right delta taken before them they meet R as it was before the first waiting one.
    private void TakeDeltas()
    {
        if (!_left.IsEmpty)
        {
            var stored = _right.TryPeek(out var waiting) ? Pin(waiting.Before) : _rightTrace.TakeSnapshot();
            while (_left.TryTake(out var delta))
            {
                Owe(delta, stored, probesAreLeft: true);
                delta.Release();
            }

            stored.Release();
        }

        if (!_right.IsEmpty)
        {
            var stored = _leftTrace.TakeSnapshot();
            while (_right.TryTake(out var delta))
            {
                Owe(delta, stored, probesAreLeft: false);
                delta.Release();
            }

            stored.Release();
        }
    }

    private static Snapshot<TTime> Pin(Snapshot<TTime> snapshot)
    {
        snapshot.AddReference();
        return snapshot;
    }

    private void Owe(ArrangedDelta<TTime> delta, Snapshot<TTime> stored, bool probesAreLeft)
    {
        if (stored.Rows == 0)
            return;
        foreach (var batch in delta.Batches)
        {
            batch.AddReference();
            stored.AddReference();
            _work.Enqueue(new MatchWork<TTime>(batch, stored, probesAreLeft) { MinStamp = delta.MinStamp });
        }
    }

    private Stamp? LeastPending()
    {
        var least = Stamp.Closed;
        foreach (var work in _work)
            least = Stamp.Min(least, work.MinStamp);
        return least.IsClosed ? null : least;
    }

    // A side whose other side will send no more is needed no more.
    private static void AdvanceHold(ref TraceHold<TTime>? hold, Trace<TTime> trace, Stamp frontier)
    {
        if (hold is null)
            return;
        if (frontier.IsClosed)
        {
            trace.Drop(hold);
            hold = null;
        }
        else
        {
            hold.Advance(TTime.FromStamp(frontier).FutureBound);
        }
    }
}
