// One reader task for each import of a dataflow, at one process of the replica, on the thread pool; workers never wait for it. It deals pieces of some thousand
// updates to the workers in turn, so that a snapshot hydrates on all of them at once. A piece in flight costs a credit, which the
// worker gives back when it has fed it: a slow worker slows the reading down instead of filling memory. Frontiers go to every
// worker, behind the pieces, by the worker's own queue.

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
    private const int CreditsPerWorker = 8;

    private readonly ShardReaders _readers;
    private readonly SourceImport _import;
    private readonly ulong _asOf;
    private readonly ulong? _until;
    private readonly (Worker Worker, SourceInput Input)[] _workers;
    private readonly SemaphoreSlim _credits;
    private readonly CancellationTokenSource _stop = new();
    private readonly Action<Exception> _failed;
    private readonly ILogger _logger;
    private readonly bool _reads;
    private int _attached;
    private int _next;

    /// <param name="workers">Workers of this process.</param>
    /// <param name="reads">False: another process of the replica reads this import, and this one's inputs are closed from the start.</param>
    /// <param name="failed">Told when storage fails for good: the replica cannot go on.</param>
    public PersistSource(
        ShardReaders readers, SourceImport import, ulong asOf, ulong? until, int workers, bool reads, Action<Exception> failed, ILogger logger)
    {
        _reads = reads;
        _readers = readers;
        _import = import;
        _asOf = asOf;
        _until = until;
        _workers = new (Worker, SourceInput)[workers];
        _credits = new SemaphoreSlim(CreditsPerWorker * workers);
        _failed = failed;
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
            await ReadAsync(_stop.Token);
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
        await using var reader = await _readers.OpenAsync(_import.Metadata!, $"dataflow import {_import.Id}", cancel);
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

    private async ValueTask DealAsync(UpdateColumns updates, CancellationToken cancel)
    {
        for (var start = 0; start < updates.Count; start += PieceUpdates)
        {
            await _credits.WaitAsync(cancel);
            var (worker, input) = _workers[_next++ % _workers.Length];
            var (from, to) = (start, Math.Min(start + PieceUpdates, updates.Count));
            worker.Post(_ =>
            {
                input.Feed(updates, from, to);
                _credits.Release();
            });
        }
    }

    private void Advance(ulong? to)
    {
        foreach (var (worker, input) in _workers)
            worker.Post(_ => input.AdvanceTo(to));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot read {Id}: {Reason}")]
    private partial void LogUnreadable(GlobalId id, string reason);
}
