using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Materialize.Core.Memory;

/// <summary>
/// The process's native memory for rows: classes from 256 bytes to 16 MiB, powers of two up to 64 KiB and four to each doubling from there on, recycled and never unmapped, on 4 KiB
/// pages; larger requests are mappings of their own, with transparent huge pages, unmapped when freed. What stays free for a while
/// gives its pages back (<see cref="Trim"/>): a pool that kept the peak of a hydration would cost twice the state that came of it.
/// </summary>
/// <remarks>
/// <para>Why two regimes: huge pages everywhere made the kernel zero 2 MiB inside a small round (p99 of 20–30 ms, and again 25–38 against
/// 12–19 ms for join when the arenas were tried on them), huge pages nowhere made large merges pay a fault each 4 KiB (performance.md §1).
/// What is long-lived and read at random, as tables are, asks for <see cref="RentHuge"/>. Recycled memory is dirty: nobody may rely on
/// zeroes.</para>
/// <para>Any thread. Each class is a stack under a spin lock held for a few instructions, and small slabs mostly come from the thread's own
/// (<see cref="ThreadSlabs"/>), so that contention does not matter.</para>
/// </remarks>
public static unsafe partial class SlabPool
{
    private const int MinShift = 8;
    private const int MaxShift = 24;
    private const int FineShift = 16;  // from here on a doubling has four classes: a column wastes an eighth of its slab and not a third
    private const long ArenaBytes = 32L << 20;
    private const long PopulateBytes = 256L << 10;

    private const long TrimBytes = 16 << 10; // smaller slabs are few bytes in all, and each would be a system call

    private static readonly SizeClass[] Classes = MakeClasses();
    private static readonly Lock ArenaLock = new(); // guards the arena that slabs are carved from; held for arithmetic or one mmap
    private static byte* _arena;
    private static long _arenaLeft;
    private static byte* _populated; // where the arena's pages begin that have not been asked for
    private static long _bytesMapped;
    private static long _bytesUntouched; // of mappings, see NoteUntouched

    // Fixed when the process starts, so that the compiler drops the checks where it is off.
    private static readonly SlabTracker? Tracker = SlabTracker.Wanted ? new SlabTracker() : null;

    private static volatile Scratch? _scratch;

    /// <summary>Bytes handed out and not yet freed, in whole slabs, those in scratch files included, without what nobody has written to yet (<see cref="NoteUntouched"/>).</summary>
    public static long BytesInUse => ThreadSlabs.BytesInUse;

    /// <summary>Bytes that the process has from the system, in use or waiting to be; what <see cref="Trim"/> has given back does not count.</summary>
    public static long BytesHeld
    {
        get
        {
            var bytes = Volatile.Read(ref _bytesMapped);
            foreach (var size in Classes)
                bytes -= size.Trimmed * size.Bytes;
            return bytes;
        }
    }

    /// <summary>Gives the system the pages of slabs that have been free ever since the last call. To be called every few seconds, by one thread.</summary>
    /// <returns>Bytes given back.</returns>
    public static long Trim()
    {
        if (!OperatingSystem.IsLinux())
            return 0;
        var bytes = 0L;
        foreach (var size in Classes)
            bytes += size.Bytes < TrimBytes ? 0 : size.Trim() * size.Bytes;
        return bytes;
    }

    /// <summary>Of <see cref="BytesInUse"/>, what lies in scratch files and not in memory.</summary>
    public static long ScratchBytes => _scratch?.Bytes ?? 0;

    /// <summary>
    /// From now on large slabs that are to last (<see cref="RentLasting"/>) go to files once memory is used up. Once in a process; tests may end it by disposing
    /// the result, when no such slab is left.
    /// </summary>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    public static IDisposable UseScratch(ScratchOptions options)
    {
        if (!Directory.Exists(options.Directory))
            throw new DirectoryNotFoundException($"{options.Directory} is no directory");
        Invariant.Check(_scratch is null, "there is one scratch space");
        _scratch = new Scratch(options);
        Scratch.EndAtFaults();
        return new ScratchEnd();
    }

