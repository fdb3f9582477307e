using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
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

/// <summary>
/// Encodes rows so that the order of the encodings' bytes is the order of Materialize's packed rows: the shorter first, then by bytes.
/// That is the order in which it answers when none is asked for, and what people see of it is mostly small values ascending. Integers
/// are packed in as few bytes as they need. Times, numerics and containers, whose packing is not copied here, go by value. Only the
/// columns that are shown count.
/// </summary>
internal sealed class PackedOrderEncoder(RowLayout layout, ValueArray<int> columns)
{
    private const byte NonNegative = 32;
    private const byte Negative = 48;

    private readonly ArrayBufferWriter<byte> _buffer = new();
    private readonly Datum[] _values = new Datum[layout.Columns.Count];

    public byte[] Encode(ReadOnlySpan<byte> row)
    {
        _buffer.ResetWrittenCount();
        BinaryPrimitives.WriteInt32BigEndian(_buffer.GetSpan(4), 0);
        _buffer.Advance(4);
        RowCodec.Unpack(layout, row, _values);
        foreach (var column in columns)
            Write(layout.Columns[column].Type, _values[column]);
        var key = _buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt32BigEndian(key, key.Length - 4);
        return key;
    }

    private void Write(SqlType type, Datum value)
    {
        if (value.IsNull)
        {
            Tag(0);
            return;
        }

        switch (type.Kind)
        {
            case ScalarKind.Bool:
                Tag((byte)(value.AsBool ? 2 : 1));
                break;
            case ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64:
                Integer(value.AsInt64);
                break;
            case ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.Oid:
                Integer(NonNegative, (ulong)value.AsInt64, (ulong)value.AsInt64);
                break;
            case ScalarKind.Float32:
                Tag(8);
                BinaryPrimitives.WriteSingleLittleEndian(_buffer.GetSpan(4), (float)value.AsDouble);
                _buffer.Advance(4);
                break;
            case ScalarKind.Float64:
                Tag(8);
                BinaryPrimitives.WriteDoubleLittleEndian(_buffer.GetSpan(8), value.AsDouble);
                _buffer.Advance(8);
                break;
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName:
                Sized(Encoding.UTF8.GetByteCount(value.AsString));
                Encoding.UTF8.GetBytes(value.AsString, _buffer);
                break;
            case ScalarKind.Bytes:
                Sized(value.AsBytes.Length);
                _buffer.Write(value.AsBytes);
                break;
            default:
                Tag(9);
                SortKey.Write(type, value, descending: false, nullsLast: false, _buffer);
                break;
        }
    }

    private void Tag(byte tag)
    {
        _buffer.GetSpan(1)[0] = tag;
        _buffer.Advance(1);
    }

    private void Integer(long value)
    {
        if (value < 0)
            Integer(Negative, (ulong)~value, (ulong)value);
        else
            Integer(NonNegative, (ulong)value, (ulong)value);
    }

    /// <summary>How many bytes follow is in the tag; the sign too, and negative ones come last.</summary>
    /// <param name="significant">Zero beyond the bytes that are needed.</param>
    private void Integer(byte tag, ulong significant, ulong value)
    {
        var bytes = (64 - BitOperations.LeadingZeroCount(significant) + 7) / 8;
        Tag((byte)(tag + bytes));
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.GetSpan(8), value);
        _buffer.Advance(bytes);
    }

    private void Sized(int bytes)
    {
        var width = bytes < 256 ? 1 : bytes < 65536 ? 2 : 4;
        Tag((byte)(16 + width));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.GetSpan(4), bytes);
        _buffer.Advance(width);
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
