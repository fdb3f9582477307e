using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>
/// Writes the part of a sort key that one column makes: a marker that places nulls, then bytes that compare like the values. Whole
/// numbers and times are turned around in place; other types go by way of <see cref="SortKey"/>. Keys are compared within one
/// operator only and never read back.
/// </summary>
internal sealed unsafe class SortColumn
{
    private readonly int _part;
    private readonly int _index;
    private readonly RowLayout _layout;
    private readonly SqlType _type;
    private readonly bool _descending;
    private readonly bool _nullsLast;
    private readonly int _offset;
    private readonly int _nullBit;
    private readonly int _width;
    private readonly ulong _flip;

    public SortColumn(RowSource source, ColumnOrder order)
    {
        (_part, _index) = source.Places[order.Column];
        _layout = RowLayout.For(source.Parts[_part]);
        _type = _layout.Columns[_index].Type;
        _descending = order.Descending;
        _nullsLast = order.NullsLast;
        _offset = _layout.Offset(_index);
        _nullBit = _layout.NullBit(_index);
        bool isSigned;
        (_width, isSigned) = _type.Kind switch
        {
            ScalarKind.Bool => (1, false),
            ScalarKind.Int16 => (2, true),
            ScalarKind.UInt16 => (2, false),
            ScalarKind.Int32 or ScalarKind.Date => (4, true),
            ScalarKind.UInt32 or ScalarKind.Oid => (4, false),
            ScalarKind.Int64 or ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time => (8, true),
            ScalarKind.UInt64 or ScalarKind.MzTimestamp => (8, false),
            _ => (0, false),
        };
        if (_width == 0)
            return;

        // Of a signed number the top bit turns around, so that negative ones come first; of a descending one all bits.
        var ones = _width == 8 ? ulong.MaxValue : (1UL << (8 * _width)) - 1;
        _flip = (isSigned ? 1UL << ((8 * _width) - 1) : 0) ^ (order.Descending ? ones : 0);
    }

    /// <summary>Whether <see cref="Write(KernelIo, int, byte*)"/> can be used.</summary>
    public bool IsFast => _width > 0;

    /// <summary>Most bytes that the fast way writes.</summary>
    public int FastBytesMax => 1 + _width;

    /// <summary>Writes at <paramref name="at"/>; returns the address just past it.</summary>
    public byte* Write(KernelIo io, int input, byte* at)
    {
        var row = (byte*)io.Parts[_part][input];
        if (_nullBit >= 0 && (row[_nullBit >> 3] & (1 << (_nullBit & 7))) != 0)
        {
            *at = (byte)(_nullsLast ? 2 : 0);
            return at + 1;
        }

        *at++ = 1;
        var value = row + _offset;
        switch (_width)
        {
            case 1:
                *at = (byte)(*value ^ (byte)_flip);
                break;
            case 2:
                Unsafe.WriteUnaligned(at, BinaryPrimitives.ReverseEndianness((ushort)(Unsafe.ReadUnaligned<ushort>(value) ^ (ushort)_flip)));
                break;
            case 4:
                Unsafe.WriteUnaligned(at, BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(value) ^ (uint)_flip));
                break;
            default:
                Unsafe.WriteUnaligned(at, BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ulong>(value) ^ _flip));
                break;
        }

        return at + _width;
    }

    /// <summary>Writes any type.</summary>
    public void Write(KernelIo io, int input, IBufferWriter<byte> output)
    {
        if (IsFast)
        {
            fixed (byte* at = output.GetSpan(FastBytesMax))
                output.Advance((int)(Write(io, input, at) - at));
            return;
        }

        var row = RowKernels.RowAt(_layout, io.Parts[_part][input]);
        SortKey.Write(_type, new RowReader(_layout, row).Datum(_index), _descending, _nullsLast, output);
    }
}
