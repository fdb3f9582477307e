// The state of a shard: a value. Everything that happens to a shard is a list of StateChange, and Apply is the only place that knows what a
// change means; a process that reads the log applies the same changes and gets the same state.
//
// Rules that Apply keeps (and checks, always):
//   * the trace is contiguous: the first batch starts at the minimum, each starts where the one before ended, the last ends at the upper;
//   * upper and since never go back;
//   * since is the meet of what the readers hold, but stays where it was when nobody holds anything;
//   * a blob that the trace no longer names becomes garbage, with the sequence number at which that happened.

using System.Collections.Immutable;
using Materialize.Core;
using Materialize.Persist.Location;

namespace Materialize.Persist.State;

/// <summary>A reader that must renew its lease.</summary>
/// <param name="HoldSeqNo">The oldest state whose blobs the reader may still fetch.</param>
/// <param name="HeartbeatMs">Wall clock of the last renewal.</param>
internal sealed record LeasedReader(string Purpose, Frontier Since, SeqNo HoldSeqNo, ulong HeartbeatMs, ulong LeaseMs)
{
    public bool IsExpired(ulong nowMs) => nowMs > HeartbeatMs && nowMs - HeartbeatMs > LeaseMs;
}

/// <summary>A hold on since that no clock takes away, owned by whoever knows the epoch.</summary>
internal sealed record CriticalReader(string Purpose, Frontier Since, ulong Epoch);

/// <summary>A blob that no state from <paramref name="RetiredAt"/> on names.</summary>
internal readonly record struct Garbage(SeqNo RetiredAt, string Key);

/// <summary>One thing that happened to a shard. The closed list of them is the log's vocabulary.</summary>
internal abstract record StateChange
{
    private StateChange()
    {
    }

    /// <summary>Updates of [upper, <paramref name="Upper"/>) arrive.</summary>
    public sealed record Append(Frontier Upper, ImmutableArray<Run> Runs) : StateChange;

    /// <summary>Compaction: the adjacent batches <paramref name="Ids"/> become one.</summary>
    public sealed record Replace(ImmutableArray<ulong> Ids, Frontier Since, Repr.Timestamp? ShrinksAt, ImmutableArray<Run> Runs) : StateChange;

    public sealed record SetReader(Guid Id, LeasedReader Reader) : StateChange;

    public sealed record RemoveReader(Guid Id) : StateChange;

    public sealed record SetCritical(Guid Id, CriticalReader Reader) : StateChange;

    public sealed record RemoveCritical(Guid Id) : StateChange;

    /// <summary>The state at <paramref name="At"/> is in the blob <paramref name="Key"/>; the rollup before becomes garbage.</summary>
    public sealed record SetRollup(SeqNo At, string Key) : StateChange;

    /// <summary>These blobs have been deleted.</summary>
    public sealed record DropGarbage(ImmutableArray<string> Keys) : StateChange;
}

/// <summary>What a shard is at one sequence number. Immutable.</summary>
internal sealed record ShardState
{
    public required SeqNo SeqNo { get; init; }

    public required Frontier Since { get; init; }

    public required Frontier Upper { get; init; }

    /// <summary>The id the next batch gets.</summary>
    public required ulong NextBatchId { get; init; }

    public required ImmutableArray<Batch> Trace { get; init; }

    public required ImmutableDictionary<Guid, LeasedReader> Readers { get; init; }

    public required ImmutableDictionary<Guid, CriticalReader> Criticals { get; init; }

    public required ImmutableArray<Garbage> Garbage { get; init; }

    /// <summary>The latest rollup in the blob store, or null.</summary>
    public required StateChange.SetRollup? Rollup { get; init; }

    /// <summary>Whether the shard has been finalised: closed and unreadable, for good.</summary>
    public bool IsTombstone => Upper.IsEmpty && Since.IsEmpty;

    public static ShardState Initial { get; } = new()
    {
        SeqNo = SeqNo.First,
        Since = Frontiers.Minimum,
        Upper = Frontiers.Minimum,
        NextBatchId = 1,
        Trace = [],
        Readers = ImmutableDictionary<Guid, LeasedReader>.Empty,
        Criticals = ImmutableDictionary<Guid, CriticalReader>.Empty,
        Garbage = [],
        Rollup = null,
    };

    /// <summary>Blobs retired at or before this are out of every reader's reach.</summary>
    public SeqNo GarbageHorizon => Readers.IsEmpty ? SeqNo : Readers.Values.Min(r => r.HoldSeqNo);

    public long InlineBytes => Trace.Sum(b => b.InlineBytes);

