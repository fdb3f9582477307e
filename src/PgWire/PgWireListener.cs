using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Materialize.Adapter;
using Microsoft.Extensions.Logging;

namespace Materialize.PgWire;

/// <summary>Accepts Postgres clients on one address and port and runs a <see cref="PgConnection"/> for each.</summary>
/// <remarks>
/// Construct, <see cref="Start"/>, and dispose for a graceful end: no new clients, running statements are cancelled, every
/// client gets FATAL 57P01, and disposal returns when all have gone. Safe to dispose from any thread, once.
/// </remarks>
public sealed class PgWireListener : IAsyncDisposable
{
    /// <summary>Above the limit so many more are let in as far as their startup packet: for cancel requests and a proper refusal.</summary>
    private const int RefusedMax = 64;
    private readonly IAdapterClient _adapter;
    private readonly PgWireOptions _options;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly Socket _socket;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<Task, byte> _connections = new();
    private Task _accepting = Task.CompletedTask;
    private int _open;

    /// <param name="endpoint">Where to listen; port 0 picks a free one, see <see cref="LocalEndpoint"/>.</param>
    public PgWireListener(IPEndPoint endpoint, IAdapterClient adapter, PgWireOptions options, ILogger log, TimeProvider time)
    {
        _adapter = adapter;
        _options = options;
        _log = log;
        _time = time;
        _socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        if (endpoint.AddressFamily == AddressFamily.InterNetworkV6)
            _socket.DualMode = true;
        _socket.Bind(endpoint);
    }

    /// <summary>Where it listens; known from construction on.</summary>
    public IPEndPoint LocalEndpoint => (IPEndPoint)_socket.LocalEndPoint!;

    /// <summary>Clients connected at the moment, refused ones included.</summary>
    public int ConnectionCount => Volatile.Read(ref _open);

    /// <exception cref="SocketException">The address is in use.</exception>
    public void Start()
    {
        _socket.Listen(512);
        Log.Listening(_log, LocalEndpoint.ToString(), _options.IsInternal);
        _accepting = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        var address = LocalEndpoint.ToString();
        await _stopping.CancelAsync();
        _socket.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _stopping.Dispose();
        Log.Stopped(_log, address);
    }

    private async Task AcceptAsync()
    {
        // Off the caller's thread: a burst of clients must not keep Start from returning.
        await Task.Yield();
        while (!_stopping.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _socket.AcceptAsync(_stopping.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                if (_stopping.IsCancellationRequested)
                    return;
                // Out of file descriptors, most likely: those who are here must leave before somebody can come.
                Log.AcceptFailed(_log, e);
                await Task.Delay(TimeSpan.FromMilliseconds(100), _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            if (_open >= _options.ConnectionsMax + RefusedMax)
            {
                client.Dispose();
                continue;
            }

            var task = ServeAsync(client, Interlocked.Increment(ref _open) > _options.ConnectionsMax);
            _connections[task] = 0;
            _ = task.ContinueWith(t => _connections.TryRemove(t, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(Socket client, bool refused)
    {
        var address = "?";
        try
        {
            await Task.Yield();
            address = (client.RemoteEndPoint as IPEndPoint)?.ToString() ?? "?";
            client.NoDelay = true;
            KeepAlive(client);
            var stream = new NetworkStream(client, ownsSocket: true);
            var connection = new PgConnection(
                stream, _adapter, _options, new PgPeer(address, refused), _log, _time, _options.Certificate is null ? null : UpgradeToTlsAsync);
            await connection.RunAsync(_stopping.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // The client went away between accept and the first read.
        }
        catch (Exception e) when (e is not Core.InvariantViolationException)
        {
            Log.ConnectionBroke(_log, e, address);
        }
        finally
        {
            client.Dispose();
            Interlocked.Decrement(ref _open);
        }
    }

    /// <summary>A peer whose machine vanished says nothing: the kernel asks after 60 s of silence, six times, 10 s apart.</summary>
    private static void KeepAlive(Socket client)
    {
        client.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 60);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 6);
    }

    private async ValueTask<Stream> UpgradeToTlsAsync(Stream plain, CancellationToken cancel)
    {
        var tls = new SslStream(plain, leaveInnerStreamOpen: false);
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _options.Certificate }, cancel);
        return tls;
    }
}
