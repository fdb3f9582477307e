using System.Numerics;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Updates that lie ahead of a frontier, by the outer time at which they become due: a radix heap. Bucket i holds times whose highest bit that differs from
/// the frontier is bit i − 1; bucket 0 holds the frontier's own time.
/// </summary>
/// <remarks>
/// Why it is right: all times are at or after the frontier f. When f moves to g and b is the highest bit in which they differ, then g has bit b
/// set and f has not. A time in a bucket below b + 1 agrees with f on bit b and above, so it is before g: due. A time in a bucket above b + 1
/// differs from g in the same highest bit as from f: it stays. Only bucket b + 1 is looked at row by row, and each row only ever moves to lower buckets:
/// O(64) moves a row at most, O(1) for the usual horizons, and a move is a copy of a row.
/// </remarks>
internal sealed class ScheduledChanges<TTime>(Core.Rows.RowShape shape) : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private readonly BatchBuilder<TTime>?[] _buckets = new BatchBuilder<TTime>?[65];
    private readonly ulong[] _least = new ulong[65];
    private ulong _frontier;

    public long Count { get; private set; }

    public void Measure(StateMeter meter)
    {
        foreach (var bucket in _buckets)
            bucket?.Measure(meter);
    }

    /// <summary>The least outer time scheduled; only when <see cref="Count"/> is positive.</summary>
    public ulong Least
    {
        get
        {
            // Lower buckets are earlier: they agree with the frontier on more leading bits.
            for (var i = 0; i < _buckets.Length; i++)
            {
                if (_buckets[i] is { Count: > 0 })
                    return _least[i];
            }

            return ulong.MaxValue;
        }
    }

    /// <summary>Schedules a row. Its outer time is not before the frontier.</summary>
    public void Add(ReadOnlySpan<byte> row, TTime time, long diff)
    {
        var bucket = BucketOf(time.Outer);
        var builder = _buckets[bucket] ??= new BatchBuilder<TTime>(shape);
        if (builder.Count == 0 || time.Outer < _least[bucket])
            _least[bucket] = time.Outer;
        builder.Rows.Append(row);
        builder.Add(time, diff);
        Count++;
    }

    /// <summary>Moves the frontier and hands what is now at or before it to <paramref name="emit"/>, which takes over the batch.</summary>
    public void AdvanceTo(ulong frontier, Action<UpdateBatch<TTime>> emit)
    {
        if (frontier <= _frontier && _buckets[0] is not { Count: > 0 })
            return;
        var top = 64 - BitOperations.LeadingZeroCount(_frontier ^ frontier);
        _frontier = Math.Max(_frontier, frontier);
        for (var i = 0; i < top; i++)
            Take(i, emit);
        if (top > 0 && _buckets[top] is { Count: > 0 } split)
        {
            var batch = split.Build()!;
            Count -= batch.Count;
            for (var i = 0; i < batch.Count; i++)
            {
                var time = batch.TimeAt(i);
                AddDueOrLater(batch[i], time, batch.DiffAt(i));
            }

            batch.Release();
        }

        Take(0, emit);
    }

    /// <summary>Hands over everything, due or not.</summary>
    public void TakeAll(Action<UpdateBatch<TTime>> emit)
    {
        for (var i = 0; i < _buckets.Length; i++)
            Take(i, emit);
    }

    public void Dispose()
    {
        foreach (var bucket in _buckets)
            bucket?.Dispose();
    }

    private void AddDueOrLater(ReadOnlySpan<byte> row, TTime time, long diff)
    {
        if (time.Outer > _frontier)
        {
            Add(row, time, diff);
            return;
        }

        var due = _buckets[0] ??= new BatchBuilder<TTime>(shape);
        _least[0] = time.Outer;
        due.Rows.Append(row);
        due.Add(time, diff);
        Count++;
    }

    private void Take(int bucket, Action<UpdateBatch<TTime>> emit)
    {
        if (_buckets[bucket]?.Build() is not { } batch)
            return;
        Count -= batch.Count;
        emit(batch);
    }

    private int BucketOf(ulong time) => 64 - BitOperations.LeadingZeroCount(time ^ _frontier);
}
