namespace Materialize.Protocol;

/// <summary>One direction of a protocol: messages to frame bodies and back.</summary>
/// <remarks>Stateless, safe to use from many threads.</remarks>
public interface IMessageCodec<T>
{
    /// <summary>The bytes of one frame's body; never empty, because an empty frame is a keep-alive.</summary>
    ReadOnlyMemory<byte> Encode(T message);

    /// <exception cref="ProtocolException">The bytes are not a message of this version.</exception>
    T Decode(ReadOnlyMemory<byte> body);
}

/// <summary>The peer sent what this version does not understand. The connection is closed; the process goes on.</summary>
public sealed class ProtocolException : Exception
{
    public ProtocolException(string message) : base(message)
    {
    }

    public ProtocolException(string message, Exception inner) : base(message, inner)
    {
    }
}
