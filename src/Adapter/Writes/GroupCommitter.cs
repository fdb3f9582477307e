using System.Threading.Channels;
using Materialize.Controller;
using Materialize.Core;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.Oracle;
using Materialize.Persist.Txns;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Adapter;

/// <summary>Rows to add to or remove from one table; times are those of the commit.</summary>
/// <param name="Staged">More rows, which are in the blob store already. To be committed or <see cref="GroupCommitter.Abandon"/>ed.</param>
internal sealed record TableWrite(GlobalId Table, ShardId Shard, UpdateColumns Rows, StagedBatch? Staged = null)
{
    public long Count => Rows.Count + (Staged?.Count ?? 0);
}

/// <summary>
/// Commits the writes of all sessions together: whatever has queued while the last commit was on its way becomes the next one, at
/// one new timestamp, with one compare-and-set. Once a second it commits nothing, which moves all tables' uppers and the read time.
/// </summary>
/// <remarks>
/// One task. A client is answered only after the oracle's read time includes its write, so every later strict-serializable read
/// sees it. Source: reference, consistency-and-time §3.
/// </remarks>
internal sealed partial class GroupCommitter : IAsyncDisposable
{
    private static readonly TimeSpan TickInterval = TimeSpan.FromSeconds(1);

    private readonly PersistClient _persist;
    private readonly TxnsHandle _txns;
    private readonly TxnsReader _reader;

    // Held while a commit is made and while tables are registered or forgotten: which tables there are must not change under a commit.
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ITimestampOracle _oracle;
    private readonly StorageController _storage;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<Pending> _inbox = Channel.CreateUnbounded<Pending>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private readonly Task _ticker;

    public GroupCommitter(
        PersistClient persist,
        TxnsHandle txns,
        TxnsReader reader,
        ITimestampOracle oracle,
        StorageController storage,
        TimeProvider time,
        ILogger<GroupCommitter> logger)
    {
        _persist = persist;
        _txns = txns;
        _reader = reader;
        _oracle = oracle;
        _storage = storage;
        _time = time;
        _logger = logger;
        _loop = RunAsync(_stop.Token);
        _ticker = TickAsync(_stop.Token);
    }

    /// <summary>Commits since start.</summary>
    public long Commits { get; private set; }

    /// <summary>Updates committed since start.</summary>
    public long Updates { get; private set; }

    /// <summary>The commit loop has ended because it could not go on (fenced, or an invariant is broken): the process must stop.</summary>
    public Task Completion => _loop;

    /// <summary>Commits <paramref name="writes"/> atomically, together with others; gives the time of the commit.</summary>
    /// <remarks>Once submitted it may be committed whatever happens to the caller, so it cannot be cancelled.</remarks>
    public Task<ulong> SubmitAsync(IReadOnlyList<TableWrite> writes)
    {
        var pending = new Pending(writes);
        return _inbox.Writer.TryWrite(pending)
            ? pending.Committed.Task
            : Task.FromException<ulong>(new AdapterException(new ErrorReport("FATAL", "57P01", "the server is shutting down")));
    }

    /// <summary>Deletes, in the background, what was staged for writes that will not be committed.</summary>
    public void Abandon(IEnumerable<TableWrite> writes)
    {
        foreach (var staged in writes.Select(w => w.Staged).OfType<StagedBatch>())
            _ = DeleteAsync(staged);

        async Task DeleteAsync(StagedBatch staged)
        {
            try
            {
                using var writer = await _persist.OpenWriterAsync(staged.Shard, CancellationToken.None);
                await writer.DeleteAsync(staged, CancellationToken.None);
            }
            catch (PersistException e)
            {
                LogLeftBehind(staged.EncodedBytes, e.Message);
            }
        }
    }

