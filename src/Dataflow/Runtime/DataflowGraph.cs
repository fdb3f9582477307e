using System.Diagnostics;
using System.Numerics;
using Materialize.Core;
using Materialize.Dataflow.Progress;

namespace Materialize.Dataflow.Runtime;

/// <summary>One worker's copy of a dataflow: its operators in topological order, which of them are active, and their frontiers.</summary>
public sealed class DataflowGraph
{
    private ulong[] _active = [];
    private int _activeCount;
    private int _passFrom; // where a pass that was interrupted goes on
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

    /// <summary>Inputs of all operators, in their order.</summary>
    internal List<InputPort> Inputs { get; } = [];

    internal Tracker Tracker { get; }

    /// <summary>Whether the worker's list of dataflows to run has this one.</summary>
    internal bool IsScheduled { get; set; }

    internal bool IsActive => _activeCount > 0;

    /// <summary>
    /// Identifies this dataflow among all dataflows, operators and channels of the worker, the same at all workers. Its operators follow, in order
    /// (<see cref="OperatorId"/>), then its channels (<see cref="ChannelId"/>).
    /// </summary>
    public long UniqueId { get; internal set; }

    public long OperatorId(int index) => UniqueId + 1 + index;

    public long ChannelId(int index) => UniqueId + 1 + Operators.Count + index;

    public int ChannelCount => Inputs.Count;

    /// <summary>The edges, in the order of what they lead to.</summary>
    public IReadOnlyList<ChannelDescription> Channels => [.. Inputs.Select((input, i) => new ChannelDescription(
        i, input.Sources[0].Owner.Index, input.Sources[0].Owner.Outputs.IndexOf(input.Sources[0]), input.Owner.Index, input.Owner.Inputs.IndexOf(input)))];

    /// <summary>What this worker sent over a channel, by the worker that it was sent to.</summary>
    public ReadOnlySpan<Traffic> Sent(int channel) => Inputs[channel].Sent;

    /// <summary>What this worker was sent by others over a channel; what stays at the worker is in <see cref="Sent"/> only.</summary>
    public ReadOnlySpan<Traffic> Received(int channel) => Inputs[channel].Received;

    /// <summary>Runs of an operator by the power of two of their length in nanoseconds; empty where none was taken.</summary>
    public ReadOnlySpan<long> RunTimes(int operatorIndex) => Operators[operatorIndex].RunTimes is { } times ? times.Counts : [];

    /// <summary>The least time that may still come, at this worker, to any input of an operator, or out of it if it has none; null: none.</summary>
    public ulong? FrontierOf(int operatorIndex)
    {
        var op = Operators[operatorIndex];
        var least = op.Inputs.IsEmpty ? op.OutputFrontier : Stamp.Closed;
        foreach (var input in op.Inputs)
            least = Stamp.Min(least, input.FrontierStamp);
        return least.IsClosed ? null : least.Outer;
    }

    /// <summary>What each operator of this worker's copy did so far, and keeps.</summary>
    public IReadOnlyList<OperatorStatistics> Statistics()
    {
        var meter = new StateMeter();
        var statistics = new OperatorStatistics[Operators.Count];
        MeasureArrangements(meter, statistics);
        MeasureOperators(meter, statistics);
        return statistics;
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

    internal void MeasureArrangements(StateMeter meter, OperatorStatistics[] into)
    {
        foreach (var op in Operators)
        {
            if (op.Arrangement is not { } arrangement)
                continue;
            arrangement.Measure(meter);
            into[op.Index] = into[op.Index] with { Arrangement = meter.Take(), ArrangementHolds = arrangement.Holds };
        }
    }

    internal void MeasureOperators(StateMeter meter, OperatorStatistics[] into)
    {
        foreach (var op in Operators)
        {
            op.Measure(meter);
            into[op.Index] = into[op.Index] with
            {
                Index = op.Index,
                Name = op.Name,
                Runs = op.Runs,
                RowsIn = op.RowsIn,
                RowsOut = op.RowsOut,
                ElapsedTicks = op.ElapsedTicks,
                State = meter.Take(),
            };
        }
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
        foreach (var op in Operators)
            Inputs.AddRange(op.Inputs);
        Tracker.Start(Worker.Peers);
        _started = true;
        foreach (var op in Operators)
            Activate(op.Index);
    }

    /// <summary>
    /// Runs each active operator once, in topological order, so that a batch goes as far down as it can; publishes progress after those that send to peers, and in the end. Operators activated
    /// upstream of the running one wait for the next pass. When the worker's step has taken long enough, the pass is interrupted, and the next call goes on with it.
    /// </summary>
    internal void RunPass()
    {
        var from = _passFrom;
        _passFrom = 0;

        // One look at the clock for each run: the end of one is the beginning of the next.
        var account = Worker.Accounting;
        var clock = account ? Stopwatch.GetTimestamp() : 0;
        for (var word = from >> 6; word < _active.Length; word++)
        {
            // An operator that reactivates itself waits for the next pass.
            var done = word == from >> 6 ? (1UL << (from & 63)) - 1 : 0UL;
            while (true)
            {
                var ready = _active[word] & ~done;
                if (ready == 0)
                    break;
                var bit = BitOperations.TrailingZeroCount(ready);
                done |= (2UL << bit) - 1;
                _active[word] &= ~(1UL << bit);
                _activeCount--;
                var op = Operators[(word * 64) + bit];
                var moved = op.RowsIn + op.RowsOut;
                Tracker.PropagateChanged();
                op.RunOnce();
                if (account)
                    op.NoteElapsed(ref clock);
                if (IsDropped)
                    return;
                if (Tracker.HasPeers && op.ReachesPeers)
                    Tracker.Publish(Worker);
                if (Worker.IsStepOver(op.RowsIn + op.RowsOut - moved, (_active[word] >> bit & 1) != 0))
                {
                    // Between two runs, what was done so far can be told, as well as at the end.
                    _passFrom = _activeCount == 0 ? 0 : (op.Index + 1) % Operators.Count;
                    Tracker.Publish(Worker);
                    Tracker.Propagate();
                    return;
                }
            }
        }

        Tracker.Publish(Worker);
        Tracker.Propagate();
    }

    internal void ApplyProgress(ReadOnlySpan<(int Place, Stamp Stamp, long Count)> changes)
    {
        foreach (var (place, stamp, count) in changes)
            Tracker.Apply(place, stamp, count);
    }
}
