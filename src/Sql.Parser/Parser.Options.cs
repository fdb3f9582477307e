using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    private AstList<SqlOption> ParseOptionList(string[] names) => ParenthesizedOrEmpty(() => ParseOption(names));

    private AstList<SqlOption> ParseOptionalWithOptions(string[] names) => Accept("WITH") ? ParseOptionList(names) : [];

    private AstList<SqlOption> ParseOptionalOptionList(string[] names) => Is(TokenKind.LParen) ? ParseOptionList(names) : [];

    private SqlOption ParseOption(string[] names)
    {
        var start = Current.Start;
        var name = ParseOptionName(names);
        var value = ParseOptionalValue(name, names);
        return new SqlOption(name, value) { Span = SpanFrom(start) };
    }

    private string ParseOptionName(string[] names) => ExpectOneOf(names);

    private bool EndsOption() => Current.Kind is TokenKind.Comma or TokenKind.RParen or TokenKind.Semicolon or TokenKind.End || IsWord("FEATURES");

    private OptionValue? ParseOptionalValue(string name, string[] names)
    {
        if (EndsOption())
            return null;
        Accept(TokenKind.Eq);
        var start = Current.Start;
        OptionValue value = name switch
        {
            "RETAIN HISTORY" => ParseRetainHistory(),
            "REFRESH" => ParseRefresh(),
            "SCHEDULE" => ParseSchedule(),
            "WAIT" => ParseWait(),
            "REPLICAS" => new OptionValue.Replicas(ParenthesizedOrEmpty(ParseReplicaDefinition)),
            "RULES" => new OptionValue.NetworkRules(ParenthesizedOrEmpty(ParseNetworkRule)),
            "BROKER" => ParseBroker(),
            "BROKERS" => ParseBrokers(),
            "ELEMENT TYPE" or "KEY TYPE" or "VALUE TYPE" => new OptionValue.Type(ParseDataType()),
            "PARTITION BY" when names == OptionNames.KafkaSink => new OptionValue.Expression(ParseExpr()),
            "AWS PRIVATELINK" => ParsePrivateLink(),
            _ => ParseOptionValue(),
        };
        return value with { Span = SpanFrom(start) };
    }

    private OptionValue ParseOptionValue()
    {
        using var nest = Enter();
        var start = Current.Start;
        switch (Current.Kind)
        {
            case TokenKind.LParen:
                return new OptionValue.Sequence(ParenthesizedOrEmpty(ParseOptionValue)) { Span = SpanFrom(start) };
            case TokenKind.LBracket when !(Ahead(1).IsName && Ahead(2).Is("AS")):
                return ParseBracketedValues();
            case TokenKind.Word when IsWord("ARRAY") && Ahead(1).Kind == TokenKind.LBracket:
                at++;
                return ParseBracketedValues();
            case TokenKind.Word when IsWord("MAP") && Ahead(1).Kind == TokenKind.LBracket:
                return ParseMapValue();
            case TokenKind.Word when IsWord("SECRET") && (Ahead(1).IsName || Ahead(1).Kind == TokenKind.LBracket):
                at++;
                return new OptionValue.Secret(ParseObjectName()) { Span = SpanFrom(start) };
        }
        if (TryParseLiteral() is { } literal)
            return new OptionValue.Literal(literal) { Span = SpanFrom(start) };
        if (!Current.IsName && !Is(TokenKind.LBracket))
            throw Expected("option value");
        var name = Is(TokenKind.LBracket) ? ParseObjectName() : ParseWordName();
        return new OptionValue.Name(name) { Span = SpanFrom(start) };
    }

    /// <summary>A name of any words: <c>ON</c>, <c>OFFSET</c> are values too.</summary>
    private ObjectName ParseWordName()
    {
        var start = Current.Start;
        var parts = new List<Ident> { ParseAnyIdent() };
        while (Accept(TokenKind.Dot))
            parts.Add(ParseAnyIdent());
        return new ObjectName(parts.ToAstList()) { Span = SpanFrom(start) };
    }

    /// <summary>A string, number (with its sign), boolean, NULL, interval or hex literal, or null when there is none.</summary>
    private Expr? TryParseLiteral()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.String or TokenKind.HexString or TokenKind.Number:
            case TokenKind.Word when token.Text is "true" or "false" or "null":
            case TokenKind.Word when token.Text == "interval" && Ahead(1).Kind == TokenKind.String:
                return ParsePrefix();
            case TokenKind.Op when token.Text is "-" or "+" && Ahead(1).Kind == TokenKind.Number:
                at++;
                var digits = Take().Text;
                return new Expr.NumberLiteral(token.Text == "-" ? "-" + digits : digits) { Span = SpanFrom(token.Start) };
            default:
                return null;
        }
    }

    private Expr ParseLiteral() => TryParseLiteral() ?? throw Expected("literal");

    private OptionValue ParseBracketedValues()
    {
        var start = Current.Start;
        Expect(TokenKind.LBracket);
        var items = Is(TokenKind.RBracket) ? [] : CommaSeparated(ParseOptionValue);
        Expect(TokenKind.RBracket);
        return new OptionValue.Sequence(items) { Span = SpanFrom(start) };
    }

    private OptionValue ParseMapValue()
    {
        var start = Take().Start;
        Expect(TokenKind.LBracket);
        var entries = Is(TokenKind.RBracket) ? [] : CommaSeparated(() =>
        {
            var key = ParseString();
            Expect(TokenKind.Arrow);
            return new OptionMapEntry(key, ParseOptionValue());
        });
        Expect(TokenKind.RBracket);
        return new OptionValue.Map(entries) { Span = SpanFrom(start) };
    }

    private OptionValue ParseRetainHistory()
    {
        Expect("FOR");
        return new OptionValue.RetainHistoryFor(ParseLiteral());
    }

    private OptionValue ParseRefresh()
    {
        if (Accept("ON COMMIT"))
            return new OptionValue.RefreshOnCommit();
        if (Accept("AT CREATION"))
            return new OptionValue.RefreshAtCreation();
        if (Accept("AT"))
            return new OptionValue.RefreshAt(ParseExpr());
        if (!Accept("EVERY"))
            throw ExpectedOneOf(["ON COMMIT", "AT CREATION", "AT", "EVERY"]);
        var interval = ParseIntervalValue();
        return new OptionValue.RefreshEvery(interval, Accept("ALIGNED TO") ? ParseExpr() : null);
    }

    private OptionValue ParseSchedule()
    {
        if (ExpectOneOf("MANUAL", "ON REFRESH") == "MANUAL")
            return new OptionValue.ScheduleManual();
        if (!Accept(TokenKind.LParen))
            return new OptionValue.ScheduleOnRefresh(null);
        Expect("HYDRATION TIME ESTIMATE");
        Accept(TokenKind.Eq);
        var start = Current.Start;
        var estimate = new Expr.StringLiteral(ParseString()) { Span = SpanFrom(start) };
        Expect(TokenKind.RParen);
        return new OptionValue.ScheduleOnRefresh(estimate);
    }

    private OptionValue ParseWait()
    {
        if (ExpectOneOf("FOR", "UNTIL READY") == "FOR")
            return new OptionValue.WaitFor(ParseLiteral());
        return new OptionValue.WaitUntilReady(ParseOptionList(OptionNames.WaitUntilReady));
    }

    private ReplicaDefinition ParseReplicaDefinition()
    {
        var start = Current.Start;
        var name = ParseIdent();
        var options = ParseOptionList(OptionNames.Replica);
        return new ReplicaDefinition(name, options) { Span = SpanFrom(start) };
    }

    private NetworkRule ParseNetworkRule()
    {
        var start = Current.Start;
        var name = ParseIdent();
        var options = ParseOptionList(OptionNames.NetworkRule);
        return new NetworkRule(name, options) { Span = SpanFrom(start) };
    }

    private OptionValue ParseBrokers()
    {
        if (Is(TokenKind.LParen))
            return new OptionValue.Sequence(ParenthesizedOrEmpty(ParseBroker));
        if (!Is(TokenKind.LBracket))
            return new OptionValue.Sequence([ParseBroker()]);
        at++;
        var items = Is(TokenKind.RBracket) ? [] : CommaSeparated(ParseBroker);
        Expect(TokenKind.RBracket);
        return new OptionValue.Sequence(items);
    }

    private OptionValue ParseBroker()
    {
        var start = Current.Start;
        var matching = Accept("MATCHING");
        var address = ParseString();
        BrokerTunnel? tunnel = null;
        if (Accept("USING"))
        {
            var from = Current.Start;
            if (ExpectOneOf("SSH TUNNEL", "AWS PRIVATELINK") == "SSH TUNNEL")
            {
                tunnel = new BrokerTunnel.Ssh(ParseObjectName()) { Span = SpanFrom(from) };
            }
            else
            {
                var name = ParseObjectName();
                var options = ParseOptionalOptionList(OptionNames.PrivateLink);
                tunnel = new BrokerTunnel.PrivateLink(name, options) { Span = SpanFrom(from) };
            }
        }
        return new OptionValue.KafkaBroker(address, matching, tunnel) { Span = SpanFrom(start) };
    }

    private OptionValue ParsePrivateLink()
    {
        var name = ParseObjectName();
        return Is(TokenKind.LParen)
            ? new OptionValue.DefaultPrivateLink(name, ParseOptionList(OptionNames.PrivateLink))
            : new OptionValue.Name(name);
    }

    /// <summary>Options whose names are an open set (features, EXPLAIN modifiers): words, then perhaps a value.</summary>
    private AstList<SqlOption> ParseOpenOptions() => ParenthesizedOrEmpty(() =>
    {
        var start = Current.Start;
        var words = new List<string>();
        while (Is(TokenKind.Word) && !(words.Count > 0 && (IsWord("TRUE") || IsWord("FALSE"))))
            words.Add(Take().Text.ToUpperInvariant());
        if (words.Count == 0)
            throw Expected("option name");
        var value = ParseOptionalValue("", []);
        return new SqlOption(string.Join(' ', words), value) { Span = SpanFrom(start) };
    });
}
