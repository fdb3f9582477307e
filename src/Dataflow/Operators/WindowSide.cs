using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

// What the functions say of the rows of a partition: as it was, or as it becomes. They are asked for some rows in a row, and each function goes over them by itself: numbers count up, a function that looks at another row has a cursor that
// goes along at its distance, one that folds a frame has two, at the rows that enter it and that leave it, so that a row costs the same for a frame of any size. What depends on all rows before begins with the tree's sums; so does what
// goes up to the end of a large group of peers.

/// <summary>The functions along a walk over one side of a change.</summary>
internal sealed unsafe partial class WindowSide : IDisposable
{
    private readonly WindowNeeds _needs;
    private readonly WindowTree _tree;
    private readonly WindowCursor?[] _functions;  // at the rows that functions pick
    private readonly WindowCursor?[] _entering;   // of accumulations: the next row after the frame
    private readonly WindowCursor?[] _leaving;    // and its first
    private readonly WindowCursor _group;
    private readonly byte* _memory;               // current accumulators, then rows that enter and leave
    private readonly long _memoryCapacity;
    private readonly byte* _accumulators;
    private readonly nint* _enterRows;
    private readonly nint* _leaveRows;
    private WindowRoot _root;
    private long _rowsBefore;
    private long _rank;
    private long _denseRank;
    private byte* _peer; // a row of the current group
    private int _peerLength;
    private nint _lastPeer;
    private byte* _firstValue;
    private int _firstLength;
    private byte* _lastValue;
    private int _lastLength;

    public WindowSide(WindowNeeds needs, WindowTree tree)
    {
        _needs = needs;
        _tree = tree;
        Row = new WindowCursor(tree);
        _group = new WindowCursor(tree);
        _functions = [.. needs.Functions.Select(f => f.HasCursor ? new WindowCursor(tree) : null)];
        _entering = [.. needs.Sums.Select(s => s.ToPeers ? null : new WindowCursor(tree))];
        _leaving = [.. needs.Sums.Select(s => s.FromFirst ? null : new WindowCursor(tree))];
        if (tree.AccumulatorBytes == 0)
            return;
        const int rows = WindowOutput.EntriesMax * sizeof(long);
        _memoryCapacity = SlabPool.CapacityFor(tree.AccumulatorBytes + (2 * rows));
        _memory = SlabPool.Rent(_memoryCapacity);
        _enterRows = (nint*)_memory;
        _leaveRows = (nint*)(_memory + rows);
        _accumulators = _memory + (2 * rows);
    }

    /// <summary>The current row.</summary>
    public WindowCursor Row { get; }

    public void Measure(StateMeter meter) => meter.Slab(0, _memoryCapacity);

    public void Dispose() => SlabPool.Return(_memory, _memoryCapacity);

    /// <summary>Over which tree the next walks go.</summary>
    public void Set(in WindowRoot root)
    {
        _root = root;
        _firstValue = null;
        _lastValue = null;
        (_firstLength, _lastLength) = (0, 0);
        if (_needs.DependsOnFirst)
        {
            _group.ToFirst(root);
            _firstValue = _group.Value;
            _firstLength = _group.Length;
        }

        if (_needs.DependsOnLast || _needs.Before > 0)
            _lastValue = _tree.Last(root, out _lastLength);
    }

    /// <summary>Whether the two sides agree on the rows that all others depend on.</summary>
    public bool HasEndsOf(WindowSide other) =>
        (!_needs.DependsOnFirst || Same(_firstValue, _firstLength, other._firstValue, other._firstLength))
        && (!_needs.DependsOnLast || Same(_lastValue, _lastLength, other._lastValue, other._lastLength));

    /// <summary>Begins a walk at the first copy of a row, which <see cref="Row"/> is at already; if groups of peers matter, it is the first of its group.</summary>
    public void Begin()
    {
        Row.SumBefore(out _rowsBefore, out _denseRank);
        _peer = null;
        _lastPeer = 0;
        (_peerLength, _rank) = (0, 0);
        for (var i = 0; i < _functions.Length; i++)
        {
            if (_functions[i] is { } cursor)
                Place(cursor, _needs.Functions[i].Offset);
        }

        if (_tree.AccumulatorBytes == 0)
            return;
        new Span<byte>(_accumulators, _tree.AccumulatorBytes).Clear();
        for (var a = 0; a < _entering.Length; a++)
        {
            ref readonly var sum = ref _needs.Sums[a];
            if (_entering[a] is { } entering)
                Place(entering, sum.End);
            if (_leaving[a] is { } leaving)
                Place(leaving, sum.Start);
            _tree.AddRange(_root, sum.FromFirst ? 0 : _rowsBefore + sum.Start, _rowsBefore + sum.End, a, _accumulators + sum.At);
        }
    }

