namespace Materialize.Dataflow.Operators;

/// <summary>How a function's column comes about. From <see cref="Neighbour"/> on they pick rows.</summary>
internal enum WindowKind
{
    RowNumber,
    Rank,
    DenseRank,
    Neighbour,
    First,       // positions before the first row are the first row
    FirstOfAll,
    Last,        // positions past the last row are the last row
    LastOfAll,
    LastOfPeers,
}

/// <summary>A function of a plan, as walks want it.</summary>
/// <param name="Offset">Of the row that is picked, where it goes along with the current one.</param>
internal readonly record struct WindowColumn(WindowKind Kind, long Offset)
{
    public bool IsPick => Kind >= WindowKind.Neighbour;

    public bool HasCursor => Kind is WindowKind.Neighbour or WindowKind.First or WindowKind.Last;

    public static WindowColumn Of(WindowFunction function) => function switch
    {
        WindowFunction.RowNumber => new(WindowKind.RowNumber, 0),
        WindowFunction.Rank => new(WindowKind.Rank, 0),
        WindowFunction.DenseRank => new(WindowKind.DenseRank, 0),
        WindowFunction.Neighbour x => new(WindowKind.Neighbour, x.Offset),
        WindowFunction.First { Frame.Start: { } start } => new(WindowKind.First, start),
        WindowFunction.First => new(WindowKind.FirstOfAll, 0),
        WindowFunction.Last { Frame.ToPeers: true } => new(WindowKind.LastOfPeers, 0),
        WindowFunction.Last { Frame.End: { } end } => new(WindowKind.Last, end),
        WindowFunction.Last => new(WindowKind.LastOfAll, 0),
        _ => throw new System.Diagnostics.UnreachableException(),
    };
}

/// <summary>The frame of an accumulation, as walks want it: positions [Start, End) from the current row's, or all rows up to the last peer.</summary>
/// <param name="At">Where its accumulator lies among all.</param>
internal readonly record struct WindowSum(bool FromFirst, bool ToPeers, long Start, long End, int At, int Bytes);

/// <summary>What a plan needs of a walk.</summary>
internal sealed class WindowNeeds
{
    public WindowNeeds(WindowPlan plan)
    {
        Functions = [.. plan.Functions.Select(WindowColumn.Of)];
        Sums = new WindowSum[plan.Accumulations.Count];
        for (int i = 0, at = 0; i < Sums.Length; i++)
        {
            var (frame, bytes) = (plan.Accumulations[i].Frame, plan.Accumulations[i].AccumulatorBytes);
            Sums[i] = new WindowSum(frame.Start is null, frame.ToPeers, frame.Start ?? 0, frame.ToPeers ? 0 : (frame.End ?? 0) + 1, at, bytes);
            at += bytes;
        }

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

    public WindowColumn[] Functions { get; }

    public WindowSum[] Sums { get; }

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
