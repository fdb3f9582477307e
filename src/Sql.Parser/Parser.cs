using System.Diagnostics.CodeAnalysis;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

/// <summary>
/// Recursive descent over the tokens of one text, one method a rule, Pratt's method for operators. It never backtracks: where a rule
/// cannot be told by its first token the parser looks ahead over tokens without building anything, so time is linear in the text but for
/// a factor of the nesting depth, which is bounded. Two bounds keep both the parser's stack and that of whoever walks the tree:
/// <see cref="MaxNesting"/> for what nests in the text, <see cref="MaxHeight"/> for the left spine that a long chain of operators grows.
/// </summary>
internal sealed partial class Parser
{
    internal const int MaxNesting = 128;
    internal const int MaxHeight = 1000;

    private readonly string text;
    private readonly List<Token> tokens;
    private int at;
    private int nesting;

    public Parser(string text)
    {
        this.text = text;
        tokens = new Lexer(text).Tokenize();
    }

    private Token Current => tokens[at];

    private Token Ahead(int n) => tokens[Math.Min(at + n, tokens.Count - 1)];

    private int PreviousEnd => at == 0 ? 0 : tokens[at - 1].End;

    private SourceSpan SpanFrom(int start) => new(start, Math.Max(start, PreviousEnd));

    private Token Take()
    {
        var token = tokens[at];
        if (token.Kind != TokenKind.End)
            at++;
        return token;
    }

    private bool Is(TokenKind kind) => Current.Kind == kind;

    private bool Accept(TokenKind kind)
    {
        if (Current.Kind != kind)
            return false;
        at++;
        return true;
    }

    private void Expect(TokenKind kind)
    {
        if (!Accept(kind))
            throw Expected(new Token(kind, "", 0, 0).Describe());
    }

    /// <summary>True when the next tokens are these words (upper case, parted by one space).</summary>
    private bool IsWords(string words, int from = 0)
    {
        var rest = words.AsSpan();
        for (var i = from; ; i++)
        {
            var space = rest.IndexOf(' ');
            var word = space < 0 ? rest : rest[..space];
            var token = Ahead(i);
            if (token.Kind != TokenKind.Word || !word.Equals(token.Text, StringComparison.OrdinalIgnoreCase))
                return false;
            if (space < 0)
                return true;
            rest = rest[(space + 1)..];
        }
    }

    private bool IsWord(string word) => Current.Is(word);

    private bool Accept(string words)
    {
        if (!IsWords(words))
            return false;
        at += 1 + words.AsSpan().Count(' ');
        return true;
    }

    private void Expect(string words)
    {
        foreach (var word in words.Split(' '))
            if (!Accept(word))
                throw Expected(word);
    }

    /// <summary>Takes one of the alternatives (each some words) and returns it.</summary>
    private string ExpectOneOf(params ReadOnlySpan<string> alternatives) => AcceptOneOf(alternatives) ?? throw ExpectedOneOf(alternatives);

    private string? AcceptOneOf(params ReadOnlySpan<string> alternatives)
    {
        foreach (var alternative in alternatives)
            if (Accept(alternative))
                return alternative;
        return null;
    }

    private ParseException Expected(string what) => Error($"Expected {what}, found {Current.Describe()}");

    /// <summary>Of alternatives that begin alike the first word is named once.</summary>
    private ParseException ExpectedOneOf(ReadOnlySpan<string> alternatives)
    {
        var words = new List<string>();
        foreach (var alternative in alternatives)
            if (alternative.Split(' ')[0] is var word && !words.Contains(word))
                words.Add(word);
        return Expected(words.Count == 1 ? words[0] : $"one of {string.Join(" or ", words)}");
    }

    private ParseException Error(string message) => ErrorAt(Current.Start, message);

    private ParseException ErrorAt(int offset, string message, string? hint = null) =>
        new(message, SourceText.CharacterPosition(text, offset)) { Hint = hint };

    private ParseException TooDeep() => new(
        $"statement exceeds nested expression limit of {MaxNesting}", SourceText.CharacterPosition(text, Current.Start), ParseException.StatementTooComplex);

    private Nest Enter()
    {
        if (++nesting > MaxNesting)
            throw TooDeep();
        return new Nest(this);
    }

    /// <summary>One level of nesting, left when disposed.</summary>
    private readonly ref struct Nest(Parser parser) : IDisposable
    {
        public void Dispose() => parser.nesting--;
    }

    // Lists.

    private AstList<T> CommaSeparated<T>(Func<T> item)
    {
        var items = new List<T>();
        do
            items.Add(item());
        while (Accept(TokenKind.Comma));
        return items.ToAstList();
    }

