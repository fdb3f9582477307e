using System.Collections.Immutable;
using Materialize.Core.Order;
using Materialize.Repr;

namespace Materialize.Persist.State;

/// <summary>Some sorted, consolidated updates of a batch.</summary>
/// <param name="Count">How many updates.</param>
/// <param name="EncodedBytes">The size of the stored form.</param>
/// <param name="RewriteTime">If set, every update counts as being at this time, whatever is stored: a batch staged before its time was known.</param>
internal abstract record Part(int Count, long EncodedBytes, Timestamp? RewriteTime)
{
    /// <summary>The stored form is within the state itself: small writes cost no blob.</summary>
    public sealed record Inline(ReadOnlyMemory<byte> Bytes, int Count, Timestamp? RewriteTime) : Part(Count, Bytes.Length, RewriteTime)
    {
        public bool Equals(Inline? other) =>
            other is not null && Count == other.Count && RewriteTime == other.RewriteTime && Bytes.Span.SequenceEqual(other.Bytes.Span);

        public override int GetHashCode() => HashCode.Combine(Count, Bytes.Length);
    }

    public sealed record Blob(string Key, int Count, long EncodedBytes, Timestamp? RewriteTime) : Part(Count, EncodedBytes, RewriteTime);
}

/// <summary>Parts that are in <see cref="Columns.RowOrder"/> one after the other.</summary>
internal sealed record Run(ImmutableArray<Part> Parts);

/// <summary>
/// The updates of the times in [<paramref name="Lower"/>, <paramref name="Upper"/>), with times advanced to <paramref name="Since"/>.
/// </summary>
/// <param name="Id">Unique within the shard; names the batch when compaction replaces it.</param>
/// <param name="ShrinksAt">Set by a merge which found that much will cancel once the shard's since is here; null if there is no such hope.</param>
internal sealed record Batch(ulong Id, Frontier Lower, Frontier Upper, Frontier Since, Timestamp? ShrinksAt, ImmutableArray<Run> Runs)
{
    public bool IsEmpty => Runs.IsEmpty;

    public IEnumerable<Part> Parts => Runs.SelectMany(r => r.Parts);

    public long EncodedBytes { get; } = Runs.Sum(r => r.Parts.Sum(p => p.EncodedBytes));

    public long InlineBytes { get; } = Runs.Sum(r => r.Parts.OfType<Part.Inline>().Sum(p => p.EncodedBytes));
}

/// <summary>What frontiers of a total order can do beyond those of a partial one.</summary>
public static class Frontiers
{
    /// <summary>The frontier of a collection nothing was written to.</summary>
    public static Frontier Minimum { get; } = Frontier.Of(Timestamp.MinValue);

    extension(Frontier frontier)
    {
        /// <summary>The one time of a frontier that is not empty; null for the empty one.</summary>
        public Timestamp? Time => frontier.IsEmpty ? null : frontier.Elements[0];

        /// <summary>As an upper: whether everything at <paramref name="time"/> is final.</summary>
        public bool IsPast(Timestamp time) => !frontier.IsBeyond(time);

        /// <summary>The later of two frontiers; empty is the latest.</summary>
        public Frontier JoinWith(Frontier other) => Frontier.LessEqual(frontier, other) ? other : frontier;

        /// <summary>The earlier of two frontiers.</summary>
        public Frontier MeetWith(Frontier other) => Frontier.LessEqual(frontier, other) ? frontier : other;

        /// <summary>Whether this is before <paramref name="other"/> and not equal to it.</summary>
        public bool IsBefore(Frontier other) => !Frontier.LessEqual(other, frontier);
    }
}
