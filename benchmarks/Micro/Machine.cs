using System.Diagnostics;
using System.Globalization;

namespace Materialize.Micro;

/// <summary>Processor time of the calling thread.</summary>
internal static partial class ThreadTime
{
    public static double Seconds()
    {
        const int threadProcessorTime = 3;
        _ = clock_gettime(threadProcessorTime, out var time);
        return time.Seconds + (time.Nanoseconds * 1e-9);
    }

    [System.Runtime.InteropServices.LibraryImport("libc")]
    private static partial int clock_gettime(int clock, out TimeSpec time);

    private record struct TimeSpec(long Seconds, long Nanoseconds);
}

/// <summary>How fast this machine is just now: what figures are scaled by.</summary>
internal static unsafe class Calibration
{
    private const int Window = 1 << 14;

    // Made once: garbage would be part of the peak memory of what is measured.
    private static readonly ulong[] _hashes = RandomHashes();
    private static readonly (ulong, int)[] _entries = new (ulong, int)[Window];
    private static readonly int[] _buckets = new int[Window * 2];

    /// <summary>Up to how many milliseconds the machine counts as quiet: <c>QUIET</c> in the environment. Without it, it always does.</summary>
    public static double QuietMax { get; } = double.TryParse(Environment.GetEnvironmentVariable("QUIET"), CultureInfo.InvariantCulture, out var quiet) ? quiet : double.PositiveInfinity;

    /// <summary>As <see cref="Run"/>, once the machine is quiet, or half a minute has passed: others on a shared machine come and go.</summary>
    public static double RunWhenQuiet()
    {
        var waited = Stopwatch.StartNew();
        var calibration = Run();
        for (; calibration > QuietMax && waited.Elapsed < TimeSpan.FromSeconds(30); calibration = Run())
            Thread.Sleep(500); // nobody tells when the others are done
        return calibration;
    }

    /// <summary>Runs again, at most three times, what others disturbed; returns that which they disturbed least.</summary>
    /// <param name="calibrationOf">The most that the calibration took around it.</param>
    /// <param name="isFinal">Whether it is to be taken as it is: a wrong result is not passed over.</param>
    public static T Quietest<T>(Func<T> run, Func<T, double> calibrationOf, Func<T, bool> isFinal)
    {
        var best = run();
        for (var again = 0; again < 3 && !isFinal(best) && calibrationOf(best) > QuietMax; again++)
        {
            var other = run();
            if (isFinal(other) || calibrationOf(other) < calibrationOf(best))
                best = other;
        }

        return best;
    }

    /// <summary>Milliseconds of processor time to sort 1 M (hash, index) pairs in windows of 16 k by a counting pass and to touch 64 MiB of fresh pages.</summary>
    public static double Run()
    {
        var (hashes, entries, buckets) = (_hashes, _entries, _buckets);
        var start = ThreadTime.Seconds();
        for (var w = 0; w < hashes.Length; w += Window)
        {
            Array.Clear(buckets);
            for (var i = 0; i < Window; i++)
                buckets[hashes[w + i] >> 49]++;
            var sum = 0;
            for (var b = 0; b < buckets.Length; b++)
                (buckets[b], sum) = (sum, sum + buckets[b]);
            for (var i = 0; i < Window; i++)
                entries[buckets[hashes[w + i] >> 49]++] = (hashes[w + i], i);
        }

        var bytes = (nuint)(64 << 20);
        var pages = (byte*)System.Runtime.InteropServices.NativeMemory.Alloc(bytes);
        for (nuint p = 0; p < bytes; p += 4096)
            pages[p] = 1;
        System.Runtime.InteropServices.NativeMemory.Free(pages);
        return (ThreadTime.Seconds() - start) * 1000;
    }

    private static ulong[] RandomHashes()
    {
        var rng = new Rng(7);
        var hashes = new ulong[1 << 20];
        for (var i = 0; i < hashes.Length; i++)
            hashes[i] = rng.Next();
        return hashes;
    }
}

/// <summary>What the process and the machine are.</summary>
internal static class Machine
{
    /// <summary>Forgets the peak of resident memory; returns what is resident, in bytes.</summary>
    public static long RestartPeak()
    {
        File.WriteAllText("/proc/self/clear_refs", "5");
        return Status("VmRSS:");
    }

    /// <summary>Most memory that the process had resident since then, in bytes.</summary>
    public static long PeakBytes() => Status("VmHWM:");

    private static long Status(string name)
    {
        foreach (var line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
                return long.Parse(line[name.Length..].Trim().Split(' ')[0]) * 1024;
        }

        return 0;
    }

    public static string Load => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    /// <summary>When, and on what.</summary>
    public static string Description =>
        FormattableString.Invariant($"Taken {DateTime.UtcNow:yyyy-MM-dd} on {Environment.ProcessorCount} processors ({Processor()}), .NET {Environment.Version}, system load {Load}.");

    private static string Processor()
    {
        const string name = "model name";
        if (!File.Exists("/proc/cpuinfo"))
            return "unknown";
        foreach (var line in File.ReadLines("/proc/cpuinfo"))
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
                return line[(line.IndexOf(':') + 1)..].Trim();
        }

        return "unknown";
    }
}

/// <summary>What the garbage collector does between <see cref="Start"/> and <see cref="Stop"/>. Looking costs some nanoseconds while it does nothing.</summary>
internal sealed class GcWatch
{
    private readonly List<TimeSpan> _pauses = [];
    private int _collections;
    private long _lastIndex;
    private long _allocatedBefore;
    private TimeSpan _pausedBefore;

    public TimeSpan Paused { get; private set; }

    public long Allocated { get; private set; }

    public int Pauses => _pauses.Count;

    public TimeSpan PauseP999 => _pauses.Count == 0 ? TimeSpan.Zero : _pauses.Order().ElementAt(Math.Min(_pauses.Count - 1, (int)(0.999 * _pauses.Count)));

    public void Start()
    {
        _pauses.Clear();
        _collections = GC.CollectionCount(0);
        _lastIndex = GC.GetGCMemoryInfo(GCKind.Any).Index;
        _allocatedBefore = GC.GetTotalAllocatedBytes();
        _pausedBefore = GC.GetTotalPauseDuration();
    }

    /// <summary>To be called often: of collections between two calls only the last one's pauses are seen.</summary>
    public void Look()
    {
        var collections = GC.CollectionCount(0);
        if (collections == _collections)
            return;
        _collections = collections;
        var info = GC.GetGCMemoryInfo(GCKind.Any);
        if (info.Index == _lastIndex)
            return;
        _lastIndex = info.Index;
        foreach (var pause in info.PauseDurations)
        {
            if (pause > TimeSpan.Zero)
                _pauses.Add(pause);
        }
    }

    public void Stop()
    {
        Allocated = GC.GetTotalAllocatedBytes() - _allocatedBefore;
        Paused = GC.GetTotalPauseDuration() - _pausedBefore;
    }
}
