using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>
/// A scalar function as plans name it: a stable <see cref="Id"/> (written to catalogs and the wire) and what a planner must
/// know of it. One instance per function, from <see cref="ScalarFunctions"/>; what it computes is in the tables of
/// <c>Expr/Functions</c>, once for the interpreter and, where it pays, once as generated code.
/// </summary>
public sealed class ScalarFunc
{
    /// <summary>Unique and never reused, for example <c>add_int4</c>, <c>cast_text_to_numeric</c>, <c>and</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Whether any null argument makes the result null.</summary>
    public bool PropagatesNulls { get; init; } = true;

    /// <summary>Whether the result may be null though no argument is.</summary>
    public bool IntroducesNulls { get; init; }

    /// <summary>Whether the result is never null, whatever the arguments: <c>IS NULL</c>.</summary>
    public bool NeverNull { get; init; }

    /// <summary>Whether it may fail.</summary>
    public bool CouldError { get; init; }

    /// <summary>For infix printing in EXPLAIN, <c>+</c>; null prints as a call of <see cref="Id"/>.</summary>
    public string? Infix { get; init; }

    /// <summary>Whether the order of its arguments does not matter.</summary>
    public bool IsCommutative { get; init; }

    /// <summary>For predicates, the id of the function that is true exactly when this is false; null if none.</summary>
    public string? NegatedId { get; init; }

    /// <summary>
    /// What it computes, for the interpreter. Only <c>and</c>, <c>or</c> and <c>coalesce</c> have none: they evaluate their
    /// arguments one by one, so the interpreter knows them itself.
    /// </summary>
    internal ScalarImplementation? Implementation { get; set; }

    public override string ToString() => Id;
}

/// <summary>Evaluates one call. Arguments are already evaluated, none is null if the function propagates nulls.</summary>
/// <param name="args">The arguments.</param>
/// <param name="types">Their types.</param>
/// <param name="output">The result's type, modifiers included.</param>
/// <exception cref="EvalException">The call fails on these values.</exception>
public delegate Datum ScalarImplementation(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types, SqlType output);

/// <summary>Carries an <see cref="EvalError"/> out of an interpreter; never leaves <c>Expr</c> and constant folding.</summary>
public sealed class EvalException(EvalError error) : Exception(error.Message)
{
    public EvalError Error { get; } = error;
}
