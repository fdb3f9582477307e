using System.Numerics;
using Materialize.Core;
using Materialize.Dataflow.Progress;

namespace Materialize.Dataflow.Runtime;

/// <summary>One worker's copy of a dataflow: its operators in topological order, which of them are active, and their frontiers.</summary>
public sealed class DataflowGraph
{
    private ulong[] _active = [];
    private int _activeCount;
    private bool _started;
    private readonly List<Action> _onDrop = [];

    internal DataflowGraph(Worker worker, int id, string name)
    {
        Worker = worker;
        Id = id;
        Name = name;
        Tracker = new Tracker(this);
    }

    public string Name { get; }

    /// <summary>Number of the dataflow, equal at all workers.</summary>
    public int Id { get; }

    public Worker Worker { get; }

    public bool IsDropped { get; private set; }

    internal List<Operator> Operators { get; } = [];

    internal Tracker Tracker { get; }

    /// <summary>Whether the worker's list of dataflows to run has this one.</summary>
    internal bool IsScheduled { get; set; }

    internal bool IsActive => _activeCount > 0;

    /// <summary>What each operator of this worker's copy did so far.</summary>
    public IEnumerable<OperatorStatistics> Statistics()
    {
        foreach (var op in Operators)
            yield return new OperatorStatistics(op.Index, op.Name, op.Runs, op.RowsIn, op.RowsOut, op.StateBytes, op.ElapsedTicks);
    }

    /// <summary>Runs <paramref name="action"/> when this worker's copy is dropped.</summary>
    public void OnDrop(Action action) => _onDrop.Add(action);

    /// <summary>
    /// Frees this worker's copy: its operators stop, their state goes, messages still under way are thrown away. Other workers drop theirs by
    /// the same command. Traces held by handles live on, complete up to where they were. Not from inside a callback of the dataflow: post it.
    /// </summary>
    public void Drop()
    {
        if (IsDropped)
            return;
        IsDropped = true;
        foreach (var op in Operators)
        {
            op.Dispose();
            foreach (var input in op.Inputs)
                input.DropMessages();
        }

        Array.Clear(_active);
        _activeCount = 0;
        Worker.Forget(this);
        foreach (var action in _onDrop)
            action();
    }

    internal int Add(Operator op)
    {
        Invariant.Check(!_started, "operators are added while building only");
        Operators.Add(op);
        if (Operators.Count > _active.Length * 64)
            Array.Resize(ref _active, Math.Max(2, _active.Length * 2));
        return Operators.Count - 1;
    }

    internal void Activate(int index)
    {
        ref var word = ref _active[index >> 6];
        var bit = 1UL << (index & 63);
        if ((word & bit) != 0 || IsDropped)
            return;
        word |= bit;
        if (_activeCount++ == 0 && _started)
            Worker.NoteActive(this);
    }

    internal void Start()
    {
        Tracker.Start(Worker.Peers);
        _started = true;
        foreach (var op in Operators)
            Activate(op.Index);
    }

    /// <summary>
    /// Runs each active operator once, in topological order, so that a batch goes as far down as it can; then publishes progress. Operators activated
    /// upstream of the running one wait for the next pass.
    /// </summary>
    internal void RunPass()
    {
        var account = Worker.Accounting;
        for (var word = 0; word < _active.Length; word++)
        {
            var done = 0UL; // an operator that reactivates itself waits for the next pass
            while (true)
            {
                var ready = _active[word] & ~done;
                if (ready == 0)
                    break;
                var bit = BitOperations.TrailingZeroCount(ready);
                done |= (2UL << bit) - 1;
                _active[word] &= ~(1UL << bit);
                _activeCount--;
                Operators[(word * 64) + bit].RunOnce(account);
                if (IsDropped)
                    return;
            }
        }

        Tracker.Flush(Worker);
        Tracker.Propagate();
    }

    internal void ApplyProgress(ReadOnlySpan<(int Place, Stamp Stamp, long Count)> changes)
    {
        foreach (var (place, stamp, count) in changes)
            Tracker.Apply(place, stamp, count);
    }
}

/// <summary>Counters of one operator at one worker since it was built.</summary>
/// <param name="ElapsedTicks">In <see cref="System.Diagnostics.Stopwatch"/> ticks; counted only while <see cref="Worker.Accounting"/>.</param>
public readonly record struct OperatorStatistics(
    int Index, string Name, long Runs, long RowsIn, long RowsOut, long StateBytes, long ElapsedTicks);
