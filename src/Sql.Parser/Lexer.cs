using System.Text;

namespace Materialize.Sql.Parser;

/// <summary>
/// Cuts a text into tokens, as Postgres does: the longest operator wins, but it ends before <c>--</c> and <c>/*</c>, and only an operator with one of
/// <c>~ ! @ # % ^ &amp; | ` ?</c> in it may end in <c>+</c> or <c>-</c> (so <c>1*-2</c> is a product). String literals parted only by blanks
/// with a line break are one literal. Comments nest.
/// </summary>
internal sealed class Lexer(string text)
{
    private const string OperatorChars = "+-*/<>=~!@#%^&|`?";
    private const string FreeingChars = "~!@#%^&|`?";
    private const int MaxIdentifierBytes = 255;

    private int pos;

    /// <summary>All tokens; the last is <see cref="TokenKind.End"/>.</summary>
    public List<Token> Tokenize()
    {
        var tokens = new List<Token>(text.Length / 4 + 2);
        while (true)
        {
            SkipBlanks();
            if (pos >= text.Length)
            {
                tokens.Add(new Token(TokenKind.End, "", text.Length, text.Length));
                return tokens;
            }
            tokens.Add(Next());
        }
    }

    private Token Next()
    {
        var start = pos;
        var c = text[pos];
        switch (c)
        {
            case '\'':
                return new Token(TokenKind.String, PlainString(), start, pos);
            case 'e' or 'E' when Peek(1) == '\'':
                pos++;
                return new Token(TokenKind.String, EscapeString(), start, pos);
            case 'x' or 'X' when Peek(1) == '\'':
                pos++;
                return new Token(TokenKind.HexString, PlainString(), start, pos);
            case '"':
                return QuotedIdent();
            case '$':
                return Dollar();
            case '(': return Single(TokenKind.LParen);
            case ')': return Single(TokenKind.RParen);
            case '[': return Single(TokenKind.LBracket);
            case ']': return Single(TokenKind.RBracket);
            case ',': return Single(TokenKind.Comma);
            case ';': return Single(TokenKind.Semicolon);
            case ':':
                if (Peek(1) == ':')
                {
                    pos += 2;
                    return new Token(TokenKind.DoubleColon, "::", start, pos);
                }
                return Single(TokenKind.Colon);
            case '.' when !char.IsAsciiDigit(Peek(1)):
                return Single(TokenKind.Dot);
        }
        if (char.IsAsciiDigit(c) || c == '.')
            return Number();
        if (IsIdentStart(c))
            return Word();
        if (OperatorChars.Contains(c))
            return Operator();
        throw Error($"unexpected character in input: {(char.IsHighSurrogate(c) && pos + 1 < text.Length ? text.Substring(pos, 2) : c)}", pos);
    }

    private Token Single(TokenKind kind)
    {
        pos++;
        return new Token(kind, text[(pos - 1)..pos], pos - 1, pos);
    }

    private char Peek(int ahead) => pos + ahead < text.Length ? text[pos + ahead] : '\0';

    private static bool IsIdentStart(char c) => char.IsAsciiLetter(c) || c == '_' || c >= 0x80;

    private static bool IsIdentPart(char c) => IsIdentStart(c) || char.IsAsciiDigit(c) || c == '$';

    private void SkipBlanks()
    {
        while (pos < text.Length)
        {
            var c = text[pos];
            if (c is ' ' or '\t' or '\n' or '\r' or '\f' or '\v')
                pos++;
            else if (c == '-' && Peek(1) == '-')
                SkipLine();
            else if (c == '/' && Peek(1) == '*')
                SkipBlockComment();
            else
                return;
        }
    }

    private void SkipLine()
    {
        while (pos < text.Length && text[pos] is not ('\n' or '\r'))
            pos++;
    }

    private void SkipBlockComment()
    {
        var start = pos;
        var depth = 0;
        while (pos < text.Length)
        {
            if (text[pos] == '/' && Peek(1) == '*')
            {
                depth++;
                pos += 2;
            }
            else if (text[pos] == '*' && Peek(1) == '/')
            {
                depth--;
                pos += 2;
                if (depth == 0)
                    return;
            }
            else
            {
                pos++;
            }
        }
        throw Error("unterminated multiline comment", start);
    }

