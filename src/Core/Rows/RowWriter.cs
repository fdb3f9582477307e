using Materialize.Core.Memory;

namespace Materialize.Core.Rows;

/// <summary>
/// Appends rows of one shape to native memory that it owns and grows. Rows lie back to back; rows of variable width also have
/// their end offsets recorded. Addresses of earlier rows move when it grows: hold indexes, not pointers, while writing.
/// </summary>
/// <remarks>One thread. Disposing frees the memory; <see cref="Clear"/> keeps it for the next batch.</remarks>
public sealed unsafe class RowWriter : IDisposable
{
    private const long ForecastMax = 1 << 20;
    private byte* _data;
    private long _capacity;
    private long _used;
    private uint* _ends;
    private int _endsCapacity;
    private long _endsBytes;
    private SizeForecast _bytesForecast;
    private SizeForecast _rowsForecast; // of variable width

    public RowWriter(RowShape shape)
    {
        Shape = shape;
    }

    public RowShape Shape { get; }

    /// <summary>Rows appended.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of all rows appended.</summary>
    public long Bytes => _used;

    /// <summary>First byte of row 0.</summary>
    public byte* Data => _data;

    /// <summary>For variable shapes, <c>Ends[i]</c> is the offset just past row i; null for fixed shapes.</summary>
    public uint* Ends => _ends;

    /// <summary>Room for one row of <paramref name="bytes"/>; valid until the next call. Appended only by <see cref="Commit"/>.</summary>
    public byte* Reserve(int bytes)
    {
        if (_used + bytes > _capacity || _data == null)
            Grow(bytes);
        return _data + _used;
    }

    /// <summary><see cref="Reserve"/> for generated code, which has no pointer types.</summary>
    public nint ReserveAddress(int bytes) => (nint)Reserve(bytes);

    /// <summary>Appends the row just written into the last <see cref="Reserve"/>, <paramref name="bytes"/> long.</summary>
    public void Commit(int bytes)
    {
        _used += bytes;
        if (!Shape.IsFixed)
        {
            if (Count == _endsCapacity)
                GrowEnds();
            _ends[Count] = checked((uint)_used);
        }

        Count++;
    }

    /// <summary>Appends a copy of <paramref name="row"/>.</summary>
    public void Append(ReadOnlySpan<byte> row)
    {
        row.CopyTo(new Span<byte>(Reserve(row.Length), row.Length));
        Commit(row.Length);
    }

