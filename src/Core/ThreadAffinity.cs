using System.Runtime.InteropServices;

namespace Materialize.Core;

/// <summary>Keeps a thread on one processor.</summary>
public static unsafe partial class ThreadAffinity
{
    private const int MaskWords = 128; // 8192 processors, as many as the kernel knows of

    /// <summary>
    /// Keeps the calling thread on one of the processors that it may use: the <paramref name="ordinal"/>-th, starting again from the first when there are fewer.
    /// </summary>
    /// <returns>Whether the system did so; false on systems that cannot.</returns>
    public static bool TryPin(int ordinal)
    {
        if (!OperatingSystem.IsLinux())
            return false;
        var mask = stackalloc ulong[MaskWords];
        new Span<ulong>(mask, MaskWords).Clear();
        if (GetAffinity(0, MaskWords * sizeof(ulong), mask) != 0)
            return false;
        var allowed = new List<int>();
        for (var processor = 0; processor < MaskWords * 64; processor++)
        {
            if ((mask[processor >> 6] >> (processor & 63) & 1) != 0)
                allowed.Add(processor);
        }

        var chosen = allowed[ordinal % allowed.Count];
        new Span<ulong>(mask, MaskWords).Clear();
        mask[chosen >> 6] = 1UL << (chosen & 63);
        return SetAffinity(0, MaskWords * sizeof(ulong), mask) == 0;
    }

    // Thread 0 is the calling one; see sched_setaffinity(2).
    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nint bytes, ulong* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint bytes, ulong* mask);
}
