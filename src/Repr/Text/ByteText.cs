using System.Text;

namespace Materialize.Repr;

/// <summary>bytea: hex out; hex or escape in.</summary>
public static class ByteText
{
    public static string FormatHex(ReadOnlySpan<byte> bytes) => "\\x" + Convert.ToHexStringLower(bytes);

    /// <summary>Printable ASCII as is, a backslash doubled, other bytes as three octal digits.</summary>
    public static string FormatEscape(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var b in bytes)
        {
            if (b == '\\')
                text.Append("\\\\");
            else if (b is >= 0x80 or 0)
                text.Append('\\').Append((char)('0' + (b >> 6))).Append((char)('0' + ((b >> 3) & 7))).Append((char)('0' + (b & 7)));
            else
                text.Append((char)b);
        }

        return text.ToString();
    }

    /// <exception cref="TextFormatException">Neither form.</exception>
    public static byte[] Parse(string text) => text.StartsWith("\\x", StringComparison.Ordinal) ? ParseHex(text, 2) : ParseEscape(text);

    /// <summary>Hexadecimal digits from <paramref name="start"/> on, white space between pairs allowed.</summary>
    /// <exception cref="TextFormatException">An odd number of digits, or another character.</exception>
    public static byte[] ParseHex(string text, int start)
    {
        var bytes = new List<byte>((text.Length - start) / 2);
        for (var i = start; i < text.Length; i++)
        {
            if (char.IsWhiteSpace(text[i]))
                continue;
            if (!char.IsAsciiHexDigit(text[i]))
                throw Bad($"invalid hexadecimal digit: \"{text[i]}\"");
            if (i + 1 == text.Length)
                throw Bad("invalid hexadecimal data: odd number of digits");
            if (!char.IsAsciiHexDigit(text[i + 1]))
                throw Bad($"invalid hexadecimal digit: \"{text[i + 1]}\"");
            bytes.Add(Convert.ToByte(text.Substring(i, 2), 16));
            i++;
        }

        return [.. bytes];

        static TextFormatException Bad(string why) => new(TextFormatException.InvalidText, why);
    }

    /// <exception cref="TextFormatException">A backslash that is not followed by another or by three octal digits.</exception>
    public static byte[] ParseEscape(string text)
    {
        var source = Encoding.UTF8.GetBytes(text);
        var bytes = new List<byte>(source.Length);
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] != '\\')
            {
                bytes.Add(source[i]);
            }
            else if (i + 1 < source.Length && source[i + 1] == '\\')
            {
                bytes.Add((byte)'\\');
                i++;
            }
            else if (i + 3 < source.Length && source[i + 1] is >= (byte)'0' and <= (byte)'3' && IsOctal(source[i + 2]) && IsOctal(source[i + 3]))
            {
                bytes.Add((byte)(((source[i + 1] - '0') << 6) | ((source[i + 2] - '0') << 3) | (source[i + 3] - '0')));
                i += 3;
            }
            else
            {
                throw new TextFormatException(TextFormatException.InvalidText, "invalid input syntax for type bytea: invalid escape sequence");
            }
        }

        return [.. bytes];

        static bool IsOctal(byte b) => b is >= (byte)'0' and <= (byte)'7';
    }
}
