namespace Materialize.Core.Memory;

/// <summary>
/// How large the next of a series of columns will be, so that it need not grow to that: as large as the smaller of the last two, since who makes large and small ones by turns would have all of them large.
/// </summary>
public struct SizeForecast
{
    private long _last;

    /// <summary>Of rows or bytes, as noted; 0 at first.</summary>
    public long Next { get; private set; }

    /// <summary>One is finished.</summary>
    public void Note(long size)
    {
        Next = Math.Min(size, _last);
        _last = size;
    }
}
