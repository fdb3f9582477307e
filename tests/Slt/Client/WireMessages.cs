using System.Buffers.Binary;
using System.Text;

namespace Materialize.Slt.Client;

/// <summary>The connection broke, or nobody listens. Never what a test expects.</summary>
public sealed class ConnectionLostException(string message) : Exception(message);

/// <summary>The server did not answer in time.</summary>
public sealed class AnswerTimeoutException(string message) : Exception(message);

/// <summary>The server said no.</summary>
public sealed class ServerErrorException(IReadOnlyDictionary<char, string> fields) : Exception(fields.GetValueOrDefault('M', ""))
{
    public bool IsFatal => fields.GetValueOrDefault('S') is "FATAL" or "PANIC";

    /// <summary>What error patterns are matched against.</summary>
    public string FullText
    {
        get
        {
            var text = new StringBuilder($"db error: {fields.GetValueOrDefault('S', "ERROR")}: {fields.GetValueOrDefault('M', "")}");
            if (fields.TryGetValue('D', out var detail))
                text.Append("\nDETAIL: ").Append(detail);
            if (fields.TryGetValue('H', out var hint))
                text.Append("\nHINT: ").Append(hint);
            return text.ToString();
        }
    }

    public static ServerErrorException Of(string message) => new(new Dictionary<char, string> { ['S'] = "ERROR", ['M'] = message });
}

/// <summary>One message from the server.</summary>
public readonly record struct BackendMessage(char Type, byte[] Body)
{
    /// <summary>The fields of an error or a notice, in the server's order.</summary>
    public List<KeyValuePair<char, string>> Fields() =>
        [.. Encoding.UTF8.GetString(Body).Split('\0', StringSplitOptions.RemoveEmptyEntries).Select(f => KeyValuePair.Create(f[0], f[1..]))];

    public ServerErrorException ToException()
    {
        var fields = new Dictionary<char, string>();
        foreach (var (code, value) in Fields())
            fields.TryAdd(code, value);
        return new ServerErrorException(fields);
    }

    /// <summary>Values of a DataRow.</summary>
    public byte[]?[] Values()
    {
        var values = new byte[]?[BinaryPrimitives.ReadInt16BigEndian(Body)];
        var at = 2;
        for (var i = 0; i < values.Length; i++)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(Body.AsSpan(at));
            at += 4;
            if (length < 0)
                continue;
            values[i] = Body.AsSpan(at, length).ToArray();
            at += length;
        }

        return values;
    }

    /// <summary>Names and type oids of a RowDescription.</summary>
    public (string Name, uint Oid)[] Columns()
    {
        var columns = new (string, uint)[BinaryPrimitives.ReadInt16BigEndian(Body)];
        var at = 2;
        for (var i = 0; i < columns.Length; i++)
        {
            var end = Array.IndexOf(Body, (byte)0, at);
            columns[i] = (Encoding.UTF8.GetString(Body, at, end - at), BinaryPrimitives.ReadUInt32BigEndian(Body.AsSpan(end + 7)));
            at = end + 19;
        }

        return columns;
    }

    /// <summary>The text before the first NUL.</summary>
    public string Text() => Encoding.UTF8.GetString(Body).TrimEnd('\0');

    /// <summary>The number a command tag ends in, or 0.</summary>
    public long TagCount() => long.TryParse(Text().Split(' ')[^1], out var count) ? count : 0;
}

/// <summary>Bytes of messages to the server.</summary>
public static class Frontend
{
    public static byte[] Frame(char type, params byte[][] parts)
    {
        var body = parts.SelectMany(p => p).ToArray();
        return [(byte)type, .. Int32(body.Length + 4), .. body];
    }

    public static byte[] CString(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    public static byte[] Int16(int value) => [(byte)(value >> 8), (byte)value];

    public static byte[] Int32(int value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];
}
