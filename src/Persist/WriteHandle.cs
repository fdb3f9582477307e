using System.Collections.Immutable;
using Materialize.Persist.Columns;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>The outcome of a compare-and-append.</summary>
public abstract record AppendResult
{
    private AppendResult()
    {
    }

    /// <summary>The updates are durable and visible.</summary>
    public sealed record Appended : AppendResult
    {
        public static Appended Instance { get; } = new();
    }

    /// <summary>Another writer was first; nothing was appended.</summary>
    /// <param name="Upper">The shard's upper now.</param>
    public sealed record Mismatch(Frontier Upper) : AppendResult;
}

/// <summary>Appends to one shard. Any number of writers, in any processes, may do so at once. Thread-safe.</summary>
public sealed class WriteHandle : IDisposable
{
    private readonly MachineLease _machine;
    private readonly PersistClient _client;

    internal WriteHandle(MachineLease machine, PersistClient client)
    {
        _machine = machine;
        _client = client;
    }

    public ShardId Shard => _machine.Value.Shard;

    /// <summary>The upper as last heard of; the true one is there or beyond.</summary>
    public Frontier RecentUpper => _machine.Value.State.Upper;

    /// <summary>The upper now.</summary>
    public async ValueTask<Frontier> FetchUpperAsync(CancellationToken cancel) => (await _machine.Value.RefreshAsync(cancel))!.Upper;

    /// <summary>Waits until everything at <paramref name="time"/> is final. Returns the upper.</summary>
    public async ValueTask<Frontier> WaitForUpperPastAsync(Timestamp time, CancellationToken cancel) =>
        (await _machine.Value.WaitAsync(s => s.Upper.IsPast(time), cancel)).Upper;

    /// <summary>Starts a batch that is written ahead of its append.</summary>
    public BatchBuilder NewBatch() => new(Shard, _machine.Value.Services);

    /// <summary>Appends every update, or none, and advances the shard's upper to <paramref name="newUpper"/>.</summary>
    /// <param name="updates">Times in [<paramref name="expectedUpper"/>, <paramref name="newUpper"/>); any order, not consolidated.</param>
    /// <param name="expectedUpper">The upper the caller last saw.</param>
    /// <param name="newUpper">Strictly beyond <paramref name="expectedUpper"/>; empty closes the shard for good.</param>
    /// <returns><see cref="AppendResult.Mismatch"/> if another writer was first: an answer, not an error. Look, then retry.</returns>
    /// <exception cref="ArgumentException">The times or frontiers are not as said.</exception>
    /// <exception cref="DeterminateException">Nothing was appended.</exception>
    /// <exception cref="IndeterminateException">It may or may not have happened: fetch the upper to find out.</exception>
    public async ValueTask<AppendResult> CompareAndAppendAsync(
        UpdateColumns updates, Frontier expectedUpper, Frontier newUpper, CancellationToken cancel)
    {
        if (updates.IsEmpty)
            return await AppendAsync([], expectedUpper, newUpper, cancel);
        CheckTimes(updates.TimeRange(), expectedUpper, newUpper);
        var builder = NewBatch();
        StagedBatch batch;
        try
        {
            await builder.AddAsync(updates, cancel);
            batch = await builder.FinishAsync(cancel);
        }
        catch (PersistException)
        {
            await builder.AbandonAsync();
            throw;
        }

        var result = await AppendAsync(batch.Runs, expectedUpper, newUpper, cancel);
        if (result is AppendResult.Mismatch)
            await DeleteAsync(batch, cancel);
        return result;
    }

    /// <summary>As <see cref="CompareAndAppendAsync"/>, with updates that were staged before. On a mismatch they stay staged and may be tried again.</summary>
    /// <param name="batches">Staged for this shard; each at most once in its life.</param>
    public async ValueTask<AppendResult> CompareAndAppendBatchesAsync(
        IReadOnlyList<StagedBatch> batches, Frontier expectedUpper, Frontier newUpper, CancellationToken cancel)
    {
        var runs = ImmutableArray.CreateBuilder<Run>();
        foreach (var batch in batches)
        {
            if (batch.Shard != Shard)
                throw new ArgumentException($"a batch of shard {batch.Shard} cannot be appended to {Shard}", nameof(batches));
            if (batch.IsEmpty)
                continue;
            CheckTimes((batch.MinTime, batch.MaxTime), expectedUpper, newUpper);
            runs.AddRange(batch.Runs);
        }

        return await AppendAsync(runs.ToImmutable(), expectedUpper, newUpper, cancel);
    }

    /// <summary>Deletes a staged batch that will not be appended.</summary>
    public ValueTask DeleteAsync(StagedBatch batch, CancellationToken cancel) =>
        new PartStore(Shard, _machine.Value.Services).DeleteAsync(batch.Runs.SelectMany(r => r.Parts), cancel);

    public void Dispose() => _machine.Dispose();

    internal Services Services => _machine.Value.Services;

    internal async ValueTask<AppendResult> AppendAsync(
        ImmutableArray<Run> runs, Frontier expectedUpper, Frontier newUpper, CancellationToken cancel)
    {
        if (!expectedUpper.IsBefore(newUpper))
            throw new ArgumentException($"the new upper {newUpper} must be beyond the expected {expectedUpper}", nameof(newUpper));
        var result = await _machine.Value.UpdateAsync<AppendResult>(
            state => state.Upper.Equals(expectedUpper)
                ? new([new StateChange.Append(newUpper, runs)], AppendResult.Appended.Instance)
                : new([], new AppendResult.Mismatch(state.Upper)),
            state => state.Upper.Equals(expectedUpper),   // still there: so the attempt did not happen
            cancel);
        _client.NoteChanged(_machine.Value);
        return result;
    }

    private static void CheckTimes((Timestamp Min, Timestamp Max) times, Frontier lower, Frontier upper)
    {
        if (!lower.IsBeyond(times.Min) || !upper.IsPast(times.Max))
            throw new ArgumentException($"updates at {times.Min} to {times.Max} are not within [{lower}, {upper})");
    }
}
