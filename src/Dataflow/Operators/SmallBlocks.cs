using System.Numerics;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Native memory in blocks from 32 bytes, for what operators keep beside each key. Blocks of up to 512 bytes are powers of two carved from slabs, with a list of
/// free ones for each size; larger ones are slabs. One owner; <see cref="Dispose"/> frees all carved blocks at once, larger ones their owner returns first.
/// </summary>
internal sealed unsafe class SmallBlocks : IDisposable
{
    private const int MinShift = 5;
    private const int MaxShift = 9;
    private readonly byte*[] _free = new byte*[MaxShift - MinShift + 1]; // a free block begins with the address of the next
    private readonly List<(nint Address, long Capacity)> _slabs = [];
    private byte* _carve;
    private long _carveLeft;
    private long _large;
    private int _largeBlocks;
    private long _rented; // of the small ones
    private long _bytes;

    /// <summary>What a request for <paramref name="bytes"/> gets.</summary>
    public static long CapacityFor(long bytes) =>
        bytes <= 1 << MinShift ? 1 << MinShift
        : bytes <= 1 << MaxShift ? (long)BitOperations.RoundUpToPowerOf2((ulong)bytes)
        : SlabPool.CapacityFor(bytes);

    /// <param name="capacity">A value of <see cref="CapacityFor"/>.</param>
    public byte* Rent(long capacity)
    {
        if (capacity > 1 << MaxShift)
        {
            _large += capacity;
            _bytes += capacity;
            _largeBlocks++;
            return SlabPool.Rent(capacity);
        }

        _rented += capacity;
        ref var free = ref _free[BitOperations.Log2((ulong)capacity) - MinShift];
        if (free != null)
        {
            var block = free;
            free = *(byte**)block;
            return block;
        }

        if (_carveLeft < capacity)
        {
            // Slabs double up to 1 MiB, so that few blocks take little. The rest of the old one is lost to this owner: under one block of the largest size.
            var size = SlabPool.CapacityFor(Math.Min(1 << 20, Math.Max(1024, _bytes - _large)));
            _carve = SlabPool.Rent(size);
            _carveLeft = size;
            _slabs.Add(((nint)_carve, size));
            _bytes += size;
        }

        var carved = _carve;
        _carve += capacity;
        _carveLeft -= capacity;
        return carved;
    }

    public void Return(byte* block, long capacity)
    {
        if (block == null)
            return;
        if (capacity > 1 << MaxShift)
        {
            _large -= capacity;
            _bytes -= capacity;
            _largeBlocks--;
            SlabPool.Return(block, capacity);
            return;
        }

        _rented -= capacity;
        ref var free = ref _free[BitOperations.Log2((ulong)capacity) - MinShift];
        *(byte**)block = free;
        free = block;
    }

    public void Measure(StateMeter meter)
    {
        var used = _rented;
        foreach (var (_, capacity) in _slabs)
        {
            meter.Slab(Math.Min(used, capacity), capacity);
            used -= Math.Min(used, capacity);
        }

        meter.Slabs(_large, _largeBlocks);
    }

    public void Dispose()
    {
        foreach (var (address, capacity) in _slabs)
            SlabPool.Return((void*)address, capacity);
        _slabs.Clear();
        Array.Clear(_free);
        _carveLeft = 0;
    }
}
