using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    private Expr.Function Call(string name, AstList<Expr> args, Token spelled, int start)
    {
        var span = new SourceSpan(spelled.Start, spelled.End);
        var function = new ObjectName([new Ident(name) { Span = span }]) { Span = span };
        return new Expr.Function(function, new FunctionArgs.List(args, [])) { Span = SpanFrom(start) };
    }

    /// <summary>A call whose arguments have a grammar of their own, or null for an ordinary one.</summary>
    private Expr? ParseSpecialCall(Token token)
    {
        var start = token.Start;
        switch (token.Text)
        {
            case "cast":
                at += 2;
                var input = ParseExpr();
                Expect("AS");
                var type = ParseDataType();
                Expect(TokenKind.RParen);
                return new Expr.Cast(input, type) { Span = SpanFrom(start) };
            case "exists":
                at += 2;
                var query = ParseQuery();
                Expect(TokenKind.RParen);
                return new Expr.Exists(query) { Span = SpanFrom(start) };
            case "coalesce" or "greatest" or "least":
                at++;
                var kind = token.Text switch
                {
                    "coalesce" => HomogenizingFunction.Coalesce,
                    "greatest" => HomogenizingFunction.Greatest,
                    _ => HomogenizingFunction.Least,
                };
                var args = Parenthesized(ParseExpr);
                return new Expr.Homogenizing(kind, args) { Span = SpanFrom(start) };
            case "nullif":
                at += 2;
                var left = ParseExpr();
                Expect(TokenKind.Comma);
                var right = ParseExpr();
                Expect(TokenKind.RParen);
                return new Expr.NullIf(left, right) { Span = SpanFrom(start) };
            case "extract" when (Ahead(2).IsName || Ahead(2).Kind == TokenKind.String) && Ahead(3).Is("FROM"):
                at += 2;
                var part = Take();
                Expect("FROM");
                var value = ParseExpr();
                Expect(TokenKind.RParen);
                return Call("extract", [new Expr.StringLiteral(part.Text) { Span = new SourceSpan(part.Start, part.End) }, value], token, start);
            case "position":
                at += 2;
                var needle = ParseExpr(Precedence.Like);
                if (!Accept(TokenKind.Comma))
                    Expect("IN");
                var haystack = ParseExpr();
                Expect(TokenKind.RParen);
                return Call("position", [needle, haystack], token, start);
            case "substring":
                return ParseSubstring(token);
            case "trim":
                return ParseTrim(token);
            case "normalize":
                at += 2;
                var normalized = ParseExpr();
                Expr form = new Expr.StringLiteral("NFC");
                if (Accept(TokenKind.Comma))
                {
                    var from = Current.Start;
                    form = Is(TokenKind.String) && Current.Text is "NFC" or "NFD" or "NFKC" or "NFKD"
                        ? ParsePrefix()
                        : new Expr.StringLiteral(ExpectOneOf("NFC", "NFD", "NFKC", "NFKD")) { Span = SpanFrom(from) };
                }
                Expect(TokenKind.RParen);
                return Call("normalize", [normalized, form], token, start);
            default:
                return null;
        }
    }

    private Expr ParseSubstring(Token token)
    {
        at += 2;
        var args = new List<Expr> { ParseExpr() };
        if (Accept("FROM"))
        {
            args.Add(ParseExpr());
            if (Accept("FOR"))
                args.Add(ParseExpr());
        }
        else if (Accept("FOR"))
        {
            args.Add(new Expr.NumberLiteral("1"));
            args.Add(ParseExpr());
            if (Accept("FROM"))
                args[1] = ParseExpr();
        }
        else
        {
            while (Accept(TokenKind.Comma))
                args.Add(ParseExpr());
        }
        Expect(TokenKind.RParen);
        return Call("substring", args.ToAstList(), token, token.Start);
    }

    private Expr ParseTrim(Token token)
    {
        at += 2;
        var side = AcceptOneOf("BOTH", "LEADING", "TRAILING");
        var name = side switch { "LEADING" => "ltrim", "TRAILING" => "rtrim", _ => "btrim" };
        var args = new List<Expr>();
        if (Accept("FROM"))
        {
            args.Add(ParseExpr());
        }
        else
        {
            args.Add(ParseExpr());
            if (Accept("FROM"))
                args.Insert(0, ParseExpr());
        }
        while (Accept(TokenKind.Comma))
            args.Add(ParseExpr());
        Expect(TokenKind.RParen);
        return Call(name, args.ToAstList(), token, token.Start);
    }

    /// <summary>A name: of a column, with a wildcard, or of a function called.</summary>
    private Expr ParseCallOrName()
    {
        var start = Current.Start;
        if (Is(TokenKind.LBracket))
        {
            var resolved = ParseObjectName();
            return ParseFunction(resolved, start);
        }
        var first = TakeIdent();
        var parts = new List<Ident> { first };
        while (Is(TokenKind.Dot))
        {
            at++;
            if (Accept(TokenKind.Star))
                return new Expr.QualifiedWildcard(parts.ToAstList()) { Span = SpanFrom(start) };
            parts.Add(ParseAnyIdent());
        }
        return Is(TokenKind.LParen)
            ? ParseFunction(new ObjectName(parts.ToAstList()) { Span = SpanFrom(start) }, start)
            : new Expr.Identifier(parts.ToAstList()) { Span = SpanFrom(start) };
    }

    private Expr ParseFunction(ObjectName name, int start)
    {
        var (args, distinct) = ParseFunctionArgs();
        if (IsWords("WITHIN GROUP"))
            Unsupported("WITHIN GROUP is", Current.Start);
        Expr? filter = null;
        if (IsWord("FILTER") && Ahead(1).Kind == TokenKind.LParen)
        {
            at += 2;
            Expect("WHERE");
            filter = ParseExpr();
            Expect(TokenKind.RParen);
        }
        var over = ParseOptionalOver();
        return new Expr.Function(name, args, distinct, filter, over) { Span = SpanFrom(start) };
    }

    private (FunctionArgs Args, bool Distinct) ParseFunctionArgs()
    {
        var start = Current.Start;
        Expect(TokenKind.LParen);
        if (Accept(TokenKind.Star))
        {
            Expect(TokenKind.RParen);
            return (new FunctionArgs.Star { Span = SpanFrom(start) }, false);
        }
        if (Accept(TokenKind.RParen))
            return (new FunctionArgs.List([], []) { Span = SpanFrom(start) }, false);
        var distinct = Accept("DISTINCT");
        if (distinct && Accept(TokenKind.RParen))
            return (new FunctionArgs.List([], []) { Span = SpanFrom(start) }, true);
        if (!distinct && IsWord("ALL") && Ahead(1).Kind is not (TokenKind.Comma or TokenKind.RParen or TokenKind.Dot))
            at++;
        var args = CommaSeparated(ParseExpr);
        var orderBy = ParseOptionalOrderBy();
        Expect(TokenKind.RParen);
        return (new FunctionArgs.List(args, orderBy) { Span = SpanFrom(start) }, distinct);
    }

    private WindowSpec? ParseOptionalOver()
    {
        var start = Current.Start;
        var nulls = AcceptOneOf("IGNORE NULLS", "RESPECT NULLS");
        if (nulls is null && !(IsWord("OVER") && Ahead(1).Kind == TokenKind.LParen))
        {
            if (IsWord("OVER") && Ahead(1).Kind == TokenKind.Word)
                Unsupported("named windows are", Current.Start);
            return null;
        }
        if (nulls is not null && (IsWords("IGNORE NULLS") || IsWords("RESPECT NULLS")))
            throw Error("Both IGNORE NULLS and RESPECT NULLS were given.");
        Expect("OVER");
        Expect(TokenKind.LParen);
        var partitionBy = Accept("PARTITION BY") ? CommaSeparated(ParseExpr) : [];
        var orderBy = ParseOptionalOrderBy();
        var frame = ParseOptionalFrame();
        Expect(TokenKind.RParen);
        return new WindowSpec(partitionBy, orderBy, frame, nulls == "IGNORE NULLS", nulls == "RESPECT NULLS") { Span = SpanFrom(start) };
    }

    private WindowFrame? ParseOptionalFrame()
    {
        var from = Current.Start;
        if (AcceptOneOf("ROWS", "RANGE", "GROUPS") is not { } word)
            return null;
        var units = word switch { "ROWS" => WindowFrameUnits.Rows, "RANGE" => WindowFrameUnits.Range, _ => WindowFrameUnits.Groups };
        if (!Accept("BETWEEN"))
            return new WindowFrame(units, ParseFrameBound(), null) { Span = SpanFrom(from) };
        var first = ParseFrameBound();
        Expect("AND");
        var last = ParseFrameBound();
        return new WindowFrame(units, first, last) { Span = SpanFrom(from) };
    }

    private WindowFrameBound ParseFrameBound()
    {
        var start = Current.Start;
        if (Accept("CURRENT ROW"))
            return new WindowFrameBound.CurrentRow { Span = SpanFrom(start) };
        ulong? rows = Accept("UNBOUNDED") ? null : ParseULong();
        return (AcceptOneOf("PRECEDING", "FOLLOWING") ?? throw Expected("PRECEDING or FOLLOWING")) == "PRECEDING"
            ? new WindowFrameBound.Preceding(rows) { Span = SpanFrom(start) }
            : new WindowFrameBound.Following(rows) { Span = SpanFrom(start) };
    }
}
