using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using ClientConnection = Materialize.Protocol.CommandConnection<Materialize.Protocol.ComputeCommand, Materialize.Protocol.ComputeResponse>;
using ServerConnection = Materialize.Protocol.CommandConnection<Materialize.Protocol.ComputeResponse, Materialize.Protocol.ComputeCommand>;

namespace Materialize.Protocol.Tests;

/// <summary>One suite for every transport.</summary>
public abstract class CommandServerTests
{
    private static readonly FrameHello Hello = new(ProtocolCodecs.Version, "compute", "");
    private static readonly CancellationToken None = CancellationToken.None;

    private protected abstract (ITransport Transport, TransportAddress Address) Open();

    [Fact]
    public async Task Commands_are_answered()
    {
        await using var server = await ServerAsync(EchoAsync);
        await using var client = await server.Client().ConnectAsync(None);
        for (ulong i = 0; i < 100; i++)
        {
            await client.SendAsync(new ComputeCommand.Schedule(GlobalId.User(i)), None);
            Assert.Equal(new ComputeResponse.SubscribeDropped(GlobalId.User(i)), await client.ReceiveAsync(None));
        }
    }

    [Fact]
    public async Task A_newer_client_evicts_the_older_after_the_older_session_ended()
    {
        var running = 0;
        await using var server = await ServerAsync(async (connection, cancel) =>
        {
            Assert.Equal(1, Interlocked.Increment(ref running));
            await EchoAsync(connection, cancel);
            Interlocked.Decrement(ref running);
        });
        ClientConnection? older = null;
        for (ulong i = 0; i < 5; i++)
        {
            var newer = await server.Client().ConnectAsync(None);
            await newer.SendAsync(new ComputeCommand.Schedule(GlobalId.User(i)), None);
            Assert.NotNull(await newer.ReceiveAsync(None));
            if (older is not null)
            {
                Assert.Null(await older.ReceiveAsync(None));
                await older.DisposeAsync();
            }

            older = newer;
        }

        await older!.DisposeAsync();
    }

    [Fact]
    public async Task A_client_waits_for_a_server_that_starts_later()
    {
        var (transport, address) = Open();
        if (address is TransportAddress.Tcp)
        {
            // Learn a free port.
            await using var probe = await transport.ListenAsync(address, None);
            address = probe.Address;
        }

        var time = new ManualTime();
        var connecting = NewClient(transport, address, time).ConnectAsync(None);
        await using var server = await Server.StartAsync(transport, address, EchoAsync);
        while (!connecting.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await using var client = await connecting;
        await client.SendAsync(new ComputeCommand.Schedule(GlobalId.User(1)), None);
        Assert.NotNull(await client.ReceiveAsync(None));
    }

    [Fact]
    public async Task A_malformed_message_closes_the_connection_and_the_server_lives_on()
    {
        await using var server = await ServerAsync(EchoAsync);
        var raw = await FrameChannel.OpenAsync(
            await server.Transport.ConnectAsync(server.Address, None), Hello, new FrameOptions(), TimeProvider.System, None);
        await raw.SendAsync(new byte[] { 0xff, 0xff, 0xff }, None);
        Assert.Null(await raw.ReceiveAsync(None));
        await raw.DisposeAsync();

        await using var client = await server.Client().ConnectAsync(None);
        await client.SendAsync(new ComputeCommand.Schedule(GlobalId.User(1)), None);
        Assert.NotNull(await client.ReceiveAsync(None));
    }

    private static async Task EchoAsync(ServerConnection connection, CancellationToken cancel)
    {
        while (await connection.ReceiveAsync(cancel) is { } command)
            await connection.SendAsync(new ComputeResponse.SubscribeDropped(((ComputeCommand.Schedule)command).Id), cancel);
    }

    private static CommandClient<ComputeCommand, ComputeResponse> NewClient(ITransport transport, TransportAddress address, TimeProvider time) =>
        new(transport, address, Hello, FrameOptions.Client, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, time, NullLogger.Instance);

    private Task<Server> ServerAsync(Func<ServerConnection, CancellationToken, Task> serve)
    {
        var (transport, address) = Open();
        return Server.StartAsync(transport, address, serve);
    }

    private sealed class Server(ITransport transport, ITransportListener listener, Task running, CancellationTokenSource stop) : IAsyncDisposable
    {
        public ITransport Transport => transport;

        public TransportAddress Address => listener.Address;

        public static async Task<Server> StartAsync(ITransport transport, TransportAddress address, Func<ServerConnection, CancellationToken, Task> serve)
        {
            var stop = new CancellationTokenSource();
            var listener = await transport.ListenAsync(address, None);
            var server = new CommandServer<ComputeCommand, ComputeResponse>(
                listener, Hello, FrameOptions.Server, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, serve, TimeProvider.System, NullLogger.Instance);
            return new Server(transport, listener, server.RunAsync(stop.Token), stop);
        }

        public CommandClient<ComputeCommand, ComputeResponse> Client() => NewClient(transport, Address, TimeProvider.System);

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await listener.DisposeAsync();
            await running;
            stop.Dispose();
        }
    }
}

public sealed class MemoryCommandServerTests : CommandServerTests
{
    private protected override (ITransport Transport, TransportAddress Address) Open() => (new MemoryTransport(), new TransportAddress.Memory("x"));
}

public sealed class TcpCommandServerTests : CommandServerTests
{
    private protected override (ITransport Transport, TransportAddress Address) Open() => (new SocketTransport(), new TransportAddress.Tcp("127.0.0.1", 0));
}

public sealed class UnixCommandServerTests : CommandServerTests
{
    private protected override (ITransport Transport, TransportAddress Address) Open() =>
        (new SocketTransport(), new TransportAddress.Unix(Path.Combine(Path.GetTempPath(), $"mz-{Guid.NewGuid():N}.sock")));
}
