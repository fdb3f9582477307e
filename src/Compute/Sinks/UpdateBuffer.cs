// Updates that wait to be shown or written: what a subscribe gathers between two frontiers, and the difference between what a
// materialized view should hold and what its shard does. Columns of numbers and one byte array, no object per row. Consolidation
// sorts by hash, which costs an array sort of numbers; bytes are compared only where hashes are equal. It runs when the buffer has
// doubled since the last time, so that it costs O(log n) an update.

using Materialize.Core.Hashing;
using Materialize.Core.Rows;

namespace Materialize.Compute.Sinks;

/// <summary>A growing set of updates that are consolidated now and then, from which those before a time can be taken or looked at. One thread at a time.</summary>
internal sealed class UpdateBuffer
{
    private const int ConsolidateMin = 1024;

    private byte[] _rows = new byte[1024];
    private int _bytes;
    private int[] _ends = new int[64];
    private ulong[] _times = new ulong[64];
    private long[] _diffs = new long[64];
    private int _consolidated;

    /// <summary>Updates held, not all of them necessarily distinct.</summary>
    public int Count { get; private set; }

    public bool IsEmpty => Count == 0;

    /// <summary>Times before it appear as it.</summary>
    public ulong Since { get; private set; }

    /// <summary>Bytes of rows held.</summary>
    public int Bytes => _bytes;

    /// <summary>About the memory that what it holds takes.</summary>
    public long MemoryBytes => _bytes + ((long)Count * (sizeof(int) + sizeof(ulong) + sizeof(long)));

    public void Add(ReadOnlySpan<byte> row, ulong time, long diff)
    {
        if (_bytes + (long)row.Length > Array.MaxLength)
            Consolidate();
        if (Count == _ends.Length)
        {
            if (Count >= ConsolidateMin && Count >= 2 * _consolidated)
                Consolidate();
            if (Count == _ends.Length)
                GrowUpdates();
        }

        var end = checked(_bytes + row.Length);
        if (end > _rows.Length)
            Array.Resize(ref _rows, (int)Math.Min(Array.MaxLength, Math.Max(end, 2L * _rows.Length)));
        row.CopyTo(_rows.AsSpan(_bytes));
        _bytes = end;
        _ends[Count] = end;
        _times[Count] = time;
        _diffs[Count] = diff;
        Count++;
    }

    /// <summary>Lets times before <paramref name="since"/> appear as it, so that they can cancel.</summary>
    public void AdvanceSince(ulong since) => Since = Math.Max(Since, since);

    public ReadOnlySpan<byte> Row(int index) => _rows.AsSpan()[(index == 0 ? 0 : _ends[index - 1]).._ends[index]];

    public ulong TimeAt(int index) => _times[index];

    public long DiffAt(int index) => _diffs[index];

    /// <summary>Adds up equal updates, drops zeros, and orders what is left by time, then by row bytes.</summary>
    public void ConsolidateInOrder()
    {
        Consolidate();
        var order = Indexes();
        order.AsSpan().Sort((a, b) => _times[a] != _times[b] ? _times[a].CompareTo(_times[b]) : Row(a).SequenceCompareTo(Row(b)));
        Rebuild(order, Count);
    }

    /// <summary>How many updates, from the first, are before <paramref name="upper"/>; right after <see cref="ConsolidateInOrder"/>.</summary>
    public int CountBefore(ulong? upper)
    {
        if (upper is not { } end)
            return Count;
        var at = Array.BinarySearch(_times, 0, Count, end);
        if (at < 0)
            return ~at;
        while (at > 0 && _times[at - 1] == end)
            at--;
        return at;
    }

    /// <summary>Drops the first <paramref name="count"/> updates.</summary>
    public void RemoveFirst(int count)
    {
        if (count == 0)
            return;
        Rebuild([.. Enumerable.Range(count, Count - count)], Count - count);
    }

    public void Clear()
    {
        Count = 0;
        _bytes = 0;
        _consolidated = 0;
    }

    public void Consolidate()
    {
        foreach (ref var time in _times.AsSpan(0, Count))
            time = Math.Max(time, Since);
        var hashes = new ulong[Count];
        for (var i = 0; i < hashes.Length; i++)
            hashes[i] = RowHash.Hash(RowShape.Variable, Row(i)) ^ (_times[i] * 0x9E37_79B9_7F4A_7C15);
        var order = Indexes();
        Array.Sort(hashes, order);
        var kept = 0;
        for (var i = 0; i < order.Length;)
        {
            // A run of equal hashes is almost always one (row, time); others in it are told apart by looking.
            var end = i + 1;
            while (end < order.Length && hashes[end] == hashes[i])
                end++;
            for (var a = i; a < end; a++)
            {
                var index = order[a];
                if (index < 0)
                    continue;
                for (var b = a + 1; b < end; b++)
                {
                    var other = order[b];
                    if (other < 0 || _times[other] != _times[index] || !Row(other).SequenceEqual(Row(index)))
                        continue;
                    _diffs[index] = checked(_diffs[index] + _diffs[other]);
                    order[b] = -1;
                }

                if (_diffs[index] != 0)
                    order[kept++] = index;
            }

            i = end;
        }

        Rebuild(order, kept);
        _consolidated = kept;
    }

    private int[] Indexes()
    {
        var order = new int[Count];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        return order;
    }

    private void Rebuild(int[] order, int count)
    {
        long bytes = 0;
        for (var i = 0; i < count; i++)
            bytes += Row(order[i]).Length;
        var rows = new byte[Math.Max(1024, bytes)];
        var ends = new int[Math.Max(64, count + (count / 2))];
        var times = new ulong[ends.Length];
        var diffs = new long[ends.Length];
        var at = 0;
        for (var i = 0; i < count; i++)
        {
            var row = Row(order[i]);
            row.CopyTo(rows.AsSpan(at));
            at += row.Length;
            ends[i] = at;
            times[i] = _times[order[i]];
            diffs[i] = _diffs[order[i]];
        }

        (_rows, _ends, _times, _diffs, _bytes, Count) = (rows, ends, times, diffs, at, count);
    }

    private void GrowUpdates()
    {
        var capacity = 2 * _ends.Length;
        Array.Resize(ref _ends, capacity);
        Array.Resize(ref _times, capacity);
        Array.Resize(ref _diffs, capacity);
    }
}