    /// <summary>How many of the next rows may be asked for at once, no more than <paramref name="rowsMax"/>; 1 if they are not each there once.</summary>
    public int Run(int rowsMax) => Math.Max(1, Math.Min(rowsMax, Row.PlainRun));

    /// <summary>
    /// What is said of the next <paramref name="rows"/> rows (<see cref="Run"/>), past which the walk goes: entries <paramref name="entry"/>, <paramref name="entry"/> + <paramref name="stride"/> and so on. One row is one copy of it where
    /// copies differ (<see cref="WindowNeeds.IsOfCopies"/>), else all.
    /// </summary>
    public void Say(WindowOutput output, int entry, int stride, int rows)
    {
        var numbers = output.Numbers + ((long)entry * _needs.Functions.Length);
        var numberStride = stride * _needs.Functions.Length;
        var picks = 0;
        if (_needs.HasPeers)
            SayPeers(output, entry, stride, rows);
        for (var f = 0; f < _needs.Functions.Length; f++, numbers++)
        {
            switch (_needs.Functions[f].Kind)
            {
                case WindowKind.RowNumber:
                    for (var i = 0; i < rows; i++)
                        numbers[i * numberStride] = _rowsBefore + 1 + i;
                    break;
                case WindowKind.Rank or WindowKind.DenseRank:
                    break; // said
                case WindowKind.LastOfPeers:
                    picks++; // said
                    break;
                default:
                    SayPicks(f, output.Picked(picks++) + entry, stride, numbers, numberStride, rows, output.Absent);
                    break;
            }
        }

        for (var a = 0; a < _entering.Length; a++)
        {
            if (_entering[a] is not null)
                SayFrames(a, output.Accumulated + ((long)entry * _tree.AccumulatorBytes), stride * _tree.AccumulatorBytes, rows);
        }

        var to = output.RowParts + entry;
        if (_needs.IsOfCopies)
        {
            _rowsBefore += rows;
            Row.Take(to, stride, rows);
        }
        else if (Row.PlainRun >= rows)
        {
            _rowsBefore += rows;
            Row.Take(to, stride, rows);
        }
        else
        {
            *to = (nint)WindowValue.Row(Row.Value, Row.Length);
            _rowsBefore += Row.Copies;
            Row.NextValue();
        }
    }

    /// <summary>Whether rows alike in both partitions from here on will have the same output on both sides.</summary>
    public bool IsInStateOf(WindowSide other) =>
        (!_needs.CountsRows || (_rowsBefore == other._rowsBefore && _rank == other._rank))
        && HasSumsOf(other)
        && HasEndsOf(other)
        && (_tree.AccumulatorBytes == 0
            || new ReadOnlySpan<byte>(_accumulators, _tree.AccumulatorBytes).SequenceEqual(new ReadOnlySpan<byte>(other._accumulators, _tree.AccumulatorBytes)));

    /// <summary>Whether the two sides agree in what a row adds to, so that rows alike do not change it: if they do not, they will not until rows differ.</summary>
    public bool HasSumsOf(WindowSide other)
    {
        if ((_needs.CountsRows && _rowsBefore != other._rowsBefore) || (_needs.CountsGroups && _denseRank != other._denseRank))
            return false;
        foreach (ref readonly var sum in _needs.Sums.AsSpan())
        {
            if (sum is { FromFirst: true, End: <= 1 } && !new ReadOnlySpan<byte>(_accumulators + sum.At, sum.Bytes).SequenceEqual(new ReadOnlySpan<byte>(other._accumulators + sum.At, sum.Bytes)))
                return false;
        }

        return true;
    }

    // Numbers and sums that go by groups of peers.
    private void SayPeers(WindowOutput output, int entry, int stride, int rows)
    {
        var leaf = Row.Leaf;
        for (var i = 0; i < rows; i++)
        {
            var value = WindowLeaf.ValueAt(leaf, Row.Index + i, out var length);
            if (_peer == null || !WindowValue.ArePeers(_peer, _peerLength, value, length))
                BeginGroup(_rowsBefore + i, value, length, Row.Index + i);
            _peer = value;
            _peerLength = length;
            var at = entry + (i * stride);
            var numbers = output.Numbers + ((long)at * _needs.Functions.Length);
            var picks = 0;
            for (var f = 0; f < _needs.Functions.Length; f++)
            {
                switch (_needs.Functions[f].Kind)
                {
                    case WindowKind.Rank:
                        numbers[f] = _rank;
                        break;
                    case WindowKind.DenseRank:
                        numbers[f] = _denseRank;
                        break;
                    case WindowKind.LastOfPeers:
                        numbers[f] = 1;
                        output.Picked(picks++)[at] = _lastPeer;
                        break;
                    case >= WindowKind.Neighbour:
                        picks++;
                        break;
                }
            }

            foreach (ref readonly var sum in _needs.Sums.AsSpan())
            {
                if (sum.ToPeers)
                    Copy(_accumulators + sum.At, output.Accumulated + ((long)at * _tree.AccumulatorBytes) + sum.At, sum.Bytes);
            }
        }
    }

