using System.Buffers;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>Encodes rows so that the order of the encodings' bytes is the asked order, ties broken by the whole row.</summary>
internal sealed class SortKeyEncoder(RowLayout layout, ValueArray<ColumnOrder> order)
{
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private readonly Datum[] _values = new Datum[layout.Columns.Count];

    public byte[] Encode(ReadOnlySpan<byte> row)
    {
        _buffer.ResetWrittenCount();
        RowCodec.Unpack(layout, row, _values);
        foreach (var column in order)
            SortKey.Write(layout.Columns[column.Column].Type, _values[column.Column], column.Descending, column.NullsLast, _buffer);
        for (var i = 0; i < _values.Length; i++)
            SortKey.Write(layout.Columns[i].Type, _values[i], descending: false, nullsLast: true, _buffer);
        return _buffer.WrittenSpan.ToArray();
    }
}

/// <summary>Rows with some of their columns, in another order.</summary>
internal sealed class RowProjection(RowLayout from, ValueArray<int> columns, RowLayout to) : IDisposable
{
    private readonly RowWriter _writer = new(to.Shape);

    /// <summary>Valid until the next call.</summary>
    public ReadOnlySpan<byte> Apply(ReadOnlySpan<byte> row)
    {
        _writer.Clear();
        RowCodec.Project(from, row, columns.AsSpan(), to, _writer);
        return _writer[0];
    }

    public void Dispose() => _writer.Dispose();
}
