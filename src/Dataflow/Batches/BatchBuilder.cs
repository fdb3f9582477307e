using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow;

/// <summary>
/// Collects updates into an <see cref="UpdateBatch{TTime}"/>. Append a row to <see cref="Rows"/> (and, on keyed channels, its key to
/// <see cref="Keys"/>), then say its time and diff with <see cref="Add"/>. The columns of times and diffs exist only once two differ.
/// </summary>
internal sealed unsafe class BatchBuilder<TTime> : IScratch where TTime : unmanaged, ITime<TTime>
{
    private const long ForecastMax = 64 << 10;
    private TTime* _times;
    private long _timesCapacity;
    private TTime _uniformTime;
    private TTime _minTime;
    private long* _diffs;
    private long _diffsCapacity;
    private int _diffsMax; // for how many there is room
    private long _uniformDiff;
    private ulong* _hashes;
    private long _hashesCapacity;
    private int _hashCount;
    private SizeForecast _rowsForecast;

    public BatchBuilder(RowShape shape, RowShape? keyShape = null)
    {
        Rows = new RowWriter(shape);
        Keys = keyShape is { } k ? new RowWriter(k) : null;
    }

    public RowWriter Rows { get; }

    public RowWriter? Keys { get; }

    /// <summary>Updates added.</summary>
    public int Count { get; private set; }

    /// <summary>Whether a batch of one time and this one would share it.</summary>
    public bool Continues(UpdateBatch<TTime> batch) => Count == 0 || (_times == null && batch.Times == null && _uniformTime.Equals(batch.UniformTime));