    /// <summary>The next state: all changes, one after the other.</summary>
    public ShardState Apply(ImmutableArray<StateChange> changes)
    {
        var next = this with { SeqNo = SeqNo.Next() };
        foreach (var change in changes)
            next = next.ApplyOne(change);
        next = next.WithSince();
        if (next.IsTombstone && !IsTombstone)
            next = next.Retire(next.Trace) with { Trace = [], Readers = next.Readers.Clear(), Criticals = next.Criticals.Clear() };
        Invariant.Check(Frontier.LessEqual(Since, next.Since), "a shard's since went back");
        Invariant.Check(Frontier.LessEqual(Upper, next.Upper), "a shard's upper went back");
        return next;
    }

    /// <summary>Checks the trace rules of a state that was read back.</summary>
    public bool IsWellFormed()
    {
        if (IsTombstone)
            return Trace.IsEmpty;
        var at = Frontiers.Minimum;
        foreach (var batch in Trace)
        {
            if (!batch.Lower.Equals(at) || !batch.Lower.IsBefore(batch.Upper))
                return false;
            at = batch.Upper;
        }

        return at.Equals(Upper);
    }

    private ShardState ApplyOne(StateChange change) => change switch
    {
        StateChange.Append x => Append(x),
        StateChange.Replace x => Replace(x),
        StateChange.SetReader x => this with { Readers = Readers.SetItem(x.Id, x.Reader) },
        StateChange.RemoveReader x => this with { Readers = Readers.Remove(x.Id) },
        StateChange.SetCritical x => this with { Criticals = Criticals.SetItem(x.Id, x.Reader) },
        StateChange.RemoveCritical x => this with { Criticals = Criticals.Remove(x.Id) },
        StateChange.SetRollup x => this with
        {
            Rollup = x,
            Garbage = Rollup is { } old ? Garbage.Add(new Garbage(SeqNo, old.Key)) : Garbage,
        },
        StateChange.DropGarbage x => this with { Garbage = Garbage.RemoveAll(g => x.Keys.Contains(g.Key)) },
        _ => throw new System.Diagnostics.UnreachableException(change.GetType().Name),
    };

    /// <summary>A time that passes without updates makes no batch of its own: it widens a neighbour.</summary>
    private ShardState Append(StateChange.Append append)
    {
        Invariant.Check(Upper.IsBefore(append.Upper), "an append must move the upper");
        var last = Trace.IsEmpty ? null : Trace[^1];
        if (append.Runs.IsEmpty && last is not null)
            return this with { Upper = append.Upper, Trace = Trace.SetItem(Trace.Length - 1, last with { Upper = append.Upper }) };
        var widens = last is { IsEmpty: true };
        var batch = new Batch(NextBatchId, widens ? last!.Lower : Upper, append.Upper, Frontiers.Minimum, null, append.Runs);
        return this with
        {
            Upper = append.Upper,
            NextBatchId = NextBatchId + 1,
            Trace = widens ? Trace.SetItem(Trace.Length - 1, batch) : Trace.Add(batch),
        };
    }

    private ShardState Replace(StateChange.Replace replace)
    {
        var start = FindAdjacent(replace.Ids);
        Invariant.Check(start >= 0, "compaction replaces batches that are not there");
        var old = Trace.AsSpan().Slice(start, replace.Ids.Length);
        var batch = new Batch(NextBatchId, old[0].Lower, old[^1].Upper, replace.Since, replace.ShrinksAt, replace.Runs);
        var kept = batch.Parts.OfType<Part.Blob>().Select(p => p.Key).ToHashSet(StringComparer.Ordinal);
        return Retire([.. old], kept) with
        {
            NextBatchId = NextBatchId + 1,
            Trace = Trace.RemoveRange(start, replace.Ids.Length).Insert(start, batch),
        };
    }

    /// <summary>Where these batches stand, one after the other; -1 if they do not (any more).</summary>
    public int FindAdjacent(ImmutableArray<ulong> ids)
    {
        for (var start = 0; start + ids.Length <= Trace.Length; start++)
        {
            if (Trace[start].Id != ids[0])
                continue;
            for (var i = 1; i < ids.Length; i++)
            {
                if (Trace[start + i].Id != ids[i])
                    return -1;
            }

            return start;
        }

        return -1;
    }

    private ShardState Retire(ImmutableArray<Batch> batches, HashSet<string>? kept = null)
    {
        var garbage = Garbage.ToBuilder();
        foreach (var part in batches.SelectMany(b => b.Parts).OfType<Part.Blob>())
        {
            if (kept?.Contains(part.Key) != true)
                garbage.Add(new Garbage(SeqNo, part.Key));
        }

        return this with { Garbage = garbage.ToImmutable() };
    }

    private ShardState WithSince()
    {
        if (Readers.IsEmpty && Criticals.IsEmpty)
            return this;
        var held = Frontier.Empty;
        foreach (var reader in Readers.Values)
            held = held.MeetWith(reader.Since);
        foreach (var reader in Criticals.Values)
            held = held.MeetWith(reader.Since);
        return Since.IsBefore(held) ? this with { Since = held } : this;
    }
}
