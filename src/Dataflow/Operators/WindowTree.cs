using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// The rows of a partition in order, with sums: a B+ tree whose pages are never changed but rewritten. A leaf (WindowLeaf) holds some dozens of values with their multiplicities. An inner page has for each page below it a reference:
// address, first 8 bytes of its first value, and sums over all that is below: rows, groups of peers, accumulators. So the sums of all before a place, whatever they are, cost a path: O(log n). Most trees are a single leaf, of just the
// size that it needs, and nothing else.
//
// Two neighbouring pages may share a group of peers, which both count; a reference knows whether its page goes on with the last group of the pages before it (under the same parent), and sums subtract it.
//
// Changes come in order, many at once: a page gives its changes to the pages below, and gets back what they became: none, one or several references. Leaves that become too large are cut evenly, or, where the change was at the end of
// the leaf, filled up: what grows at its end, as histories do, makes full pages. Pages that become small are joined with a neighbour.
//
// Since pages are rewritten, a tree as it was stays whole beside what it becomes, and the two share all pages without changes: that is what walks go over. Pages that only the former has are retired, and freed by Collect.
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

    private const int PageBytes = WindowPages.BlockMax;
    private const int InnerHeader = 8; // the allocator's 4 bytes, count (2), unused
    private const int RefAccumulators = 32;
    private readonly WindowPages _pages = new();
    private readonly List<(nint Page, long Bytes)> _retired = [];
    private readonly WindowAccumulation[] _accumulations;
    private readonly int[] _accumulatorOffsets;
    private readonly bool _countsGroups;
    private readonly int _stride;    // of references
    private readonly int _refsMax;   // in an inner page

    /// <param name="countsGroups">Whether groups of peers are counted.</param>
    public WindowTree(IReadOnlyList<WindowAccumulation> accumulations, bool countsGroups)
    {
        _accumulations = [.. accumulations];
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
        foreach (var (page, bytes) in _retired)
            _pages.Return((byte*)page, bytes);
        _retired.Clear();
        RetiredBytes = 0;
    }

    /// <summary>Whether there is a page that is to be dropped before the trees are disposed.</summary>
    public bool HasLargePages => _pages.LargeCount > 0;

    /// <summary>Retires all pages of a tree.</summary>
    public void Drop(ref WindowRoot root)
    {
        if (root.Page != null)
            Drop(root.Page, root.Level);
        root = default;
    }

    public void Measure(StateMeter meter)
    {
        _pages.Measure(meter);
        foreach (var list in _lists)
            list.Measure(meter);
        meter.Slab(0, _mergedCapacity);
    }

    /// <summary>Frees all pages; where there are large ones, each tree was dropped before.</summary>
    public void Dispose()
    {
        Collect();
        _pages.Dispose();
        foreach (var list in _lists)
            list.Dispose();
        SlabPool.Return(_merged, _mergedCapacity);
        _merged = null;
        _mergedCapacity = 0;
    }

    // ---- Pages -----------------------------------------------------------------------------------------------------------

    /// <summary>The page below that reference <paramref name="index"/> of an inner page leads to.</summary>
    public byte* Child(byte* page, int index) => *(byte**)RefAt(page, index);

    /// <summary>The rows below that reference.</summary>
    public long ChildRows(byte* page, int index) => RowsOf(RefAt(page, index));

    private byte* RefAt(byte* page, int index) => page + InnerHeader + ((long)index * _stride);

    private static ref ulong WordOf(byte* reference) => ref *(ulong*)(reference + 8);

    private static ref long RowsOf(byte* reference) => ref *(long*)(reference + 16);

    private static ref int GroupsOf(byte* reference) => ref *(int*)(reference + 24);

    private static ref int ContinuesOf(byte* reference) => ref *(int*)(reference + 28);

    private byte* FirstValue(byte* page, int level, out int length)
    {
        for (; level > 0; level--)
            page = Child(page, 0);
        return WindowLeaf.ValueAt(page, 0, out length);
    }

    // The first or the last value that is not absent; there is one.
    private byte* PresentValue(byte* page, int level, bool last, out int length)
    {
        for (; level > 0; level--)
        {
            var child = last ? WindowLeaf.CountOf(page) - 1 : 0;
            while (RowsOf(RefAt(page, child)) == 0)
                child += last ? -1 : 1;
            page = Child(page, child);
        }

        var index = last ? WindowLeaf.CountOf(page) - 1 : 0;
        while (WindowLeaf.DiffAt(page, index) <= 0)
            index += last ? -1 : 1;
        return WindowLeaf.ValueAt(page, index, out length);
    }

    private long InnerBytes(int count) => InnerHeader + ((long)count * _stride);

    private void Retire(byte* page, int level)
    {
        var bytes = level == 0 ? WindowLeaf.BytesOf(page) : InnerBytes(WindowLeaf.CountOf(page));
        _retired.Add(((nint)page, bytes));
        RetiredBytes += bytes;
    }

    private void Drop(byte* page, int level)
    {
        if (level > 0)
        {
            var count = WindowLeaf.CountOf(page);
            for (var i = 0; i < count; i++)
                Drop(Child(page, i), level - 1);
        }

        Retire(page, level);
    }

    // ---- Places ----------------------------------------------------------------------------------------------------------

    /// <summary>Which page below has <paramref name="value"/>, if any has: the last whose first value is not after it, or the first.</summary>
    public int Descend(byte* page, int level, byte* value, int length)
    {
        var word = BytesVariable.Word(value, length);
        int low = 1, high = WindowLeaf.CountOf(page); // the first reference in [low, high) whose value is after
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

    /// <summary>Which page below has the first value that comes after all with the bytes of <paramref name="peers"/>, or has the last of these.</summary>
    public int DescendPast(byte* page, int level, byte* peers, int peerBytes)
    {
        int low = 1, high = WindowLeaf.CountOf(page);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var v = FirstValue(Child(page, middle), level - 1, out var l);
            if (WindowValue.IsPast(v, l, peers, peerBytes))
                high = middle;
            else
                low = middle + 1;
        }

        return low - 1;
    }

    /// <summary>The first value of a leaf from <paramref name="low"/> on that is not before <paramref name="value"/>; its count if there is none.</summary>
    public static int Find(byte* leaf, int low, byte* value, int length)
    {
        var high = WindowLeaf.CountOf(leaf);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var v = WindowLeaf.ValueAt(leaf, middle, out var l);
            if (WindowValue.Compare(v, l, value, length) < 0)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>The first value of a leaf from <paramref name="low"/> on after all with the bytes of <paramref name="peers"/>; its count if there is none.</summary>
    public static int FindPast(byte* leaf, int low, byte* peers, int peerBytes)
    {
        var high = WindowLeaf.CountOf(leaf);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var v = WindowLeaf.ValueAt(leaf, middle, out var l);
            if (WindowValue.IsPast(v, l, peers, peerBytes))
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }

    /// <summary>The last row's value; null if there is no row.</summary>
    public byte* Last(in WindowRoot root, out int length)
    {
        length = 0;
        if (root.Page == null || (root.Negatives > 0 && RowsIn(root) == 0))
            return null;
        return PresentValue(root.Page, root.Level, last: true, out length);
    }

    // ---- Sums ------------------------------------------------------------------------------------------------------------

    /// <summary>How many rows there are.</summary>
    public long RowsIn(in WindowRoot root)
    {
        if (root.Page == null)
            return 0;
        var count = WindowLeaf.CountOf(root.Page);
        if (root.Level == 0)
            return RowsIn(root.Page, count);
        var rows = 0L;
        for (var i = 0; i < count; i++)
            rows += RowsOf(RefAt(root.Page, i));
        return rows;
    }

    /// <summary>The rows of a leaf's first <paramref name="count"/> values.</summary>
    public static long RowsIn(byte* leaf, int count)
    {
        if (WindowLeaf.IsPlain(leaf))
            return count;
        var rows = 0L;
        for (var i = 0; i < count; i++)
            rows += Math.Max(0, WindowLeaf.DiffAt(leaf, i));
        return rows;
    }

    /// <summary>What is before a value.</summary>
    /// <param name="pages">On the path to it, from the leaf (0) up.</param>
    /// <param name="indexes">Of the path.</param>
    /// <param name="levels">Of the tree, with the leaf.</param>
    /// <param name="rows">Rows before it.</param>
    /// <param name="groups">Groups of peers of which a row is before it; 0 if they are not counted.</param>
    public void SumBefore(ReadOnlySpan<nint> pages, ReadOnlySpan<int> indexes, int levels, out long rows, out long groups)
    {
        rows = 0;
        groups = 0;
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
            }

            if (!isFirst)
                continues = ContinuesOf(RefAt(page, indexes[level])) != 0;
        }

        if (levels == 0)
            return;
        var leaf = (byte*)pages[0];
        rows += RowsIn(leaf, indexes[0]);
        if (_countsGroups && GroupsIn(leaf, indexes[0]) is > 0 and var begun)
            groups += begun - (continues ? 1 : 0);
    }

    /// <summary>Adds the rows at positions [<paramref name="from"/>, <paramref name="to"/>), as far as there are such, to an accumulator. O(log n).</summary>
    public void AddRange(in WindowRoot root, long from, long to, int accumulation, byte* accumulator)
    {
        if (root.Page != null && from < to && to > 0)
            AddRange(root.Page, root.Level, Math.Max(0, from), to, accumulation, accumulator);
    }

    private void AddRange(byte* page, int level, long from, long to, int accumulation, byte* accumulator)
    {
        var count = WindowLeaf.CountOf(page);
        if (level == 0)
        {
            if (WindowLeaf.IsPlain(page))
                FoldLeaf(page, (int)Math.Min(count, from), (int)Math.Min(count, to), accumulation, accumulator);
            else
                FoldCopies(page, from, to, accumulation, accumulator);
            return;
        }

        for (var i = 0; i < count && to > 0; i++)
        {
            var reference = RefAt(page, i);
            var rows = RowsOf(reference);
            if (from <= 0 && to >= rows)
            {
                if (rows > 0)
                    _accumulations[accumulation].Combine((nint)accumulator, (nint)(reference + RefAccumulators + _accumulatorOffsets[accumulation]));
            }
            else if (from < rows)
            {
                AddRange(*(byte**)reference, level - 1, Math.Max(0, from), Math.Min(to, rows), accumulation, accumulator);
            }

            from -= rows;
            to -= rows;
        }
    }

    private void FoldCopies(byte* leaf, long from, long to, int accumulation, byte* accumulator)
    {
        var count = WindowLeaf.CountOf(leaf);
        for (var i = 0; i < count && to > 0; i++)
        {
            var copies = Math.Max(0, WindowLeaf.DiffAt(leaf, i));
            var folded = Math.Min(copies, to) - Math.Max(0, from);
            if (folded > 0)
            {
                var value = WindowLeaf.ValueAt(leaf, i, out var length);
                Fold(accumulation, (nint)WindowValue.Row(value, length), folded, accumulator);
            }

            from -= copies;
            to -= copies;
        }
    }

    /// <summary>Folds a row, so many times, into an accumulator of one accumulation.</summary>
    public void Fold(int accumulation, nint row, long diff, byte* accumulator)
    {
        nint key = 0;
        var into = (nint)accumulator;
        _accumulations[accumulation].Accumulate(&key, &row, &diff, &into, 1);
    }

    /// <summary>Folds values [<paramref name="from"/>, <paramref name="to"/>) of a leaf, absent ones left out, into an accumulator of one accumulation.</summary>
    public void FoldLeaf(byte* leaf, int from, int to, int accumulation, byte* accumulator)
    {
        const int atOnce = 64;
        var rows = stackalloc nint[atOnce];
        var keys = stackalloc nint[atOnce];
        var into = stackalloc nint[atOnce];
        var diffs = stackalloc long[atOnce];
        new Span<nint>(into, Math.Min(atOnce, Math.Max(0, to - from))).Fill((nint)accumulator);
        for (; from < to; from += atOnce)
        {
            var some = Math.Min(atOnce, to - from);
            WindowLeaf.CopyRows(leaf, from, some, rows, 1);
            for (var i = 0; i < some; i++)
                diffs[i] = Math.Max(0, WindowLeaf.DiffAt(leaf, from + i));
            _accumulations[accumulation].Accumulate(keys, rows, diffs, into, some);
        }
    }

    private static int GroupsIn(byte* leaf, int count)
    {
        var groups = 0;
        byte* before = null;
        var beforeLength = 0;
        for (var i = 0; i < count; i++)
        {
            if (WindowLeaf.DiffAt(leaf, i) <= 0)
                continue;
            var value = WindowLeaf.ValueAt(leaf, i, out var length);
            if (before == null || !WindowValue.ArePeers(before, beforeLength, value, length))
                groups++;
            before = value;
            beforeLength = length;
        }

        return groups;
    }
}
