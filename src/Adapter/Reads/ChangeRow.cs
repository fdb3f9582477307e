using System.Buffers.Binary;
using Materialize.Core;
using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>
/// Makes rows of a SUBSCRIBE's result, (time, [progressed,] diff, columns…), of the collection's rows: the columns' bytes are moved as
/// they lie, without looking at values. One thread.
/// </summary>
internal sealed class ChangeRow
{
    private readonly RowLayout _from;
    private readonly RowLayout _to;
    private readonly int _timeAt;
    private readonly int _diffAt;
    private readonly int _fixedAt;
    private readonly int _fixedBytes;
    private readonly int _moved;
    private readonly (int From, int To)[] _nullBits;
    private readonly byte[] _time;
    private ulong? _timeWritten;

    /// <param name="from">Of the collection.</param>
    /// <param name="to">Of the result: <paramref name="prefix"/> columns of fixed width, then those of <paramref name="from"/>.</param>
    /// <param name="prefix">2, or 3 where progress is told.</param>
    public ChangeRow(RowLayout from, RowLayout to, int prefix)
    {
        Invariant.Check(to.Columns.Count == prefix + from.Columns.Count, "a change has the columns of its collection");
        _from = from;
        _to = to;
        _timeAt = to.Offset(0);
        _diffAt = to.Offset(prefix - 1);
        _fixedAt = _diffAt + sizeof(long);
        _fixedBytes = from.EndsOffset - from.NullBytes;
        _moved = to.HeaderWidth - from.HeaderWidth;
        Invariant.Check(_fixedAt + _fixedBytes == to.EndsOffset, "a change's columns lie as in its collection");
        _time = new byte[RowLayout.FixedWidth(to.Columns[0].Type)];
        _nullBits = [.. Enumerable.Range(0, from.Columns.Count).Where(i => from.NullBit(i) >= 0).Select(i => (from.NullBit(i), to.NullBit(prefix + i)))];
    }

    /// <summary>Adds the change of <paramref name="row"/> by <paramref name="diff"/> to a page.</summary>
    public void Add(PageBuilder page, ulong time, long diff, ReadOnlySpan<byte> row)
    {
        var target = page.Add(row.Length + _moved);
        target[.._diffAt].Clear();
        if (row[.._from.NullBytes].ContainsAnyExcept((byte)0))
            CopyNulls(row, target);
        if (time != _timeWritten)
        {
            _time.AsSpan().Clear();
            ValueCodec.WriteFixed(_to.Columns[0].Type, Datum.FromNumeric(Numeric.FromUInt64(time)), _time);
            _timeWritten = time;
        }

        _time.CopyTo(target[_timeAt..]);
        BinaryPrimitives.WriteInt64LittleEndian(target[_diffAt..], diff);
        row.Slice(_from.NullBytes, _fixedBytes).CopyTo(target[_fixedAt..]);
        for (var at = 0; at < _from.VariableCount * sizeof(uint); at += sizeof(uint))
        {
            var end = BinaryPrimitives.ReadUInt32LittleEndian(row[(_from.EndsOffset + at)..]);
            BinaryPrimitives.WriteUInt32LittleEndian(target[(_to.EndsOffset + at)..], (uint)(end + _moved));
        }

        row[_from.HeaderWidth..].CopyTo(target[_to.HeaderWidth..]);
    }

    private void CopyNulls(ReadOnlySpan<byte> row, Span<byte> target)
    {
        foreach (var (from, to) in _nullBits)
        {
            if ((row[from >> 3] & (1 << (from & 7))) != 0)
                target[to >> 3] |= (byte)(1 << (to & 7));
        }
    }
}
