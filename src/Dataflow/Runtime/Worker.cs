using System.Collections.Concurrent;
using System.Diagnostics;
using Materialize.Core;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Runtime;

/// <summary>
/// One thread's share of all dataflows. Everything it owns is touched by its thread only; others reach it through <see cref="Post"/>
/// and through its inbox.
/// </summary>
/// <remarks>
/// A test or a simulator may own the thread itself: call <see cref="Step"/> until it returns false. All workers of a group build the same dataflows in
/// the same order; messages for a dataflow that this worker has yet to build wait.
/// </remarks>
public sealed class Worker
{
    private readonly ConcurrentQueue<InboxItem> _inbox = new();
    private readonly IDelivery? _delivery;
    private const int SpinCreditMax = 8;
    private const int SpinProbeEvery = 16;
    private const long MaintainedRows = 4_000; // some hundred microseconds: what comes in meanwhile waits

    // It does not spin: Park decides about that.
    private readonly ManualResetEventSlim _wake = new(false, spinCount: 0);
    private readonly List<DataflowGraph> _ready = [];
    private readonly List<DataflowGraph> _running = [];
    private readonly Dictionary<int, DataflowGraph> _dataflows = [];
    private readonly Dictionary<int, List<InboxItem>> _early = [];
    private readonly List<IMaintained> _maintained = [];
    private readonly List<IMaintained> _owing = [];
    private readonly long _stepTicksMax;
    private readonly long _rowsToLook;
    private long _stepBegan;
    private bool _stepIsOver;
    private int _nextDataflow;
    private long _nextUniqueId = 1;
    private int _parked;
    private int _spinCredit = SpinCreditMax;
    private int _parks;

    internal Worker(IWorkerLinks links, int index, int peers, WorkerSettings settings)
    {
        Links = links;
        Index = index;
        Peers = peers;
        _creditBytes = settings.CreditBytes;
        _stepTicksMax = settings.StepMax == Timeout.InfiniteTimeSpan ? long.MaxValue : (long)(settings.StepMax.TotalSeconds * Stopwatch.Frequency);
        _rowsToLook = settings.RowsToLook;
        _delivery = settings.Delivery;
        FuelMax = settings.FuelMax;
    }

    /// <summary>Number of this worker among all of all processes.</summary>
    public int Index { get; }

    /// <summary>Workers of all processes.</summary>
    public int Peers { get; }

    /// <summary>Whether operators' run times are taken; some 30 ns a run.</summary>
    public bool Accounting { get; set; }

    /// <summary>
    /// Whether work that would take the worker long may be done by other threads meanwhile. Off where an owner steps the worker until there is no more to do, and relies on that.
    /// </summary>
    public bool OffloadsWork { get; set; }

    public IReadOnlyCollection<DataflowGraph> Dataflows => _dataflows.Values;

    internal IWorkerLinks Links { get; }

    /// <summary>
    /// Working memory of the operator that is running: operators run one at a time and keep nothing here between runs, so that an idle operator costs next to nothing.
    /// </summary>
    internal WorkerScratch Scratch { get; } = new();

    /// <summary>All dataflows: what they did so far and keep. What several share is counted for one of them: an arrangement for whose it is.</summary>
    public IReadOnlyList<DataflowStatistics> Statistics()
    {
        var meter = new StateMeter();
        var graphs = _dataflows.Values.ToArray();
        var operators = graphs.Select(g => new OperatorStatistics[g.Operators.Count]).ToArray();
        for (var g = 0; g < graphs.Length; g++)
            graphs[g].MeasureArrangements(meter, operators[g]);
        for (var g = 0; g < graphs.Length; g++)
            graphs[g].MeasureOperators(meter, operators[g]);
        return [.. graphs.Zip(operators, (graph, statistics) => new DataflowStatistics(graph, statistics))];
    }

    /// <summary>Working memory that all operators of this worker share.</summary>
    public StateSize ScratchSize
    {
        get
        {
            var meter = new StateMeter();
            Scratch.Measure(meter);
            return meter.Take();
        }
    }

    /// <summary>Runs <paramref name="action"/> on the worker's thread, in the order of posting. Any thread.</summary>
    public void Post(Action<Worker> action) => Deliver(new InboxItem.Work(action));

