using System.Diagnostics;
using Materialize.Core;
using Materialize.Dataflow.Progress;

namespace Materialize.Dataflow.Runtime;

/// <summary>An arrangement that an operator keeps, as far as introspection goes.</summary>
internal interface IArrangement
{
    void Measure(StateMeter meter);

    /// <summary>Readers that hold it.</summary>
    int Holds { get; }
}

/// <summary>
/// A synchronous state machine at one worker. <see cref="Run"/> is called when a message waits, when the frontier of an input moved (if
/// <see cref="FollowsFrontier"/>), or after <see cref="Activate"/>.
/// </summary>
/// <remarks>
/// An operator may send at times at or after its hold, or at or after those of the messages that it takes during the same run; or it may set a hold there for later. Its output
/// frontier is the least of its hold and its inputs' frontiers. Holds of all workers' copies start equal (<see cref="InitialHold"/>).
/// </remarks>
internal abstract class Operator
{
    private Stamp _entitled = Stamp.Closed;
    private PortList<InputPort> _inputs;
    private PortList<OutputPort> _outputs;

    protected Operator(DataflowGraph graph, string name)
    {
        Graph = graph;
        Name = name;
        Index = graph.Add(this);
        HoldPlace = graph.Tracker.NewPlace(this);
    }

    public DataflowGraph Graph { get; }

    public string Name { get; }

    /// <summary>Position in topological order.</summary>
    public int Index { get; }

    public Place HoldPlace { get; }

    public ReadOnlySpan<InputPort> Inputs => _inputs.Ports;

    public ReadOnlySpan<OutputPort> Outputs => _outputs.Ports;

    /// <summary>This worker's hold; null is none.</summary>
    public Stamp? Hold { get; private set; }

    public Stamp OutputFrontier { get; set; } = new(0, 0);

    public virtual bool FollowsFrontier => true;

    /// <summary>Whether its inputs' frontiers are those of all workers' copies, and not of what may still come to this one.</summary>
    public virtual bool SeesAllWorkers => false;

    /// <summary>Whether it sends to other workers: what a run of it did is told them at once, so that they can go on while this worker does.</summary>
    public virtual bool ReachesPeers => false;

    /// <summary>How times change between this operator's inputs and its outputs.</summary>
    public TimeEffect TimeEffect { get; protected init; }

    public long RowsIn { get; set; }

    public long RowsOut { get; set; }

    public long Runs { get; set; }

    public long ElapsedTicks { get; private set; }

    public DurationHistogram? RunTimes { get; private set; }

    /// <summary>The arrangement that the operator keeps, if it keeps one.</summary>
    public virtual IArrangement? Arrangement => null;

    public abstract void Run();

    /// <summary>Counts what waits for the operator and what it keeps, its arrangement aside.</summary>
    public void Measure(StateMeter meter)
    {
        foreach (var input in Inputs)
            input.Measure(meter);
        MeasureState(meter);
    }

    /// <summary>Counts all native memory that the operator keeps between runs, but for its inputs and its arrangement.</summary>
    protected virtual void MeasureState(StateMeter meter)
    {
    }

    /// <summary>Frees state; the dataflow is being dropped.</summary>
    public virtual void Dispose()
    {
    }

    /// <summary>A new port's own business; while building only.</summary>
    internal void Add(InputPort input) => _inputs.Add(input);

    /// <summary>As above.</summary>
    internal void Add(OutputPort output) => _outputs.Add(output);

    /// <summary>Asks for another run.</summary>
    public void Activate() => Graph.Activate(Index);

    /// <summary>
    /// Looks again at what may still come, now that this run has taken what waited: so that what is complete by that is worked on in this run, and not in another of the next pass.
    /// </summary>
    protected void SeeFrontiers() => Graph.Tracker.Refresh(this);

    /// <summary>How many rows a run may work on that would take <paramref name="rows"/>.</summary>
    protected long Fuel(long rows) => Math.Min(rows, Graph.Worker.FuelMax);

    /// <summary>Asks for another run, once this worker may make more data.</summary>
    protected void ActivateWithCredit()
    {
        if (Graph.Worker.IsCongested)
            Graph.Worker.WaitForCredit(this);
        else
            Activate();
    }

    /// <summary>The hold with which the operator starts, the same at all workers; while building only.</summary>
    protected void InitialHold(Stamp stamp) => Hold = stamp;

    /// <summary>Moves this worker's hold; null gives it up. Not before what the operator may send at now.</summary>
    public void SetHold(Stamp? hold)
    {
        if (hold is { IsClosed: true })
            hold = null;
        if (hold == Hold)
            return;
        if (hold is { } next)
            CheckMaySend(next);
        switch (Hold, hold)
        {
            case ({ } from, { } to):
                HoldPlace.Move(from, to);
                break;
            case (null, { } to):
                HoldPlace.Add(to, 1);
                break;
            case ({ } from, null):
                HoldPlace.Add(from, -1);
                break;
        }

        Hold = hold;
    }

    /// <summary>
    /// Only what this run took, or held when it began, entitles to send. Checked on every message: a frontier that passed a time too early makes
    /// wrong answers far away.
    /// </summary>
    public void CheckMaySend(Stamp stamp)
    {
        if (stamp >= _entitled || (Hold is { } h && h <= stamp))
            return;
        Invariant.Check(false, $"{Name} sends at {stamp} and may only from {_entitled}");
    }

    /// <summary>A message at <paramref name="stamp"/> was taken by this run.</summary>
    public void NoteTaken(Stamp stamp) => _entitled = Stamp.Min(_entitled, TimeEffect.IsNone ? stamp : Tracker.Through(this, stamp));

    internal void RunOnce()
    {
        _entitled = Hold ?? Stamp.Closed;
        Runs++;
        Run();
        Graph.Worker.Scratch.CheckErrorsSent(Name);
    }

    /// <summary>A run has ended that began at <paramref name="clock"/>, which becomes now.</summary>
    internal void NoteElapsed(ref long clock)
    {
        var now = Stopwatch.GetTimestamp();
        ElapsedTicks += now - clock;
        (RunTimes ??= new DurationHistogram()).AddTicks(now - clock);
        clock = now;
    }
}
