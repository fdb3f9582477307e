namespace Materialize.Dataflow.Operators;

/// <summary>
/// A place in a partition's order: at a row, or past the last. What it walks over is a tree, or that tree with changes that have not been applied to it: so the partition before and after changes can be walked side by side. Copies of a row
/// are steps of their own for <see cref="Step"/>. A place before the first row is the first row and how many steps are missing to it.
/// </summary>
/// <remarks>Invariant: the tree's place is the first of its values not before <see cref="Value"/>, and so is the change's; values that come to no copies are passed over. Good while neither tree nor changes change.</remarks>
internal sealed unsafe class WindowCursor
{
    private readonly WindowTree _tree;
    private readonly nint[] _pages = new nint[WindowTree.LevelsMax]; // from the leaf up; valid while _levels > 0
    private readonly int[] _indexes = new int[WindowTree.LevelsMax];
    private int _levels;
    private bool _isPastTree;   // then the tree's place is past its last value, which is at _indexes
    private WindowChanges? _changes;
    private int _change;

    public WindowCursor(WindowTree tree)
    {
        _tree = tree;
    }

    /// <summary>The row's value; null past the last row.</summary>
    public byte* Value { get; private set; }

    public int Length { get; private set; }

    /// <summary>Its copies.</summary>
    public long Copies { get; private set; }

    /// <summary>Which of the copies.</summary>
    public long Copy { get; private set; }

    /// <summary>Steps to the first row; 0 at a row.</summary>
    public long Missing { get; private set; }

    /// <summary>Whether there is a row here.</summary>
    public bool HasRow => Value != null && Missing == 0;

    /// <summary>The first change that is not before <see cref="Value"/>.</summary>
    public int Change => _change;

