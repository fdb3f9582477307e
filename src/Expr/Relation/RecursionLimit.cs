using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>After how many rounds a recursion is stopped.</summary>
/// <param name="RoundsMax">At least 1.</param>
/// <param name="ReturnsAtLimit">Whether what it has come to by then is the result; else a recursion that is not done is an error.</param>
public sealed record RecursionLimit(uint RoundsMax, bool ReturnsAtLimit)
{
    /// <summary>What a recursion that is not done by the limit evaluates to.</summary>
    public EvalError Exceeded => new(
        "XX000",
        $"Recursive query exceeded the recursion limit {RoundsMax}. (Use RETURN AT RECURSION LIMIT to not error, but return the current state as the final result when reaching the limit.)");
}

/// <summary>One of several collections that are defined by each other.</summary>
/// <param name="Columns">As declared: what those that refer to it see, whatever <paramref name="Value"/> is known to be more.</param>
public sealed record RecursiveBinding(int LocalId, MirRelationExpr Value, ValueArray<ColumnType> Columns, RecursionLimit? Limit);
