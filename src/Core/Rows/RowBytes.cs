using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Materialize.Core.Rows;

/// <summary>Copies and comparisons of rows, most of which are short: a call would cost more than the work.</summary>
public static unsafe class RowBytes
{
    /// <summary>Copies <paramref name="length"/> bytes; the two do not overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length)
    {
        // Two loads that may overlap, then two stores: no loop, and one branch for all lengths of a class.
        if (length > 32)
        {
            Unsafe.CopyBlockUnaligned(to, from, (uint)length);
        }
        else if (length >= 16)
        {
            var (head, tail) = (Vector128.Load(from), Vector128.Load(from + length - 16));
            head.Store(to);
            tail.Store(to + length - 16);
        }
        else if (length >= 8)
        {
            var (head, tail) = (*(ulong*)from, *(ulong*)(from + length - 8));
            *(ulong*)to = head;
            *(ulong*)(to + length - 8) = tail;
        }
        else if (length >= 4)
        {
            var (head, tail) = (*(uint*)from, *(uint*)(from + length - 4));
            *(uint*)to = head;
            *(uint*)(to + length - 4) = tail;
        }
        else if (length > 0)
        {
            var (head, middle, tail) = (*from, from[length >> 1], from[length - 1]);
            *to = head;
            to[length >> 1] = middle;
            to[length - 1] = tail;
        }
    }
    /// <summary>Whether two rows of <paramref name="length"/> bytes are the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, byte* b, int length)
    {
        if (length > 32)
            return new ReadOnlySpan<byte>(a, length).SequenceEqual(new ReadOnlySpan<byte>(b, length));
        if (length >= 16)
            return ((Vector128.Load(a) ^ Vector128.Load(b)) | (Vector128.Load(a + length - 16) ^ Vector128.Load(b + length - 16))) == Vector128<byte>.Zero;
        if (length >= 8)
            return ((*(ulong*)a ^ *(ulong*)b) | (*(ulong*)(a + length - 8) ^ *(ulong*)(b + length - 8))) == 0;
        if (length >= 4)
            return ((*(uint*)a ^ *(uint*)b) | (*(uint*)(a + length - 4) ^ *(uint*)(b + length - 4))) == 0;
        return length <= 0 || ((*a ^ *b) | (a[length >> 1] ^ b[length >> 1]) | (a[length - 1] ^ b[length - 1])) == 0;
    }
}
