using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

/// <summary>
/// The parser's door. Every method throws <see cref="ParseException"/> on text it does not accept and never anything else; none keeps state.
/// </summary>
public static class SqlParser
{
    /// <summary>The most UTF-8 bytes a batch of statements may have.</summary>
    public const int MaxBatchBytes = 1_000_000;

    /// <summary>The statements of a text, in order; empty ones (blanks and comments between semicolons) are left out.</summary>
    /// <exception cref="ParseException">One of them does not parse, then none is returned; or the text is beyond <see cref="MaxBatchBytes"/>.</exception>
    public static IReadOnlyList<ParsedStatement> ParseStatements(string text)
    {
        if (text.Length > MaxBatchBytes || (text.Length > MaxBatchBytes / 3 && System.Text.Encoding.UTF8.GetByteCount(text) > MaxBatchBytes))
            throw new ParseException($"statement batch size cannot exceed {MaxBatchBytes} bytes", 1, ParseException.ProgramLimitExceeded);
        return new Parser(text).ParseStatements();
    }

    /// <summary>The one statement of a text.</summary>
    /// <exception cref="ParseException">It does not parse, or the text holds none or several.</exception>
    public static ParsedStatement ParseStatement(string text) => ParseStatements(text) switch
    {
        [var one] => one,
        [] => throw new ParseException("Expected a keyword at the beginning of a statement, found EOF", 1),
        [_, var second, ..] => throw new ParseException(
            "Expected a single statement, found several", SourceText.CharacterPosition(text, second.Offset)),
    };

    /// <summary>A scalar expression and nothing else.</summary>
    public static Expr ParseExpr(string text) => Whole(text, p => p.ParseExpr());

    /// <summary>A type and nothing else.</summary>
    public static DataType ParseDataType(string text) => Whole(text, p => p.ParseDataType());

    /// <summary>A query (without AS OF) and nothing else.</summary>
    public static Query ParseQuery(string text) => Whole(text, p => p.ParseQuery());

    /// <summary>A name of one or more parts, as SQL writes it, and nothing else.</summary>
    public static ObjectName ParseName(string text) => Whole(text, p => p.ParseName());

    private static T Whole<T>(string text, Func<Parser, T> rule)
    {
        var parser = new Parser(text);
        var result = rule(parser);
        parser.ExpectEnd();
        return result;
    }
}
