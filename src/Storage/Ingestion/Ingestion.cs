using System.Net.Sockets;
using Materialize.Core;
using Materialize.Persist;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Materialize.Storage;

/// <summary>A source that is to run: attempt after attempt, until it is stopped. One task; the other members may be called by any thread.</summary>
internal sealed partial class Ingestion
{
    private static readonly TimeSpan PauseMin = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(8);

    private readonly PersistClient _persist;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();

    // Guards the description and the attempt: the session changes the one and interrupts the other.
    private readonly Lock _gate = new();
    private IngestionDescription _description;
    private CancellationTokenSource? _attempt;
    private readonly Task _running;

    /// <param name="mayWrite">Nothing is written before it completes.</param>
    public Ingestion(
        PersistClient persist, TimeProvider time, ILogger logger, IngestionDescription description, Action<StorageResponse> send, Task mayWrite)
    {
        _persist = persist;
        _time = time;
        _logger = logger;
        _description = description;
        Report = new IngestionReport(send);
        Report.Status(description.Id, "starting");
        _running = Task.Run(() => RunAsync(mayWrite));
    }

    public IngestionReport Report { get; }

    public IngestionDescription Description
    {
        get
        {
            lock (_gate)
                return _description;
        }
    }

    /// <summary>Goes on with another description, if it is another.</summary>
    public void Update(IngestionDescription description)
    {
        lock (_gate)
        {
            if (description.Equals(_description))
                return;
            foreach (var export in _description.Exports.Where(e => description.Exports.All(d => d.Id != e.Id)))
                Report.Forget(export.Id);
            _description = description;
            _ = _attempt?.CancelQuietlyAsync();
        }
    }

    /// <summary>Ends it. What is durable stays, so that it can go on elsewhere.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelQuietlyAsync();
        await _running;
    }

    private async Task RunAsync(Task mayWrite)
    {
        try
        {
            await mayWrite.WaitAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        var pause = PauseMin;
        while (!_stop.IsCancellationRequested)
        {
            using var attempt = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            IngestionDescription description;
            lock (_gate)
            {
                description = _description;
                _attempt = attempt;
            }

            var began = _time.GetTimestamp();
            try
            {
                await IngestionRun.RunAsync(_persist, _time, description, Report, attempt.Token);
            }
            catch (Exception) when (attempt.IsCancellationRequested)
            {
                // Stopped, or another description: whatever came of it.
            }
            catch (RestartException e)
            {
                LogRestart(description.Id, e.Message);
                await PauseAsync(PauseMin);
            }
            catch (Exception e)
            {
                var error = PostgresUpstream.Describe(e);
                if (IsExpected(e))
                    LogStalled(description.Id, error);
                else
                    LogUnexpected(e, description.Id);
                Report.Stall(description.Id, error, (e as SourceException)?.Hint);
                if (_time.GetElapsedTime(began) > PauseMax)
                    pause = PauseMin;
                await PauseAsync(pause);
                pause = pause * 2 < PauseMax ? pause * 2 : PauseMax;
            }
            finally
            {
                lock (_gate)
                    _attempt = null;
            }
        }
    }

    private async Task PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, _time, _stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The loop sees it.
        }
    }

    private static bool IsExpected(Exception e) =>
        e is SourceException or NpgsqlException or PersistException or IOException or SocketException or TimeoutException;

    [LoggerMessage(Level = LogLevel.Information, Message = "source {Id} begins again: {Reason}")]
    private partial void LogRestart(GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "source {Id} is stalled: {Reason}")]
    private partial void LogStalled(GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "source {Id} failed in a way that was not foreseen; it is tried again")]
    private partial void LogUnexpected(Exception e, GlobalId id);
}
