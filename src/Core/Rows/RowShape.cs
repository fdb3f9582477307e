namespace Materialize.Core.Rows;

/// <summary>How rows of one kind lie in memory: all of <see cref="Width"/> bytes, or each of its own length.</summary>
/// <param name="Width">Bytes of every row, at least 0; <see cref="VariableWidth"/> when rows differ.</param>
public readonly record struct RowShape(int Width)
{
    /// <summary>The <see cref="Width"/> of rows that carry their own length.</summary>
    public const int VariableWidth = -1;

    public static RowShape Variable => new(VariableWidth);

    /// <summary>Rows without bytes: the key of a global aggregate, the value of a set.</summary>
    public static RowShape Empty => new(0);

    public bool IsFixed => Width >= 0;
}
