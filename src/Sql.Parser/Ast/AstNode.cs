using System.Collections;
using System.Runtime.CompilerServices;

namespace Materialize.Sql.Parser.Ast;

/// <summary>A node of the syntax tree. Two nodes are equal when they say the same, wherever in a text they stand.</summary>
public abstract record AstNode
{
    /// <summary>Where the node stands in the text given to the parser; <see cref="SourceSpan.None"/> in a tree built by hand. No part of equality.</summary>
    public SourceSpan Span { get; init; }
}

/// <summary>
/// A range of UTF-16 offsets, zero-based, into the whole text given to the parser. All spans are equal to each other and hash alike,
/// so that the record equality of nodes ignores where they stand; compare <see cref="Start"/> and <see cref="End"/> where that matters.
/// </summary>
public readonly struct SourceSpan : IEquatable<SourceSpan>
{
    private readonly int startPlusOne;

    /// <summary>The span of offsets in [<paramref name="start"/>, <paramref name="end"/>).</summary>
    public SourceSpan(int start, int end)
    {
        startPlusOne = start + 1;
        End = end;
    }

    /// <summary>No place: the node was not read from a text.</summary>
    public static SourceSpan None => default;

    /// <summary>True when the node was read from a text.</summary>
    public bool IsKnown => startPlusOne > 0;

    /// <summary>Offset of the first character, or −1.</summary>
    public int Start => startPlusOne - 1;

    /// <summary>Offset after the last character.</summary>
    public int End { get; }

    /// <inheritdoc/>
    public bool Equals(SourceSpan other) => true;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SourceSpan;

    /// <inheritdoc/>
    public override int GetHashCode() => 0;

    /// <summary>Always true, as <see cref="Equals(SourceSpan)"/>.</summary>
    public static bool operator ==(SourceSpan left, SourceSpan right) => true;

    /// <summary>Always false, as <see cref="Equals(SourceSpan)"/>.</summary>
    public static bool operator !=(SourceSpan left, SourceSpan right) => false;
}

/// <summary>An immutable list with element-wise equality, so that records holding lists compare by what they say. Takes collection expressions.</summary>
[CollectionBuilder(typeof(AstList), nameof(AstList.Create))]
public sealed class AstList<T> : IReadOnlyList<T>, IEquatable<AstList<T>>
{
    private readonly T[] items;

    internal AstList(T[] items) => this.items = items;

    /// <summary>The list without elements.</summary>
    public static AstList<T> Empty { get; } = new([]);

    /// <inheritdoc/>
    public int Count => items.Length;

    /// <summary>As <see cref="Count"/>; for list patterns.</summary>
    public int Length => items.Length;

    /// <inheritdoc/>
    public T this[int index] => items[index];

    /// <summary>The elements, without a copy.</summary>
    public ReadOnlySpan<T> AsSpan() => items;

    /// <inheritdoc/>
    public bool Equals(AstList<T>? other) =>
        other is not null && (ReferenceEquals(this, other) || items.AsSpan().SequenceEqual(other.items, EqualityComparer<T>.Default));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as AstList<T>);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var item in items)
            hash.Add(item);
        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)items).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => items.GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(", ", items)}]";
}

/// <summary>Makes <see cref="AstList{T}"/>.</summary>
public static class AstList
{
    /// <summary>A list of a copy of <paramref name="items"/>.</summary>
    public static AstList<T> Create<T>(ReadOnlySpan<T> items) => items.IsEmpty ? AstList<T>.Empty : new(items.ToArray());

    /// <summary>A list of a copy of <paramref name="items"/>.</summary>
    public static AstList<T> ToAstList<T>(this IEnumerable<T> items) => items is AstList<T> list ? list : Create<T>(items.ToArray());
}
