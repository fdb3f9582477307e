namespace Materialize.Dataflow;

/// <summary>A time inside a loop: the time outside, and the round of the loop. Partially ordered by both; totally by the outer time first.</summary>
/// <remarks>
/// An update at (t, r) is seen at (t', r') if t ≤ t' and r ≤ r': a change of the input at a later outer time redoes only what it changes of each round. As many loops deep as
/// <see cref="Stamp"/> has room for.
/// </remarks>
public readonly record struct Iterated<TOuter>(TOuter Before, uint Round) : ITime<Iterated<TOuter>> where TOuter : unmanaged, ITime<TOuter>
{
    public static bool IsTotal => false;

    public static int Depth => TOuter.Depth + 1;

    public static Iterated<TOuter> Minimum => new(TOuter.Minimum, 0);

    public ulong Outer => Before.Outer;

    public static bool LessEqual(Iterated<TOuter> a, Iterated<TOuter> b) => a.Round <= b.Round && TOuter.LessEqual(a.Before, b.Before);

    public static Iterated<TOuter> Join(Iterated<TOuter> a, Iterated<TOuter> b) => new(TOuter.Join(a.Before, b.Before), Math.Max(a.Round, b.Round));

    public static Iterated<TOuter> Meet(Iterated<TOuter> a, Iterated<TOuter> b) => new(TOuter.Meet(a.Before, b.Before), Math.Min(a.Round, b.Round));

    public static Iterated<TOuter> FromStamp(Stamp stamp) => new(TOuter.FromStamp(stamp.Outside(Depth)), stamp.Round(Depth));

    public Stamp ToStamp() => Before.ToStamp().WithRound(Depth, Round);

    public Iterated<TOuter> WithOuter(ulong outer) => new(Before.WithOuter(outer), Round);

    public Iterated<TOuter> FutureBound => new(Before.FutureBound, 0);

    public int CompareTo(Iterated<TOuter> other)
    {
        var outer = Before.CompareTo(other.Before);
        return outer != 0 ? outer : Round.CompareTo(other.Round);
    }

    public override string ToString() => $"({Before}, {Round})";
}
