using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;

namespace Materialize.Persist.Tests.Push;

public sealed class PushTests
{
    private readonly ShardId _shard = ShardId.New();

    private static VersionedData Entry(ulong seqNo) => new(new SeqNo(seqNo), new byte[] { (byte)seqNo });

    private static ChannelReader<ulong> Follow(IStatePush push, ShardId shard)
    {
        var seen = Channel.CreateUnbounded<ulong>();
        push.Subscribe(shard, diff => seen.Writer.TryWrite(diff.SeqNo.Value));
        return seen.Reader;
    }

    /// <summary>The next that is not the "look again" of a new connection.</summary>
    private static async Task<ulong> Next(ChannelReader<ulong> seen)
    {
        while (true)
        {
            if (await seen.ReadAsync(T.Cancel) is var seqNo and not 0)
                return seqNo;
        }
    }

    private static async Task UntilFollowed(ChannelReader<ulong> seen) => Assert.Equal(0ul, await seen.ReadAsync(T.Cancel));

    [Fact]
    public async Task A_diff_reaches_every_other_process_that_follows_the_shard()
    {
        await using var server = StatePushServer.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using var one = new StatePushClient(server.EndPoint, TimeProvider.System);
        await using var two = new StatePushClient(server.EndPoint, TimeProvider.System);
        var (atServer, atOne, atTwo) = (Follow(server, _shard), Follow(one, _shard), Follow(two, _shard));
        await UntilFollowed(atOne);
        await UntilFollowed(atTwo);
        server.Publish(_shard, Entry(1));
        Assert.Equal((1ul, 1ul, 1ul), (await Next(atServer), await Next(atOne), await Next(atTwo)));
        one.Publish(_shard, Entry(2));
        Assert.Equal((2ul, 2ul, 2ul), (await Next(atServer), await Next(atOne), await Next(atTwo)));
        one.Publish(ShardId.New(), Entry(9));
        one.Publish(_shard, Entry(3));
        Assert.Equal((3ul, 3ul), (await Next(atServer), await Next(atTwo)));
    }

    [Fact]
    public async Task A_client_connects_again_and_its_followers_are_told_to_look()
    {
        var first = StatePushServer.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        var endPoint = first.EndPoint;
        await using var client = new StatePushClient(endPoint, TimeProvider.System);
        var seen = Follow(client, _shard);
        await UntilFollowed(seen);
        Assert.True(client.IsConnected);
        await first.DisposeAsync();
        await UntilFollowed(seen);   // told when the connection went
        Assert.False(client.IsConnected);
        await using var second = StatePushServer.Listen(endPoint);
        var next = 0ul;
        for (var seqNo = 1ul; next == 0; seqNo++)
        {
            // Zeros until the new subscription stands; then a diff.
            next = await seen.ReadAsync(T.Cancel);
            second.Publish(_shard, Entry(seqNo));
        }

        Assert.NotEqual(0ul, next);
    }

    [Fact]
    public async Task A_peer_that_talks_nonsense_is_dropped_and_the_others_are_not_disturbed()
    {
        await using var server = StatePushServer.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using var client = new StatePushClient(server.EndPoint, TimeProvider.System);
        var seen = Follow(client, _shard);
        await UntilFollowed(seen);
        foreach (var nonsense in (byte[][])[
            [.. "GET / HTTP/1.1\r\n\r\n"u8],
            PushFrames.Encode(new PushFrame(PushKind.Diff, _shard, Entry(7))),   // without a greeting
            PushFrames.Encode(new PushFrame(PushKind.Hello, default, Entry(99))),
            [.. PushFrames.Encode(new PushFrame(PushKind.Hello, default, Entry(PushFrames.ProtocolVersion))).Select((b, i) => i == 12 ? (byte)(b ^ 1) : b)],
        ])
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(server.EndPoint, T.Cancel);
            await socket.SendAsync(nonsense, T.Cancel);
            try
            {
                Assert.Equal(0, await socket.ReceiveAsync(new byte[10], T.Cancel));
            }
            catch (SocketException)
            {
                // Reset: dropped as well.
            }
        }

        server.Publish(_shard, Entry(1));
        Assert.Equal(1ul, await Next(seen));
    }

    [Fact]
    public async Task A_listener_in_another_process_is_woken_over_tcp()
    {
        var (blob, consensus) = (new MemoryBlob(), new MemoryConsensus());
        await using var server = StatePushServer.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using var push = new StatePushClient(server.EndPoint, TimeProvider.System);
        // The safety net is an hour away: only push, or being told to look, can wake the listener.
        var config = T.Small with { PollWhenPushed = TimeSpan.FromHours(1) };
        await using var environmentd = T.Client(blob, consensus, server, config);
        await using var clusterd = T.Client(blob, consensus, push, config, seed: 2);
        using var writer = await environmentd.OpenWriterAsync(_shard, T.Cancel);
        await using var reader = await clusterd.OpenReaderAsync(_shard, "test", T.Cancel);
        for (ulong time = 0; time < 50; time++)
        {
            var waiting = reader.WaitForUpperPastAsync(new Timestamp(time), T.Cancel);
            await writer.CompareAndAppendAsync(T.Columns(($"{time}", time, 1)), T.F(time), T.F(time + 1), T.Cancel);
            await waiting;
        }

        Assert.Equal(50, (await T.ContentsAsync(reader, 49)).Count);
    }
}
