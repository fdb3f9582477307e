namespace Materialize.Core.Order;

/// <summary>
/// A set of mutually incomparable elements: a <em>frontier</em>. It stands for all times at or beyond one of its elements. The
/// empty antichain stands for no time at all: a closed collection. Immutable.
/// </summary>
public sealed class Antichain<T> : IEquatable<Antichain<T>> where T : IPartialOrder<T>
{
    private readonly T[] _elements;

    private Antichain(T[] elements)
    {
        _elements = elements;
    }

    public static Antichain<T> Empty { get; } = new([]);

    public static Antichain<T> Of(T element) => new([element]);

    public ReadOnlySpan<T> Elements => _elements;

    public bool IsEmpty => _elements.Length == 0;

    /// <summary>The minimal elements of <paramref name="elements"/>.</summary>
    public static Antichain<T> Minimal(params ReadOnlySpan<T> elements)
    {
        var kept = new List<T>(elements.Length);
        foreach (var element in elements)
        {
            if (kept.Exists(k => T.LessEqual(k, element)))
                continue;
            kept.RemoveAll(k => T.LessEqual(element, k));
            kept.Add(element);
        }

        return kept.Count == 0 ? Empty : new Antichain<T>([.. kept]);
    }

    /// <summary>Whether <paramref name="time"/> is at or beyond the frontier: it may still come.</summary>
    public bool IsBeyond(T time)
    {
        foreach (var element in _elements)
        {
            if (T.LessEqual(element, time))
                return true;
        }

        return false;
    }

    /// <summary>Whether every time beyond <paramref name="b"/> is beyond <paramref name="a"/>: a is at or before b.</summary>
    public static bool LessEqual(Antichain<T> a, Antichain<T> b)
    {
        foreach (var element in b._elements)
        {
            if (!a.IsBeyond(element))
                return false;
        }

        return true;
    }

    /// <summary>The frontier of all times beyond either.</summary>
    public static Antichain<T> Meet(Antichain<T> a, Antichain<T> b) => Minimal([.. a._elements, .. b._elements]);

    public bool Equals(Antichain<T>? other) => other is not null && LessEqual(this, other) && LessEqual(other, this);

    public override bool Equals(object? obj) => Equals(obj as Antichain<T>);

    public override int GetHashCode()
    {
        // Order of elements is not part of the value.
        var hash = _elements.Length;
        foreach (var element in _elements)
            hash ^= element.GetHashCode();
        return hash;
    }

    public override string ToString() => $"{{{string.Join(", ", _elements)}}}";
}
