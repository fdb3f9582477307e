using System.Runtime.CompilerServices;
using Materialize.Core.Order;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Sources;

/// <summary>Opens storage collections for reading, however they are written.</summary>
internal sealed class ShardReaders(PersistClient persist)
{
    public PersistClient Persist => persist;

    public async ValueTask<ShardReader> OpenAsync(CollectionMetadata metadata, string purpose, CancellationToken cancel) =>
        new PlainShardReader(await persist.OpenReaderAsync(metadata.Shard, purpose, cancel));

    /// <summary>Persist's frontier as a time; null is the empty frontier.</summary>
    public static ulong? TimeOf(Antichain<Timestamp> frontier) => frontier.IsEmpty ? null : frontier.Elements[0].Millis;

    public static Antichain<Timestamp> FrontierOf(ulong? time) =>
        time is { } t ? Antichain<Timestamp>.Of(new Timestamp(t)) : Antichain<Timestamp>.Empty;
}

/// <summary>A storage collection open for reading.</summary>
internal abstract class ShardReader : IAsyncDisposable
{
    /// <summary>The contents as of a time, all updates at it, piece by piece; waits until the time is complete.</summary>
    /// <exception cref="SinceViolationException">The time is no longer readable.</exception>
    public abstract IAsyncEnumerable<UpdateColumns> SnapshotAsync(Timestamp asOf, CancellationToken cancel);

    /// <summary>As <see cref="SnapshotAsync"/>, with each row once.</summary>
    public abstract IAsyncEnumerable<UpdateColumns> ConsolidatedSnapshotAsync(Timestamp asOf, CancellationToken cancel);

    /// <summary>Changes from a time on. What has been delivered is let go of.</summary>
    public abstract IAsyncEnumerable<ShardDelta> ListenAsync(Timestamp from, CancellationToken cancel);

    public abstract ValueTask DisposeAsync();
}

/// <summary>A shard that is written directly.</summary>
internal sealed class PlainShardReader(ReadHandle handle) : ShardReader
{
    public override async IAsyncEnumerable<UpdateColumns> SnapshotAsync(
        Timestamp asOf, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var snapshot = await handle.SnapshotAsync(asOf, cancel);
        await foreach (var updates in snapshot.ReadAsync(cancel))
            yield return updates;
    }

    public override async IAsyncEnumerable<UpdateColumns> ConsolidatedSnapshotAsync(
        Timestamp asOf, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var snapshot = await handle.SnapshotAsync(asOf, cancel);
        await foreach (var updates in snapshot.ReadConsolidatedAsync(cancel))
            yield return updates;
    }

    public override async IAsyncEnumerable<ShardDelta> ListenAsync(
        Timestamp from, [EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (var delta in handle.ListenAsync(from, cancel))
        {
            yield return delta;

            // One time is kept back: a listen needs the detail of the times that it has yet to deliver.
            if (ShardReaders.TimeOf(delta.Progress) is { } progress and > 0)
                handle.DowngradeSinceEventually(ShardReaders.FrontierOf(progress - 1));
        }
    }

    public override ValueTask DisposeAsync() => handle.DisposeAsync();
}
