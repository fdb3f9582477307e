using Materialize.Compute.Peeks;
using Materialize.Compute.Sinks;
using Materialize.Compute.Sources;
using Materialize.Compute.Workers;
using Materialize.Core;
using Materialize.Dataflow.Runtime;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute;

/// <summary>
/// The compute side of one clusterd process: its workers, and what the controller has had them build. Serves one controller at a
/// time; dataflows outlive connections, and a controller that comes back finds those that it still wants (reconciliation).
/// </summary>
/// <remarks>
/// Commands are handled by one task after the other (the session's, or in a replica of several processes, at all but the first of them, the
/// one that follows the first), and posted to all workers in that order. Fields are touched by that task only.
/// </remarks>
public sealed partial class ComputeState : IAsyncDisposable
{
    private readonly ComputeOptions _options;
    private readonly ShardReaders _readers;
    private readonly ILogger _logger;
    private readonly Dictionary<GlobalId, InstalledDataflow> _installed = [];
    private readonly Dictionary<Guid, (PeekJob Job, CancellationTokenSource? Stop)> _peeks = [];
    private List<PeekJob>[]? _toPost;   // for each worker, of the commands being handled
    private WorkerThreads? _workers;
    private InstanceConfig? _config;
    private long _sinkBacklogBytes;
    private int _fatal;
    private volatile bool _disposing;

    /// <summary>Starts the workers; those of a replica of several processes start when a controller has brought the processes together.</summary>
    public ComputeState(ComputeOptions options)
    {
        _options = options;
        _logger = options.Logs.CreateLogger<ComputeState>();
        _readers = new ShardReaders(options.Persist);
        if (options.Mesh is null)
            _workers = new WorkerThreads(new WorkerGroup(options.Workers, startThreads: false), options.PinWorkers, options.Time, Fail);
    }

    /// <summary>Exports of installed dataflows, for metrics. Any thread; a recent value.</summary>
    public int CollectionCount { get; private set; }

    /// <summary>What sinks have been given and have not written yet, for metrics. Any thread.</summary>
    public long SinkBacklogBytes => Volatile.Read(ref _sinkBacklogBytes);

    private bool LeadsReplica => _options.Mesh is not { Process: > 0 };

    /// <summary>Drops everything and stops the workers.</summary>
    public async ValueTask DisposeAsync()
    {
        _disposing = true;
        ForgetPeeks();
        foreach (var dataflow in _installed.Values)
            dataflow.Plan.Stop();
        if (_workers is { } workers)
            await Task.Run(workers.Dispose);
        await LeaveAsync();
        await _readers.DisposeAsync();
    }

    private void Apply(ComputeCommand command, ResponseSession session)
    {
        switch (command)
        {
            case ComputeCommand.Hello or ComputeCommand.InitializationComplete:
                LogUnexpected(command.GetType().Name);
                break;
            case ComputeCommand.CreateInstance x:
                Configure(x.Config);
                break;
            case ComputeCommand.UpdateConfiguration:
                // Each peek carries its own limit.
                break;
            case ComputeCommand.CreateDataflow x:
                Create(x.Dataflow);
                break;
            case ComputeCommand.Schedule x:
                Post(w => w.Schedule(x.Id));
                break;
            case ComputeCommand.AllowWrites x:
                if (_installed.TryGetValue(x.Id, out var writer) && writer.Plan.Sinks.TryGetValue(x.Id, out var sink))
                    sink.AllowWrites();
                break;
            case ComputeCommand.AllowCompaction x:
                AllowCompaction(x.Id, x.Since);
                break;
            case ComputeCommand.Peek x:
                Peek(x.Request, session);
                break;
            case ComputeCommand.CancelPeek x:
                CancelPeek(x.Uuid);
                break;
        }
    }

    private void Configure(InstanceConfig config)
    {
        if (_config is not null && _config != config)
            Fail(new InvalidOperationException("the controller asks for another configuration: the process has to start afresh"));
        _config = config;
        Post(w => w.LoggingInterval = TimeSpan.FromMilliseconds(config.LoggingIntervalMs));
    }

    private void Create(DataflowDescription description)
    {
        Action<Exception> failed = Fail;
        var backlogs = new List<SinkBacklog>();   // complete before a source begins to read
        var plan = new DataflowPlan(
            description,
            _workers!.Count,
            import => new PersistSource(
                _readers, import, description.AsOf!.Value, description.Until, _workers!.Count, Reads(import), backlogs, failed, _options.Time, _logger),
            (sink, metadata) =>
            {
                var backlog = new SinkBacklog(_options.SinkBacklogBytesMax, bytes => Interlocked.Add(ref _sinkBacklogBytes, bytes));
                backlogs.Add(backlog);
                return new PersistSink(sink, metadata, description.AsOf!.Value, backlog, _options.Persist, _options.Time, failed, _logger);
            });
        var installed = new InstalledDataflow(plan);
        foreach (var id in description.ExportIds)
            _installed.Add(id, installed);
        CollectionCount = _installed.Count;
        Post(w => w.CreateDataflow(plan));
    }

