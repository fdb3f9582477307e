using System.Buffers.Binary;
using System.Text;

namespace Materialize.PgWire;

/// <summary>Reads the fields of one frontend message's body. Every shortfall is a <see cref="WireException"/> with 08P01.</summary>
internal ref struct MessageReader(ReadOnlySpan<byte> body)
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, true);
    private ReadOnlySpan<byte> _rest = body;

    public readonly int Remaining => _rest.Length;

    public byte ReadByte() => Take(1)[0];

    public short ReadInt16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int ReadInt32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public ReadOnlySpan<byte> ReadBytes(int count) => Take(count);

    /// <summary>A NUL-terminated string.</summary>
    public string ReadCString()
    {
        var length = _rest.IndexOf((byte)0);
        if (length < 0)
            throw WireException.Error("08P01", "invalid string in message");
        var text = Decode(_rest[..length]);
        _rest = _rest[(length + 1)..];
        return text;
    }

    /// <summary>Nothing may follow.</summary>
    public readonly void End()
    {
        if (_rest.Length > 0)
            throw WireException.Error("08P01", "invalid message format");
    }

    /// <summary>UTF-8 or 22021.</summary>
    public static string Decode(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException e)
        {
            var bytes = string.Join(" ", (e.BytesUnknown ?? []).Select(b => $"0x{b:x2}"));
            throw WireException.Error("22021", $"invalid byte sequence for encoding \"UTF8\": {bytes}");
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _rest.Length)
            throw WireException.Error("08P01", "insufficient data left in message");
        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
