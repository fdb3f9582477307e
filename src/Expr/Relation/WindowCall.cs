using System.Diagnostics;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>The functions of a window that only count.</summary>
public enum WindowNumber
{
    RowNumber,
    Rank,
    DenseRank,
}

/// <summary>A frame, in rows relative to the current one: negative before, positive after it.</summary>
/// <param name="Start">Null: from the partition's first row.</param>
/// <param name="End">Null: to the partition's last row.</param>
/// <param name="ToPeers">Up to the current row's last peer; then <paramref name="Start"/> is null and <paramref name="End"/> 0.</param>
public readonly record struct WindowRows(long? Start, long? End, bool ToPeers)
{
    /// <summary>Whether every row is in its own frame.</summary>
    public bool HasCurrentRow => Start is null or <= 0 && End is null or >= 0;
}

/// <summary>A function of a <see cref="MirRelationExpr.Window"/>, over columns of its input.</summary>
public abstract record WindowCall(ColumnType Output)
{
    public sealed record Number(WindowNumber Which, ColumnType Output) : WindowCall(Output);

    /// <summary>lag and lead: the column of the row <paramref name="Offset"/> rows later; of the current row, <paramref name="Default"/>, if there is none; else null.</summary>
    public sealed record Neighbour(int Column, long Offset, int? Default, ColumnType Output) : WindowCall(Output);

    /// <summary>The column of the frame's first row, or its last; every row is in its own frame.</summary>
    public sealed record Edge(int Column, bool IsFirst, WindowRows Frame, ColumnType Output) : WindowCall(Output);

    /// <summary>An accumulable aggregate of the column over the frame, which has an end not before its start.</summary>
    public sealed record Aggregate(AggregateFunc Func, int Column, WindowRows Frame, ColumnType Output) : WindowCall(Output);

    /// <summary>Whether the order of peers makes a difference.</summary>
    public bool SeesOrderOfPeers => this switch
    {
        Number x => x.Which == WindowNumber.RowNumber,
        Aggregate x => !x.Frame.ToPeers,
        _ => true,
    };

    /// <summary>The columns that it reads.</summary>
    public IEnumerable<int> Columns => this switch
    {
        Number => [],
        Neighbour { Default: { } other } x => [x.Column, other],
        Neighbour x => [x.Column],
        Edge x => [x.Column],
        Aggregate x => [x.Column],
        _ => throw new UnreachableException(GetType().Name),
    };

    public WindowCall MapColumns(Func<int, int> f) => this switch
    {
        Number => this,
        Neighbour x => x with { Column = f(x.Column), Default = x.Default is { } other ? f(other) : null },
        Edge x => x with { Column = f(x.Column) },
        Aggregate x => x with { Column = f(x.Column) },
        _ => throw new UnreachableException(GetType().Name),
    };
}
