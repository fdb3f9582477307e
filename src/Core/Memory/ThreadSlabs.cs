using System.Runtime.CompilerServices;

namespace Materialize.Core.Memory;

/// <summary>
/// A thread's own few free slabs of the small classes, and its part of the count of bytes in use: what is handed out and comes back in the course of one small update costs no locked instruction.
/// When a thread has ended, its finalizer gives all to the pool.
/// </summary>
internal sealed unsafe class ThreadSlabs
{
    /// <summary>Slabs of more than this many bytes are not kept by threads.</summary>
    public const long SlabBytesMax = 64 << 10;

    private const int SlabsMax = 8; // of a class: a megabyte in all
    private const int SlabsMoved = SlabsMax / 2;
    private const int Classes = 7;
    private static readonly Lock CountersLock = new();
    private static readonly List<Counter> Counters = [];
    private static long _ofEndedThreads;

    [ThreadStatic]
    private static ThreadSlabs? _current;

    private readonly Counter _inUse = new();
    private readonly int[] _counts = new int[Classes];
    private readonly nint[] _slabs = new nint[Classes * SlabsMax];

    private ThreadSlabs()
    {
        lock (CountersLock)
            Counters.Add(_inUse);
    }

    ~ThreadSlabs()
    {
        for (var i = 0; i < Classes; i++)
        {
            while (_counts[i] > 0)
                SlabPool.GiveBack(i, (byte*)_slabs[(i * SlabsMax) + --_counts[i]]);
        }

        lock (CountersLock)
        {
            Counters.Remove(_inUse);
            _ofEndedThreads += _inUse.Bytes;
        }
    }

    /// <summary>The running thread's.</summary>
    public static ThreadSlabs Current
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _current ?? (_current = new ThreadSlabs());
    }

    /// <summary>The sum of what all threads have counted.</summary>
    public static long BytesInUse
    {
        get
        {
            lock (CountersLock)
            {
                var bytes = _ofEndedThreads;
                foreach (var counter in Counters)
                    bytes += Volatile.Read(ref counter.Bytes);
                return bytes;
            }
        }
    }

    /// <summary>More bytes are in use, or fewer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Count(long bytes) => _inUse.Bytes += bytes;

    /// <summary>Null: the pool has none that is free.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Pop(int index)
    {
        ref var count = ref _counts[index];
        return count > 0 ? (byte*)_slabs[(index * SlabsMax) + --count] : SlabPool.Take(index);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Push(int index, byte* slab)
    {
        ref var count = ref _counts[index];
        if (count == SlabsMax)
            MoveSome(index);
        _slabs[(index * SlabsMax) + count++] = (nint)slab;
    }

    // The oldest go, the others are likely to be in the processor's cache.
    private void MoveSome(int index)
    {
        var slabs = _slabs.AsSpan(index * SlabsMax, SlabsMax);
        foreach (var slab in slabs[..SlabsMoved])
            SlabPool.GiveBack(index, (byte*)slab);
        slabs[SlabsMoved..].CopyTo(slabs);
        _counts[index] -= SlabsMoved;
    }

    // Outlives the thread until it is counted in.
    private sealed class Counter
    {
        public long Bytes;
    }
}
