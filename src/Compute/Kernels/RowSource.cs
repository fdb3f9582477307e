using Materialize.Core.Collections;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>What a kernel reads: the layouts of its parts, and where each column of the expression's input lies in them.</summary>
/// <param name="Parts">Column types of each part.</param>
/// <param name="Places">For each input column, the part and the column within it.</param>
internal sealed record RowSource(ValueArray<ValueArray<ColumnType>> Parts, ValueArray<(int Part, int Index)> Places)
{
    /// <summary>The input's columns, as they lie in the parts.</summary>
    public ValueArray<ColumnType> Columns => Places.Select(p => Parts[p.Part][p.Index]);

    /// <summary>Whole rows of a stream.</summary>
    public static RowSource Whole(ValueArray<ColumnType> columns) =>
        new([columns], Enumerable.Range(0, columns.Count).Select(i => (0, i)).ToValueArray());

    /// <summary>The rows of an arrangement: key and value.</summary>
    public static RowSource Arranged(ArrangementShape shape) => new([shape.KeyColumns, shape.ValueColumns], shape.Places);

    /// <summary>A match of a join: key, left value, right value; the left columns, then the right ones.</summary>
    public static RowSource Joined(ArrangementShape left, ArrangementShape right) => new(
        [left.KeyColumns, left.ValueColumns, right.ValueColumns],
        [.. left.Places, .. right.Places.Select(p => (p.Part == 0 ? 0 : 2, p.Index))]);
}
