// The order in which stored parts keep their updates: (hash of the row, row bytes, time).
//
// Any total order serves to merge and consolidate. Hash first makes nearly every comparison one of two integers, and rows that share a long
// prefix cost nothing. The hash is part of the stored format only in that a part is sorted by it: changing it means a new part version.

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Materialize.Repr;

namespace Materialize.Persist.Columns;

/// <summary>The order of stored updates.</summary>
internal static class RowOrder
{
    private const ulong K0 = 0x9e37_79b9_7f4a_7c15;
    private const ulong K1 = 0xbf58_476d_1ce4_e5b9;
    private const ulong K2 = 0x94d0_49bb_1331_11eb;

    /// <summary>64 well-mixed bits of the row's bytes. Stable for ever.</summary>
    public static ulong Hash(ReadOnlySpan<byte> row)
    {
        var state = K0 ^ (ulong)row.Length;
        while (row.Length >= 16)
        {
            state = Mix(BinaryPrimitives.ReadUInt64LittleEndian(row) ^ K1, BinaryPrimitives.ReadUInt64LittleEndian(row[8..]) ^ state);
            row = row[16..];
        }

        ulong a = 0, b = 0;
        if (row.Length >= 8)
        {
            a = BinaryPrimitives.ReadUInt64LittleEndian(row);
            b = BinaryPrimitives.ReadUInt64LittleEndian(row[^8..]);
        }
        else if (row.Length >= 4)
        {
            a = BinaryPrimitives.ReadUInt32LittleEndian(row);
            b = BinaryPrimitives.ReadUInt32LittleEndian(row[^4..]);
        }
        else if (row.Length > 0)
        {
            a = row[0] | ((ulong)row[row.Length / 2] << 8) | ((ulong)row[^1] << 16);
        }

        return Mix(Mix(a ^ K1, b ^ state), K2 ^ state);
    }

    public static ulong[] Hashes(UpdateColumns updates)
    {
        var hashes = new ulong[updates.Count];
        for (var i = 0; i < hashes.Length; i++)
            hashes[i] = Hash(updates.Row(i));
        return hashes;
    }

    /// <summary>The updates in order, equal (row, time) added up, zeros dropped.</summary>
    public static UpdateColumns SortAndConsolidate(UpdateColumns updates)
    {
        if (updates.Count == 0)
            return updates;
        var hashes = Hashes(updates);
        var order = new int[hashes.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        Array.Sort(hashes, order);
        SortTies(updates, hashes, order);

        var sorted = new UpdateColumnsBuilder(updates.Count, updates.Rows.Length);
        for (var i = 0; i < order.Length;)
        {
            var first = order[i];
            var diff = updates.Diffs[first];
            var next = i + 1;
            for (; next < order.Length && hashes[next] == hashes[i] && SameRowAndTime(updates, first, order[next]); next++)
                diff = checked(diff + updates.Diffs[order[next]]);
            if (diff != 0)
                sorted.Add(updates.Row(first), updates.Times[first], diff);
            i = next;
        }

        return sorted.Build();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low;
    }

    private static bool SameRowAndTime(UpdateColumns updates, int a, int b) =>
        updates.Times[a] == updates.Times[b] && updates.Row(a).SequenceEqual(updates.Row(b));

    private static void SortTies(UpdateColumns updates, ulong[] hashes, int[] order)
    {
        for (var i = 0; i < order.Length;)
        {
            var end = i + 1;
            while (end < order.Length && hashes[end] == hashes[i])
                end++;
            if (end - i > 1)
            {
                order.AsSpan(i, end - i).Sort((a, b) =>
                {
                    var byRow = updates.Row(a).SequenceCompareTo(updates.Row(b));
                    return byRow != 0 ? byRow : updates.Times[a].CompareTo(updates.Times[b]);
                });
            }

            i = end;
        }
    }
}
