using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

// What the functions say of one row after another of a partition: as it was, or as it becomes. A function that looks at another row has a cursor that goes along at its distance; one that folds a frame has two, of rows that enter and rows
// that leave, so that a step costs the same for a frame of any size. What depends on all rows before begins with the tree's sums.
//
// A walk begins in the middle of a partition, at a place before which the partition has become what it was (in number of rows, groups, sums): so both sides begin with the sums of the tree as it was.

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

/// <summary>The functions along a walk over one side of a change.</summary>
internal sealed unsafe class WindowSide : IDisposable
{
    private readonly WindowPlan _plan;
    private readonly WindowNeeds _needs;
    private readonly WindowTree _tree;
    private readonly WindowCursor?[] _functions;  // at the rows that functions pick
    private readonly WindowCursor?[] _entering;   // of accumulations: the last row of the frame
    private readonly WindowCursor?[] _leaving;    // and its first
    private readonly WindowCursor _group;         // at the first row after the current group of peers
    private readonly WindowCursor _last;
    private readonly byte* _accumulators;
    private readonly long _accumulatorsCapacity;
    private long _rowsBefore;
    private long _rank;
    private long _denseRank;
    private byte* _peer; // a row of the current group
    private int _peerLength;
    private byte* _lastPeer;
    private byte* _firstValue;
    private int _firstLength;
    private byte* _lastValue;
    private int _lastLength;

    public WindowSide(WindowPlan plan, WindowNeeds needs, WindowTree tree)
    {
        _plan = plan;
        _needs = needs;
        _tree = tree;
        Row = new WindowCursor(tree);
        _group = new WindowCursor(tree);
        _last = new WindowCursor(tree);
        _functions = new WindowCursor?[plan.Functions.Count];
        for (var i = 0; i < _functions.Length; i++)
        {
            if (OffsetOf(plan.Functions[i]) is not null)
                _functions[i] = new WindowCursor(tree);
        }

        _entering = new WindowCursor?[plan.Accumulations.Count];
        _leaving = new WindowCursor?[plan.Accumulations.Count];
        for (var i = 0; i < _entering.Length; i++)
        {
            var frame = plan.Accumulations[i].Frame;
            if (!frame.ToPeers)
                _entering[i] = new WindowCursor(tree);
            if (frame.Start is not null)
                _leaving[i] = new WindowCursor(tree);
        }

        if (tree.AccumulatorBytes > 0)
        {
            _accumulatorsCapacity = SlabPool.CapacityFor(tree.AccumulatorBytes);
            _accumulators = SlabPool.Rent(_accumulatorsCapacity);
        }
    }

    /// <summary>The current row.</summary>
    public WindowCursor Row { get; }

    /// <summary>All accumulations of the current row's frames.</summary>
    public byte* Accumulators => _accumulators;

    /// <summary>Rows folded or passed since it was asked last: what the walk cost beside its rows.</summary>
    public long TakeWork()
    {
        var work = _work;
        _work = 0;
        return work;
    }

    private long _work;

    public void Measure(StateMeter meter) => meter.Slab(0, _accumulatorsCapacity);

    public void Dispose() => SlabPool.Return(_accumulators, _accumulatorsCapacity);

    /// <summary>Looks up the partition's first and last row. Once before the walks over a side.</summary>
    public void SetEnds(in WindowRoot root, WindowChanges? changes)
    {
        _firstValue = null;
        _lastValue = null;
        (_firstLength, _lastLength) = (0, 0);
        if (_needs.DependsOnFirst)
        {
            _last.ToFirst(root, changes);
            _firstValue = _last.Value;
            _firstLength = _last.Length;
        }

        if (_needs.DependsOnLast || _needs.Before > 0)
        {
            _last.ToEnd(root, changes);
            if (_last.PreviousValue())
            {
                _lastValue = _last.Value;
                _lastLength = _last.Length;
            }
        }
    }

    /// <summary>Whether the two sides agree on the rows that all others depend on.</summary>
    public bool HasEndsOf(WindowSide other) =>
        (!_needs.DependsOnFirst || Same(_firstValue, _firstLength, other._firstValue, other._firstLength))
        && (!_needs.DependsOnLast || Same(_lastValue, _lastLength, other._lastValue, other._lastLength));

    /// <summary>
    /// Begins a walk at a place, which <see cref="Row"/> is at already; before it, the partition was and is the same in all that <paramref name="sums"/> say.
    /// </summary>
    /// <param name="sums">A place in the partition as it was: the same.</param>
    public void Begin(WindowCursor sums)
    {
        sums.SumBefore(out _rowsBefore, out _denseRank, _needs.SumsFromFirst ? _accumulators : null);
        _peer = null;
        _lastPeer = null;
        (_peerLength, _rank) = (0, 0);
        if (_needs.HasPeers)
            _group.CopyFrom(Row);
        for (var i = 0; i < _functions.Length; i++)
        {
            if (_functions[i] is not { } cursor)
                continue;
            cursor.CopyFrom(Row);
            Move(cursor, OffsetOf(_plan.Functions[i])!.Value);
        }

        for (var a = 0; a < _entering.Length; a++)
        {
            var frame = _plan.Accumulations[a].Frame;
            if (frame.ToPeers)
                continue;
            var into = _accumulators + _tree.AccumulatorOffset(a);
            var entering = _entering[a]!;
            entering.CopyFrom(Row);
            if (_leaving[a] is { } leaving)
            {
                new Span<byte>(into, _plan.Accumulations[a].AccumulatorBytes).Clear();
                leaving.CopyFrom(Row);
                Move(leaving, frame.Start!.Value);
                entering.CopyFrom(leaving);
                Enter(a, entering, frame.End!.Value - frame.Start.Value, into);
            }
            else if (frame.End >= 0)
            {
                Enter(a, entering, frame.End.Value, into);
            }
            else
            {
                // The sum goes up to the row before this one; the frame ends earlier.
                for (var position = -1L; position >= frame.End; position--)
                {
                    entering.StepBack();
                    if (position > frame.End)
                        FoldAt(a, entering, -1, into);
                }
            }
        }
    }

