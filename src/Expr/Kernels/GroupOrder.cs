using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// An order of a group's rows by some of their columns, as keys of bytes that compare like the values (those of
/// <see cref="SortKey"/>, less the markers of columns that are never null). Two rows are alike in it only if they are equal in each of its columns.
/// </summary>
internal sealed unsafe class GroupOrder
{
    private const int ShortRun = 16; // two vectors of prefixes
    private readonly GroupOrderColumn[] _columns;
    private readonly int _numbers; // how many columns, from the first on, make a number of 64 bits

    /// <param name="columns">Of <paramref name="layout"/>; of a column that occurs again only the first counts.</param>
    public GroupOrder(RowLayout layout, ValueArray<ColumnOrder> columns)
    {
        _columns = [.. columns.DistinctBy(c => c.Column).Select(c => new GroupOrderColumn(new ColumnPlace(layout, c.Column), c.Descending, c.NullsLast))];
        for (var bytes = 0; _numbers < _columns.Length && bytes + _columns[_numbers].NumberBytes <= sizeof(ulong); _numbers++)
            bytes += _columns[_numbers].NumberBytes;
    }

    /// <summary>Puts the scratch's first <paramref name="count"/> entries in order. Those that are alike stay in the order in which they were.</summary>
    public void Sort(CollectScratch scratch, nint* rows, int count)
    {
        if (_numbers > 0)
        {
            // Mostly the first columns decide, and the others, which may be long, need not be looked at.
            if (!MakeNumbers(scratch.Entries, rows, count))
                SortEntries(scratch, count);
            if (_numbers == _columns.Length || AllDiffer(scratch.Entries, count))
                return;
        }

        if (!MakeKeys(scratch, rows, count))
            SortEntries(scratch, count);
    }

    /// <summary>Whether two entries that this order has sorted are alike in it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreAlike(in GroupEntry a, in GroupEntry b, byte* keys) => a.Prefix == b.Prefix && Compare(a, b, keys) == 0;

    /// <summary>Gives each entry what the first columns make. True if they are in order as they are.</summary>
    private bool MakeNumbers(GroupEntry* entries, nint* rows, int count)
    {
        var inOrder = true;
        for (var i = 0; i < count; i++)
        {
            var row = (byte*)rows[entries[i].Index];
            var number = 0UL;
            for (var c = 0; c < _numbers; c++)
                number = _columns[c].Append(number, row);
            (entries[i].Prefix, entries[i].Key) = (number, 0);
            inOrder &= i == 0 || entries[i - 1].Prefix <= number;
        }

        return inOrder;
    }

    private static bool AllDiffer(GroupEntry* entries, int count)
    {
        for (var i = 1; i < count; i++)
        {
            if (entries[i - 1].Prefix == entries[i].Prefix)
                return false;
        }

        return true;
    }

    /// <summary>Gives each entry its key. True if they are in order as they are.</summary>
    private bool MakeKeys(CollectScratch scratch, nint* rows, int count)
    {
        var entries = scratch.Entries;
        var columns = _columns;
        var inOrder = true;
        var keys = scratch.Keys;
        keys.Clear();
        for (var i = 0; i < count; i++)
        {
            var row = (byte*)rows[entries[i].Index];
            keys.Begin();
            for (var c = 0; c < columns.Length; c++)
                columns[c].Append(keys, row);
            var key = keys.Open;
            entries[i].Prefix = Prefix(key);
            entries[i].Key = 0;
            if (key.Length > sizeof(ulong))
                entries[i].Key = keys.Keep();
            else
                keys.Drop();
            inOrder = inOrder && (i == 0 || Compare(entries[i - 1], entries[i], keys.Data) <= 0);
        }

        return inOrder;
    }

    private static ulong Prefix(ReadOnlySpan<byte> key)
    {
        if (key.Length >= sizeof(ulong))
            return BinaryPrimitives.ReadUInt64BigEndian(key);
        var prefix = 0UL;
        foreach (var b in key)
            prefix = (prefix << 8) | b;
        return key.IsEmpty ? 0 : prefix << (8 * (sizeof(ulong) - key.Length));
    }

