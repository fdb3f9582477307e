using System.Text;

namespace Materialize.Expr.Functions;

/// <summary>LIKE: <c>%</c> any text, <c>_</c> any character, a backslash makes the next character literal.</summary>
internal sealed class LikePattern
{
    private readonly List<Token> _tokens = [];
    private readonly bool _ignoreCase;

    private readonly record struct Token(TokenKind Kind, Rune Rune);

    private enum TokenKind
    {
        Literal,
        One,
        Many,
    }

    /// <exception cref="EvalException">The pattern ends in an escape character, or is too long.</exception>
    public LikePattern(string pattern, bool ignoreCase)
    {
        if (Encoding.UTF8.GetByteCount(pattern) > 8192)
            throw new EvalException(new EvalError("54000", "LIKE pattern exceeds maximum length"));
        _ignoreCase = ignoreCase;
        var escaped = false;
        foreach (var rune in pattern.EnumerateRunes())
        {
            if (escaped)
            {
                _tokens.Add(new Token(TokenKind.Literal, Fold(rune)));
                escaped = false;
            }
            else if (rune.Value == '\\')
            {
                escaped = true;
            }
            else if (rune.Value == '%')
            {
                if (_tokens.Count == 0 || _tokens[^1].Kind != TokenKind.Many)
                    _tokens.Add(new Token(TokenKind.Many, default));
            }
            else
            {
                _tokens.Add(rune.Value == '_' ? new Token(TokenKind.One, default) : new Token(TokenKind.Literal, Fold(rune)));
            }
        }

        if (escaped)
            throw new EvalException(new EvalError("22025", "unterminated escape sequence in LIKE"));
    }

    /// <summary>Greedy with one point to return to: the last <c>%</c>; linear in practice, at worst text × pattern.</summary>
    public bool IsMatch(string text)
    {
        var (token, at) = (0, 0);
        var (starToken, starAt) = (-1, 0);
        while (at < text.Length)
        {
            Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out var length);
            if (token < _tokens.Count && _tokens[token].Kind == TokenKind.Many)
            {
                (starToken, starAt) = (++token, at);
            }
            else if (token < _tokens.Count && (_tokens[token].Kind == TokenKind.One || _tokens[token].Rune == Fold(rune)))
            {
                token++;
                at += length;
            }
            else if (starToken >= 0)
            {
                Rune.DecodeFromUtf16(text.AsSpan(starAt), out _, out var skipped);
                starAt += skipped;
                (token, at) = (starToken, starAt);
            }
            else
            {
                return false;
            }
        }

        while (token < _tokens.Count && _tokens[token].Kind == TokenKind.Many)
            token++;
        return token == _tokens.Count;
    }

    /// <summary>A pattern with another escape character, rewritten to the backslash; an empty one means none.</summary>
    public static string Rewrite(string pattern, string escape)
    {
        var escapes = escape.EnumerateRunes().ToArray();
        if (escapes.Length > 1)
            throw new EvalException(new EvalError("22019", "invalid escape string"));
        var result = new StringBuilder();
        var escaped = false;
        foreach (var rune in pattern.EnumerateRunes())
        {
            if (escaped)
            {
                result.Append('\\').Append(rune);
                escaped = false;
            }
            else if (escapes.Length == 1 && rune == escapes[0])
            {
                escaped = true;
            }
            else
            {
                result.Append(rune.Value == '\\' ? "\\" : "").Append(rune);
            }
        }

        return escaped ? throw new EvalException(new EvalError("22025", "unterminated escape sequence in LIKE")) : result.ToString();
    }

    private Rune Fold(Rune rune) => _ignoreCase ? Rune.ToLowerInvariant(rune) : rune;
}