    /// <summary>Memory that may be used for slabs, where there is scratch space for more; else no limit is known.</summary>
    public static long MemoryBudget => _scratch?.MemoryBytes ?? long.MaxValue;

    /// <summary>Whether memory is used up, so that what would need much of it for a while should need less.</summary>
    public static bool IsShort => _scratch is { } scratch && BytesSpokenFor - scratch.Bytes > scratch.MemoryBytes;

    private static long BytesSpokenFor => BytesInUse + Volatile.Read(ref _bytesUntouched);

    /// <summary>Whether a slab lies in a scratch file.</summary>
    public static bool IsScratch(void* slab, long capacity) => capacity >= Scratch.SlabBytesMin && _scratch is { } scratch && scratch.Has(slab);

    /// <summary>
    /// As <see cref="Rent"/>, for what is written once, in order, and then kept: in a scratch file if memory is used up and there is scratch space.
    /// </summary>
    public static byte* RentLasting(long capacity)
    {
        if (capacity >= Scratch.SlabBytesMin && _scratch is { } scratch && BytesSpokenFor - scratch.Bytes + capacity > scratch.MemoryBytes)
        {
            var slab = scratch.TryRent(capacity);
            if (slab != null)
            {
                ThreadSlabs.Current.Count(capacity);
                Tracker?.Rented(slab, capacity);
                return slab;
            }
        }

        return Rent(capacity);
    }

    /// <summary>
    /// For a slab in a scratch file (see <see cref="IsScratch"/>) that is gone through in order: what lies in [<paramref name="done"/>, <paramref name="position"/>) will not be needed soon,
    /// the <paramref name="ahead"/> bytes from there on will.
    /// </summary>
    public static void Advise(void* slab, long capacity, long done, long position, long ahead = 0) => Scratch.Advise((byte*)slab, capacity, done, position, ahead);

    /// <summary>Keeps what of scratch files is in memory small. Call now and then, from any thread; mostly returns at once.</summary>
    public static void TrimScratch() => _scratch?.Trim();

    /// <summary>What a request for <paramref name="bytes"/> really gets: always at least that much.</summary>
    public static long CapacityFor(long bytes) =>
        bytes <= 1L << MinShift ? 1L << MinShift
        : bytes <= 1L << FineShift ? (long)BitOperations.RoundUpToPowerOf2((ulong)bytes)
        : bytes <= 1L << MaxShift ? FineCapacity(bytes)
        : (bytes + 4095) & ~4095L;

    /// <summary>Memory of <paramref name="capacity"/> bytes, which must be a value of <see cref="CapacityFor"/>; contents are undefined.</summary>
    public static byte* Rent(long capacity)
    {
        Debug.Assert(capacity == CapacityFor(capacity), "ask CapacityFor first");
        byte* slab;
        var own = ThreadSlabs.Current;
        if (capacity > 1L << MaxShift)
        {
            slab = Map(capacity, huge: true);
        }
        else
        {
            var index = ClassOf(capacity);
            slab = capacity <= ThreadSlabs.SlabBytesMax ? own.Pop(index) : Take(index);
            if (slab == null)
                slab = Carve(capacity);
        }

        own.Count(capacity);
        Tracker?.Rented(slab, capacity);
        return slab;
    }

    /// <summary>
    /// A mapping of its own on huge pages, zeroed: for what lives long and is read at random, where a miss of the address cache costs as much as
    /// that of the data.
    /// </summary>
    /// <param name="capacity">A multiple of 4 KiB; worth it from some MiB on.</param>
    public static byte* RentHuge(long capacity)
    {
        ThreadSlabs.Current.Count(capacity);
        var slab = Map(capacity, huge: true);
        Tracker?.Rented(slab, capacity);
        return slab;
    }

