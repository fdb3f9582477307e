using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Materialize.Slt.Client;
using static Materialize.Slt.Client.Frontend;

namespace Materialize.Slt.Pt;

/// <summary>Messages as .pt files write them: a name, and their content as compact JSON.</summary>
public static class PtMessages
{
    private static readonly JsonSerializerOptions Compact = new() { Encoder = new MinimalEscapes() };

    /// <summary>A line of a <c>send</c> block as bytes.</summary>
    public static byte[] Encode(string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        var type = space < 0 ? line.Trim() : line[..space];
        var json = space < 0 || line[space..].Trim().Length == 0 ? new JsonObject() : JsonNode.Parse(line[space..])!;
        string Text(string name) => (json as JsonObject)?[name]?.GetValue<string>() ?? "";
        switch (type)
        {
            case "Query":
                return Frame('Q', CString(Text("query")));
            case "Parse":
                return Frame('P', CString(Text("name")), CString(Text("query")), Int16(0));
            case "Bind":
                var values = (json["values"]?.AsArray() ?? []).Select(v => Encoding.UTF8.GetBytes(v!.GetValue<string>())).ToList();
                var formats = (json["result_formats"]?.AsArray() ?? []).Select(f => f!.GetValue<int>()).ToList();
                return Frame(
                    'B', CString(Text("portal")), CString(Text("statement")), Int16(0), Int16(values.Count),
                    [.. values.SelectMany(v => (byte[])[.. Int32(v.Length), .. v])], Int16(formats.Count), [.. formats.SelectMany(f => Int16(f))]);
            case "Describe":
                return Frame('D', [(byte)(Text("variant") is { Length: > 0 } v ? v[0] : 'S')], CString(Text("name")));
            case "Execute":
                return Frame('E', CString(Text("portal")), Int32(json["max_rows"]?.GetValue<int>() ?? 0));
            case "Sync":
                return Frame('S');
            case "Flush":
                return Frame('H');
            case "CopyData":
                return Frame('d', Encoding.UTF8.GetBytes(json.GetValue<string>()));
            case "CopyDone":
                return Frame('c');
            case "CopyFail":
                return Frame('f', CString(json.GetValue<string>()));
            default:
                throw new FormatException($"unknown message type {type}");
        }
    }

    /// <summary>Name and JSON of a message from the server.</summary>
    /// <param name="fieldTypes">Which fields of errors and notices are shown.</param>
    public static (string Name, string Json) Show(BackendMessage message, string fieldTypes) => message.Type switch
    {
        'S' => ("ParameterStatus", ""),
        'Z' => ("ReadyForQuery", Json(new { status = message.Text() })),
        'T' => ("RowDescription", Json(new { fields = message.Columns().Select(c => new { name = c.Name }) })),
        'D' => ("DataRow", Json(new { fields = message.Values().Select(v => v is null ? "NULL" : TextOf(v)) })),
        'C' => ("CommandComplete", Json(new { tag = message.Text() })),
        'E' or 'N' => (
            message.Type == 'E' ? "ErrorResponse" : "NoticeResponse",
            Json(new { fields = message.Fields().Where(f => fieldTypes.Contains(f.Key, StringComparison.Ordinal)).Select(f => new { typ = f.Key.ToString(), value = f.Value }) })),
        'G' or 'H' => (message.Type == 'G' ? "CopyIn" : "CopyOut", Json(new { format = FormatName(message.Body[0]), column_formats = ColumnFormats(message.Body) })),
        'd' => ("CopyData", Json(TextOf(message.Body))),
        't' => ("ParameterDescription", Json(new { parameters = Parameters(message.Body) })),
        '1' => ("ParseComplete", ""),
        '2' => ("BindComplete", ""),
        's' => ("PortalSuspended", ""),
        'c' => ("CopyDone", ""),
        'n' => ("NoData", ""),
        'I' => ("EmptyQueryResponse", ""),
        var other => ("UNKNOWN", $"'{other}'"),
    };

    private static string Json<T>(T value) => JsonSerializer.Serialize(value, Compact);

    private static string TextOf(byte[] bytes) => Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : $"[{string.Join(", ", bytes)}]";

    private static string FormatName(int code) => code switch
    {
        0 => "text",
        1 => "binary",
        _ => $"unknown: {code}",
    };

    private static List<string> ColumnFormats(byte[] body) =>
        [.. Enumerable.Range(0, BinaryPrimitives.ReadInt16BigEndian(body.AsSpan(1))).Select(i => FormatName(BinaryPrimitives.ReadInt16BigEndian(body.AsSpan(3 + 2 * i))))];

    private static List<uint> Parameters(byte[] body) =>
        [.. Enumerable.Range(0, BinaryPrimitives.ReadInt16BigEndian(body)).Select(i => BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(2 + 4 * i)))];

    /// <summary>Escapes what JSON demands and nothing more, with small hexadecimal digits, as the expected lines have it.</summary>
    private sealed class MinimalEscapes : JavaScriptEncoder
    {
        public override int MaxOutputCharactersPerInputCharacter => 6;

        public override unsafe int FindFirstCharacterToEncode(char* text, int textLength)
        {
            for (var i = 0; i < textLength; i++)
            {
                if (WillEncode(text[i]))
                    return i;
            }

            return -1;
        }

        public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
        {
            var text = unicodeScalar switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                < 0x20 => $"\\u{unicodeScalar:x4}",
                _ => char.ConvertFromUtf32(unicodeScalar),
            };
            numberOfCharactersWritten = text.Length;
            return text.AsSpan().TryCopyTo(new Span<char>(buffer, bufferLength));
        }

        public override bool WillEncode(int unicodeScalar) => unicodeScalar is < 0x20 or '"' or '\\';
    }
}
