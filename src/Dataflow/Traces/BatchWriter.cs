using System.Runtime.CompilerServices;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Writes a <see cref="Batch{TTime}"/> row by row in its order. Columns are allocated for an upper bound known beforehand (the sum of a merge's inputs), so that the
/// inner loops check nothing; the slack is given back in the end. Columns of times and diffs appear when the first row needs them.
/// </summary>
internal sealed unsafe class BatchWriter<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private readonly RowShape _keyShape;
    private readonly RowShape _valueShape;
    private readonly long _rowsMax;
    private readonly bool _lasts;
    private int _released; // rows whose pages were let go of
    private long _hashesCapacity;
    private long _keysCapacity;
    private long _keyEndsCapacity;
    private long _valuesCapacity;
    private long _valueEndsCapacity;
    private TTime* _times;
    private long _timesCapacity;
    private TTime _uniformTime;
    private TTime _minTime;
    private TTime _maxTime;
    private int* _diffs;
    private long* _wideDiffs;
    private long _diffsCapacity;
    private BatchDirectory _directory;
    private long _directoryCapacity;
    private int _directoryNext;
    private int _directoryRow;
    private long _mapped;    // bytes of columns that are mappings: they have pages as far as they are written
    private long _untouched; // of these, what the pool was told not to count yet

    /// <summary>The columns to be filled in by the emitter, at row <see cref="Count"/>.</summary>
    public ulong* Hashes;
    public byte* Keys;
    public uint* KeyEnds;
    public long KeyBytes;
    public byte* Values;
    public uint* ValueEnds;
    public long ValueBytes;
    public int Count;
    public int RepeatedRows;

    /// <param name="lasts">Whether the batch is to be kept: it may then lie in a scratch file.</param>
    public BatchWriter(RowShape keyShape, RowShape valueShape, long rowsMax, long keyBytesMax, long valueBytesMax, bool lasts = true)
    {
        _lasts = lasts;
        _keyShape = keyShape;
        _valueShape = valueShape;
        _rowsMax = Math.Max(1, rowsMax);
        Hashes = (ulong*)Rent(_rowsMax * sizeof(ulong), out _hashesCapacity);
        if (!RowHash.IsBijective(keyShape))
        {
            Keys = Rent(Math.Max(1, keyShape.IsFixed ? _rowsMax * keyShape.Width : keyBytesMax), out _keysCapacity);
            if (!keyShape.IsFixed)
                KeyEnds = (uint*)Rent(_rowsMax * sizeof(uint), out _keyEndsCapacity);
        }

        if (valueShape.Width != 0)
        {
            Values = Rent(Math.Max(1, valueShape.IsFixed ? _rowsMax * valueShape.Width : valueBytesMax), out _valuesCapacity);
            if (!valueShape.IsFixed)
                ValueEnds = (uint*)Rent(_rowsMax * sizeof(uint), out _valueEndsCapacity);
        }

        _directory = BatchDirectory.For(_rowsMax);
        _directory.Entries = (uint*)Rent(_directory.Bytes, out _directoryCapacity);
    }

    /// <summary>Time and diff of row <see cref="Count"/>, whose other columns are written; moves on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Commit(TTime time, long diff)
    {
        if (_times != null)
            _times[Count] = time;
        else if (!time.Equals(_uniformTime) || Count == 0)
            NewTime(time);
        if (_diffs != null && diff == (int)diff)
            _diffs[Count] = (int)diff;
        else if (diff != 1 || _wideDiffs != null)
            NewDiff(diff);
        Count++;
    }

    /// <summary>Extends the directory over the rows written since the last call, while they are in the cache.</summary>
    public void ExtendDirectory()
    {
        _directory.Add(Hashes, _directoryRow, Count, ref _directoryNext);
        _directoryRow = Count;
        if (_mapped > 0)
            CountTouched();
    }

    /// <summary>What was written so far will not be looked at soon: where it lies in scratch files, it need not be in memory.</summary>
    public void LetGo()
    {
        if (Count - _released < 64 * 1024)
            return;
        LetGo(Hashes, _hashesCapacity, (long)_released * sizeof(ulong), (long)Count * sizeof(ulong));
        LetGo(_times, _timesCapacity, (long)_released * sizeof(TTime), (long)Count * sizeof(TTime));
        if (_valueShape.IsFixed)
            LetGo(Values, _valuesCapacity, (long)_released * _valueShape.Width, (long)Count * _valueShape.Width);
        else
            LetGo(Values, _valuesCapacity, _released == 0 ? 0 : ValueEnds[_released - 1], ValueBytes);
        if (Keys != null && _keyShape.IsFixed)
            LetGo(Keys, _keysCapacity, (long)_released * _keyShape.Width, (long)Count * _keyShape.Width);
        else if (Keys != null)
            LetGo(Keys, _keysCapacity, _released == 0 ? 0 : KeyEnds[_released - 1], KeyBytes);
        _released = Count;
    }

    /// <summary>The batch, owned by the caller; null when it has no rows. The writer is spent.</summary>
    public Batch<TTime>? Finish()
    {
        ExtendDirectory();
        CountAll();
        if (Count == 0)
        {
            Dispose();
            return null;
        }

        _directory.Finish(Count, _directoryNext);
        if (_directory.Shrink(Count))
            _directory.Entries = (uint*)Trim((byte*)_directory.Entries, ref _directoryCapacity, _directory.Bytes);
        TTime bound;
        if (_times == null)
        {
            _minTime = _uniformTime;
            _maxTime = _uniformTime;
            bound = _uniformTime;
        }
        else
        {
            _minTime = _times[0];
            _maxTime = _times[0];
            bound = _times[0];
            for (var i = 1; i < Count; i++)
            {
                bound = TTime.Join(bound, _times[i]);
                if (_times[i].CompareTo(_minTime) < 0)
                    _minTime = _times[i];
                else if (_times[i].CompareTo(_maxTime) > 0)
                    _maxTime = _times[i];
            }
        }

        Hashes = (ulong*)Trim((byte*)Hashes, ref _hashesCapacity, (long)Count * sizeof(ulong));
        Keys = Trim(Keys, ref _keysCapacity, KeyBytesUsed);
        KeyEnds = (uint*)Trim((byte*)KeyEnds, ref _keyEndsCapacity, (long)Count * sizeof(uint));
        Values = Trim(Values, ref _valuesCapacity, ValueBytesUsed);
        ValueEnds = (uint*)Trim((byte*)ValueEnds, ref _valueEndsCapacity, (long)Count * sizeof(uint));
        _times = (TTime*)Trim((byte*)_times, ref _timesCapacity, (long)Count * sizeof(TTime));
        if (_diffs != null)
            _diffs = (int*)Trim((byte*)_diffs, ref _diffsCapacity, (long)Count * sizeof(int));
        else
            _wideDiffs = (long*)Trim((byte*)_wideDiffs, ref _diffsCapacity, (long)Count * sizeof(long));
        var batch = new Batch<TTime>
        {
            Count = Count,
            Hashes = Hashes,
            HashesCapacity = _hashesCapacity,
            Keys = new RowColumn { Shape = _keyShape, Data = Keys, DataCapacity = _keysCapacity, Ends = KeyEnds, EndsCapacity = _keyEndsCapacity, Count = Count, Bytes = KeyBytesUsed },
            Values = new RowColumn { Shape = _valueShape, Data = Values, DataCapacity = _valuesCapacity, Ends = ValueEnds, EndsCapacity = _valueEndsCapacity, Count = Count, Bytes = ValueBytesUsed },
            Times = _times,
            TimesCapacity = _timesCapacity,
            UniformTime = _uniformTime,
            MinTime = _minTime,
            MaxTime = _maxTime,
            TimeBound = bound,
            Diffs = _diffs,
            WideDiffs = _wideDiffs,
            DiffsCapacity = _diffsCapacity,
            Directory = _directory,
            DirectoryCapacity = _directoryCapacity,
            RepeatedRows = RepeatedRows,
        };
        Forget();
        return batch;
    }

    /// <summary>Memory only: rows are those of the inputs, which are counted where they are.</summary>
    public void Measure(StateMeter meter)
    {
        Measure(meter, (long)Count * sizeof(ulong), _hashesCapacity, Hashes);
        Measure(meter, KeyBytesUsed, _keysCapacity, Keys);
        Measure(meter, (long)Count * sizeof(uint), _keyEndsCapacity, KeyEnds);
        Measure(meter, ValueBytesUsed, _valuesCapacity, Values);
        Measure(meter, (long)Count * sizeof(uint), _valueEndsCapacity, ValueEnds);
        Measure(meter, (long)Count * sizeof(TTime), _timesCapacity, _times);
        Measure(meter, (long)Count * (_diffs != null ? sizeof(int) : sizeof(long)), _diffsCapacity, _diffs != null ? _diffs : _wideDiffs);
        Measure(meter, (long)_directoryNext * sizeof(uint), _directoryCapacity, _directory.Entries);
    }

    // As the pool counts it.
    private void Measure(StateMeter meter, long used, long capacity, void* slab)
    {
        var untouched = _mapped > 0 && SlabPool.IsMapping(slab, capacity) ? (long)(_untouched * (capacity / (double)_mapped)) : 0;
        meter.Slab(used, capacity - untouched, slab);
    }

    /// <summary>Frees what was written.</summary>
    public void Dispose()
    {
        CountAll();
        SlabPool.Return(Hashes, _hashesCapacity);
        SlabPool.Return(Keys, _keysCapacity);
        SlabPool.Return(KeyEnds, _keyEndsCapacity);
        SlabPool.Return(Values, _valuesCapacity);
        SlabPool.Return(ValueEnds, _valueEndsCapacity);
        SlabPool.Return(_times, _timesCapacity);
        SlabPool.Return(_diffs != null ? _diffs : _wideDiffs, _diffsCapacity);
        SlabPool.Return(_directory.Entries, _directoryCapacity);
        Forget();
    }

    private long KeyBytesUsed => Keys == null ? 0 : _keyShape.IsFixed ? (long)Count * _keyShape.Width : KeyBytes;

    private long ValueBytesUsed => _valueShape.IsFixed ? (long)Count * _valueShape.Width : ValueBytes;

    private byte* Rent(long bytes, out long capacity)
    {
        capacity = SlabPool.CapacityFor(bytes);
        var slab = _lasts ? SlabPool.RentLasting(capacity) : SlabPool.Rent(capacity);
        if (!SlabPool.IsMapping(slab, capacity))
            return slab;
        _mapped += capacity;
        _untouched += capacity;
        SlabPool.NoteUntouched(capacity);
        return slab;
    }

    // Columns fill up alike: what is in use of them goes with the rows.
    private void CountTouched()
    {
        const long step = 1 << 20;
        var touched = _untouched - Untouched(_mapped);
        if (touched < step)
            return;
        _untouched -= touched;
        SlabPool.NoteUntouched(-touched);
    }

    private long Untouched(long capacity) => (long)(capacity * (1 - (Count / (double)_rowsMax)));

    private void CountAll()
    {
        if (_untouched != 0)
            SlabPool.NoteUntouched(-_untouched);
        _untouched = 0;
        _mapped = 0;
    }

    // Small batches are copied to Recent soon or are few; others are copied where that gives back a quarter at least.
    private static byte* Trim(byte* column, ref long capacity, long used) =>
        column == null || capacity <= 64 << 10 || SlabPool.CapacityFor(used) > capacity - (capacity / 4) ? column : SlabPool.Resize(column, ref capacity, used, used);

    private static void LetGo(void* column, long capacity, long from, long to)
    {
        if (SlabPool.IsScratch(column, capacity))
            SlabPool.Advise(column, capacity, from, to);
    }

    private void Forget()
    {
        Hashes = null;
        Keys = null;
        KeyEnds = null;
        Values = null;
        ValueEnds = null;
        _times = null;
        _diffs = null;
        _wideDiffs = null;
        _directory.Entries = null;
        _hashesCapacity = _keysCapacity = _keyEndsCapacity = _valuesCapacity = _valueEndsCapacity = 0;
        _timesCapacity = _diffsCapacity = _directoryCapacity = 0;
    }

    private void NewTime(TTime time)
    {
        if (Count == 0)
        {
            _uniformTime = time;
            return;
        }

        _times = (TTime*)Rent(_rowsMax * sizeof(TTime), out _timesCapacity);
        new Span<TTime>(_times, Count).Fill(_uniformTime);
        _times[Count] = time;
    }

    private void NewDiff(long diff)
    {
        if (_wideDiffs != null)
        {
            _wideDiffs[Count] = diff;
        }
        else if (diff != (int)diff)
        {
            CountAll(); // a column goes: rare enough to count the others as if they were full
            var wide = (long*)Rent(_rowsMax * sizeof(long), out var capacity);
            for (var i = 0; i < Count; i++)
                wide[i] = _diffs == null ? 1 : _diffs[i];
            SlabPool.Return(_diffs, _diffsCapacity);
            _diffs = null;
            _wideDiffs = wide;
            _diffsCapacity = capacity;
            wide[Count] = diff;
        }
        else
        {
            _diffs = (int*)Rent(_rowsMax * sizeof(int), out _diffsCapacity);
            new Span<int>(_diffs, Count).Fill(1);
            _diffs[Count] = (int)diff;
        }
    }
}
