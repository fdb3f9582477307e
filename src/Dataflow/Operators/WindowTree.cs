using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// The rows of a partition in order, with sums: a B+ tree whose pages are never changed in what they hold but rewritten. A leaf holds some dozens of values with their multiplicities. An inner page has for each page below it a reference:
// address, first 8 bytes of its first value, and sums over all that is below: rows, groups of peers, accumulators. So the sums of all before a place, whatever they are, cost a path: O(log n).
//
// Two neighbouring pages may share a group of peers, which both count; a reference knows whether its page goes on with the last group of the pages before it (under the same parent), and sums subtract it.
//
// Changes come in order, many at once: a page gives its changes to the pages below, and gets back what they became: none, one or several references. Leaves that become too large are cut evenly, or, where the change was at the end of
// the leaf, filled up: what grows at its end, as histories do, makes full pages. Pages that become small are joined with a neighbour.
//
// Somebody may still look at the rows of a page that was rewritten (output waits to be finished): pages are retired, and freed by Collect.
//
// A row with a negative multiplicity is kept, since its other half may come, and counts as absent.

/// <summary>The tree of one partition, as it is stored: 16 bytes of zeros are an empty one.</summary>
internal unsafe struct WindowRoot
{
    /// <summary>Null: no rows.</summary>
    public byte* Page;

    /// <summary>0: the root is a leaf.</summary>
    public int Level;

    /// <summary>Values of negative multiplicity.</summary>
    public int Negatives;
}

/// <summary>The trees of all partitions of an operator, which it frees when it is disposed. Worker thread only.</summary>
internal sealed unsafe partial class WindowTree : IDisposable
{
    /// <summary>Pages on a path at most.</summary>
    public const int LevelsMax = 16;

    private const int PageBytes = 4096;
    private const int LeafHeader = 16;  // count, capacity
    private const int InnerHeader = 16;
    private const int RefAccumulators = 32;
    private readonly SmallBlocks _blocks = new();
    private readonly List<(nint Page, long Capacity)> _retired = [];
    private readonly IReadOnlyList<WindowAccumulation> _accumulations;
    private readonly int[] _accumulatorOffsets;
    private readonly bool _countsGroups;
    private readonly int _stride;    // of references
    private readonly int _refsMax;   // in an inner page

    /// <param name="countsGroups">Whether groups of peers are counted.</param>
    public WindowTree(IReadOnlyList<WindowAccumulation> accumulations, bool countsGroups)
    {
        _accumulations = accumulations;
        _countsGroups = countsGroups;
        _accumulatorOffsets = new int[accumulations.Count];
        for (var i = 0; i < accumulations.Count; i++)
        {
            Core.Invariant.Check(accumulations[i].AccumulatorBytes % 8 == 0, "accumulators are whole words");
            _accumulatorOffsets[i] = AccumulatorBytes;
            AccumulatorBytes += accumulations[i].AccumulatorBytes;
        }

        _stride = RefAccumulators + AccumulatorBytes;
        _refsMax = Math.Max(16, (PageBytes - InnerHeader) / _stride);
        for (var i = 0; i < _lists.Length; i++)
            _lists[i] = new RefList(_stride);
    }

    /// <summary>Of all accumulations together; accumulation i begins at <see cref="AccumulatorOffset"/>.</summary>
    public int AccumulatorBytes { get; }

    public int AccumulatorOffset(int accumulation) => _accumulatorOffsets[accumulation];

    /// <summary>In pages that <see cref="Collect"/> would free.</summary>
    public long RetiredBytes { get; private set; }

    /// <summary>Frees pages that were rewritten: nobody looks at them any more.</summary>
    public void Collect()
    {
        foreach (var (page, capacity) in _retired)
            _blocks.Return((byte*)page, capacity);
        _retired.Clear();
        RetiredBytes = 0;
    }

    /// <summary>Retires all pages of a tree.</summary>
    public void Drop(ref WindowRoot root)
    {
        if (root.Page != null)
            Drop(root.Page, root.Level);
        root = default;
    }

    public void Measure(StateMeter meter)
    {
        _blocks.Measure(meter);
        foreach (var list in _lists)
            list.Measure(meter);
        meter.Slab(0, _mergedCapacity);
    }

