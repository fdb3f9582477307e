using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// One step of a path of a delta join: each update (k, payload, t, d) meets the arrangement's updates (k, v, t', d') with t' &lt; t or t' ≤ t. Shape: kernel(k, payload, v), d·d', not consolidated. Time: t.
/// Work: a probe for each update, O(pairs), yields. State: updates whose time is not yet complete in the arrangement.
/// </summary>
/// <remarks>
/// Why a delta join is right: ΔA⋈B⋈C is the sum over combinations (a, b, c) of updates; each has a latest time, and among members of equal latest time the order of relations chooses one. The path of that member, and no
/// other, sees both others: later relations by ≤, earlier ones by &lt;. The arrangement may hold updates beyond t, which the comparison hides; and it must not be compacted so far
/// that an update before t looks like one at t: a strict lookup holds since one tick before the least time it may still look up.
/// </remarks>
internal sealed class HalfJoinOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long RowsPerRun = 128 * 1024;
    private const int ChunkRows = 24 * 1024;
    private readonly KeyedInput<TTime> _input;
    private readonly InputPort<ArrangedDelta<TTime>> _deltas;
    private readonly Trace<TTime> _trace;
    private readonly MergeTools<TTime> _tools;
    private readonly MatchOutput<TTime> _output;
    private readonly bool _strict;
    private readonly TimeStash<TTime> _stash;
    private readonly Queue<MatchWork<TTime>> _work = new();
    private TraceHold<TTime>? _hold;

    private HalfJoinOperator(KeyedRows<TTime> source, Arranged<TTime> arranged, string name, bool strict, RowKernel kernel, RowShape shape, out Stream<TTime> errors)
        : base(source.Scope.Graph, name)
    {
        _input = new KeyedInput<TTime>(this, source, out errors);
        _deltas = this.NewInput(arranged);
        _trace = arranged.SharedTrace;
        _hold = _trace.NewHold();
        _tools = Graph.Worker.Scratch.Tools<TTime>(arranged.KeyShape, source.ValueShape);
        _stash = new TimeStash<TTime>(arranged.KeyShape, source.ValueShape);
        _strict = strict;
        _output = new MatchOutput<TTime>(this, kernel, shape, strict ? MatchTimes.Before : MatchTimes.UpTo, arranged.Floor, arranged.Floor);
    }

    public static OkErr<TTime> Build(
        Stream<TTime> source, string name, RowKernel lookup, RowShape payloadShape, Arranged<TTime> arranged, HalfJoinTimes times, RowKernel kernel, RowShape shape)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("half joins need totally ordered times");
        var op = new HalfJoinOperator<TTime>(
            KeyedRows<TTime>.Of(source, name, lookup, arranged.KeyShape, payloadShape), arranged, name, times == HalfJoinTimes.Strict, kernel, shape, out var errors);
        var streams = op._output.Streams(source.Scope);
        return streams with { Errors = streams.Errors.Concat(errors) };
    }

    public override void Run()
    {
        while (_deltas.TryTake(out var delta))
            delta.Release(); // only its frontier matters: the trace has the rows
        for (var taking = Fuel(RowsPerRun); taking > 0 && _input.TryTake(out var batch);)
        {
            taking -= batch.Count;
            _stash.Add(batch);
        }

        SeeFrontiers();
        var fuel = Graph.Worker.IsCongested ? 0 : Fuel(RowsPerRun);
        while (fuel > 0)
        {
            if (!_work.TryPeek(out var work))
            {
                if (!_stash.TryFirst(out var time) || !IsReady(time))
                    break;
                Prepare(time, _stash.TakeFirst());
                continue;
            }

            fuel -= _output.Match(work, fuel);
            if (!work.IsDone)
                break;
            _work.Dequeue();
            work.Release();
        }

        _output.Flush();
        var least = _stash.Least;
        if (_work.TryPeek(out var next))
            least = Stamp.Min(least, next.MinStamp);
        if (fuel <= 0 || _work.Count > 0 || !_input.IsEmpty)
            ActivateWithCredit();
        SetHold(least.IsClosed ? null : least);
        AdvanceTraceHold(Stamp.Min(least, _input.FrontierStamp));
    }

    public override void Dispose()
    {
        foreach (var work in _work)
            work.Release();
        _work.Clear();
        _stash.Dispose();
        _output.Dispose();
        AdvanceTraceHold(Stamp.Closed);
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var work in _work)
            work.Measure(meter);
        _stash.Measure(meter);
        _output.Measure(meter);
    }

    // Complete in the arrangement: its frontier is beyond the time, or for a strict lookup at it.
    private bool IsReady(TTime time)
    {
        var frontier = Frontier<TTime>.FromStamp(_deltas.FrontierStamp);
        return frontier.HasPassed(time) || (_strict && !frontier.IsClosed && frontier.Time.Equals(time));
    }

    private void Prepare(TTime time, List<UpdateBatch<TTime>> batches)
    {
        var snapshot = _trace.TakeSnapshot();
        for (var from = 0; from < batches.Count;)
        {
            var rows = 0;
            var to = from;
            while (to < batches.Count && (to == from || rows + batches[to].Count <= ChunkRows))
                rows += batches[to++].Count;
            var chunk = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(batches)[from..to];
            if (_tools.SortRun(chunk, TTime.Minimum) is { } probes)
            {
                snapshot.AddReference();
                _work.Enqueue(new MatchWork<TTime>(probes, snapshot, probesAreLeft: true) { MinStamp = time.ToStamp() });
            }

            foreach (var batch in chunk)
                batch.Release();
            from = to;
        }

        snapshot.Release();
    }

    private void AdvanceTraceHold(Stamp least)
    {
        if (_hold is null)
            return;
        if (least.IsClosed)
        {
            _trace.Drop(_hold);
            _hold = null;
            return;
        }

        if (!_strict)
            _hold.Advance(TTime.FromStamp(least));
        else if (least.Outer > 0)
            _hold.Advance(TTime.FromStamp(least with { Outer = least.Outer - 1 }));
    }
}
