// One reader task for each import of a dataflow, at one process of the replica, on the thread pool; workers never wait for it. It deals pieces of some thousand
// updates to the workers in turn, so that a snapshot hydrates on all of them at once. A piece in flight costs a credit, which the
// worker gives back when it has fed it: a slow worker slows the reading down instead of filling memory, and so does a sink that is behind.
// Frontiers go to every worker, behind the pieces, by the worker's own queue.
//
// Stored data that is lost (a blob that is missing or fails its checksum) is an error like any other from the time on at which it is met:
// readers are told, the process and its other dataflows live on, and a start after the data was restored takes the error back.

using Materialize.Compute.Sinks;
using Materialize.Dataflow.Runtime;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute.Sources;

/// <summary>Reads a storage collection into a dataflow: the contents as of its as-of, then every change.</summary>
internal sealed partial class PersistSource
{
    private const int PieceUpdates = 8192;
    private const int PieceBytes = 1 << 20;
    private const int CreditsPerWorker = 8;
    private static readonly TimeSpan OpenPause = TimeSpan.FromSeconds(1);

    private readonly ShardReaders _readers;
    private readonly SourceImport _import;
    private readonly ulong _asOf;
    private readonly ulong? _until;
    private readonly (Worker Worker, SourceInput Input)[] _workers;
    private readonly SemaphoreSlim _credits;
    private readonly CancellationTokenSource _stop = new();
    private readonly Action<Exception> _failed;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly bool _reads;
    private readonly IReadOnlyList<SinkBacklog> _sinks;
    private int _attached;
    private int _next;

    // Everything before it has been dealt.
    private ulong _complete;

    /// <param name="workers">Workers of this process.</param>
    /// <param name="reads">False: another process of the replica reads this import, and this one's inputs are closed from the start.</param>
    /// <param name="sinks">Of its dataflow: waited for before more is read into it.</param>
    /// <param name="failed">Told when storage fails for good: the replica cannot go on.</param>
    public PersistSource(
        ShardReaders readers,
        SourceImport import,
        ulong asOf,
        ulong? until,
        int workers,
        bool reads,
        IReadOnlyList<SinkBacklog> sinks,
        Action<Exception> failed,
        TimeProvider time,
        ILogger logger)
    {
        _reads = reads;
        _sinks = sinks;
        _readers = readers;
        _import = import;
        _asOf = asOf;
        _complete = asOf;
        _until = until;
        _workers = new (Worker, SourceInput)[workers];
        _credits = new SemaphoreSlim(CreditsPerWorker * workers);
        _failed = failed;
        _time = time;
        _logger = logger;
    }

    /// <summary>A worker has built its input. When all have, reading begins.</summary>
    public void Attach(int localIndex, Worker worker, SourceInput input)
    {
        if (!_reads)
        {
            input.AdvanceTo(null);
            return;
        }

        _workers[localIndex] = (worker, input);
        if (Interlocked.Increment(ref _attached) == _workers.Length)
            _ = Task.Run(RunAsync);
    }

    /// <summary>Stops reading. Any thread, any number of times.</summary>
    public void Stop() => _stop.Cancel();

    private async Task RunAsync()
    {
        try
        {
            try
            {
                await ReadAsync(_stop.Token);
            }
            catch (Exception e) when (ShardReaders.IsLoss(e))
            {
                LogLost(_import.Id, e.Message);
                await LoseAsync(e.Message, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The dataflow was dropped.
        }
        catch (SinceViolationException e)
        {
            // The collection was dropped or compacted while the dataflow was on its way: it never becomes readable, and the
            // controller, which knows, drops it.
            LogUnreadable(_import.Id, e.Message);
        }
        catch (Exception e)
        {
            _failed(e);
        }
    }

    private async Task ReadAsync(CancellationToken cancel)
    {
        await using var reader = await OpenAsync(cancel);
        await foreach (var updates in reader.SnapshotAsync(new Timestamp(_asOf), cancel))
            await DealAsync(updates, cancel);
        if (!new Timestamp(_asOf).TryStepForward(out var from) || from.Millis >= _until)
        {
            Advance(null);
            return;
        }

        Advance(from.Millis);
        await foreach (var delta in reader.ListenAsync(from, cancel))
        {
            await DealAsync(delta.Updates, cancel);
            var progress = ShardReaders.TimeOf(delta.Progress);
            if (progress is { } p && p <= from.Millis)
                continue;
            Advance(progress);
            if (progress is null || progress >= _until)
                return;
            from = new Timestamp(progress.Value);
        }
    }

    /// <summary>Opening writes a lease, which a full disk does not take: that is waited for.</summary>
    private async ValueTask<ShardReader> OpenAsync(CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                return await _readers.OpenAsync(_import.Metadata!, $"dataflow import {_import.Id}", cancel);
            }
            catch (Exception e) when (e is DeterminateException or IndeterminateException)
            {
                LogDelayed(_import.Id, e.Message);
            }

            await Task.Delay(OpenPause, _time, cancel);
        }
    }

    /// <summary>The collection is in error from now on; its times go by.</summary>
    private async Task LoseAsync(string reason, CancellationToken cancel)
    {
        var (worker, input) = _workers[0];
        var time = _complete;
        worker.Post(_ => input.Fail(ShardReaders.LossError(reason), time));
        await using var reader = await OpenAsync(cancel);
        while (_until is not { } until || _complete < until)
        {
            var upper = ShardReaders.TimeOf(await reader.WaitForUpperPastAsync(new Timestamp(_complete), cancel));
            Advance(upper);
            if (upper is null)
                return;
        }
    }

    private async ValueTask DealAsync(UpdateColumns updates, CancellationToken cancel)
    {
        for (var start = 0; start < updates.Count;)
        {
            var end = EndOfPiece(updates, start);
            foreach (var sink in _sinks)
                await sink.WaitForRoomAsync(cancel);
            await _credits.WaitAsync(cancel);
            var (worker, input) = _workers[_next++ % _workers.Length];
            var (from, to) = (start, end);
            start = end;
            worker.Post(_ =>
            {
                input.Feed(updates, from, to);
                _credits.Release();
            });
        }
    }

    /// <summary>So many updates, or fewer when they are long: what is in flight is bounded in bytes too.</summary>
    private static int EndOfPiece(UpdateColumns updates, int start)
    {
        var last = Math.Min(start + PieceUpdates, updates.Count);
        var bytes = 0;
        var end = start;
        do
            bytes += updates.Row(end++).Length;
        while (end < last && bytes < PieceBytes);
        return end;
    }

    private void Advance(ulong? to)
    {
        _complete = to ?? ulong.MaxValue;
        foreach (var (worker, input) in _workers)
            worker.Post(_ => input.AdvanceTo(to));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "stored data of {Id} is lost: {Reason}")]
    private partial void LogLost(GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "reading {Id} is delayed: {Reason}")]
    private partial void LogDelayed(GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot read {Id}: {Reason}")]
    private partial void LogUnreadable(GlobalId id, string reason);
}
