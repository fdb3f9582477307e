namespace Materialize.Core.Memory;

/// <summary>
/// Gives memory back that a burst of work has left behind: a hydration or a large COPY needs several times what it leaves, and neither the
/// slab pool nor the collector returns it while nothing else asks for it.
/// </summary>
/// <remarks>
/// The managed heap of this system is small where nothing goes wrong, rows being in slabs, so a blocking collection takes some
/// milliseconds. It is done once after a burst, when the process has become quiet, and not again before the next.
/// </remarks>
public sealed class MemoryTrimmer : IAsyncDisposable
{
    private const long WorthwhileBytes = 64L << 20;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly PeriodicTimer _timer;
    private readonly Task _running;
    private long _allocated = GC.GetTotalAllocatedBytes();
    private long _allocatedAtCollection = GC.GetTotalAllocatedBytes();

    /// <summary>Starts.</summary>
    public MemoryTrimmer(TimeProvider time)
    {
        _timer = new PeriodicTimer(Interval, time);
        _running = RunAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _running;
    }

    private async Task RunAsync()
    {
        while (await _timer.WaitForNextTickAsync())
        {
            SlabPool.Trim();
            var allocated = GC.GetTotalAllocatedBytes();
            var isQuiet = allocated - _allocated < WorthwhileBytes / 4;
            _allocated = allocated;
            if (!isQuiet || allocated - _allocatedAtCollection < WorthwhileBytes)
                continue;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            _allocatedAtCollection = allocated;
        }
    }
}
