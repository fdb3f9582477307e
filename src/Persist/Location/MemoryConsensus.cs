using System.Runtime.CompilerServices;

namespace Materialize.Persist.Location;

/// <summary>Consensus in memory. The lock guards the map for the length of one operation; nothing is awaited under it.</summary>
public sealed class MemoryConsensus : IConsensus
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, List<VersionedData>> _logs = new(StringComparer.Ordinal);

    public ValueTask<VersionedData?> HeadAsync(string key, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        lock (_lock)
            return new(_logs.TryGetValue(key, out var log) ? log[^1] : null);
    }

    public ValueTask<bool> CompareAndSetAsync(string key, SeqNo? expected, VersionedData next, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        ConsensusArguments.CheckNext(expected, next);
        lock (_lock)
        {
            var has = _logs.TryGetValue(key, out var log);
            if ((has ? log![^1].SeqNo : (SeqNo?)null) != expected)
                return new(false);
            if (!has)
                _logs[key] = log = [];
            log!.Add(next with { Data = next.Data.ToArray() });
            return new(true);
        }
    }

    public ValueTask<IReadOnlyList<VersionedData>> ScanAsync(string key, SeqNo from, int limit, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (!_logs.TryGetValue(key, out var log))
                return new([]);
            return new(log.Where(e => e.SeqNo >= from).Take(limit).ToArray());
        }
    }

    public ValueTask<int> TruncateAsync(string key, SeqNo before, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (!_logs.TryGetValue(key, out var log) || log[^1].SeqNo < before)
                throw ConsensusArguments.NothingAtOrAfter(key, before);
            return new(log.RemoveAll(e => e.SeqNo < before));
        }
    }

    public async IAsyncEnumerable<string> ListKeysAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        string[] keys;
        lock (_lock)
            keys = [.. _logs.Keys];
        foreach (var key in keys)
            yield return key;
        await ValueTask.CompletedTask;
    }
}

/// <summary>The rules every implementation holds its callers to.</summary>
internal static class ConsensusArguments
{
    public static void CheckNext(SeqNo? expected, VersionedData next)
    {
        if (next.SeqNo <= (expected ?? default))
            throw new ArgumentException($"the next entry {next.SeqNo} must be beyond the expected {expected}", nameof(next));
        if (next.SeqNo.Value > long.MaxValue)
            throw new ArgumentException("sequence numbers are below 2^63", nameof(next));
    }

    public static ArgumentException NothingAtOrAfter(string key, SeqNo before) =>
        new($"cannot truncate \"{key}\" before {before}: it has no entry at or after that", nameof(before));
}
