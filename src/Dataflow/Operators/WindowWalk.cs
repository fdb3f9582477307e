namespace Materialize.Dataflow.Operators;

// What a change of a partition changes in its output. The rows are walked over as they were and as they become, side by side in value order, from the first row that a change can touch on; where the two have different output, the
// difference is emitted. The walk ends as soon as nothing can differ any more:
//
//   - the last change is so many rows back that no offset and no frame reaches it, and it is not of the same group of peers;
//   - what adds up from the beginning is the same on both sides again: rows, groups, sums (a delete and an insert after it cancel out, an insert does not: all later row numbers differ, and all later running sums);
//   - no later change is so near that it touches these rows already.
//
// Then the next walk begins at the next change. If all rows depend on the partition's first (or last) row, and it is another one, the walk is over the whole partition.
//
// Rows alike on both sides are taken many at once: as many as surely belong to the walk, those of a page that both trees share without looking at them. Starting too early or ending too late costs work, never a wrong answer: equal outputs
// are not emitted. A partition that was empty, or becomes empty, has one side only. A walk can pause anywhere, since neither tree changes meanwhile.

/// <summary>Emits what changes at one time make of one partition's output.</summary>
internal sealed unsafe class WindowWalk : IDisposable
{
    private const int WalkFuel = 16; // a place is looked up in two trees
    private const int RunMax = WindowOutput.EntriesMax / 2;
    private readonly WindowNeeds _needs;
    private readonly WindowSide _before;
    private readonly WindowSide _after;
    private readonly WindowCursor _start; // where the walk for the change _startOf begins, in the tree as it was
    private int _startOf = -1;
    private WindowRoot _was;
    private WindowRoot _becomes;
    private WindowChanges _changes = null!;
    private WindowSide? _only; // the side that has rows, if only one has
    private int _next;         // the first change of the next walk
    private int _pending;      // the first change that is not before the current row
    private bool _isWalking;
    private bool _fromFirst;   // the first walk begins with the partition
    private long _since;       // rows since the last change
    private byte* _changed;    // the value that changed last
    private int _changedLength;

    public WindowWalk(WindowNeeds needs, WindowTree tree)
    {
        _needs = needs;
        _before = new WindowSide(needs, tree);
        _after = new WindowSide(needs, tree);
        _start = new WindowCursor(tree);
    }

    public void Measure(Runtime.StateMeter meter)
    {
        _before.Measure(meter);
        _after.Measure(meter);
    }

    public void Dispose()
    {
        _before.Dispose();
        _after.Dispose();
    }

    /// <summary>Begins with a partition, as it was and as it becomes, and the changes between the two; all stay as they are until <see cref="Run"/> has returned true.</summary>
    public void Begin(in WindowRoot was, in WindowRoot becomes, WindowChanges changes)
    {
        _was = was;
        _becomes = becomes;
        _changes = changes;
        _next = 0;
        _startOf = -1;
        _isWalking = false;
        _only = was.Page == null ? _after : becomes.Page == null ? _before : null;
        if (_only is not null)
        {
            ref var root = ref _only == _after ? ref _becomes : ref _was;
            _only.Set(root);
            _only.Row.ToFirst(root);
            _only.Begin();
            return;
        }

        _before.Set(was);
        _after.Set(becomes);
        _fromFirst = !_before.HasEndsOf(_after);
    }

    /// <summary>In place of a walk: a partition that was empty and is one plain leaf now, of no more than <see cref="WindowOutput.EntriesMax"/> rows.</summary>
    public void AddLeaf(byte* leaf, WindowOutput output) => output.AddLeaf(_after, leaf);

    /// <summary>Goes on; false if <paramref name="fuel"/>, rows to visit, was used up before the end.</summary>
    public bool Run(ref long fuel, WindowOutput output)
    {
        if (_only is not null)
            return RunOnly(ref fuel, output);
        while (true)
        {
            if (!_isWalking)
            {
                if (_next >= _changes.Count)
                    return true;
                if (fuel <= 0)
                    return false;
                BeginWalk();
                fuel -= WalkFuel;
            }

            while (_isWalking)
            {
                if (fuel <= 0)
                    return false;
                fuel -= Advance(output, fuel);
            }
        }
    }

    private bool RunOnly(ref long fuel, WindowOutput output)
    {
        while (_only!.Row.Value != null)
        {
            if (fuel <= 0)
                return false;
            var rows = _only.Run((int)Math.Min(fuel, RunMax));
            var copies = CopiesOf(_only);
            output.Add(_only, rows, _only == _after ? copies : -copies);
            fuel -= rows;
        }

        return true;
    }

    private void BeginWalk()
    {
        FindStart(_next);
        var value = _changes.Value(_next, out var length, out _);
        if (_start.Value != null && WindowValue.Compare(_start.Value, _start.Length, value, length) < 0)
        {
            value = _start.Value;
            length = _start.Length;
        }

        _before.Row.CopyFrom(_start);
        _after.Row.ToFirstFrom(_becomes, value, length);

        // Each by its own tree: where no function counts rows, there may be more or fewer before.
        _before.Begin();
        _after.Begin();
        _fromFirst = false;
        _since = 0;
        _changed = null;
        _pending = _next;
        _isWalking = true;
    }

