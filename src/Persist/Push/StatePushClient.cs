using System.Net;
using System.Net.Sockets;
using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.Push;

/// <summary>
/// A process's connection to the hub. Connects in the background and again whenever the connection is lost; while there is none, followers poll.
/// </summary>
public sealed class StatePushClient : IStatePush, IAsyncDisposable
{
    private static readonly TimeSpan s_pauseMin = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_pauseMax = TimeSpan.FromSeconds(1);

    private readonly InProcessStatePush _local = new();
    private readonly EndPoint _server;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private volatile PushConnection? _connection;

    /// <summary>Starts to connect to <paramref name="server"/> (a TCP address, a host name, or a Unix domain address).</summary>
    public StatePushClient(EndPoint server, TimeProvider time)
    {
        _server = server;
        _time = time;
        _running = RunAsync();
    }

    public bool IsConnected => _connection is not null;

    public void Publish(ShardId shard, VersionedData diff)
    {
        _local.Publish(shard, diff);
        _connection?.Send(new PushFrame(PushKind.Diff, shard, diff));
    }

    public IDisposable Subscribe(ShardId shard, Action<VersionedData> onDiff)
    {
        // Subscribing again is harmless; so is doing it once too often when two come at the same time.
        var subscription = _local.Subscribe(shard, onDiff);
        _connection?.Send(new PushFrame(PushKind.Subscribe, shard, default));
        return new Subscription(() =>
        {
            subscription.Dispose();
            if (!_local.HasSubscribers(shard))
                _connection?.Send(new PushFrame(PushKind.Unsubscribe, shard, default));
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        var pause = s_pauseMin;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var socket = await ConnectAsync();
                pause = s_pauseMin;
                using var connection = new PushConnection(socket);
                connection.Send(new PushFrame(PushKind.Hello, default, new VersionedData(new SeqNo(PushFrames.ProtocolVersion), default)));
                // First the connection, then the list: a shard subscribed in between is sent twice rather than never.
                _connection = connection;
                foreach (var shard in _local.Subscribed())
                    connection.Send(new PushFrame(PushKind.Subscribe, shard, default));
                await connection.RunAsync(OnFrame, _stop.Token);
            }
            catch (SocketException)
            {
                // Nobody there (yet).
            }
            catch (OperationCanceledException)
            {
                return;
            }
            finally
            {
                _connection = null;
            }

            // Followers wait for a push that will not come: make them look, which starts their polling.
            foreach (var shard in _local.Subscribed())
                _local.Publish(shard, default);
            try
            {
                await Task.Delay(pause, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            pause = pause * 2 < s_pauseMax ? pause * 2 : s_pauseMax;
        }
    }

    private async ValueTask<Socket> ConnectAsync()
    {
        var socket = _server is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(_server, _stop.Token);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool OnFrame(PushFrame frame)
    {
        switch (frame.Kind)
        {
            case PushKind.Diff:
                _local.Publish(frame.Shard, frame.Data);
                return true;
            case PushKind.Subscribed:
                _local.Publish(frame.Shard, default);   // what came before is for consensus to tell
                return true;
            default:
                return false;
        }
    }
}
