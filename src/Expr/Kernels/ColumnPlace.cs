using System.Runtime.CompilerServices;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>Where a column of rows lies, found out once; reads it at a row's address without looking at types again.</summary>
internal readonly unsafe struct ColumnPlace
{
    private readonly int _nullByte;
    private readonly int _nullMask; // 0: never null
    private readonly int _offset;
    private readonly int _start;    // of a variable column: where the offset of its first byte is kept, or -1 if that is HeaderWidth
    private readonly int _headerWidth;

    public ColumnPlace(RowLayout layout, int column)
    {
        var bit = layout.NullBit(column);
        _nullByte = bit >> 3;
        _nullMask = bit < 0 ? 0 : 1 << (bit & 7);
        _offset = layout.Offset(column);
        _headerWidth = layout.HeaderWidth;
        Type = layout.Columns[column].Type;
        Width = RowLayout.FixedWidth(Type);
        _start = Width >= 0 || _offset == layout.EndsOffset ? -1 : _offset - sizeof(uint);
    }

    public SqlType Type { get; }

    /// <summary>Bytes of every value, or -1 if they differ.</summary>
    public int Width { get; }

    public bool IsNullable => _nullMask != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsNull(byte* row) => _nullMask != 0 && (row[_nullByte] & _nullMask) != 0;

    /// <summary>Address of a value of fixed width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Fixed(byte* row) => row + _offset;

    /// <summary>Address and length of any value that is not null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Find(byte* row, out int length)
    {
        if (Width >= 0)
        {
            length = Width;
            return row + _offset;
        }

        var start = _start < 0 ? _headerWidth : Unsafe.ReadUnaligned<int>(row + _start);
        length = Unsafe.ReadUnaligned<int>(row + _offset) - start;
        return row + start;
    }

    public ReadOnlySpan<byte> Span(byte* row)
    {
        var bytes = Find(row, out var length);
        return new ReadOnlySpan<byte>(bytes, length);
    }

    /// <summary>Whether two rows have the same value here, null or not: rows are canonical.</summary>
    public bool AreEqual(byte* a, byte* b) => IsNull(a) ? IsNull(b) : !IsNull(b) && Span(a).SequenceEqual(Span(b));
}
