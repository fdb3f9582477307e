using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Materialize.Expr.Functions;

/// <summary>Digests and checksums, from their public descriptions.</summary>
internal static class Hashes
{
    private static readonly uint[] CrcTable = BuildCrcTable();

    public static byte[] Digest(ReadOnlySpan<byte> data, string name) => name.ToLowerInvariant() switch
    {
        "md5" => MD5.HashData(data),
        "sha1" => SHA1.HashData(data),
        "sha224" => Sha224(data),
        "sha256" => SHA256.HashData(data),
        "sha384" => SHA384.HashData(data),
        "sha512" => SHA512.HashData(data),
        _ => throw Unknown(name),
    };

    public static byte[] Hmac(byte[] data, byte[] key, string name)
    {
        switch (name.ToLowerInvariant())
        {
            case "md5":
                return HMACMD5.HashData(key, data);
            case "sha1":
                return HMACSHA1.HashData(key, data);
            case "sha256":
                return HMACSHA256.HashData(key, data);
            case "sha384":
                return HMACSHA384.HashData(key, data);
            case "sha512":
                return HMACSHA512.HashData(key, data);
            case "sha224":
                // The construction of RFC 2104, which the BCL does not offer for this digest.
                var block = new byte[64];
                (key.Length > 64 ? Sha224(key) : key).CopyTo(block, 0);
                var inner = Sha224([.. block.Select(b => (byte)(b ^ 0x36)), .. data]);
                return Sha224([.. block.Select(b => (byte)(b ^ 0x5C)), .. inner]);
            default:
                throw Unknown(name);
        }
    }

    public static uint Crc32(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var b in data)
            crc = CrcTable[(byte)(crc ^ b)] ^ (crc >> 8);
        return ~crc;
    }

    /// <summary>The hash by which Kafka's Java client picks a partition, its sign bit cleared.</summary>
    public static int KafkaMurmur2(ReadOnlySpan<byte> data)
    {
        const uint M = 0x5bd1e995;
        var h = 0x9747b28c ^ (uint)data.Length;
        var rest = data;
        while (rest.Length >= 4)
        {
            var k = BinaryPrimitives.ReadUInt32LittleEndian(rest) * M;
            k = (k ^ (k >> 24)) * M;
            h = (h * M) ^ k;
            rest = rest[4..];
        }

        for (var i = rest.Length - 1; i >= 0; i--)
            h ^= (uint)rest[i] << (8 * i);
        if (!rest.IsEmpty)
            h *= M;
        h = (h ^ (h >> 13)) * M;
        return (int)((h ^ (h >> 15)) & 0x7FFF_FFFF);
    }

    public static ulong SeaHash(ReadOnlySpan<byte> data)
    {
        Span<ulong> state = [0x16f11fe89b0d677c, 0xb480a793d8e6c86c, 0x6fe2e5aaf078ebc9, 0x14f994a4c5259381];
        var lane = 0;
        var rest = data;
        Span<byte> word = stackalloc byte[8];
        while (!rest.IsEmpty)
        {
            word.Clear();
            rest[..Math.Min(8, rest.Length)].CopyTo(word);
            state[lane] = Diffuse(state[lane] ^ BinaryPrimitives.ReadUInt64LittleEndian(word));
            lane = (lane + 1) & 3;
            rest = rest[Math.Min(8, rest.Length)..];
        }

        return Diffuse(state[0] ^ state[1] ^ state[2] ^ state[3] ^ (ulong)data.Length);

        static ulong Diffuse(ulong x)
        {
            x *= 0x6eed0e9da4d94a4f;
            x ^= (x >> 32) >> (int)(x >> 60);
            return x * 0x6eed0e9da4d94a4f;
        }
    }

    public static UInt128 UuidV5(UInt128 space, string name)
    {
        var prefix = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(prefix, space);
        var hash = SHA1.HashData([.. prefix, .. Encoding.UTF8.GetBytes(name)]).AsSpan(0, 16);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return BinaryPrimitives.ReadUInt128BigEndian(hash);
    }

    private static EvalException Unknown(string name) => new(new EvalError("22023", $"invalid hash algorithm '{name}'"));

    private static uint[] BuildCrcTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            var c = i;
            for (var k = 0; k < 8; k++)
                c = (c & 1) != 0 ? (c >> 1) ^ 0xEDB88320 : c >> 1;
            table[i] = c;
        }

        return table;
    }

    /// <summary>FIPS 180-4: SHA-256 with other initial values, cut to 28 bytes. Round constants are cube roots of primes.</summary>
    private static byte[] Sha224(ReadOnlySpan<byte> data)
    {
        Span<uint> h = [0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4];
        var padded = new byte[((data.Length + 8) / 64 * 64) + 64];
        data.CopyTo(padded);
        padded[data.Length] = 0x80;
        BinaryPrimitives.WriteUInt64BigEndian(padded.AsSpan(padded.Length - 8), (ulong)data.Length * 8);
        Span<uint> w = stackalloc uint[64];
        for (var block = 0; block < padded.Length; block += 64)
        {
            for (var i = 0; i < 16; i++)
                w[i] = BinaryPrimitives.ReadUInt32BigEndian(padded.AsSpan(block + (4 * i)));
            for (var i = 16; i < 64; i++)
            {
                var s0 = BitOperations.RotateRight(w[i - 15], 7) ^ BitOperations.RotateRight(w[i - 15], 18) ^ (w[i - 15] >> 3);
                var s1 = BitOperations.RotateRight(w[i - 2], 17) ^ BitOperations.RotateRight(w[i - 2], 19) ^ (w[i - 2] >> 10);
                w[i] = w[i - 16] + s0 + w[i - 7] + s1;
            }

            var (a, b, c, d, e, f, g, k) = (h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
            for (var i = 0; i < 64; i++)
            {
                var s1 = BitOperations.RotateRight(e, 6) ^ BitOperations.RotateRight(e, 11) ^ BitOperations.RotateRight(e, 25);
                var t1 = k + s1 + ((e & f) ^ (~e & g)) + RoundConstants[i] + w[i];
                var s0 = BitOperations.RotateRight(a, 2) ^ BitOperations.RotateRight(a, 13) ^ BitOperations.RotateRight(a, 22);
                var t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
                (k, g, f, e, d, c, b, a) = (g, f, e, d + t1, c, b, a, t1 + t2);
            }

            h[0] += a;
            h[1] += b;
            h[2] += c;
            h[3] += d;
            h[4] += e;
            h[5] += f;
            h[6] += g;
            h[7] += k;
        }

        var result = new byte[28];
        for (var i = 0; i < 7; i++)
            BinaryPrimitives.WriteUInt32BigEndian(result.AsSpan(4 * i), h[i]);
        return result;
    }

    private static readonly uint[] RoundConstants = [.. Primes().Take(64).Select(CubeRootFraction)];

    private static IEnumerable<int> Primes()
    {
        for (var n = 2; ; n++)
        {
            if (Enumerable.Range(2, n - 2).TakeWhile(d => d * d <= n).All(d => n % d != 0))
                yield return n;
        }
    }

    /// <summary>The first 32 bits behind the point of the cube root: ⌊∛(p·2^96)⌋ modulo 2^32.</summary>
    private static uint CubeRootFraction(int prime)
    {
        var target = (BigInteger)prime << 96;
        BigInteger low = 0, high = BigInteger.One << 36;
        while (high - low > 1)
        {
            var middle = (low + high) >> 1;
            if (middle * middle * middle <= target)
                low = middle;
            else
                high = middle;
        }

        return (uint)(low & uint.MaxValue);
    }
}
