using System.IO.Pipelines;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>
/// The thread pool of one simulated process: continuations wait here, and the seed picks which runs next, as a pool gives no order either. All on the simulation's one thread.
/// </summary>
internal sealed class SimContext(Simulator simulator, SimProcess process) : SynchronizationContext
{
    private readonly List<(SendOrPostCallback Callback, object? State)> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;

    public bool CanRun => _ready.Count > 0;

    public override void Post(SendOrPostCallback d, object? state)
    {
        // Somebody took work to another thread: what follows would be no function of the seed.
        if (Environment.CurrentManagedThreadId != _thread)
            simulator.Leaked = true;
        else if (!process.IsDead)
            _ready.Add((d, state));
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("a simulated process waits for nothing");

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs one of what waits.</summary>
    public void RunOne()
    {
        var i = simulator.Random.Next(_ready.Count);
        var (callback, state) = _ready[i];
        _ready[i] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        simulator.Trace.Add("continue", process.Index, i, _ready.Count);
        Run(() => callback(state));
    }

    /// <summary>Runs <paramref name="action"/> as this process.</summary>
    public void Run(Action action)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            action();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>What never runs because its process died.</summary>
    public void Abandon() => _ready.Clear();

    /// <summary>Pipes hand their continuations on here.</summary>
    public PipeScheduler Scheduler => new Pipes(this);

    private sealed class Pipes(SimContext context) : PipeScheduler
    {
        public override void Schedule(Action<object?> action, object? state) => context.Post(s => action(s), state);
    }
}
