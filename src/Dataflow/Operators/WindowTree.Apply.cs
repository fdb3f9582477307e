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
    private long _rewritten;

    /// <summary>Values that a page is made of, before it is.</summary>
    private struct Merged
    {
        public byte* Value;
        public int Length;
        public long Diff;
    }

    /// <summary>Values in leaves that were rewritten since it was asked last: what changes cost that lie far apart.</summary>
    public long TakeRewritten()
    {
        var rewritten = _rewritten;
        _rewritten = 0;
        return rewritten;
    }

    /// <summary>
    /// Makes of a tree that with changes [<paramref name="from"/>, <paramref name="to"/>) too; the former stays as it is until <see cref="Collect"/>. A thousand at once: it does not pause.
    /// </summary>
    public void Apply(ref WindowRoot root, WindowChanges changes, int from, int to)
    {
        if (from == to || (root.Level == 0 && ApplyToLeaf(ref root, changes, from, to)))
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
        while (root.Page != null && level > 0 && WindowLeaf.CountOf(root.Page) == 1)
        {
            var only = Child(root.Page, 0);
            Retire(root.Page, level);
            root.Page = only;
            level--;
        }

        root.Level = root.Page == null ? 0 : level;
    }

    /// <summary>Makes the tree of a partition that was empty, if its rows are there once each and fit a leaf.</summary>
    public bool TryMakeLeaf(ref WindowRoot root, WindowChanges changes)
    {
        if (root.Page != null || !changes.ArePlain || WindowLeaf.BytesOf(changes.Count, changes.Data(changes.Count) - changes.Data(0), isPlain: true) > PageBytes)
            return false;
        root.Page = MakePlainLeaf(changes, 0, changes.Count);
        return true;
    }

    // The usual case, a tree that is a leaf and stays one: no sums are made that nobody keeps. False, and nothing done, if it does not.
    private bool ApplyToLeaf(ref WindowRoot root, WindowChanges changes, int from, int to)
    {
        if (root.Page == null && changes.ArePlain)
            return false;
        var negatives = root.Negatives;
        Merge(ref root, root.Page, changes, from, to);
        if (_mergedCount > 0 && SizeOfMerged(0, _mergedCount) > PageBytes)
        {
            root.Negatives = negatives;
            return false;
        }

        if (root.Page != null)
            Retire(root.Page, 0);
        root.Page = _mergedCount == 0 ? null : MakeLeaf(0, _mergedCount);
        return true;
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
        var count = WindowLeaf.CountOf(page);
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

        Retire(page, level);
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
        var page = _pages.Rent(InnerBytes(count));
        WindowLeaf.SetCount(page, count);
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
            for (var a = 0; a < _accumulations.Length; a++)
                _accumulations[a].Combine((nint)(reference + RefAccumulators + _accumulatorOffsets[a]), (nint)(child + RefAccumulators + _accumulatorOffsets[a]));
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
            if (WindowLeaf.CountOf(left) + WindowLeaf.CountOf(right) > _refsMax / 2)
                return;
            var refs = _lists[level - 1]; // free: the page below was made of it
            refs.Clear();
            refs.Add(RefAt(left, 0), WindowLeaf.CountOf(left));
            refs.Add(RefAt(right, 0), WindowLeaf.CountOf(right));
            SetContinues(refs, WindowLeaf.CountOf(left), level - 1);
            list.Truncate(index - 1);
            MakeInner(refs, 0, refs.Count, list);
        }
        else
        {
            if (WindowLeaf.BytesOf(left) + WindowLeaf.BytesOf(right) > 2 * SmallPage)
                return;
            _mergedCount = 0;
            Reserve(WindowLeaf.CountOf(left) + WindowLeaf.CountOf(right));
            Take(left, 0, WindowLeaf.CountOf(left));
            Take(right, 0, WindowLeaf.CountOf(right));
            list.Truncate(index - 1);
            AddLeaf(MakeLeaf(0, _mergedCount), list);
        }

        Retire(left, level);
        Retire(right, level);
        SetContinues(list, index - 1, level);
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
