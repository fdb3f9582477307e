using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;

namespace Materialize.Dataflow;

/// <summary>
/// A loop in a dataflow, for mutually recursive collections: <see cref="Enter"/> streams, make a <see cref="NewVariable"/> for each recursive collection, build its definition in <see cref="Inner"/>, <see cref="LoopVariable{TOuter}.Set"/> it, and
/// <see cref="Leave"/> with results.
/// </summary>
/// <remarks>
/// A variable is empty in round 0, and in round r + 1 what its definition is in round r. The loop ends, for each outer time, when no variable changes any more; what leaves is the fixed point. Changes of the input at later outer times
/// redo only what they change of each round.
/// </remarks>
public sealed class Loop<TOuter> where TOuter : unmanaged, ITime<TOuter>
{
    private readonly Scope<TOuter> _outer;

    internal Loop(Scope<TOuter> outer)
    {
        if (TOuter.Depth >= Stamp.DepthMax)
            throw new NotSupportedException($"loops nest at most {Stamp.DepthMax} deep");
        _outer = outer;
        Inner = new Scope<Iterated<TOuter>>(outer.Graph);
    }

    public Scope<Iterated<TOuter>> Inner { get; }

    /// <summary>The collection inside the loop, the same in each round.</summary>
    public Stream<Iterated<TOuter>> Enter(Stream<TOuter> stream) => RetimeOperator<TOuter, Iterated<TOuter>>.Build(
        Inner, stream, "enter", default, static time => new Iterated<TOuter>(time, 0));

    /// <summary>The collection inside the loop, each row from a round of its own on. So that rows whose consequences replace those of others can go first: fewer changes of mind.</summary>
    /// <param name="round">For a row's address, the round; the same whenever the row comes. Few different ones.</param>
    public Stream<Iterated<TOuter>> EnterAt(Stream<TOuter> stream, Func<nint, uint> round) => DelayedEntryOperator<TOuter>.Build(Inner, stream, round);

    /// <summary>The collection after the last round.</summary>
    public Stream<TOuter> Leave(Stream<Iterated<TOuter>> stream) => RetimeOperator<Iterated<TOuter>, TOuter>.Build(
        _outer, stream, "leave", new Progress.TimeEffect(LeavesLoop: Iterated<TOuter>.Depth, 0), static time => time.Before);

    /// <summary>A recursive collection, to be defined by <see cref="LoopVariable{TOuter}.Set"/> before the build ends.</summary>
    /// <param name="roundsMax">Changes that would make more rounds than this stop in <see cref="LoopVariable{TOuter}.BeyondLimit"/>; null is no limit.</param>
    public LoopVariable<TOuter> NewVariable(RowShape shape, uint? roundsMax = null) => new(FeedbackOperator<TOuter>.Build(Inner, shape, roundsMax));
}

/// <summary>A recursive collection of a <see cref="Loop{TOuter}"/>.</summary>
public sealed class LoopVariable<TOuter> where TOuter : unmanaged, ITime<TOuter>
{
    private readonly FeedbackOperator<TOuter> _feedback;
    private bool _isSet;

    internal LoopVariable(FeedbackOperator<TOuter> feedback)
    {
        _feedback = feedback;
    }

    /// <summary>What the collection was one round before.</summary>
    public Stream<Iterated<TOuter>> Value => _feedback.Value;

    /// <summary>Changes that the limit of rounds stopped: empty if the fixed point was reached. Leave with it to report an error.</summary>
    public Stream<Iterated<TOuter>> BeyondLimit => _feedback.BeyondLimit;

    /// <summary>Defines the collection. Consolidates: else changes that cancel would go round for ever. Returns the consolidated definition.</summary>
    public Stream<Iterated<TOuter>> Set(Stream<Iterated<TOuter>> definition)
    {
        if (_isSet)
            throw new InvalidOperationException("the variable is defined already");
        _isSet = true;
        var consolidated = definition.Consolidate("variable");
        _feedback.Connect(consolidated);
        return consolidated;
    }
}

public sealed partial class Scope<TTime>
{
    /// <summary>Begins a loop inside this scope.</summary>
    public Loop<TTime> NewLoop() => new(this);
}
