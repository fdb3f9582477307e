using Materialize.Core.Rows;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>Changes of a partition's rows at one time, in value order, none twice; a view of memory that others keep.</summary>
internal abstract unsafe class WindowChanges
{
    public int Count { get; protected set; }

    public abstract byte* Value(int index, out int length, out long diff);
}

/// <summary>Rows of a delta.</summary>
internal sealed unsafe class WindowDelta<TTime> : WindowChanges where TTime : unmanaged, ITime<TTime>
{
    private Batch<TTime>? _delta;
    private int _first;
    private int[] _rows = [];
    private bool _isListed;

    /// <summary>Rows [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public void Set(Batch<TTime> delta, int from, int to)
    {
        (_delta, _first, _isListed, Count) = (delta, from, false, to - from);
    }

    /// <summary>Those that the slice [<paramref name="from"/>, <paramref name="to"/>) of <paramref name="rows"/> lists.</summary>
    public void Set(Batch<TTime> delta, int[] rows, int from, int to)
    {
        (_delta, _rows, _first, _isListed, Count) = (delta, rows, from, true, to - from);
    }

    public override byte* Value(int index, out int length, out long diff)
    {
        var row = _isListed ? _rows[_first + index] : _first + index;
        length = _delta!.Values.Length(row);
        diff = _delta.DiffAt(row);
        return _delta.Values.Address(row);
    }
}

/// <summary>A whole partition.</summary>
internal sealed unsafe class WindowEntries : WindowChanges
{
    private nint* _values;
    private int* _lengths;
    private long* _diffs;

    public void Set(nint* values, int* lengths, long* diffs, int count)
    {
        _values = values;
        _lengths = lengths;
        _diffs = diffs;
        Count = count;
    }

    public override byte* Value(int index, out int length, out long diff)
    {
        length = _lengths[index];
        diff = _diffs[index];
        return (byte*)_values[index];
    }
}

/// <summary>What lies where in a stored value: sort key, row, length of the sort key (see <see cref="SortedRow"/>). A sort key ends with the length of its part that peers share.</summary>
internal static unsafe class WindowValue
{
    public static byte* Row(byte* value, int length) => value + System.Runtime.CompilerServices.Unsafe.ReadUnaligned<int>(value + length - sizeof(int));

    /// <summary>The bytes at the beginning that peers share.</summary>
    public static int PeerBytes(byte* value, int length) => System.Runtime.CompilerServices.Unsafe.ReadUnaligned<int>(Row(value, length) - sizeof(int));

    public static bool ArePeers(byte* a, int aLength, byte* b, int bLength)
    {
        var bytes = PeerBytes(a, aLength);
        return bytes == PeerBytes(b, bLength) && new ReadOnlySpan<byte>(a, bytes).SequenceEqual(new ReadOnlySpan<byte>(b, bytes));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.AggressiveInlining)]
    public static int Compare(byte* a, int aLength, byte* b, int bLength)
    {
        var x = BytesVariable.Word(a, aLength);
        var y = BytesVariable.Word(b, bLength);
        return x != y ? (x < y ? -1 : 1) : BytesVariable.Compare(a, aLength, b, bLength);
    }
}
