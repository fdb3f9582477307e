using System.Runtime.CompilerServices;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// The newest updates of a trace, in the order they came, found through chains of equal low hash bits. Makes small updates cheap: appending one costs no sort, and seeing it no
/// batch of its own. Grows from 16 rows, so that a tiny arrangement costs a few KiB.
/// </summary>
/// <remarks>
/// Append-only: a reader that notes <see cref="Count"/> keeps seeing exactly those rows, since chains run from new to old and it skips rows beyond. When it is full the trace sorts it into a batch and begins
/// another; old readers keep the old one by reference. Rows are chained when somebody looks one up: a trace that is only written chains none.
/// </remarks>
internal sealed unsafe class Recent<TTime> where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Most rows, unless one delta brings more.</summary>
    public const int RowsMax = 32768;

    private const int RowsMin = 16;
    private static readonly int _rowBytes = sizeof(ulong) + sizeof(TTime) + sizeof(long) + (2 * sizeof(int));
    private readonly RowWriter? _keys;
    private readonly RowWriter _values;
    private byte* _columns; // one slab for the columns below
    private long _columnsCapacity;
    private ulong* _hashes;
    private TTime* _times;
    private long* _diffs;
    private int* _heads;    // by low bits of the hash; _next by row; -1 ends a chain
    private int* _next;
    private int _chained;   // rows that are in chains
    private int _rowsCapacity;
    private readonly int _rowsExpected;
    private int _references = 1;
    private long _measured;

    /// <param name="rows">How many are expected at least; room grows in powers of two from there.</param>
    public Recent(RowShape keyShape, RowShape valueShape, int rows = 0)
    {
        _rowsExpected = rows;
        _keys = RowHash.IsBijective(keyShape) ? null : new RowWriter(keyShape);
        _values = new RowWriter(valueShape);
    }

    public int Count { get; private set; }

    /// <summary>The join of all times.</summary>
    public TTime TimeBound { get; private set; } = TTime.Minimum;

    /// <summary>Whether it should become a batch before so many rows more are appended.</summary>
    public bool IsFull(int more) => Count > 0 && (Count + more > RowsMax || _values.Bytes + (_keys?.Bytes ?? 0) > 16 << 20);

    /// <summary>Whether a delta of that size is copied here rather than kept as a batch.</summary>
    public static bool Fits(long rows, long bytes) => rows < RowsMax / 2 && bytes <= 8 << 20;

    /// <summary>Counts it, once.</summary>
    public void Measure(StateMeter meter)
    {
        if (!meter.IsFirst(ref _measured))
            return;
        if (Count > 0)
            meter.Batch(Count);
        meter.Slab((long)Count * _rowBytes, _columnsCapacity);
        meter.Writer(_keys);
        meter.Writer(_values);
    }

    public void AddReference() => _references++;

    public void Release()
    {
        if (--_references > 0)
            return;
        _keys?.Dispose();
        _values.Dispose();
        SlabPool.Return(_columns, _columnsCapacity);
    }

    /// <summary>Appends all rows of <paramref name="batch"/>.</summary>
    public void Append(Batch<TTime> batch)
    {
        AppendRows(batch.Count, batch.Hashes, batch.Keys, batch.Values);
        for (var i = 0; i < batch.Count; i++)
        {
            _times[Count + i] = batch.TimeAt(i);
            _diffs[Count + i] = batch.DiffAt(i);
        }

        Count += batch.Count;
        TimeBound = TTime.Join(TimeBound, batch.TimeBound);
    }

    /// <summary>Appends all rows of <paramref name="batch"/>, which is keyed.</summary>
    public void Append(UpdateBatch<TTime> batch)
    {
        AppendRows(batch.Count, batch.Hashes, batch.Keys, batch.Rows);
        if (batch.Times == null)
            TimeBound = TTime.Join(TimeBound, batch.UniformTime);
        for (var i = 0; i < batch.Count; i++)
        {
            _times[Count + i] = batch.TimeAt(i);
            _diffs[Count + i] = batch.DiffAt(i);
            if (batch.Times != null)
                TimeBound = TTime.Join(TimeBound, batch.Times[i]);
        }

        Count += batch.Count;
    }

    /// <summary>The newest row below <paramref name="limit"/> in the chain of <paramref name="hash"/> with that hash; -1 if there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int First(ulong hash, int limit)
    {
        if (Count == 0)
            return -1;
        if (_chained < Count)
            Chain();
        return Skip(_heads[hash & ((uint)_rowsCapacity - 1)], hash, limit);
    }

    /// <summary>The next older row of the same hash; -1 if there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Next(int row) => Skip(_next[row], _hashes[row], int.MaxValue);

    public ulong HashAt(int row) => _hashes[row];

    public bool KeyEquals(int row, byte* key, int keyLength) => _keys is null || _keys.RowEquals(row, key, keyLength);

    public byte* KeyAddress(int row) => _keys is null ? null : _keys.AddressOf(row);

    public int KeyLength(int row) => _keys?.LengthOf(row) ?? 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* ValueAddress(int row) => _values.AddressOf(row);

    public int ValueLength(int row) => _values.LengthOf(row);

    public TTime TimeAt(int row) => _times[row];

    public long DiffAt(int row) => _diffs[row];

    /// <summary>The first <paramref name="count"/> rows as a sorted batch; null when all cancel.</summary>
    public Batch<TTime>? Sort(MergeTools<TTime> tools, int count, TTime since)
    {
        if (count == 0)
            return null;
        var keys = _keys?.Peek() ?? default;
        var values = _values.Peek();
        var sources = stackalloc RowSource<TTime>[2];
        var pieces = 0;
        for (var from = 0; from < count; from += 65535)
        {
            sources[pieces++] = new RowSource<TTime>
            {
                Hashes = _hashes,
                Keys = keys.Data,
                KeyEnds = keys.Ends,
                Values = values.Data,
                ValueEnds = values.Ends,
                Times = _times,
                WideDiffs = _diffs,
                Position = from,
                End = Math.Min(count, from + 65535),
                Count = count,
            };
        }

        return tools.Sort(sources, pieces, count, keys.Bytes, values.Bytes, since);
    }

    // All but times and diffs, and the count.
    private void AppendRows(int count, ulong* hashes, in RowColumn keys, in RowColumn values)
    {
        if (Count + count > _rowsCapacity)
            Grow(Count + count);
        _keys?.AppendRange(keys, 0, count);
        _values.AppendRange(values, 0, count);
        Unsafe.CopyBlockUnaligned(_hashes + Count, hashes, (uint)count * sizeof(ulong));
    }

    // Rows that came since somebody last looked one up.
    private void Chain()
    {
        if (_chained == 0)
            new Span<int>(_heads, _rowsCapacity).Fill(-1);
        var mask = (uint)_rowsCapacity - 1;
        for (; _chained < Count; _chained++)
        {
            var head = _heads + (_hashes[_chained] & mask);
            _next[_chained] = *head;
            *head = _chained;
        }
    }

    private int Skip(int row, ulong hash, int limit)
    {
        while (row >= 0 && (row >= limit || _hashes[row] != hash))
            row = _next[row];
        return row;
    }

    private void Grow(int rows)
    {
        var capacity = Math.Max(RowsMin, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(rows, _rowsExpected)));
        var slabBytes = SlabPool.CapacityFor((long)capacity * _rowBytes);
        var columns = SlabPool.Rent(slabBytes);
        var hashes = (ulong*)columns;
        var times = (TTime*)(hashes + capacity);
        var diffs = (long*)(times + capacity);
        Unsafe.CopyBlockUnaligned(hashes, _hashes, (uint)Count * sizeof(ulong));
        Unsafe.CopyBlockUnaligned(times, _times, (uint)(Count * sizeof(TTime)));
        Unsafe.CopyBlockUnaligned(diffs, _diffs, (uint)Count * sizeof(long));
        SlabPool.Return(_columns, _columnsCapacity);
        _columns = columns;
        _columnsCapacity = slabBytes;
        _hashes = hashes;
        _times = times;
        _diffs = diffs;
        _heads = (int*)(diffs + capacity);
        _next = _heads + capacity;
        _rowsCapacity = capacity;
        _chained = 0;
    }
}
