using System.Buffers.Binary;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Fields in text form, one after the other → canonical rows: the way of <see cref="CopyDecoder"/> for data that comes without a COPY line around it.</summary>
/// <remarks>One row at a time, one thread. A row costs no allocation.</remarks>
public sealed class TextRowBuilder : IDisposable
{
    private readonly RelationDesc _columns;
    private readonly RowLayout _layout;
    private readonly FieldParser[] _parsers;
    private readonly WireBuffer _row = new();
    private int _column;

    public TextRowBuilder(RelationDesc columns)
    {
        _columns = columns;
        _layout = RowLayout.For(columns.Type.Columns);
        _parsers = [.. columns.Type.Columns.Select(c => FieldParser.For(c.Type))];
    }

    /// <summary>Begins a row; what was begun before is forgotten.</summary>
    public void Start()
    {
        _row.Clear();
        _row.GetSpan(_layout.HeaderWidth)[.._layout.HeaderWidth].Clear();
        _row.Advance(_layout.HeaderWidth);
        _column = 0;
    }

    /// <summary>The next column is null.</summary>
    /// <exception cref="InterchangeException">23502: the column cannot be.</exception>
    public void AddNull()
    {
        var bit = _layout.NullBit(_column);
        if (bit < 0)
            throw new InterchangeException("23502", $"null value in column \"{_columns.Names[_column]}\" violates not-null constraint");
        _row.MutableWritten[bit / 8] |= (byte)(1 << (bit % 8));
        EndColumn();
    }

    /// <summary>The next column, as UTF-8.</summary>
    /// <exception cref="InterchangeException">The text is not a value of the column's type.</exception>
    public void Add(ReadOnlySpan<byte> text)
    {
        try
        {
            var width = RowLayout.FixedWidth(_parsers[_column].Type);
            var slot = width < 0 ? default : _row.MutableWritten.Slice(_layout.Offset(_column), width);
            _parsers[_column].Parse(text, slot, _row);
        }
        catch (InterchangeException e)
        {
            throw new InterchangeException(e.SqlState, $"column \"{_columns.Names[_column]}\": {e.Message}", e.Detail, e.Context, e);
        }

        EndColumn();
    }

    /// <summary>The row, once every column was added. Valid until the next <see cref="Start"/>.</summary>
    public ReadOnlySpan<byte> Row => _row.Written;

    public void Dispose() => _row.Dispose();

    private void EndColumn()
    {
        if (!_layout.IsFixed(_column))
            BinaryPrimitives.WriteUInt32LittleEndian(_row.MutableWritten[_layout.Offset(_column)..], (uint)_row.Length);
        _column++;
    }
}