    private Token Word()
    {
        var start = pos;
        while (pos < text.Length && IsIdentPart(text[pos]))
            pos++;
        var raw = text.AsSpan(start, pos - start);
        var folded = raw.ContainsAnyInRange('A', 'Z') || raw.ContainsAnyExceptInRange('\0', '\x7f') ? raw.ToString().ToLowerInvariant() : raw.ToString();
        return new Token(TokenKind.Word, Checked(folded, start), start, pos);
    }

    private Token QuotedIdent()
    {
        var start = pos;
        var value = Delimited('"', "unterminated quoted identifier");
        if (value is "." or "..")
            throw Error($"identifier cannot be \"{value}\"", start);
        return new Token(TokenKind.QuotedIdent, Checked(value, start), start, pos);
    }

    private string Checked(string ident, int start) =>
        ident.Length * 3 <= MaxIdentifierBytes || Encoding.UTF8.GetByteCount(ident) <= MaxIdentifierBytes
            ? ident
            : throw Error($"identifier length exceeds {MaxIdentifierBytes} bytes", start);

    /// <summary>From an opening quote to behind the closing one; doubled quotes stand for one.</summary>
    private string Delimited(char quote, string unterminated)
    {
        var start = pos++;
        StringBuilder? built = null;
        var from = pos;
        while (true)
        {
            var at = pos < text.Length ? text.IndexOf(quote, pos) : -1;
            if (at < 0)
                throw Error(unterminated, start);
            pos = at + 1;
            if (Peek(0) != quote || pos >= text.Length)
            {
                return built is null ? text[from..at] : built.Append(text, from, at - from).ToString();
            }
            (built ??= new StringBuilder()).Append(text, from, at - from + 1);
            from = ++pos;
        }
    }

    private string PlainString()
    {
        var value = Delimited('\'', "unterminated quoted string");
        if (!ContinuesAfterLineBreak())
            return value;
        var built = new StringBuilder(value);
        do
            built.Append(Delimited('\'', "unterminated quoted string"));
        while (ContinuesAfterLineBreak());
        return built.ToString();
    }

    /// <summary>True, standing on the next quote, when only blanks with a line break part two literals.</summary>
    private bool ContinuesAfterLineBreak()
    {
        var at = pos;
        var lineBreak = false;
        while (at < text.Length)
        {
            var c = text[at];
            if (c is '\n' or '\r')
                lineBreak = true;
            else if (c is not (' ' or '\t' or '\f' or '\v'))
                break;
            at++;
        }
        if (!lineBreak || at >= text.Length || text[at] != '\'')
            return false;
        pos = at;
        return true;
    }

    private string EscapeString()
    {
        var built = new StringBuilder();
        do
            EscapeSegment(built);
        while (ContinuesAfterLineBreak());
        return built.ToString();
    }

    private void EscapeSegment(StringBuilder built)
    {
        var start = pos++;
        while (true)
        {
            if (pos >= text.Length)
                throw Error("unterminated quoted string", start);
            var c = text[pos++];
            if (c == '\'')
            {
                if (Peek(0) != '\'' || pos >= text.Length)
                    return;
                pos++;
                built.Append('\'');
            }
            else if (c == '\\')
            {
                if (pos >= text.Length)
                    throw Error("unterminated quoted string", start);
                Escape(built);
            }
            else
            {
                built.Append(c);
            }
        }
    }

    private void Escape(StringBuilder built)
    {
        var at = pos - 1;
        var c = text[pos++];
        switch (c)
        {
            case 'b': built.Append('\b'); return;
            case 'f': built.Append('\f'); return;
            case 'n': built.Append('\n'); return;
            case 'r': built.Append('\r'); return;
            case 't': built.Append('\t'); return;
            case 'u' or 'U': Unicode(built, c == 'u' ? 4 : 8, at); return;
            case 'x' when char.IsAsciiHexDigit(Peek(0)):
            case >= '0' and <= '7':
                throw Error("invalid escape sequence: octal and hexadecimal escapes are not supported", at);
            default: built.Append(c); return;
        }
    }

