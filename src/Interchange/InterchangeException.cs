namespace Materialize.Interchange;

/// <summary>Text or bytes from outside do not denote a value, or a value has no such form. Data of the user's, not a bug.</summary>
/// <param name="sqlState">For example 22P02, 22P04.</param>
/// <param name="context">Where in a COPY: <c>line 3, column b: "x"</c>.</param>
public sealed class InterchangeException(string sqlState, string message, string? detail = null, string? context = null, Exception? inner = null)
    : Exception(message, inner)
{
    public string SqlState { get; } = sqlState;

    public string? Detail { get; } = detail;

    public string? Context { get; } = context;
}
