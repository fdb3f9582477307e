using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

/// <summary>How tightly operators bind, loosest first.</summary>
internal enum Precedence { None, Or, And, Not, Is, Comparison, Like, Other, Sum, Product, CollateAt, Sign, Postfix }

internal sealed partial class Parser
{
    /// <summary>Height of the tallest expression finished within the current one: what <see cref="MaxHeight"/> bounds.</summary>
    private int tallest;

    public Expr ParseExpr() => ParseExpr(Precedence.None);

    private Expr ParseExpr(Precedence above)
    {
        using var nest = Enter();
        var outer = tallest;
        tallest = 0;
        var start = Current.Start;
        var left = ParseInfix(ParsePrefix(), above, start);
        tallest = Math.Max(outer, tallest + 1);
        return left;
    }

    /// <summary>Goes on from an operand already read.</summary>
    private Expr ParseInfix(Expr left, Precedence above, int start)
    {
        while (true)
        {
            var next = PrecedenceHere();
            if (next <= above)
                return left;
            left = ParseInfixOperator(left, next, start);
            if (++tallest > MaxHeight)
                throw TooDeep();
        }
    }

    private Precedence PrecedenceHere()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Eq:
                return Precedence.Comparison;
            case TokenKind.Star:
                return Precedence.Product;
            case TokenKind.DoubleColon or TokenKind.LBracket or TokenKind.Dot:
                return Precedence.Postfix;
            case TokenKind.Op:
                return OperatorPrecedence(token.Text);
            case TokenKind.Word:
                return token.Text switch
                {
                    "or" => Precedence.Or,
                    "and" => Precedence.And,
                    "not" => Ahead(1).Text is "in" or "like" or "ilike" or "between" ? Precedence.Like : Precedence.None,
                    "is" or "isnull" or "notnull" => Precedence.Is,
                    "in" or "like" or "ilike" or "between" => Precedence.Like,
                    "collate" => Precedence.CollateAt,
                    "at" => Ahead(1).Is("TIME") && Ahead(2).Is("ZONE") ? Precedence.CollateAt : Precedence.None,
                    "operator" when Ahead(1).Kind == TokenKind.LParen => Precedence.Other,
                    _ => Precedence.None,
                };
            default:
                return Precedence.None;
        }
    }

    internal static Precedence OperatorPrecedence(string op) => op switch
    {
        "<" or "<=" or "<>" or ">=" or ">" or "=" => Precedence.Comparison,
        "+" or "-" => Precedence.Sum,
        "*" or "/" or "%" => Precedence.Product,
        _ => Precedence.Other,
    };

    private Expr ParseInfixOperator(Expr left, Precedence precedence, int start)
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.DoubleColon:
                at++;
                var type = ParseDataType();
                return new Expr.Cast(left, type) { Span = SpanFrom(start) };
            case TokenKind.LBracket:
                return ParseSubscripts(left, start);
            case TokenKind.Dot:
                at++;
                if (Accept(TokenKind.Star))
                    return new Expr.WildcardAccess(left) { Span = SpanFrom(start) };
                var field = ParseAnyIdent();
                return new Expr.FieldAccess(left, field) { Span = SpanFrom(start) };
            case TokenKind.Word when token.Text != "operator":
                return ParseKeywordOperator(left, start);
        }
        var op = ParseOperator();
        if (IsQuantifier())
            return ParseQuantified(left, op, start);
        var right = ParseExpr(precedence);
        return new Expr.Binary(op, left, right) { Span = SpanFrom(start) };
    }

    private Operator ParseOperator()
    {
        var token = Current;
        if (token.Kind is TokenKind.Op or TokenKind.Star or TokenKind.Eq)
        {
            at++;
            return new Operator(token.Text, []) { Span = new SourceSpan(token.Start, token.End) };
        }
        Expect("OPERATOR");
        Expect(TokenKind.LParen);
        var schema = new List<Ident>();
        while (Current.IsName)
        {
            schema.Add(ParseAnyIdent());
            Expect(TokenKind.Dot);
        }
        if (!(Is(TokenKind.Op) || Is(TokenKind.Star) || Is(TokenKind.Eq)))
            throw Expected("operator");
        var name = Take().Text;
        Expect(TokenKind.RParen);
        return new Operator(name, schema.ToAstList()) { Span = SpanFrom(token.Start) };
    }

    private bool IsQuantifier() => (IsWord("ANY") || IsWord("ALL") || IsWord("SOME")) && Ahead(1).Kind == TokenKind.LParen;

    private Expr ParseQuantified(Expr left, Operator op, int start)
    {
        var quantifier = Take().Is("ALL") ? Quantifier.All : Quantifier.Any;
        Expect(TokenKind.LParen);
        var (query, list) = ParseQueryOrList();
        Expect(TokenKind.RParen);
        if (query is not null)
            return new Expr.QuantifiedSubquery(left, op, quantifier, query) { Span = SpanFrom(start) };
        var right = list.Count == 1 ? list[0] : new Expr.Row(list) { Span = SpanFrom(start) };
        return new Expr.Quantified(left, op, quantifier, right) { Span = SpanFrom(start) };
    }

    private Expr ParseKeywordOperator(Expr left, int start)
    {
        var token = Take();
        switch (token.Text)
        {
            case "or":
                var orRight = ParseExpr(Precedence.Or);
                return new Expr.Or(left, orRight) { Span = SpanFrom(start) };
            case "and":
                var andRight = ParseExpr(Precedence.And);
                return new Expr.And(left, andRight) { Span = SpanFrom(start) };
            case "isnull" or "notnull":
                return new Expr.Is(left, IsTest.Null, token.Text == "notnull") { Span = SpanFrom(start) };
            case "is":
                return ParseIs(left, start);
            case "collate":
                var collation = ParseObjectName();
                return new Expr.Collate(left, collation) { Span = SpanFrom(start) };
            case "at":
                Expect("TIME ZONE");
                var zone = ParseExpr(Precedence.CollateAt);
                return Call("timezone", [zone, left], token, start);
        }
        var negated = token.Text == "not";
        if (negated)
            token = Take();
        switch (token.Text)
        {
            case "in":
                Expect(TokenKind.LParen);
                var (query, list) = ParseQueryOrList();
                Expect(TokenKind.RParen);
                return query is null
                    ? new Expr.InList(left, list, negated) { Span = SpanFrom(start) }
                    : new Expr.InSubquery(left, query, negated) { Span = SpanFrom(start) };
            case "between":
                var symmetric = Accept("SYMMETRIC");
                if (!symmetric)
                    Accept("ASYMMETRIC");
                var low = ParseExpr(Precedence.Like);
                Expect("AND");
                var high = ParseExpr(Precedence.Like);
                return new Expr.Between(left, low, high, symmetric, negated) { Span = SpanFrom(start) };
            default:
                if (IsQuantifier())
                    return ParseQuantified(left, Operator.Bare((negated ? "!~~" : "~~") + (token.Text == "ilike" ? "*" : "")), start);
                var pattern = ParseExpr(Precedence.Like);
                var escape = Accept("ESCAPE") ? ParseExpr(Precedence.Like) : null;
                return new Expr.Like(left, pattern, escape, token.Text == "ilike", negated) { Span = SpanFrom(start) };
        }
    }

    private Expr ParseIs(Expr left, int start)
    {
        var negated = Accept("NOT");
        if (Accept("DISTINCT FROM"))
        {
            var right = ParseExpr(Precedence.Is);
            return new Expr.IsDistinctFrom(left, right, negated) { Span = SpanFrom(start) };
        }
        var test = AcceptOneOf("NULL", "TRUE", "FALSE", "UNKNOWN") switch
        {
            "NULL" => IsTest.Null,
            "TRUE" => IsTest.True,
            "FALSE" => IsTest.False,
            "UNKNOWN" => IsTest.Unknown,
            _ => throw Expected("NULL, NOT NULL, TRUE, NOT TRUE, FALSE, NOT FALSE, UNKNOWN, NOT UNKNOWN, DISTINCT FROM, or NOT DISTINCT FROM after IS"),
        };
        return new Expr.Is(left, test, negated) { Span = SpanFrom(start) };
    }

    private Expr ParseSubscripts(Expr input, int start)
    {
        var positions = new List<SubscriptPosition>();
        while (Is(TokenKind.LBracket))
        {
            var from = Take().Start;
            var first = Is(TokenKind.Colon) ? null : ParseExpr();
            var slice = Accept(TokenKind.Colon);
            var last = slice && !Is(TokenKind.RBracket) ? ParseExpr() : null;
            Expect(TokenKind.RBracket);
            positions.Add(new SubscriptPosition(first, last, slice) { Span = SpanFrom(from) });
        }
        return new Expr.Subscript(input, positions.ToAstList()) { Span = SpanFrom(start) };
    }

    // Operands.

    private Expr ParsePrefix()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Number:
                at++;
                return new Expr.NumberLiteral(token.Text) { Span = SpanFrom(token.Start) };
            case TokenKind.String:
                at++;
                return new Expr.StringLiteral(token.Text) { Span = SpanFrom(token.Start) };
            case TokenKind.HexString:
                at++;
                return new Expr.HexLiteral(token.Text) { Span = SpanFrom(token.Start) };
            case TokenKind.Parameter:
                at++;
                return new Expr.Parameter(int.Parse(token.Text)) { Span = SpanFrom(token.Start) };
            case TokenKind.LParen:
                return ParseParenthesized();
            case TokenKind.Op:
                return ParseSigned();
            case TokenKind.LBracket:
                return ParseCallOrName();
            case TokenKind.QuotedIdent:
                return LooksLikeTypedLiteral() ? ParseTypedLiteral() : ParseCallOrName();
            case TokenKind.Word when token.Text == "operator" && Ahead(1).Kind == TokenKind.LParen:
                return ParseSigned();
            case TokenKind.Word:
                return ParseKeywordOperand() ?? (LooksLikeTypedLiteral() ? ParseTypedLiteral()
                    : Keywords.InExpr.Contains(token.Text) ? throw Expected("an expression") : ParseCallOrName());
            default:
                throw Expected("an expression");
        }
    }

    private Expr ParseSigned()
    {
        var start = Current.Start;
        if (Current.Text == "-" && Ahead(1).Kind == TokenKind.Number && Ahead(1).Text.AsSpan().IndexOfAnyInRange('1', '9') >= 0)
        {
            // -n is one literal: the smallest int8 has no positive twin.
            at++;
            return new Expr.NumberLiteral("-" + Take().Text) { Span = SpanFrom(start) };
        }
        var op = ParseOperator();
        var input = ParseExpr(op.Name is "+" or "-" ? Precedence.Sign : Precedence.Other);
        return new Expr.Unary(op, input) { Span = SpanFrom(start) };
    }

    private Expr ParseTypedLiteral()
    {
        var start = Current.Start;
        var type = ParseDataType();
        var literal = Current;
        var value = new Expr.StringLiteral(ParseString()) { Span = new SourceSpan(literal.Start, literal.End) };
        return new Expr.Cast(value, type) { Span = SpanFrom(start) };
    }

    private Expr ParseParenthesized()
    {
        var start = Take().Start;
        var (query, list) = ParseQueryOrList();
        Expect(TokenKind.RParen);
        return query is not null ? new Expr.Subquery(query) { Span = SpanFrom(start) }
            : list.Count == 1 ? list[0]
            : new Expr.Row(list) { Span = SpanFrom(start) };
    }

    /// <summary>
    /// What stands behind an opening parenthesis: a query, or expressions. <c>((SELECT 1) + 1)</c> and <c>((SELECT 1) UNION SELECT 2)</c> look alike
    /// until behind the inner query, so that is read once and then taken for what the next token says.
    /// </summary>
    private (Query? Query, AstList<Expr> List) ParseQueryOrList()
    {
        using var nest = Enter();
        if (StartsQuery(0))
            return (ParseQuery(), []);
        if (!Is(TokenKind.LParen) || !StartsQuery(CountParens()))
            return (null, CommaSeparated(ParseExpr));

        var start = Current.Start;
        at++;
        var (query, list) = ParseQueryOrList();
        Expect(TokenKind.RParen);
        if (query is not null && EndsQueryBody())
            return (ParseQueryAfterParenthesis(query, start), []);
        Expr first = query is not null ? new Expr.Subquery(query) { Span = SpanFrom(start) }
            : list.Count == 1 ? list[0]
            : new Expr.Row(list) { Span = SpanFrom(start) };
        var items = new List<Expr> { ParseInfix(first, Precedence.None, start) };
        while (Accept(TokenKind.Comma))
            items.Add(ParseExpr());
        return (null, items.ToAstList());
    }

    private int CountParens()
    {
        var n = 0;
        while (Ahead(n).Kind == TokenKind.LParen)
            n++;
        return n;
    }

    /// <summary>An operand that begins with a keyword, or null when the word is a name here.</summary>
    private Expr? ParseKeywordOperand()
    {
        var token = Current;
        var start = token.Start;
        var next = Ahead(1).Kind;
        switch (token.Text)
        {
            case "null":
                at++;
                return new Expr.NullLiteral { Span = SpanFrom(start) };
            case "true" or "false":
                at++;
                return new Expr.BooleanLiteral(token.Text == "true") { Span = SpanFrom(start) };
            case "not":
                at++;
                var input = ParseExpr(Precedence.Not);
                return new Expr.Not(input) { Span = SpanFrom(start) };
            case "case":
                return ParseCase();
            case "interval" when next == TokenKind.String:
                at++;
                var value = ParseIntervalValue();
                return new Expr.IntervalLiteral(value) { Span = SpanFrom(start) };
            case "array" or "list" or "map" when next is TokenKind.LBracket && !LooksLikeTypedLiteral():
                at++;
                return ParseBracketed(token.Text, start);
            case "array" or "list" or "map" when next is TokenKind.LParen && StartsQuery(1 + CountParensFrom(1)):
                at++;
                Expect(TokenKind.LParen);
                var query = ParseQuery();
                Expect(TokenKind.RParen);
                return token.Text switch
                {
                    "array" => new Expr.ArraySubquery(query) { Span = SpanFrom(start) },
                    "list" => new Expr.ListSubquery(query) { Span = SpanFrom(start) },
                    _ => new Expr.MapSubquery(query) { Span = SpanFrom(start) },
                };
            case "row" when next == TokenKind.LParen:
                at++;
                var fields = ParenthesizedOrEmpty(ParseExpr);
                return new Expr.Row(fields) { Span = SpanFrom(start) };
        }
        return next == TokenKind.LParen ? ParseSpecialCall(token) : null;
    }

    private int CountParensFrom(int from)
    {
        var n = 0;
        while (Ahead(from + n).Kind == TokenKind.LParen)
            n++;
        return n;
    }

    private Expr ParseCase()
    {
        var start = Take().Start;
        var operand = IsWord("WHEN") ? null : ParseExpr();
        var arms = new List<CaseArm>();
        do
        {
            var from = Current.Start;
            Expect("WHEN");
            var condition = ParseExpr();
            Expect("THEN");
            var result = ParseExpr();
            arms.Add(new CaseArm(condition, result) { Span = SpanFrom(from) });
        }
        while (IsWord("WHEN"));
        var otherwise = Accept("ELSE") ? ParseExpr() : null;
        Expect("END");
        return new Expr.Case(operand, arms.ToAstList(), otherwise) { Span = SpanFrom(start) };
    }

    /// <summary>From <c>[</c> on; inner brackets are of the same kind (for a map: its values may be).</summary>
    private Expr ParseBracketed(string kind, int start)
    {
        using var nest = Enter();
        Expect(TokenKind.LBracket);
        Expr result;
        if (kind == "map")
        {
            var entries = Is(TokenKind.RBracket) ? [] : CommaSeparated(() =>
            {
                var from = Current.Start;
                var key = ParseExpr();
                Expect(TokenKind.Arrow);
                var value = ParseElement(kind);
                return new MapEntry(key, value) { Span = SpanFrom(from) };
            });
            Expect(TokenKind.RBracket);
            result = new Expr.Map(entries) { Span = SpanFrom(start) };
        }
        else
        {
            var elements = Is(TokenKind.RBracket) ? [] : CommaSeparated(() => ParseElement(kind));
            Expect(TokenKind.RBracket);
            result = kind == "array" ? new Expr.Array(elements) { Span = SpanFrom(start) } : new Expr.List(elements) { Span = SpanFrom(start) };
        }
        tallest++;
        return result;
    }

    private Expr ParseElement(string kind) =>
        Is(TokenKind.LBracket) && !(Ahead(1).IsName && Ahead(2).Is("AS")) ? ParseBracketed(kind, Current.Start) : ParseExpr();

    private IntervalValue ParseIntervalValue()
    {
        var start = Current.Start;
        var literal = ParseString();
        if (TryField() is not { } head)
            return new IntervalValue(literal) { Span = SpanFrom(start) };
        int? precision = null;
        DateTimeField high = DateTimeField.Year, low = head;
        if (Accept("TO"))
        {
            high = head;
            low = TryField() ?? throw Expected("a date/time field");
            if (low <= high)
                throw ErrorAt(start, $"Invalid field range in INTERVAL '{literal}' {FieldName(high)} TO {FieldName(low)}; the value in the position of {FieldName(high)} should be more significant than {FieldName(low)}.");
        }
        if (low == DateTimeField.Second && Is(TokenKind.LParen))
        {
            at++;
            precision = ParseInt();
            Expect(TokenKind.RParen);
        }
        return new IntervalValue(literal, high, low, precision) { Span = SpanFrom(start) };
    }

    internal static string FieldName(DateTimeField field) => field.ToString().ToUpperInvariant();

    private DateTimeField? TryField()
    {
        if (Current.Kind != TokenKind.Word)
            return null;
        DateTimeField? field = Current.Text switch
        {
            "millennium" or "millenniums" or "millennia" => DateTimeField.Millennium,
            "century" or "centuries" => DateTimeField.Century,
            "decade" or "decades" => DateTimeField.Decade,
            "year" or "years" => DateTimeField.Year,
            "month" or "months" => DateTimeField.Month,
            "day" or "days" => DateTimeField.Day,
            "hour" or "hours" => DateTimeField.Hour,
            "minute" or "minutes" => DateTimeField.Minute,
            "second" or "seconds" => DateTimeField.Second,
            "millisecond" or "milliseconds" => DateTimeField.Milliseconds,
            "microsecond" or "microseconds" => DateTimeField.Microseconds,
            _ => null,
        };
        if (field is not null)
            at++;
        return field;
    }
}
