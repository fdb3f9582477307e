using System.Runtime.Intrinsics.X86;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>Rows set apart for sorting, with all their columns in one slab, which the system has back when they are sorted.</summary>
/// <remarks>
/// Times and diffs are columns only where rows differ in them. Columns of rows of variable width are as long as the rows at hand let expect; the chunk is full when one of them is.
/// </remarks>
internal sealed unsafe class BulkChunk<TTime> where TTime : unmanaged, ITime<TTime>
{
    private const int RowsMax = 8192;
    private readonly byte* _slab;
    private readonly int _rowsMax;
    private readonly TTime _uniformTime;
    private readonly long _uniformDiff;
    private readonly ulong* _hashes;
    private readonly long* _diffs;
    private readonly TTime* _times;
    private Column _keys;
    private Column _values;

    /// <param name="batch">Where the first rows come from; others are expected to be as long.</param>
    /// <param name="row">The first of them, for which there is room in any case.</param>
    /// <param name="bytes">How large the slab is to be, unless the first row needs more.</param>
    /// <param name="hasTimes">Whether times and diffs are columns; else all rows have those that all of <paramref name="batch"/> have.</param>
    public BulkChunk(UpdateBatch<TTime> batch, int row, long bytes, bool hasTimes)
    {
        _keys = new Column(batch.Keys, batch.IsKeyed);
        _values = new Column(batch.Rows, exists: true);
        _uniformTime = batch.UniformTime;
        _uniformDiff = batch.UniformDiff;
        var timeBytes = hasTimes ? sizeof(TTime) + sizeof(long) : 0;
        var rowBytes = sizeof(ulong) + timeBytes + _keys.FixedBytes + _values.FixedBytes;
        var keyBytes = _keys.VariableBytes(batch.Keys, row);
        var valueBytes = _values.VariableBytes(batch.Rows, row);
        var expected = _keys.ExpectedBytes + _values.ExpectedBytes;
        Capacity = SlabPool.CapacityFor(Math.Max(bytes, rowBytes + keyBytes + valueBytes));
        _rowsMax = (int)Math.Min(RowsMax, Math.Clamp(Capacity / (rowBytes + expected), 1, (Capacity - keyBytes - valueBytes) / rowBytes));
        _slab = SlabPool.Rent(Capacity);

        // Numbers first, so that they are aligned; what is left is for rows of variable width.
        var at = _slab;
        _hashes = (ulong*)Take(ref at, sizeof(ulong));
        if (hasTimes)
        {
            _diffs = (long*)Take(ref at, sizeof(long));
            _times = (TTime*)Take(ref at, sizeof(TTime));
        }

        if (_keys.IsVariable)
            _keys.Ends = (uint*)Take(ref at, sizeof(uint));
        if (_values.IsVariable)
            _values.Ends = (uint*)Take(ref at, sizeof(uint));
        _keys.Data = _keys.IsVariable ? null : Take(ref at, _keys.FixedBytes);
        _values.Data = _values.IsVariable ? null : Take(ref at, _values.FixedBytes);
        var left = _slab + Capacity - at;
        var forKeys = expected == 0 ? 0 : Math.Clamp(left * _keys.ExpectedBytes / expected, keyBytes, left - valueBytes);
        _keys.PlaceVariable(at, forKeys);
        _values.PlaceVariable(at + forKeys, left - forKeys);
    }

    public int Count { get; private set; }

    /// <summary>Bytes of native memory.</summary>
    public long Capacity { get; }

    /// <summary>Whether rows of <paramref name="batch"/> may come to a chunk without columns of times and diffs.</summary>
    public bool MayTake(UpdateBatch<TTime> batch) =>
        _times != null || (batch.Times == null && batch.Diffs == null && batch.UniformTime.Equals(_uniformTime) && batch.UniformDiff == _uniformDiff);

    /// <summary>Copies as many of the rows as there is room for, and returns how many: fewer than <paramref name="count"/>, and the chunk is full. <see cref="MayTake"/> is true.</summary>
    public int Append(UpdateBatch<TTime> batch, int* rows, int count)
    {
        var keys = _keys.Append(batch.Keys, Count, rows, Math.Min(count, _rowsMax - Count));
        count = _values.Append(batch.Rows, Count, rows, keys);
        if (count < keys)
            _keys.Truncate(Count + count);
        for (var i = 0; i < count; i++)
            _hashes[Count + i] = batch.Hashes[rows[i]];
        for (var i = 0; _times != null && i < count; i++)
        {
            _times[Count + i] = batch.TimeAt(rows[i]);
            _diffs[Count + i] = batch.DiffAt(rows[i]);
        }

        Count += count;
        return count;
    }