    /// <summary>At the first row.</summary>
    /// <param name="changes">Null: none, whatever there are.</param>
    public void ToFirst(in WindowRoot root, WindowChanges? changes)
    {
        SetTree(root, changes);
        for (var level = _levels - 1; level >= 0; level--)
        {
            _indexes[level] = 0;
            if (level > 0)
                _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], 0);
        }

        _isPastTree = _levels == 0;
        _change = 0;
        Land();
    }

    /// <summary>At the first row whose value is not before <paramref name="value"/>.</summary>
    /// <param name="change">The first of the changes that is not before it.</param>
    public void ToFirstFrom(in WindowRoot root, WindowChanges? changes, int change, byte* value, int length)
    {
        SetTree(root, changes);
        for (var level = _levels - 1; level > 0; level--)
        {
            var page = (byte*)_pages[level];
            _indexes[level] = _tree.Descend(page, level, value, length);
            _pages[level - 1] = (nint)_tree.Child(page, _indexes[level]);
        }

        _isPastTree = _levels == 0;
        if (_levels > 0)
        {
            var leaf = (byte*)_pages[0];
            _indexes[0] = WindowTree.Find(leaf, value, length);
            if (_indexes[0] == WindowTree.CountOf(leaf))
            {
                _indexes[0]--;
                TreeForward();
            }
        }

        _change = change;
        Land();
    }

    /// <summary>Past the last row.</summary>
    public void ToEnd(in WindowRoot root, WindowChanges? changes)
    {
        SetTree(root, changes);
        for (var level = _levels - 1; level >= 0; level--)
        {
            _indexes[level] = WindowTree.CountOf((byte*)_pages[level]) - 1;
            if (level > 0)
                _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], _indexes[level]);
        }

        _isPastTree = true;
        _change = changes?.Count ?? 0;
        Land();
    }

    public void CopyFrom(WindowCursor other)
    {
        _levels = other._levels;
        for (var i = 0; i < _levels; i++)
        {
            _pages[i] = other._pages[i];
            _indexes[i] = other._indexes[i];
        }

        _isPastTree = other._isPastTree;
        _changes = other._changes;
        _change = other._change;
        Value = other.Value;
        (Length, Copies, Copy, Missing) = (other.Length, other.Copies, other.Copy, other.Missing);
    }

    /// <summary>One position on.</summary>
    public void Step()
    {
        if (Missing > 0)
            Missing--;
        else if (Copy + 1 < Copies)
            Copy++;
        else
            NextValue();
    }

    /// <summary>So many positions on.</summary>
    public void Step(long positions)
    {
        while (positions > 0 && Value != null)
        {
            var here = Missing > 0 ? Math.Min(positions, Missing) : Math.Min(positions, Copies - 1 - Copy);
            if (Missing > 0)
                Missing -= here;
            else
                Copy += here;
            positions -= here;
            if (positions > 0 && Missing == 0)
            {
                Step();
                positions--;
            }
        }
    }

    /// <summary>One position back.</summary>
    public void StepBack()
    {
        if (Missing > 0)
            Missing++;
        else if (Copy > 0)
            Copy--;
        else if (PreviousValue())
            Copy = Copies - 1;
        else
            Missing = 1;
    }

    /// <summary>So many positions back.</summary>
    public void StepBack(long positions)
    {
        while (positions > 0)
        {
            if (Missing > 0)
            {
                Missing += positions;
                return;
            }

            var here = Math.Min(positions, Copy);
            Copy -= here;
            positions -= here;
            if (positions > 0)
            {
                StepBack();
                positions--;
            }
        }
    }

    /// <summary>To the first copy of the row; of the first row, if it is before that.</summary>
    public void ToFirstCopy()
    {
        Copy = 0;
        Missing = 0;
    }

    /// <summary>At the next value, all copies passed over.</summary>
    public void NextValue()
    {
        if (Value == null)
            return;
        if (IsTreeHere())
            TreeForward();
        if (IsChangeHere())
            _change++;
        Land();
    }

    /// <summary>At the value before, its first copy; false, and nothing moves, if there is none.</summary>
    public bool PreviousValue()
    {
        var (changeBefore, treeWasPast, moved) = (_change, _isPastTree, 0);
        while (true)
        {
            // The greater of the two values before.
            byte* value = null;
            var length = 0;
            var diff = 0L;
            var order = -1; // < 0: the tree's, > 0: the change's, 0: both
            var hasTree = TreeBack();
            if (hasTree)
            {
                value = WindowTree.ValueAt((byte*)_pages[0], _indexes[0], out length);
                diff = WindowTree.Diffs((byte*)_pages[0])[_indexes[0]];
            }

            if (_changes is not null && _change > 0)
            {
                var change = _changes.Value(_change - 1, out var changeLength, out var changeDiff);
                order = hasTree ? WindowValue.Compare(change, changeLength, value, length) : 1;
                if (order >= 0)
                {
                    diff = order == 0 ? diff + changeDiff : changeDiff;
                    value = change;
                    length = changeLength;
                    _change--;
                }
            }

            if (hasTree && order > 0)
                TreeForward();
            else if (hasTree)
                moved++;
            if (value == null)
            {
                // Nothing that counts: back to where it was.
                for (; moved > 0; moved--)
                    TreeForward();
                _change = changeBefore;
                Core.Invariant.Check(_isPastTree == treeWasPast, "a cursor goes back to where it was");
                return false;
            }

            if (diff <= 0)
                continue;
            Value = value;
            (Length, Copies, Copy) = (length, diff, 0);
            return true;
        }
    }

    /// <summary>What is before this value in the tree, see <see cref="WindowTree.SumBefore"/>.</summary>
    public void SumBefore(out long rows, out long groups, byte* accumulators)
    {
        if (!_isPastTree || _levels == 0)
        {
            _tree.SumBefore(_pages, _indexes, _levels, out rows, out groups, accumulators);
            return;
        }

        // Past the end: the place after the last value of the last leaf.
        _indexes[0]++;
        _tree.SumBefore(_pages, _indexes, _levels, out rows, out groups, accumulators);
        _indexes[0]--;
    }

    private void SetTree(in WindowRoot root, WindowChanges? changes)
    {
        _changes = changes;
        _levels = root.Page == null ? 0 : root.Level + 1;
        if (_levels > 0)
            _pages[root.Level] = (nint)root.Page;
    }

    private bool IsTreeHere()
    {
        if (_isPastTree)
            return false;
        var value = WindowTree.ValueAt((byte*)_pages[0], _indexes[0], out var length);
        return value == Value || (_changes is not null && WindowValue.Compare(value, length, Value, Length) == 0);
    }

    private bool IsChangeHere()
    {
        if (_changes is null || _change >= _changes.Count)
            return false;
        var value = _changes.Value(_change, out var length, out _);
        return value == Value || WindowValue.Compare(value, length, Value, Length) == 0;
    }

    // At the first value from both places on that comes to some copies.
    private void Land()
    {
        Copy = 0;
        Missing = 0;
        while (true)
        {
            byte* value = null;
            var length = 0;
            var diff = 0L;
            var order = -1; // < 0: the tree's, > 0: the change's, 0: both
            if (!_isPastTree)
            {
                value = WindowTree.ValueAt((byte*)_pages[0], _indexes[0], out length);
                diff = WindowTree.Diffs((byte*)_pages[0])[_indexes[0]];
            }

            if (_changes is not null && _change < _changes.Count)
            {
                var change = _changes.Value(_change, out var changeLength, out var changeDiff);
                order = value == null ? 1 : -WindowValue.Compare(change, changeLength, value, length);
                if (order >= 0)
                {
                    diff = order == 0 ? diff + changeDiff : changeDiff;
                    value = change;
                    length = changeLength;
                }
            }

            if (value == null || diff > 0)
            {
                Value = value;
                (Length, Copies) = (length, diff);
                return;
            }

            if (order <= 0)
                TreeForward();
            if (order >= 0)
                _change++;
        }
    }

    private void TreeForward()
    {
        var level = 0;
        while (level < _levels && _indexes[level] + 1 >= WindowTree.CountOf((byte*)_pages[level]))
            level++;
        if (level == _levels)
        {
            _isPastTree = true;
            return;
        }

        _indexes[level]++;
        for (; level > 0; level--)
        {
            _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], _indexes[level]);
            _indexes[level - 1] = 0;
        }
    }

    private bool TreeBack()
    {
        if (_levels == 0)
            return false;
        if (_isPastTree)
        {
            _isPastTree = false;
            return true;
        }

        var level = 0;
        while (level < _levels && _indexes[level] == 0)
            level++;
        if (level == _levels)
            return false;
        _indexes[level]--;
        for (; level > 0; level--)
        {
            _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], _indexes[level]);
            _indexes[level - 1] = WindowTree.CountOf((byte*)_pages[level - 1]) - 1;
        }

        return true;
    }
}
