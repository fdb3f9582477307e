using System.Net;
using System.Net.Sockets;
using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.Push;

/// <summary>
/// The hub between processes, in environmentd: takes diffs from its own process and from clients, and hands each to all others that follow
/// the shard.
/// </summary>
public sealed class StatePushServer : IStatePush, IAsyncDisposable
{
    private readonly InProcessStatePush _local = new();
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();   // guards the two collections, for look-ups and assignments only
    private readonly Dictionary<ShardId, HashSet<PushConnection>> _followers = [];
    private readonly HashSet<Task> _running = [];
    private readonly Task _accepting;

    private StatePushServer(Socket listener)
    {
        _listener = listener;
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients connect; with the port that was chosen if 0 was asked for.</summary>
    public EndPoint EndPoint => _listener.LocalEndPoint!;

    public bool IsConnected => true;

    /// <summary>Starts to listen on a TCP or Unix domain address.</summary>
    /// <exception cref="DeterminateException">The address cannot be used.</exception>
    public static StatePushServer Listen(EndPoint endPoint)
    {
        var listener = new Socket(endPoint.AddressFamily, SocketType.Stream, endPoint is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            listener.Bind(endPoint);
            listener.Listen();
            return new StatePushServer(listener);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new DeterminateException($"cannot listen on {endPoint} for state diffs: {e.Message}", e);
        }
    }

    public void Publish(ShardId shard, VersionedData diff)
    {
        _local.Publish(shard, diff);
        Forward(shard, diff, from: null);
    }

    public IDisposable Subscribe(ShardId shard, Action<VersionedData> onDiff) => _local.Subscribe(shard, onDiff);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        Task[] running;
        lock (_lock)
            running = [.. _running];
        await Task.WhenAll(running);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync(_stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                if (_stop.IsCancellationRequested)
                    return;
                continue;   // that one client failed, not we
            }

            if (socket.ProtocolType == ProtocolType.Tcp)
                socket.NoDelay = true;
            var serving = ServeAsync(new PushConnection(socket));
            lock (_lock)
                _running.Add(serving);
            _ = serving.ContinueWith(
                done =>
                {
                    lock (_lock)
                        _running.Remove(done);
                }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(PushConnection connection)
    {
        await Task.Yield();
        using var owned = connection;
        var greeted = false;
        await connection.RunAsync(
            frame =>
            {
                switch (frame.Kind)
                {
                    case PushKind.Hello when frame.Data.SeqNo.Value == PushFrames.ProtocolVersion:
                        greeted = true;
                        return true;
                    case PushKind.Subscribe when greeted:
                        Follow(frame.Shard, connection);
                        connection.Send(new PushFrame(PushKind.Subscribed, frame.Shard, default));
                        return true;
                    case PushKind.Unsubscribe when greeted:
                        Unfollow(frame.Shard, connection);
                        return true;
                    case PushKind.Diff when greeted:
                        _local.Publish(frame.Shard, frame.Data);
                        Forward(frame.Shard, frame.Data, connection);
                        return true;
                    default:
                        return false;   // a client of another version, or none of ours
                }
            }, _stop.Token);
        lock (_lock)
        {
            foreach (var shard in _followers.Where(f => f.Value.Contains(connection)).Select(f => f.Key).ToArray())
                UnfollowLocked(shard, connection);
        }
    }

    private void Forward(ShardId shard, VersionedData diff, PushConnection? from)
    {
        PushConnection[] followers;
        lock (_lock)
        {
            if (!_followers.TryGetValue(shard, out var all))
                return;
            followers = [.. all];
        }

        byte[]? encoded = null;
        foreach (var follower in followers)
        {
            if (follower != from)
                follower.Send(encoded ??= PushFrames.Encode(new PushFrame(PushKind.Diff, shard, diff)));
        }
    }

    private void Follow(ShardId shard, PushConnection connection)
    {
        lock (_lock)
        {
            if (!_followers.TryGetValue(shard, out var followers))
                _followers[shard] = followers = [];
            followers.Add(connection);
        }
    }

    private void Unfollow(ShardId shard, PushConnection connection)
    {
        lock (_lock)
            UnfollowLocked(shard, connection);
    }

    private void UnfollowLocked(ShardId shard, PushConnection connection)
    {
        if (_followers.TryGetValue(shard, out var followers) && followers.Remove(connection) && followers.Count == 0)
            _followers.Remove(shard);
    }
}