    /// <summary>No key is the beginning of another, so that the prefix of a shorter one says all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Compare(in GroupEntry a, in GroupEntry b, byte* keys)
    {
        if (a.Prefix != b.Prefix)
            return a.Prefix < b.Prefix ? -1 : 1;
        return a.Key == 0 || b.Key == 0 ? 0 : CompareRest(a.Key, b.Key, keys);
    }

    private static int CompareRest(uint a, uint b, byte* keys) =>
        SortKeyBuffer.At(keys, a)[sizeof(ulong)..].SequenceCompareTo(SortKeyBuffer.At(keys, b)[sizeof(ulong)..]);

    private static void SortEntries(CollectScratch scratch, int count)
    {
        var keys = scratch.Keys.Data;
        for (var from = 0; from < count; from += ShortRun)
            SortShort(scratch.Entries + from, Math.Min(ShortRun, count - from), scratch.Spare, keys);
        for (long width = ShortRun; width < count; width *= 2)
        {
            for (long from = 0; from < count; from += 2 * width)
                Merge(scratch.Entries + from, Math.Min(width, count - from), Math.Min(2 * width, count - from), scratch.Spare + from, keys);
            scratch.Swap();
        }
    }

    private static void SortShort(GroupEntry* entries, int count, GroupEntry* spare, byte* keys)
    {
        if (!Rank(entries, count, spare))
            Insert(entries, count, keys);
    }

    /// <summary>
    /// Finds each entry's place by how many prefixes are less than its own: no branch depends on the data, where inserting guesses wrong at
    /// every other entry. False, and nothing has moved, if two prefixes are equal.
    /// </summary>
    private static bool Rank(GroupEntry* entries, int count, GroupEntry* spare)
    {
        const int half = ShortRun / 2;
        var prefixes = stackalloc ulong[ShortRun];
        for (var i = 0; i < ShortRun; i++)
            prefixes[i] = i < count ? entries[i].Prefix : ulong.MaxValue;
        var (low, high) = (Vector512.Load(prefixes), Vector512.Load(prefixes + half));
        for (var i = 0; i < count; i++)
        {
            var own = Vector512.Create(prefixes[i]);
            var notGreater = BitOperations.PopCount(Vector512.LessThanOrEqual(low, own).ExtractMostSignificantBits())
                + BitOperations.PopCount(Vector512.LessThanOrEqual(high, own).ExtractMostSignificantBits());
            var less = BitOperations.PopCount(Vector512.LessThan(low, own).ExtractMostSignificantBits())
                + BitOperations.PopCount(Vector512.LessThan(high, own).ExtractMostSignificantBits());
            if (notGreater != less + 1)
                return false;
            spare[less] = entries[i];
        }

        Copy(spare, entries, count);
        return true;
    }

    private static void Insert(GroupEntry* entries, int count, byte* keys)
    {
        for (var i = 1; i < count; i++)
        {
            if (Compare(entries[i - 1], entries[i], keys) <= 0)
                continue;
            var entry = entries[i];
            var to = i;
            do
            {
                entries[to] = entries[to - 1];
                to--;
            }
            while (to > 0 && Compare(entries[to - 1], entry, keys) > 0);
            entries[to] = entry;
        }
    }

    /// <summary>Merges [0, <paramref name="middle"/>) and [middle, <paramref name="end"/>).</summary>
    private static void Merge(GroupEntry* from, long middle, long end, GroupEntry* to, byte* keys)
    {
        if (middle == end || Compare(from[middle - 1], from[middle], keys) <= 0)
        {
            Copy(from, to, end);
            return;
        }

        var (left, right) = (0L, middle);
        while (left < middle && right < end)
            *to++ = Compare(from[left], from[right], keys) <= 0 ? from[left++] : from[right++];
        Copy(from + left, to, middle - left);
        Copy(from + right, to + (middle - left), end - right);
    }

    private static void Copy(GroupEntry* from, GroupEntry* to, long count) =>
        Buffer.MemoryCopy(from, to, count * sizeof(GroupEntry), count * sizeof(GroupEntry));
}
