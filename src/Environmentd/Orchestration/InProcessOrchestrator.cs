using System.Collections.Concurrent;
using Materialize.Clusterd;
using Materialize.Core.Memory;
using Materialize.Persist;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>
/// Runs what clusterd runs inside this process: the same hosts, reached over memory instead of sockets, by which those of one replica also reach each
/// other. For tests, and for programs that embed a server.
/// </summary>
/// <remarks>
/// A host that cannot go on is replaced by another, as a process would be; but what it had allocated natively and could not give back in order is lost,
/// and memory and processor time are everyone's. Shards are read and written through this process's one client.
/// </remarks>
internal sealed partial class InProcessOrchestrator : ReplicaSupervisor
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    // The first orchestrator of the process decides where scratch files are: its memory is one.
    private static readonly Lock ScratchGate = new();

    private readonly MemoryTransport _transport;
    private readonly PersistClient _persist;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<ReplicaProcess, ClusterdHost> _hosts = [];

    /// <param name="persist">Not owned.</param>
    /// <param name="scratch">Where state goes that does not fit half of the memory; null: nowhere. For all of the process: memory limits of sizes do not count here.</param>
    public InProcessOrchestrator(PersistClient persist, string? scratch, TimeProvider time, ILoggerFactory loggers)
        : this(new MemoryTransport(), persist, time, loggers)
    {
        if (scratch is not null)
            UseScratch(scratch);
    }

    private InProcessOrchestrator(MemoryTransport transport, PersistClient persist, TimeProvider time, ILoggerFactory loggers)
        : base(transport, time, loggers)
    {
        _transport = transport;
        _persist = persist;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger<InProcessOrchestrator>();
    }

    /// <summary>What a clusterd says of itself, of all hosts together.</summary>
    public override IEnumerable<(string Name, string Help, long Value)> Gauges() =>
    [
        .. base.Gauges(),
        ("mz_compute_collection_count", "Indexes and sinks that replicas inside this process maintain.", _hosts.Values.Sum(h => (long)h.CollectionCount)),
        ("mz_sink_backlog_bytes", "What materialized views have been given and have not written yet.", _hosts.Values.Sum(h => h.SinkBacklogBytes)),
        ("mz_slab_scratch_bytes", "State in scratch files.", SlabPool.ScratchBytes),
        ("mz_slab_bytes_in_use", "Native memory for rows that is in use.", SlabPool.BytesInUse),
        ("mz_slab_bytes_held", "Native memory for rows that the process holds, free slabs included.", SlabPool.BytesHeld),
    ];

    protected override TransportAddress Address(ReplicaProcess process, string service) => new TransportAddress.Memory(process.NameOf(service));

    protected override async Task<string> LiveAsync(ReplicaProcess process, Action started, CancellationToken cancel)
    {
        var failed = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        ClusterdHost host;
        try
        {
            host = await ClusterdHost.StartAsync(
                new ClusterdOptions
                {
                    Transport = _transport,
                    ComputeAddress = Address(process, "compute"),
                    StorageAddress = Address(process, "storage"),
                    Process = process.Index,
                    MeshAddresses = MeshOf(process),
                    Workers = process.Size.Workers,
                    Persist = _persist,
                    Host = process.Host,
                    Time = _time,
                    Logs = _loggers,
                    Fatal = e => failed.TrySetResult(e),
                },
                cancel);
        }
        catch (IOException e)
        {
            return $"cannot be started: {e.Message}";
        }

        started();
        _hosts[process] = host;
        LogStarted(process.Host, process.Index, process.Size.Workers);
        string reason;
        try
        {
            reason = $"ended: {(await failed.Task.WaitAsync(cancel)).Message}";
        }
        catch (OperationCanceledException)
        {
            reason = "was stopped";
        }

        _hosts.TryRemove(process, out _);
        await StopAsync(process, host);
        return reason;
    }

    private void UseScratch(string directory)
    {
        lock (ScratchGate)
        {
            if (SlabPool.MemoryBudget == long.MaxValue)
            {
                SlabPool.UseScratch(new ScratchOptions(
                    directory, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2, long.MaxValue, reason => LogNoScratch(reason)));
            }
        }
    }

    /// <summary>What is broken may hang when it is taken apart: it is left behind then.</summary>
    private async Task StopAsync(ReplicaProcess process, ClusterdHost host)
    {
        try
        {
            await host.DisposeAsync().AsTask().WaitAsync(StopTimeout, _time);
        }
        catch (Exception e)
        {
            LogLeftBehind(process.Host, process.Index, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "clusterd {Host} process {Index} started in this process, {Workers} workers")]
    private partial void LogStarted(string host, int index, int workers);

    [LoggerMessage(Level = LogLevel.Error, Message = "state stays in memory that should be in scratch files: {Reason}")]
    private partial void LogNoScratch(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "clusterd {Host} process {Index} did not end in order and is left behind: {Reason}")]
    private partial void LogLeftBehind(string host, int index, string reason);
}
