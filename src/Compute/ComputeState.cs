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
/// Commands are handled by the session's task, one after the other, and posted to all workers in that order. Fields are touched by that
/// task only; sessions follow one another.
/// </remarks>
public sealed partial class ComputeState : IAsyncDisposable
{
    private readonly ComputeOptions _options;
    private readonly ShardReaders _readers;
    private readonly WorkerGroup _group;
    private readonly ComputeWorker[] _workers;
    private readonly Thread[] _threads;
    private readonly CancellationTokenSource _stop = new();
    private readonly ILogger _logger;
    private readonly Dictionary<GlobalId, InstalledDataflow> _installed = [];
    private readonly Dictionary<Guid, (PeekJob Job, CancellationTokenSource? Stop)> _peeks = [];
    private InstanceConfig? _config;
    private int _fatal;

    /// <summary>Starts the workers.</summary>
    public ComputeState(ComputeOptions options)
    {
        _options = options;
        _logger = options.Logs.CreateLogger<ComputeState>();
        _readers = new ShardReaders(options.Persist);
        _group = new WorkerGroup(options.Workers, startThreads: false);
        _workers = [.. _group.Workers.Select((w, i) => new ComputeWorker(w, i))];
        _threads = [.. _workers.Select((w, i) => new Thread(() => Run(_group.Workers[i], w)) { Name = $"compute {i}", IsBackground = true })];
        foreach (var thread in _threads)
            thread.Start();
    }

    /// <summary>Exports of installed dataflows, for metrics. Any thread; a recent value.</summary>
    public int CollectionCount { get; private set; }

    /// <summary>Talks to one controller until its connection closes. One call at a time.</summary>
    public async Task ServeAsync(CommandConnection<ComputeResponse, ComputeCommand> connection, CancellationToken cancel)
    {
        if (await connection.ReceiveAsync(cancel) is not ComputeCommand.Hello)
            return;
        var session = new ResponseSession(connection.TrySend);
        var sending = SendAsync(session, connection, cancel);
        try
        {
            // The history comes first and takes effect as a whole, so that nothing that is still wanted is dropped on the way.
            var history = new List<ComputeCommand>();
            while (await connection.ReceiveAsync(cancel) is { } command)
            {
                if (command is ComputeCommand.InitializationComplete)
                {
                    Reconcile(history, session);
                    break;
                }

                history.Add(command);
            }

            while (await connection.ReceiveAsync(cancel) is { } command)
                Apply(command, session);
        }
        finally
        {
            session.Close();
            await sending;
        }
    }

    /// <summary>Drops everything and stops the workers.</summary>
    public async ValueTask DisposeAsync()
    {
        ForgetPeeks();
        Post(w => w.DropAll());
        var drained = new CountdownEvent(_workers.Length);
        Post(_ => drained.Signal());
        foreach (var dataflow in _installed.Values)
            dataflow.Plan.Stop();
        await Task.Run(() =>
        {
            // A worker that has failed never gets there.
            drained.Wait(TimeSpan.FromSeconds(10));
            _stop.Cancel();
            Post(_ =>
            {
            });
            foreach (var thread in _threads)
                thread.Join();
        });
        await _readers.DisposeAsync();
        _group.Dispose();
        _stop.Dispose();
    }

    private static async Task SendAsync(
        ResponseSession session, CommandConnection<ComputeResponse, ComputeCommand> connection, CancellationToken cancel)
    {
        try
        {
            while (await session.Responses.WaitToReadAsync(cancel))
            {
                while (session.Responses.TryRead(out var response))
                {
                    await connection.SendAsync(response, cancel);
                    session.Sent();
                }
            }
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            // The receiving side ends the session.
        }
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
    }

    private void Create(DataflowDescription description)
    {
        Action<Exception> failed = Fail;
        var plan = new DataflowPlan(
            description,
            import => new PersistSource(_readers, import, description.AsOf!.Value, description.Until, _workers.Length, failed, _options.Time, _logger),
            (sink, metadata) => new PersistSink(sink, metadata, description.AsOf!.Value, _options.Persist, _options.Time, failed, _logger));
        var installed = new InstalledDataflow(plan);
        foreach (var id in description.ExportIds)
            _installed.Add(id, installed);
        CollectionCount = _installed.Count;
        Post(w => w.CreateDataflow(plan));
    }

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
            case PeekTarget.Index:
                var job = new PeekJob(request, _workers.Length, session);
                _peeks[request.Uuid] = (job, null);
                Post(w => w.Peek(job));
                break;
            case PeekTarget.Persist:
                var reading = new PeekJob(request, 1, session);
                var stop = new CancellationTokenSource();
                _peeks[request.Uuid] = (reading, stop);
                _ = Task.Run(() => ReadAsync(reading, stop.Token));
                break;
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
        Post(_ =>
        {
        });
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

    /// <summary>To every worker, in one order.</summary>
    private void Post(Action<ComputeWorker> action)
    {
        for (var i = 0; i < _workers.Length; i++)
        {
            var worker = _workers[i];
            _group.Workers[i].Post(_ => action(worker));
        }
    }

    private void Run(Worker engine, ComputeWorker worker)
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                if (!worker.Step())
                    engine.Park(TimeSpan.FromSeconds(1));
            }
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private void Fail(Exception e)
    {
        if (Interlocked.Exchange(ref _fatal, 1) != 0)
            return;
        LogFatal(e);
        _options.Fatal(e);
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "the compute runtime cannot go on")]
    private partial void LogFatal(Exception e);

    [LoggerMessage(Level = LogLevel.Warning, Message = "unexpected command {Command} is ignored")]
    private partial void LogUnexpected(string command);
}
