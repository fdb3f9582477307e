// Updates that wait to be shown or written: what a subscribe gathers between two frontiers, and the difference between what a
// materialized view should hold and what its shard does. Columns of numbers and one byte array, no object per row. To consolidate
// is to put them in order, after which equal ones are neighbours (UpdateOrder.cs). It is done when the buffer has doubled since the
// last time, so that it costs O(log n) an update.

using Materialize.Protocol;

namespace Materialize.Compute.Sinks;

/// <summary>A growing set of updates that are consolidated now and then, from which those before a time can be taken or looked at. One thread at a time.</summary>
internal sealed class UpdateBuffer
{
    private const int ConsolidateMin = 1024;
    private const int SmallestBytes = 1024;
    private const int SmallestCount = 64;

    private byte[] _rows = new byte[SmallestBytes];
    private int _bytes;
    private int[] _ends = new int[SmallestCount];
    private ulong[] _times = new ulong[SmallestCount];
    private long[] _diffs = new long[SmallestCount];
    private int _consolidated;
    private bool _isInOrder = true;   // by time, then by row, each pair once

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
                Resize(2 * Count);
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
        _isInOrder = false;
    }

    /// <summary>Lets times before <paramref name="since"/> appear as it, so that they can cancel.</summary>
    public void AdvanceSince(ulong since)
    {
        if (since <= Since)
            return;
        Since = since;
        _isInOrder &= Count == 0 || _times[0] >= since;
    }

    public ReadOnlySpan<byte> Row(int index) => _rows.AsSpan()[(index == 0 ? 0 : _ends[index - 1]).._ends[index]];

    public ulong TimeAt(int index) => _times[index];

    public long DiffAt(int index) => _diffs[index];

    /// <summary>Adds up equal updates, drops zeros, and leaves the rest ordered by time, then by row bytes.</summary>
    public void Consolidate()
    {
        if (_isInOrder)
            return;
        foreach (ref var time in _times.AsSpan(0, Count))
            time = Math.Max(time, Since);
        var order = UpdateOrder.Of(_rows, _ends.AsSpan(0, Count), _times.AsSpan(0, Count));
        var (rows, ends, times, diffs) = (new byte[Math.Max(SmallestBytes, _bytes)], new int[_ends.Length], new ulong[_ends.Length], new long[_ends.Length]);
        var (kept, bytes, start) = (0, 0, 0);
        foreach (var index in order)
        {
            var row = Row(index);

            // Equal updates are neighbours: what one adds to is the last that was written.
            if (kept > 0 && times[kept - 1] == _times[index] && rows.AsSpan(start, bytes - start).SequenceEqual(row))
            {
                diffs[kept - 1] = checked(diffs[kept - 1] + _diffs[index]);
                continue;
            }

            DropZero();
            start = bytes;
            row.CopyTo(rows.AsSpan(bytes));
            bytes += row.Length;
            (ends[kept], times[kept], diffs[kept]) = (bytes, _times[index], _diffs[index]);
            kept++;
        }

        DropZero();
        (_rows, _ends, _times, _diffs, _bytes, Count) = (rows, ends, times, diffs, bytes, kept);
        if (kept < _ends.Length / 4)
            Shrink();
        _consolidated = kept;
        _isInOrder = true;

        void DropZero()
        {
            if (kept == 0 || diffs[kept - 1] != 0)
                return;
            kept--;
            bytes = start;
        }
    }

    /// <summary>How many updates, from the first, are before <paramref name="upper"/>; right after <see cref="Consolidate"/>.</summary>
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

    /// <summary>The first <paramref name="count"/> updates, which are here no more.</summary>
    public RowBatch TakeFirst(int count)
    {
        if (count == 0)
            return RowBatch.Empty;
        var bytes = _ends[count - 1];
        var isAll = count == Count;
        var taken = new RowBatch(
            isAll ? _rows.AsMemory(0, bytes) : _rows.AsSpan(0, bytes).ToArray(),
            _ends.AsSpan(0, count).ToArray(),
            _times.AsSpan(0, count).ToArray(),
            _diffs.AsSpan(0, count).ToArray());

        // The rows of a batch that takes all are given away with their array.
        if (isAll)
            _rows = new byte[SmallestBytes];
        RemoveFirst(count);
        return taken;
    }

    /// <summary>Drops the first <paramref name="count"/> updates.</summary>
    public void RemoveFirst(int count)
    {
        if (count == 0)
            return;
        var (bytes, left) = (_ends[count - 1], Count - count);
        if (left == 0)
        {
            Clear();
            return;
        }

        _rows.AsSpan(bytes, _bytes - bytes).CopyTo(_rows);
        _times.AsSpan(count, left).CopyTo(_times);
        _diffs.AsSpan(count, left).CopyTo(_diffs);
        for (var i = 0; i < left; i++)
            _ends[i] = _ends[count + i] - bytes;
        (_bytes, Count, _consolidated) = (_bytes - bytes, left, Math.Max(0, _consolidated - count));
        if (left < _ends.Length / 4)
            Shrink();
    }

    public void Clear()
    {
        (Count, _bytes, _consolidated, _isInOrder) = (0, 0, 0, true);
        Shrink();
    }

    /// <summary>Gives back what it has far too much of.</summary>
    private void Shrink()
    {
        if (_ends.Length > ConsolidateMin)
            Resize(Math.Max(SmallestCount, Count + (Count / 2)));
        if (_rows.Length > SmallestBytes && _bytes < _rows.Length / 4)
            Array.Resize(ref _rows, Math.Max(SmallestBytes, _bytes + (_bytes / 2)));
    }

    private void Resize(int capacity)
    {
        Array.Resize(ref _ends, capacity);
        Array.Resize(ref _times, capacity);
        Array.Resize(ref _diffs, capacity);
    }
}