    // With value `index` of the row's leaf.
    private void BeginGroup(long rowsBefore, byte* value, int length, int index)
    {
        _rank = rowsBefore + 1;
        _denseRank++;
        if (!_needs.SumsToPeers)
            return;
        var end = Row.PeersEnd(index, value, length);
        if (end >= 0)
        {
            for (var a = 0; a < _entering.Length; a++)
            {
                if (_entering[a] is null)
                    _tree.FoldLeaf(Row.Leaf, index, end, a, _accumulators + _needs.Sums[a].At);
            }

            do
                end--;
            while (WindowLeaf.DiffAt(Row.Leaf, end) <= 0);
            value = WindowLeaf.ValueAt(Row.Leaf, end, out length);
        }
        else
        {
            // By the tree's sums, however large the group is.
            _group.ToFirstPast(_root, value, WindowValue.PeerBytes(value, length));
            _group.SumBefore(out var rows, out _);
            for (var a = 0; a < _entering.Length; a++)
            {
                if (_entering[a] is null)
                    _tree.AddRange(_root, rowsBefore, rows, a, _accumulators + _needs.Sums[a].At);
            }

            _group.Move(-1);
            value = _group.Value;
            length = _group.Length;
        }

        _lastPeer = (nint)WindowValue.Row(value, length);
    }

    private void SayPicks(int function, nint* to, int stride, long* numbers, int numberStride, int rows, nint absent)
    {
        var fallback = absent;
        switch (_needs.Functions[function].Kind)
        {
            case WindowKind.FirstOfAll:
                Fill(to, stride, rows, (nint)WindowValue.Row(_firstValue, _firstLength));
                break;
            case WindowKind.LastOfAll:
                Fill(to, stride, rows, (nint)WindowValue.Row(_lastValue, _lastLength));
                break;
            case WindowKind.Last:
                if (_lastValue != null)
                    fallback = (nint)WindowValue.Row(_lastValue, _lastLength);
                _functions[function]!.Take(to, stride, rows);
                break;
            case var kind:
                _functions[function]!.Take(to, stride, rows, staysAtFirst: kind == WindowKind.First);
                break;
        }

        for (var i = 0; i < rows; i++)
        {
            var isThere = to[i * stride] != 0;
            if (!isThere)
                to[i * stride] = fallback;
            numbers[i * numberStride] = isThere || fallback != absent ? 1 : 0;
        }
    }

    private static void Fill(nint* to, int stride, int rows, nint row)
    {
        for (var i = 0; i < rows; i++)
            to[i * stride] = row;
    }

    private void SayFrames(int accumulation, byte* to, int stride, int rows)
    {
        var bytes = _needs.Sums[accumulation].Bytes;
        var current = _accumulators + _needs.Sums[accumulation].At;
        _entering[accumulation]!.Take(_enterRows, 1, rows);
        var leaving = _leaving[accumulation];
        leaving?.Take(_leaveRows, 1, rows);
        to += _needs.Sums[accumulation].At;
        for (var i = 0; i < rows; i++, to += stride)
        {
            Copy(current, to, bytes);
            if (_enterRows[i] != 0)
                _tree.Fold(accumulation, _enterRows[i], 1, current);
            if (leaving is not null && _leaveRows[i] != 0)
                _tree.Fold(accumulation, _leaveRows[i], -1, current);
        }
    }

    // At so many positions from the current row.
    private void Place(WindowCursor cursor, long offset)
    {
        cursor.CopyFrom(Row);
        cursor.Move(offset);
    }

    private static void Copy(byte* from, byte* to, int bytes)
    {
        for (var i = 0; i < bytes; i += sizeof(ulong))
            *(ulong*)(to + i) = *(ulong*)(from + i);
    }

    private static bool Same(byte* a, int aLength, byte* b, int bLength) =>
        a == b || (a != null && b != null && aLength == bLength && new ReadOnlySpan<byte>(a, aLength).SequenceEqual(new ReadOnlySpan<byte>(b, bLength)));
}
