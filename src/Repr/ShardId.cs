namespace Materialize.Repr;

/// <summary>Names a persist shard. The text form is <c>s</c> and a lower-case UUID; it is what the catalog and blob keys hold.</summary>
public readonly record struct ShardId(Guid Value) : IComparable<ShardId>
{
    /// <summary>A name nobody else has.</summary>
    public static ShardId New() => new(Guid.NewGuid());

    public int CompareTo(ShardId other) => Value.CompareTo(other.Value);

    public override string ToString() => $"s{Value:D}";

    /// <exception cref="FormatException">Not of the form <c>s</c> and a UUID with hyphens.</exception>
    public static ShardId Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var id) ? id : throw new FormatException($"invalid shard id: \"{text}\"");

    public static bool TryParse(ReadOnlySpan<char> text, out ShardId id)
    {
        id = default;
        if (text.Length != 37 || text[0] != 's' || !Guid.TryParseExact(text[1..], "D", out var value))
            return false;
        id = new ShardId(value);
        return true;
    }
}