    private void Unicode(StringBuilder built, int digits, int at)
    {
        if (pos + digits > text.Length || !text.AsSpan(pos, digits).ContainsOnlyHex())
            throw Error("invalid unicode escape", at);
        var code = Convert.ToUInt32(text.Substring(pos, digits), 16);
        pos += digits;
        if (code == 0 || !Rune.IsValid(code))
            throw Error("invalid unicode escape", at);
        built.Append(new Rune(code).ToString());
    }

    private Token Dollar()
    {
        var start = pos;
        if (char.IsAsciiDigit(Peek(1)))
        {
            pos++;
            while (char.IsAsciiDigit(Peek(0)))
                pos++;
            var digits = text[(start + 1)..pos];
            if (!int.TryParse(digits, out var n) || n is < 1 or > 65535)
                throw Error("parameter number too large or zero", start);
            return new Token(TokenKind.Parameter, digits, start, pos);
        }
        var at = pos + 1;
        if (at < text.Length && IsIdentStart(text[at]))
            while (at < text.Length && (IsIdentStart(text[at]) || char.IsAsciiDigit(text[at])))
                at++;
        if (at >= text.Length || text[at] != '$')
            throw Error("unexpected character in input: $", start);
        var tag = text[pos..(at + 1)];
        var close = text.IndexOf(tag, at + 1, StringComparison.Ordinal);
        if (close < 0)
            throw Error("unterminated dollar-quoted string", start);
        pos = close + tag.Length;
        return new Token(TokenKind.String, text[(at + 1)..close], start, pos);
    }

    private Token Number()
    {
        var start = pos;
        while (char.IsAsciiDigit(Peek(0)))
            pos++;
        if (Peek(0) == '.' && Peek(1) != '.')
        {
            pos++;
            while (char.IsAsciiDigit(Peek(0)))
                pos++;
        }
        if (Peek(0) is 'e' or 'E')
        {
            var sign = Peek(1) is '+' or '-' ? 1 : 0;
            if (char.IsAsciiDigit(Peek(1 + sign)))
            {
                pos += 1 + sign;
                while (char.IsAsciiDigit(Peek(0)))
                    pos++;
            }
        }
        return new Token(TokenKind.Number, text[start..pos], start, pos);
    }

    private Token Operator()
    {
        var start = pos;
        var end = pos;
        var free = false;
        while (end < text.Length && OperatorChars.Contains(text[end]))
        {
            if (end > start && text[end] == '-' && end + 1 < text.Length && text[end + 1] == '-')
                break;
            if (end > start && text[end] == '/' && end + 1 < text.Length && text[end + 1] == '*')
                break;
            free |= FreeingChars.Contains(text[end]);
            end++;
        }
        if (!free)
            while (end - start > 1 && text[end - 1] is '+' or '-' && end - start > 1)
                end--;
        pos = end;
        var name = text[start..end];
        return name switch
        {
            "*" => new Token(TokenKind.Star, name, start, end),
            "=" => new Token(TokenKind.Eq, name, start, end),
            "=>" => new Token(TokenKind.Arrow, name, start, end),
            "!=" => new Token(TokenKind.Op, "<>", start, end),
            _ => new Token(TokenKind.Op, name, start, end),
        };
    }

    private ParseException Error(string message, int at) => new(message, SourceText.CharacterPosition(text, at));
}

/// <summary>Places in a text.</summary>
internal static class SourceText
{
    /// <summary>The one-based position, in characters (code points), of a UTF-16 offset.</summary>
    public static int CharacterPosition(string text, int offset)
    {
        var position = 1;
        for (var i = 0; i < offset && i < text.Length; i++)
            if (!char.IsLowSurrogate(text[i]))
                position++;
        return position;
    }

    /// <summary>True when every character is a hexadecimal digit.</summary>
    public static bool ContainsOnlyHex(this ReadOnlySpan<char> digits)
    {
        foreach (var c in digits)
            if (!char.IsAsciiHexDigit(c))
                return false;
        return true;
    }
}
