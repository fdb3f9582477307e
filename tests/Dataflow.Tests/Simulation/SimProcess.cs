using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>One process of the replica: joins the epoch that it was told of, works, and starts anew when the epoch ends; as clusterd does.</summary>
internal sealed class SimProcess
{
    private readonly Simulator _simulator;
    private readonly TimeProvider _clock;
    private readonly IMeshNetwork _network;
    private TaskCompletionSource _told = new();
    private TaskCompletionSource _over = new();
    private CancellationTokenSource? _joining;
    private Mesh? _mesh;
    private EpochRun? _run;

    public SimProcess(Simulator simulator, int index, int epoch)
    {
        _simulator = simulator;
        Index = index;
        Known = epoch;
        Context = new SimContext(simulator, this);
        _clock = simulator.Clock.For(Context);
        _network = simulator.Network.EndOf(this);
        simulator.Add(new Pool(this));
        simulator.Add(new News(this));
    }

    public int Index { get; }

    public SimContext Context { get; }

    /// <summary>The epoch that it was last told of.</summary>
    public int Known { get; private set; }

    public bool IsDead { get; private set; }

    /// <summary>Nothing of it runs before then.</summary>
    public TimeSpan StalledUntil { get; set; }

    public bool IsUp => !IsDead && _simulator.Clock.Now >= StalledUntil;

    public Task Life { get; private set; } = Task.CompletedTask;

    public void Start() => Context.Run(() => Life = LiveAsync());

    /// <summary>kill -9. What it held is freed here, since it lived in our process.</summary>
    public void Kill()
    {
        IsDead = true;
        Context.Abandon();
        _simulator.Clock.Forget(Context);
        _simulator.Network.Kill(this);
        if (_mesh is { } mesh)
        {
            _run!.Leave(mesh);
            mesh.Group.Dispose();
            _run.Free(mesh);
            _mesh = null;
        }
    }

    private async Task LiveAsync()
    {
        while (!_simulator.IsDone)
        {
            var epoch = Known;
            _told = new TaskCompletionSource();
            _over = new TaskCompletionSource();
            Mesh mesh;
            using (var joining = _joining = new CancellationTokenSource())
            {
                try
                {
                    mesh = await Mesh.JoinAsync(Options(epoch), _network, joining.Token);
                }
                catch (OperationCanceledException) when (joining.IsCancellationRequested)
                {
                    continue;
                }
                finally
                {
                    _joining = null;
                }
            }

            var run = _run = _simulator.RunOf(epoch);
            _mesh = mesh;
            run.Join(this, mesh);
            var driving = DriveAsync(mesh, run);
            _ = NoteEndAsync(mesh.Ended, _over);
            await _over.Task;
            if (mesh.Ended.Exception is { InnerException: not PeerLostException and { } cause })
                throw cause;
            _simulator.EndEpoch(epoch);
            run.Leave(mesh);
            await mesh.DisposeAsync();
            run.Free(mesh);
            _mesh = null;
            await driving;
            await _told.Task;
        }
    }

    private MeshOptions Options(int epoch)
    {
        var shown = _simulator.Mutation == Mutation.EpochsLookAlike ? 1 : epoch;
        return new MeshOptions("simulated", (ulong)shown, Index, _simulator.Processes.Count, _simulator.WorkersPerProcess)
        {
            Clock = _clock,
            Workers = new WorkerSettings(_simulator.CreditBytes, _simulator.RunOf(epoch).Courier, _simulator.EndsStepsEarly ? TimeSpan.Zero : Timeout.InfiniteTimeSpan, _simulator.RowsToLook, _simulator.FuelMax),
        };
    }

    // Not WhenAny: that would let go of the thread.
    private static async Task NoteEndAsync(Task ended, TaskCompletionSource over)
    {
        try
        {
            await ended;
        }
        catch (Exception)
        {
            // Whoever waits for the end looks at why.
        }

        over.TrySetResult();
    }

    // Process 0 says what to do, and the others do it.
    private async Task DriveAsync(Mesh mesh, EpochRun run)
    {
        if (Index == 0)
        {
            for (var i = 0; i < run.Commands.Count && !mesh.Ended.IsCompleted; i++)
            {
                mesh.SendControl(BitConverter.GetBytes(i));
                run.Post(i, mesh);
                await Task.Yield();
            }

            return;
        }

        while (await mesh.Control.WaitToReadAsync())
        {
            while (mesh.Control.TryRead(out var message))
                run.Post(BitConverter.ToInt32(message), mesh);
        }
    }

    /// <summary>Its threads but for the workers'.</summary>
    private sealed class Pool(SimProcess process) : Actor
    {
        public override bool CanAct
        {
            get
            {
                IsGone = process.IsDead;
                return process.IsUp && process.Context.CanRun;
            }
        }

        public override void Act()
        {
            process.Context.RunOne();
            if (process.Life.Exception is { InnerException: { } cause })
                throw new ViolationException($"process {process.Index}: {cause}");
        }
    }

    /// <summary>How it hears of a new epoch.</summary>
    private sealed class News(SimProcess process) : Actor
    {
        public override bool CanAct
        {
            get
            {
                IsGone = process.IsDead;
                return process.IsUp && process.Known < process._simulator.Epoch;
            }
        }

        public override void Act()
        {
            process.Known = process._simulator.Epoch;
            process._simulator.Trace.Add("tell", process.Index, process.Known);
            process.Context.Run(() =>
            {
                // What goes on at once replaces them.
                var (told, over, joining) = (process._told, process._over, process._joining);
                told.TrySetResult();
                over.TrySetResult();
                if (joining == process._joining)
                    joining?.Cancel();
            });
        }
    }
}
