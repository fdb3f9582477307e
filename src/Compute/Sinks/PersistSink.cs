// A materialized view's writer. It holds the difference between what the view should contain (from the dataflow) and what the shard
// does contain (what was there at the start, what it appended itself, what others appended), and appends the part of it that has
// become complete. So it does not matter who wrote what is there: another replica with the same answer, an earlier life of this
// process, or an older definition of the view. Two replicas that append the same race harmlessly: the loser finds, on reading
// what the winner wrote, that its difference is empty.
//
//   known       everything in the shard before it is part of the difference
//   desired     everything of the view before it is
//   append      difference before `desired`, as [known, desired)
//
// Worker 0 gathers the view's updates; one task does the I/O. They share a buffer under a lock held for copying only. How much waits
// to be written is told to the backlog, for which the dataflow's sources wait when it is too much.

using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Compute.Sources;
using Materialize.Dataflow;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Compute.Sinks;

/// <summary>Keeps a shard equal to a collection. One for each process; only the one that holds worker 0 writes.</summary>
internal sealed partial class PersistSink
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly GlobalId _id;
    private readonly CollectionMetadata _metadata;
    private readonly RowLayout _layout;
    private readonly ulong _asOf;
    private readonly SinkBacklog _backlog;
    private readonly PersistClient _persist;
    private readonly TimeProvider _time;
    private readonly Action<Exception> _failed;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Lock _lock = new();   // Over the four fields below.
    private UpdateBuffer _incoming = new();
    private bool _hasEnded;
    private Frontier _rowFrontier;
    private Frontier _errorFrontier;
    private volatile bool _mayWrite;
    private int _started;

    public PersistSink(
        SinkExport sink,
        CollectionMetadata metadata,
        ulong asOf,
        SinkBacklog backlog,
        PersistClient persist,
        TimeProvider time,
        Action<Exception> failed,
        ILogger logger)
    {
        _id = sink.Id;
        _metadata = metadata;
        _layout = RowLayout.For(metadata.Desc.Type.Columns);
        _asOf = asOf;
        _backlog = backlog;
        _persist = persist;
        _time = time;
        _failed = failed;
        _logger = logger;
        _rowFrontier = _errorFrontier = Frontier.At(asOf);
    }

    /// <summary>Told, on the pool, whenever the shard is known to have come further.</summary>
    public event Action<ulong?>? UpperAdvanced;

    /// <summary>Builds the sink's operators, at every worker. The probe follows what has reached the sink.</summary>
    public Probe<Time> Build(Bundle bundle, bool isLeader)
    {
        var rows = bundle.OkAs(_metadata.Desc.Type.Columns);
        var seen = rows.Gather().ForEach("persist sink", OnRows, f => OnFrontier(ref _rowFrontier, f, isLeader));
        var errorsSeen = bundle.Errors.Gather().ForEach("persist sink errors", OnErrors, f => OnFrontier(ref _errorFrontier, f, isLeader));
        if (isLeader && Interlocked.Exchange(ref _started, 1) == 0)
            _ = Task.Run(RunAsync);
        return seen.Probe(errorsSeen);
    }

    /// <summary>From now on it may write; before, it only follows. Any thread.</summary>
    public void AllowWrites()
    {
        _mayWrite = true;
        _changed.Release();
    }

    /// <summary>Any thread.</summary>
    public void Stop() => _stop.Cancel();

    private void OnRows(UpdateBatch<Time> batch)
    {
        lock (_lock)
        {
            if (_hasEnded)
                return;
            for (var i = 0; i < batch.Count; i++)
                _incoming.Add(batch[i], batch.TimeAt(i).Value, batch.DiffAt(i));
            _backlog.Given(_incoming.MemoryBytes);
        }
    }

    private void OnErrors(UpdateBatch<Time> batch)
    {
        lock (_lock)
        {
            if (_hasEnded)
                return;
            for (var i = 0; i < batch.Count; i++)
                _incoming.Add(ShardRows.OfError(_layout, batch[i]), batch.TimeAt(i).Value, batch.DiffAt(i));
            _backlog.Given(_incoming.MemoryBytes);
        }
    }

    private void OnFrontier(ref Frontier mine, Frontier frontier, bool isLeader)
    {
        if (!isLeader)
            return;
        lock (_lock)
            mine = frontier;
        _changed.Release();
    }

    private async Task RunAsync()
    {
        try
        {
            await WriteAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // Dropped.
        }
        catch (Exception e) when (e is SinceViolationException || ShardReaders.IsLoss(e))
        {
            LogUnwritable(_id, e.Message);
        }
        catch (Exception e)
        {
            _failed(e);
        }

        // What still comes is for nobody.
        lock (_lock)
        {
            _hasEnded = true;
            _incoming.Clear();
            _backlog.End();
        }
    }

    private async Task WriteAsync(CancellationToken cancel)
    {
        using var writer = await _persist.OpenWriterAsync(_metadata.Shard, cancel);
        await using var reader = await _persist.OpenReaderAsync(_metadata.Shard, $"sink {_id}", cancel);
        var known = ShardReaders.TimeOf(await writer.FetchUpperAsync(cancel));
        var difference = new UpdateBuffer();
        if (known > 0)
        {
            _backlog.Kept(0, isWriting: true);
            using var snapshot = await reader.SnapshotAsync(new Timestamp(known.Value - 1), cancel);
            await foreach (var updates in snapshot.ReadAsync(cancel))
                Subtract(difference, updates);
        }

        _backlog.Kept(difference.MemoryBytes, isWriting: false);
        UpperAdvanced?.Invoke(known);
        Task? moved = null;
        Task? changed = null;
        while (known is { } from)
        {
            var desired = Take(difference);

            // Nothing of the view is known at the as-of until the frontier is beyond it: before, the difference is all that was there.
            if (_mayWrite && !(desired <= Math.Max(from, _asOf)))
            {
                _backlog.Kept(difference.MemoryBytes, isWriting: true);
                (known, var fell) = await AppendAsync(writer, difference, from, desired, cancel);
                if (fell)
                    known = await FollowAsync(reader, difference, from, cancel);

                // One that failed is still to be done.
                _backlog.Kept(difference.MemoryBytes, isWriting: known == from);
                moved = null;
                UpperAdvanced?.Invoke(known);
                if (known is { } to and > 0)
                    reader.DowngradeSinceEventually(ShardReaders.FrontierOf(to - 1));
                continue;
            }

            moved ??= writer.WaitForUpperPastAsync(new Timestamp(from), cancel).AsTask();
            changed ??= _changed.WaitAsync(cancel);
            await Task.WhenAny(moved, changed);
            cancel.ThrowIfCancellationRequested();
            if (changed.IsCompleted)
                changed = null;
            if (!_mayWrite && moved.IsCompleted)
            {
                await moved;
                known = await FollowAsync(reader, difference, from, cancel);
                moved = null;
                UpperAdvanced?.Invoke(known);
            }
        }
    }

    /// <summary>Moves what the dataflow has given into the difference. Returns the frontier up to which that is all; null: for ever.</summary>
    private ulong? Take(UpdateBuffer difference)
    {
        UpdateBuffer taken;
        Frontier frontier;
        lock (_lock)
        {
            (taken, _incoming) = (_incoming, new UpdateBuffer());
            _backlog.Taken();
            frontier = Frontier.Min(_rowFrontier, _errorFrontier);
        }

        for (var i = 0; i < taken.Count; i++)
            difference.Add(taken.Row(i), taken.TimeAt(i), taken.DiffAt(i));
        return frontier.IsClosed ? null : frontier.Time.Value;
    }

    /// <summary>Appends the difference before <paramref name="desired"/>. Whether someone else was first, so that what they wrote is to be read.</summary>
    private async ValueTask<(ulong? Known, bool Fell)> AppendAsync(
        WriteHandle writer, UpdateBuffer difference, ulong known, ulong? desired, CancellationToken cancel)
    {
        // What was due before is due now, but nothing before the as-of: what the shard shows there is left as it is.
        difference.AdvanceSince(Math.Max(known, _asOf));
        difference.Consolidate();
        var count = difference.CountBefore(desired);
        var updates = new UpdateColumnsBuilder(count, difference.Bytes);
        for (var i = 0; i < count; i++)
            updates.Add(difference.Row(i), new Timestamp(difference.TimeAt(i)), difference.DiffAt(i));
        try
        {
            var result = await writer.CompareAndAppendAsync(
                updates.Build(), ShardReaders.FrontierOf(known), ShardReaders.FrontierOf(desired), cancel);
            if (result is AppendResult.Mismatch)
                return (known, true);
            difference.RemoveFirst(count);
            return (desired, false);
        }
        catch (IndeterminateException e)
        {
            // Whether it was us or not, what is in the shard tells what is left to do.
            LogRetry(_id, e.Message);
            await Task.Delay(RetryPause, _time, cancel);
            return (known, ShardReaders.TimeOf(await writer.FetchUpperAsync(cancel)) != known);
        }
        catch (DeterminateException e)
        {
            LogRetry(_id, e.Message);
            await Task.Delay(RetryPause, _time, cancel);
            return (known, false);
        }
    }

    /// <summary>Takes what was appended since <paramref name="known"/> off the difference. Returns how far that is.</summary>
    private static async ValueTask<ulong?> FollowAsync(ReadHandle reader, UpdateBuffer difference, ulong known, CancellationToken cancel)
    {
        var upper = ShardReaders.TimeOf(await reader.FetchUpperAsync(cancel));
        await foreach (var delta in reader.ListenAsync(new Timestamp(known), cancel))
        {
            Subtract(difference, delta.Updates);
            var progress = ShardReaders.TimeOf(delta.Progress);
            if (progress is null || progress >= upper)
                return progress;
        }

        return null;
    }

    private static void Subtract(UpdateBuffer difference, UpdateColumns updates)
    {
        for (var i = 0; i < updates.Count; i++)
            difference.Add(updates.Row(i), updates.Times[i].Millis, -updates.Diffs[i]);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot maintain the shard of {Id}: {Reason}")]
    private partial void LogUnwritable(GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "append for {Id} failed, trying again: {Reason}")]
    private partial void LogRetry(GlobalId id, string reason);
}
