namespace Materialize.Optimizer;

/// <summary>The query is one that cannot run; the adapter shows it to the user as a SQL error.</summary>
/// <param name="sqlState">Five characters.</param>
/// <param name="message">Lower case, no full stop.</param>
public sealed class OptimizerException(string sqlState, string message) : Exception(message)
{
    public string SqlState { get; } = sqlState;

    public string? Detail { get; init; }

    public string? Hint { get; init; }

    /// <summary>SQLSTATE 0A000: <c>mz_now()</c> where it cannot be a temporal filter.</summary>
    public static OptimizerException UnsupportedTemporal(string expression) => new("0A000", "unsupported temporal expression")
    {
        Detail = $"Expression found: {expression}",
        Hint = "mz_now() must be compared directly with an expression that can be cast to mz_timestamp, in a WHERE, HAVING or ON conjunct.",
    };
}
