using Materialize.Core.Order;
using Materialize.Repr;

namespace Materialize.Controller;

/// <summary>
/// A frontier of totally ordered times: all times at or beyond <see cref="Time"/>, or none. As a since: reads at those times are
/// exact. As an upper: times before it are complete.
/// </summary>
public readonly record struct Frontier : IComparable<Frontier>
{
    // The empty frontier is beyond every time, so the greatest number stands for it; no clock gets there.
    private readonly ulong _value;

    private Frontier(ulong value)
    {
        _value = value;
    }

    /// <summary>No times at all: closed for ever, or dropped.</summary>
    public static Frontier Empty => new(ulong.MaxValue);

    public static Frontier Minimum => new(0);

    public static Frontier At(ulong time) => new(time);

    /// <summary>From the general form, an antichain of at most one time.</summary>
    public static Frontier Of(Antichain<Timestamp> frontier) => frontier.IsEmpty ? Empty : At(frontier.Elements[0].Millis);

    /// <summary>The general form.</summary>
    public Antichain<Timestamp> ToAntichain() => IsEmpty ? Antichain<Timestamp>.Empty : Antichain<Timestamp>.Of(new Timestamp(_value));

    /// <summary>From the protocol's form, where null is the empty frontier.</summary>
    public static Frontier Of(ulong? time) => new(time ?? ulong.MaxValue);

    public bool IsEmpty => _value == ulong.MaxValue;

    /// <summary>The protocol's form: null is the empty frontier.</summary>
    public ulong? Time => IsEmpty ? null : _value;

    /// <summary>The least time of the frontier, or the greatest number when it is empty: for comparisons only.</summary>
    public ulong Value => _value;

    /// <summary>Whether <paramref name="time"/> is at or beyond this frontier.</summary>
    public bool IsBeyond(ulong time) => !IsEmpty && time >= _value;

    public int CompareTo(Frontier other) => _value.CompareTo(other._value);

    public static bool operator <(Frontier a, Frontier b) => a._value < b._value;

    public static bool operator >(Frontier a, Frontier b) => a._value > b._value;

    public static bool operator <=(Frontier a, Frontier b) => a._value <= b._value;

    public static bool operator >=(Frontier a, Frontier b) => a._value >= b._value;

    public static Frontier Min(Frontier a, Frontier b) => a < b ? a : b;

    public static Frontier Max(Frontier a, Frontier b) => a > b ? a : b;

    public override string ToString() => IsEmpty ? "{}" : $"{{{_value}}}";
}
