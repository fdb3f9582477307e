namespace Materialize.Sql.Parser;

/// <summary>The text is not SQL we know, or is too large. The message is worded for the user.</summary>
public sealed class ParseException(string message, int position, string sqlState = ParseException.SyntaxError) : Exception(message)
{
    /// <summary>SQLSTATE syntax_error.</summary>
    public const string SyntaxError = "42601";

    /// <summary>SQLSTATE statement_too_complex.</summary>
    public const string StatementTooComplex = "54001";

    /// <summary>SQLSTATE program_limit_exceeded.</summary>
    public const string ProgramLimitExceeded = "54000";

    /// <summary>SQLSTATE feature_not_supported.</summary>
    public const string FeatureNotSupported = "0A000";

    /// <summary>Where, as Postgres says it: one-based, in characters (code points) of the whole text given to the parser.</summary>
    public int Position { get; } = position;

    /// <summary>The SQLSTATE to answer with.</summary>
    public string SqlState { get; } = sqlState;

    /// <summary>What the user might do, a sentence; or null.</summary>
    public string? Hint { get; init; }

    /// <summary>More about it, a sentence; or null.</summary>
    public string? Detail { get; init; }
}
