using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Entries of one size in the order they were added, in native memory. They come into slabs that never move, but for the first, which grows by doubling so that a short log is small; slabs go back as soon as what is in them is done with.
/// </summary>
internal sealed unsafe class EntryLog : IDisposable
{
    private const int SlabBytes = 64 << 10;
    private readonly int _stride;
    private readonly int _shift;      // log of the entries of a slab
    private readonly long _slabBytes; // of each but the first
    private readonly List<nint> _slabs = [];
    private long _firstCapacity;
    private int _released;            // slabs before are gone
    private byte* _next;
    private byte* _end;

    /// <param name="stride">Bytes of an entry.</param>
    public EntryLog(int stride)
    {
        _stride = stride;
        while ((long)stride << (_shift + 1) <= SlabBytes)
            _shift++;
        _slabBytes = SlabPool.CapacityFor((long)stride << _shift);
    }

    public int Count { get; private set; }

    /// <summary>An entry; valid until the next is added.</summary>
    public byte* this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (byte*)_slabs[index >> _shift] + ((long)(index & ((1 << _shift) - 1)) * _stride);
    }

    /// <summary>Room for another entry, to be written at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Add()
    {
        if (_next == _end)
            Grow();
        var entry = _next;
        _next += _stride;
        Count++;
        return entry;
    }

    /// <summary>Entries before this one will not be looked at any more.</summary>
    public void ReleaseBefore(int index)
    {
        for (var end = Math.Min(index, Count) >> _shift; _released < end; _released++)
        {
            SlabPool.Return((void*)_slabs[_released], CapacityOf(_released));
            _slabs[_released] = 0;
        }
    }

    /// <summary>Forgets all entries. A first slab that was not released is kept for the next.</summary>
    public void Clear()
    {
        var isKept = _released == 0 && _slabs.Count > 0;
        for (var i = isKept ? 1 : _released; i < _slabs.Count; i++)
            SlabPool.Return((void*)_slabs[i], CapacityOf(i));
        _slabs.RemoveRange(isKept ? 1 : 0, _slabs.Count - (isKept ? 1 : 0));
        if (!isKept)
            _firstCapacity = 0;
        _released = 0;
        Count = 0;
        _next = isKept ? (byte*)_slabs[0] : null;
        _end = isKept ? _next + FirstBytes() : null;
    }

    public void Measure(StateMeter meter)
    {
        var used = (long)(Count - (_released << _shift)) * _stride;
        for (var i = _released; i < _slabs.Count; i++)
        {
            meter.Slab(Math.Min(used, CapacityOf(i)), CapacityOf(i));
            used -= Math.Min(used, CapacityOf(i));
        }
    }

    public void Dispose()
    {
        for (var i = _released; i < _slabs.Count; i++)
            SlabPool.Return((void*)_slabs[i], CapacityOf(i));
        _slabs.Clear();
        _released = 0;
        _firstCapacity = 0;
        Count = 0;
        _next = null;
        _end = null;
    }

    private long CapacityOf(int slab) => slab == 0 ? _firstCapacity : _slabBytes;

    private long FirstBytes() => Math.Min(1L << _shift, _firstCapacity / _stride) * _stride;

    private void Grow()
    {
        if (_slabs.Count > 1 || Count == 1 << _shift)
        {
            _slabs.Add((nint)SlabPool.Rent(_slabBytes));
            _next = (byte*)_slabs[^1];
            _end = _next + ((long)_stride << _shift);
            return;
        }

        var used = (long)Count * _stride;
        var first = SlabPool.Resize(_slabs.Count == 0 ? null : (byte*)_slabs[0], ref _firstCapacity, used, Math.Max(_stride, _firstCapacity * 2));
        if (_slabs.Count == 0)
            _slabs.Add((nint)first);
        else
            _slabs[0] = (nint)first;
        _next = first + used;
        _end = first + FirstBytes();
    }
}
