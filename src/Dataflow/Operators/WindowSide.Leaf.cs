namespace Materialize.Dataflow.Operators;

// Small partitions that are new: most of a load. All their rows are at hand, in one leaf.
internal sealed unsafe partial class WindowSide
{
    /// <summary>
    /// What is said of all rows of a partition that is one plain leaf, no more than <see cref="WindowOutput.EntriesMax"/>, in entries from <paramref name="entry"/> on: the same as by a walk, without its cursors.
    /// </summary>
    public void SayLeaf(WindowOutput output, int entry, byte* leaf, int rows)
    {
        var functions = _needs.Functions;
        var row = output.RowParts + entry;
        WindowLeaf.CopyRows(leaf, 0, rows, row, 1);
        if (_needs.HasPeers)
            SayLeafPeers(output, entry, leaf, rows);
        var numbers = output.Numbers + ((long)entry * functions.Length);
        for (int f = 0, picks = 0; f < functions.Length; f++, numbers++)
        {
            var offset = functions[f].Offset;
            var kind = functions[f].Kind;
            var to = kind >= WindowKind.Neighbour ? output.Picked(picks++) + entry : null;
            for (var i = 0; i < rows; i++)
            {
                ref var number = ref numbers[i * functions.Length];
                switch (kind)
                {
                    case WindowKind.RowNumber:
                        number = i + 1;
                        break;
                    case WindowKind.Neighbour:
                        var isThere = (ulong)(i + offset) < (ulong)rows;
                        number = isThere ? 1 : 0;
                        to[i] = isThere ? row[i + offset] : output.Absent;
                        break;
                    case WindowKind.First or WindowKind.FirstOfAll:
                        number = 1;
                        to[i] = row[kind == WindowKind.First ? Math.Max(0, i + offset) : 0];
                        break;
                    case WindowKind.Last or WindowKind.LastOfAll:
                        number = 1;
                        to[i] = row[kind == WindowKind.Last ? Math.Min(rows - 1, i + offset) : rows - 1];
                        break;
                }
            }
        }

        for (var a = 0; a < _needs.Sums.Length; a++)
        {
            if (!_needs.Sums[a].ToPeers)
                SayLeafFrames(a, row, output.Accumulated + ((long)entry * _tree.AccumulatorBytes), rows);
        }
    }

    private void SayLeafFrames(int accumulation, nint* row, byte* to, int rows)
    {
        ref readonly var sum = ref _needs.Sums[accumulation];
        var current = _accumulators + sum.At;
        new Span<byte>(current, sum.Bytes).Clear();
        to += sum.At;
        long start = 0, end = 0;
        for (var i = 0; i < rows; i++, to += _tree.AccumulatorBytes)
        {
            for (var until = Math.Min(rows, i + sum.End); end < until; end++)
                _tree.Fold(accumulation, row[end], 1, current);
            for (var from = sum.FromFirst ? 0 : Math.Min(rows, i + sum.Start); start < from; start++)
                _tree.Fold(accumulation, row[start], -1, current);
            Copy(current, to, sum.Bytes);
        }
    }

    private void SayLeafPeers(WindowOutput output, int entry, byte* leaf, int rows)
    {
        var functions = _needs.Functions;
        new Span<byte>(_accumulators, _tree.AccumulatorBytes).Clear();
        var groups = 0L;
        for (int first = 0, end; first < rows; first = end)
        {
            groups++;
            var value = WindowLeaf.ValueAt(leaf, first, out var length);
            for (end = first + 1; end < rows; end++)
            {
                var next = WindowLeaf.ValueAt(leaf, end, out var nextLength);
                if (!WindowValue.ArePeers(value, length, next, nextLength))
                    break;
            }

            for (var a = 0; a < _needs.Sums.Length; a++)
            {
                if (_needs.Sums[a].ToPeers)
                    _tree.FoldLeaf(leaf, first, end, a, _accumulators + _needs.Sums[a].At);
            }

            for (var at = entry + first; at < entry + end; at++)
            {
                var numbers = output.Numbers + ((long)at * functions.Length);
                for (int f = 0, picks = 0; f < functions.Length; f++)
                {
                    var kind = functions[f].Kind;
                    if (kind == WindowKind.Rank)
                        numbers[f] = first + 1;
                    else if (kind == WindowKind.DenseRank)
                        numbers[f] = groups;
                    else if (kind == WindowKind.LastOfPeers)
                        (numbers[f], output.Picked(picks)[at]) = (1, output.RowParts[entry + end - 1]);
                    picks += kind >= WindowKind.Neighbour ? 1 : 0;
                }

                foreach (ref readonly var sum in _needs.Sums.AsSpan())
                {
                    if (sum.ToPeers)
                        Copy(_accumulators + sum.At, output.Accumulated + ((long)at * _tree.AccumulatorBytes) + sum.At, sum.Bytes);
                }
            }
        }
    }
}
