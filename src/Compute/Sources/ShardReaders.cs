using System.Runtime.CompilerServices;
using Materialize.Core.Order;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.Txns;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Sources;

/// <summary>Opens storage collections for reading, however they are written. One for each process; thread-safe.</summary>
internal sealed class ShardReaders(PersistClient persist) : IAsyncDisposable
{
    // Guards the map; tasks are awaited outside. All readers of a transaction log share one follower of it.
    private readonly Lock _lock = new();
    private readonly Dictionary<ShardId, Task<TxnsReader>> _txns = [];

    /// <exception cref="PersistException">Storage failed.</exception>
    public async ValueTask<ShardReader> OpenAsync(CollectionMetadata metadata, string purpose, CancellationToken cancel)
    {
        var txns = metadata.TxnsShard is { } shard ? await TxnsAsync(shard).WaitAsync(cancel) : null;
        return new ShardReader(await persist.OpenReaderAsync(metadata.Shard, purpose, cancel), txns);
    }

    /// <summary>Persist's frontier as a time; null is the empty frontier.</summary>
    public static ulong? TimeOf(Antichain<Timestamp> frontier) => frontier.IsEmpty ? null : frontier.Elements[0].Millis;

    public static Antichain<Timestamp> FrontierOf(ulong? time) =>
        time is { } t ? Antichain<Timestamp>.Of(new Timestamp(t)) : Antichain<Timestamp>.Empty;

    /// <summary>Whether stored bytes are gone or damaged, so that trying again does not help.</summary>
    public static bool IsLoss(Exception e) => e is CorruptDataException or MissingBlobException or UnsupportedFormatException;

    /// <summary>What readers of a collection are told when that is so.</summary>
    public static EvalError LossError(string reason) => new("XX001", "stored data is lost") { Detail = reason };

    public async ValueTask DisposeAsync()
    {
        Task<TxnsReader>[] opened;
        lock (_lock)
        {
            opened = [.. _txns.Values];
            _txns.Clear();
        }

        foreach (var task in opened)
        {
            try
            {
                await (await task).DisposeAsync();
            }
            catch (PersistException)
            {
                // It was never opened.
            }
        }
    }

    private Task<TxnsReader> TxnsAsync(ShardId shard)
    {
        lock (_lock)
        {
            // One that failed to open is tried again; whoever waited for it has been told.
            if (!_txns.TryGetValue(shard, out var task) || task.IsFaulted)
                _txns[shard] = task = TxnsReader.OpenAsync(persist, shard, CancellationToken.None).AsTask();
            return task;
        }
    }
}

/// <summary>A storage collection open for reading: a shard that is written directly, or, with <paramref name="txns"/>, a table.</summary>
internal sealed class ShardReader(ReadHandle handle, TxnsReader? txns) : IAsyncDisposable
{
    /// <summary>The contents as of a time, all updates at it, piece by piece; waits until the time is complete.</summary>
    /// <exception cref="SinceViolationException">The time is no longer readable.</exception>
    public async IAsyncEnumerable<UpdateColumns> SnapshotAsync(Timestamp asOf, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var snapshot = await OpenSnapshotAsync(asOf, cancel);
        await foreach (var updates in snapshot.ReadAsync(cancel))
            yield return updates;
    }

    /// <summary>As <see cref="SnapshotAsync"/>, with each row once.</summary>
    public async IAsyncEnumerable<UpdateColumns> ConsolidatedSnapshotAsync(Timestamp asOf, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var snapshot = await OpenSnapshotAsync(asOf, cancel);
        await foreach (var updates in snapshot.ReadConsolidatedAsync(cancel))
            yield return updates;
    }

    /// <summary>Changes from a time on. What has been delivered is let go of.</summary>
    public async IAsyncEnumerable<ShardDelta> ListenAsync(Timestamp from, [EnumeratorCancellation] CancellationToken cancel)
    {
        var deltas = txns is null ? handle.ListenAsync(from, cancel) : txns.SubscribeAsync(handle, from, cancel);
        await foreach (var delta in deltas)
        {
            yield return delta;

            // One time is kept back: a listen needs the detail of the times that it has yet to deliver.
            if (ShardReaders.TimeOf(delta.Progress) is { } progress and > 0)
                handle.DowngradeSinceEventually(ShardReaders.FrontierOf(progress - 1));
        }
    }

    /// <summary>Waits until everything at a time is final. Returns the upper.</summary>
    public ValueTask<Antichain<Timestamp>> WaitForUpperPastAsync(Timestamp time, CancellationToken cancel) =>
        txns is null ? handle.WaitForUpperPastAsync(time, cancel) : txns.WaitForUpperPastAsync(time, cancel);

    public ValueTask DisposeAsync() => handle.DisposeAsync();

    private ValueTask<ShardSnapshot> OpenSnapshotAsync(Timestamp asOf, CancellationToken cancel) =>
        txns is null ? handle.SnapshotAsync(asOf, cancel) : txns.SnapshotAsync(handle, asOf, cancel);
}
