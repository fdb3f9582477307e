using System.Collections.Concurrent;
using System.Diagnostics;

namespace Materialize.Core.Memory;

/// <summary>Who holds which slab: for finding leaks and double frees. Some microseconds a slab; off unless asked for.</summary>
internal sealed unsafe class SlabTracker
{
    private readonly ConcurrentDictionary<nint, (long Capacity, long Number, StackTrace Renter)> _rented = new();
    private long _next;

    /// <summary>Whether the process was started with tracking.</summary>
    public static bool Wanted => Environment.GetEnvironmentVariable("MATERIALIZE_TRACK_SLABS") == "1";

    public long Mark => Volatile.Read(ref _next);

    public void Rented(byte* slab, long capacity) =>
        Invariant.Check(
            _rented.TryAdd((nint)slab, (capacity, Interlocked.Increment(ref _next), new StackTrace(2, fNeedFileInfo: true))), "a slab that is handed out was not handed out");

    public void Returned(byte* slab, long capacity)
    {
        Invariant.Check(_rented.TryRemove((nint)slab, out var rented), "a slab is returned once");
        Invariant.Check(rented.Capacity == capacity, "a slab is returned with its capacity");
    }

    public IReadOnlyList<string> Outstanding(long mark) =>
        [.. _rented.Values.Where(r => r.Number > mark).OrderBy(r => r.Number).Select(r => $"{r.Capacity} bytes rented by\n{r.Renter}")];
}
