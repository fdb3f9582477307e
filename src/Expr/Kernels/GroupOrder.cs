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
    private readonly bool _isNumber;

    /// <param name="columns">Of <paramref name="layout"/>; of a column that occurs again only the first counts.</param>
    public GroupOrder(RowLayout layout, ValueArray<ColumnOrder> columns)
    {
        _columns = [.. columns.DistinctBy(c => c.Column).Select(c => new GroupOrderColumn(new ColumnPlace(layout, c.Column), c.Descending, c.NullsLast))];
        _isNumber = _columns.Sum(c => c.NumberBytes) <= sizeof(ulong);
    }

    /// <summary>Puts the scratch's first <paramref name="count"/> entries in order. Those that are alike stay in the order in which they were.</summary>
    public void Sort(CollectScratch scratch, nint* rows, int count)
    {
        if (MakeKeys(scratch, rows, count))
            return;
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

    /// <summary>Whether two entries that this order has sorted are alike in it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreAlike(in GroupEntry a, in GroupEntry b, byte* keys) => a.Prefix == b.Prefix && Compare(a, b, keys) == 0;

    /// <summary>Gives each entry its key. True if they are in order as they are.</summary>
    private bool MakeKeys(CollectScratch scratch, nint* rows, int count)
    {
        var entries = scratch.Entries;
        var columns = _columns;
        var inOrder = true;
        if (_isNumber)
        {
            for (var i = 0; i < count; i++)
            {
                var row = (byte*)rows[entries[i].Index];
                var number = 0UL;
                for (var c = 0; c < columns.Length; c++)
                    number = columns[c].Append(number, row);
                (entries[i].Prefix, entries[i].Key) = (number, 0);
                inOrder &= i == 0 || entries[i - 1].Prefix <= number;
            }

            return inOrder;
        }

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

/// <summary>A column's part in keys.</summary>
internal readonly unsafe struct GroupOrderColumn
{
    private const int NotNumber = 1000;
    private const byte PresentMark = 1;
    private readonly ColumnPlace _place;
    private readonly bool _isNullable;
    private readonly bool _descending;
    private readonly byte _nullMark;
    private readonly int _width; // of a whole number, else 0
    private readonly ulong _flip;

    public GroupOrderColumn(ColumnPlace place, bool descending, bool nullsLast)
    {
        _place = place;
        _isNullable = place.IsNullable;
        _descending = descending;
        _nullMark = (byte)(nullsLast ? 2 : 0);
        var isSigned = place.Type.Kind is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.Date or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz;
        var isWhole = isSigned || place.Type.Kind is ScalarKind.Bool or ScalarKind.PgLegacyChar or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.MzTimestamp
            or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType;
        _width = isWhole ? place.Width : 0;

        // Of a signed number the top bit turns around, so that negative ones come first; of a descending one all bits.
        if (isWhole)
            _flip = (isSigned ? 1UL << ((8 * _width) - 1) : 0) ^ (descending ? ulong.MaxValue >> (64 - (8 * _width)) : 0);
    }

    /// <summary>Bytes in a key that is a number; far more than one has if the column is none.</summary>
    public int NumberBytes => _width == 0 ? NotNumber : _width + (_isNullable ? 1 : 0);

    /// <summary>A key that is a number, with this column at its end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Append(ulong key, byte* row)
    {
        if (_isNullable)
        {
            var isNull = _place.IsNull(row);
            key = (key << 8) | (isNull ? _nullMark : PresentMark);
            if (isNull)
                return key << (8 * _width);
        }

        return _width == sizeof(ulong) ? Number(row) : (key << (8 * _width)) | Number(row);
    }

    /// <summary>Appends to a key of bytes.</summary>
    public void Append(SortKeyBuffer keys, byte* row)
    {
        if (_isNullable)
        {
            var isNull = _place.IsNull(row);
            *keys.Reserve(1) = isNull ? _nullMark : PresentMark;
            keys.Advance(1);
            if (isNull)
                return;
        }

        if (_width > 0)
        {
            var at = keys.Reserve(sizeof(ulong));
            Unsafe.WriteUnaligned(at, BinaryPrimitives.ReverseEndianness(Number(row) << (64 - (8 * _width))));
            keys.Advance(_width);
            return;
        }

        var start = keys.Open.Length;
        SortKey.WriteStored(_place.Type, _place.Span(row), keys);
        if (_descending)
            Invert(keys.Open[start..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Number(byte* row)
    {
        var value = _place.Fixed(row);
        return _flip ^ _width switch
        {
            1 => *value,
            2 => Unsafe.ReadUnaligned<ushort>(value),
            4 => Unsafe.ReadUnaligned<uint>(value),
            _ => Unsafe.ReadUnaligned<ulong>(value),
        };
    }

    private static void Invert(Span<byte> bytes)
    {
        while (bytes.Length >= Vector<byte>.Count)
        {
            (~new Vector<byte>(bytes)).CopyTo(bytes);
            bytes = bytes[Vector<byte>.Count..];
        }

        foreach (ref var b in bytes)
            b = (byte)~b;
    }
}
