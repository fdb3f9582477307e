using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    /// <summary>A type with its array and list suffixes.</summary>
    public DataType ParseDataType()
    {
        using var nest = Enter();
        var start = Current.Start;
        DataType type;
        if (IsWord("MAP") && Ahead(1).Kind == TokenKind.LBracket)
        {
            at += 2;
            var key = ParseDataType();
            Expect(TokenKind.Arrow);
            var value = ParseDataType();
            Expect(TokenKind.RBracket);
            type = new DataType.Map(key, value) { Span = SpanFrom(start) };
        }
        else
        {
            type = ParseNamedType(start);
        }
        var suffixes = 0;
        while (true)
        {
            if (Accept("LIST"))
            {
                if (++suffixes > MaxNesting)
                    throw TooDeep();
                type = new DataType.List(type) { Span = SpanFrom(start) };
            }
            else if (Is(TokenKind.LBracket) && (Ahead(1).Kind == TokenKind.RBracket || (Ahead(1).Kind == TokenKind.Number && Ahead(2).Kind == TokenKind.RBracket)))
            {
                at += Ahead(1).Kind == TokenKind.RBracket ? 2 : 3;
                // Further dimensions say nothing: int[] and int[3][] are one type.
                if (type is not DataType.Array)
                    type = new DataType.Array(type) { Span = SpanFrom(start) };
            }
            else
            {
                return type;
            }
        }
    }

    private DataType ParseNamedType(int start)
    {
        if (!Current.IsName && !Is(TokenKind.LBracket))
            throw Expected("a data type name");
        if (Current.Kind == TokenKind.Word && Ahead(1).Kind != TokenKind.Dot)
        {
            switch (Current.Text)
            {
                case "char" or "character":
                    at++;
                    if (Accept("VARYING"))
                        return Modified("varchar", start);
                    var modifiers = ParseModifiers();
                    return Type("bpchar", modifiers.Count == 0 ? [1] : modifiers, start);
                case "bpchar" or "varchar":
                    return Modified(Take().Text, start);
                case "string":
                    return Plain("text", start);
                case "bigint":
                    return Plain("int8", start);
                case "smallint":
                    return Plain("int2", start);
                case "int" or "integer":
                    return Plain("int4", start);
                case "dec" or "decimal":
                    at++;
                    return Modified("numeric", start);
                case "double":
                    at++;
                    Accept("PRECISION");
                    return Type("float8", [], start);
                case "real":
                    return Plain("float4", start);
                case "float":
                    return ParseFloat(start);
                case "boolean":
                    return Plain("bool", start);
                case "bytes":
                    return Plain("bytea", start);
                case "json":
                    return Plain("jsonb", start);
                case "time" or "timestamp":
                    return ParseTime(start);
                case "timestamptz":
                    at++;
                    return Modified("timestamptz", start);
            }
        }
        var name = ParseObjectName();
        var mods = ParseModifiers();
        return new DataType.Named(name, mods) { Span = SpanFrom(start) };
    }

    private DataType Plain(string name, int start)
    {
        at++;
        return Type(name, [], start);
    }

    private DataType Modified(string name, int start) => Type(name, ParseModifiers(), start);

    private DataType Type(string name, AstList<long> modifiers, int start)
    {
        var span = SpanFrom(start);
        return new DataType.Named(new ObjectName([new Ident(name) { Span = span }]) { Span = span }, modifiers) { Span = span };
    }

    private DataType ParseFloat(int start)
    {
        at++;
        var modifiers = ParseModifiers();
        if (modifiers.Count == 0)
            return Type("float8", [], start);
        return modifiers[0] switch
        {
            < 1 => throw ErrorAt(start, "precision for type float must be within ([1-53])"),
            < 25 => Type("float4", [], start),
            < 54 => Type("float8", [], start),
            _ => throw ErrorAt(start, "precision for type float must be within ([1-53])"),
        };
    }

    private DataType ParseTime(int start)
    {
        var name = Take().Text;
        var modifiers = ParseModifiers();
        if (Accept("WITH TIME ZONE"))
            name += "tz";
        else
            Accept("WITHOUT TIME ZONE");
        if (name == "timetz")
            Unsupported("TIME WITH TIME ZONE is", start);
        return Type(name, modifiers, start);
    }

    private AstList<long> ParseModifiers() => Is(TokenKind.LParen)
        ? Parenthesized(() =>
        {
            var negative = Is(TokenKind.Op) && Current.Text == "-";
            if (negative)
                at++;
            if (!Is(TokenKind.Number) || !long.TryParse(Current.Text, out var value))
                throw Expected("literal integer");
            at++;
            return negative ? -value : value;
        })
        : [];

    /// <summary>True when the tokens from here read <c>type 'string'</c>. Looks only.</summary>
    private bool LooksLikeTypedLiteral()
    {
        if (!Current.IsName || Keywords.InExpr.Contains(Current.Text) && Current.Kind == TokenKind.Word)
            return false;
        var i = 1;
        if (IsWord("MAP") && Ahead(1).Kind == TokenKind.LBracket)
        {
            var open = 1;
            i = 2;
            while (open > 0 && Ahead(i).Kind is not (TokenKind.End or TokenKind.Semicolon or TokenKind.String or TokenKind.LParen))
                open += Ahead(i++).Kind switch { TokenKind.LBracket => 1, TokenKind.RBracket => -1, _ => 0 };
            if (open > 0)
                return false;
        }
        while (Ahead(i).Kind == TokenKind.Dot && Ahead(i + 1).IsName)
            i += 2;
        if (Ahead(i).Is("PRECISION") || Ahead(i).Is("VARYING"))
            i++;
        if (Ahead(i).Kind == TokenKind.LParen)
        {
            do
            {
                if (Ahead(++i) is { Kind: TokenKind.Op, Text: "-" })
                    i++;
                if (Ahead(i).Kind != TokenKind.Number || !long.TryParse(Ahead(i).Text, out _))
                    return false;
                i++;
            }
            while (Ahead(i).Kind == TokenKind.Comma);
            if (Ahead(i).Kind != TokenKind.RParen)
                return false;
            i++;
        }
        if ((Ahead(i).Is("WITH") || Ahead(i).Is("WITHOUT")) && Ahead(i + 1).Is("TIME") && Ahead(i + 2).Is("ZONE"))
            i += 3;
        while (true)
        {
            if (Ahead(i).Is("LIST"))
                i++;
            else if (Ahead(i).Kind == TokenKind.LBracket && Ahead(i + 1).Kind == TokenKind.RBracket)
                i += 2;
            else
                break;
        }
        return Ahead(i).Kind == TokenKind.String;
    }
}