    // The first row in the tree that a change touches, or the one before which its value belongs.
    private void FindStart(int change)
    {
        if (_startOf == change)
            return;
        _startOf = change;
        if (_fromFirst)
        {
            _start.ToFirst(_was);
            return;
        }

        var value = _changes.Value(change, out var length, out _);
        _start.ToFirstFrom(_was, value, _needs.HasPeers ? WindowValue.PeerBytes(value, length) : length);
        if (_needs.Before == 0)
            return;
        _start.Move(-_needs.Before);
        _start.ToFirstCopy();
        if (_needs.HasPeers && _start.Value != null)
            _start.ToFirstFrom(_was, _start.Value, WindowValue.PeerBytes(_start.Value, _start.Length));
    }

    // One row or several; says how many.
    private int Advance(WindowOutput output, long fuel)
    {
        var (was, becomes) = (_before.Row, _after.Row);
        if (was.Value == null && becomes.Value == null)
        {
            _next = _changes.Count;
            _isWalking = false;
            return 0;
        }

        var isShared = was.Leaf == becomes.Leaf && was.Index == becomes.Index && was.Value != null;
        var order = was.Value == null ? 1 : becomes.Value == null ? -1
            : isShared ? 0 : WindowValue.Compare(was.Value, was.Length, becomes.Value, becomes.Length);
        var alike = order == 0 && was.Copies == becomes.Copies;
        var rows = 1;
        if (alike)
        {
            if (was.Copy == 0 && becomes.Copy == 0 && MayEnd())
            {
                _isWalking = false;
                return 1;
            }

            rows = AlikeRun(isShared, (int)Math.Min(fuel, RunMax));
            _since += _needs.IsOfCopies ? rows : rows > 1 ? rows : was.Copies;
        }
        else
        {
            _since = 0;
            var row = order <= 0 ? was : becomes;
            _changed = row.Value;
            _changedLength = row.Length;
        }

        if (order == 0)
            output.AddPairs(_before, _after, rows, CopiesOf(_before), CopiesOf(_after));
        else if (order < 0)
            output.Add(_before, 1, -CopiesOf(_before));
        else
            output.Add(_after, 1, CopiesOf(_after));
        return rows;
    }

    private long CopiesOf(WindowSide side) => _needs.IsOfCopies ? 1 : side.Row.Copies;

    // How many rows from the current ones on are alike and belong to the walk.
    private int AlikeRun(bool isShared, int rowsMax)
    {
        var (was, becomes) = (_before.Row, _after.Row);
        rowsMax = Math.Min(rowsMax, Math.Min(was.PlainRun, becomes.PlainRun));
        if (_changed != null && _before.HasSumsOf(_after))
        {
            // Those that still see the change; of its peers all that are in the page, or one after the other.
            if (_since < _needs.After)
                rowsMax = (int)Math.Min(rowsMax, _needs.After - _since);
            else if (rowsMax > 1 && !(_needs.HasPeers && IsChangesPeer(was.Leaf, was.Index + rowsMax - 1)))
                return 1;
        }

        if (isShared)
            return Math.Max(1, rowsMax);
        var rows = 1;
        for (; rows < rowsMax; rows++)
        {
            var a = WindowLeaf.ValueAt(was.Leaf, was.Index + rows, out var aLength);
            var b = WindowLeaf.ValueAt(becomes.Leaf, becomes.Index + rows, out var bLength);
            if (aLength != bLength || !new ReadOnlySpan<byte>(a, aLength).SequenceEqual(new ReadOnlySpan<byte>(b, bLength)))
                break;
        }

        return rows;
    }

    private bool IsChangesPeer(byte* leaf, int index)
    {
        var value = WindowLeaf.ValueAt(leaf, index, out var length);
        return WindowValue.ArePeers(_changed, _changedLength, value, length);
    }

    // The current row is alike on both sides. Changes that come to nothing (of rows that are absent before and after) are not noticed here, and need not be.
    private bool MayEnd()
    {
        var row = _after.Row;
        while (_pending < _changes.Count && _changes.Value(_pending, out var length, out _) is var value && WindowValue.Compare(value, length, row.Value, row.Length) < 0)
            _pending++;
        if (_changed == null && _pending <= _next && _pending < _changes.Count)
            return false; // the walk's own change is still to come
        if (_since < _needs.After && _changed != null)
            return false;
        if (_needs.HasPeers && _changed != null && WindowValue.ArePeers(_changed, _changedLength, row.Value, row.Length))
            return false;
        if (!_before.IsInStateOf(_after))
            return false;
        if (_pending < _changes.Count)
        {
            FindStart(_pending);
            if (_start.Value != null && WindowValue.Compare(_start.Value, _start.Length, row.Value, row.Length) <= 0)
                return false;
        }

        _next = _pending;
        return true;
    }
}
