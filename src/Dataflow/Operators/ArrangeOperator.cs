using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Seals keyed updates into sorted batches as the frontier passes their times, and keeps the trace. Shape: keyed batches → <see cref="ArrangedDelta{TTime}"/>, consolidated. Time: a delta holds exactly
/// the updates of the times that became complete. Work: a sort of each 32 K rows as they come, a merge of the sorted runs when their time is complete, and the trace's fueled merging.
/// State: updates not complete, and the trace while somebody holds it.
/// </summary>
internal sealed class ArrangeOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long MergeRowsPerRun = 1 << 20;
    private const int RunRows = SortWindow.RowsMax - 8192;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<ArrangedDelta<TTime>> _output;
    private readonly Trace<TTime> _trace;
    private readonly MergeTools<TTime> _tools;
    private readonly List<UpdateBatch<TTime>> _unsorted = [];
    private readonly List<UpdateBatch<TTime>> _later = []; // wholly at or after the last frontier
    private readonly List<Batch<TTime>> _runs = [];
    private int _unsortedRows;
    private Merger<TTime>? _merging; // the runs that _mergingTo made complete
    private Frontier<TTime> _mergingTo;
    private Stamp _mergingMin;
    private Frontier<TTime> _sealed = Frontier<TTime>.At(TTime.Minimum);

    private ArrangeOperator(Stream<TTime> keyed, string name, RowShape keyShape)
        : base(keyed.Scope.Graph, name)
    {
        _input = this.NewInput(keyed);
        _output = new OutputPort<ArrangedDelta<TTime>>(this);
        _trace = new Trace<TTime>(Graph.Worker, keyShape, keyed.Shape);
        _tools = new MergeTools<TTime>(Graph.Worker.Scratch, keyShape, keyed.Shape);
    }

    public override long StateBytes => _trace.Bytes;

    public static ArrangedErr<TTime> Build(Stream<TTime> source, string name, RowKernel? split, RowShape keyShape, RowShape valueShape)
    {
        if (split is null)
            (keyShape, valueShape) = (source.Shape, RowShape.Empty);
        var (keyed, errors) = KeyByOperator<TTime>.Build(source, name, split, keyShape, valueShape);
        return new ArrangedErr<TTime>(OfKeyed(keyed, name, keyShape), errors);
    }

    public static Arranged<TTime> OfKeyed(Stream<TTime> keyed, string name, RowShape keyShape)
    {
        var op = new ArrangeOperator<TTime>(keyed, name, keyShape);
        return new Arranged<TTime>(keyed.Scope, op._output, op._trace, TTime.Minimum);
    }

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            if (!_sealed.IsClosed && batch.MinTime.CompareTo(_sealed.Time) > 0 && !IsNext(batch.MinTime))
            {
                _later.Add(batch);
                continue;
            }

            _unsorted.Add(batch);
            _unsortedRows += batch.Count;
            if (_unsortedRows >= RunRows)
                SortUnsorted();
        }

        // A large merge is finished before anything later is sealed, a part of it in each run.
        var frontier = Frontier<TTime>.FromStamp(_input.FrontierStamp);
        if (_merging is null && frontier.CompareTo(_sealed) > 0)
            Seal(frontier);
        if (_merging is not null)
        {
            _merging.Work(MergeRowsPerRun);
            if (_merging.IsDone)
            {
                var merged = _merging.Finish();
                _merging.Dispose();
                _merging = null;
                Deliver(merged, _mergingTo);
            }

            Activate();
        }

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
        _merging?.Dispose();
        _tools.Dispose();
    }

    // Times ahead of the frontier's own are kept unsorted apart, unless the frontier is about to pass them (it moved, and we have not looked yet).
    private bool IsNext(TTime time) => Frontier<TTime>.FromStamp(_input.FrontierStamp).HasPassed(time);

    private void SortUnsorted()
    {
        if (_unsorted.Count == 0)
            return;
        if (_tools.SortRun(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_unsorted), TTime.Minimum) is { } run)
            _runs.Add(run);
        foreach (var batch in _unsorted)
            batch.Release();
        _unsorted.Clear();
        _unsortedRows = 0;
    }

    private void Seal(Frontier<TTime> frontier)
    {
        // Of the batches that lie ahead, those that the frontier has reached in part are now of interest.
        var kept = 0;
        for (var i = 0; i < _later.Count; i++)
        {
            var batch = _later[i];
            if (!frontier.HasPassed(batch.MinTime))
            {
                _later[kept++] = batch;
                continue;
            }

            _unsorted.Add(batch);
            _unsortedRows += batch.Count;
            if (_unsortedRows >= RunRows)
                SortUnsorted();
        }

        _later.RemoveRange(kept, _later.Count - kept);
        SortUnsorted();
        var complete = TakeComplete(frontier);
        if (complete.Count > 1)
        {
            // With the true times: consumers see them.
            _merging = new Merger<TTime>(_tools, complete.ToArray());
            _mergingTo = frontier;
            _mergingMin = Stamp.Closed;
            foreach (var run in complete)
            {
                _mergingMin = Stamp.Min(_mergingMin, run.MinTime.ToStamp());
                run.Release();
            }

            return;
        }

        Deliver(complete.Count == 0 ? null : complete[0], frontier);
    }

    private void Deliver(Batch<TTime>? delta, Frontier<TTime> frontier)
    {
        if (delta is null)
        {
            _trace.Insert(null, frontier);
        }
        else
        {
            var message = new ArrangedDelta<TTime>([delta], _trace.TakeSnapshot(), delta.MinTime.ToStamp(), takeReferences: true);
            _trace.Insert(delta, frontier);
            _output.Send(message);
            delta.Release();
        }

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
        foreach (var batch in _unsorted)
            least = Stamp.Min(least, batch.MinTime.ToStamp());
        foreach (var batch in _later)
            least = Stamp.Min(least, batch.MinTime.ToStamp());
        foreach (var run in _runs)
            least = Stamp.Min(least, run.MinTime.ToStamp());
        return least.IsClosed ? null : least;
    }
}
