using Materialize.Core.Rows;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>
/// A replica of several processes on one thread: the real workers, meshes, frames and handshakes, with threads, network and clock simulated. What happens next is
/// decided by the seed alone, so that a seed is one run, always the same.
/// </summary>
/// <remarks>
/// <para>What may happen: a worker steps; a message goes from sender to inbox; a link carries some bytes; a process runs a continuation; a process hears of a new epoch; time passes. Some of it is put off for long: workers
/// that are not scheduled, links that are slow, progress that comes late. And processes are killed, stalled for up to 90 s, links cut.</para>
/// <para>What must hold: outputs equal the definition of each plan at each time that a probe at any worker says is complete (<see cref="Job"/>); frontiers are conservative and never go back (<see cref="FrontierCheck"/>); each message is
/// taken once, in order, by the epoch that sent it (<see cref="Courier"/>); an epoch that nobody disturbs finishes.</para>
/// </remarks>
internal sealed class Simulator : IDisposable
{
    private const long EventsMax = 3_000_000;
    private static readonly TimeSpan PatienceMax = TimeSpan.FromSeconds(200);

    private readonly List<Actor> _actors = [];
    private readonly List<Actor> _able = [];
    private readonly Dictionary<int, EpochRun> _runs = [];
    private readonly Queue<(long Event, int Kind)> _faults = new();
    private readonly int _freezing;
    private int _epochsMax = 1;
    private long _events;
    private TimeSpan _lastWork;
    private (TimeSpan At, int Process)? _restart;

    public Simulator(long seed, Mutation mutation = Mutation.None, bool keepText = false)
    {
        Seed = seed;
        Mutation = mutation;
        Trace = new EventTrace { KeepsText = keepText };
        Random = new Random((int)(seed ^ (seed >> 32)));
        var (processes, workers) = Random.Next(7) switch
        {
            0 => (1, 1),
            1 => (1, 2),
            2 => (1, 3),
            3 => (2, 1),
            4 => (2, 2),
            5 => (3, 1),
            _ => (4, 1),
        };
        WorkersPerProcess = workers;
        Peers = processes * workers;
        Rows = Random.Next(3) == 0 ? PairRows.Text : PairRows.Fixed;
        Plans = [.. Enumerable.Range(0, 1 + Random.Next(3)).Select(_ => new RandomPlan(Random, Rows))];
        CreditBytes = Random.Next(3) switch { 0 => 1, 1 => Random.Next(2, 3000), _ => 64L << 20 };
        EndsStepsEarly = Random.Next(2) == 0;
        RowsToLook = 1 << Random.Next(6);
        FuelMax = Random.Next(2) == 0 ? long.MaxValue : 1 << Random.Next(6);
        _freezing = Random.Next(3) switch { 0 => int.MaxValue, 1 => 40, _ => 8 };
        Network = new SimNetwork(this);
        if (processes > 1 && (Random.Next(2) == 0 || mutation == Mutation.EpochsLookAlike))
            PlanFaults();
        for (var p = 0; p < processes; p++)
            Processes.Add(null!);
        for (var p = 0; p < processes; p++)
            Processes[p] = new SimProcess(this, p, Epoch);
    }

    public long Seed { get; }

    public Mutation Mutation { get; }

    public Random Random { get; }

    public EventTrace Trace { get; }

    public SimClock Clock { get; } = new();

    public SimNetwork Network { get; }

    public List<SimProcess> Processes { get; } = [];

    public int WorkersPerProcess { get; }

    /// <summary>Workers of all processes.</summary>
    public int Peers { get; }

    public PairRows Rows { get; }

    public IReadOnlyList<RandomPlan> Plans { get; }

    public long CreditBytes { get; }

    /// <summary>Whether steps end as soon as the clock would be looked at, or never before they have done all.</summary>
    public bool EndsStepsEarly { get; }

    public long RowsToLook { get; }

    public long FuelMax { get; }

    /// <summary>The epoch that processes are told to join.</summary>
    public int Epoch { get; private set; } = 1;

    public bool IsDone { get; private set; }

    /// <summary>Whether something ran on another thread.</summary>
    public bool Leaked { get; set; }

    /// <summary>What was seen to be wrong while a worker was at work, which goes on to the end of its step.</summary>
    public ViolationException? Violation { get; set; }

    public long Events => _events;

    public string Layout => $"{Processes.Count} processes of {WorkersPerProcess} workers, credit {CreditBytes}, epoch {Epoch}";

    /// <summary>Runs to the end.</summary>
    /// <exception cref="Exception">Something that must hold did not.</exception>
    public void Run()
    {
        var context = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(null);
            foreach (var process in Processes.ToArray())
                process.Start();
            while (!IsDone || Processes.Exists(p => !p.IsDead && !p.Life.IsCompleted))
                Next();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }

