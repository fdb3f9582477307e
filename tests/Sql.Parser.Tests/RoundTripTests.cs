using Materialize.Sql.Parser.Ast;
using Xunit;

namespace Materialize.Sql.Parser.Tests;

/// <summary>The printer's law, on random trees and on every golden input.</summary>
public sealed class RoundTripTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_printed_statement_parses_to_an_equal_tree(int seed)
    {
        var generator = new AstGenerator(new Random(seed));
        for (var i = 0; i < 3000; i++)
            RoundTrip.Check(generator.Statement(1 + i % 5));
    }

    [Fact]
    public void A_printed_expression_parses_to_an_equal_tree()
    {
        var generator = new AstGenerator(new Random(5));
        for (var i = 0; i < 10000; i++)
        {
            var expr = generator.Expr(1 + i % 6);
            foreach (var mode in new[] { PrintMode.Simple, PrintMode.Stable })
            {
                var text = AstPrinter.ToSql(expr, mode);
                var again = SqlParser.ParseExpr(text);
                Assert.True(expr.Equals(again), $"{text}\n{TreeText.Of(expr)}\n{TreeText.Of(again)}");
            }
        }
    }

    [Fact]
    public void Infix_operators_get_no_needless_parentheses()
    {
        // Oracle: taking any one pair of parentheses away that the printer wrote around an operand changes the tree or the text's validity.
        var generator = new AstGenerator(new Random(6));
        for (var i = 0; i < 300; i++)
        {
            var expr = Operators(generator, 4, new Random(i));
            var text = AstPrinter.ToSql(expr);
            for (var open = text.IndexOf('('); open >= 0; open = text.IndexOf('(', open + 1))
            {
                var close = Matching(text, open);
                var without = text[..open] + ' ' + text[(open + 1)..close] + ' ' + text[(close + 1)..];
                Expr? again = null;
                try
                {
                    again = SqlParser.ParseExpr(without);
                }
                catch (ParseException)
                {
                }
                Assert.True(!expr.Equals(again), $"needless parentheses at {open}: {text}");
            }
        }
    }

    private static int Matching(string text, int open)
    {
        var depth = 0;
        for (var i = open; ; i++)
        {
            depth += text[i] switch { '(' => 1, ')' => -1, _ => 0 };
            if (depth == 0)
                return i;
        }
    }

    /// <summary>
    /// Infix operators over names. Without IS and NOT: what follows a postfix operator takes all before it as its left operand, and a prefix
    /// operator all it can to its right, so (a IS NULL) + b and a + (NOT b) could do without, but are clearer with.
    /// </summary>
    private static Expr Operators(AstGenerator generator, int depth, Random random)
    {
        Expr Sub() => Operators(generator, depth - 1, random);
        return depth == 0 ? new Expr.Identifier([new Ident("abc"[random.Next(3)].ToString())]) : random.Next(7) switch
        {
            0 => new Expr.And(Sub(), Sub()),
            1 => new Expr.Or(Sub(), Sub()),
            2 => new Expr.Like(Sub(), Sub(), null, false, false),
            3 => new Expr.Binary(Operator.Bare("<"), Sub(), Sub()),
            4 => new Expr.Binary(Operator.Bare("+"), Sub(), Sub()),
            5 => new Expr.Binary(Operator.Bare("*"), Sub(), Sub()),
            _ => new Expr.Cast(Sub(), new DataType.Named(ObjectName.Of("text"), [])),
        };
    }

    [Fact]
    public void Spans_are_no_part_of_equality()
    {
        var one = SqlParser.ParseExpr("a+b");
        var other = SqlParser.ParseExpr("  a  +\n b");
        Assert.Equal(one, other);
        Assert.NotEqual(one.Span.Start, other.Span.Start);
    }

    [Fact]
    public void Every_span_encloses_its_own_text()
    {
        // Oracle: the text under an expression's span parses to the expression (operators that reorder their operands apart).
        const string Sql = "SELECT a + b * c, (x).y[1:2], f(DISTINCT a) FILTER (WHERE b), CASE WHEN a THEN 'é' END, $1::int4[] FROM t WHERE a IN (1, 2) AND b BETWEEN 1 AND 2";
        var select = Assert.IsType<Statement.Select>(SqlParser.ParseStatement(Sql).Statement);
        var body = Assert.IsType<SetExpr.Select>(select.Query.Body);
        foreach (var item in body.Projection)
        {
            var expr = Assert.IsType<SelectItem.Expression>(item).Expr;
            Assert.Equal(expr, SqlParser.ParseExpr(Sql[expr.Span.Start..expr.Span.End]));
        }
        Assert.Equal(body.Where, SqlParser.ParseExpr(Sql[body.Where!.Span.Start..body.Where.Span.End]));
        Assert.Equal(Sql, Sql[select.Span.Start..select.Span.End]);
    }

    [Fact]
    public void Statements_keep_their_own_text_and_place()
    {
        const string Sql = " ; SELECT 1 ; -- x\n/* y */ SELECT 'a;b' -- z\n;";
        var statements = SqlParser.ParseStatements(Sql);
        Assert.Equal(["SELECT 1", "SELECT 'a;b'"], statements.Select(s => s.Sql));
        Assert.All(statements, s => Assert.Equal(s.Sql, Sql.Substring(s.Offset, s.Sql.Length)));
    }
}
