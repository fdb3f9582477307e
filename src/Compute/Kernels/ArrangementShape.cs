using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>How the rows of a collection lie in an arrangement: the column types of its key and value rows.</summary>
/// <param name="Key">What it is arranged by.</param>
/// <param name="KeyColumns">Types of the key row.</param>
/// <param name="ValueColumns">Types of the value row.</param>
/// <param name="Values">The relation's columns that the value row holds.</param>
/// <param name="Places">Where each column of the relation lies: part 0 is the key, part 1 the value.</param>
internal sealed record ArrangementShape(
    ArrangementKey Key,
    ValueArray<ColumnType> KeyColumns,
    ValueArray<ColumnType> ValueColumns,
    ValueArray<int> Values,
    ValueArray<(int Part, int Index)> Places)
{
    private RowLayout? _keyLayout;
    private RowLayout? _valueLayout;

    public RowLayout KeyLayout => _keyLayout ??= RowLayout.For(KeyColumns);

    public RowLayout ValueLayout => _valueLayout ??= RowLayout.For(ValueColumns);

    public static ArrangementShape Of(ArrangementKey key, ValueArray<ColumnType> columns) =>
        Of(key, columns, key.Exprs.Select(e => e.TypeOf(columns)));

    /// <summary>As <see cref="Of(ArrangementKey, ValueArray{ColumnType})"/>, with the key laid out as another arrangement's, to be joined with it.</summary>
    public static ArrangementShape Of(ArrangementKey key, ValueArray<ColumnType> columns, ValueArray<ColumnType> keyColumns)
    {
        var values = key.ValueColumns(columns.Count);
        return new ArrangementShape(key, keyColumns, values.Select(c => columns[c]), values, key.Locate(columns.Count));
    }

    /// <summary>Whether keys of the two are equal bytes when they are equal values.</summary>
    public bool KeysMatch(ArrangementShape other) => Layouts.AreEqual(KeyColumns, other.KeyColumns);
}

/// <summary>When rows of two types are the same bytes.</summary>
internal static class Layouts
{
    /// <summary>Whether the two lay rows out alike: modifiers and names aside.</summary>
    public static bool AreEqual(ValueArray<ColumnType> a, ValueArray<ColumnType> b)
    {
        if (a == b)
            return true;
        if (a.Count != b.Count)
            return false;
        for (var i = 0; i < a.Count; i++)
        {
            if (a[i].IsNullable != b[i].IsNullable || !a[i].Type.BaseEquals(b[i].Type))
                return false;
        }

        return true;
    }
}
