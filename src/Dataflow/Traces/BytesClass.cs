using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// How keys or values of one width class are addressed, copied and compared. Struct type arguments, so that the JIT makes straight-line code for
/// each class; widths within a class stay run-time values.
/// </summary>
/// <remarks>The order of bytes is that of memcmp, shorter first; <see cref="Word"/> is monotone in it, so that most comparisons end after one integer.</remarks>
internal unsafe interface IBytesClass
{
    static abstract bool IsEmpty { get; }

    static abstract bool IsVariable { get; }

    static abstract byte* At(byte* data, uint* ends, int width, int index, out int length);

    static abstract void Copy(byte* to, byte* from, int length);

    /// <summary>The first 8 bytes as a big-endian number, missing ones zero.</summary>
    static abstract ulong Word(byte* p, int length);

    /// <summary>Full comparison; usually after the words were found equal.</summary>
    static abstract int Compare(byte* a, int aLength, byte* b, int bLength);

    static abstract bool AreEqual(byte* a, int aLength, byte* b, int bLength);
}

/// <summary>No bytes: keys that live in their hash, values of sets.</summary>
internal readonly unsafe struct NoBytes : IBytesClass
{
    public static bool IsEmpty => true;

    public static bool IsVariable => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        length = 0;
        return data;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length)
    {
    }

    public static ulong Word(byte* p, int length) => 0;

    public static int Compare(byte* a, int aLength, byte* b, int bLength) => 0;

    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => true;
}

/// <summary>Exactly 8 bytes.</summary>
internal readonly unsafe struct Bytes8 : IBytesClass
{
    public static bool IsEmpty => false;

    public static bool IsVariable => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        length = 8;
        return data + ((long)index * 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length) => *(ulong*)to = *(ulong*)from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(byte* p, int length) => BinaryPrimitives.ReverseEndianness(*(ulong*)p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Compare(byte* a, int aLength, byte* b, int bLength) => Word(a, 8).CompareTo(Word(b, 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => *(ulong*)a == *(ulong*)b;
}

/// <summary>Exactly 16 bytes.</summary>
internal readonly unsafe struct Bytes16 : IBytesClass
{
    public static bool IsEmpty => false;

    public static bool IsVariable => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        length = 16;
        return data + ((long)index * 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length)
    {
        *(ulong*)to = *(ulong*)from;
        *(ulong*)(to + 8) = *(ulong*)(from + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(byte* p, int length) => BinaryPrimitives.ReverseEndianness(*(ulong*)p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Compare(byte* a, int aLength, byte* b, int bLength)
    {
        var first = Word(a, 8).CompareTo(Word(b, 8));
        return first != 0 ? first : Word(a + 8, 8).CompareTo(Word(b + 8, 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => *(UInt128*)a == *(UInt128*)b;
}

/// <summary>Any fixed width.</summary>
internal readonly unsafe struct BytesFixed : IBytesClass
{
    public static bool IsEmpty => false;

    public static bool IsVariable => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        length = width;
        return data + ((long)index * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length) => Unsafe.CopyBlockUnaligned(to, from, (uint)length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(byte* p, int length) => BytesVariable.Word(p, length);

    public static int Compare(byte* a, int aLength, byte* b, int bLength) => BytesVariable.Compare(a, aLength, b, bLength);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => Core.Rows.RowBytes.AreEqual(a, b, aLength);
}

/// <summary>Each of its own length.</summary>
internal readonly unsafe struct BytesVariable : IBytesClass
{
    public static bool IsEmpty => false;

    public static bool IsVariable => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        var start = index == 0 ? 0 : ends[index - 1];
        length = (int)(ends[index] - start);
        return data + start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length) => Core.Rows.RowBytes.Copy(to, from, length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(byte* p, int length)
    {
        if (length >= 8)
            return BinaryPrimitives.ReverseEndianness(*(ulong*)p);
        ulong word = 0;
        for (var i = 0; i < length; i++)
            word |= (ulong)p[i] << (56 - (8 * i));
        return word;
    }

    public static int Compare(byte* a, int aLength, byte* b, int bLength) =>
        new ReadOnlySpan<byte>(a, aLength).SequenceCompareTo(new ReadOnlySpan<byte>(b, bLength));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => aLength == bLength && Core.Rows.RowBytes.AreEqual(a, b, aLength);
}

/// <summary>A multiple of 8 bytes, more than 16.</summary>
internal readonly unsafe struct BytesWords : IBytesClass
{
    public static bool IsEmpty => false;

    public static bool IsVariable => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* At(byte* data, uint* ends, int width, int index, out int length)
    {
        length = width;
        return data + ((long)index * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(byte* to, byte* from, int length)
    {
        for (var i = 0; i < length; i += 8)
            *(ulong*)(to + i) = *(ulong*)(from + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Word(byte* p, int length) => BinaryPrimitives.ReverseEndianness(*(ulong*)p);

    public static int Compare(byte* a, int aLength, byte* b, int bLength)
    {
        for (var i = 0; i < aLength; i += 8)
        {
            if (*(ulong*)(a + i) != *(ulong*)(b + i))
                return Word(a + i, 8) < Word(b + i, 8) ? -1 : 1;
        }

        return 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, int aLength, byte* b, int bLength) => Core.Rows.RowBytes.AreEqual(a, b, aLength);
}