    /// <summary>Frees what is not in the trees; each tree was dropped before.</summary>
    public void Dispose()
    {
        Collect();
        _blocks.Dispose();
        foreach (var list in _lists)
            list.Dispose();
        SlabPool.Return(_merged, _mergedCapacity);
        _merged = null;
        _mergedCapacity = 0;
    }

    // ---- Pages -----------------------------------------------------------------------------------------------------------

    public static int CountOf(byte* page) => *(int*)page;

    public static long* Diffs(byte* leaf) => (long*)(leaf + LeafHeader);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ValueAt(byte* leaf, int index, out int length)
    {
        var count = *(int*)leaf;
        var ends = (uint*)(leaf + LeafHeader + (8L * count));
        var start = index == 0 ? 0 : ends[index - 1];
        length = (int)(ends[index] - start);
        return leaf + DataOffset(count) + start;
    }

    /// <summary>The page below that reference <paramref name="index"/> of an inner page leads to.</summary>
    public byte* Child(byte* page, int index) => *(byte**)RefAt(page, index);

    private static long DataOffset(int count) => (LeafHeader + (12L * count) + 7) & ~7L;

    private byte* RefAt(byte* page, int index) => page + InnerHeader + ((long)index * _stride);

    private static ref ulong WordOf(byte* reference) => ref *(ulong*)(reference + 8);

    private static ref long RowsOf(byte* reference) => ref *(long*)(reference + 16);

    private static ref int GroupsOf(byte* reference) => ref *(int*)(reference + 24);

    private static ref int ContinuesOf(byte* reference) => ref *(int*)(reference + 28);

    private byte* FirstValue(byte* page, int level, out int length)
    {
        for (; level > 0; level--)
            page = Child(page, 0);
        return ValueAt(page, 0, out length);
    }

    // The first or the last value that is not absent; there is one.
    private byte* PresentValue(byte* page, int level, bool last, out int length)
    {
        for (; level > 0; level--)
        {
            var child = last ? CountOf(page) - 1 : 0;
            while (RowsOf(RefAt(page, child)) == 0)
                child += last ? -1 : 1;
            page = Child(page, child);
        }

        var index = last ? CountOf(page) - 1 : 0;
        while (Diffs(page)[index] <= 0)
            index += last ? -1 : 1;
        return ValueAt(page, index, out length);
    }

    private byte* NewPage(long bytes)
    {
        var capacity = SmallBlocks.CapacityFor(bytes);
        var page = _blocks.Rent(capacity);
        *(long*)(page + 8) = capacity;
        return page;
    }

    private void Retire(byte* page)
    {
        var capacity = *(long*)(page + 8);
        _retired.Add(((nint)page, capacity));
        RetiredBytes += capacity;
    }

    private void Drop(byte* page, int level)
    {
        if (level > 0)
        {
            var count = CountOf(page);
            for (var i = 0; i < count; i++)
                Drop(Child(page, i), level - 1);
        }

        Retire(page);
    }

    // ---- Places and sums -------------------------------------------------------------------------------------------------

    /// <summary>Which page below has <paramref name="value"/>, if any has: the last whose first value is not after it, or the first.</summary>
    public int Descend(byte* page, int level, byte* value, int length)
    {
        var word = BytesVariable.Word(value, length);
        int low = 1, high = CountOf(page); // the first reference in [low, high) whose value is after
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var reference = RefAt(page, middle);
            var first = WordOf(reference);
            bool isAfter;
            if (first != word)
            {
                isAfter = first > word;
            }
            else
            {
                var v = FirstValue(*(byte**)reference, level - 1, out var l);
                isAfter = BytesVariable.Compare(v, l, value, length) > 0;
            }

            if (isAfter)
                high = middle;
            else
                low = middle + 1;
        }