    /// <summary>Gives back what <see cref="RentHuge"/> gave, with the same capacity.</summary>
    public static void ReturnHuge(void* slab, long capacity)
    {
        ThreadSlabs.Current.Count(-capacity);
        Tracker?.Returned((byte*)slab, capacity);
        Unmap(slab, capacity);
    }

    /// <summary>Whether a slab of that capacity is a mapping of its own: what of it was never written to takes no memory.</summary>
    public static bool IsMapping(void* slab, long capacity) => capacity > 1L << MaxShift && !IsScratch(slab, capacity);

    /// <summary>
    /// So many bytes more (or fewer, if negative) of mappings (<see cref="IsMapping"/>) have not been written to. Who says so takes it back as they are, and before the slab is returned.
    /// </summary>
    public static void NoteUntouched(long bytes)
    {
        Interlocked.Add(ref _bytesUntouched, bytes);
        ThreadSlabs.Current.Count(-bytes);
    }

    /// <summary>A point in time for <see cref="Outstanding"/>; 0 unless slabs are tracked.</summary>
    public static long Mark() => Tracker?.Mark ?? 0;

    /// <summary>
    /// Slabs rented since <paramref name="mark"/> and not returned, with who rented them. Nothing unless slabs are tracked, which environment variable MATERIALIZE_TRACK_SLABS=1 turns on at the start of the process; then returning
    /// what was not rented, or with another capacity, ends the process's thread with an <see cref="InvariantViolationException"/>.
    /// </summary>
    public static IReadOnlyList<string> Outstanding(long mark = 0) => Tracker?.Outstanding(mark) ?? [];

    /// <summary>Gives back what <see cref="Rent"/> gave, with the same capacity. Null is ignored.</summary>
    public static void Return(void* slab, long capacity)
    {
        if (slab == null)
            return;
        var own = ThreadSlabs.Current;
        own.Count(-capacity);
        Tracker?.Returned((byte*)slab, capacity);
        if (capacity >= Scratch.SlabBytesMin && _scratch is { } scratch && scratch.TryReturn(slab))
            return;
        if (capacity > 1L << MaxShift)
        {
            Unmap(slab, capacity);
            return;
        }

#if DEBUG
        NativeMemory.Fill(slab, (nuint)Math.Min(capacity, 4096), 0xDD); // a reader of freed rows should see nonsense
#endif
        if (capacity <= ThreadSlabs.SlabBytesMax)
            own.Push(ClassOf(capacity), (byte*)slab);
        else
            GiveBack(ClassOf(capacity), (byte*)slab);
    }

    /// <summary>
    /// <see cref="Return"/> for what is freed as other memory fills up: nothing as large is wanted soon, so the system has the pages at once.
    /// </summary>
    public static void ReturnCold(void* slab, long capacity)
    {
        if (capacity is < TrimBytes or > 1L << MaxShift || !CanTrim || (capacity >= Scratch.SlabBytesMin && _scratch is not null))
        {
            Return(slab, capacity);
            return;
        }

        ThreadSlabs.Current.Count(-capacity);
        Tracker?.Returned((byte*)slab, capacity);
        Classes[ClassOf(capacity)].PushCold((byte*)slab);
    }

    /// <summary>A free slab of a class, if there is one that no thread keeps to itself.</summary>
    internal static byte* Take(int index) => Classes[index].Pop();

    /// <summary>Makes a slab of a class free for all.</summary>
    internal static void GiveBack(int index, byte* slab) => Classes[index].Push(slab);

    // In (2^s, 2^(s + 1)]: the next multiple of a quarter of 2^s.
    private static long FineCapacity(long bytes)
    {
        var step = 1L << (BitOperations.Log2((ulong)bytes - 1) - 2);
        return (bytes + step - 1) & -step;
    }

