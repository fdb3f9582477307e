using System.Diagnostics.CodeAnalysis;

namespace Materialize.Core.Collections;

/// <summary>A map of bounded size: a new entry takes the place of the one that was asked for longest ago. Not thread-safe.</summary>
public sealed class LruMap<TKey, TValue>
    where TKey : notnull
{
    private readonly Dictionary<TKey, LinkedListNode<(TKey Key, TValue Value)>> _nodes = [];
    private readonly LinkedList<(TKey Key, TValue Value)> _byUse = [];   // most recent first

    /// <param name="capacity">Entries at most; at least one.</param>
    public LruMap(int capacity)
    {
        Invariant.Check(capacity > 0, "a cache holds something");
        Capacity = capacity;
    }

    public int Capacity { get; }

    public int Count => _nodes.Count;

    /// <summary>Finds an entry, and counts as its use.</summary>
    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        if (!_nodes.TryGetValue(key, out var node))
        {
            value = default;
            return false;
        }

        if (!ReferenceEquals(node, _byUse.First))
        {
            _byUse.Remove(node);
            _byUse.AddFirst(node);
        }

        value = node.Value.Value;
        return true;
    }

    /// <summary>Adds or replaces an entry.</summary>
    public void Set(TKey key, TValue value)
    {
        if (_nodes.Remove(key, out var old))
            _byUse.Remove(old);
        else if (_nodes.Count == Capacity)
        {
            _nodes.Remove(_byUse.Last!.Value.Key);
            _byUse.RemoveLast();
        }

        _nodes.Add(key, _byUse.AddFirst((key, value)));
    }

    public void Clear()
    {
        _nodes.Clear();
        _byUse.Clear();
    }
}
