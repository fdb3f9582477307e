using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Materialize.Protocol;

/// <summary>
/// Connections within one process, by name. One instance is one network. It is what the in-process orchestrator and tests use:
/// the same bytes as over a socket.
/// </summary>
public sealed class MemoryTransport : ITransport
{
    private readonly ConcurrentDictionary<string, Listener> _listeners = [];

    public ValueTask<TransportConnection> ConnectAsync(TransportAddress address, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var (client, server) = TransportConnection.Pair(address.ToString(), "in-process client");
        if (!_listeners.TryGetValue(Name(address), out var listener) || !listener.Pending.Writer.TryWrite(server))
            throw new IOException($"cannot connect to {address}: nobody listens");
        return ValueTask.FromResult(client);
    }

    public ValueTask<ITransportListener> ListenAsync(TransportAddress address, CancellationToken cancel)
    {
        var listener = new Listener(this, address, Name(address));
        if (!_listeners.TryAdd(Name(address), listener))
            throw new IOException($"cannot listen on {address}: address already in use");
        return ValueTask.FromResult<ITransportListener>(listener);
    }

    private static string Name(TransportAddress address) => address is TransportAddress.Memory memory
        ? memory.Name
        : throw new ArgumentException($"{address} is not an address in memory", nameof(address));

    private sealed class Listener(MemoryTransport network, TransportAddress address, string name) : ITransportListener
    {
        public Channel<TransportConnection> Pending { get; } = Channel.CreateUnbounded<TransportConnection>();

        public TransportAddress Address => address;

        public async ValueTask<TransportConnection?> AcceptAsync(CancellationToken cancel)
        {
            while (await Pending.Reader.WaitToReadAsync(cancel))
            {
                if (Pending.Reader.TryRead(out var connection))
                    return connection;
            }

            return null;
        }

        public async ValueTask DisposeAsync()
        {
            network._listeners.TryRemove(KeyValuePair.Create(name, this));
            Pending.Writer.TryComplete();
            while (Pending.Reader.TryRead(out var connection))
                await connection.DisposeAsync();
        }
    }
}
