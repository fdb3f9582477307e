using System.Runtime.InteropServices;

namespace Materialize.Core.Memory;

/// <summary>Where slabs may go that do not fit memory.</summary>
/// <param name="Directory">On a file system of its own, best: only what is on it is used up. It exists.</param>
/// <param name="MemoryBytes">Slabs in memory beyond it are avoided: long-lived large ones then go to files.</param>
/// <param name="ScratchBytesMax">Of files.</param>
/// <param name="Failed">Told, from any thread and at most once in some seconds, why something that should have gone to a file stays in memory.</param>
public sealed record ScratchOptions(string Directory, long MemoryBytes, long ScratchBytesMax, Action<string> Failed);

/// <summary>
/// Slabs in memory-mapped files. A file has no name (or loses it at once): nothing stays behind, however the process ends.
/// </summary>
/// <remarks>
/// <para>Its blocks are reserved before it is mapped, so that a full disk is an error of the request and never a fault of some later write. When that fails, the slab is
/// given in memory instead: slower or too large is better than wrong, and who operates the process is told.</para>
/// <para>What the system keeps of a file in memory it takes back when it needs it. So that it need not come to that, and so that the process's resident size says something, pages are let go of
/// from time to time (<see cref="Trim"/>): they stay in the page cache while there is room, and come back by a fault.</para>
/// </remarks>
internal sealed unsafe partial class Scratch(ScratchOptions options)
{
    /// <summary>Smaller slabs stay in memory: files, mappings and faults have a price.</summary>
    public const long SlabBytesMin = 256 << 10;

    private const long RetryAfterMs = 5000;
    private const long TrimEveryMs = 50;
    private readonly Lock _gate = new(); // over _slabs and all that unmaps or advises a mapping of it
    private readonly Dictionary<nint, long> _slabs = [];
    private readonly long _residentBefore = ResidentFileBytes();
    private long _bytes;
    private long _failedUntil;
    private long _nextTrim;

    public long MemoryBytes => options.MemoryBytes;

    /// <summary>In files at present.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>A slab in a file, or null if that is not possible now.</summary>
    public byte* TryRent(long capacity)
    {
        if (Environment.TickCount64 < Volatile.Read(ref _failedUntil))
            return null;
        if (Interlocked.Add(ref _bytes, capacity) > options.ScratchBytesMax)
        {
            Interlocked.Add(ref _bytes, -capacity);
            return Fail($"{options.ScratchBytesMax} bytes of scratch files are in use, which is the limit");
        }

        var slab = Map(capacity, out var reason);
        if (slab == null)
        {
            Interlocked.Add(ref _bytes, -capacity);
            return Fail(reason!);
        }

        lock (_gate)
            _slabs.Add((nint)slab, capacity);
        return slab;
    }

    /// <summary>Whether it is one of ours.</summary>
    public bool Has(void* slab)
    {
        lock (_gate)
            return _slabs.ContainsKey((nint)slab);
    }

    /// <summary>Frees a slab; false if it is not ours.</summary>
    public bool TryReturn(void* slab)
    {
        lock (_gate)
        {
            if (!_slabs.Remove((nint)slab, out var capacity))
                return false;
            munmap(slab, (nuint)capacity);
            Interlocked.Add(ref _bytes, -capacity);
            return true;
        }
    }

    /// <summary>Gives the end of a slab back, file and mapping; <paramref name="capacity"/> is a multiple of the page size and what is left.</summary>
    public bool TryShrink(byte* slab, long capacity)
    {
        const int remove = 9;
        lock (_gate)
        {
            if (!_slabs.TryGetValue((nint)slab, out var old))
                return false;
            madvise(slab + capacity, (nuint)(old - capacity), remove); // where a file system cannot, its blocks go with the rest
            munmap(slab + capacity, (nuint)(old - capacity));
            _slabs[(nint)slab] = capacity;
            Interlocked.Add(ref _bytes, capacity - old);
            return true;
        }
    }

