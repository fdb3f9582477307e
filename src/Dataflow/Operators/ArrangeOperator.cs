using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Seals keyed updates into deltas as the frontier passes their times, and keeps the trace. Shape: keyed batches → <see cref="ArrangedDelta{TTime}"/>. Time: a delta holds exactly
/// the updates of the times that became complete. Work: few rows are handed on as they came; else a sort when their time is complete, of runs of 24 K rows that are then merged if they are many, or of many rows by parts
/// (<see cref="BulkSort{TTime}"/>), a part of it in each run; and the trace's fueled merging.
/// State: updates not complete, and the trace while somebody holds it.
/// </summary>
internal sealed class ArrangeOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long RowsPerRun = 32 * 1024; // some milliseconds
    private const long RowsTakenPerRun = 64 * 1024;
    private const int RunRows = SortWindow.RowsMax - 8192;
    private const int BulkRows = 5 * RunRows; // fewer are faster sorted as runs and merged
    private readonly KeyedInput<TTime> _input;
    private readonly OutputPort<ArrangedDelta<TTime>> _output;
    private readonly Trace<TTime> _trace;
    private readonly MergeTools<TTime> _tools;
    private readonly List<UpdateBatch<TTime>> _unsorted = [];
    private readonly List<UpdateBatch<TTime>> _later = []; // wholly at or after the last frontier
    private readonly List<Batch<TTime>> _runs = [];
    private int _unsortedRows;
    private BulkSort<TTime>? _bulk;    // instead of _unsorted, once there are many
    private BulkSort<TTime>? _sorting; // was _bulk; becomes a run
    private Merger<TTime>? _merging;   // the runs that _sealingTo made complete
    private bool _isSealing;           // before anything later, _sealingTo
    private Frontier<TTime> _sealingTo;
    private Stamp _mergingMin;
    private Frontier<TTime> _sealed = Frontier<TTime>.At(TTime.Minimum);

    private ArrangeOperator(KeyedRows<TTime> source, string name, out Stream<TTime> errors)
        : base(source.Scope.Graph, name)
    {
        _input = new KeyedInput<TTime>(this, source, out errors);
        _output = new OutputPort<ArrangedDelta<TTime>>(this);
        _trace = new Trace<TTime>(Graph.Worker, source.KeyShape, source.ValueShape);
        _tools = _trace.Tools;
    }

    public override IArrangement? Arrangement => _trace;

    public static ArrangedErr<TTime> Build(Stream<TTime> source, string name, RowKernel? split, RowShape keyShape, RowShape valueShape) =>
        Build(KeyedRows<TTime>.Of(source, name, split, keyShape, valueShape), name);

    public static ArrangedErr<TTime> Build(KeyedRows<TTime> source, string name)
    {
        var op = new ArrangeOperator<TTime>(source, name, out var errors);
        return new ArrangedErr<TTime>(new Arranged<TTime>(source.Scope, op._output, op._trace, TTime.Minimum), errors);
    }

    public override void Run()
    {
        var fuel = Fuel(RowsTakenPerRun);
        while (fuel > 0 && _input.TryTake(out var batch))
        {
            fuel -= batch.Count;
            if (!_sealed.IsClosed && batch.MinTime.CompareTo(_sealed.Time) > 0 && !IsNext(batch.MinTime))
            {
                _later.Add(batch);
                continue;
            }

            Take(batch);
        }

        // What is being sealed is finished before anything later is, a part of it in each run.
        SeeFrontiers();
        var frontier = Frontier<TTime>.FromStamp(_input.FrontierStamp);
        if (!_isSealing && frontier.CompareTo(_sealed) > 0)
        {
            TakeReached(frontier);
            if (!DeliverUnsorted(frontier))
                Seal(frontier);
        }

        if (_sorting is not null)
            Sort(Fuel(RowsPerRun));
        else if (_merging is not null)
            Merge();
        if (_isSealing && _sorting is null && _merging is null)
            SealRuns();
        if (_sorting is not null || _isSealing || frontier.CompareTo(_sealed) > 0 || !_input.IsEmpty)
            Activate();
        SetHold(LeastPending());
    }

    public override void Dispose()
    {
        foreach (var batch in _unsorted)
            batch.Release();
        foreach (var batch in _later)
            batch.Release();
        foreach (var run in _runs)
            run.Release();
        _bulk?.Dispose();
        _sorting?.Dispose();
        _merging?.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var batch in _unsorted)
            batch.Measure(meter);
        foreach (var batch in _later)
            batch.Measure(meter);
        foreach (var run in _runs)
            run.Measure(meter);
        _bulk?.Measure(meter);
        _sorting?.Measure(meter);
        _merging?.Measure(meter);
    }

    // Times ahead of the frontier's own are kept unsorted apart, unless the frontier is about to pass them (it moved, and we have not looked yet).
    private bool IsNext(TTime time) => Frontier<TTime>.FromStamp(_input.FrontierStamp).HasPassed(time);

    private void Take(UpdateBatch<TTime> batch)
    {
        if (_bulk is not null)
        {
            _bulk.Add(batch);
            batch.Release();
            if (_bulk.IsFull)
                StartSorting();
            return;
        }

        _unsorted.Add(batch);
        _unsortedRows += batch.Count;
        if (_unsortedRows < BulkRows)
            return;
        _bulk = new BulkSort<TTime>(_tools);
        foreach (var waiting in _unsorted)
        {
            _bulk.Add(waiting);
            waiting.Release();
        }

        _unsorted.Clear();
        _unsortedRows = 0;
    }

    private void StartSorting()
    {
        if (_sorting is not null)
            Sort(long.MaxValue);
        _sorting = _bulk;
        _bulk = null;
    }

    private void Sort(long rows)
    {
        _sorting!.Work(rows);
        if (!_sorting.IsSorted)
            return;
        if (_sorting.Finish() is { } run)
            _runs.Add(run);
        _sorting.Dispose();
        _sorting = null;
    }

    private void SortUnsorted()
    {
        var waiting = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_unsorted);
        while (waiting.Length > 0)
        {
            var count = 0;
            for (var rows = 0; count < waiting.Length && rows < RunRows; count++)
                rows += waiting[count].Count;
            if (_tools.SortRun(waiting[..count], TTime.Minimum) is { } run)
                _runs.Add(run);
            foreach (var batch in waiting[..count])
                batch.Release();
            waiting = waiting[count..];
        }

        _unsorted.Clear();
        _unsortedRows = 0;
    }

    // Of the batches that lie ahead, those that the frontier has reached in part are now of interest.
    private void TakeReached(Frontier<TTime> frontier)
    {
        var kept = 0;
        for (var i = 0; i < _later.Count; i++)
        {
            var batch = _later[i];
            if (frontier.HasPassed(batch.MinTime))
                Take(batch);
            else
                _later[kept++] = batch;
        }

        _later.RemoveRange(kept, _later.Count - kept);
    }

    // The usual case of small changes: all there is became complete. Nothing is sorted that nobody wants in order.
    private bool DeliverUnsorted(Frontier<TTime> frontier)
    {
        if (_runs.Count > 0 || _bulk is not null || _sorting is not null || _unsorted.Count == 0)
            return false;
        var bytes = 0L;
        foreach (var batch in _unsorted)
        {
            bytes += batch.Keys.Bytes + batch.Rows.Bytes;
            if (!IsComplete(batch, frontier))
                return false;
        }

        if (!Recent<TTime>.Fits(_unsortedRows, bytes))
            return false;
        Deliver(new ArrangedDelta<TTime>(_unsorted.ToArray(), _trace.TakeSnapshot()), frontier);
        _unsorted.Clear();
        _unsortedRows = 0;
        return true;
    }

    private static unsafe bool IsComplete(UpdateBatch<TTime> batch, Frontier<TTime> frontier)
    {
        for (var i = 0; batch.Times != null && i < batch.Count; i++)
        {
            if (!frontier.HasPassed(batch.Times[i]))
                return false;
        }

        return frontier.HasPassed(batch.MinTime);
    }

    // Everything that may be complete is sorted, or begins to be.
    private void Seal(Frontier<TTime> frontier)
    {
        _isSealing = true;
        _sealingTo = frontier;
        SortUnsorted();
        if (_bulk is not null)
            StartSorting();
    }

    private void SealRuns()
    {
        // A few runs are told and kept as they are: the trace will merge them with others, and few consumers need them in one.
        var complete = TakeComplete(_sealingTo);
        if (complete.Sum(run => (long)run.Count) > BulkRows && complete.Count > 1)
        {
            // With the true times: consumers see them.
            _merging = new Merger<TTime>(_tools, complete.ToArray());
            _mergingMin = Stamp.Closed;
            foreach (var run in complete)
            {
                _mergingMin = Stamp.Min(_mergingMin, run.MinTime.ToStamp());
                run.Release();
            }

            Merge();
            return;
        }

        DeliverSorted([.. complete]);
    }

    private void Merge()
    {
        _merging!.Work(Fuel(RowsPerRun));
        if (!_merging.IsDone)
            return;
        var merged = _merging.Finish();
        _merging.Dispose();
        _merging = null;
        DeliverSorted(merged is null ? [] : [merged]);
    }

    private void DeliverSorted(Batch<TTime>[] batches)
    {
        var least = Stamp.Closed;
        foreach (var batch in batches)
            least = Stamp.Min(least, batch.MinTime.ToStamp());
        Deliver(batches.Length == 0 ? null : new ArrangedDelta<TTime>(batches, _trace.TakeSnapshot(), least), _sealingTo);
        _isSealing = false;
    }

    private void Deliver(ArrangedDelta<TTime>? delta, Frontier<TTime> frontier)
    {
        _trace.Insert(delta, frontier);
        if (delta is not null)
            _output.Send(delta);
        _sealed = frontier;
    }

    // The updates of runs before the frontier. Runs with later times keep those.
    private List<Batch<TTime>> TakeComplete(Frontier<TTime> frontier)
    {
        var complete = new List<Batch<TTime>>();
        var rest = new List<Batch<TTime>>();
        foreach (var run in _runs)
        {
            if (frontier.HasPassed(run.MaxTime))
            {
                complete.Add(run);
            }
            else if (!frontier.HasPassed(run.MinTime))
            {
                rest.Add(run);
            }
            else
            {
                var (before, after) = _tools.Split(run, frontier.Time);
                if (before is not null)
                    complete.Add(before);
                if (after is not null)
                    rest.Add(after);
                run.Release();
            }
        }

        _runs.Clear();
        _runs.AddRange(rest);
        return complete;
    }

    private Stamp? LeastPending()
    {
        var least = _merging is null ? Stamp.Closed : _mergingMin;
        least = Stamp.Min(least, _bulk?.MinStamp ?? Stamp.Closed);
        least = Stamp.Min(least, _sorting?.MinStamp ?? Stamp.Closed);
        foreach (var batch in _unsorted)
            least = Stamp.Min(least, batch.MinTime.ToStamp());
        foreach (var batch in _later)
            least = Stamp.Min(least, batch.MinTime.ToStamp());
        foreach (var run in _runs)
            least = Stamp.Min(least, run.MinTime.ToStamp());
        return least.IsClosed ? null : least;
    }
}
