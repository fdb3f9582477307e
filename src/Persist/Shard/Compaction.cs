// Which batches to merge, and the merge.
//
// Reads get slower with the number of batches, writes with the number of times each row is merged. Going backwards from some batch, an older one
// joins the merge while it is at most twice as large as all newer ones of the merge together: a row is then merged again only when its batch has
// grown by half, that is O(log n) times, and O(log n) batches stay. Of all such windows the one with the most batches is merged first, the newest
// of them, so that a fast writer's small batches do not keep the middle from being merged. The merge streams: one part of each run is in memory.

using System.Collections.Immutable;
using Materialize.Persist.Columns;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Shard;

internal static class Compaction
{
    /// <summary>A batch weighs at least this much, so that empty and tiny ones are merged like small ones.</summary>
    private const long WeightMin = 256;

    /// <summary>A batch is worth a rewrite of its own if at least one in so many updates may cancel.</summary>
    private const long SameRowShareInverse = 4;

    /// <summary>Of the runs of one batch that has too many, so many are merged at a time: fewer than when batches become one, since all of it is large here.</summary>
    private const int RunsOfOneBatchMax = 8;

    /// <summary>With more runs than this, the next part of each is not fetched ahead: the disk is busy enough, and memory is what limits.</summary>
    public const int RunsAheadMax = 4;

    public static bool IsDue(ShardState state, PersistConfig config) =>
        !state.IsTombstone && !Choose(state, config).IsEmpty;

    /// <summary>The adjacent batches to merge next; empty if none should be.</summary>
    public static ImmutableArray<Batch> Choose(ShardState state, PersistConfig config)
    {
        var trace = state.Trace;
        // An append may still widen a last batch without updates, so that one stays out.
        var end = trace.Length > 0 && trace[^1].IsEmpty ? trace.Length - 1 : trace.Length;
        foreach (var batch in trace)
        {
            if (batch.Runs.Length > config.CompactionBatchesMax)
                return [batch];
        }

        if (end < config.CompactionBatchesMin && state.InlineBytes <= config.InlineTotalBytesMax)
        {
            foreach (var batch in trace)
            {
                // Detail that kept updates from cancelling when the batch was merged is no longer wanted: rewrite it, once.
                if (batch.ShrinksAt is { } time && state.Since.Time is { } since && since >= time)
                    return [batch];
            }

            return [];
        }

        var (bestStart, bestEnd) = (0, 0);
        for (var last = end; last >= 2; last--)
        {
            var start = WindowStart(trace, last, config.CompactionBatchesMax);
            if (last - start > bestEnd - bestStart)
                (bestStart, bestEnd) = (start, last);
        }

        return bestEnd - bestStart >= 2 ? trace[bestStart..bestEnd] : [];
    }

    private static int WindowStart(ImmutableArray<Batch> trace, int end, int runsMax)
    {
        long weight = 0;
        var runs = 0;
        var start = end;
        while (start > 0)
        {
            var batch = trace[start - 1];
            if (runs + batch.Runs.Length > runsMax || (start < end && Weight(batch) > 2 * weight))
                break;
            runs += batch.Runs.Length;
            weight += Weight(batch);
            start--;
        }

        return start;
    }

    /// <summary>Merges as <see cref="Choose"/> says. Returns whether something was merged.</summary>
    public static async ValueTask<bool> RunAsync(ShardMachine machine, CancellationToken cancel)
    {
        var services = machine.Services;
        var state = machine.State;
        var chosen = state.IsTombstone ? [] : Choose(state, services.Config);
        if (chosen.IsEmpty)
            return false;
        var store = new PartStore(machine.Shard, services);
        var writer = new PartStore.Writer(store, services);
        // The smallest runs of a batch that has too many; else all runs of all.
        var inputs = chosen.SelectMany(b => b.Runs).OrderBy(r => r.Parts.Sum(p => p.EncodedBytes))
            .Take(chosen.Length == 1 && chosen[0].Runs.Length > services.Config.CompactionBatchesMax ? RunsOfOneBatchMax : services.Config.CompactionBatchesMax).ToArray();
        var others = chosen.SelectMany(b => b.Runs).Except(inputs).ToImmutableArray();
        var since = chosen.Aggregate(state.Since, (s, b) => s.JoinWith(b.Since));
        if (since.Time is not { } sinceTime)
            return false;   // nobody may read any more: the data is about to go
        // Runs that are not merged now keep their times, so the batch as a whole cannot claim a since beyond what it had.
        var claimed = others.IsEmpty ? since : chosen[0].Since;
        var raiseTo = others.IsEmpty ? sinceTime : claimed.Time!.Value;
        Timestamp? shrinksAt = null;
        try
        {
            var runs = inputs.Select(r => store.FetchRunAsync(r, updates => updates.AdvancedTo(raiseTo), inputs.Length <= RunsAheadMax, cancel)).ToArray();
            var merger = new RunMerger(runs, services.Config.PartBytesTarget);
            await foreach (var merged in merger.MergeAsync(cancel))
                await writer.WriteAsync(merged, cancel);
            if (others.IsEmpty && merger.MaxTime > sinceTime && merger.Counts.SameRow * SameRowShareInverse >= merger.Counts.Updates)
                shrinksAt = merger.MaxTime;
        }
        catch (MissingBlobException)
        {
            await writer.AbandonAsync();
            if (machine.State.FindAdjacent([.. chosen.Select(b => b.Id)]) < 0 || (await machine.RefreshAsync(cancel))!.FindAdjacent([.. chosen.Select(b => b.Id)]) < 0)
                return false;   // another process compacted the same batches first
            throw;
        }
        catch (Exception e) when (e is PersistException or OperationCanceledException)
        {
            await writer.AbandonAsync();
            throw;
        }

        var parts = await writer.FinishAsync();
        var ids = chosen.Select(b => b.Id).ToImmutableArray();
        ImmutableArray<Run> replacement = parts.IsEmpty ? others : others.Add(new Run(parts));
        var replaced = await machine.UpdateAsync<bool>(
            s => s.FindAdjacent(ids) >= 0 ? new([new StateChange.Replace(ids, claimed, shrinksAt, replacement)], true) : new([], false), cancel);
        if (!replaced)
            await writer.AbandonAsync();
        return replaced;
    }

    private static long Weight(Batch batch) => batch.EncodedBytes + WeightMin;
}
