using System.Numerics;
using System.Runtime.CompilerServices;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Where in a batch, which is sorted by hash, the rows of a hash are: an entry for each value of a hash's top bits, one for two to four rows. A value: it does not own the memory.
/// </summary>
/// <remarks>
/// An entry's low bits are a row number, for which a batch does not need 32 bits. The others are a filter: a bit for each value of the hash's next few bits that occurs among the entry's rows. Of keys that a
/// batch does not have, which is most of what small batches are asked for, 65 to 80 % are known by their entry alone: one cache miss and not two.
/// </remarks>
internal unsafe struct BatchDirectory
{
    private const int BitsMax = 28;

    /// <summary>2^<see cref="Bits"/> + 1: of each value the first row whose hash has at least it as its top bits, and the filter; last the number of rows.</summary>
    public uint* Entries;

    private readonly int _rowBits;
    private readonly int _filterBits;

    private BatchDirectory(int bits, int rowBits)
    {
        Bits = bits;
        _rowBits = rowBits;
        _filterBits = BitOperations.Log2((uint)(32 - rowBits));
    }

    /// <summary>Of the hash, which <see cref="Entries"/> is indexed by.</summary>
    public int Bits { get; private set; }

    public readonly long Bytes => ((1L << Bits) + 1) * sizeof(uint);

    private readonly uint RowMask => (1u << _rowBits) - 1;

    /// <summary>For a batch of up to so many rows; without memory yet.</summary>
    public static BatchDirectory For(long rows) => new(BitsFor(rows), Math.Min(31, BitOperations.Log2((ulong)rows) + 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ulong IndexOf(ulong hash) => hash >> 1 >> (63 - Bits); // not hash >> (64 - bits): a shift by 64 is a shift by 0

    /// <summary>The first row of an entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly int RowAt(ulong index) => (int)(Entries[index] & RowMask);

    /// <summary>False: there is no row of that hash.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool MayHold(ulong hash) => (Entries[IndexOf(hash)] & FilterOf(hash)) != 0;

    /// <summary>The rows of <paramref name="hashes"/> from <paramref name="from"/> on, which come after those before; <paramref name="next"/> is the first entry not begun.</summary>
    public readonly void Add(ulong* hashes, int from, int to, ref int next)
    {
        var begun = next;
        for (var row = from; row < to; row++)
        {
            var index = (int)IndexOf(hashes[row]);
            while (begun <= index)
                Entries[begun++] = (uint)row;
            Entries[index] |= FilterOf(hashes[row]);
        }

        next = begun;
    }

    /// <summary>All rows are there.</summary>
    public readonly void Finish(int rows, int next)
    {
        for (; next <= 1 << Bits; next++)
            Entries[next] = (uint)rows;
    }

    /// <summary>Fewer rows came than might have: one entry for as many as there should be again, if they were less than half. Whether it has become smaller.</summary>
    public bool Shrink(int rows)
    {
        var drop = Bits - BitsFor(rows);
        if (drop <= 0)
            return false;
        Bits -= drop;
        for (var index = 0; index < 1 << Bits; index++)
        {
            // What was the entry's number becomes the first of the next bits.
            var filter = 0u;
            for (var part = 0; part < 1 << drop; part++)
            {
                for (var old = Entries[(index << drop) + part] >> _rowBits; old != 0; old &= old - 1)
                    filter |= 1u << (((part << _filterBits) + BitOperations.TrailingZeroCount(old)) >> drop);
            }

            Entries[index] = (Entries[index << drop] & RowMask) | (filter << _rowBits);
        }

        Entries[1 << Bits] = (uint)rows;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly uint FilterOf(ulong hash) => 1u << (_rowBits + (int)((hash << Bits) >> 1 >> (63 - _filterBits)));

    private static int BitsFor(long rows) => rows <= 4 ? 0 : Math.Min(BitsMax, BitOperations.Log2((ulong)(rows - 1)) - 1);
}
