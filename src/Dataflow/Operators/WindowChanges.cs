using System.Runtime.CompilerServices;
using Materialize.Core.Rows;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>Changes of a partition's rows at one time, in value order, none twice; a view of memory that others keep.</summary>
internal sealed unsafe class WindowChanges
{
    private byte* _data;     // of rows of a delta
    private uint* _ends;
    private int* _diffs;
    private long* _wideDiffs;
    private int _first;
    private int[]? _rows;    // which of them, if not all from _first on
    private nint* _values;   // of a whole partition
    private int* _lengths;

    public int Count { get; private set; }

    /// <summary>Whether the values lie one after another, each inserted once: see <see cref="Data"/>.</summary>
    public bool ArePlain => _values == null && _rows is null && _diffs == null && _wideDiffs == null;

    /// <summary>Of plain changes: where value <paramref name="index"/> begins; that of the count is where the last one ends.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Data(int index) => _data + (_first + index == 0 ? 0 : _ends[_first + index - 1]);

    /// <summary>Rows [<paramref name="from"/>, <paramref name="to"/>) of a delta.</summary>
    public void Set<TTime>(Batch<TTime> delta, int from, int to) where TTime : unmanaged, ITime<TTime>
    {
        SetDelta(delta);
        (_first, _rows, Count) = (from, null, to - from);
    }

    /// <summary>Those that the slice [<paramref name="from"/>, <paramref name="to"/>) of <paramref name="rows"/> lists.</summary>
    public void Set<TTime>(Batch<TTime> delta, int[] rows, int from, int to) where TTime : unmanaged, ITime<TTime>
    {
        SetDelta(delta);
        (_first, _rows, Count) = (from, rows, to - from);
    }

    /// <summary>A whole partition.</summary>
    public void Set(nint* values, int* lengths, long* diffs, int count)
    {
        _values = values;
        _lengths = lengths;
        _wideDiffs = diffs;
        _diffs = null;
        (_first, _rows, Count) = (0, null, count);
    }

    public byte* Value(int index, out int length, out long diff)
    {
        if (_values != null)
        {
            length = _lengths[index];
            diff = _wideDiffs[index];
            return (byte*)_values[index];
        }

        var row = _rows is { } rows ? rows[_first + index] : _first + index;
        diff = _diffs != null ? _diffs[row] : _wideDiffs != null ? _wideDiffs[row] : 1;
        var start = row == 0 ? 0 : _ends[row - 1];
        length = (int)(_ends[row] - start);
        return _data + start;
    }

    private void SetDelta<TTime>(Batch<TTime> delta) where TTime : unmanaged, ITime<TTime>
    {
        System.Diagnostics.Debug.Assert(!delta.Values.IsFixed, "rows with sort keys of variable width are of variable width");
        _data = delta.Values.Data;
        _ends = delta.Values.Ends;
        _diffs = delta.Diffs;
        _wideDiffs = delta.WideDiffs;
        _values = null;
    }
}

/// <summary>What lies where in a stored value: sort key, row, length of the sort key (see <see cref="SortedRow"/>). A sort key ends with the length of its part that peers share.</summary>
internal static unsafe class WindowValue
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Row(byte* value, int length) => value + Unsafe.ReadUnaligned<int>(value + length - sizeof(int));

    /// <summary>The bytes at the beginning that peers share.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int PeerBytes(byte* value, int length) => Unsafe.ReadUnaligned<int>(Row(value, length) - sizeof(int));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool ArePeers(byte* a, int aLength, byte* b, int bLength)
    {
        var bytes = PeerBytes(a, aLength);
        return bytes == PeerBytes(b, bLength) && new ReadOnlySpan<byte>(a, bytes).SequenceEqual(new ReadOnlySpan<byte>(b, bytes));
    }

    /// <summary>Whether a value comes after all those that begin with the <paramref name="peerBytes"/> bytes of <paramref name="peers"/>.</summary>
    public static bool IsPast(byte* value, int length, byte* peers, int peerBytes) =>
        new ReadOnlySpan<byte>(value, Math.Min(length, peerBytes)).SequenceCompareTo(new ReadOnlySpan<byte>(peers, peerBytes)) > 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Compare(byte* a, int aLength, byte* b, int bLength)
    {
        var x = BytesVariable.Word(a, aLength);
        var y = BytesVariable.Word(b, bLength);
        return x != y ? (x < y ? -1 : 1) : BytesVariable.Compare(a, aLength, b, bLength);
    }
}
