namespace Materialize.Dataflow.Operators;

// What a change of a partition changes in its output. The rows are walked over as they were and as they become, side by side in value order, from the first row that a change can touch on; where the two have different output, the
// difference is emitted. The walk ends as soon as nothing can differ any more:
//
//   - the last change is so many rows back that no offset and no frame reaches it, and it is not of the same group of peers;
//   - what adds up from the beginning is the same on both sides again: rows, groups, sums (a delete and an insert after it cancel out, an insert does not: all later row numbers differ, and all later running sums);
//   - no later change is so near that it touches these rows already.
//
// Then the next walk begins at the next change. Before its beginning both sides are the same in all that adds up, so that the sums of the tree as it was serve both. If all rows depend on the partition's first (or last) row, and it is
// another one, the walk is over the whole partition.
//
// Starting too early or ending too late costs work, never a wrong answer: equal outputs are not emitted. The tree is not changed before all walks are done, so that a walk can pause anywhere.

/// <summary>Emits what changes at one time make of one partition's output.</summary>
internal sealed unsafe class WindowWalk : IDisposable
{
    private readonly WindowNeeds _needs;
    private readonly WindowSide _before;
    private readonly WindowSide _after;
    private readonly WindowCursor _start; // where the walk for the change _startOf begins, in the tree
    private int _startOf = -1;
    private WindowRoot _root;
    private WindowChanges _changes = null!;
    private int _next;        // the first change of the next walk
    private bool _isWalking;
    private bool _fromFirst;  // the first walk begins with the partition
    private long _since;      // rows since the last change
    private byte* _changed;   // the value that changed last
    private int _changedLength;

    public WindowWalk(WindowPlan plan, WindowNeeds needs, WindowTree tree)
    {
        _needs = needs;
        _before = new WindowSide(plan, needs, tree);
        _after = new WindowSide(plan, needs, tree);
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

    /// <summary>Begins with a partition and its changes, which stay as they are until <see cref="Run"/> has returned true.</summary>
    public void Begin(in WindowRoot root, WindowChanges changes)
    {
        _root = root;
        _changes = changes;
        _next = 0;
        _startOf = -1;
        _isWalking = false;
        _before.SetEnds(root, null);
        _after.SetEnds(root, changes);
        _fromFirst = !_before.HasEndsOf(_after);
    }

    /// <summary>Goes on; false if <paramref name="fuel"/>, rows to visit, was used up before the end.</summary>
    public bool Run(ref long fuel, WindowOutput output)
    {
        while (true)
        {
            if (!_isWalking)
            {
                if (_next >= _changes.Count)
                    return true;
                BeginWalk();
                fuel -= 4;
            }

            while (_isWalking)
            {
                if (fuel <= 0)
                    return false;
                fuel--;
                Advance(output);
                fuel -= _before.TakeWork() + _after.TakeWork();
            }
        }
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
        _after.Row.ToFirstFrom(_root, _changes, _next, value, length);
        _before.Begin(_start);
        _after.Begin(_start);
        _fromFirst = false;
        _since = 0;
        _changed = null;
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
            _start.ToFirst(_root, null);
            return;
        }

        var value = _changes.Value(change, out var length, out _);
        _start.ToFirstFrom(_root, null, 0, value, _needs.HasPeers ? WindowValue.PeerBytes(value, length) : length);
        if (_needs.Before == 0)
            return;
        _start.StepBack(_needs.Before);
        _start.ToFirstCopy();
        if (_needs.HasPeers && _start.Value != null)
            _start.ToFirstFrom(_root, null, 0, _start.Value, WindowValue.PeerBytes(_start.Value, _start.Length));
    }

    // One row, or one copy of it.
    private void Advance(WindowOutput output)
    {
        var (was, becomes) = (_before.Row, _after.Row);
        if (was.Value == null && becomes.Value == null)
        {
            _next = _changes.Count;
            _isWalking = false;
            return;
        }

        var order = was.Value == null ? 1 : becomes.Value == null ? -1
            : was.Value == becomes.Value ? 0 : WindowValue.Compare(was.Value, was.Length, becomes.Value, becomes.Length);
        if (order <= 0 && was.Copy == 0)
            _before.EnterValue();
        if (order >= 0 && becomes.Copy == 0)
            _after.EnterValue();
        if (order == 0 && was.Copies == becomes.Copies)
        {
            if (was.Copy == 0 && MayEnd())
            {
                _isWalking = false;
                return;
            }

            _since += _needs.IsOfCopies ? 1 : was.Copies;
        }
        else
        {
            _since = 0;
            var row = order <= 0 ? was : becomes;
            _changed = row.Value;
            _changedLength = row.Length;
        }

        var copies = _needs.IsOfCopies;
        output.AddPair(
            order <= 0 ? _before : null, order <= 0 ? (copies ? 1 : was.Copies) : 0,
            order >= 0 ? _after : null, order >= 0 ? (copies ? 1 : becomes.Copies) : 0);
        if (order <= 0)
            Step(_before);
        if (order >= 0)
            Step(_after);
    }

    private void Step(WindowSide side)
    {
        if (_needs.IsOfCopies)
            side.Step();
        else
            side.StepValue();
    }

    // The current row is alike on both sides. Changes that come to nothing (of rows that are absent before and after) are not noticed here, and need not be.
    private bool MayEnd()
    {
        var pending = _after.Row.Change;
        if (_changed == null && pending <= _next && pending < _changes.Count)
            return false; // the walk's own change is still to come
        if (_since < _needs.After && _changed != null)
            return false;
        if (_needs.HasPeers && _changed != null && WindowValue.ArePeers(_changed, _changedLength, _after.Row.Value, _after.Row.Length))
            return false;
        if (!_before.IsInStateOf(_after))
            return false;
        if (pending < _changes.Count)
        {
            FindStart(pending);
            if (_start.Value != null && WindowValue.Compare(_start.Value, _start.Length, _after.Row.Value, _after.Row.Length) <= 0)
                return false;
        }

        _next = pending;
        return true;
    }
}
