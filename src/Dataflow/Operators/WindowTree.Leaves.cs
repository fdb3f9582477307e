using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// What leaves become.
internal sealed unsafe partial class WindowTree
{
    private void RewriteLeaf(ref WindowRoot root, byte* leaf, WindowChanges changes, int from, int to, RefList output)
    {
        if (leaf == null && changes.ArePlain)
        {
            MakePlainLeaves(changes, from, to, output);
            return;
        }

        Merge(ref root, leaf, changes, from, to);
        MakeLeaves(output);
        if (leaf != null)
            Retire(leaf, 0);
    }

    // What a leaf's values become.
    private void Merge(ref WindowRoot root, byte* leaf, WindowChanges changes, int from, int to)
    {
        const int near = 8; // values further away are searched for
        _mergedCount = 0;
        _grewAtEnd = false;
        var count = leaf == null ? 0 : WindowLeaf.CountOf(leaf);
        Reserve(count + to - from);
        for (var i = 0; from < to; from++)
        {
            var merged = new Merged();
            merged.Value = changes.Value(from, out merged.Length, out merged.Diff);
            var order = -1;
            if (count - i > near)
            {
                var at = Find(leaf, i, merged.Value, merged.Length);
                Take(leaf, i, at);
                i = at;
            }

            for (; i < count; i++)
            {
                var value = WindowLeaf.ValueAt(leaf, i, out var length);
                order = WindowValue.Compare(merged.Value, merged.Length, value, length);
                if (order <= 0)
                    break;
                Take(leaf, i, i + 1);
            }

            _grewAtEnd = i >= count;
            var old = 0L;
            if (order == 0 && i < count)
                old = WindowLeaf.DiffAt(leaf, i++);
            merged.Diff += old;
            root.Negatives += (merged.Diff < 0 ? 1 : 0) - (old < 0 ? 1 : 0);
            if (merged.Diff != 0)
                ((Merged*)_merged)[_mergedCount++] = merged;
            if (from + 1 == to)
                Take(leaf, i, count);
        }

        _rewritten += _mergedCount;
    }

    private void Reserve(int values)
    {
        var bytes = (long)values * sizeof(Merged);
        if (bytes > _mergedCapacity)
            _merged = SlabPool.Resize(_merged, ref _mergedCapacity, 0, bytes);
    }

    private void Take(byte* leaf, int from, int to)
    {
        var merged = (Merged*)_merged + _mergedCount;
        for (var i = from; i < to; i++, merged++)
        {
            merged->Value = WindowLeaf.ValueAt(leaf, i, out merged->Length);
            merged->Diff = WindowLeaf.DiffAt(leaf, i);
        }

        _mergedCount += to - from;
    }

    private long SizeOfMerged(int from, int to)
    {
        var bytes = 0L;
        var isPlain = true;
        for (var merged = (Merged*)_merged + from; merged < (Merged*)_merged + to; merged++)
        {
            bytes += merged->Length;
            isPlain &= merged->Diff == 1;
        }

        return WindowLeaf.BytesOf(to - from, bytes, isPlain);
    }

    // Pages of all that is merged.
    private void MakeLeaves(RefList output)
    {
        if (_mergedCount == 0)
            return;
        var total = SizeOfMerged(0, _mergedCount);
        var merged = (Merged*)_merged;
        var pages = (total + PageBytes - 1) / PageBytes;
        var target = _grewAtEnd || pages <= 1 ? PageBytes : total / pages;
        for (var from = 0; from < _mergedCount;)
        {
            var (bytes, isPlain, to) = (0L, true, from);
            for (; to < _mergedCount; to++)
            {
                var (more, stillPlain) = (bytes + merged[to].Length, isPlain && merged[to].Diff == 1);
                if (to > from && (WindowLeaf.BytesOf(to + 1 - from, more, stillPlain) > PageBytes || WindowLeaf.BytesOf(to - from, bytes, isPlain) >= target))
                    break;
                (bytes, isPlain) = (more, stillPlain);
            }

            AddLeaf(MakeLeaf(from, to), output);
            from = to;
        }
    }

    private byte* MakeLeaf(int from, int to)
    {
        var bytes = 0L;
        var isPlain = true;
        var merged = (Merged*)_merged;
        for (var i = from; i < to; i++)
        {
            bytes += merged[i].Length;
            isPlain &= merged[i].Diff == 1;
        }

        var leaf = _pages.Rent(WindowLeaf.BytesOf(to - from, bytes, isPlain));
        WindowLeaf.Begin(leaf, to - from, bytes, isPlain, out var diffs, out var data);
        var end = 0L;
        for (var i = from; i < to; i++)
        {
            if (diffs != null)
                diffs[i - from] = merged[i].Diff;
            Unsafe.CopyBlockUnaligned(data + end, merged[i].Value, (uint)merged[i].Length);
            end += merged[i].Length;
            WindowLeaf.SetEnd(leaf, i - from, end);
        }

        return leaf;
    }

    // Of a partition that was empty, and rows that lie as they will.
    private void MakePlainLeaves(WindowChanges changes, int from, int to, RefList output)
    {
        while (from < to)
        {
            var data = changes.Data(from);
            var end = from + 1;
            while (end < to && WindowLeaf.BytesOf(end + 1 - from, changes.Data(end + 1) - data, isPlain: true) <= PageBytes)
                end++;
            AddLeaf(MakePlainLeaf(changes, from, end), output);
            from = end;
        }
    }

    private byte* MakePlainLeaf(WindowChanges changes, int from, int to)
    {
        var first = changes.Data(from);
        var bytes = changes.Data(to) - first;
        var leaf = _pages.Rent(WindowLeaf.BytesOf(to - from, bytes, isPlain: true));
        WindowLeaf.Begin(leaf, to - from, bytes, isPlain: true, out _, out var data);
        for (var i = from; i < to; i++)
            WindowLeaf.SetEnd(leaf, i - from, changes.Data(i + 1) - first);
        Buffer.MemoryCopy(first, data, bytes, bytes);
        return leaf;
    }

    // With its sums.
    private void AddLeaf(byte* leaf, RefList output)
    {
        var count = WindowLeaf.CountOf(leaf);
        var value = WindowLeaf.ValueAt(leaf, 0, out var length);
        var reference = output.Add();
        *(byte**)reference = leaf;
        WordOf(reference) = BytesVariable.Word(value, length);
        RowsOf(reference) = RowsIn(leaf, count);
        GroupsOf(reference) = _countsGroups ? GroupsIn(leaf, count) : 0;
        ContinuesOf(reference) = 0;
        new Span<byte>(reference + RefAccumulators, AccumulatorBytes).Clear();
        for (var a = 0; a < _accumulations.Length; a++)
            FoldLeaf(leaf, 0, count, a, reference + RefAccumulators + _accumulatorOffsets[a]);
    }
}
