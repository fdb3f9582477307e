using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>Names a hold that outlives processes; its owner keeps the id (in the catalog, or fixed).</summary>
public readonly record struct CriticalReaderId(Guid Value);

/// <summary>Who owns a critical hold. Opaque to persist, which only compares: an owner replaces the epoch it saw by its own.</summary>
public readonly record struct FencingEpoch(ulong Value);

/// <summary>The outcome of a compare-and-downgrade.</summary>
public abstract record SinceResult
{
    private SinceResult()
    {
    }

    /// <param name="Since">What the hold is at now: the asked-for since, or where it was if that is beyond.</param>
    public sealed record Downgraded(Frontier Since) : SinceResult;

    /// <summary>Another owner has the hold.</summary>
    public sealed record Mismatch(FencingEpoch Epoch) : SinceResult;
}

/// <summary>
/// A hold on a shard's since that no lease takes away: what keeps a table readable while nobody reads. Several processes may open the same
/// hold; the epoch decides who may move it. Thread-safe.
/// </summary>
public sealed class CriticalSince : IDisposable
{
    private readonly MachineLease _lease;
    private readonly PersistClient _client;
    private readonly CriticalReaderId _id;

    internal CriticalSince(MachineLease lease, PersistClient client, CriticalReaderId id)
    {
        _lease = lease;
        _client = client;
        _id = id;
    }

    public ShardId Shard => _lease.Value.Shard;

    /// <summary>What is held, as last heard of. Empty once the hold is gone.</summary>
    public Frontier Since => Known?.Since ?? Frontier.Empty;

    /// <summary>The owner, as last heard of.</summary>
    public FencingEpoch Epoch => new(Known?.Epoch ?? 0);

    /// <summary>The shard's upper as last heard of.</summary>
    public Frontier RecentUpper => _lease.Value.State.Upper;

    private CriticalReader? Known => _lease.Value.State.Criticals.GetValueOrDefault(_id.Value);

    /// <summary>
    /// Moves the hold to <paramref name="newSince"/> and its epoch to <paramref name="newEpoch"/> if the epoch is
    /// <paramref name="expectedEpoch"/>. The hold never moves back. An empty since gives up everything: a shard that is closed and held by
    /// nobody is finalised.
    /// </summary>
    /// <exception cref="IndeterminateException">It may have happened. Repeating is safe.</exception>
    public async ValueTask<SinceResult> CompareAndDowngradeSinceAsync(
        FencingEpoch expectedEpoch, FencingEpoch newEpoch, Frontier newSince, CancellationToken cancel)
    {
        var result = await _lease.Value.UpdateAsync<SinceResult>(state =>
        {
            if (state.Criticals.GetValueOrDefault(_id.Value) is not { } known)
                return new([], new SinceResult.Downgraded(Frontier.Empty));
            if (known.Epoch != expectedEpoch.Value)
                return new([], new SinceResult.Mismatch(new FencingEpoch(known.Epoch)));
            var since = known.Since.JoinWith(newSince);
            var next = known with { Since = since, Epoch = newEpoch.Value };
            return next == known
                ? new([], new SinceResult.Downgraded(since))
                : new([new StateChange.SetCritical(_id.Value, next)], new SinceResult.Downgraded(since));
        }, cancel);
        _client.NoteChanged(_lease.Value);
        return result;
    }

    public void Dispose() => _lease.Dispose();
}
