namespace Materialize.Repr;

/// <summary>A text is not a value of the type it should be.</summary>
/// <param name="sqlState">Five characters.</param>
/// <param name="message">Ready for the user.</param>
public sealed class TextFormatException(string sqlState, string message) : Exception(message)
{
    /// <summary>invalid_text_representation.</summary>
    public const string InvalidText = "22P02";

    /// <summary>invalid_datetime_format.</summary>
    public const string InvalidDatetime = "22007";

    /// <summary>datetime_field_overflow.</summary>
    public const string DatetimeOverflow = "22008";

    /// <summary>numeric_value_out_of_range.</summary>
    public const string OutOfRange = "22003";

    public string SqlState { get; } = sqlState;

    /// <summary><c>invalid input syntax for type integer: invalid digit found in string: "x"</c>.</summary>
    public static TextFormatException Invalid(string type, string text, string? why = null, string sqlState = InvalidText) =>
        new(sqlState, $"invalid input syntax for type {type}: {(why is null ? "" : why + ": ")}\"{text}\"");
}