    /// <summary>Says what is read or written in order at present: <paramref name="ahead"/> bytes from <paramref name="position"/> on are fetched, those in [<paramref name="done"/>, position) let go of.</summary>
    public static void Advise(byte* slab, long capacity, long done, long position, long ahead)
    {
        const int willNeed = 3, dontNeed = 4;
        done &= ~4095L;
        position &= ~4095L;
        if (position > done)
            madvise(slab + done, (nuint)(position - done), dontNeed);
        ahead = Math.Min(ahead, capacity - position) & ~4095L;
        if (ahead > 0)
            madvise(slab + position, (nuint)ahead, willNeed);
    }

    /// <summary>Lets go of the pages of all files if they have become many. Any thread; mostly returns at once.</summary>
    public void Trim()
    {
        var now = Environment.TickCount64;
        var due = Volatile.Read(ref _nextTrim);
        if (now < due || Bytes == 0 || Interlocked.CompareExchange(ref _nextTrim, now + TrimEveryMs, due) != due)
            return;
        if (ResidentFileBytes() - _residentBefore > Math.Max(8 << 20, MemoryBytes / 4))
            LetGo();
    }

    private void LetGo()
    {
        lock (_gate)
        {
            foreach (var (slab, capacity) in _slabs)
                Advise((byte*)slab, capacity, 0, capacity, 0);
        }
    }

    // A reader that reads the file anew each time: a few microseconds.
    private static long ResidentFileBytes()
    {
        if (!OperatingSystem.IsLinux())
            return 0;
        var fields = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(fields[2], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }

    private byte* Fail(string reason)
    {
        var now = Environment.TickCount64;
        var until = Volatile.Read(ref _failedUntil);
        if (now >= until && Interlocked.CompareExchange(ref _failedUntil, now + RetryAfterMs, until) == until)
            options.Failed(reason);
        return null;
    }

    private byte* Map(long capacity, out string? reason)
    {
        const int readWrite = 2, create = 0x40, exclusive = 0x80, closeOnExec = 0x80000, temporary = 0x410000;
        const int ownerOnly = 0x180, protectReadWrite = 3, mapShared = 1;
        var fd = open(options.Directory, temporary | readWrite | closeOnExec, ownerOnly);
        if (fd < 0)
        {
            // Not every file system has files without a name.
            var path = Path.Combine(options.Directory, Path.GetRandomFileName());
            fd = open(path, create | exclusive | readWrite | closeOnExec, ownerOnly);
            if (fd < 0)
            {
                reason = $"no file can be made in {options.Directory}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}";
                return null;
            }

            unlink(path);
        }

        var error = posix_fallocate(fd, 0, capacity);
        if (error != 0)
        {
            close(fd);
            reason = $"{capacity} bytes cannot be had in {options.Directory}: {Marshal.GetPInvokeErrorMessage(error)}";
            return null;
        }

        var address = mmap(null, (nuint)capacity, protectReadWrite, mapShared, fd, 0);
        var mapError = Marshal.GetLastPInvokeError();
        close(fd); // the mapping keeps the file
        reason = (nint)address == -1 ? $"a file of {capacity} bytes cannot be mapped: {Marshal.GetPInvokeErrorMessage(mapError)}" : null;
        return (nint)address == -1 ? null : (byte*)address;
    }

    /// <summary>
    /// A page that the disk cannot give back, or take, is a fault wherever it is touched: nothing can go on with it. From now on it ends the process at once, as a SIGBUS that whoever started it sees
    /// (code 135), rather than as whatever the runtime makes of it.
    /// </summary>
    public static void EndAtFaults()
    {
        const int busError = 7;
        if (OperatingSystem.IsLinux())
            signal(busError, 0);
    }

    [LibraryImport("libc")]
    private static partial nint signal(int signal, nint action);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc")]
    private static partial int close(int fd);

    [LibraryImport("libc")]
    private static partial int posix_fallocate(int fd, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
