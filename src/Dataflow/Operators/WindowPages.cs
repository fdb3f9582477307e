using System.Numerics;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

// Most partitions are small, and then what is lost to rounding is a large part of what they take. So sizes are fine: eight to a doubling. And since partitions grow, whole populations of pages move from size to size: blocks of a size
// lie in slabs of their own, which go back to the pool when they are empty. (Lists of free blocks that nobody returns, one for each size, would after a while hold each partition's memory several times.)

/// <summary>
/// Native memory in pages from 8 bytes up, in steps of an eighth. The first 4 bytes of a page are the allocator's. A page is given back with the size it was asked for. Pages of more than <see cref="BlockMax"/> bytes are
/// slabs, which their owner returns; <see cref="Dispose"/> frees all others at once.
/// </summary>
internal sealed unsafe class WindowPages : IDisposable
{
    /// <summary>Largest page that shares a slab with others.</summary>
    public const int BlockMax = 4096;

    private const int FineMax = 128; // up to here sizes are multiples of 8
    private const int SlabMin = 1024;
    private const int SlabMax = 64 * 1024;
    private const int None = -1;
    private static readonly int ClassCount = ClassOf(BlockMax) + 1;
    private readonly int[] _room = new int[ClassCount];        // the first slab of a class that has room
    private readonly long[] _classBytes = new long[ClassCount]; // in slabs
    private Slab[] _slabs = new Slab[4];
    private int _slabCount;
    private int _freeSlab = None; // numbers that are not in use, by Next
    private long _largeBytes;

    public WindowPages()
    {
        Array.Fill(_room, None);
    }

    // Blocks of one class.
    private struct Slab
    {
        public byte* Address; // null: the number is free
        public int Bytes;
        public int BlockBytes;
        public int Class;
        public int Used;      // blocks
        public int Carved;    // bytes that were ever handed out
        public uint Free;     // a free block: its offset + 1, and its first 4 bytes say the next
        public int Next;      // slabs of the class with room
        public int Previous;
    }

    /// <summary>Pages that are slabs of their own.</summary>
    public int LargeCount { get; private set; }

    /// <summary>What a page of <paramref name="bytes"/> takes.</summary>
    public static long CapacityFor(long bytes) => bytes > BlockMax ? SlabPool.CapacityFor(bytes) : SizeOf(ClassOf((int)bytes));

    public byte* Rent(long bytes)
    {
        if (bytes > BlockMax)
        {
            var capacity = SlabPool.CapacityFor(bytes);
            _largeBytes += capacity;
            LargeCount++;
            return SlabPool.Rent(capacity);
        }

        var sizeClass = ClassOf((int)bytes);
        var number = _room[sizeClass];
        if (number == None)
            number = NewSlab(sizeClass);
        ref var slab = ref _slabs[number];
        byte* block;
        if (slab.Free != 0)
        {
            block = slab.Address + (slab.Free - 1);
            slab.Free = *(uint*)block;
        }
        else
        {
            block = slab.Address + slab.Carved;
            slab.Carved += slab.BlockBytes;
        }

        slab.Used++;
        if (slab.Free == 0 && slab.Carved + slab.BlockBytes > slab.Bytes)
            Unlink(number);
        *(int*)block = number;
        return block;
    }

    public void Return(byte* page, long bytes)
    {
        if (bytes > BlockMax)
        {
            var capacity = SlabPool.CapacityFor(bytes);
            _largeBytes -= capacity;
            LargeCount--;
            SlabPool.Return(page, capacity);
            return;
        }

        var number = *(int*)page;
        ref var slab = ref _slabs[number];
        if (slab.Free == 0 && slab.Carved + slab.BlockBytes > slab.Bytes)
            Link(number);
        *(uint*)page = slab.Free;
        slab.Free = (uint)(page - slab.Address) + 1;
        if (--slab.Used > 0)
            return;
        Unlink(number);
        SlabPool.Return(slab.Address, slab.Bytes);
        _classBytes[slab.Class] -= slab.Bytes;
        slab.Address = null;
        slab.Next = _freeSlab;
        _freeSlab = number;
    }

    public void Measure(StateMeter meter)
    {
        for (var i = 0; i < _slabCount; i++)
        {
            if (_slabs[i].Address != null)
                meter.Slab((long)_slabs[i].Used * _slabs[i].BlockBytes, _slabs[i].Bytes);
        }

        meter.Slabs(_largeBytes, LargeCount);
    }

    public void Dispose()
    {
        for (var i = 0; i < _slabCount; i++)
        {
            if (_slabs[i].Address != null)
                SlabPool.Return(_slabs[i].Address, _slabs[i].Bytes);
        }

        _slabCount = 0;
        _freeSlab = None;
        Array.Fill(_room, None);
    }

    private static int ClassOf(int bytes)
    {
        if (bytes <= FineMax)
            return (Math.Max(bytes, 1) - 1) / 8;
        var shift = BitOperations.Log2((uint)bytes - 1) - 3; // eight steps to a doubling
        return 16 + ((shift - 4) * 8) + ((bytes - 1) >> shift) - 8;
    }

    private static int SizeOf(int sizeClass)
    {
        if (sizeClass < 16)
            return (sizeClass + 1) * 8;
        var shift = ((sizeClass - 16) / 8) + 4;
        return (((sizeClass - 16) % 8) + 9) << shift;
    }

    // Slabs are a quarter of what the class has, so that few pages take little and many are in few slabs.
    private int NewSlab(int sizeClass)
    {
        var size = SizeOf(sizeClass);
        var bytes = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(_classBytes[sizeClass] / 4, Math.Max(SlabMin, size), SlabMax));
        var number = _freeSlab;
        if (number != None)
        {
            _freeSlab = _slabs[number].Next;
        }
        else
        {
            if (_slabCount == _slabs.Length)
                Array.Resize(ref _slabs, _slabCount * 2);
            number = _slabCount++;
        }

        _slabs[number] = new Slab { Address = SlabPool.Rent(bytes), Bytes = bytes, BlockBytes = size, Class = sizeClass, Next = None, Previous = None };
        _classBytes[sizeClass] += bytes;
        Link(number);
        return number;
    }

    private void Link(int number)
    {
        ref var slab = ref _slabs[number];
        var first = _room[slab.Class];
        slab.Next = first;
        slab.Previous = None;
        if (first != None)
            _slabs[first].Previous = number;
        _room[slab.Class] = number;
    }

    private void Unlink(int number)
    {
        ref var slab = ref _slabs[number];
        if (slab.Previous != None)
            _slabs[slab.Previous].Next = slab.Next;
        else
            _room[slab.Class] = slab.Next;
        if (slab.Next != None)
            _slabs[slab.Next].Previous = slab.Previous;
    }
}
