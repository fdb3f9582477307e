using System.Net;
using System.Net.Sockets;

namespace Materialize.Protocol;

/// <summary>TCP and unix-domain sockets.</summary>
public sealed class SocketTransport : ITransport
{
    public async ValueTask<TransportConnection> ConnectAsync(TransportAddress address, CancellationToken cancel)
    {
        var socket = NewSocket(address, AddressFamily.Unspecified);
        try
        {
            if (address is TransportAddress.Tcp tcp)
                await socket.ConnectAsync(tcp.Host, tcp.Port, cancel);
            else
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(((TransportAddress.Unix)address).Path), cancel);
            return Connection(socket, address.ToString());
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"cannot connect to {address}: {e.Message}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async ValueTask<ITransportListener> ListenAsync(TransportAddress address, CancellationToken cancel)
    {
        EndPoint endPoint;
        try
        {
            switch (address)
            {
                case TransportAddress.Tcp tcp:
                    var ip = IPAddress.TryParse(tcp.Host, out var literal) ? literal : (await Dns.GetHostAddressesAsync(tcp.Host, cancel))[0];
                    endPoint = new IPEndPoint(ip, tcp.Port);
                    break;
                case TransportAddress.Unix unix:
                    // A socket file outlives its process; the new owner of the address replaces it.
                    File.Delete(unix.Path);
                    endPoint = new UnixDomainSocketEndPoint(unix.Path);
                    break;
                default:
                    throw new ArgumentException($"{address} is not a socket address", nameof(address));
            }
        }
        catch (SocketException e)
        {
            throw new IOException($"cannot listen on {address}: {e.Message}", e);
        }

        var socket = NewSocket(address, endPoint.AddressFamily);
        try
        {
            if (endPoint is IPEndPoint { Address: var any } && any.Equals(IPAddress.IPv6Any))
                socket.DualMode = true;
            if (address is TransportAddress.Tcp)
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(endPoint);
            socket.Listen(16);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"cannot listen on {address}: {e.Message}", e);
        }

        var bound = address is TransportAddress.Tcp t ? t with { Port = ((IPEndPoint)socket.LocalEndPoint!).Port } : address;
        return new Listener(socket, bound);
    }

    private static Socket NewSocket(TransportAddress address, AddressFamily family) => address switch
    {
        TransportAddress.Unix => new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified),
        TransportAddress.Tcp when family == AddressFamily.Unspecified => new Socket(SocketType.Stream, ProtocolType.Tcp),
        TransportAddress.Tcp => new Socket(family, SocketType.Stream, ProtocolType.Tcp),
        _ => throw new ArgumentException($"{address} is not a socket address", nameof(address)),
    };

    private static TransportConnection Connection(Socket socket, string peer)
    {
        // Commands and frontiers are small and someone waits for each.
        if (socket.ProtocolType == ProtocolType.Tcp)
            socket.NoDelay = true;
        return TransportConnection.FromStream(new NetworkStream(socket, ownsSocket: true), peer);
    }

    private sealed class Listener(Socket socket, TransportAddress address) : ITransportListener
    {
        private volatile bool _disposed;

        public TransportAddress Address => address;

        public async ValueTask<TransportConnection?> AcceptAsync(CancellationToken cancel)
        {
            while (true)
            {
                try
                {
                    var accepted = await socket.AcceptAsync(cancel);
                    return Connection(accepted, accepted.RemoteEndPoint is IPEndPoint remote ? remote.ToString() : address.ToString());
                }
                catch (Exception e) when (_disposed && e is SocketException or ObjectDisposedException)
                {
                    return null;
                }
                catch (SocketException)
                {
                    // The client gave up between connecting and being accepted; the listener itself is well.
                }
            }
        }

        public ValueTask DisposeAsync()
        {
            _disposed = true;
            socket.Dispose();
            if (address is TransportAddress.Unix unix)
                File.Delete(unix.Path);
            return ValueTask.CompletedTask;
        }
    }
}
