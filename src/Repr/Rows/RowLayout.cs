using Materialize.Core.Collections;
using Materialize.Core.Rows;

namespace Materialize.Repr;

/// <summary>
/// Where each column of a row of a given type lies. A row is, in order: a null bitmap with one bit per nullable column (bit set:
/// null; padded with zeros to whole bytes), the fixed-width columns at constant offsets in column order, the end offset (u32,
/// from the row's first byte) of each variable-width column in column order, then the bytes of these.
/// </summary>
/// <remarks>
/// Rows are <em>canonical</em>: equal rows are equal bytes. A null column's fixed slot is zero, a null variable column has no
/// bytes; -0.0 is stored as 0.0 and every NaN as one NaN; numerics are trimmed. Integers are little-endian and unaligned.
/// </remarks>
public sealed class RowLayout
{
    private readonly int[] _nullBit;
    private readonly int[] _offset;

    private RowLayout(ValueArray<ColumnType> columns)
    {
        Columns = columns;
        _nullBit = new int[columns.Count];
        _offset = new int[columns.Count];
        var nullable = 0;
        for (var i = 0; i < columns.Count; i++)
            _nullBit[i] = columns[i].IsNullable ? nullable++ : -1;
        NullBytes = (nullable + 7) / 8;
        var offset = NullBytes;
        for (var i = 0; i < columns.Count; i++)
        {
            var width = FixedWidth(columns[i].Type);
            if (width < 0)
                continue;
            _offset[i] = offset;
            offset += width;
        }

        EndsOffset = offset;
        for (var i = 0; i < columns.Count; i++)
        {
            if (FixedWidth(columns[i].Type) >= 0)
                continue;
            _offset[i] = offset;
            offset += sizeof(uint);
            VariableCount++;
        }

        HeaderWidth = offset;
        Shape = VariableCount == 0 ? new RowShape(offset) : RowShape.Variable;
    }

    public ValueArray<ColumnType> Columns { get; }

    /// <summary>Bytes of the null bitmap.</summary>
    public int NullBytes { get; }

    /// <summary>Where the end offsets of variable columns begin.</summary>
    public int EndsOffset { get; }

    /// <summary>How many columns are of variable width.</summary>
    public int VariableCount { get; }

    /// <summary>Bytes before the variable data; the whole row when there is none.</summary>
    public int HeaderWidth { get; }

    /// <summary>Fixed when no column is variable.</summary>
    public RowShape Shape { get; }

    public static RowLayout For(ValueArray<ColumnType> columns) => new(columns);

    public bool IsFixed(int column) => FixedWidth(Columns[column].Type) >= 0;

    /// <summary>The column's bit in the null bitmap, or -1 when it cannot be null.</summary>
    public int NullBit(int column) => _nullBit[column];

    /// <summary>
    /// For a fixed column, where its value lies; for a variable one, where its end offset lies. A variable column begins where
    /// the previous variable column ends, or at <see cref="HeaderWidth"/>.
    /// </summary>
    public int Offset(int column) => _offset[column];

    /// <summary>Bytes of a value of <paramref name="type"/>, or -1 when values differ in length.</summary>
    public static int FixedWidth(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool or ScalarKind.PgLegacyChar => 1,
        ScalarKind.Int16 or ScalarKind.UInt16 => 2,
        ScalarKind.Int32 or ScalarKind.UInt32 or ScalarKind.Float32 or ScalarKind.Date => 4,
        ScalarKind.Oid or ScalarKind.RegProc or ScalarKind.RegType or ScalarKind.RegClass => 4,
        ScalarKind.Int64 or ScalarKind.UInt64 or ScalarKind.Float64 or ScalarKind.MzTimestamp => 8,
        ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz => 8,
        ScalarKind.Interval or ScalarKind.Uuid => 16,
        ScalarKind.Numeric => 24,
        _ => -1,
    };
}
