using Google.Protobuf;

namespace Materialize.Protocol.Codec;

/// <summary>
/// A codec from a pair of conversions between our records and generated messages. The records are the vocabulary of the
/// program; the generated classes never leave this project.
/// </summary>
/// <param name="isFlat">No message holds an expression or a plan, so that none is nested deeper than protobuf's own limit.</param>
internal sealed class ProtoCodec<T, TMessage>(MessageParser<TMessage> parser, Func<T, TMessage> toWire, Func<TMessage, T> fromWire, bool isFlat = false)
    : IMessageCodec<T>
    where TMessage : class, IMessage<TMessage>
{
    public ReadOnlyMemory<byte> Encode(T message) => toWire(message).ToByteArray();

    public T Decode(ReadOnlyMemory<byte> body)
    {
        try
        {
            // From a span, columns of rows are copied once.
            return fromWire(isFlat ? parser.ParseFrom(body.Span) : ProtoParsing.Parse(parser, body));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ProtocolException($"malformed message: {e.Message}", e);
        }
        catch (InsufficientExecutionStackException e)
        {
            throw new ProtocolException("message is nested too deeply", e);
        }
    }
}

/// <summary>Parsing of messages that may be nested deeply.</summary>
internal static class ProtoParsing
{
    // Protobuf's own limit of 100 is less than a left-deep expression of a machine-written query. Each level takes some
    // hundred bytes of stack in the generated parser, so this is far from the end of a thread's stack.
    private const int RecursionLimit = 3000;

    // A message of so few bytes cannot be nested deeper than the parser's own limit: a level takes two.
    private const int ShallowBytes = 200;

    /// <exception cref="InvalidProtocolBufferException">It is no such message.</exception>
    public static TMessage Parse<TMessage>(MessageParser<TMessage> parser, ReadOnlyMemory<byte> bytes)
        where TMessage : class, IMessage<TMessage> => bytes.Length < ShallowBytes
        ? parser.ParseFrom(bytes.Span)
        : parser.ParseFrom(CodedInputStream.CreateWithLimits(new ReadOnlyMemoryStream(bytes), int.MaxValue, RecursionLimit));
}

/// <summary>Reads memory as a stream, for an API that has limits only on streams.</summary>
internal sealed class ReadOnlyMemoryStream(ReadOnlyMemory<byte> memory) : Stream
{
    private int _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => memory.Length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var count = Math.Min(buffer.Length, memory.Length - _position);
        memory.Span.Slice(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