    /// <summary>Does something to the transaction log at a new time, between commits.</summary>
    public async Task<WriteTimestamp> AtNewTimeAsync(Func<Timestamp, ValueTask<TxnsResult>> act, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            while (true)
            {
                var at = await _oracle.WriteTsAsync(cancel);
                if (await act(at.Timestamp) is TxnsResult.TooLate)
                    continue;
                await _oracle.ApplyWriteAsync(at.Timestamp, cancel);
                return at;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _inbox.Writer.TryComplete();
        await _stop.CancelAsync();
        await _ticker;

        // Why it failed, if it did, is told by Completion: the rest of the program must still be taken apart.
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task TickAsync(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(TickInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancel))
                _inbox.Writer.TryWrite(new Pending([]));
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private async Task RunAsync(CancellationToken cancel)
    {
        var batch = new List<Pending>();
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(cancel))
            {
                while (_inbox.Reader.TryRead(out var pending))
                    batch.Add(pending);
                await _turn.WaitAsync(cancel);
                try
                {
                    await CommitAsync(batch, cancel);
                }
                finally
                {
                    _turn.Release();
                }

                batch.Clear();
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // Stopping.
        }
        finally
        {
            _inbox.Writer.TryComplete();
            while (_inbox.Reader.TryRead(out var pending))
                batch.Add(pending);
            var stopping = new AdapterException(new ErrorReport("FATAL", "57P01", "the server is shutting down"));
            foreach (var pending in batch)
                pending.Committed.TrySetException(stopping);
        }
    }

    private async Task CommitAsync(List<Pending> batch, CancellationToken cancel)
    {
        await ThrottleAsync(cancel);
        var writes = Merge(batch);
        var backOff = TimeSpan.FromMilliseconds(10);
        while (true)
        {
            var at = await _oracle.WriteTsAsync(cancel);
            try
            {
                if (await _txns.CommitAsync(at.Timestamp, writes, cancel) is TxnsResult.TooLate)
                    continue;
                await _oracle.ApplyWriteAsync(at.Timestamp, cancel);
                _storage.AdvanceTables(at.AdvanceTo.Millis, batch.SelectMany(p => p.Writes).Select(w => w.Table));
                Commits++;
                Updates += batch.Sum(p => p.Writes.Sum(w => w.Count));
                foreach (var pending in batch)
                    pending.Committed.TrySetResult(at.Timestamp.Millis);
                return;
            }
            catch (DeterminateException e)
            {
                // Nothing was written: the disk may be full. Writers wait, nothing is acknowledged, until it works again.
                LogRetry(e.Message);
                await Task.Delay(backOff, _time, cancel);
                backOff = TimeSpan.FromTicks(Math.Min(backOff.Ticks * 2, TimeSpan.TicksPerSecond));
            }
        }
    }

    /// <summary>At most about one commit per millisecond: the timestamps must not run ahead of the clock.</summary>
    private async ValueTask ThrottleAsync(CancellationToken cancel)
    {
        var ahead = (long)(await _oracle.PeekWriteTsAsync(cancel)).Millis - _time.GetUtcNow().ToUnixTimeMilliseconds();
        if (ahead > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(ahead, 1000)), _time, cancel);
    }

    /// <summary>Writes of one table are put together; those of a table that was dropped meanwhile go nowhere, and count as done.</summary>
    private List<Persist.Txns.TableWrite> Merge(List<Pending> batch)
    {
        var merged = new List<Persist.Txns.TableWrite>();
        foreach (var group in batch.SelectMany(p => p.Writes).GroupBy(w => w.Shard))
        {
            if (_reader.RegisteredAt(group.Key) is null)
            {
                Abandon(group);
                continue;
            }

            merged.AddRange(group.Where(w => w.Staged is not null).Select(w => Persist.Txns.TableWrite.Of(w.Staged!)));
            var parts = group.Select(w => w.Rows).Where(r => !r.IsEmpty).ToList();
            if (parts.Count == 1)
            {
                merged.Add(Persist.Txns.TableWrite.Of(group.Key, parts[0]));
                continue;
            }

            var builder = new UpdateColumnsBuilder();
            foreach (var part in parts)
                builder.AddRange(part);
            if (builder.Count > 0)
                merged.Add(Persist.Txns.TableWrite.Of(group.Key, builder.Build()));
        }

        return merged;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "a commit has to be tried again: {Reason}")]
    private partial void LogRetry(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Bytes} bytes that were staged for a write that was given up stay behind: {Reason}")]
    private partial void LogLeftBehind(long bytes, string reason);

    private sealed class Pending(IReadOnlyList<TableWrite> writes)
    {
        public IReadOnlyList<TableWrite> Writes { get; } = writes;

        public TaskCompletionSource<ulong> Committed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