    private static int ClassOf(long capacity)
    {
        if (capacity <= 1L << FineShift)
            return BitOperations.Log2((ulong)capacity) - MinShift;
        var shift = BitOperations.Log2((ulong)capacity - 1);
        return FineShift - MinShift + 1 + ((shift - FineShift) * 4) + (int)(capacity >> (shift - 2)) - 5;
    }

    /// <summary>
    /// A slab of at least <paramref name="bytes"/> that begins with the first <paramref name="used"/> bytes of <paramref name="slab"/>,
    /// which is freed. Also shrinks: gives the slack back where that frees at least half.
    /// </summary>
    public static byte* Resize(byte* slab, ref long capacity, long used, long bytes)
    {
        var wanted = CapacityFor(bytes);
        if (slab != null && wanted == capacity)
            return slab;
        if (slab != null && wanted < capacity && wanted >= Scratch.SlabBytesMin && _scratch is { } scratch && scratch.TryShrink(slab, wanted))
        {
            ThreadSlabs.Current.Count(wanted - capacity);
            Tracker?.Returned(slab, capacity);
            Tracker?.Rented(slab, wanted);
            capacity = wanted;
            return slab;
        }

        if (slab != null && wanted < capacity && capacity > 1L << MaxShift && wanted > 1L << MaxShift && CanTrim)
        {
            // A mapping's tail can be given back in place.
            munmap(slab + wanted, (nuint)(capacity - wanted));
            Interlocked.Add(ref _bytesMapped, wanted - capacity);
            ThreadSlabs.Current.Count(wanted - capacity);
            Tracker?.Returned(slab, capacity);
            Tracker?.Rented(slab, wanted);
            capacity = wanted;
            return slab;
        }

        var fresh = Rent(wanted);
        if (used > 0)
            Buffer.MemoryCopy(slab, fresh, wanted, used);
        Return(slab, capacity);
        capacity = wanted;
        return fresh;
    }

    private sealed class ScratchEnd : IDisposable
    {
        public void Dispose()
        {
            Invariant.Check(ScratchBytes == 0, "scratch space ends when nothing is in it");
            _scratch = null;
        }
    }

    private static SizeClass[] MakeClasses()
    {
        var classes = new List<SizeClass>();
        for (var bytes = 1L << MinShift; bytes <= 1L << MaxShift; bytes = CapacityFor(bytes + 1))
            classes.Add(new SizeClass(bytes));
        return [.. classes];
    }

    private static byte* Carve(long capacity)
    {
        lock (ArenaLock)
        {
            if (_arenaLeft < capacity)
            {
                // What is left of the old arena goes to the free lists, largest class first.
                for (var shift = MaxShift; shift >= MinShift; shift--)
                {
                    while (_arenaLeft >= 1L << shift)
                    {
                        Classes[ClassOf(1L << shift)].Push(_arena);
                        _arena += 1L << shift;
                        _arenaLeft -= 1L << shift;
                    }
                }

                _arena = Map(ArenaBytes, huge: false);
                _populated = _arena;
                _arenaLeft = ArenaBytes;
            }

            var slab = _arena;
            if (capacity <= PopulateBytes && slab + capacity > _populated)
                Populate(slab, Math.Min(PopulateBytes, _arenaLeft));
            _arena += capacity;
            _arenaLeft -= capacity;
            return slab;
        }
    }

    // Pages that are about to be written to, all at once: a page of one's own is some 300 ns of faulting, a page of many half of that. Larger slabs are often not filled.
    private static void Populate(byte* from, long bytes)
    {
        AskForPages(from, bytes);
        _populated = from + bytes;
    }

    private static void AskForPages(byte* from, long bytes)
    {
        const int populateWrite = 23;
        const nint page = 4096;
        if (!OperatingSystem.IsLinux())
            return;
        var start = (nint)from & -page;
        var end = ((nint)from + (nint)bytes + page - 1) & -page;
        madvise((void*)start, (nuint)(end - start), populateWrite); // kernels before 5.14 refuse, and pages come one by one
    }

    private static bool CanTrim => OperatingSystem.IsLinux();

