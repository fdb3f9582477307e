using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>A column's part in keys.</summary>
internal readonly unsafe struct GroupOrderColumn
{
    private const int NotNumber = 1000;
    private const byte PresentMark = 1;
    private readonly ColumnPlace _place;
    private readonly bool _isNullable;
    private readonly bool _descending;
    private readonly byte _nullMark;
    private readonly int _width; // of a whole number, else 0
    private readonly ulong _flip;

    public GroupOrderColumn(ColumnPlace place, bool descending, bool nullsLast)
    {
        _place = place;
        _isNullable = place.IsNullable;
        _descending = descending;
        _nullMark = (byte)(nullsLast ? 2 : 0);
        var isSigned = place.Type.Kind is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.Date or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz;
        var isWhole = isSigned || place.Type.Kind is ScalarKind.Bool or ScalarKind.PgLegacyChar or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.MzTimestamp
            or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType;
        _width = isWhole ? place.Width : 0;

        // Of a signed number the top bit turns around, so that negative ones come first; of a descending one all bits.
        if (isWhole)
            _flip = (isSigned ? 1UL << ((8 * _width) - 1) : 0) ^ (descending ? ulong.MaxValue >> (64 - (8 * _width)) : 0);
    }

    /// <summary>Bytes in a key that is a number; far more than one has if the column is none.</summary>
    public int NumberBytes => _width == 0 ? NotNumber : _width + (_isNullable ? 1 : 0);

    /// <summary>A key that is a number, with this column at its end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Append(ulong key, byte* row)
    {
        if (_isNullable)
        {
            var isNull = _place.IsNull(row);
            key = (key << 8) | (isNull ? _nullMark : PresentMark);
            if (isNull)
                return key << (8 * _width);
        }

        return _width == sizeof(ulong) ? Number(row) : (key << (8 * _width)) | Number(row);
    }

    /// <summary>Appends to a key of bytes.</summary>
    public void Append(SortKeyBuffer keys, byte* row)
    {
        if (_isNullable)
        {
            var isNull = _place.IsNull(row);
            *keys.Reserve(1) = isNull ? _nullMark : PresentMark;
            keys.Advance(1);
            if (isNull)
                return;
        }

        if (_width > 0)
        {
            var at = keys.Reserve(sizeof(ulong));
            Unsafe.WriteUnaligned(at, BinaryPrimitives.ReverseEndianness(Number(row) << (64 - (8 * _width))));
            keys.Advance(_width);
            return;
        }

        var start = keys.Open.Length;
        SortKey.WriteStored(_place.Type, _place.Span(row), keys);
        if (_descending)
            Invert(keys.Open[start..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Number(byte* row)
    {
        var value = _place.Fixed(row);
        return _flip ^ _width switch
        {
            1 => *value,
            2 => Unsafe.ReadUnaligned<ushort>(value),
            4 => Unsafe.ReadUnaligned<uint>(value),
            _ => Unsafe.ReadUnaligned<ulong>(value),
        };
    }

    private static void Invert(Span<byte> bytes)
    {
        while (bytes.Length >= Vector<byte>.Count)
        {
            (~new Vector<byte>(bytes)).CopyTo(bytes);
            bytes = bytes[Vector<byte>.Count..];
        }

        foreach (ref var b in bytes)
            b = (byte)~b;
    }
}
