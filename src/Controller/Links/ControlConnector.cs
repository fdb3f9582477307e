using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>Connections to one process over the control protocol.</summary>
public sealed class ControlConnector<TCommand, TResponse>(CommandClient<TCommand, TResponse> client) : IControlConnector<TCommand, TResponse>
    where TCommand : class
    where TResponse : class
{
    public async ValueTask<IControlLink<TCommand, TResponse>> ConnectAsync(CancellationToken cancel) =>
        new Link(await client.ConnectAsync(cancel));

    private sealed class Link : IControlLink<TCommand, TResponse>
    {
        private readonly CommandConnection<TCommand, TResponse> _connection;

        // Commands are small next to what they cause, and a controller must not wait on one replica: the queue has no bound. It is
        // used only while the connection's own is full, so that a command mostly has one thread less to pass through.
        private readonly Channel<TCommand> _queue = Channel.CreateUnbounded<TCommand>(new UnboundedChannelOptions { SingleReader = true });
        private readonly Lock _order = new();   // over _queued, and the order of commands
        private readonly Task _sender;
        private int _queued;

        public Link(CommandConnection<TCommand, TResponse> connection)
        {
            _connection = connection;
            _sender = SendAllAsync();
        }

        public void Send(TCommand command)
        {
            lock (_order)
            {
                if (_queued == 0 && _connection.TrySend(command))
                    return;
                _queued++;
                _queue.Writer.TryWrite(command);
            }
        }

        public async ValueTask<TResponse> ReceiveAsync(CancellationToken cancel) =>
            await _connection.ReceiveAsync(cancel) ?? throw new IOException("the replica has closed the connection");

        public async ValueTask DisposeAsync()
        {
            _queue.Writer.TryComplete();
            await _connection.DisposeAsync();
            await _sender;
        }

        private async Task SendAllAsync()
        {
            try
            {
                await foreach (var command in _queue.Reader.ReadAllAsync(CancellationToken.None))
                {
                    await _connection.SendAsync(command, CancellationToken.None);
                    lock (_order)
                        _queued--;
                }
            }
            catch (IOException)
            {
                // The reader finds out and connects again; what was queued is part of the history.
            }
        }
    }
}
