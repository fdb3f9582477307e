using Materialize.Controller;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>One process of a replica, or what stands for one.</summary>
internal sealed record ReplicaProcess(InstanceId Instance, string Replica, ReplicaSize Size, int Index)
{
    /// <summary>The replica's name, which its processes and its controllers agree on.</summary>
    public string Host => $"{Instance}.{Replica}";

    /// <summary>A name of its own for each service of each process.</summary>
    public string NameOf(string service) => $"{Instance}-{Replica}-{Index}-{service}";
}

/// <summary>
/// Keeps the processes of replicas running: one that ends is started again, with a growing pause if it keeps ending, until its replica is dropped.
/// What a process is, and where it is reached, is up to the kinds of it.
/// </summary>
internal abstract partial class ReplicaSupervisor(ITransport transport, TimeProvider time, ILoggerFactory loggers) : IReplicaOrchestrator
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <summary>One that ran so long may be started again at once.</summary>
    private static readonly TimeSpan LongLife = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = loggers.CreateLogger<ReplicaSupervisor>();

    // Guards the map: the coordinator adds and drops, disposal takes all.
    private readonly Lock _gate = new();
    private readonly Dictionary<(InstanceId, string), Replica> _replicas = [];
    private int _running;

    public ReplicaEndpoints EnsureReplica(InstanceId instance, string replica, ReplicaSize size)
    {
        lock (_gate)
        {
            if (!_replicas.TryGetValue((instance, replica), out var running))
            {
                running = new Replica(this, [.. Enumerable.Range(0, size.Processes).Select(i => new ReplicaProcess(instance, replica, size, i))]);
                _replicas.Add((instance, replica), running);
            }

            return running.Endpoints;
        }
    }

    public async ValueTask DropReplicaAsync(InstanceId instance, string replica)
    {
        Replica? dropped;
        lock (_gate)
            _replicas.Remove((instance, replica), out dropped);
        if (dropped is not null)
            await dropped.StopAsync();
    }

    public virtual async ValueTask DisposeAsync()
    {
        List<Replica> all;
        lock (_gate)
        {
            all = [.. _replicas.Values];
            _replicas.Clear();
        }

        await Task.WhenAll(all.Select(r => r.StopAsync()));
    }

    /// <summary>For metrics. Any thread.</summary>
    public virtual IEnumerable<(string Name, string Help, long Value)> Gauges() =>
        [("mz_replica_processes", "Processes of replicas that run, as children or inside this process.", Volatile.Read(ref _running))];

    /// <summary>Where a process listens for a service; <c>mesh</c> is for the replica's other processes.</summary>
    protected abstract TransportAddress Address(ReplicaProcess process, string service);

    /// <summary>One life: starts the process, calls <paramref name="started"/>, and returns, with why, when it has ended. Cancelled, it ends it.</summary>
    protected abstract Task<string> LiveAsync(ReplicaProcess process, Action started, CancellationToken cancel);

    /// <summary>Where all processes of its replica listen for each other.</summary>
    protected IReadOnlyList<TransportAddress> MeshOf(ReplicaProcess process) =>
        [.. Enumerable.Range(0, process.Size.Processes).Select(i => Address(process with { Index = i }, "mesh"))];

    private async Task RunAsync(ReplicaProcess process, CancellationToken cancel)
    {
        var pause = FirstPause;
        while (true)
        {
            var start = time.GetTimestamp();
            var isRunning = 0;
            var reason = await LiveAsync(process, () => Interlocked.Add(ref _running, isRunning = 1), cancel);
            Interlocked.Add(ref _running, -isRunning);
            if (cancel.IsCancellationRequested)
                return;
            pause = time.GetElapsedTime(start) > LongLife ? FirstPause : TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
            LogEnded(process.Host, process.Index, reason, pause.TotalMilliseconds);
            try
            {
                await Task.Delay(pause, time, cancel);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "clusterd {Host} process {Index} {Reason}; starting it again in {PauseMs} ms")]
    private partial void LogEnded(string host, int index, string reason, double pauseMs);

    /// <summary>The processes of one replica, from the start.</summary>
    private sealed class Replica
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Replica(ReplicaSupervisor owner, IReadOnlyList<ReplicaProcess> processes)
        {
            Endpoints = new ReplicaEndpoints(
                [.. processes.Select(p => owner.Connect(p, "compute", ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses))],
                [.. processes.Select(p => owner.Connect(p, "storage", ProtocolCodecs.StorageCommands, ProtocolCodecs.StorageResponses))]);
            _running = Task.WhenAll(processes.Select(p => Task.Run(() => owner.RunAsync(p, _stop.Token))));
        }

        public ReplicaEndpoints Endpoints { get; }

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _stop.Dispose();
        }
    }

    private ControlConnector<TCommand, TResponse> Connect<TCommand, TResponse>(
        ReplicaProcess process, string service, IMessageCodec<TCommand> commands, IMessageCodec<TResponse> responses)
        where TCommand : class
        where TResponse : class =>
        new(new CommandClient<TCommand, TResponse>(
            transport,
            Address(process, service),
            new FrameHello(ProtocolCodecs.Version, service, process.Host),
            FrameOptions.Client,
            commands,
            responses,
            time,
            _logger)
        { RetryMin = TimeSpan.FromMilliseconds(20) });
}