    /// <summary>Each import is read by one process of the replica, and exchanged from there.</summary>
    private bool Reads(SourceImport import) =>
        _options.Mesh is not { } mesh || import.Id.Number % (ulong)mesh.Addresses.Count == (ulong)mesh.Process;

    private void AllowCompaction(GlobalId id, ulong? since)
    {
        if (!_installed.TryGetValue(id, out var dataflow))
            return;
        if (since is { } time)
        {
            dataflow.AllowCompaction(id, time);
        }
        else
        {
            _installed.Remove(id);
            CollectionCount = _installed.Count;
        }

        Post(w => w.AllowCompaction(id, since));
    }

    private void Peek(PeekRequest request, ResponseSession session)
    {
        foreach (var (uuid, peek) in _peeks)
        {
            if (peek.Job.IsAnswered)
                _peeks.Remove(uuid);   // Removing while enumerating a dictionary is allowed.
        }

        switch (request.Target)
        {
            case PeekTarget.Index x:
                PeekIndex(request, x.Id, session);
                break;
            case PeekTarget.Persist when !LeadsReplica:
                // Read once, where the commands come in.
                new PeekJob(request, 0, session).NothingFound();
                break;
            case PeekTarget.Persist:
                var reading = new PeekJob(request, 1, session);
                var stop = new CancellationTokenSource();
                _peeks[request.Uuid] = (reading, stop);
                _ = Task.Run(() => ReadAsync(reading, stop.Token));
                break;
        }
    }

    private void PeekIndex(PeekRequest request, GlobalId id, ResponseSession session)
    {
        var workers = _workers!;
        Span<bool> asked = stackalloc bool[workers.Count];
        asked.Fill(true);
        byte[][]? keys = null;
        if (_installed.TryGetValue(id, out var installed) && installed.Plan.Indexes.TryGetValue(id, out var shares))
            keys = shares.Choose(request, workers.Indexes, workers.Peers, asked);
        var job = new PeekJob(request, asked.Count(true), session, keys);
        if (!asked.Contains(true))
        {
            // Other processes own the keys, or none can.
            job.NothingFound();
            return;
        }

        _peeks[request.Uuid] = (job, null);
        _toPost ??= [.. Enumerable.Range(0, workers.Count).Select(_ => new List<PeekJob>())];
        for (var i = 0; i < asked.Length; i++)
        {
            if (asked[i])
                _toPost[i].Add(job);
        }
    }

    /// <summary>Gives workers the peeks that have come in together.</summary>
    private void PostPeeks()
    {
        for (var i = 0; i < _toPost?.Length; i++)
        {
            if (_toPost[i].Count == 0)
                continue;
            var jobs = _toPost[i].ToArray();
            _toPost[i].Clear();
            _workers!.Post(i, w =>
            {
                foreach (var job in jobs)
                    w.Peek(job);
            });
        }
    }

    private async Task ReadAsync(PeekJob job, CancellationToken cancel)
    {
        try
        {
            await PersistPeek.RunAsync(job, _readers, cancel);
        }
        catch (OperationCanceledException)
        {
            // Answered by who cancelled.
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private void CancelPeek(Guid uuid)
    {
        if (!_peeks.Remove(uuid, out var peek))
            return;
        peek.Job.Cancel();
        peek.Stop?.Cancel();

        // Wakes the workers, which then see that it is answered and let go of what it held.
        PostPeeks();
        _workers!.Wake();
    }

    private void ForgetPeeks()
    {
        foreach (var (job, stop) in _peeks.Values)
        {
            job.Forget();
            stop?.Cancel();
        }

        _peeks.Clear();
    }

    /// <summary>To every worker, after what has been posted before.</summary>
    private void Post(Action<ComputeWorker> action)
    {
        PostPeeks();
        _workers!.Post(action);
    }

    private void Fail(Exception e)
    {
        if (_disposing || Interlocked.Exchange(ref _fatal, 1) != 0)
            return;
        if (e is PeerLostException)
            LogPeerLost(e.Message);
        else
            LogFatal(e);
        _options.Fatal(e);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Reason}; this one holds half a computation and ends too")]
    private partial void LogPeerLost(string reason);

    [LoggerMessage(Level = LogLevel.Critical, Message = "the compute runtime cannot go on")]
    private partial void LogFatal(Exception e);

    [LoggerMessage(Level = LogLevel.Warning, Message = "unexpected command {Command} is ignored")]
    private partial void LogUnexpected(string command);
}