    /// <summary>The bytes of row <paramref name="index"/>; valid until the next append.</summary>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
            if (Shape.IsFixed)
                return new ReadOnlySpan<byte>(_data + ((long)index * Shape.Width), Shape.Width);
            var start = index == 0 ? 0 : _ends[index - 1];
            return new ReadOnlySpan<byte>(_data + start, (int)(_ends[index] - start));
        }
    }

    /// <summary>Address of a row; valid until the next append.</summary>
    public byte* AddressOf(int index) =>
        Shape.Width >= 0 ? _data + ((long)index * Shape.Width) : _data + (index == 0 ? 0 : _ends[index - 1]);

    public int LengthOf(int index) =>
        Shape.Width >= 0 ? Shape.Width : (int)(_ends[index] - (index == 0 ? 0 : _ends[index - 1]));

    /// <summary>Whether row <paramref name="index"/> is the <paramref name="length"/> bytes at <paramref name="row"/>.</summary>
    public bool RowEquals(int index, byte* row, int length) =>
        LengthOf(index) == length && RowBytes.AreEqual(AddressOf(index), row, length);

    /// <summary>Forgets the rows, keeps the memory.</summary>
    public void Clear()
    {
        Count = 0;
        _used = 0;
    }

    /// <summary>Appends a copy of <paramref name="length"/> bytes at <paramref name="row"/>.</summary>
    public void Append(byte* row, int length)
    {
        RowBytes.Copy(Reserve(length), row, length);
        Commit(length);
    }

    /// <summary>Appends copies of rows [<paramref name="from"/>, <paramref name="from"/> + <paramref name="count"/>) of <paramref name="source"/>, of the same shape.</summary>
    public void AppendRange(in RowColumn source, int from, int count)
    {
        if (count == 0)
            return;
        if (Shape.IsFixed)
        {
            var bytes = (long)count * Shape.Width;
            if (_used + bytes > _capacity)
                Grow(bytes);
            Buffer.MemoryCopy(source.Data + ((long)from * Shape.Width), _data + _used, bytes, bytes);
            _used += bytes;
            Count += count;
            return;
        }

        var start = from == 0 ? 0 : source.Ends[from - 1];
        var total = source.Ends[from + count - 1] - start;
        if (_used + total > _capacity)
            Grow(total);
        Buffer.MemoryCopy(source.Data + start, _data + _used, total, total);
        while (Count + count > _endsCapacity)
            GrowEnds();
        var shift = _used - start;
        _ = checked((uint)(_used + total));
        for (var i = 0; i < count; i++)
            _ends[Count + i] = (uint)(source.Ends[from + i] + shift);
        _used += total;
        Count += count;
    }

    /// <summary>Appends copies of rows <paramref name="from"/> + rows[j], for j below <paramref name="count"/>, of <paramref name="source"/>, of the same shape.</summary>
    public void AppendSelected(in RowColumn source, int from, int* rows, int count)
    {
        if (Shape.IsFixed)
            source.CopySelected(from, rows, count, AppendFixed(count));
        else
            AppendSelectedVariable(source, from, rows, count);
    }

    private void AppendSelectedVariable(in RowColumn source, int from, int* rows, int count)
    {
        var total = 0L;
        for (var j = 0; j < count; j++)
            total += source.Length(from + rows[j]);
        EnsureBytes(total);
        while (Count + count > _endsCapacity)
            GrowEnds();
        _ = checked((uint)(_used + total));
        var ends = _ends + Count;
        for (var j = 0; j < count; j++)
        {
            var length = source.Length(from + rows[j]);
            RowBytes.Copy(_data + _used, source.Address(from + rows[j]), length);
            _used += length;
            ends[j] = (uint)_used;
        }

        Count += count;
    }

    /// <summary>Appends <paramref name="count"/> rows of a fixed shape to be filled in by the caller; returns the address of the first.</summary>
    public byte* AppendFixed(int count)
    {
        var bytes = (long)count * Shape.Width;
        if (_used + bytes > _capacity)
            Grow(bytes);
        var first = _data + _used;
        _used += bytes;
        Count += count;
        return first;
    }

    /// <summary>Room for that many more rows of a fixed shape (nothing for others), so that they come without growth.</summary>
    public void EnsureRows(int rows)
    {
        var bytes = Shape.IsFixed ? (long)rows * Shape.Width : 0;
        if (_used + bytes > _capacity)
            Grow(bytes);
    }

    /// <summary>Room for that many more bytes of rows.</summary>
    public void EnsureBytes(long bytes)
    {
        if (_used + bytes > _capacity)
            Grow(bytes);
    }

    /// <summary>Forgets all rows but the first <paramref name="count"/>.</summary>
    public void Truncate(int count)
    {
        if (count >= Count)
            return;
        _used = Shape.IsFixed ? (long)count * Shape.Width : count == 0 ? 0 : _ends[count - 1];
        Count = count;
    }

    /// <summary>Hands over the rows and their memory; the writer begins anew with none.</summary>
    public RowColumn Detach()
    {
        var column = Peek();
        _bytesForecast.Note(_used);
        _rowsForecast.Note(Count);
        _data = null;
        _ends = null;
        _capacity = 0;
        _endsCapacity = 0;
        _endsBytes = 0;
        Clear();
        return column;
    }

    /// <summary>The rows, still owned by the writer and valid until its next append.</summary>
    public RowColumn Peek() => new()
    {
        Shape = Shape,
        Data = _data,
        DataCapacity = _capacity,
        Ends = _ends,
        EndsCapacity = _endsBytes,
        Count = Count,
        Bytes = _used,
    };

    public void Dispose() => Release();

    /// <summary>Gives the memory back until there are rows again.</summary>
    public void Release() => Detach().Free();

    private void Grow(long bytes)
    {
        // Doubling up to a large slab, then by half: a mapping of its own is copied at each growth.
        var wanted = _data == null ? Math.Min(_bytesForecast.Next, ForecastMax) : _capacity + (_capacity >= 16 << 20 ? _capacity / 2 : _capacity);
        _data = SlabPool.Resize(_data, ref _capacity, _used, Math.Max(wanted, _used + bytes));
    }

    private void GrowEnds()
    {
        var wanted = _ends == null ? Math.Min(_rowsForecast.Next * sizeof(uint), ForecastMax) : _endsBytes * 2;
        _ends = (uint*)SlabPool.Resize((byte*)_ends, ref _endsBytes, (long)Count * sizeof(uint), Math.Max(wanted, sizeof(uint)));
        _endsCapacity = (int)Math.Min(_endsBytes / sizeof(uint), int.MaxValue);
    }
}
