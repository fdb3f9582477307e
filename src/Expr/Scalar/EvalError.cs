namespace Materialize.Expr;

/// <summary>
/// Why an expression has no value for some row: data, not an exception. A read of a collection fails while its error
/// collection holds one of these.
/// </summary>
/// <param name="SqlState">Five characters.</param>
/// <param name="Message">As Postgres words it: lower case, no full stop.</param>
public sealed record EvalError(string SqlState, string Message)
{
    public string? Detail { get; init; }

    public string? Hint { get; init; }

    public static readonly EvalError DivisionByZero = new("22012", "division by zero");

    /// <summary>For example <c>integer out of range</c>.</summary>
    public static EvalError OutOfRange(string type) => new("22003", $"{type} out of range");
}