    /// <summary>Builds this worker's copy of the next dataflow and starts it. Worker thread only.</summary>
    /// <param name="build">Adds operators to the scope; must do the same at all workers.</param>
    public DataflowGraph BuildDataflow(string name, Action<Scope<Time>> build)
    {
        var graph = new DataflowGraph(this, _nextDataflow++, name);
        build(new Scope<Time>(graph));
        graph.UniqueId = _nextUniqueId;
        _nextUniqueId += 1 + graph.Operators.Count + graph.Operators.Sum(op => op.Inputs.Length);
        _dataflows.Add(graph.Id, graph);
        graph.Start();
        if (graph.IsActive)
            NoteActive(graph);
        if (_early.Remove(graph.Id, out var early))
        {
            foreach (var item in early)
                Handle(item);
        }

        return graph;
    }

    /// <summary>
    /// Takes what came in and gives each active dataflow one pass, or, when that takes long, goes on with it in the next step; with nothing else to do, some upkeep of traces. Never blocks.
    /// </summary>
    /// <returns>Whether anything was done; when false, nothing will be until something comes in.</returns>
    public bool Step()
    {
        Core.Memory.SlabPool.TrimScratch();
        var any = TakeInbox();
        if (_ready.Count > 0)
        {
            any = true;
            _running.AddRange(_ready);
            _ready.Clear();
            _stepBegan = Stopwatch.GetTimestamp();
            _stepIsOver = false;
            var ran = 0;
            while (ran < _running.Count && !_stepIsOver)
            {
                var graph = _running[ran++];
                graph.IsScheduled = false;
                if (!graph.IsDropped)
                    graph.RunPass();
                if (graph.IsActive)
                    NoteActive(graph);
            }

            // Those that had no turn have theirs first in the next step.
            for (var i = _running.Count - 1; i >= ran; i--)
            {
                if (!_running[i].IsDropped)
                    _ready.Insert(0, _running[i]);
            }

            _running.Clear();
            PayOwed();
        }

        return any || Maintain();
    }

    /// <summary>Whether the running step has taken long enough, after an operator's run that moved so many rows or left something to do.</summary>
    internal bool IsStepOver(long rows, bool leftWork) =>
        (rows >= _rowsToLook || leftWork) && (_stepIsOver = Stopwatch.GetTimestamp() - _stepBegan >= _stepTicksMax);

    /// <summary>Steps until nothing is left to do at this worker, or <paramref name="until"/> holds.</summary>
    public void StepWhileBusy(Func<bool>? until = null)
    {
        while (until?.Invoke() != true && Step())
        {
        }
    }

    /// <summary>Waits for something to come in, at most <paramref name="timeout"/>. Worker thread only.</summary>
    public void Park(TimeSpan timeout)
    {
        if (!_inbox.IsEmpty)
            return;

        // A hand-off costs half a microsecond while spinning and thirty once parked: worth it while workers talk to each other, a waste of
        // their core while work comes in slower than that. So whether it paid lately decides, and now and then it is tried anew.
        if ((_spinCredit > 0 || ++_parks % SpinProbeEvery == 0) && SpinUntilDelivery())
            return;
        Volatile.Write(ref _parked, 1);
        Interlocked.MemoryBarrier(); // announce, then look again: a sender enqueues, then looks for the announcement
        if (_inbox.IsEmpty)
            _wake.Wait(timeout);
        Volatile.Write(ref _parked, 0);

        // What is delivered from here on finds us not parked; what was before is in the inbox.
        _wake.Reset();
    }

    private bool SpinUntilDelivery()
    {
        var start = Stopwatch.GetTimestamp();
        var spins = default(SpinWait);
        while (Stopwatch.GetElapsedTime(start).TotalMicroseconds < 30)
        {
            if (!_inbox.IsEmpty)
            {
                _spinCredit = SpinCreditMax;
                return true;
            }

            spins.SpinOnce(sleep1Threshold: -1);
        }

        _spinCredit = Math.Max(0, _spinCredit - 1);
        return false;
    }

