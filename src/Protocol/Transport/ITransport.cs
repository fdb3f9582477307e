using System.IO.Pipelines;

namespace Materialize.Protocol;

/// <summary>Makes byte connections. What runs over them is the same for sockets and for memory.</summary>
public interface ITransport
{
    /// <exception cref="IOException">Nobody listens there, or the connection failed; worth another try.</exception>
    ValueTask<TransportConnection> ConnectAsync(TransportAddress address, CancellationToken cancel);

    /// <exception cref="IOException">The address cannot be listened on.</exception>
    ValueTask<ITransportListener> ListenAsync(TransportAddress address, CancellationToken cancel);
}

/// <summary>Accepts connections until disposed.</summary>
public interface ITransportListener : IAsyncDisposable
{
    /// <summary>The address to connect to, with the port that the system chose.</summary>
    TransportAddress Address { get; }

    /// <summary>The next connection, or null when the listener was disposed.</summary>
    ValueTask<TransportConnection?> AcceptAsync(CancellationToken cancel);
}

/// <summary>A duplex byte stream. Whoever holds it disposes of it, which aborts both directions.</summary>
public sealed class TransportConnection(PipeReader input, PipeWriter output, string peer, Action abort) : IDuplexPipe, IAsyncDisposable
{
    private int _disposed;

    public PipeReader Input => input;

    public PipeWriter Output => output;

    /// <summary>The other side, for logs.</summary>
    public string Peer => peer;

    /// <summary>A connection over a stream that it then owns.</summary>
    public static TransportConnection FromStream(Stream stream, string peer) => new(
        PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024, leaveOpen: true)),
        PipeWriter.Create(stream, new StreamPipeWriterOptions(minimumBufferSize: 64 * 1024, leaveOpen: true)),
        peer,
        stream.Dispose);

    /// <summary>Two ends of a connection within this process, with back-pressure of 1 MiB each way.</summary>
    public static (TransportConnection A, TransportConnection B) Pair(string peerOfA, string peerOfB)
    {
        // Continuations run on the pool, so that a writer never runs its reader's code on its own stack.
        var options = new PipeOptions(pauseWriterThreshold: 1 << 20, resumeWriterThreshold: 1 << 19, useSynchronizationContext: false);
        var aToB = new Pipe(options);
        var bToA = new Pipe(options);
        return (End(bToA.Reader, aToB.Writer, peerOfA), End(aToB.Reader, bToA.Writer, peerOfB));

        static TransportConnection End(PipeReader reader, PipeWriter writer, string peer) => new(reader, writer, peer, () =>
        {
        });
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            // The stream first: completing a stream's writer would flush it, and a peer that reads nothing would hold us up.
            abort();
            Complete(() => input.Complete());
            Complete(() => output.Complete());
        }

        return ValueTask.CompletedTask;

        static void Complete(Action complete)
        {
            try
            {
                complete();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
            {
                // Whatever was still unsent dies with the connection: disposing is an abort.
            }
        }
    }
}
