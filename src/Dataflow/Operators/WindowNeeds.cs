namespace Materialize.Dataflow.Operators;

/// <summary>What a plan needs of a walk.</summary>
internal sealed class WindowNeeds
{
    public WindowNeeds(WindowPlan plan)
    {
        foreach (var function in plan.Functions)
        {
            switch (function)
            {
                case WindowFunction.RowNumber:
                    CountsRows = true;
                    IsOfCopies = true;
                    break;
                case WindowFunction.Rank:
                    CountsRows = true;
                    HasPeers = true;
                    break;
                case WindowFunction.DenseRank:
                    CountsGroups = true;
                    HasPeers = true;
                    break;
                case WindowFunction.Neighbour x:
                    IsOfCopies = true;
                    Reach(x.Offset);
                    break;
                case WindowFunction.First x:
                    Core.Invariant.Check(x.Frame.HasCurrentRow, "frames of first have the current row");
                    if (x.Frame.Start is { } start)
                        Reach(start);
                    else
                        DependsOnFirst = true;
                    IsOfCopies |= x.Frame.Start is not null;
                    break;
                case WindowFunction.Last x:
                    Core.Invariant.Check(x.Frame.HasCurrentRow, "frames of last have the current row");
                    if (x.Frame.ToPeers)
                        HasPeers = SumsToPeers = true;
                    else if (x.Frame.End is { } end)
                        Reach(end);
                    else
                        DependsOnLast = true;
                    IsOfCopies |= x.Frame is { ToPeers: false, End: not null };
                    break;
            }
        }

        foreach (var accumulation in plan.Accumulations)
        {
            var frame = accumulation.Frame;
            Core.Invariant.Check(frame.End is { } e && (frame.Start is not { } s || s <= e), "frames of accumulations have an end, not before their start");
            IsOfCopies |= !frame.ToPeers;
            if (frame.ToPeers)
                HasPeers = SumsToPeers = true;
            else
                Reach(frame.End!.Value);
            if (frame.Start is { } first)
                Reach(first);
            else
                SumsFromFirst = true;
        }
    }

    /// <summary>How many positions before a change others are touched by it.</summary>
    public long Before { get; private set; }

    /// <summary>How many after it, by what does not depend on all rows before.</summary>
    public long After { get; private set; }

    /// <summary>Whether walks must begin with a group of peers, and end after one that changed.</summary>
    public bool HasPeers { get; }

    public bool SumsToPeers { get; }

    public bool CountsRows { get; }

    public bool CountsGroups { get; }

    public bool SumsFromFirst { get; }

    /// <summary>Whether all rows depend on the partition's first.</summary>
    public bool DependsOnFirst { get; }

    public bool DependsOnLast { get; }

    /// <summary>Whether copies of a row may differ in their output.</summary>
    public bool IsOfCopies { get; }

    // A function of the row so far on: rows that far back see a change.
    private void Reach(long offset)
    {
        Before = Math.Max(Before, offset);
        After = Math.Max(After, -offset);
    }
}
