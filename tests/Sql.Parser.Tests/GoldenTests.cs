using Materialize.Sql.Parser.Ast;
using Xunit;

namespace Materialize.Sql.Parser.Tests;

/// <summary>
/// Commands: <c>statement</c> prints each statement of the input, simply and stably where that differs beyond quotes; <c>expr</c> and <c>type</c>
/// show the tree and the printed form; <c>query</c> the tree. All check that what is printed parses to an equal tree. An error answers with
/// its SQLSTATE, one-based position, message and hint.
/// </summary>
public sealed class GoldenTests
{
    public static TheoryData<string> Files() =>
        [.. Directory.EnumerateFiles(SpecFile.Folder(), "*.spec").Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Answers_as_recorded(string file) => SpecFile.Run(file, Answer);

    private static string Answer(string command, string input)
    {
        try
        {
            switch (command)
            {
                case "statement":
                    var printed = new List<string>();
                    foreach (var statement in SqlParser.ParseStatements(input))
                    {
                        RoundTrip.Check(statement.Statement);
                        printed.Add(AstPrinter.ToSql(statement.Statement));
                    }
                    return string.Join('\n', printed);
                case "stable":
                    return AstPrinter.ToSql(SqlParser.ParseStatement(input).Statement, PrintMode.Stable);
                case "redacted":
                    return AstPrinter.ToSql(SqlParser.ParseStatement(input).Statement, PrintMode.Redacted);
                case "tree":
                    return TreeText.Of(SqlParser.ParseStatement(input).Statement);
                case "expr":
                    var expr = SqlParser.ParseExpr(input);
                    var text = AstPrinter.ToSql(expr);
                    Assert.Equal(expr, SqlParser.ParseExpr(text));
                    Assert.Equal(expr, SqlParser.ParseExpr(AstPrinter.ToSql(expr, PrintMode.Stable)));
                    return $"{text}\n{TreeText.Of(expr)}";
                case "type":
                    var type = SqlParser.ParseDataType(input);
                    Assert.Equal(type, SqlParser.ParseDataType(AstPrinter.ToSql(type)));
                    Assert.Equal(type, SqlParser.ParseDataType(AstPrinter.ToSql(type, PrintMode.Stable)));
                    return AstPrinter.ToSql(type);
                default:
                    throw new InvalidOperationException($"no such command: {command}");
            }
        }
        catch (ParseException e)
        {
            return $"error {e.SqlState} at {e.Position}: {e.Message}" + (e.Hint is null ? "" : $"\nhint: {e.Hint}");
        }
    }
}

/// <summary>The printer's law.</summary>
internal static class RoundTrip
{
    private static string Difference(string one, string other)
    {
        var at = one.AsSpan().CommonPrefixLength(other);
        return $"…{one[at..Math.Min(one.Length, at + 80)]} against …{other[at..Math.Min(other.Length, at + 80)]}";
    }

    public static void Check(Statement statement)
    {
        foreach (var mode in new[] { PrintMode.Simple, PrintMode.Stable })
        {
            var printed = AstPrinter.ToSql(statement, mode);
            Statement again;
            try
            {
                again = SqlParser.ParseStatement(printed).Statement;
            }
            catch (ParseException e)
            {
                throw new InvalidOperationException($"does not parse back ({e.Message} at {e.Position}): {printed}", e);
            }
            if (!statement.Equals(again))
                Assert.Fail($"{Difference(TreeText.Of(statement), TreeText.Of(again))} parses back to another tree: {printed}\n{TreeText.Of(statement)}\n{TreeText.Of(again)}");
            Assert.Equal(statement.GetHashCode(), again.GetHashCode());
            Assert.Equal(printed, AstPrinter.ToSql(again, mode));
        }
    }
}
