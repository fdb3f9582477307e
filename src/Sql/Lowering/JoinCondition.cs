using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Sql;

/// <summary>A join condition taken apart: equations between the sides, and predicates on one side. Right expressions are over right's own columns.</summary>
internal sealed record JoinCondition(
    List<(MirScalarExpr Left, MirScalarExpr Right)> Pairs, List<MirScalarExpr> LeftOnly, List<MirScalarExpr> RightOnly)
{
    /// <summary>Null when some conjunct is of neither kind.</summary>
    /// <param name="conjuncts">Over left's columns, then right's without its first <paramref name="shared"/>.</param>
    public static JoinCondition? TrySplit(IEnumerable<MirScalarExpr> conjuncts, int leftArity, int shared)
    {
        var result = new JoinCondition([], [], []);
        foreach (var conjunct in conjuncts)
        {
            var side = SideOf(conjunct, leftArity);
            if (side == Side.Left)
            {
                result.LeftOnly.Add(conjunct);
            }
            else if (side is Side.Right)
            {
                result.RightOnly.Add(Columns.Shift(conjunct, shared - leftArity));
            }
            else if (side == Side.Neither)
            {
                // A constant condition restricts both: on either side alone it would lose a full join's other rows.
                result.LeftOnly.Add(conjunct);
                result.RightOnly.Add(conjunct);
            }
            else if (conjunct is MirScalarExpr.Call { Args: [var a, var b] } call && call.Func == ScalarFunctions.Eq)
            {
                var (sideA, sideB) = (SideOf(a, leftArity), SideOf(b, leftArity));
                if (sideA == Side.Left && sideB == Side.Right)
                    result.Pairs.Add((a, Columns.Shift(b, shared - leftArity)));
                else if (sideA == Side.Right && sideB == Side.Left)
                    result.Pairs.Add((b, Columns.Shift(a, shared - leftArity)));
                else
                    return null;
            }
            else
            {
                return null;
            }
        }

        return result;
    }

    private enum Side
    {
        Neither,
        Left,
        Right,
        Both,
    }

    private static Side SideOf(MirScalarExpr expr, int leftArity)
    {
        var side = Side.Neither;
        foreach (var column in Columns.Of(expr))
            side |= column < leftArity ? Side.Left : Side.Right;
        return side;
    }
}

/// <summary>Columns of MIR scalar expressions.</summary>
internal static class Columns
{
    public static IEnumerable<int> Of(MirScalarExpr expr) =>
        expr is MirScalarExpr.Column column ? [column.Index] : expr.Children.SelectMany(Of);

    public static MirScalarExpr Shift(MirScalarExpr expr, int by) =>
        expr is MirScalarExpr.Column column ? new MirScalarExpr.Column(column.Index + by) : expr.MapChildren(c => Shift(c, by));
}