    public long Bytes => Rows.Bytes + (Keys?.Bytes ?? 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(TTime time, long diff)
    {
        if (Count == 0)
        {
            _uniformTime = time;
            _minTime = time;
            _uniformDiff = diff;
        }
        else
        {
            if (_times != null || !time.Equals(_uniformTime))
                AddTime(time, 1);
            if (_diffs != null && Count < _diffsMax)
                _diffs[Count] = diff;
            else if (_diffs != null || diff != _uniformDiff)
                AddDiff(diff, 1);
        }

        Count++;
    }

    /// <summary><see cref="Add"/> for <paramref name="count"/> rows alike.</summary>
    public void AddMany(int count, TTime time, long diff)
    {
        if (count == 0)
            return;
        if (Count == 0)
        {
            _uniformTime = time;
            _minTime = time;
            _uniformDiff = diff;
        }
        else
        {
            if (_times != null || !time.Equals(_uniformTime))
                AddTime(time, count);
            if (_diffs != null || diff != _uniformDiff)
                AddDiff(diff, count);
        }

        Count += count;
    }

    /// <summary>Times and diffs of <paramref name="count"/> rows that came from rows <paramref name="from"/> + selected[j] of <paramref name="source"/>.</summary>
    public void AddSelected(UpdateBatch<TTime> source, int from, int* selected, int count)
    {
        if (source.Times == null && source.Diffs == null)
        {
            AddMany(count, source.UniformTime, source.UniformDiff);
            return;
        }

        for (var j = 0; j < count; j++)
            Add(source.TimeAt(from + selected[j]), source.DiffAt(from + selected[j]));
    }

    /// <summary>Times and diffs of rows [<paramref name="from"/>, <paramref name="from"/> + <paramref name="count"/>) of <paramref name="source"/>.</summary>
    public void AddRange(UpdateBatch<TTime> source, int from, int count)
    {
        if (source.Times == null && source.Diffs == null)
        {
            AddMany(count, source.UniformTime, source.UniformDiff);
            return;
        }

        for (var i = from; i < from + count; i++)
            Add(source.TimeAt(i), source.DiffAt(i));
    }

    public void AddHash(ulong hash)
    {
        EnsureHashes(1);
        _hashes[_hashCount++] = hash;
    }

    /// <summary>Room for <paramref name="count"/> hashes to be filled in by the caller.</summary>
    public ulong* AddHashes(int count)
    {
        EnsureHashes(count);
        var first = _hashes + _hashCount;
        _hashCount += count;
        return first;
    }

    /// <summary>Room for <paramref name="rows"/> keyed rows of fixed width, so that they come without growth.</summary>
    public void Reserve(int rows)
    {
        EnsureHashes(rows);
        Rows.EnsureRows(rows);
        Keys?.EnsureRows(rows);
    }

    /// <summary>The batch, owned by the caller; null when nothing was added. The builder starts anew.</summary>
    public UpdateBatch<TTime>? Build()
    {
        if (Count == 0)
            return null;
        var batch = UpdateBatch<TTime>.New();
        batch.Rows = Rows.Detach();
        batch.Keys = Keys?.Detach() ?? default;
        batch.IsKeyed = Keys is not null;
        batch.Hashes = _hashes;
        batch.HashesCapacity = _hashesCapacity;
        batch.Times = _times;
        batch.TimesCapacity = _timesCapacity;
        batch.UniformTime = _uniformTime;
        batch.MinTime = _minTime;
        batch.Diffs = _diffs;
        batch.DiffsCapacity = _diffsCapacity;
        batch.UniformDiff = _uniformDiff;
        batch.Count = Count;
        _rowsForecast.Note(Count);
        Forget();
        return batch;
    }

    public void Measure(StateMeter meter)
    {
        meter.Writer(Rows);
        meter.Writer(Keys);
        meter.Slab((long)Count * sizeof(TTime), _timesCapacity);
        meter.Slab((long)Count * sizeof(long), _diffsCapacity);
        meter.Slab((long)_hashCount * sizeof(ulong), _hashesCapacity);
        meter.Rows(Count);
    }

    /// <summary>Drops what was added.</summary>
    public void Clear()
    {
        Rows.Clear();
        Keys?.Clear();
        FreeColumns();
        Forget();
    }

    public void Dispose()
    {
        Rows.Dispose();
        Keys?.Dispose();
        FreeColumns();
        Forget();
    }

    private void FreeColumns()
    {
        SlabPool.Return(_times, _timesCapacity);
        SlabPool.Return(_diffs, _diffsCapacity);
        SlabPool.Return(_hashes, _hashesCapacity);
    }

    private void Forget()
    {
        _times = null;
        _timesCapacity = 0;
        _diffs = null;
        _diffsCapacity = 0;
        _hashes = null;
        _hashesCapacity = 0;
        _hashCount = 0;
        Count = 0;
    }

    private void EnsureHashes(int more)
    {
        var rows = _hashCount + more;
        if ((long)rows * sizeof(ulong) > _hashesCapacity)
            _hashes = (ulong*)Grow(_hashes, ref _hashesCapacity, _hashCount, rows, sizeof(ulong));
    }

    private void AddTime(TTime time, int count)
    {
        var rows = Count + count;
        if (_times == null)
        {
            _times = (TTime*)Grow(null, ref _timesCapacity, 0, rows, sizeof(TTime));
            new Span<TTime>(_times, Count).Fill(_uniformTime);
        }
        else if ((long)rows * sizeof(TTime) > _timesCapacity)
        {
            _times = (TTime*)Grow(_times, ref _timesCapacity, Count, rows, sizeof(TTime));
        }

        if (time.CompareTo(_minTime) < 0)
            _minTime = time;
        new Span<TTime>(_times + Count, count).Fill(time);
    }

    private void AddDiff(long diff, int count)
    {
        var rows = Count + count;
        if (_diffs == null)
        {
            _diffs = (long*)Grow(null, ref _diffsCapacity, 0, rows, sizeof(long));
            new Span<long>(_diffs, Count).Fill(_uniformDiff);
        }
        else if ((long)rows * sizeof(long) > _diffsCapacity)
        {
            _diffs = (long*)Grow(_diffs, ref _diffsCapacity, Count, rows, sizeof(long));
        }

        _diffsMax = (int)Math.Min(_diffsCapacity / sizeof(long), int.MaxValue);
        new Span<long>(_diffs + Count, count).Fill(diff);
    }

    // To twice the room, or to what the last batches needed.
    private byte* Grow(void* column, ref long capacity, int used, int rows, int width)
    {
        var wanted = column == null ? Math.Min(_rowsForecast.Next, ForecastMax) * width : capacity * 2;
        return SlabPool.Resize((byte*)column, ref capacity, (long)used * width, Math.Max(wanted, (long)rows * width));
    }
}
