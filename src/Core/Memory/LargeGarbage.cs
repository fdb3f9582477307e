namespace Materialize.Core.Memory;

/// <summary>
/// Lets the collector know of large arrays that will soon be garbage. It collects them with its oldest generation only, and lets that grow to several times what
/// is alive while memory is free: a merge of shard parts in the background would make gigabytes of a process that lives on a hundred megabytes.
/// </summary>
/// <remarks>Large arrays hold no references, so that a collection costs what the rest of the heap costs to mark, and most of it runs beside everything else.</remarks>
public static class LargeGarbage
{
    private const long CollectEveryBytes = 40L << 20;
    private static long _bytes;

    /// <summary>Counts arrays that are about to be dropped, or were. Any thread; mostly one addition.</summary>
    public static void Note(long bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) >= CollectEveryBytes && Interlocked.Exchange(ref _bytes, 0) >= CollectEveryBytes)
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: false, compacting: false);
    }
}
