using System.Collections.Immutable;
using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.Push;

/// <summary>Push among the clients of one process: a call of each subscriber. For tests and for everything-in-one-process.</summary>
public sealed class InProcessStatePush : IStatePush
{
    // Guards the map; subscribers are called outside of it, on a snapshot.
    private readonly Lock _lock = new();
    private readonly Dictionary<ShardId, ImmutableArray<Action<VersionedData>>> _subscribers = [];

    public bool IsConnected => true;

    public void Publish(ShardId shard, VersionedData diff)
    {
        ImmutableArray<Action<VersionedData>> subscribers;
        lock (_lock)
        {
            if (!_subscribers.TryGetValue(shard, out subscribers))
                return;
        }

        foreach (var subscriber in subscribers)
            subscriber(diff);
    }

    public IDisposable Subscribe(ShardId shard, Action<VersionedData> onDiff)
    {
        lock (_lock)
            _subscribers[shard] = _subscribers.GetValueOrDefault(shard, []).Add(onDiff);
        return new Subscription(() =>
        {
            lock (_lock)
            {
                var left = _subscribers[shard].Remove(onDiff);
                if (left.IsEmpty)
                    _subscribers.Remove(shard);
                else
                    _subscribers[shard] = left;
            }
        });
    }

    /// <summary>Whether anybody here follows the shard.</summary>
    internal bool HasSubscribers(ShardId shard)
    {
        lock (_lock)
            return _subscribers.ContainsKey(shard);
    }

    /// <summary>Every shard that somebody here follows.</summary>
    internal ShardId[] Subscribed()
    {
        lock (_lock)
            return [.. _subscribers.Keys];
    }
}

/// <summary>Runs an action once, on disposal.</summary>
internal sealed class Subscription(Action end) : IDisposable
{
    private Action? _end = end;

    public void Dispose() => Interlocked.Exchange(ref _end, null)?.Invoke();
}
