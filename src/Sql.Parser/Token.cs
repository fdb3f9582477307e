namespace Materialize.Sql.Parser;

/// <summary>What a token is.</summary>
internal enum TokenKind
{
    Word, QuotedIdent, String, HexString, Number, Parameter, Op, Star, Eq, LParen, RParen, LBracket, RBracket,
    Dot, Comma, Colon, DoubleColon, Semicolon, Arrow, End,
}

/// <summary>A token. <paramref name="Text"/> is the meaning: a word folded to lower case, a string without quotes and escapes, an operator's name.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Start, int End)
{
    /// <summary>True for an unquoted word spelled as <paramref name="keyword"/> (upper case), whatever its case.</summary>
    public bool Is(string keyword) => Kind == TokenKind.Word && Text.Length == keyword.Length && Text.Equals(keyword, StringComparison.OrdinalIgnoreCase);

    public bool IsName => Kind is TokenKind.Word or TokenKind.QuotedIdent;

    /// <summary>The token as an error message names it.</summary>
    public string Describe() => Kind switch
    {
        TokenKind.Word when Keywords.All.Contains(Text) => Text.ToUpperInvariant(),
        TokenKind.Word or TokenKind.QuotedIdent => $"identifier \"{Text}\"",
        TokenKind.String => $"string literal \"{Text}\"",
        TokenKind.HexString => $"hex string literal \"{Text}\"",
        TokenKind.Number => $"number \"{Text}\"",
        TokenKind.Parameter => $"parameter \"${Text}\"",
        TokenKind.Op => $"operator \"{Text}\"",
        TokenKind.Star => "star",
        TokenKind.Eq => "equals sign",
        TokenKind.LParen => "left parenthesis",
        TokenKind.RParen => "right parenthesis",
        TokenKind.LBracket => "left square bracket",
        TokenKind.RBracket => "right square bracket",
        TokenKind.Dot => "dot",
        TokenKind.Comma => "comma",
        TokenKind.Colon => "colon",
        TokenKind.DoubleColon => "double colon",
        TokenKind.Semicolon => "semicolon",
        TokenKind.Arrow => "arrow",
        _ => "EOF",
    };
}
