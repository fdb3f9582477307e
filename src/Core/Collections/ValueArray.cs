using System.Collections;
using System.Runtime.CompilerServices;

namespace Materialize.Core.Collections;

/// <summary>
/// An immutable array with structural equality, so that records that hold one (plans, types) compare by value.
/// <c>default</c> is the empty array. Written with collection expressions: <c>ValueArray&lt;int&gt; a = [1, 2];</c>
/// </summary>
[CollectionBuilder(typeof(ValueArray), nameof(ValueArray.Create))]
public readonly struct ValueArray<T> : IReadOnlyList<T>, IEquatable<ValueArray<T>>
{
    private readonly T[]? _items;

    internal ValueArray(T[] items)
    {
        _items = items;
    }

    public int Count => _items?.Length ?? 0;

    public T this[int index] => (_items ?? [])[index];

    public bool IsEmpty => Count == 0;

    public static ValueArray<T> Empty => default;

    public ReadOnlySpan<T> AsSpan() => _items;

    public ValueArray<TResult> Select<TResult>(Func<T, TResult> f)
    {
        var result = new TResult[Count];
        for (var i = 0; i < result.Length; i++)
            result[i] = f(_items![i]);
        return new ValueArray<TResult>(result);
    }

    public ValueArray<T> Add(T item) => [.. this, item];

    public ValueArray<T> Set(int index, T item)
    {
        var copy = AsSpan().ToArray();
        copy[index] = item;
        return new ValueArray<T>(copy);
    }

    public bool Equals(ValueArray<T> other)
    {
        if (ReferenceEquals(_items, other._items))
            return true;
        if (Count != other.Count)
            return false;
        for (var i = 0; i < Count; i++)
        {
            if (!EqualityComparer<T>.Default.Equals(_items![i], other._items![i]))
                return false;
        }

        return true;
    }

    public override bool Equals(object? obj) => obj is ValueArray<T> other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var item in AsSpan())
            hash.Add(item);
        return hash.ToHashCode();
    }

    public static bool operator ==(ValueArray<T> a, ValueArray<T> b) => a.Equals(b);

    public static bool operator !=(ValueArray<T> a, ValueArray<T> b) => !a.Equals(b);

    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)(_items ?? [])).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override string ToString() => $"[{string.Join(", ", this)}]";
}

/// <summary>Constructors of <see cref="ValueArray{T}"/>.</summary>
public static class ValueArray
{
    public static ValueArray<T> Create<T>(ReadOnlySpan<T> items) => new(items.ToArray());

    public static ValueArray<T> ToValueArray<T>(this IEnumerable<T> items) => new([.. items]);

    /// <summary>0, 1, …, <paramref name="count"/> − 1.</summary>
    public static ValueArray<int> Range(int count) => Enumerable.Range(0, count).ToValueArray();
}
