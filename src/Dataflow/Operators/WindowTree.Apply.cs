using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

internal sealed unsafe partial class WindowTree
{
    private const int SmallPage = PageBytes / 4;
    private readonly RefList[] _lists = new RefList[LevelsMax + 1]; // what pages of a level became, for the page above
    private byte* _merged;          // a leaf's values and changes, in order
    private long _mergedCapacity;
    private int _mergedCount;
    private bool _grewAtEnd;

    /// <summary>Values that a page is made of, before it is.</summary>
    private struct Merged
    {
        public byte* Value;
        public int Length;
        public long Diff;
    }

    /// <summary>Adds changes [<paramref name="from"/>, <paramref name="to"/>) to a tree. A few thousand at once: it does not pause.</summary>
    public void Apply(ref WindowRoot root, WindowChanges changes, int from, int to)
    {
        if (from == to)
            return;
        var level = root.Level;
        var list = _lists[level];
        list.Clear();
        ApplyTo(ref root, root.Page, level, changes, from, to, list);

        // The root may have become several pages, or none, or one over a single one.
        while (list.Count > 1)
        {
            Core.Invariant.Check(level + 1 < LevelsMax, "window trees are shallow");
            var above = _lists[level + 1];
            above.Clear();
            for (var i = 1; i < list.Count; i++)
                SetContinues(list, i, level);
            MakeInner(list, above);
            list = above;
            level++;
        }

        root.Page = list.Count == 0 ? null : *(byte**)list[0];
        while (root.Page != null && level > 0 && CountOf(root.Page) == 1)
        {
            var only = Child(root.Page, 0);
            Retire(root.Page);
            root.Page = only;
            level--;
        }

        root.Level = root.Page == null ? 0 : level;
    }

    private void ApplyTo(ref WindowRoot root, byte* page, int level, WindowChanges changes, int from, int to, RefList output)
    {
        if (level == 0)
        {
            RewriteLeaf(ref root, page, changes, from, to, output);
            return;
        }

        var below = _lists[level - 1];
        below.Clear();
        var count = CountOf(page);
        var follows = false; // whether a page was rewritten, and no page with rows has come since
        for (int i = 0, next = from; i < count; i++)
        {
            // Those before the one that the next change belongs to stay as they are.
            var changed = count;
            if (next < to)
            {
                var value = changes.Value(next, out var length, out _);
                changed = Descend(page, level, value, length);
            }

            for (; follows && i < changed; i++)
            {
                below.Add(RefAt(page, i), 1);
                SetContinues(below, below.Count - 1, level - 1);
                follows = RowsOf(RefAt(page, i)) == 0;
            }

            below.Add(RefAt(page, i), changed - i);
            i = changed;
            if (i == count)
                break;
            var end = i + 1 < count ? EndOfPage(page, level, i, changes, next, to) : to;
            var first = below.Count;
            ApplyTo(ref root, Child(page, i), level - 1, changes, next, end, below);
            for (var made = first; made < below.Count; made++)
                SetContinues(below, made, level - 1);
            Join(below, first, level - 1);
            follows = true;
            next = end;
        }

        Retire(page);
        MakeInner(below, output);
    }