        if (Leaked)
            throw new ViolationException("something left the simulation's thread");
    }

    public void Add(Actor actor) => _actors.Add(actor);

    public void NoteWork() => _lastWork = Clock.Now;

    public EpochRun RunOf(int epoch)
    {
        if (!_runs.TryGetValue(epoch, out var run))
            _runs.Add(epoch, run = new EpochRun(this, epoch));
        return run;
    }

    /// <summary>A process lost its peers.</summary>
    public void EndEpoch(int epoch)
    {
        if (IsDone || epoch < Epoch)
            return;
        if (++Epoch > _epochsMax)
            throw new ViolationException($"epoch {epoch} ended without a cause");
    }

    /// <summary>An epoch has done all its work.</summary>
    public void Finish()
    {
        IsDone = true;
        Epoch++;
    }

    /// <summary>After a failure: frees what can be freed.</summary>
    public void Dispose()
    {
        foreach (var process in Processes)
        {
            if (!process.Life.IsCompleted && !process.IsDead)
                process.Kill();
        }
    }

    private void PlanFaults()
    {
        var at = 0L;
        for (var count = 1 + Random.Next(2); count > 0; count--)
        {
            at += 1 << Random.Next(5, 13);
            _faults.Enqueue((at, Random.Next(4)));
            _epochsMax += 3; // a fault while an epoch begins can end that one for one process and the next for another
        }
    }

    private void Next()
    {
        if (Leaked)
            throw new ViolationException("something left the simulation's thread");
        if (Violation is { } violation)
            throw violation;
        if (++_events > EventsMax)
            throw new ViolationException($"no end after {_events} events: {_runs.GetValueOrDefault(Epoch)?.State}");
        if (_faults.TryPeek(out var fault) && fault.Event <= _events && _restart is null && !IsDone)
        {
            _faults.Dequeue();
            Inject(fault.Kind);
        }

        if (_restart is { } restart && restart.At <= Clock.Now)
            Restart(restart.Process);
        if (Random.Next(64) == 0)
            Clock.AdvanceTo(Clock.Now + TimeSpan.FromMicroseconds(Random.Next(3000)));
        if (_freezing != int.MaxValue && Random.Next(_freezing) == 0)
            _actors[Random.Next(_actors.Count)].FrozenUntil = _events + (1L << Random.Next(3, 11));
        Pick();
        if (_able.Count > 0)
            _able[Random.Next(_able.Count)].Act();
        else
            Wait();
    }

    // Those that can act and are not put off; if there are none, those that are.
    private void Pick()
    {
        _able.Clear();
        var frozen = 0;
        for (var i = 0; i < _actors.Count; i++)
        {
            var actor = _actors[i];
            if (actor.CanAct)
            {
                if (actor.FrozenUntil > _events)
                    frozen++;
                else
                    _able.Add(actor);
            }
            else if (actor.IsGone)
            {
                _actors.RemoveAt(i--);
            }
        }

        if (_able.Count > 0 || frozen == 0)
            return;
        foreach (var actor in _actors)
        {
            if (actor.CanAct)
                _able.Add(actor);
        }
    }

    // Nothing can happen before the next timer.
    private void Wait()
    {
        var next = Clock.Next;
        foreach (var process in Processes)
        {
            if (process.StalledUntil > Clock.Now && (next is not { } n || process.StalledUntil < n))
                next = process.StalledUntil;
        }

        if (_restart is { } restart && (next is not { } m || restart.At < m))
            next = restart.At;
        if (next is not { } time || time - _lastWork > PatienceMax)
            throw new ViolationException($"nothing happens any more: {_runs.GetValueOrDefault(Epoch)?.State}");
        Trace.Add("wait", time.Ticks);
        Clock.AdvanceTo(time > Clock.Now ? time : Clock.Now);
    }

    private void Inject(int kind)
    {
        var process = Processes[Random.Next(Processes.Count)];
        Trace.Add("fault", kind, process.Index);
        switch (kind)
        {
            case 0:
                Network.CutOne();
                break;
            case 1:
                process.StalledUntil = Clock.Now + TimeSpan.FromMilliseconds(Random.Next(100, 90_000));
                break;
            default:
                process.Kill();
                _restart = (Clock.Now + TimeSpan.FromMilliseconds(Random.Next(1000)), process.Index);
                break;
        }
    }

    private void Restart(int index)
    {
        _restart = null;
        if (IsDone)
            return;

        // Whoever starts it gives it a new epoch, which the others hear of.
        Epoch++;
        Trace.Add("restart", index, Epoch);
        Processes[index] = new SimProcess(this, index, Epoch);
        Processes[index].Start();
    }
}
