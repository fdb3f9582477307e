namespace Materialize.Sql;

/// <summary>
/// The user's SQL is wrong or asks for what is not there. Becomes an ErrorResponse at the edge, in one place.
/// </summary>
/// <param name="state">A code of <see cref="SqlState"/>.</param>
/// <param name="message">As Postgres words it: lower case, no full stop.</param>
public sealed class SqlException(string state, string message) : Exception(message)
{
    /// <summary>Five characters.</summary>
    public string State { get; } = state;

    /// <summary>A sentence with particulars.</summary>
    public string? Detail { get; init; }

    /// <summary>A sentence on what to do.</summary>
    public string? Hint { get; init; }

    /// <summary>Where in the statement's text, in characters from 1.</summary>
    public int? Position { get; init; }

    /// <summary>For what Materialize may do one day but this build does not.</summary>
    public static SqlException Unsupported(string feature, int? position = null) =>
        new(SqlState.FeatureNotSupported, $"{feature} not yet supported") { Position = position };

    /// <summary>For what will not be done.</summary>
    public static SqlException NeverSupported(string feature, int? position = null) =>
        new(SqlState.FeatureNotSupported, $"{feature} is not supported") { Position = position };

    /// <summary>The code of nearly all errors of names and types.</summary>
    public static SqlException Plan(string message, int? position = null, string? hint = null, string? detail = null) =>
        new(SqlState.InternalError, message) { Position = position, Hint = hint, Detail = detail };

    /// <summary>This error at a place, unless it already has one.</summary>
    public SqlException At(int? position) =>
        Position is not null || position is null
            ? this
            : new SqlException(State, Message) { Detail = Detail, Hint = Hint, Position = position };
}
