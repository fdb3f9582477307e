using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, true);

    private static void AddBytes(Dictionary<string, ScalarImplementation> table)
    {
        table["concat_bytea"] = (a, _, _) => Datum.FromBytes([.. a[0].AsBytes, .. a[1].AsBytes]);
        table["octet_length_bytea"] = (a, _, _) => Int(a[0].AsBytes.Length);
        table["bit_length_bytea"] = (a, _, _) => Int(a[0].AsBytes.Length * 8L);
        table["bit_count"] = (a, _, _) => Int(BitCount(a[0].AsBytes));
        table["convert_from"] = (a, _, _) => Text(Decode(a[0].AsBytes, a[1].AsString));
        table["length_encoded"] = (a, _, _) => Int(DatumText.CharCount(Decode(a[0].AsBytes, a[1].AsString)));
        table["encode"] = (a, _, _) => Text(Encode(a[0].AsBytes, a[1].AsString));
        table["decode"] = (a, _, _) => Datum.FromBytes(DecodeText(a[0].AsString, a[1].AsString));
        table["get_byte"] = (a, _, _) => Int(a[0].AsBytes[Checked(a[1].AsInt64, a[0].AsBytes.Length)]);
        table["get_bit"] = (a, _, _) =>
        {
            var bit = Checked(a[1].AsInt64, a[0].AsBytes.Length * 8L);
            return Int((a[0].AsBytes[bit / 8] >> (bit % 8)) & 1);
        };
        table["constant_time_eq_bytea"] = (a, _, _) => Bool(CryptographicOperations.FixedTimeEquals(a[0].AsBytes, a[1].AsBytes));
        table["constant_time_eq_text"] = (a, _, _) => Bool(CryptographicOperations.FixedTimeEquals(Utf8(a[0]), Utf8(a[1])));
        TextAndBytes("md5", (bytes, _) => Text(Convert.ToHexStringLower(MD5.HashData(bytes))));
        TextAndBytes("crc32", (bytes, _) => Int(Hashes.Crc32(bytes)));
        TextAndBytes("kafka_murmur2", (bytes, _) => Int(Hashes.KafkaMurmur2(bytes)));
        TextAndBytes("seahash", (bytes, _) => Datum.FromUInt64(Hashes.SeaHash(bytes)));
        TextAndBytes("digest", (bytes, a) => Datum.FromBytes(Hashes.Digest(bytes, a[1].AsString)));
        table["hmac_text"] = (a, _, _) => Datum.FromBytes(Hashes.Hmac(Utf8(a[0]), Utf8(a[1]), a[2].AsString));
        table["hmac_bytea"] = (a, _, _) => Datum.FromBytes(Hashes.Hmac(a[0].AsBytes, a[1].AsBytes, a[2].AsString));
        foreach (var name in (string[])["sha224", "sha256", "sha384", "sha512"])
            table[name] = (a, _, _) => Datum.FromBytes(Hashes.Digest(a[0].AsBytes, name));
        table["uuid_generate_v5"] = (a, _, _) => Datum.FromUuid(Hashes.UuidV5(a[0].AsUuid, a[1].AsString));

        void TextAndBytes(string name, BytesFunction f)
        {
            table[$"{name}_text"] = (a, _, _) => f(Utf8(a[0]), a);
            table[$"{name}_bytea"] = (a, _, _) => f(a[0].AsBytes, a);
        }
    }

    private delegate Datum BytesFunction(byte[] bytes, ReadOnlySpan<Datum> args);

    private static byte[] Utf8(Datum text) => Encoding.UTF8.GetBytes(text.AsString);

    private static int Checked(long index, long length) => index >= 0 && index < length
        ? (int)index
        : throw Fail("2202E", string.Create(CultureInfo.InvariantCulture, $"index {index} out of valid range, 0..{length - 1}"));

    private static string Decode(byte[] bytes, string encoding)
    {
        if (encoding.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal).ToUpperInvariant() is not "UTF8")
            throw InvalidParameter($"invalid encoding name '{encoding}'");
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw Fail("22021", $"invalid byte sequence for encoding \"UTF8\": 0x{Convert.ToHexStringLower(e.BytesUnknown ?? [])}");
        }
    }

    private static string Encode(byte[] bytes, string format)
    {
        switch (format.ToLowerInvariant())
        {
            case "hex":
                return Convert.ToHexStringLower(bytes);
            case "escape":
                return ByteText.FormatEscape(bytes);
            case "base64":
                var text = Convert.ToBase64String(bytes);
                var lines = new StringBuilder(text.Length + (text.Length / 76));
                for (var i = 0; i < text.Length; i += 76)
                    lines.Append(i > 0 ? "\n" : "").Append(text, i, Math.Min(76, text.Length - i));
                return lines.ToString();
            default:
                throw InvalidParameter($"invalid encoding name '{format}'");
        }
    }

    private static byte[] DecodeText(string text, string format)
    {
        switch (format.ToLowerInvariant())
        {
            case "hex":
                return ByteText.ParseHex(text, 0);
            case "escape":
                return ByteText.ParseEscape(text);
            case "base64":
                var compact = string.Concat(text.Where(c => !char.IsWhiteSpace(c)));
                try
                {
                    return Convert.FromBase64String(compact);
                }
                catch (FormatException)
                {
                    throw InvalidParameter("invalid base64 end sequence");
                }

            default:
                throw InvalidParameter($"invalid encoding name '{format}'");
        }
    }
}
