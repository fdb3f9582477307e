using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>
/// Makes one contiguous output of a subscribe from the batches of several replicas. A replica's batches are contiguous among
/// themselves, but a connection that is new starts again, from an as-of before what has been handed on.
/// </summary>
/// <remarks>
/// A batch that reaches beyond what was handed on is handed on, whichever replica it comes from: all replicas compute the same. It
/// never begins later than that, since the batches before it were handed on too. Rows before the cut were handed on and are dropped.
/// </remarks>
internal sealed class SubscribeMerge(ulong start)
{
    private Frontier _done = Frontier.At(start);

    /// <summary>What is to be handed on, if anything.</summary>
    public SubscribeBatch? Add(SubscribeBatch batch)
    {
        if (batch.Error is not null)
            return new SubscribeBatch(_done.Value, batch.Upper, RowBatch.Empty, batch.Error);
        var upper = Frontier.Of(batch.Upper);
        if (upper <= _done)
            return null;
        var lower = _done;
        _done = upper;
        return new SubscribeBatch(lower.Value, batch.Upper, From(lower.Value, batch.Updates), null);
    }

    /// <summary>All updates that are not before <paramref name="lower"/>, of updates in order of time.</summary>
    private static RowBatch From(ulong lower, RowBatch updates)
    {
        // The usual case: the batch is just what comes next.
        if (updates.Count == 0 || updates.Times[0] >= lower)
            return updates;
        var first = Array.FindIndex(updates.Times, time => time >= lower);
        if (first < 0)
            return RowBatch.Empty;
        var start = updates.Ends[first - 1];
        return new RowBatch(
            updates.Data[start..], Array.ConvertAll(updates.Ends[first..], end => end - start), updates.Times[first..], updates.Diffs[first..]);
    }
}