    /// <summary>Brings into the cache where the next <paramref name="rows"/> will be written.</summary>
    public void PrefetchEnd(int rows)
    {
        if (!Sse.IsSupported)
            return;
        rows = Math.Min(rows, _rowsMax - Count);
        Prefetch((byte*)(_hashes + Count), rows * sizeof(ulong));
        _keys.PrefetchEnd(Count, rows);
        _values.PrefetchEnd(Count, rows);
    }

    public RowSource<TTime> Source => new()
    {
        Hashes = _hashes,
        Keys = _keys.Data,
        KeyEnds = _keys.Ends,
        Values = _values.Data,
        ValueEnds = _values.Ends,
        Times = _times,
        UniformTime = _uniformTime,
        WideDiffs = _diffs,
        UniformDiff = _uniformDiff,
        Count = Count,
        End = Count,
    };

    /// <summary>Bytes of keys, and of values.</summary>
    public (long Keys, long Values) RowBytes => (_keys.Bytes(Count), _values.Bytes(Count));

    public void Measure(StateMeter meter)
    {
        var each = sizeof(ulong) + (_times != null ? sizeof(TTime) + sizeof(long) : 0) + (_keys.IsVariable ? sizeof(uint) : 0) + (_values.IsVariable ? sizeof(uint) : 0);
        meter.Batch(Count);
        meter.Slab(((long)Count * each) + _keys.Bytes(Count) + _values.Bytes(Count), Capacity);
    }

    /// <summary>Once.</summary>
    public void Free() => SlabPool.ReturnCold(_slab, Capacity);

    private static void Prefetch(byte* from, int bytes)
    {
        const int line = 64;
        for (var at = 0; at < bytes; at += line)
            Sse.Prefetch0(from + at);
    }

    private byte* Take(ref byte* at, int width)
    {
        var column = at;
        at += (long)_rowsMax * width;
        return column;
    }

    // Keys or values. Without rows, keys that live in their hashes, it has width 0.
    private struct Column
    {
        public byte* Data;
        public uint* Ends;
        private readonly int _width;
        private uint _used;    // of Data, where rows are of variable width
        private uint _usedMax;

        public Column(in RowColumn like, bool exists)
        {
            _width = exists ? like.Shape.Width : 0;
            ExpectedBytes = IsVariable ? (int)(like.Bytes / like.Count) + 1 : 0;
        }

        public readonly bool IsVariable => _width < 0;

        /// <summary>Of a row, in columns whose length is known.</summary>
        public readonly int FixedBytes => IsVariable ? sizeof(uint) : _width;

        /// <summary>Of a row, beside.</summary>
        public int ExpectedBytes { get; }

        public readonly int VariableBytes(in RowColumn source, int row) => IsVariable ? source.Length(row) : 0;

        public readonly long Bytes(int count) => IsVariable ? _used : (long)count * _width;

        public void PlaceVariable(byte* at, long bytes)
        {
            if (!IsVariable)
                return;
            Data = at;
            _usedMax = (uint)bytes;
        }

        public readonly void PrefetchEnd(int count, int rows)
        {
            if (IsVariable)
            {
                Prefetch((byte*)(Ends + count), rows * sizeof(uint));
                Prefetch(Data + _used, Math.Min(rows * ExpectedBytes, (int)(_usedMax - _used)));
            }
            else
            {
                Prefetch(Data + ((long)count * _width), rows * _width);
            }
        }

        public void Truncate(int count)
        {
            if (IsVariable)
                _used = count == 0 ? 0 : Ends[count - 1];
        }

        /// <summary>Copies of the rows, the first first, as many as there is room for: how many.</summary>
        public int Append(in RowColumn source, int at, int* rows, int count)
        {
            if (IsVariable)
                return AppendVariable(source, at, rows, count);
            if (_width > 0)
                source.CopySelected(0, rows, count, Data + ((long)at * _width));
            return count;
        }

        private int AppendVariable(in RowColumn source, int at, int* rows, int count)
        {
            var data = Data;
            var from = source.Data;
            var ends = source.Ends;
            var (used, max) = (_used, _usedMax);
            var i = 0;
            for (; i < count; i++)
            {
                var row = rows[i];
                var start = row == 0 ? 0 : ends[row - 1];
                var length = ends[row] - start;
                if (length > max - used)
                    break;
                Core.Rows.RowBytes.Copy(data + used, from + start, (int)length);
                used += length;
                Ends[at + i] = used;
            }

            _used = used;
            return i;
        }
    }
}