    /// <summary>The loop of a worker's thread.</summary>
    public void Run(CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            if (!Step())
                Park(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>Frees all dataflows and what waits for them, once the worker's thread has ended.</summary>
    internal void DropAll()
    {
        foreach (var graph in _dataflows.Values.ToArray())
            graph.Drop();
        foreach (var items in _early.Values)
        {
            foreach (var item in items)
                Forget(item);
        }

        _early.Clear();
        while (_inbox.TryDequeue(out var item))
            Forget(item);
    }

    /// <summary>Frees what will not be taken any more.</summary>
    internal static void Forget(InboxItem item)
    {
        if (item is InboxItem.Data data)
            data.Message.Release();
    }

    /// <summary>Adds to the inbox and wakes the worker, sooner or later. Any thread.</summary>
    internal void Deliver(InboxItem item)
    {
        if (_delivery is null)
            Enqueue(item);
        else
            _delivery.Deliver(this, item);
    }

    /// <summary>Adds to the inbox and wakes the worker. Any thread.</summary>
    internal void Enqueue(InboxItem item)
    {
        _inbox.Enqueue(item);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _parked) == 1 && Interlocked.Exchange(ref _parked, 0) == 1)
            _wake.Set();
    }

    internal void BroadcastProgress(int dataflow, (int Place, Stamp Stamp, long Count)[] changes) =>
        Links.BroadcastProgress(Index, dataflow, changes);

    internal void SendData(int peer, int dataflow, int place, Message message)
    {
        _delivery?.NoteSent(this, peer, dataflow, place, message.MinStamp);
        Links.SendData(Index, peer, dataflow, place, message);
    }

    // Back-pressure. What this worker sent and no inbox has handed on yet is counted, in bytes; operators that make much from little (joins, flat maps, reads of arrangements) put their work off while it is over the
    // limit. Operators that pass on what they get never wait: so a receiver can always empty its inbox, and every wait ends.
    private readonly long _creditBytes;
    private readonly List<Operator> _waitingForCredit = [];
    private long _outstanding;
    private int _waiting;

    /// <summary>Most rows of an operator's run.</summary>
    internal long FuelMax { get; }

    /// <summary>Whether operators should put off making more data.</summary>
    internal bool IsCongested => Volatile.Read(ref _outstanding) > _creditBytes;

    internal void UseCredit(long bytes) => Interlocked.Add(ref _outstanding, bytes);

    /// <summary>Any thread.</summary>
    internal void ReturnCredit(long bytes)
    {
        var left = Interlocked.Add(ref _outstanding, -bytes);
        if (left <= _creditBytes / 2 && Interlocked.Exchange(ref _waiting, 0) == 1)
            Deliver(new InboxItem.Resume());
    }

    /// <summary>Activates <paramref name="op"/> when there is credit again.</summary>
    internal void WaitForCredit(Operator op)
    {
        if (!_waitingForCredit.Contains(op))
            _waitingForCredit.Add(op);
        Interlocked.Exchange(ref _waiting, 1);

        // Credit may have come back just before we announced that we wait.
        if (Volatile.Read(ref _outstanding) <= _creditBytes / 2 && Interlocked.Exchange(ref _waiting, 0) == 1)
            Deliver(new InboxItem.Resume());
    }

    internal void NoteActive(DataflowGraph graph)
    {
        if (graph.IsScheduled)
            return;
        graph.IsScheduled = true;
        _ready.Add(graph);
    }

    internal void Forget(DataflowGraph graph)
    {
        _dataflows.Remove(graph.Id);
        _ready.Remove(graph);
    }

    internal void AddMaintained(IMaintained trace)
    {
        if (!_maintained.Contains(trace))
            _maintained.Add(trace);
    }

    /// <summary>The upkeep of <paramref name="trace"/> is to go on after this step's operators have run, though the worker is not idle.</summary>
    internal void NoteOwing(IMaintained trace) => _owing.Add(trace);

    private bool TakeInbox()
    {
        var any = false;
        // What comes in while we work waits for the next step, so that a busy sender cannot starve the operators.
        for (var left = _inbox.Count; left > 0 && _inbox.TryDequeue(out var item); left--)
        {
            any = true;
            Handle(item);
        }

        if (any)
        {
            foreach (var graph in _touched)
            {
                if (!graph.IsDropped)
                    graph.Tracker.Propagate();
            }

            _touched.Clear();
        }

        return any;
    }

    private readonly HashSet<DataflowGraph> _touched = [];

