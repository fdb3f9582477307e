using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Keyed updates set apart by time, for operators that go through times in order. Batches of one time are kept as they are; others are split row by row.
/// </summary>
internal sealed class TimeStash<TTime>(RowShape keyShape, RowShape valueShape) : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private readonly SortedDictionary<TTime, Entry> _entries = [];

    public bool IsEmpty => _entries.Count == 0;

    /// <summary>The least time; closed when empty.</summary>
    public Stamp Least { get; private set; } = Stamp.Closed;

    /// <summary>Takes over <paramref name="batch"/>.</summary>
    public void Add(UpdateBatch<TTime> batch)
    {
        if (IsUniform(batch))
        {
            At(batch.MinTime).Batches.Add(batch);
            return;
        }

        var stored = !Core.Hashing.RowHash.IsBijective(keyShape);
        for (var i = 0; i < batch.Count; i++)
        {
            var entry = At(batch.TimeAt(i));
            var builder = entry.Builder ??= new BatchBuilder<TTime>(valueShape, stored ? keyShape : null);
            if (stored)
                builder.Keys!.AppendRange(batch.Keys, i, 1);
            builder.Rows.AppendRange(batch.Rows, i, 1);
            unsafe
            {
                builder.AddHash(batch.Hashes[i]);
            }

            builder.Add(batch.TimeAt(i), batch.DiffAt(i));
        }

        batch.Release();
    }

    /// <summary>The least time, if there is one.</summary>
    public bool TryFirst(out TTime time)
    {
        time = IsEmpty ? default : TTime.FromStamp(Least);
        return !IsEmpty;
    }

    /// <summary>The batches of the least time; the caller releases each.</summary>
    public List<UpdateBatch<TTime>> TakeFirst()
    {
        _entries.Remove(TTime.FromStamp(Least), out var entry);
        var batches = entry!.Batches;
        if (entry.Builder?.Build() is { } rest)
            batches.Add(rest);
        Least = Stamp.Closed;
        foreach (var key in _entries.Keys)
        {
            Least = key.ToStamp();
            break;
        }

        return batches;
    }

    public void Measure(StateMeter meter)
    {
        foreach (var entry in _entries.Values)
        {
            entry.Builder?.Measure(meter);
            foreach (var batch in entry.Batches)
                batch.Measure(meter);
        }
    }

    public void Dispose()
    {
        foreach (var entry in _entries.Values)
        {
            entry.Builder?.Dispose();
            foreach (var batch in entry.Batches)
                batch.Release();
        }

        _entries.Clear();
        Least = Stamp.Closed;
    }

    private static unsafe bool IsUniform(UpdateBatch<TTime> batch) => batch.Times == null;

    private Entry At(TTime time)
    {
        if (!_entries.TryGetValue(time, out var entry))
        {
            _entries.Add(time, entry = new Entry());
            Least = Stamp.Min(Least, time.ToStamp());
        }

        return entry;
    }

    private sealed class Entry
    {
        public List<UpdateBatch<TTime>> Batches { get; } = [];

        public BatchBuilder<TTime>? Builder { get; set; }
    }
}
