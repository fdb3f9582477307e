using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>
/// Finishes a result: rows of several workers, with multiplicities, become pages in the asked order, cut and projected.
/// </summary>
internal static class RowFinisher
{
    /// <summary>Up to so many rows have a stable order though none was asked for; more would cost the client time it did not ask for.</summary>
    private const int StableRowsMax = 100_000;

    /// <param name="layout">Of the batches' rows.</param>
    /// <param name="maxBytes">Of all rows together.</param>
    /// <exception cref="SqlException">53200: the result is too large; XX000: a multiplicity is negative.</exception>
    public static (RowLayout Layout, IReadOnlyList<ResultPage> Pages) Finish(
        IReadOnlyList<RowBatch> batches, RowLayout layout, RowSetFinishing finishing, ulong maxBytes)
    {
        var rows = new List<(int Batch, int Row, long Count)>(batches.Sum(b => b.Count));
        for (var b = 0; b < batches.Count; b++)
        {
            for (var r = 0; r < batches[b].Count; r++)
            {
                var count = batches[b].Diffs[r];
                if (count < 0)
                    throw new SqlException("XX000", "internal error: Negative multiplicity in a result") { Detail = "An input has retracted a row it does not have." };
                if (count > 0)
                    rows.Add((b, r, count));
            }
        }

        if (!finishing.OrderBy.IsEmpty)
            Sort(rows, batches, new SortKeyEncoder(layout, finishing.OrderBy).Encode);
        else if (rows.Count is > 1 and <= StableRowsMax)
            Sort(rows, batches, new PackedOrderEncoder(layout, finishing.Project).Encode);
        var isProjected = finishing.Project != ValueArray.Range(layout.Columns.Count);
        var output = isProjected ? RowLayout.For(finishing.Project.Select(c => layout.Columns[c])) : layout;
        using var projection = isProjected ? new RowProjection(layout, finishing.Project, output) : null;
        var pages = new List<ResultPage>();
        var page = new PageBuilder();
        var skip = finishing.Offset;
        var left = finishing.Limit ?? ulong.MaxValue;
        ulong bytes = 0;
        foreach (var (batch, index, count) in rows)
        {
            if (left == 0)
                break;
            var copies = (ulong)count;
            if (skip >= copies)
            {
                skip -= copies;
                continue;
            }

            copies = Math.Min(copies - skip, left);
            skip = 0;
            left -= copies;
            var row = batches[batch].Row(index);
            if (projection is not null)
                row = projection.Apply(row);
            for (; copies > 0; copies--)
            {
                bytes += (ulong)row.Length;
                if (bytes > maxBytes)
                    throw new SqlException("53200", $"result exceeds max size of {maxBytes} bytes");
                page.Add(row);
                if (page.IsFull)
                    pages.Add(page.Build());
            }
        }

        if (page.Count > 0)
            pages.Add(page.Build());
        return (output, pages);
    }

    private delegate byte[] KeyEncoder(ReadOnlySpan<byte> row);

    private static void Sort(List<(int Batch, int Row, long Count)> rows, IReadOnlyList<RowBatch> batches, KeyEncoder encode)
    {
        var keys = new byte[rows.Count][];
        for (var i = 0; i < keys.Length; i++)
            keys[i] = encode(batches[rows[i].Batch].Row(rows[i].Row));
        var sorted = rows.ToArray();
        // Ties are broken by the whole row, so that the same question has the same answer.
        Array.Sort(keys, sorted, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        rows.Clear();
        rows.AddRange(sorted);
    }
}

/// <summary>Collects rows into a page.</summary>
internal sealed class PageBuilder
{
    private const int FullBytes = 64 * 1024;

    // Of a page that another full one follows. Below what the runtime calls a large object.
    private const int RoomBytes = FullBytes + (8 * 1024);

    private byte[] _data = [];
    private int[] _ends = [];

    public int Bytes { get; private set; }

    public int Count { get; private set; }

    /// <summary>It holds as much as a page should.</summary>
    public bool IsFull => Bytes >= FullBytes;

    public void Add(ReadOnlySpan<byte> row) => row.CopyTo(Add(row.Length));

    /// <summary>Room for a row, to be filled before the next call; what is in it is undefined.</summary>
    public Span<byte> Add(int bytes)
    {
        var end = Bytes + bytes;
        if (end > _data.Length)
            Grow(end);
        if (Count == _ends.Length)
            Array.Resize(ref _ends, Math.Max(16, Count * 2));
        var room = _data.AsSpan(Bytes, bytes);
        Bytes = end;
        _ends[Count++] = end;
        return room;
    }

    /// <summary>What was added; starts anew.</summary>
    public ResultPage Build()
    {
        var page = new ResultPage(_data.AsMemory(0, Bytes), _ends.AsMemory(0, Count));
        (_data, _ends) = IsFull ? (GC.AllocateUninitializedArray<byte>(RoomBytes), new int[Count + (Count / 8)]) : ([], []);
        (Bytes, Count) = (0, 0);
        return page;
    }

    private void Grow(int needed)
    {
        var larger = Math.Max(Math.Max(1024, _data.Length * 2L), needed);
        var grown = GC.AllocateUninitializedArray<byte>((int)Math.Min(larger > FullBytes ? Math.Max(RoomBytes, needed) : larger, Array.MaxLength));
        _data.AsSpan(0, Bytes).CopyTo(grown);
        _data = grown;
    }
}

/// <summary>A result that is complete in memory.</summary>
internal sealed class ConstantRows(RowLayout layout, IReadOnlyList<ResultPage> pages) : IResultRows
{
    private int _next;

    public RowLayout Layout { get; } = layout;

    public static ConstantRows Of(ConstantResult result) => Of(result.Desc.Type.Columns, result.Rows);

    public static ConstantRows Of(ValueArray<ColumnType> columns, IEnumerable<ValueArray<Datum>> rows)
    {
        var layout = RowLayout.For(columns);
        var page = new PageBuilder();
        foreach (var row in rows)
            page.Add(RowCodec.Pack(layout, row.AsSpan()));
        return new ConstantRows(layout, page.Count == 0 ? [] : [page.Build()]);
    }

    public ValueTask<ResultPage?> NextAsync(CancellationToken cancel) => new(_next < pages.Count ? pages[_next++] : null);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
