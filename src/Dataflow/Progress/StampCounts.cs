namespace Materialize.Dataflow.Progress;

/// <summary>
/// How often each time is outstanding at one place of a dataflow. Counts may be negative for a while: a receiver's "consumed" can
/// arrive before the sender's "produced". Usually one or two times: a sorted array.
/// </summary>
internal sealed class StampCounts
{
    private Stamp[] _stamps = new Stamp[2];
    private long[] _counts = new long[2];
    private int _used;

    /// <summary>The least time with a positive count; <see cref="Stamp.Closed"/> if there is none.</summary>
    public Stamp Min { get; private set; } = Stamp.Closed;

    public bool IsEmpty => _used == 0;

    public int Distinct => _used;

    /// <summary>Adds <paramref name="delta"/>; whether <see cref="Min"/> changed.</summary>
    public bool Update(Stamp stamp, long delta)
    {
        var i = _used;
        while (i > 0 && _stamps[i - 1] > stamp)
            i--;
        if (i > 0 && _stamps[i - 1] == stamp)
        {
            _counts[--i] += delta;
            if (_counts[i] == 0)
                RemoveAt(i);
        }
        else
        {
            InsertAt(i, stamp, delta);
        }

        var min = Stamp.Closed;
        for (var j = 0; j < _used; j++)
        {
            if (_counts[j] > 0)
            {
                min = _stamps[j];
                break;
            }
        }

        var changed = min != Min;
        Min = min;
        return changed;
    }

    private void InsertAt(int i, Stamp stamp, long count)
    {
        if (_used == _stamps.Length)
        {
            Array.Resize(ref _stamps, _used * 2);
            Array.Resize(ref _counts, _used * 2);
        }

        Array.Copy(_stamps, i, _stamps, i + 1, _used - i);
        Array.Copy(_counts, i, _counts, i + 1, _used - i);
        _stamps[i] = stamp;
        _counts[i] = count;
        _used++;
    }

    private void RemoveAt(int i)
    {
        _used--;
        Array.Copy(_stamps, i + 1, _stamps, i, _used - i);
        Array.Copy(_counts, i + 1, _counts, i, _used - i);
    }
}
