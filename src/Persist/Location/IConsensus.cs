namespace Materialize.Persist.Location;

/// <summary>The position of an entry in the log of one consensus key. The first is 1; each entry is its predecessor's plus one or more.</summary>
public readonly record struct SeqNo(ulong Value) : IComparable<SeqNo>
{
    /// <summary>The least that is ever used.</summary>
    public static readonly SeqNo First = new(1);

    public SeqNo Next() => new(checked(Value + 1));

    public int CompareTo(SeqNo other) => Value.CompareTo(other.Value);

    public static bool operator <(SeqNo a, SeqNo b) => a.Value < b.Value;

    public static bool operator >(SeqNo a, SeqNo b) => a.Value > b.Value;

    public static bool operator <=(SeqNo a, SeqNo b) => a.Value <= b.Value;

    public static bool operator >=(SeqNo a, SeqNo b) => a.Value >= b.Value;

    public override string ToString() => $"v{Value}";
}

/// <summary>One entry of a key's log.</summary>
public readonly record struct VersionedData(SeqNo SeqNo, ReadOnlyMemory<byte> Data);

/// <summary>
/// A durable, linearizable store: each key has a log of small values, which grows only by compare-and-set on its last
/// <see cref="SeqNo"/>, and shrinks only at its front. Safe for concurrent use by many processes.
/// </summary>
public interface IConsensus
{
    /// <summary>The last entry of the key's log, or null if the key has none. Linearizable: sees every set that returned before the call.</summary>
    /// <exception cref="DeterminateException">The store cannot be read now.</exception>
    ValueTask<VersionedData?> HeadAsync(string key, CancellationToken cancel);

    /// <summary>
    /// Appends <paramref name="next"/> if the last entry is at <paramref name="expected"/> (null: if there is none). Durable once this returns true.
    /// </summary>
    /// <param name="next">Its <see cref="VersionedData.SeqNo"/> is beyond <paramref name="expected"/>; the memory must not change until this returns.</param>
    /// <returns>False if the last entry is another: a lost race, an answer.</returns>
    /// <exception cref="DeterminateException">Nothing was appended.</exception>
    /// <exception cref="IndeterminateException">It may have been appended: scan to find out.</exception>
    ValueTask<bool> CompareAndSetAsync(string key, SeqNo? expected, VersionedData next, CancellationToken cancel);

    /// <summary>At most <paramref name="limit"/> entries with a sequence number of at least <paramref name="from"/>, in order. Linearizable.</summary>
    ValueTask<IReadOnlyList<VersionedData>> ScanAsync(string key, SeqNo from, int limit, CancellationToken cancel);

    /// <summary>Drops the entries before <paramref name="before"/>; never the last one. Returns how many went.</summary>
    /// <exception cref="ArgumentException">The key has no entry at or after <paramref name="before"/>.</exception>
    ValueTask<int> TruncateAsync(string key, SeqNo before, CancellationToken cancel);

    /// <summary>Every key that has an entry, in no order.</summary>
    IAsyncEnumerable<string> ListKeysAsync(CancellationToken cancel);
}
