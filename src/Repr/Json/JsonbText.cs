using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Materialize.Repr;

/// <summary>jsonb from and to JSON text.</summary>
public static class JsonbText
{
    private const int MaxDepth = 128;

    /// <exception cref="TextFormatException">Not JSON, too deep, or a number that numeric cannot hold.</exception>
    public static byte[] Parse(string text)
    {
        byte[] utf8;
        try
        {
            utf8 = new UTF8Encoding(false, true).GetBytes(text);
            var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = MaxDepth });
            if (!reader.Read())
                throw Bad(text, "EOF while parsing a value at line 1 column 0");
            var value = Read(ref reader, text);
            if (reader.Read())
                throw Bad(text, "trailing characters");
            return value;
        }
        catch (Exception e) when (e is JsonException or EncoderFallbackException or InvalidOperationException)
        {
            throw Bad(text, e is JsonException json ? Describe(json) : "invalid unicode");
        }
    }

    /// <summary>Compact, <c>{"a":1,"b":[true,null]}</c>.</summary>
    public static string Format(ReadOnlySpan<byte> value)
    {
        var text = new StringBuilder();
        Append(text, new Jsonb(value), -1, 0);
        return text.ToString();
    }

    /// <summary>Indented by two spaces a level.</summary>
    public static string FormatPretty(ReadOnlySpan<byte> value)
    {
        var text = new StringBuilder();
        Append(text, new Jsonb(value), 2, 0);
        return text.ToString();
    }

    private static string Describe(JsonException e) => $"expected JSON at line {(e.LineNumber ?? 0) + 1} column {(e.BytePositionInLine ?? 0) + 1}";

    private static TextFormatException Bad(string text, string why) => TextFormatException.Invalid("jsonb", text, why);

    private static byte[] Read(ref Utf8JsonReader reader, string text)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return JsonbBuilder.Null;
            case JsonTokenType.True or JsonTokenType.False:
                return JsonbBuilder.FromBool(reader.TokenType == JsonTokenType.True);
            case JsonTokenType.String:
                return JsonbBuilder.FromString(reader.GetString()!);
            case JsonTokenType.Number:
                var digits = Encoding.ASCII.GetString(reader.ValueSpan);
                if (!Numeric.TryParse(digits, out var number, out var status) || status != NumericStatus.Ok)
                {
                    throw new TextFormatException(
                        TextFormatException.InvalidText,
                        $"invalid input syntax for type jsonb: \"{digits}\" is out of range for type numeric: exceeds maximum precision {Numeric.MaxDigits} at line 1 column {reader.TokenStartIndex + digits.Length}: \"{text}\"");
                }

                return JsonbBuilder.FromNumber(number);
            case JsonTokenType.StartArray:
                var items = new List<byte[]>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                    items.Add(Read(ref reader, text));
                return JsonbBuilder.FromArray(items);
            default:
                var entries = new List<KeyValuePair<string, byte[]>>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    var key = reader.GetString()!;
                    reader.Read();
                    entries.Add(new(key, Read(ref reader, text)));
                }

                return JsonbBuilder.FromObject(entries);
        }
    }

    private static void Append(StringBuilder text, Jsonb value, int indent, int depth)
    {
        switch (value.Kind)
        {
            case JsonbKind.False:
                text.Append("false");
                break;
            case JsonbKind.True:
                text.Append("true");
                break;
            case JsonbKind.Null:
                text.Append("null");
                break;
            case JsonbKind.Number:
                text.Append(value.Number.ToString());
                break;
            case JsonbKind.String:
                AppendString(text, value.StringValue);
                break;
            default:
                var isObject = value.Kind == JsonbKind.Object;
                text.Append(isObject ? '{' : '[');
                var first = true;
                foreach (var entry in value)
                {
                    if (!first)
                        text.Append(',');
                    first = false;
                    Line(text, indent, depth + 1);
                    if (isObject)
                    {
                        AppendString(text, entry.KeyText);
                        text.Append(indent > 0 ? ": " : ":");
                    }

                    Append(text, entry.Value, indent, depth + 1);
                }

                if (!first)
                    Line(text, indent, depth);
                text.Append(isObject ? '}' : ']');
                break;
        }
    }

    private static void Line(StringBuilder text, int indent, int depth)
    {
        if (indent > 0)
            text.Append('\n').Append(' ', indent * depth);
    }

    private static void AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (var c in value)
        {
            switch (c)
            {
                case '"':
                    text.Append("\\\"");
                    break;
                case '\\':
                    text.Append("\\\\");
                    break;
                case '\n':
                    text.Append("\\n");
                    break;
                case '\r':
                    text.Append("\\r");
                    break;
                case '\t':
                    text.Append("\\t");
                    break;
                case '\b':
                    text.Append("\\b");
                    break;
                case '\f':
                    text.Append("\\f");
                    break;
                case < ' ':
                    text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
                default:
                    text.Append(c);
                    break;
            }
        }

        text.Append('"');
    }
}
