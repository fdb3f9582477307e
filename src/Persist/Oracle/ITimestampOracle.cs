using Materialize.Repr;

namespace Materialize.Persist.Oracle;

/// <summary>
/// Hands out the times of one timeline, so that reads and writes happen in an order that agrees with real time. A read at
/// <see cref="ReadTsAsync"/> sees every write that was applied before the call, and no write that starts after it can land at or before that time.
/// </summary>
public interface ITimestampOracle
{
    /// <summary>
    /// A new time for a write, strictly greater than every earlier result of <see cref="ReadTsAsync"/> and <see cref="WriteTsAsync"/>, and at
    /// least the wall clock.
    /// </summary>
    ValueTask<WriteTimestamp> WriteTsAsync(CancellationToken cancel);

    /// <summary>The greatest time handed out to a write so far, without allocating one.</summary>
    ValueTask<Timestamp> PeekWriteTsAsync(CancellationToken cancel);

    /// <summary>A time at or beyond every <see cref="ApplyWriteAsync"/> that completed before the call, and before every later <see cref="WriteTsAsync"/>.</summary>
    ValueTask<Timestamp> ReadTsAsync(CancellationToken cancel);

    /// <summary>Call once the write at <paramref name="time"/> is durable: later reads are at or beyond it. Never moves back.</summary>
    ValueTask ApplyWriteAsync(Timestamp time, CancellationToken cancel);
}

/// <summary>A write's time, and the upper that the written collections have afterwards: the next time.</summary>
public readonly record struct WriteTimestamp(Timestamp Timestamp, Timestamp AdvanceTo);
