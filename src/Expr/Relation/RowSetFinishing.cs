using Materialize.Core.Collections;

namespace Materialize.Expr;

/// <summary>What is done to a result once all its rows are known: sort, cut, project. It is not part of the maintained plan.</summary>
/// <param name="OrderBy">Over the plan's columns; ties by the whole row, so that results are deterministic.</param>
/// <param name="Limit">Null: all.</param>
/// <param name="Offset">Rows skipped first.</param>
/// <param name="Project">Columns shown, of the plan's columns.</param>
public sealed record RowSetFinishing(ValueArray<ColumnOrder> OrderBy, ulong? Limit, ulong Offset, ValueArray<int> Project)
{
    public static RowSetFinishing Trivial(int arity) => new([], null, 0, ValueArray.Range(arity));

    public bool IsTrivial(int arity) => OrderBy.IsEmpty && Limit is null && Offset == 0 && Project == ValueArray.Range(arity);
}
