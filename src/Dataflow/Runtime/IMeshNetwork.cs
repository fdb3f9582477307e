using System.IO.Pipelines;

namespace Materialize.Dataflow.Runtime;

/// <summary>How the processes of a replica reach each other, as one of them sees it.</summary>
public interface IMeshNetwork
{
    /// <summary>One attempt to reach a process; the caller owns the link.</summary>
    /// <exception cref="IOException">It does not listen yet, or the attempt failed: worth another.</exception>
    ValueTask<IMeshLink> ConnectAsync(int process, CancellationToken cancel);

    /// <summary>The next link that another made to this process; the caller owns it. One call at a time.</summary>
    /// <exception cref="IOException">Nobody can come any more.</exception>
    ValueTask<IMeshLink> AcceptAsync(CancellationToken cancel);
}

/// <summary>A duplex byte stream between two processes. Disposing, once nobody reads or writes here, ends both directions for the other side.</summary>
public interface IMeshLink : IDuplexPipe, IAsyncDisposable;
