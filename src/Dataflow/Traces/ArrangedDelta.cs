using System.Runtime.InteropServices;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>What an arrangement's consumers are told: new updates, and what the trace held before them.</summary>
/// <remarks>
/// A small delta is told as the rows came, and sorted when the first consumer asks for that: an index that nobody follows, or whose follower wants rows in any order, never sorts them by
/// themselves. Stays at its worker: references are not atomic below.
/// </remarks>
internal sealed class ArrangedDelta<TTime> : Message where TTime : unmanaged, ITime<TTime>
{
    private Batch<TTime>[]? _batches;
    private readonly long _bytes;
    private int _references = 1;

    /// <summary>Takes over the references to <paramref name="batches"/> and to <paramref name="before"/>.</summary>
    public ArrangedDelta(Batch<TTime>[] batches, Snapshot<TTime> before, Stamp minStamp)
    {
        _batches = batches;
        Before = before;
        MinStamp = minStamp;
        foreach (var batch in batches)
        {
            Updates += batch.Count;
            _bytes += batch.Bytes;
        }
    }

    /// <summary>Takes over the references to <paramref name="rows"/>, keyed and few, and to <paramref name="before"/>.</summary>
    public ArrangedDelta(UpdateBatch<TTime>[] rows, Snapshot<TTime> before)
    {
        Unsorted = rows;
        Before = before;
        MinStamp = Stamp.Closed;
        foreach (var batch in rows)
        {
            Updates += batch.Count;
            _bytes += batch.Bytes;
            MinStamp = Stamp.Min(MinStamp, batch.MinTime.ToStamp());
        }
    }

    /// <summary>The updates, each batch in order and consolidated; maybe none.</summary>
    public Batch<TTime>[] Batches => _batches ??= Sort();

    /// <summary>The updates in order and consolidated as one batch, for who goes through keys once; null when there are none. Merged when first asked for: at most some 100 K rows, but for the first delta of an import.</summary>
    public Batch<TTime>? Single
    {
        get
        {
            if (Batches.Length > 1)
            {
                var merged = Merge(TTime.Minimum);
                foreach (var batch in Batches)
                    batch.Release();
                _batches = merged is null ? [] : [merged];
            }

            return Batches.Length == 0 ? null : Batches[0];
        }
    }

    /// <summary>The updates as they came, unless they came in order.</summary>
    public UpdateBatch<TTime>[]? Unsorted { get; }

    /// <summary>As <see cref="Single"/>, but of several batches a new one, with times joined with <paramref name="since"/>. A reference of the caller's.</summary>
    public Batch<TTime>? Merge(TTime since)
    {
        if (Batches.Length <= 1)
        {
            var single = Batches.Length == 0 ? null : Batches[0];
            single?.AddReference();
            return single;
        }

        using var merger = new Merger<TTime>(Before.Trace.Tools, Batches) { Since = since };
        merger.Work(long.MaxValue);
        return merger.Finish();
    }

    public Snapshot<TTime> Before { get; }

    public override long Bytes => _bytes;

    internal override void Measure(StateMeter meter)
    {
        foreach (var batch in _batches ?? [])
            batch.Measure(meter);
        foreach (var batch in Unsorted ?? [])
            batch.Measure(meter);
        Before.Measure(meter);
    }

    internal override byte[] Encode() => throw new System.Diagnostics.UnreachableException("deltas of arrangements stay at their worker");

    public override void AddReference() => _references++;

    public override void Release()
    {
        if (--_references > 0)
            return;
        foreach (var batch in _batches ?? [])
            batch.Release();
        foreach (var batch in Unsorted ?? [])
            batch.Release();
        Before.Release();
    }

    private Batch<TTime>[] Sort() => Before.Trace.Tools.SortRun(Unsorted, TTime.Minimum) is { } batch ? [batch] : [];
}
