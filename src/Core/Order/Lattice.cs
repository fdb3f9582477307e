namespace Materialize.Core.Order;

/// <summary>A partial order: reflexive, antisymmetric, transitive.</summary>
public interface IPartialOrder<TSelf> : IEquatable<TSelf> where TSelf : IPartialOrder<TSelf>
{
    /// <summary>Whether <paramref name="a"/> is at or before <paramref name="b"/>.</summary>
    static abstract bool LessEqual(TSelf a, TSelf b);
}

/// <summary>A partial order in which any two elements have bounds.</summary>
public interface ILattice<TSelf> : IPartialOrder<TSelf> where TSelf : ILattice<TSelf>
{
    static abstract TSelf Minimum { get; }

    /// <summary>Least upper bound.</summary>
    static abstract TSelf Join(TSelf a, TSelf b);

    /// <summary>Greatest lower bound.</summary>
    static abstract TSelf Meet(TSelf a, TSelf b);
}