    private static byte* Map(long bytes, bool huge)
    {
        Interlocked.Add(ref _bytesMapped, bytes);
        if (!OperatingSystem.IsLinux())
        {
            var aligned = NativeMemory.AlignedAlloc((nuint)bytes, 4096);
            NativeMemory.Clear(aligned, (nuint)bytes);
            return (byte*)aligned;
        }

        const int readWrite = 3, privateAnonymous = 0x22, adviseHuge = 14, adviseNoHuge = 15;
        var address = mmap(null, (nuint)bytes, readWrite, privateAnonymous, -1, 0);
        if ((nint)address == -1)
            throw new OutOfMemoryException($"mmap of {bytes} bytes failed");
        madvise(address, (nuint)bytes, huge ? adviseHuge : adviseNoHuge); // advice only: its failure changes speed, not meaning
        return (byte*)address;
    }

    private static void Unmap(void* address, long bytes)
    {
        Interlocked.Add(ref _bytesMapped, -bytes);
        if (OperatingSystem.IsLinux())
            munmap(address, (nuint)bytes);
        else
            NativeMemory.AlignedFree(address);
    }

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);

    /// <summary>
    /// The free slabs of one size: a stack, so those at the bottom have been there longest. The first <see cref="Trimmed"/> of them have
    /// no pages; they get fresh ones when they are written to.
    /// </summary>
    private sealed class SizeClass(long bytes)
    {
        private nint[] _free = new nint[64];
        private int _count;
        private int _least;   // of _count since the last Trim
        private SpinLock _lock = new(enableThreadOwnerTracking: false);

        /// <summary>Of each slab.</summary>
        public long Bytes => bytes;

        public int Trimmed { get; private set; }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public byte* Pop()
        {
            var taken = false;
            _lock.Enter(ref taken);
            byte* slab = null;
            var hasPages = true;
            if (_count > 0)
            {
                slab = (byte*)_free[--_count];
                _least = Math.Min(_least, _count);
                hasPages = Trimmed <= _count;
                if (!hasPages)
                    Trimmed = _count;
            }

            _lock.Exit(useMemoryBarrier: true);
            if (!hasPages && bytes <= PopulateBytes)
                AskForPages(slab, bytes);
            return slab;
        }

        public void Push(byte* slab)
        {
            var taken = false;
            _lock.Enter(ref taken);
            if (_count == _free.Length)
                Array.Resize(ref _free, _count * 2);
            _free[_count++] = (nint)slab;
            _lock.Exit(useMemoryBarrier: true);
        }

        /// <summary>Takes the pages from a slab and puts it below those that have theirs.</summary>
        public void PushCold(byte* slab)
        {
            TakePages((nint)slab);
            var taken = false;
            _lock.Enter(ref taken);
            if (_count == _free.Length)
                Array.Resize(ref _free, _count * 2);
            _free[_count++] = _free[Trimmed];
            _free[Trimmed++] = (nint)slab;
            _lock.Exit(useMemoryBarrier: true);
        }

        /// <summary>Returns how many slabs it has taken the pages from.</summary>
        public int Trim()
        {
            var trimmed = 0;

            // One slab under each lock: others are held up by one system call, not by hundreds.
            while (true)
            {
                var taken = false;
                _lock.Enter(ref taken);
                if (Trimmed >= _least)
                {
                    _least = _count;
                    _lock.Exit(useMemoryBarrier: true);
                    return trimmed;
                }

                TakePages(_free[Trimmed]);
                Trimmed++;
                trimmed++;
                _lock.Exit(useMemoryBarrier: true);
            }
        }

        // A slab need not begin where a page does: the pages that are wholly its own.
        private void TakePages(nint slab)
        {
            const int dontNeed = 4, page = 4096;
            var start = (slab + page - 1) & -page;
            var end = (slab + (nint)bytes) & -page;
            madvise((void*)start, (nuint)(end - start), dontNeed);
        }
    }
}
