using System.Runtime.CompilerServices;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// A page of values: the allocator's 4 bytes, count (2), kind (1), unused (1); multiplicities (8 each) if one is not 1; ends of the values (2 each, or 4 if they go further); the values. It has no slack, so that its size follows from what it holds.
/// </summary>
internal static unsafe class WindowLeaf
{
    private const int Header = 8;
    private const int WithDiffs = 1;
    private const int WideEnds = 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CountOf(byte* page) => *(ushort*)(page + 4);

    public static void SetCount(byte* page, int count) => *(ushort*)(page + 4) = checked((ushort)count);

    /// <summary>Whether each value is there once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPlain(byte* leaf) => (leaf[6] & WithDiffs) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long DiffAt(byte* leaf, int index) => IsPlain(leaf) ? 1 : ((long*)(leaf + Header))[index];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ValueAt(byte* leaf, int index, out int length)
    {
        var count = CountOf(leaf);
        var ends = leaf + Header + (IsPlain(leaf) ? 0 : 8L * count);
        if ((leaf[6] & WideEnds) == 0)
        {
            var start = index == 0 ? 0 : ((ushort*)ends)[index - 1];
            length = ((ushort*)ends)[index] - start;
            return ends + (2L * count) + start;
        }
        else
        {
            var start = index == 0 ? 0 : ((uint*)ends)[index - 1];
            length = (int)(((uint*)ends)[index] - start);
            return ends + (4L * count) + start;
        }
    }

    /// <summary>The size of a leaf of so many values and bytes of values.</summary>
    public static long BytesOf(int count, long bytes, bool isPlain) => Header + (count * ((isPlain ? 0L : 8L) + (bytes <= ushort.MaxValue ? 2L : 4L))) + bytes;

    public static long BytesOf(byte* leaf)
    {
        var count = CountOf(leaf);
        var last = ValueAt(leaf, count - 1, out var length);
        return last + length - leaf;
    }

    /// <summary>Says what will be in a new leaf.</summary>
    /// <param name="diffs">To be filled in; null if the leaf is plain.</param>
    /// <param name="data">Where the values go, in order; ends are to be set with <see cref="SetEnd"/>.</param>
    public static void Begin(byte* leaf, int count, long bytes, bool isPlain, out long* diffs, out byte* data)
    {
        SetCount(leaf, count);
        var isWide = bytes > ushort.MaxValue;
        leaf[6] = (byte)((isPlain ? 0 : WithDiffs) | (isWide ? WideEnds : 0));
        leaf[7] = 0;
        diffs = isPlain ? null : (long*)(leaf + Header);
        data = leaf + Header + (count * ((isPlain ? 0L : 8L) + (isWide ? 4L : 2L)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetEnd(byte* leaf, int index, long end)
    {
        var ends = leaf + Header + (IsPlain(leaf) ? 0 : 8L * CountOf(leaf));
        if ((leaf[6] & WideEnds) == 0)
            ((ushort*)ends)[index] = (ushort)end;
        else
            ((uint*)ends)[index] = checked((uint)end);
    }

    /// <summary>Addresses of the rows of values [<paramref name="from"/>, <paramref name="from"/> + <paramref name="count"/>), each <paramref name="stride"/> words after the one before.</summary>
    public static void CopyRows(byte* leaf, int from, int count, nint* to, int stride)
    {
        if ((leaf[6] & WideEnds) != 0)
        {
            for (var i = 0; i < count; i++, to += stride)
            {
                var value = ValueAt(leaf, from + i, out var length);
                *to = (nint)WindowValue.Row(value, length);
            }

            return;
        }

        var ends = (ushort*)(leaf + Header + (IsPlain(leaf) ? 0 : 8L * CountOf(leaf)));
        var data = (byte*)(ends + CountOf(leaf));
        var start = from == 0 ? data : data + ends[from - 1];
        for (var i = from; i < from + count; i++, to += stride)
        {
            var end = data + ends[i];
            *to = (nint)(start + Unsafe.ReadUnaligned<int>(end - sizeof(int)));
            start = end;
        }
    }
}
