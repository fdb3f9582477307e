using System.Buffers;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Materialize.Protocol.Tests;

public sealed class FrameTests
{
    private static readonly FrameHello Hello = new(1, "compute", "");
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Frames_arrive_in_order_both_ways()
    {
        var (a, b) = await OpenAsync(new FrameOptions());
        await using var _ = a;
        await using var __ = b;
        var random = new Random(1);
        var sent = Enumerable.Range(0, 300).Select(i =>
        {
            var body = new byte[i % 50 == 0 ? 3_000_000 : 1 + random.Next(40_000)];
            random.NextBytes(body);
            return body;
        }).ToArray();
        var sending = Task.Run(async () =>
        {
            foreach (var body in sent)
            {
                await a.SendAsync(body, None);
                await b.SendAsync(body, None);
            }
        }, TestContext.Current.CancellationToken);
        foreach (var body in sent)
        {
            Assert.Equal(body, (await b.ReceiveAsync(None))!.Value.ToArray());
            Assert.Equal(body, (await a.ReceiveAsync(None))!.Value.ToArray());
        }

        await sending;
    }

    [Theory]
    [InlineData("version")]
    [InlineData("service")]
    [InlineData("host")]
    public async Task A_hello_that_differs_is_refused_by_both(string what)
    {
        var other = what switch
        {
            "version" => Hello with { Version = 2 },
            "service" => Hello with { Service = "storage" },
            _ => Hello with { Host = "elsewhere" },
        };
        var (x, y) = TransportConnection.Pair("y", "x");
        var a = FrameChannel.OpenAsync(x, Hello with { Host = "here" }, new FrameOptions(), TimeProvider.System, None);
        var b = FrameChannel.OpenAsync(y, other, new FrameOptions(), TimeProvider.System, None);
        foreach (var side in new[] { a, b })
        {
            var e = await Assert.ThrowsAsync<ConnectionClosedException>(() => side);
            Assert.Contains(e.Reason.Kind, new[] { CloseKind.Handshake, CloseKind.Io });
        }
    }

    [Fact]
    public async Task A_stranger_is_refused()
    {
        var (x, y) = TransportConnection.Pair("y", "x");
        y.Output.Write("GET / HTTP/1.1\r\n\r\n"u8);
        await y.Output.FlushAsync(TestContext.Current.CancellationToken);
        var e = await Assert.ThrowsAsync<ConnectionClosedException>(() => FrameChannel.OpenAsync(x, Hello, new FrameOptions(), TimeProvider.System, None));
        Assert.Equal(CloseKind.Handshake, e.Reason.Kind);
    }

    [Fact]
    public async Task A_silent_stranger_is_refused_after_the_handshake_timeout()
    {
        var time = new ManualTime();
        var (x, _) = TransportConnection.Pair("y", "x");
        var opening = FrameChannel.OpenAsync(x, Hello, new FrameOptions { HandshakeTimeout = TimeSpan.FromSeconds(5) }, time, None);
        time.Advance(TimeSpan.FromSeconds(5));
        var e = await Assert.ThrowsAsync<ConnectionClosedException>(() => opening);
        Assert.Equal(CloseKind.Handshake, e.Reason.Kind);
    }

    [Fact]
    public async Task A_frame_beyond_the_limit_closes_the_connection()
    {
        var (a, b) = await OpenAsync(new FrameOptions { FrameBytesMax = 100 });
        await a.SendAsync(new byte[101], None);
        Assert.Null(await b.ReceiveAsync(None));
        Assert.Equal(CloseKind.Malformed, (await b.Closed).Kind);
        await b.DisposeAsync();
        Assert.Null(await a.ReceiveAsync(None));
        await a.DisposeAsync();
    }

    [Fact]
    public async Task A_peer_that_vanishes_closes_the_connection()
    {
        var (a, b) = await OpenAsync(new FrameOptions());
        await b.DisposeAsync();
        Assert.Null(await a.ReceiveAsync(None));
        Assert.Equal(CloseKind.Peer, (await a.Closed).Kind);
        await Assert.ThrowsAsync<ConnectionClosedException>(async () => await a.SendAsync(new byte[1], None));
    }

    [Fact]
    public async Task Keep_alives_hold_an_idle_connection_open_and_a_dead_peer_is_found()
    {
        var time = new ManualTime();
        var options = new FrameOptions { IdleTimeout = TimeSpan.FromSeconds(3) };
        var (x, y) = TransportConnection.Pair("y", "x");
        var opening = FrameChannel.OpenAsync(x, Hello, options, time, None);
        var peer = await FrameChannel.OpenAsync(y, Hello, new FrameOptions(), time, None);
        var channel = await opening;
        var receiving = channel.ReceiveAsync(None).AsTask();
        for (var i = 0; i < 10; i++)
        {
            // The keep-alive is written by the peer's own task: only a frame that follows it shows that it was taken.
            time.Advance(TimeSpan.FromSeconds(1));
            await peer.SendAsync(new byte[] { (byte)i }, None);
            Assert.Equal((byte)i, (await receiving)!.Value.Span[0]);
            receiving = channel.ReceiveAsync(None).AsTask();
        }

        peer.Close(new CloseReason(CloseKind.Local, "stopped, without closing the pipe"));
        time.Advance(TimeSpan.FromSeconds(4));
        Assert.Null(await receiving);
        Assert.Equal(CloseKind.Idle, (await channel.Closed).Kind);
    }

    [Fact]
    public async Task A_keep_alive_is_an_empty_frame_after_a_second_of_silence()
    {
        var time = new ManualTime();
        var (x, y) = TransportConnection.Pair("y", "x");
        var opening = FrameChannel.OpenAsync(x, Hello, new FrameOptions(), time, None);

        // The peer in raw bytes: echo the channel's own hello, then read what follows it.
        var first = await y.Input.ReadAtLeastAsync(16 + 4 + 2 + 7 + 2, TestContext.Current.CancellationToken);
        var hello = first.Buffer.ToArray();
        y.Input.AdvanceTo(first.Buffer.End);
        await y.Output.WriteAsync(hello, None);
        await using var channel = await opening;
        time.Advance(TimeSpan.FromSeconds(1));
        var frame = await y.Input.ReadAtLeastAsync(8, TestContext.Current.CancellationToken);
        Assert.Equal(new byte[8], frame.Buffer.ToArray());
        y.Input.AdvanceTo(frame.Buffer.End);
    }

    private static async Task<(FrameChannel A, FrameChannel B)> OpenAsync(FrameOptions options)
    {
        var (x, y) = TransportConnection.Pair("y", "x");
        var a = FrameChannel.OpenAsync(x, Hello, options, TimeProvider.System, None);
        var b = FrameChannel.OpenAsync(y, Hello, options, TimeProvider.System, None);
        return (await a, await b);
    }
}
