using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Materialize.Core.Rows;

/// <summary>Copies of rows, most of which are short: a call would cost more than the copy.</summary>
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
}
