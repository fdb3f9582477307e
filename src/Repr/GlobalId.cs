using System.Globalization;

namespace Materialize.Repr;

/// <summary>Which number space a <see cref="GlobalId"/> belongs to.</summary>
public enum GlobalIdSpace : byte
{
    /// <summary>Built in: <c>s1</c>.</summary>
    System,

    /// <summary>Made by a user's statement: <c>u1</c>.</summary>
    User,

    /// <summary>Lives as long as one query: <c>t1</c>.</summary>
    Transient,

    /// <summary>The only thing an EXPLAIN of a plan may name that has no id: <c>explained</c>.</summary>
    Explain,
}

/// <summary>Identifies one collection, index or dataflow export, for ever: ids are never used again.</summary>
public readonly record struct GlobalId(GlobalIdSpace Space, ulong Number) : IComparable<GlobalId>
{
    public static GlobalId System(ulong number) => new(GlobalIdSpace.System, number);

    public static GlobalId User(ulong number) => new(GlobalIdSpace.User, number);

    public static GlobalId Transient(ulong number) => new(GlobalIdSpace.Transient, number);

    public bool IsUser => Space == GlobalIdSpace.User;

    public bool IsSystem => Space == GlobalIdSpace.System;

    public bool IsTransient => Space == GlobalIdSpace.Transient;

    public int CompareTo(GlobalId other) => Space != other.Space ? Space.CompareTo(other.Space) : Number.CompareTo(other.Number);

    public override string ToString() => Space switch
    {
        GlobalIdSpace.System => $"s{Number}",
        GlobalIdSpace.User => $"u{Number}",
        GlobalIdSpace.Transient => $"t{Number}",
        _ => "explained",
    };

    /// <summary>Reads the form that <see cref="ToString"/> writes.</summary>
    public static bool TryParse(string text, out GlobalId id)
    {
        id = default;
        if (text.Length < 2 || !ulong.TryParse(text.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return false;
        GlobalIdSpace? space = text[0] switch
        {
            's' => GlobalIdSpace.System,
            'u' => GlobalIdSpace.User,
            't' => GlobalIdSpace.Transient,
            _ => null,
        };
        if (space is null)
            return false;
        id = new GlobalId(space.Value, number);
        return true;
    }
}
