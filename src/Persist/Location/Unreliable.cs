using System.Runtime.CompilerServices;

namespace Materialize.Persist.Location;

/// <summary>
/// Decides, from a seed, which calls of a wrapped store fail and how. A <em>determinate</em> failure does nothing and throws; an
/// <em>indeterminate</em> one throws either before or after the call was carried out.
/// </summary>
/// <param name="seed">Equal seeds and equal orders of calls give equal failures.</param>
/// <param name="failureShare">The share of calls that fail, from 0 to 1, at first.</param>
public sealed class Faults(int seed, double failureShare)
{
    // Calls come from several tasks; the lock keeps the generator whole.
    private readonly Lock _lock = new();
    private readonly Random _random = new(seed);

    /// <summary>The share of calls that fail; may be changed while running, for example to 0 to let a test end.</summary>
    public double FailureShare { get; set; } = failureShare;

    internal enum Fate
    {
        Works,
        FailsBefore,
        IndeterminateBefore,
        IndeterminateAfter,
    }

    internal Fate Next()
    {
        lock (_lock)
        {
            if (_random.NextDouble() >= FailureShare)
                return Fate.Works;
            return (Fate)_random.Next(1, 4);
        }
    }

    internal async ValueTask<T> CallAsync<T>(string what, Func<ValueTask<T>> call, bool changes)
    {
        switch (Next())
        {
            case Fate.FailsBefore:
                throw new DeterminateException($"injected: {what} did not happen");
            case Fate.IndeterminateBefore when changes:
                throw new IndeterminateException($"injected: {what} may have happened");
            case Fate.IndeterminateAfter when changes:
                await call();
                throw new IndeterminateException($"injected: {what} may have happened");
            case Fate.IndeterminateBefore or Fate.IndeterminateAfter:
                throw new DeterminateException($"injected: {what} failed");
            default:
                return await call();
        }
    }
}

/// <summary>A blob store that fails as <see cref="Faults"/> says.</summary>
public sealed class UnreliableBlob(IBlob inner, Faults faults) : IBlob
{
    public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancel) =>
        faults.CallAsync("get", () => inner.GetAsync(key, cancel), changes: false);

    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancel) =>
        await faults.CallAsync("set", async () =>
        {
            await inner.SetAsync(key, value, cancel);
            return true;
        }, changes: true);

    public ValueTask<bool> DeleteAsync(string key, CancellationToken cancel) =>
        faults.CallAsync("delete", () => inner.DeleteAsync(key, cancel), changes: true);

    public async IAsyncEnumerable<BlobEntry> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        await faults.CallAsync("list", () => new ValueTask<bool>(true), changes: false);
        await foreach (var entry in inner.ListAsync(prefix, cancel))
            yield return entry;
    }
}

/// <summary>A consensus that fails as <see cref="Faults"/> says.</summary>
public sealed class UnreliableConsensus(IConsensus inner, Faults faults) : IConsensus
{
    public ValueTask<VersionedData?> HeadAsync(string key, CancellationToken cancel) =>
        faults.CallAsync("head", () => inner.HeadAsync(key, cancel), changes: false);

    public ValueTask<bool> CompareAndSetAsync(string key, SeqNo? expected, VersionedData next, CancellationToken cancel) =>
        faults.CallAsync("compare-and-set", () => inner.CompareAndSetAsync(key, expected, next, cancel), changes: true);

    public ValueTask<IReadOnlyList<VersionedData>> ScanAsync(string key, SeqNo from, int limit, CancellationToken cancel) =>
        faults.CallAsync("scan", () => inner.ScanAsync(key, from, limit, cancel), changes: false);

    public ValueTask<int> TruncateAsync(string key, SeqNo before, CancellationToken cancel) =>
        faults.CallAsync("truncate", () => inner.TruncateAsync(key, before, cancel), changes: true);

    public async IAsyncEnumerable<string> ListKeysAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        await faults.CallAsync("list", () => new ValueTask<bool>(true), changes: false);
        await foreach (var key in inner.ListKeysAsync(cancel))
            yield return key;
    }
}
