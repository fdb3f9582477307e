using System.Runtime.CompilerServices;
using Materialize.Core.Order;

namespace Materialize.Dataflow;

/// <summary>
/// A time of updates: a lattice, together with a total order that extends its partial order.
/// </summary>
/// <remarks>
/// <para>The partial order says which updates a reader at some time sees; <see cref="ILattice{TSelf}.Join"/> is the time at
/// which two updates first meet. The total order (<see cref="IComparable{T}.CompareTo"/>) is any linear extension:
/// <c>LessEqual(a, b)</c> implies <c>a.CompareTo(b) ≤ 0</c>. All progress tracking uses the total order only: "no time
/// totally before t will come" implies "no time partially before t will come", so that a frontier is one time instead of an
/// antichain and counting stays integer comparison. What is given up is work at an outer time before all iterations of an
/// earlier outer time are done, which nothing here wants.</para>
/// <para>Implementations are small unmanaged structs, so that the JIT makes a copy of each operator per kind of time.</para>
/// </remarks>
public interface ITime<TSelf> : ILattice<TSelf>, IComparable<TSelf> where TSelf : unmanaged, ITime<TSelf>
{
    /// <summary>Whether the partial order is the total order. Operators that keep only current state need this.</summary>
    static abstract bool IsTotal { get; }

    /// <summary>Loops around operators at this kind of time.</summary>
    static abstract int Depth { get; }

    /// <summary>
    /// The greatest time at or before, in the partial order, every time that is totally at or after this one: what a trace may be compacted to when no
    /// earlier time will be read. Itself, if the order is total.
    /// </summary>
    TSelf FutureBound { get; }

    /// <summary>Order-preserving image in the type that progress tracking uses.</summary>
    Stamp ToStamp();

    /// <summary>Inverse of <see cref="ToStamp"/>.</summary>
    static abstract TSelf FromStamp(Stamp stamp);

    /// <summary>The coordinate of the outermost scope.</summary>
    ulong Outer { get; }

    /// <summary>This time with another outermost coordinate, at or after the present one.</summary>
    TSelf WithOuter(ulong outer);
}

/// <summary>The time of the outermost scope: milliseconds, or whatever the driver of the dataflow counts. Totally ordered.</summary>
public readonly record struct Time(ulong Value) : ITime<Time>
{
    public static bool IsTotal => true;

    public static int Depth => 0;

    public Time FutureBound => this;

    public static Time Minimum => default;

    public static bool LessEqual(Time a, Time b) => a.Value <= b.Value;

    public static Time Join(Time a, Time b) => a.Value >= b.Value ? a : b;

    public static Time Meet(Time a, Time b) => a.Value <= b.Value ? a : b;

    public static Time FromStamp(Stamp stamp) => new(stamp.Outer);

    public static implicit operator Time(ulong value) => new(value);

    public ulong Outer => Value;

    public Stamp ToStamp() => new(Value, 0);

    public Time WithOuter(ulong outer) => new(outer);

    public int CompareTo(Time other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString();
}

/// <summary>
/// A time as progress tracking sees it: the outer coordinate, then the counters of up to four loops, outermost first, packed in 32 bits each; ordered lexicographically. A loop's depth is 1 in the outermost scope.
/// </summary>
public readonly record struct Stamp(ulong Outer, ulong Inner, ulong Deep = 0) : IComparable<Stamp>
{
    /// <summary>How many loops may lie in each other: what there is room for.</summary>
    public const int DepthMax = 4;

    /// <summary>After every time; the frontier of a closed stream.</summary>
    public static Stamp Closed => new(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue);

    public bool IsClosed => Inner == ulong.MaxValue && Outer == ulong.MaxValue;

    /// <summary>The counter of the loop at <paramref name="depth"/>.</summary>
    public uint Round(int depth) => (uint)((depth <= 2 ? Inner : Deep) >> ShiftOf(depth));

    /// <summary>The same with another counter of the loop at <paramref name="depth"/>.</summary>
    public Stamp WithRound(int depth, uint round)
    {
        var (mask, bits) = (0xFFFFFFFFUL << ShiftOf(depth), (ulong)round << ShiftOf(depth));
        return depth <= 2 ? this with { Inner = (Inner & ~mask) | bits } : this with { Deep = (Deep & ~mask) | bits };
    }

    /// <summary>The time outside the loop at <paramref name="depth"/>: its counter and those of loops in it are zero.</summary>
    public Stamp Outside(int depth) => depth switch
    {
        1 => new Stamp(Outer, 0),
        2 => new Stamp(Outer, Inner & ~0xFFFFFFFFUL),
        3 => new Stamp(Outer, Inner),
        _ => new Stamp(Outer, Inner, Deep & ~0xFFFFFFFFUL),
    };

    private static int ShiftOf(int depth) => (depth & 1) << 5;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool operator <(in Stamp a, in Stamp b) => a.Outer != b.Outer ? a.Outer < b.Outer : a.Inner != b.Inner ? a.Inner < b.Inner : a.Deep < b.Deep;

    public static bool operator >(in Stamp a, in Stamp b) => b < a;

    public static bool operator <=(in Stamp a, in Stamp b) => !(b < a);

    public static bool operator >=(in Stamp a, in Stamp b) => !(a < b);

    public static Stamp Min(in Stamp a, in Stamp b) => a < b ? a : b;

    public int CompareTo(Stamp other) => this < other ? -1 : other < this ? 1 : 0;
}

/// <summary>
/// The times still to come: all at or after one time in the total order of <typeparamref name="TTime"/>, or none at all.
/// </summary>
public readonly record struct Frontier<TTime> : IComparable<Frontier<TTime>> where TTime : unmanaged, ITime<TTime>
{
    private readonly TTime _time;

    private Frontier(TTime time, bool isClosed)
    {
        _time = time;
        IsClosed = isClosed;
    }

    /// <summary>No time will come any more.</summary>
    public static Frontier<TTime> Closed => new(default, true);

    /// <summary>Times at or after <paramref name="time"/> may come.</summary>
    public static Frontier<TTime> At(TTime time) => new(time, false);

    public bool IsClosed { get; }

    /// <summary>The first time that may come. An error to call on a closed frontier.</summary>
    public TTime Time => IsClosed ? throw new InvalidOperationException("a closed frontier has no time") : _time;

    /// <summary>Whether nothing at <paramref name="time"/> will come any more.</summary>
    public bool HasPassed(TTime time) => IsClosed || _time.CompareTo(time) > 0;

    public static Frontier<TTime> Min(Frontier<TTime> a, Frontier<TTime> b) => a.CompareTo(b) <= 0 ? a : b;

    internal static Frontier<TTime> FromStamp(Stamp stamp) => stamp.IsClosed ? Closed : At(TTime.FromStamp(stamp));

    internal Stamp ToStamp() => IsClosed ? Stamp.Closed : _time.ToStamp();

    public int CompareTo(Frontier<TTime> other) =>
        IsClosed ? (other.IsClosed ? 0 : 1) : other.IsClosed ? -1 : _time.CompareTo(other._time);

    public override string ToString() => IsClosed ? "closed" : _time.ToString() ?? "";
}