        return low - 1;
    }

    /// <summary>The first value of a leaf that is not before <paramref name="value"/>; its count if there is none.</summary>
    public static int Find(byte* leaf, byte* value, int length)
    {
        int low = 0, high = CountOf(leaf);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var v = ValueAt(leaf, middle, out var l);
            if (WindowValue.Compare(v, l, value, length) < 0)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>What is before a place.</summary>
    /// <param name="levels">Of the tree, with the leaf: pages and indexes from the leaf (0) up.</param>
    /// <param name="rows">Rows before it.</param>
    /// <param name="groups">Groups of peers of which a row is before it.</param>
    /// <param name="accumulators">Becomes the sum of their accumulators; null if nobody asks.</param>
    public void SumBefore(ReadOnlySpan<nint> pages, ReadOnlySpan<int> indexes, int levels, out long rows, out long groups, byte* accumulators)
    {
        rows = 0;
        groups = 0;
        if (accumulators != null)
            new Span<byte>(accumulators, AccumulatorBytes).Clear();
        var continues = false; // whether the page in question goes on with the last group counted
        for (var level = levels - 1; level > 0; level--)
        {
            var page = (byte*)pages[level];
            var isFirst = true;
            for (var i = 0; i < indexes[level]; i++)
            {
                var reference = RefAt(page, i);
                if (RowsOf(reference) == 0)
                    continue;
                rows += RowsOf(reference);
                groups += GroupsOf(reference) - (isFirst ? (continues ? 1 : 0) : ContinuesOf(reference));
                isFirst = false;
                if (accumulators != null)
                    Combine(accumulators, reference + RefAccumulators);
            }

            if (!isFirst)
                continues = ContinuesOf(RefAt(page, indexes[level])) != 0;
        }

        if (levels == 0)
            return;
        var leaf = (byte*)pages[0];
        var before = indexes[0];
        var diffs = Diffs(leaf);
        for (var i = 0; i < before; i++)
            rows += Math.Max(0, diffs[i]);
        if (_countsGroups && GroupsIn(leaf, before) is > 0 and var begun)
            groups += begun - (continues ? 1 : 0);
        if (accumulators != null && before > 0)
            FoldLeaf(leaf, before, accumulators);
    }

    /// <summary>Folds a row, so many times, into all accumulators at <paramref name="accumulators"/>.</summary>
    public void Fold(byte* value, int length, long diff, byte* accumulators)
    {
        for (var a = 0; a < _accumulations.Count; a++)
            Fold(a, value, length, diff, accumulators + _accumulatorOffsets[a]);
    }

    /// <summary>Folds a row, so many times, into an accumulator of one accumulation.</summary>
    public void Fold(int accumulation, byte* value, int length, long diff, byte* accumulator)
    {
        nint key = 0;
        var row = (nint)WindowValue.Row(value, length);
        var into = (nint)accumulator;
        _accumulations[accumulation].Accumulate(&key, &row, &diff, &into, 1);
    }

    private void Combine(byte* into, byte* from)
    {
        for (var a = 0; a < _accumulations.Count; a++)
            _accumulations[a].Combine((nint)(into + _accumulatorOffsets[a]), (nint)(from + _accumulatorOffsets[a]));
    }

    private static int GroupsIn(byte* leaf, int count)
    {
        var groups = 0;
        byte* before = null;
        var beforeLength = 0;
        for (var i = 0; i < count; i++)
        {
            if (Diffs(leaf)[i] <= 0)
                continue;
            var value = ValueAt(leaf, i, out var length);
            if (before == null || !WindowValue.ArePeers(before, beforeLength, value, length))
                groups++;
            before = value;
            beforeLength = length;
        }

        return groups;
    }

    private void FoldLeaf(byte* leaf, int count, byte* accumulators)
    {
        const int atOnce = 64;
        var rows = stackalloc nint[atOnce];
        var keys = stackalloc nint[atOnce];
        var into = stackalloc nint[atOnce];
        var diffs = stackalloc long[atOnce];
        for (var from = 0; from < count; from += atOnce)
        {
            var some = Math.Min(atOnce, count - from);
            for (var i = 0; i < some; i++)
            {
                var value = ValueAt(leaf, from + i, out var length);
                rows[i] = (nint)WindowValue.Row(value, length);
                diffs[i] = Math.Max(0, Diffs(leaf)[from + i]);
            }

            for (var a = 0; a < _accumulations.Count; a++)
            {
                new Span<nint>(into, some).Fill((nint)(accumulators + _accumulatorOffsets[a]));
                _accumulations[a].Accumulate(keys, rows, diffs, into, some);
            }
        }
    }
}
