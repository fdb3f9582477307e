using System.Runtime.CompilerServices;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// A place in a tree's order: at a row, or past the last. Absent values are passed over. Copies of a row are steps of their own, but for <see cref="NextValue"/>. A place before the first row is the first row and how many steps are missing to it.
/// </summary>
internal sealed unsafe class WindowCursor
{
    private readonly WindowTree _tree;
    private readonly nint[] _pages = new nint[WindowTree.LevelsMax]; // from the leaf up; valid while _levels > 0
    private readonly int[] _indexes = new int[WindowTree.LevelsMax];
    private WindowRoot _root;
    private int _levels;
    private byte* _leaf;
    private int _index;       // in the leaf; past the last row: of the last value and one
    private int _count;       // of the leaf
    private bool _isPlain;    // the leaf

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

    /// <summary>The page that the row is in.</summary>
    public byte* Leaf => _leaf;

    /// <summary>Which of the leaf's values.</summary>
    public int Index => _index;

    /// <summary>How many values from here on, with this one, follow each other in the leaf, once each; 0 if the leaf has others.</summary>
    public int PlainRun => _isPlain && Value != null ? _count - _index : 0;

    /// <summary>At the first row.</summary>
    public void ToFirst(in WindowRoot root)
    {
        if (!SetTree(root))
            return;
        for (var level = _levels - 1; level > 0; level--)
        {
            _indexes[level] = 0;
            _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], 0);
        }

        _index = 0;
        EnterLeaf();
        Land();
    }

    /// <summary>At the first row whose value is not before <paramref name="value"/>.</summary>
    public void ToFirstFrom(in WindowRoot root, byte* value, int length)
    {
        if (!SetTree(root))
            return;
        for (var level = _levels - 1; level > 0; level--)
        {
            var page = (byte*)_pages[level];
            _indexes[level] = _tree.Descend(page, level, value, length);
            _pages[level - 1] = (nint)_tree.Child(page, _indexes[level]);
        }

        EnterLeaf();
        _index = WindowTree.Find(_leaf, 0, value, length);
        Land();
    }

    /// <summary>At the first row after all whose values begin with the bytes of <paramref name="peers"/>.</summary>
    public void ToFirstPast(in WindowRoot root, byte* peers, int peerBytes)
    {
        if (!SetTree(root))
            return;
        for (var level = _levels - 1; level > 0; level--)
        {
            var page = (byte*)_pages[level];
            _indexes[level] = _tree.DescendPast(page, level, peers, peerBytes);
            _pages[level - 1] = (nint)_tree.Child(page, _indexes[level]);
        }

        EnterLeaf();
        _index = WindowTree.FindPast(_leaf, 0, peers, peerBytes);
        Land();
    }

    /// <summary>At a row by its position from 0; before the first row if it is negative, past the last if there are not so many.</summary>
    public void ToPosition(in WindowRoot root, long position)
    {
        if (position < 0)
        {
            ToFirst(root);
            Missing = -position;
            return;
        }

        if (!SetTree(root))
            return;
        for (var level = _levels - 1; level > 0; level--)
        {
            var page = (byte*)_pages[level];
            var last = WindowLeaf.CountOf(page) - 1;
            var index = 0;
            for (long rows; index < last && position >= (rows = _tree.ChildRows(page, index)); index++)
                position -= rows;
            _indexes[level] = index;
            _pages[level - 1] = (nint)_tree.Child(page, index);
        }

        EnterLeaf();
        if (_isPlain)
        {
            _index = (int)Math.Min(position, _count);
            Land();
            return;
        }

        _index = 0;
        for (; _index < _count; _index++)
        {
            var copies = Math.Max(0, WindowLeaf.DiffAt(_leaf, _index));
            if (position < copies)
                break;
            position -= copies;
        }

        Land();
        if (Value != null)
            Copy = position;
    }

    public void CopyFrom(WindowCursor other)
    {
        _levels = other._levels;
        for (var i = 1; i < _levels; i++)
        {
            _pages[i] = other._pages[i];
            _indexes[i] = other._indexes[i];
        }

        _pages[0] = other._pages[0];
        _root = other._root;
        _leaf = other._leaf;
        (_index, _count, _isPlain) = (other._index, other._count, other._isPlain);
        Value = other.Value;
        (Length, Copies, Copy, Missing) = (other.Length, other.Copies, other.Copy, other.Missing);
    }

    /// <summary>So many positions on, or back.</summary>
    public void Move(long positions)
    {
        if (positions == 0)
            return;
        if (_isPlain && Missing == 0 && _index + positions >= 0 && _index + positions < _count)
        {
            _index += (int)positions;
            Load();
            return;
        }

        ToPosition(_root, Position() + positions);
    }

    /// <summary>One position on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Step()
    {
        if (Missing > 0)
            Missing--;
        else if (Copy + 1 < Copies)
            Copy++;
        else
            NextValue();
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
        _index++;
        Land();
    }

    /// <summary>So many values on, no more than <see cref="PlainRun"/>.</summary>
    public void Skip(int values)
    {
        _index += values;
        Land();
    }

    /// <summary>Writes the addresses of the rows at the next positions, and goes past them.</summary>
    /// <param name="to">Zero where there is no row.</param>
    /// <param name="stride">In words.</param>
    /// <param name="staysAtFirst">Positions before the first row are the first row.</param>
    public void Take(nint* to, int stride, int positions, bool staysAtFirst = false)
    {
        while (positions > 0)
        {
            var some = 1;
            if (Value == null)
            {
                some = positions;
                for (var i = 0; i < some; i++)
                    to[i * stride] = 0;
            }
            else if (Missing > 0)
            {
                some = (int)Math.Min(positions, Missing);
                var row = staysAtFirst ? (nint)WindowValue.Row(Value, Length) : 0;
                for (var i = 0; i < some; i++)
                    to[i * stride] = row;
                Missing -= some;
            }
            else if (_isPlain)
            {
                some = Math.Min(positions, _count - _index);
                WindowLeaf.CopyRows(_leaf, _index, some, to, stride);
                _index += some;
                Land();
            }
            else
            {
                *to = (nint)WindowValue.Row(Value, Length);
                Step();
            }

            to += some * stride;
            positions -= some;
        }
    }

    /// <summary>Which value of the leaf comes first after all peers of value <paramref name="index"/>; -1 if they may go on in the next leaf.</summary>
    public int PeersEnd(int index, byte* value, int length)
    {
        for (index++; index < _count; index++)
        {
            var next = WindowLeaf.ValueAt(_leaf, index, out var nextLength);
            if (!WindowValue.ArePeers(value, length, next, nextLength))
                return index;
        }

        return IsLastLeaf() ? index : -1;
    }

    /// <summary>What is before this value, see <see cref="WindowTree.SumBefore"/>.</summary>
    public void SumBefore(out long rows, out long groups)
    {
        _indexes[0] = _index;
        _tree.SumBefore(_pages, _indexes, _levels, out rows, out groups);
    }

    // From 0; negative before the first row.
    private long Position()
    {
        SumBefore(out var rows, out _);
        return rows + Copy - Missing;
    }

    private bool SetTree(in WindowRoot root)
    {
        _root = root;
        (Copy, Missing) = (0, 0);
        if (root.Page == null)
        {
            _levels = 0;
            Value = null;
            _leaf = null;
            (_index, _count, _isPlain) = (0, 0, false);
            return false;
        }

        _levels = root.Level + 1;
        _pages[root.Level] = (nint)root.Page;
        return true;
    }

    private void EnterLeaf()
    {
        _leaf = (byte*)_pages[0];
        _count = WindowLeaf.CountOf(_leaf);
        _isPlain = WindowLeaf.IsPlain(_leaf);
    }

    private void Load()
    {
        Value = WindowLeaf.ValueAt(_leaf, _index, out var length);
        Length = length;
        Copies = 1;
    }

    // At the first value from here on that is not absent.
    private void Land()
    {
        Copy = 0;
        Missing = 0;
        while (true)
        {
            if (_index == _count)
            {
                if (!NextLeaf())
                {
                    Value = null;
                    return;
                }
            }

            if (_isPlain)
            {
                Load();
                return;
            }

            if (WindowLeaf.DiffAt(_leaf, _index) is > 0 and var copies)
            {
                Load();
                Copies = copies;
                return;
            }

            _index++;
        }
    }

    private bool IsLastLeaf()
    {
        for (var level = 1; level < _levels; level++)
        {
            if (_indexes[level] + 1 < WindowLeaf.CountOf((byte*)_pages[level]))
                return false;
        }

        return true;
    }

    // False, and nothing moves, at the last.
    private bool NextLeaf()
    {
        var level = 1;
        while (level < _levels && _indexes[level] + 1 >= WindowLeaf.CountOf((byte*)_pages[level]))
            level++;
        if (level >= _levels)
            return false;
        _indexes[level]++;
        for (; level > 0; level--)
        {
            _pages[level - 1] = (nint)_tree.Child((byte*)_pages[level], _indexes[level]);
            if (level > 1)
                _indexes[level - 1] = 0;
        }

        _index = 0;
        EnterLeaf();
        return true;
    }
}
