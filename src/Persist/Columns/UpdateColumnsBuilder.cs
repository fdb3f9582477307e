using Materialize.Repr;

namespace Materialize.Persist.Columns;

/// <summary>Grows <see cref="UpdateColumns"/>. Not thread-safe. <see cref="Build"/> hands the memory over and leaves the builder empty.</summary>
public sealed class UpdateColumnsBuilder
{
    private byte[] _rows;
    private int[] _offsets;
    private Timestamp[] _times;
    private long[] _diffs;

    // What was built last was so large: what comes next will be, usually, and growing to it by doubling would leave as much garbage again.
    private (int Updates, int RowBytes) _last;

    public UpdateColumnsBuilder(int updates = 16, int rowBytes = 256)
    {
        _rows = rowBytes == 0 ? [] : new byte[rowBytes];
        _offsets = new int[updates + 1];
        _times = updates == 0 ? [] : new Timestamp[updates];
        _diffs = updates == 0 ? [] : new long[updates];
    }

    public int Count { get; private set; }

    /// <summary>Bytes of rows so far.</summary>
    public int RowBytes => _offsets[Count];

    /// <summary>About how much memory the updates take so far.</summary>
    public long SizeBytes => RowBytes + 20L * Count;

    /// <exception cref="InvalidOperationException">All rows together would pass 2 GiB: cut the columns before that.</exception>
    public void Add(ReadOnlySpan<byte> row, Timestamp time, long diff)
    {
        var start = _offsets[Count];
        var end = (long)start + row.Length;
        if (end > Array.MaxLength)
            throw new InvalidOperationException("too many row bytes for one set of columns");
        if (Count == _times.Length)
            GrowUpdates();
        if (end > _rows.Length)
            Array.Resize(ref _rows, (int)Math.Min(Array.MaxLength, Math.Max(end, Math.Max(256L, _rows.Length == 0 ? WithRoom(_last.RowBytes) : 2L * _rows.Length))));
        row.CopyTo(_rows.AsSpan(start));
        _times[Count] = time;
        _diffs[Count] = diff;
        Count++;
        _offsets[Count] = (int)end;
    }

    /// <summary>Appends all of <paramref name="updates"/>.</summary>
    public void AddRange(UpdateColumns updates)
    {
        for (var i = 0; i < updates.Count; i++)
            Add(updates.Row(i), updates.Times[i], updates.Diffs[i]);
    }

    /// <summary>What was added, in order of adding. The builder starts anew.</summary>
    public UpdateColumns Build()
    {
        if (Count == 0)
            return UpdateColumns.Empty;
        var built = new UpdateColumns(
            _rows.AsMemory(0, RowBytes), _offsets.AsMemory(0, Count + 1), _times.AsMemory(0, Count), _diffs.AsMemory(0, Count));
        _last = (Count, RowBytes);
        (_rows, _offsets, _times, _diffs, Count) = ([], new int[1], [], [], 0);
        return built;
    }

    private static long WithRoom(int last) => last + (long)(last / 32);

    private void GrowUpdates()
    {
        var capacity = (int)Math.Max(16, _times.Length == 0 ? WithRoom(_last.Updates) : 2L * _times.Length);
        Array.Resize(ref _offsets, capacity + 1);
        Array.Resize(ref _times, capacity);
        Array.Resize(ref _diffs, capacity);
    }
}
