namespace Materialize.Controller;

/// <summary>A live, ordered connection to one process of a replica.</summary>
public interface IControlLink<TCommand, TResponse> : IAsyncDisposable
{
    /// <summary>Queues a command; order is kept. Never blocks; a broken link drops it, and the reader finds out.</summary>
    void Send(TCommand command);

    /// <summary>The next response; throws an <see cref="IOException"/> once the connection is lost.</summary>
    ValueTask<TResponse> ReceiveAsync(CancellationToken cancel);
}

/// <summary>Makes connections to one process of a replica, again and again as it dies and comes back.</summary>
public interface IControlConnector<TCommand, TResponse>
{
    /// <summary>One attempt. Throws an <see cref="IOException"/> when the process cannot be reached.</summary>
    ValueTask<IControlLink<TCommand, TResponse>> ConnectAsync(CancellationToken cancel);
}
