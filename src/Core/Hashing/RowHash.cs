using System.Runtime.CompilerServices;
using Materialize.Core.Rows;

namespace Materialize.Core.Hashing;

/// <summary>
/// The 64-bit hash by which rows are ordered, found and exchanged. Its top bits order batches and index their directories, its low
/// bits index hash tables, bits 24–47 choose the worker.
/// </summary>
/// <remarks>
/// A fixed-width key of at most 8 bytes is mixed by a bijection, so that the hash <em>is</em> the key (<see cref="Unmix"/>) and no
/// key bytes are stored. Other keys get a multiply-fold hash in the manner of wyhash (128-bit products, halves folded by xor): equal
/// hashes then need their keys compared. The value is part of no stored format, but all processes of a replica must agree.
/// </remarks>
public static unsafe class RowHash
{
    private const ulong Odd1 = 0x9E3779B97F4A7C15;
    private const ulong Odd2 = 0xD6E8FEB86659FD93;
    private static readonly ulong Inverse1 = Invert(Odd1);
    private static readonly ulong Inverse2 = Invert(Odd2);

    /// <summary>Whether keys of <paramref name="shape"/> are recovered from their hash, so that nobody stores them.</summary>
    public static bool IsBijective(RowShape shape) => shape.Width is >= 0 and <= 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Mix(ulong key)
    {
        key ^= key >> 32;
        key *= Odd1;
        key ^= key >> 32;
        key *= Odd2;
        key ^= key >> 32;
        return key;
    }

    /// <summary>Inverse of <see cref="Mix"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Unmix(ulong hash)
    {
        hash ^= hash >> 32;
        hash *= Inverse2;
        hash ^= hash >> 32;
        hash *= Inverse1;
        hash ^= hash >> 32;
        return hash;
    }

    /// <summary>The hash of a key of shape <paramref name="shape"/>.</summary>
    public static ulong Hash(RowShape shape, ReadOnlySpan<byte> key)
    {
        fixed (byte* p = key)
            return IsBijective(shape) ? Mix(Load(p, key.Length)) : Wide(p, key.Length);
    }

    /// <summary>The hashes of keys [<paramref name="first"/>, <paramref name="first"/> + <paramref name="count"/>).</summary>
    public static void HashAll(in RowColumn keys, int first, int count, ulong* hashes)
    {
        if (keys.Shape.Width == 8)
        {
            // The usual ones.
            var key = (ulong*)keys.Data + first;
            for (var j = 0; j < count; j++)
                hashes[j] = Mix(key[j]);
        }
        else if (IsBijective(keys.Shape))
        {
            for (var j = 0; j < count; j++)
                hashes[j] = Mix(Load(keys.Address(first + j), keys.Shape.Width));
        }
        else
        {
            for (var j = 0; j < count; j++)
                hashes[j] = Wide(keys.Address(first + j), keys.Length(first + j));
        }
    }

    /// <summary>Up to 8 bytes as a little-endian number, missing bytes zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Load(byte* p, int bytes) => bytes switch
    {
        8 => *(ulong*)p,
        0 => 0,
        4 => *(uint*)p,
        _ => LoadSlow(p, bytes),
    };

    /// <summary>The hash of any number of bytes.</summary>
    public static ulong Wide(byte* p, int length)
    {
        var seed = Odd1 ^ (ulong)(uint)length;
        while (length > 16)
        {
            seed = Fold(*(ulong*)p ^ Odd2, *(ulong*)(p + 8) ^ seed);
            p += 16;
            length -= 16;
        }

        ulong a, b;
        if (length >= 8)
        {
            a = *(ulong*)p;
            b = *(ulong*)(p + length - 8);
        }
        else if (length >= 4)
        {
            a = *(uint*)p;
            b = *(uint*)(p + length - 4);
        }
        else
        {
            a = LoadSlow(p, length);
            b = 0;
        }

        return Fold(Odd1 ^ seed, Fold(a ^ Odd2, b ^ seed));
    }

    /// <summary>Which of <paramref name="workers"/> owns a key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Owner(ulong hash, int workers) => (int)((((hash >> 24) & 0xFFFFFF) * (ulong)(uint)workers) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low;
    }

    private static ulong LoadSlow(byte* p, int bytes)
    {
        ulong value = 0;
        for (var i = 0; i < bytes; i++)
            value |= (ulong)p[i] << (8 * i);
        return value;
    }

    // Newton's iteration doubles the number of right bits of the inverse modulo 2^64 each time.
    private static ulong Invert(ulong odd)
    {
        var x = odd;
        for (var i = 0; i < 6; i++)
            x *= 2 - (odd * x);
        return x;
    }
}