    private AstList<T> Parenthesized<T>(Func<T> item)
    {
        Expect(TokenKind.LParen);
        var items = CommaSeparated(item);
        Expect(TokenKind.RParen);
        return items;
    }

    private AstList<T> ParenthesizedOrEmpty<T>(Func<T> item)
    {
        Expect(TokenKind.LParen);
        if (Accept(TokenKind.RParen))
            return [];
        var items = CommaSeparated(item);
        Expect(TokenKind.RParen);
        return items;
    }

    // Names.

    /// <summary>A name; unquoted keywords pass but for the few that are always reserved.</summary>
    private Ident ParseIdent()
    {
        var token = Current;
        if (token.Kind == TokenKind.QuotedIdent || (token.Kind == TokenKind.Word && !Keywords.Always.Contains(token.Text)))
            return TakeIdent();
        throw Expected("identifier");
    }

    /// <summary>A name where any word is meant as a name: after AS, after a dot.</summary>
    private Ident ParseAnyIdent() => Current.IsName ? TakeIdent() : throw Expected("identifier");

    private Ident TakeIdent()
    {
        var token = Take();
        if (token.Text.Length == 0)
            throw ErrorAt(token.Start, "zero-length delimited identifier");
        return new Ident(token.Text) { Span = new SourceSpan(token.Start, token.End) };
    }

    private AstList<Ident> ParseColumnNames() => Parenthesized(ParseIdent);

    private AstList<Ident> ParseOptionalColumnNames() => Is(TokenKind.LParen) ? ParseColumnNames() : [];

    private ObjectName ParseObjectName()
    {
        var start = Current.Start;
        if (Accept(TokenKind.LBracket))
        {
            var id = ParseAnyIdent().Value;
            Expect("AS");
            var resolved = ParseDotted();
            int? version = Accept("VERSION") ? ParseInt() : null;
            Expect(TokenKind.RBracket);
            return new ObjectName(resolved, id, version) { Span = SpanFrom(start) };
        }
        var parts = ParseDotted();
        return new ObjectName(parts) { Span = SpanFrom(start) };
    }

    private AstList<Ident> ParseDotted()
    {
        var first = ParseIdent();
        if (!Is(TokenKind.Dot))
            return [first];
        var parts = new List<Ident> { first };
        while (Accept(TokenKind.Dot))
            parts.Add(ParseAnyIdent());
        return parts.ToAstList();
    }

    private ClusterName ParseClusterName()
    {
        var start = Current.Start;
        if (Accept(TokenKind.LBracket))
        {
            var id = ParseAnyIdent().Value;
            Expect(TokenKind.RBracket);
            return new ClusterName(null, id) { Span = SpanFrom(start) };
        }
        return new ClusterName(ParseIdent(), null) { Span = SpanFrom(start) };
    }

    private ClusterName? ParseOptionalInCluster() => Accept("IN CLUSTER") ? ParseClusterName() : null;

    private ReplicaName ParseReplicaName()
    {
        var start = Current.Start;
        var cluster = ParseIdent();
        Expect(TokenKind.Dot);
        return new ReplicaName(cluster, ParseAnyIdent()) { Span = SpanFrom(start) };
    }

    private RoleName ParseRoleName()
    {
        var start = Current.Start;
        return Accept("PUBLIC") ? new RoleName((Ident?)null) { Span = SpanFrom(start) } : new RoleName(ParseIdent()) { Span = SpanFrom(start) };
    }

    private bool ParseIfExists() => Accept("IF EXISTS");

    private bool ParseIfNotExists() => Accept("IF NOT EXISTS");

    // Literals as such.

    private string ParseString() => Is(TokenKind.String) ? Take().Text : throw Expected("literal string");

    private int ParseInt()
    {
        if (Is(TokenKind.Number) && int.TryParse(Current.Text, out var value))
        {
            at++;
            return value;
        }
        throw Expected("literal integer");
    }

    private ulong ParseULong()
    {
        if (Is(TokenKind.Number) && ulong.TryParse(Current.Text, out var value))
        {
            at++;
            return value;
        }
        throw Expected("literal unsigned integer");
    }

    /// <summary>Throws unless the text ends here.</summary>
    public void ExpectEnd()
    {
        if (!Is(TokenKind.End))
            throw Expected("end of statement");
    }

    [DoesNotReturn]
    private void Unsupported(string what, int offset, string? hint = null) =>
        throw new ParseException($"{what} not yet supported", SourceText.CharacterPosition(text, offset), ParseException.FeatureNotSupported) { Hint = hint };
}
