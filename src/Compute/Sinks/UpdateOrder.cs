// Sorting updates by time and then by the bytes of their rows. Sorting by a comparison of rows takes two cache misses a comparison; here
// eight bytes of each row are read once into a column of numbers, which is sorted, and only rows that agree in these are looked at
// again, eight bytes further on.

using System.Buffers.Binary;

namespace Materialize.Compute.Sinks;

/// <summary>The order of updates by time, then by row as unsigned bytes (a row that another one begins with comes first).</summary>
internal readonly ref struct UpdateOrder
{
    /// <summary>So few rows are compared with each other as they lie.</summary>
    private const int FewRows = 12;

    private const int WordBytes = sizeof(ulong);

    private readonly ReadOnlySpan<byte> _rows;
    private readonly ReadOnlySpan<int> _ends;
    private readonly Span<ulong> _keys;
    private readonly Span<int> _order;

    private UpdateOrder(ReadOnlySpan<byte> rows, ReadOnlySpan<int> ends, Span<ulong> keys, Span<int> order)
    {
        _rows = rows;
        _ends = ends;
        _keys = keys;
        _order = order;
    }

    /// <summary>The indexes of all updates, in order; equal ones are neighbours.</summary>
    /// <param name="rows">Back to back.</param>
    /// <param name="ends">Just past each row.</param>
    /// <param name="times">One for each row.</param>
    public static int[] Of(ReadOnlySpan<byte> rows, ReadOnlySpan<int> ends, ReadOnlySpan<ulong> times)
    {
        var order = new int[ends.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        if (order.Length < 2)
            return order;
        var keys = times.ToArray();
        var sorting = new UpdateOrder(rows, ends, keys, order);

        // Where rows have the same first bytes: from, to, and how many bytes.
        var open = new Stack<(int From, int To, int Depth)>();
        sorting.SortKeys(0, order.Length);
        sorting.PushRuns(open, 0, order.Length, 0);
        while (open.TryPop(out var run))
            sorting.SortRun(open, run.From, run.To, run.Depth);
        return order;
    }

    private ReadOnlySpan<byte> Row(int index)
    {
        var start = index == 0 ? 0 : _ends[index - 1];
        return _rows[start.._ends[index]];
    }

    /// <summary>Eight bytes of a row as a number that compares as they do, zeros where there are none.</summary>
    private ulong Word(int index, int depth)
    {
        var start = (index == 0 ? 0 : _ends[index - 1]) + depth;
        var left = _ends[index] - start;
        if (left >= WordBytes)
            return BinaryPrimitives.ReadUInt64BigEndian(_rows[start..]);
        var word = 0UL;
        for (var i = 0; i < left; i++)
            word |= (ulong)_rows[start + i] << (8 * (WordBytes - 1 - i));
        return word;
    }

    private void SortRun(Stack<(int From, int To, int Depth)> open, int from, int to, int depth)
    {
        if (to - from <= FewRows)
        {
            Insert(from, to, depth);
            return;
        }

        // Bytes that all of them share cost one look each.
        for (; ; depth += WordBytes)
        {
            var (isOver, areEqual) = (true, true);
            for (var i = from; i < to; i++)
            {
                var length = Row(_order[i]).Length;
                isOver &= length <= depth;
                _keys[i] = Word(_order[i], depth);
                areEqual &= _keys[i] == _keys[from];
            }

            if (isOver)
            {
                // Nothing is left but how many zeros they end with.
                for (var i = from; i < to; i++)
                    _keys[i] = (ulong)Row(_order[i]).Length;
                SortKeys(from, to);
                return;
            }

            if (!areEqual)
                break;
        }

        SortKeys(from, to);
        PushRuns(open, from, to, depth + WordBytes);
    }

    /// <summary>Sorts a part by its keys, unless it is sorted.</summary>
    private void SortKeys(int from, int to)
    {
        for (var i = from + 1; i < to; i++)
        {
            if (_keys[i] >= _keys[i - 1])
                continue;
            _keys[from..to].Sort(_order[from..to]);
            return;
        }
    }

    private void PushRuns(Stack<(int From, int To, int Depth)> open, int from, int to, int depth)
    {
        for (var start = from; start < to;)
        {
            var end = start + 1;
            while (end < to && _keys[end] == _keys[start])
                end++;
            if (end - start > 1)
                open.Push((start, end, depth));
            start = end;
        }
    }

    private void Insert(int from, int to, int depth)
    {
        for (var i = from + 1; i < to; i++)
        {
            var index = _order[i];
            var at = i;
            for (; at > from && Compare(_order[at - 1], index, depth) > 0; at--)
                _order[at] = _order[at - 1];
            _order[at] = index;
        }
    }

    /// <summary>Of two rows whose first bytes are known to agree, with zeros for those that one of them does not have.</summary>
    private int Compare(int a, int b, int depth)
    {
        var first = Row(a);
        var second = Row(b);
        var rest = first[Math.Min(depth, first.Length)..].SequenceCompareTo(second[Math.Min(depth, second.Length)..]);
        return rest != 0 ? rest : first.Length.CompareTo(second.Length);
    }
}
