using System.Text;
using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>Lists <c>{1,{2,3}}</c>, maps <c>{a=&gt;1}</c> and records <c>(1,a,)</c>.</summary>
public static class ContainerText
{
    public static string FormatList(SqlType type, ValueArray<Datum> elements)
    {
        var text = new StringBuilder();
        AppendList(text, type, elements);
        return text.ToString();
    }

    public static string FormatMap(SqlType type, ValueArray<KeyValuePair<string, Datum>> entries)
    {
        var text = new StringBuilder();
        AppendMap(text, type, entries);
        return text.ToString();
    }

    public static string FormatRecord(SqlType type, ValueArray<Datum> fields)
    {
        var text = new StringBuilder("(");
        for (var i = 0; i < fields.Count; i++)
        {
            if (i > 0)
                text.Append(',');
            if (fields[i].IsNull)
                continue;
            var field = DatumText.Format(type.Fields[i].Type.Type, fields[i]);
            if (field.Length > 0 && field.AsSpan().IndexOfAny("(),\"\\ \t\n\r\f\v") < 0)
                text.Append(field);
            else
                text.Append('"').Append(field.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\"\"", StringComparison.Ordinal)).Append('"');
        }

        return text.Append(')').ToString();
    }

    /// <exception cref="TextFormatException">Not a list of this type.</exception>
    public static Datum ParseList(SqlType type, string text)
    {
        var scanner = new Scanner(text, "list");
        var list = List(scanner, type);
        scanner.End();
        return list;
    }

    /// <exception cref="TextFormatException">Not a map of this type.</exception>
    public static Datum ParseMap(SqlType type, string text)
    {
        var scanner = new Scanner(text, "map");
        var map = Map(scanner, type);
        scanner.End();
        return map;
    }

    /// <exception cref="TextFormatException">Not a record of this type.</exception>
    public static Datum ParseRecord(SqlType type, string text)
    {
        var body = text.Trim();
        if (body.Length < 2 || body[0] != '(' || body[^1] != ')')
            throw TextFormatException.Invalid("record", text, "Missing left or right parenthesis.");
        var fields = new List<string?>();
        var word = new StringBuilder();
        var (quoted, any) = (false, false);
        for (var i = 1; i < body.Length - 1; i++)
        {
            var c = body[i];
            if (c == '\\' && i + 1 < body.Length - 1)
            {
                word.Append(body[++i]);
                any = true;
            }
            else if (c == '"')
            {
                if (quoted && body[i + 1] == '"')
                    word.Append(body[i++]);
                else
                    quoted = !quoted;
                any = true;
            }
            else if (c == ',' && !quoted)
            {
                fields.Add(any ? word.ToString() : null);
                word.Clear();
                any = false;
            }
            else
            {
                word.Append(c);
                any = true;
            }
        }

        if (type.Fields.Count > 0)
            fields.Add(any ? word.ToString() : null);
        if (quoted || fields.Count != type.Fields.Count)
            throw TextFormatException.Invalid("record", text, fields.Count < type.Fields.Count ? "Too few columns." : "Too many columns.");
        return Datum.FromList([.. fields.Select((f, i) => f is null ? Datum.Null : DatumText.Parse(type.Fields[i].Type.Type, f))]);
    }

    /// <summary>An entry of an array or list, in quotes if it needs them.</summary>
    internal static void AppendElement(StringBuilder text, SqlType type, Datum value, string special)
    {
        if (value.IsNull)
        {
            text.Append("NULL");
            return;
        }

        var element = DatumText.Format(type, value);
        if (element.Length > 0 && element.AsSpan().IndexOfAny(special) < 0 && element.AsSpan().IndexOfAny(" \t\n\r\f\v") < 0
            && !element.Equals("null", StringComparison.OrdinalIgnoreCase))
        {
            text.Append(element);
            return;
        }

        text.Append('"').Append(element.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)).Append('"');
    }

    private static void AppendList(StringBuilder text, SqlType type, ValueArray<Datum> elements)
    {
        text.Append('{');
        for (var i = 0; i < elements.Count; i++)
        {
            if (i > 0)
                text.Append(',');
            AppendNested(text, type.Element!, elements[i], "{},\"\\");
        }

        text.Append('}');
    }

    private static void AppendMap(StringBuilder text, SqlType type, ValueArray<KeyValuePair<string, Datum>> entries)
    {
        text.Append('{');
        for (var i = 0; i < entries.Count; i++)
        {
            if (i > 0)
                text.Append(',');
            AppendElement(text, SqlType.String, Datum.FromString(entries[i].Key), "{},\"\\=>");
            text.Append("=>");
            AppendNested(text, type.Element!, entries[i].Value, "{},\"\\=>");
        }

        text.Append('}');
    }

    private static void AppendNested(StringBuilder text, SqlType type, Datum value, string special)
    {
        if (!value.IsNull && type.Kind == ScalarKind.List)
            AppendList(text, type, value.AsList);
        else if (!value.IsNull && type.Kind == ScalarKind.Map)
            AppendMap(text, type, value.AsMap);
        else
            AppendElement(text, type, value, special);
    }

    private static Datum List(Scanner scanner, SqlType type)
    {
        scanner.Expect('{');
        var elements = new List<Datum>();
        scanner.Space();
        while (!scanner.Take('}'))
        {
            if (elements.Count > 0)
                scanner.Expect(',');
            elements.Add(Value(scanner, type.Element!));
            scanner.Space();
        }

        return Datum.FromList(elements.ToValueArray());
    }

    private static Datum Map(Scanner scanner, SqlType type)
    {
        scanner.Expect('{');
        var entries = new SortedDictionary<string, Datum>(TextOrder.Instance);
        scanner.Space();
        var first = true;
        while (!scanner.Take('}'))
        {
            if (!first)
                scanner.Expect(',');
            first = false;
            scanner.Space();
            var key = scanner.Word("=,{}", out _);
            scanner.Expect('=');
            scanner.Expect('>');
            entries[key] = Value(scanner, type.Element!);
            scanner.Space();
        }

        return Datum.FromMap(entries.ToValueArray());
    }

    private static Datum Value(Scanner scanner, SqlType type)
    {
        scanner.Space();
        if (scanner.Peek == '{' && type.Kind is ScalarKind.List or ScalarKind.Map && scanner.Peek == '{')
            return type.Kind == ScalarKind.List ? List(scanner, type) : Map(scanner, type);
        var word = scanner.Word(",{}", out var quoted);
        return !quoted && word.Equals("null", StringComparison.OrdinalIgnoreCase) ? Datum.Null : DatumText.Parse(type, word);
    }

    /// <summary>Keys in the order of their UTF-8 bytes.</summary>
    public sealed class TextOrder : IComparer<string>
    {
        public static readonly TextOrder Instance = new();

        public int Compare(string? x, string? y) => DatumOrder.CompareText(x!, y!);
    }

    private sealed class Scanner(string text, string type)
    {
        private int _at;

        public char Peek => _at < text.Length ? text[_at] : '\0';

        public void Space()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at]))
                _at++;
        }

        public bool Take(char c)
        {
            Space();
            if (Peek != c || _at >= text.Length)
                return false;
            _at++;
            return true;
        }

        public void Expect(char c)
        {
            if (!Take(c))
                throw Bad(_at < text.Length ? $"expected '{c}', found {Peek}" : $"expected '{c}', found end of string");
        }

        public void End()
        {
            Space();
            if (_at < text.Length)
                throw Bad($"malformed literal; contains '{Peek}' after terminal '}}'");
        }

        /// <summary>A word in quotes, or one up to a character of <paramref name="stop"/>, without the spaces behind it.</summary>
        public string Word(string stop, out bool quoted)
        {
            var word = new StringBuilder();
            quoted = Peek == '"';
            if (quoted)
            {
                _at++;
                while (true)
                {
                    if (_at >= text.Length)
                        throw Bad("unterminated quoted string");
                    var c = text[_at++];
                    if (c == '"')
                        return word.ToString();
                    if (c == '\\')
                        c = _at < text.Length ? text[_at++] : throw Bad("unterminated escape");
                    word.Append(c);
                }
            }

            while (_at < text.Length && !stop.Contains(text[_at]))
            {
                var c = text[_at++];
                if (c == '"')
                    throw Bad("unexpected quotation mark");
                if (c == '\\')
                    c = _at < text.Length ? text[_at++] : throw Bad("unterminated escape");
                word.Append(c);
            }

            var result = word.ToString().TrimEnd();
            if (result.Length == 0)
                throw Bad(_at < text.Length ? $"unexpected '{Peek}'" : "unexpected end of string");
            return result;
        }

        private TextFormatException Bad(string why) => TextFormatException.Invalid(type, text, why);
    }
}