    /// <summary>The current row was not seen before: whether a group of peers begins with it, and what that says.</summary>
    public void EnterValue()
    {
        if (!_needs.HasPeers)
            return;
        if (_peer != null && WindowValue.ArePeers(_peer, _peerLength, Row.Value, Row.Length))
            return;
        _peer = Row.Value;
        _peerLength = Row.Length;
        _rank = _rowsBefore + 1;
        _denseRank++;
        if (!_needs.SumsToPeers)
            return;
        _group.CopyFrom(Row);
        do
        {
            _lastPeer = _group.Value;
            _lastPeerLength = _group.Length;
            for (var a = 0; a < _entering.Length; a++)
            {
                if (_plan.Accumulations[a].Frame.ToPeers)
                    _tree.Fold(a, _group.Value, _group.Length, _group.Copies, _accumulators + _tree.AccumulatorOffset(a));
            }

            _work++;
            _group.NextValue();
        }
        while (_group.Value != null && WindowValue.ArePeers(_peer, _peerLength, _group.Value, _group.Length));
    }

    private int _lastPeerLength;

    /// <summary>To the next copy.</summary>
    public void Step()
    {
        _rowsBefore++;
        foreach (var cursor in _functions)
            cursor?.Step();
        for (var a = 0; a < _entering.Length; a++)
        {
            if (_entering[a] is not { } entering)
                continue;
            var into = _accumulators + _tree.AccumulatorOffset(a);
            entering.Step();
            FoldAt(a, entering, 1, into);
            if (_leaving[a] is { } leaving)
            {
                FoldAt(a, leaving, -1, into);
                leaving.Step();
            }
        }

        Row.Step();
    }

    /// <summary>Past all copies of the current row; only where copies do not differ (<see cref="WindowNeeds.IsOfCopies"/>).</summary>
    public void StepValue()
    {
        _rowsBefore += Row.Copies;
        Row.NextValue();
    }

    /// <summary>Whether rows alike in both partitions from here on will have the same output on both sides.</summary>
    public bool IsInStateOf(WindowSide other) =>
        (!_needs.CountsRows || (_rowsBefore == other._rowsBefore && _rank == other._rank))
        && (!_needs.CountsGroups || _denseRank == other._denseRank)
        && HasEndsOf(other)
        && (_tree.AccumulatorBytes == 0
            || new ReadOnlySpan<byte>(_accumulators, _tree.AccumulatorBytes).SequenceEqual(new ReadOnlySpan<byte>(other._accumulators, _tree.AccumulatorBytes)));

    /// <summary>A function's number for the current row.</summary>
    public long Number(int function) => _plan.Functions[function] switch
    {
        WindowFunction.RowNumber => _rowsBefore + 1,
        WindowFunction.Rank => _rank,
        WindowFunction.DenseRank => _denseRank,
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    /// <summary>The value that a function picks for the current row; null if there is none.</summary>
    public byte* Pick(int function, out int length)
    {
        switch (_plan.Functions[function])
        {
            case WindowFunction.First { Frame.Start: null }:
                length = _firstLength;
                return _firstValue;
            case WindowFunction.First:
                length = _functions[function]!.Length; // before the first row it is at the first row
                return _functions[function]!.Value;
            case WindowFunction.Last { Frame.ToPeers: true }:
                length = _lastPeerLength;
                return _lastPeer;
            case WindowFunction.Last { Frame.End: null }:
                length = _lastLength;
                return _lastValue;
            case WindowFunction.Last:
                var end = _functions[function]!;
                length = end.Value == null ? _lastLength : end.Length;
                return end.Value == null ? _lastValue : end.Value;
            default:
                var cursor = _functions[function]!;
                length = cursor.Length;
                return cursor.HasRow ? cursor.Value : null;
        }
    }

    private static long? OffsetOf(WindowFunction function) => function switch
    {
        WindowFunction.Neighbour x => x.Offset,
        WindowFunction.First x => x.Frame.Start,
        WindowFunction.Last { Frame.ToPeers: false } x => x.Frame.End,
        _ => null,
    };

    private void Move(WindowCursor cursor, long offset)
    {
        _work += Math.Abs(offset);
        if (offset < 0)
            cursor.StepBack(-offset);
        else
            cursor.Step(offset);
    }

    // Folds the row at the cursor and the `more` after it, to the last of which it goes.
    private void Enter(int accumulation, WindowCursor cursor, long more, byte* into)
    {
        FoldAt(accumulation, cursor, 1, into);
        for (; more > 0; more--)
        {
            cursor.Step();
            FoldAt(accumulation, cursor, 1, into);
            if (cursor.Value == null)
                return;
        }
    }

    private void FoldAt(int accumulation, WindowCursor cursor, long diff, byte* into)
    {
        _work++;
        if (cursor.HasRow)
            _tree.Fold(accumulation, cursor.Value, cursor.Length, diff, into);
    }

    private static bool Same(byte* a, int aLength, byte* b, int bLength) =>
        a == b || (a != null && b != null && aLength == bLength && new ReadOnlySpan<byte>(a, aLength).SequenceEqual(new ReadOnlySpan<byte>(b, bLength)));
}
