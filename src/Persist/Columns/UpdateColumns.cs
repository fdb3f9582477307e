using System.Runtime.InteropServices;
using Materialize.Repr;

namespace Materialize.Persist.Columns;

/// <summary>
/// Updates as columns: the bytes of all rows in one buffer, the end of each row, the times and the diffs. Immutable once built; holds no
/// object per row. In no order and not consolidated unless its source says so.
/// </summary>
public sealed class UpdateColumns
{
    private readonly ReadOnlyMemory<byte> _rows;
    private readonly ReadOnlyMemory<int> _offsets;
    private readonly ReadOnlyMemory<Timestamp> _times;
    private readonly ReadOnlyMemory<long> _diffs;

    /// <summary>Takes ownership of the memory: nobody may change it afterwards.</summary>
    /// <param name="rows">The rows back to back.</param>
    /// <param name="offsets">One more than there are rows: row i is <c>rows[offsets[i]..offsets[i + 1]]</c>.</param>
    public UpdateColumns(ReadOnlyMemory<byte> rows, ReadOnlyMemory<int> offsets, ReadOnlyMemory<Timestamp> times, ReadOnlyMemory<long> diffs)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(offsets.Length, times.Length + 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(diffs.Length, times.Length);
        _rows = rows;
        _offsets = offsets;
        _times = times;
        _diffs = diffs;
    }

    public static UpdateColumns Empty { get; } = new(default, new int[1], default, default);

    public int Count => _times.Length;

    public bool IsEmpty => _times.IsEmpty;

    /// <summary>The bytes of all rows, back to back.</summary>
    public ReadOnlySpan<byte> Rows => _rows.Span;

    /// <summary>Where rows start and end in <see cref="Rows"/>; <see cref="Count"/> + 1 of them, ascending from 0 or later.</summary>
    public ReadOnlySpan<int> Offsets => _offsets.Span;

    public ReadOnlySpan<Timestamp> Times => _times.Span;

    public ReadOnlySpan<long> Diffs => _diffs.Span;

    /// <summary>The memory behind <see cref="Rows"/>, for callers that keep it beyond a stack frame.</summary>
    public ReadOnlyMemory<byte> RowsMemory => _rows;

    /// <summary>The memory behind <see cref="Offsets"/>.</summary>
    public ReadOnlyMemory<int> OffsetsMemory => _offsets;

    /// <summary>The memory behind <see cref="Times"/>.</summary>
    public ReadOnlyMemory<Timestamp> TimesMemory => _times;

    /// <summary>The memory behind <see cref="Diffs"/>.</summary>
    public ReadOnlyMemory<long> DiffsMemory => _diffs;

    /// <summary>About how much memory the columns take.</summary>
    public long SizeBytes => (long)(_offsets.Span[^1] - _offsets.Span[0]) + 20L * Count;

    public ReadOnlySpan<byte> Row(int index)
    {
        var offsets = _offsets.Span;
        return _rows.Span[offsets[index]..offsets[index + 1]];
    }

    /// <summary>The same updates with every time raised to at least <paramref name="asOf"/>; shares the rows.</summary>
    public UpdateColumns AdvancedTo(Timestamp asOf)
    {
        if (!_times.Span.AnyBefore(asOf))
            return this;
        var times = _times.ToArray();
        foreach (ref var time in times.AsSpan())
            time = Timestamp.Join(time, asOf);
        return new UpdateColumns(_rows, _offsets, times, _diffs);
    }

    /// <summary>The same updates all at <paramref name="time"/>; shares the rows.</summary>
    public UpdateColumns AllAt(Timestamp time)
    {
        var times = new Timestamp[Count];
        times.AsSpan().Fill(time);
        return new UpdateColumns(_rows, _offsets, times, _diffs);
    }

    /// <summary>The updates with a time of at least <paramref name="from"/> and before <paramref name="until"/> (null: no end), in the same order.</summary>
    public UpdateColumns Between(Timestamp from, Timestamp? until)
    {
        var times = _times.Span;
        var kept = 0;
        foreach (var time in times)
        {
            if (time >= from && (until is null || time < until))
                kept++;
        }

        if (kept == Count)
            return this;
        if (kept == 0)
            return Empty;
        var builder = new UpdateColumnsBuilder(kept, 0);
        for (var i = 0; i < times.Length; i++)
        {
            if (times[i] >= from && (until is null || times[i] < until))
                builder.Add(Row(i), times[i], _diffs.Span[i]);
        }

        return builder.Build();
    }

    /// <summary>The least and the greatest time; undefined when empty.</summary>
    internal (Timestamp Min, Timestamp Max) TimeRange()
    {
        var min = ulong.MaxValue;
        var max = ulong.MinValue;
        foreach (var millis in MemoryMarshal.Cast<Timestamp, ulong>(_times.Span))
        {
            min = Math.Min(min, millis);
            max = Math.Max(max, millis);
        }

        return (new Timestamp(min), new Timestamp(max));
    }
}

file static class TimeSpans
{
    /// <summary>Whether a time is before <paramref name="asOf"/>, so that advancing changes something.</summary>
    public static bool AnyBefore(this ReadOnlySpan<Timestamp> times, Timestamp asOf)
    {
        foreach (var time in times)
        {
            if (time < asOf)
                return true;
        }

        return false;
    }
}