    private void Handle(InboxItem item)
    {
        switch (item)
        {
            case InboxItem.Work work:
                work.Action(this);
                break;
            case InboxItem.ToDataflow to when _dataflows.TryGetValue(to.Dataflow, out var graph):
                if (to is InboxItem.Progress progress)
                {
                    graph.ApplyProgress(progress.Changes);
                    _touched.Add(graph);
                }
                else if (to is InboxItem.Data data)
                {
                    data.From.ReturnCredit(data.Message.Bytes);
                    Receive(graph, data.Place, data.Message, data.From.Index);
                }
                else if (to is InboxItem.Encoded encoded)
                {
                    Links.ReturnRemoteCredit(encoded.From, encoded.Bytes.Length);
                    Receive(graph, encoded.Place, InputAt(graph, encoded.Place).Decode(encoded.Bytes), encoded.From);
                }

                break;
            case InboxItem.ToDataflow early when early.Dataflow >= _nextDataflow:
                if (!_early.TryGetValue(early.Dataflow, out var list))
                    _early.Add(early.Dataflow, list = []);
                list.Add(early);
                break;
            case InboxItem.Data late: // its dataflow was dropped here
                late.From.ReturnCredit(late.Message.Bytes);
                late.Message.Release();
                _delivery?.NoteTaken(this, late.From.Index, late.Dataflow, late.Place, null);
                break;
            case InboxItem.Encoded late:
                Links.ReturnRemoteCredit(late.From, late.Bytes.Length);
                _delivery?.NoteTaken(this, late.From, late.Dataflow, late.Place, null);
                break;
            case InboxItem.Resume:
                foreach (var op in _waitingForCredit)
                    op.Activate();
                _waitingForCredit.Clear();
                break;
        }
    }

    private void Receive(DataflowGraph graph, int place, Message message, int from)
    {
        _delivery?.NoteTaken(this, from, graph.Id, place, message.MinStamp);
        InputAt(graph, place).Receive(message, from);
    }

    private static InputPort InputAt(DataflowGraph graph, int place)
    {
        foreach (var input in graph.Tracker[place].Owner.Inputs)
        {
            if (input.MessagePlace.Id == place)
                return input;
        }

        throw new InvariantViolationException($"no input at place {place} of dataflow {graph.Id}");
    }

    private void PayOwed()
    {
        foreach (var trace in _owing)
            trace.PayOwed();
        _owing.Clear();
    }

    private bool Maintain()
    {
        for (var i = _maintained.Count - 1; i >= 0; i--)
        {
            if (_maintained[i].Maintain(MaintainedRows))
                return true;
            _maintained.RemoveAt(i);
        }

        return false;
    }
}

/// <summary>Something with work to do while its worker is idle.</summary>
internal interface IMaintained
{
    /// <summary>Does about <paramref name="fuel"/> rows of work; whether any was left to do.</summary>
    bool Maintain(long fuel);

    /// <summary>Does the work that was asked for with <see cref="Worker.NoteOwing"/>.</summary>
    void PayOwed();
}

/// <summary>How workers reach each other. What one worker sends another, messages and progress alike, arrives in the order in which it was sent: frontiers rest on it (see Tracker).</summary>
internal interface IWorkerLinks
{
    void BroadcastProgress(int from, int dataflow, (int Place, Stamp Stamp, long Count)[] changes);

    /// <summary>Takes over a reference to <paramref name="message"/>.</summary>
    void SendData(int from, int to, int dataflow, int place, Message message);

    /// <summary>Tells a worker of another process that its data was taken.</summary>
    void ReturnRemoteCredit(int worker, long bytes);
}

/// <summary>What comes in from outside a worker's thread.</summary>
internal abstract record InboxItem
{
    private InboxItem()
    {
    }

    public sealed record Work(Action<Worker> Action) : InboxItem;

    public abstract record ToDataflow(int Dataflow) : InboxItem;

    public sealed record Progress(int From, int Dataflow, (int Place, Stamp Stamp, long Count)[] Changes) : ToDataflow(Dataflow);

    public sealed record Data(int Dataflow, int Place, Message Message, Worker From) : ToDataflow(Dataflow);

    /// <summary>A message from another process's worker, decoded when its dataflow exists.</summary>
    public sealed record Encoded(int Dataflow, int Place, byte[] Bytes, int From) : ToDataflow(Dataflow);

    /// <summary>Credit came back to a worker that waited for it.</summary>
    public sealed record Resume : InboxItem;
}
