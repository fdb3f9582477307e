namespace Materialize.Dataflow.Progress;

/// <summary>
/// How often each time is outstanding at one place of a dataflow. Counts may be negative for a while: a receiver's "consumed" can
/// arrive before the sender's "produced". Nearly always no time or one, which is kept in place; else a sorted array.
/// </summary>
internal class StampCounts
{
    private Stamp _only;     // while there is at most one
    private long _onlyCount; // 0: there is none
    private (Stamp Stamp, long Count)[]? _sorted;
    private int _used;       // of _sorted; 0 while there is at most one

    /// <summary>The least time with a positive count; <see cref="Stamp.Closed"/> if there is none.</summary>
    public Stamp Min { get; private set; } = Stamp.Closed;

    public bool IsEmpty => Distinct == 0;

    public int Distinct => _used > 0 ? _used : _onlyCount != 0 ? 1 : 0;

    /// <summary>Adds <paramref name="delta"/>; whether <see cref="Min"/> changed.</summary>
    public bool Update(Stamp stamp, long delta)
    {
        if (_used > 0 || (_onlyCount != 0 && _only != stamp))
            return UpdateSorted(stamp, delta);
        _only = stamp;
        _onlyCount += delta;
        return SetMin(_onlyCount > 0 ? stamp : Stamp.Closed);
    }

    /// <summary>If <paramref name="from"/> is all there is, once, <paramref name="to"/> is in its stead.</summary>
    protected bool TryReplace(Stamp from, Stamp to)
    {
        if (_used > 0 || _onlyCount != 1 || _only != from)
            return false;
        _only = to;
        Min = to;
        return true;
    }

    private bool UpdateSorted(Stamp stamp, long delta)
    {
        if (delta == 0)
            return false;
        _sorted ??= new (Stamp, long)[4];
        if (_used == 0)
            _sorted[_used++] = (_only, _onlyCount);
        var i = _used;
        while (i > 0 && _sorted[i - 1].Stamp > stamp)
            i--;
        if (i > 0 && _sorted[i - 1].Stamp == stamp)
        {
            _sorted[--i].Count += delta;
            if (_sorted[i].Count == 0)
                RemoveAt(i);
        }
        else
        {
            InsertAt(i, stamp, delta);
        }

        var min = Stamp.Closed;
        for (var j = 0; j < _used; j++)
        {
            if (_sorted[j].Count > 0)
            {
                min = _sorted[j].Stamp;
                break;
            }
        }

        if (_used == 1)
        {
            (_only, _onlyCount) = _sorted[0];
            _used = 0;
        }

        return SetMin(min);
    }

    private bool SetMin(Stamp min)
    {
        var changed = min != Min;
        Min = min;
        return changed;
    }

    private void InsertAt(int i, Stamp stamp, long count)
    {
        if (_used == _sorted!.Length)
            Array.Resize(ref _sorted, _used * 2);
        Array.Copy(_sorted, i, _sorted, i + 1, _used - i);
        _sorted[i] = (stamp, count);
        _used++;
    }

    private void RemoveAt(int i)
    {
        _used--;
        Array.Copy(_sorted!, i + 1, _sorted!, i, _used - i);
    }
}
