using System.Net;
using System.Net.Sockets;
using System.Text;
using Materialize.Adapter;
using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

/// <summary>Real sockets.</summary>
public sealed class ListenerTests
{
    private readonly FakeAdapter _adapter = new();

    public ListenerTests() => _adapter.On("INSERT", () => new ExecuteResponse.Completed("INSERT 0 1"));

    [Fact]
    public async Task Clients_are_served_and_bid_farewell()
    {
        var listener = Listen(new PgWireOptions());
        using var client = new TcpClient();
        await client.ConnectAsync(listener.LocalEndpoint);
        var stream = client.GetStream();
        await stream.WriteAsync(Startup("user", "u"));
        Assert.EndsWith("Z\0\0\0\u0005I", await ReadAsync(stream, "Z\0\0\0\u0005I"), StringComparison.Ordinal);
        await stream.WriteAsync(Query("INSERT"));
        Assert.Contains("INSERT 0 1", await ReadAsync(stream, "Z\0\0\0\u0005I"), StringComparison.Ordinal);
        Assert.Equal(1, listener.ConnectionCount);
        await listener.DisposeAsync();
        Assert.Contains("57P01", await ReadAsync(stream, null), StringComparison.Ordinal);
        Assert.Equal(0, _adapter.OpenSessions);
    }

    [Fact]
    public async Task Too_many_clients_are_told_and_cancel_requests_still_pass()
    {
        await using var listener = Listen(new PgWireOptions { ConnectionsMax = 1 });
        using var first = new TcpClient();
        await first.ConnectAsync(listener.LocalEndpoint);
        await first.GetStream().WriteAsync(Startup("user", "u"));
        await ReadAsync(first.GetStream(), "Z\0\0\0\u0005I");

        using var second = new TcpClient();
        await second.ConnectAsync(listener.LocalEndpoint);
        await second.GetStream().WriteAsync(Startup("user", "u"));
        Assert.Contains("53300", await ReadAsync(second.GetStream(), null), StringComparison.Ordinal);

        using var cancel = new TcpClient();
        await cancel.ConnectAsync(listener.LocalEndpoint);
        await cancel.GetStream().WriteAsync(new byte[] { 0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 7, 0, 0, 0, 9 });
        Assert.Equal("", await ReadAsync(cancel.GetStream(), null));
        Assert.Equal([(7u, 9u)], _adapter.Cancelled);
    }

    [Fact]
    public async Task A_client_that_resets_its_connection_is_forgotten()
    {
        var listener = Listen(new PgWireOptions());
        var client = new TcpClient { LingerState = new LingerOption(true, 0) };
        await client.ConnectAsync(listener.LocalEndpoint);
        await client.GetStream().WriteAsync(Startup("user", "u"));
        await ReadAsync(client.GetStream(), "Z\0\0\0\u0005I");
        client.Dispose();
        await listener.DisposeAsync();
        Assert.Equal((0, 0), (listener.ConnectionCount, _adapter.OpenSessions));
    }

    private PgWireListener Listen(PgWireOptions options)
    {
        var listener = new PgWireListener(new IPEndPoint(IPAddress.Loopback, 0), _adapter, options, new BrokenStatements(), TimeProvider.System);
        listener.Start();
        return listener;
    }

    /// <summary>Reads until the text has come, or to the end.</summary>
    private static async Task<string> ReadAsync(NetworkStream stream, string? until)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var text = new StringBuilder();
        var bytes = new byte[4096];
        while (until is null || !text.ToString().EndsWith(until, StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(bytes, patience.Token);
            if (count == 0)
                break;
            text.Append(Encoding.Latin1.GetString(bytes, 0, count));
        }

        return text.ToString();
    }
}
