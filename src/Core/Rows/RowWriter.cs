using System.Runtime.InteropServices;

namespace Materialize.Core.Rows;

/// <summary>
/// Appends rows of one shape to native memory that it owns and grows. Rows lie back to back; rows of variable width also have
/// their end offsets recorded. Addresses of earlier rows move when it grows: hold indexes, not pointers, while writing.
/// </summary>
/// <remarks>One thread. Disposing frees the memory; <see cref="Clear"/> keeps it for the next batch.</remarks>
public sealed unsafe class RowWriter : IDisposable
{
    private byte* _data;
    private long _capacity;
    private long _used;
    private uint* _ends;
    private int _endsCapacity;

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
        if (_used + bytes > _capacity)
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

    /// <summary>Forgets the rows, keeps the memory.</summary>
    public void Clear()
    {
        Count = 0;
        _used = 0;
    }

    public void Dispose()
    {
        NativeMemory.Free(_data);
        NativeMemory.Free(_ends);
        _data = null;
        _ends = null;
        _capacity = 0;
        _endsCapacity = 0;
        Clear();
    }

    private void Grow(int bytes)
    {
        var capacity = Math.Max(Math.Max(_capacity * 2, 1024), _used + bytes);
        _data = (byte*)NativeMemory.Realloc(_data, checked((nuint)capacity));
        _capacity = capacity;
    }

    private void GrowEnds()
    {
        _endsCapacity = Math.Max(_endsCapacity * 2, 64);
        _ends = (uint*)NativeMemory.Realloc(_ends, (nuint)_endsCapacity * sizeof(uint));
    }
}
