using Microsoft.Extensions.Logging;

namespace Materialize.Protocol;

/// <summary>
/// Serves one client at a time. A newer connection evicts the older one: the controller that connected last is the one that is
/// alive, and what a dead one has left behind must not keep it out.
/// </summary>
/// <param name="serve">
/// Talks to one client until its connection closes or the token is cancelled. Called for the next client only when the call for
/// the previous one has returned.
/// </param>
public sealed partial class CommandServer<TCommand, TResponse>(
    ITransportListener listener,
    FrameHello hello,
    FrameOptions options,
    IMessageCodec<TCommand> commands,
    IMessageCodec<TResponse> responses,
    Func<CommandConnection<TResponse, TCommand>, CancellationToken, Task> serve,
    TimeProvider time,
    ILogger logger)
    where TCommand : class
    where TResponse : class
{
    private readonly Lock _lock = new();   // Over _current only: handshakes of several clients run at once.
    private Session? _current;

    private sealed record Session(CommandConnection<TResponse, TCommand> Connection, Task Previous, TaskCompletionSource Finished);

    /// <summary>Accepts until the listener is disposed or <paramref name="cancel"/>; ends when every session has ended.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        var sessions = new List<Task>();
        try
        {
            while (await listener.AcceptAsync(cancel) is { } connection)
            {
                sessions.RemoveAll(s => s.IsCompleted);
                sessions.Add(HandleAsync(connection, cancel));
            }
        }
        catch (OperationCanceledException)
        {
            // Shutting down.
        }

        await Task.WhenAll(sessions);
    }

    private async Task HandleAsync(TransportConnection transport, CancellationToken cancel)
    {
        await Task.Yield();
        FrameChannel channel;
        try
        {
            channel = await FrameChannel.OpenAsync(transport, hello, options, time, cancel);
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            LogRefused(hello.Service, transport.Peer, e.Message);
            return;
        }

        await using var connection = new CommandConnection<TResponse, TCommand>(channel, responses, commands);
        var session = Enter(connection);
        await session.Previous;
        try
        {
            LogConnected(hello.Service, transport.Peer);
            await serve(connection, cancel);
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            // The reason is in Closed, or we are shutting down.
        }
        finally
        {
            connection.Close(new CloseReason(CloseKind.Local, "session ended"));
            LogDisconnected(hello.Service, transport.Peer, await connection.Closed);
            session.Finished.SetResult();
        }
    }

    private Session Enter(CommandConnection<TResponse, TCommand> connection)
    {
        Session? previous;
        Session session;
        lock (_lock)
        {
            previous = _current;
            session = new Session(
                connection, previous?.Finished.Task ?? Task.CompletedTask, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            _current = session;
        }

        previous?.Connection.Close(new CloseReason(CloseKind.Evicted, "a newer controller connected"));
        return session;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Service} controller connected from {Peer}")]
    private partial void LogConnected(string service, string peer);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Service} controller at {Peer} disconnected: {Reason}")]
    private partial void LogDisconnected(string service, string peer, CloseReason reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Service} connection from {Peer} refused: {Reason}")]
    private partial void LogRefused(string service, string peer, string reason);
}