    // Of the changes from `next` on, the first of which belongs to page i below, where those end that do: at the first value of page i + 1.
    private int EndOfPage(byte* page, int level, int i, WindowChanges changes, int next, int to)
    {
        var bound = FirstValue(Child(page, i + 1), level - 1, out var boundLength);

        // Most pages have few changes or all.
        int low = next + 1, step = 1;
        while (low + step <= to && IsBefore(changes, low + step - 1, bound, boundLength))
        {
            low += step;
            step *= 2;
        }

        var high = Math.Min(to, low + step - 1);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (IsBefore(changes, middle, bound, boundLength))
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private static bool IsBefore(WindowChanges changes, int index, byte* bound, int boundLength)
    {
        var value = changes.Value(index, out var length, out _);
        return WindowValue.Compare(value, length, bound, boundLength) < 0;
    }

    // ---- Leaves ----------------------------------------------------------------------------------------------------------

    private void RewriteLeaf(ref WindowRoot root, byte* leaf, WindowChanges changes, int from, int to, RefList output)
    {
        _mergedCount = 0;
        _grewAtEnd = false;
        var count = leaf == null ? 0 : CountOf(leaf);
        Reserve(count + to - from);
        var i = 0;
        while (i < count || from < to)
        {
            var merged = new Merged();
            var order = -1;
            if (from < to)
            {
                merged.Value = changes.Value(from, out merged.Length, out merged.Diff);
                if (i < count)
                {
                    var value = ValueAt(leaf, i, out var length);
                    order = WindowValue.Compare(merged.Value, merged.Length, value, length);
                }
            }
            else
            {
                order = 1;
            }

            if (order > 0)
            {
                merged.Value = ValueAt(leaf, i, out merged.Length);
                merged.Diff = Diffs(leaf)[i++];
            }
            else
            {
                _grewAtEnd = i >= count;
                from++;
                var old = 0L;
                if (order == 0)
                    old = Diffs(leaf)[i++];
                merged.Diff += old;
                root.Negatives += (merged.Diff < 0 ? 1 : 0) - (old < 0 ? 1 : 0);
                if (merged.Diff == 0)
                    continue;
            }

            ((Merged*)_merged)[_mergedCount++] = merged;
        }

        MakeLeaves(output);
        if (leaf != null)
            Retire(leaf);
    }

    private void Reserve(int values)
    {
        var bytes = (long)values * sizeof(Merged);
        if (bytes > _mergedCapacity)
            _merged = SlabPool.Resize(_merged, ref _mergedCapacity, 0, bytes);
    }

    // Pages of all that is merged.
    private void MakeLeaves(RefList output)
    {
        var total = 0L;
        var merged = (Merged*)_merged;
        for (var i = 0; i < _mergedCount; i++)
            total += LeafBytesOf(merged[i].Length);
        const int room = PageBytes - LeafHeader - 8;
        var pages = (total + room - 1) / room;
        var target = _grewAtEnd || pages <= 1 ? room : total / pages;
        for (var from = 0; from < _mergedCount;)
        {
            var bytes = 0L;
            var to = from;
            while (to < _mergedCount && (to == from || (bytes + LeafBytesOf(merged[to].Length) <= room && bytes < target)))
                bytes += LeafBytesOf(merged[to++].Length);
            MakeLeaf(merged + from, to - from, output);
            from = to;
        }
    }

    private static long LeafBytesOf(int length) => 12L + length;

    private void MakeLeaf(Merged* values, int count, RefList output)
    {
        var bytes = 0L;
        for (var i = 0; i < count; i++)
            bytes += values[i].Length;
        var leaf = NewPage(DataOffset(count) + bytes);
        *(int*)leaf = count;
        var diffs = Diffs(leaf);
        var ends = (uint*)(leaf + LeafHeader + (8L * count));
        var data = leaf + DataOffset(count);
        var end = 0L;
        var rows = 0L;
        for (var i = 0; i < count; i++)
        {
            ref var value = ref values[i];
            diffs[i] = value.Diff;
            rows += Math.Max(0, value.Diff);
            Unsafe.CopyBlockUnaligned(data + end, value.Value, (uint)value.Length);
            end += value.Length;
            ends[i] = checked((uint)end);
        }

        var reference = output.Add();
        *(byte**)reference = leaf;
        WordOf(reference) = BytesVariable.Word(values[0].Value, values[0].Length);
        RowsOf(reference) = rows;
        GroupsOf(reference) = _countsGroups ? GroupsIn(leaf, count) : 0;
        ContinuesOf(reference) = 0;
        new Span<byte>(reference + RefAccumulators, AccumulatorBytes).Clear();
        if (AccumulatorBytes > 0)
            FoldLeaf(leaf, count, reference + RefAccumulators);
    }

    // ---- Inner pages -----------------------------------------------------------------------------------------------------

    // Pages over all references of a list.
    private void MakeInner(RefList below, RefList output)
    {
        if (below.Count == 0)
            return;
        var pages = (below.Count + _refsMax - 1) / _refsMax;
        for (int page = 0, from = 0; page < pages; page++)
        {
            var to = (int)((long)below.Count * (page + 1) / pages);
            MakeInner(below, from, to, output);
            from = to;
        }
    }

    private void MakeInner(RefList below, int from, int to, RefList output)
    {
        var count = to - from;
        var page = NewPage(InnerHeader + ((long)count * _stride));
        *(int*)page = count;
        Unsafe.CopyBlockUnaligned(RefAt(page, 0), below[from], (uint)(count * _stride));
        for (var i = 0; i < count; i++)
        {
            ContinuesOf(RefAt(page, i)) = 0; // with what is under another parent
            if (RowsOf(RefAt(page, i)) > 0)
                break;
        }

        var reference = output.Add();
        new Span<byte>(reference, _stride).Clear();
        *(byte**)reference = page;
        WordOf(reference) = WordOf(RefAt(page, 0));
        for (var i = 0; i < count; i++)
        {
            var child = RefAt(page, i);
            RowsOf(reference) += RowsOf(child);
            GroupsOf(reference) += GroupsOf(child) - ContinuesOf(child);
            if (AccumulatorBytes > 0)
                Combine(reference + RefAccumulators, child + RefAccumulators);
        }
    }

    // Whether the page of a reference goes on with the last group of the page before it.
    private void SetContinues(RefList list, int index, int level)
    {
        if (!_countsGroups)
            return;
        ContinuesOf(list[index]) = 0;
        var previous = index - 1;
        while (previous >= 0 && RowsOf(list[previous]) == 0)
            previous--;
        if (previous < 0 || RowsOf(list[index]) == 0)
            return;
        var before = PresentValue(*(byte**)list[previous], level, last: true, out var beforeLength);
        var first = PresentValue(*(byte**)list[index], level, last: false, out var firstLength);
        ContinuesOf(list[index]) = WindowValue.ArePeers(before, beforeLength, first, firstLength) ? 1 : 0;
    }

    // A small page at `index`, alone what a rewritten page became, is joined with the page before it if that is small too.
    private void Join(RefList list, int index, int level)
    {
        if (index == 0 || index != list.Count - 1)
            return;
        var left = *(byte**)list[index - 1];
        var right = *(byte**)list[index];
        if (level > 0)
        {
            if (CountOf(left) + CountOf(right) > _refsMax / 2)
                return;
            var refs = _lists[level - 1]; // free: the page below was made of it
            refs.Clear();
            refs.Add(RefAt(left, 0), CountOf(left));
            refs.Add(RefAt(right, 0), CountOf(right));
            SetContinues(refs, CountOf(left), level - 1);
            list.Truncate(index - 1);
            MakeInner(refs, 0, refs.Count, list);
        }
        else
        {
            if (LeafBytes(left) + LeafBytes(right) > 2 * SmallPage)
                return;
            _mergedCount = 0;
            Reserve(CountOf(left) + CountOf(right));
            Take(left);
            Take(right);
            list.Truncate(index - 1);
            MakeLeaf((Merged*)_merged, _mergedCount, list);
        }

        Retire(left);
        Retire(right);
        SetContinues(list, index - 1, level);
    }

    private void Take(byte* leaf)
    {
        for (var i = 0; i < CountOf(leaf); i++)
        {
            ref var merged = ref ((Merged*)_merged)[_mergedCount++];
            merged.Value = ValueAt(leaf, i, out merged.Length);
            merged.Diff = Diffs(leaf)[i];
        }
    }

    private static long LeafBytes(byte* leaf)
    {
        var count = CountOf(leaf);
        return DataOffset(count) + ((uint*)(leaf + LeafHeader + (8L * count)))[count - 1];
    }

    /// <summary>References one after another.</summary>
    private sealed class RefList(int stride) : IDisposable
    {
        private byte* _refs;
        private long _capacity;

        public int Count { get; private set; }

        public byte* this[int index] => _refs + ((long)index * stride);

        public void Clear() => Count = 0;

        public void Truncate(int count) => Count = count;

        /// <summary>Room for one more; valid until the next is added.</summary>
        public byte* Add()
        {
            var used = (long)Count * stride;
            if (used + stride > _capacity)
                _refs = SlabPool.Resize(_refs, ref _capacity, used, Math.Max(used + stride, 2 * _capacity));
            Count++;
            return _refs + used;
        }

        public void Add(byte* references, int count)
        {
            var used = (long)Count * stride;
            var more = (long)count * stride;
            if (used + more > _capacity)
                _refs = SlabPool.Resize(_refs, ref _capacity, used, Math.Max(used + more, 2 * _capacity));
            Unsafe.CopyBlockUnaligned(_refs + used, references, (uint)more);
            Count += count;
        }

        public void Measure(StateMeter meter) => meter.Slab(0, _capacity);

        public void Dispose()
        {
            SlabPool.Return(_refs, _capacity);
            _refs = null;
            _capacity = 0;
        }
    }
}
