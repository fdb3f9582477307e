using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

public sealed class StartupTests
{
    private readonly FakeAdapter _adapter = new();

    [Fact]
    public async Task Encryption_is_declined_and_startup_goes_on()
    {
        await using var client = new WireClient(_adapter);
        await client.SendAsync([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);
        Assert.Equal("N"u8.ToArray(), await client.ReadBytesAsync(1));
        await client.SendAsync([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
        Assert.Equal("N"u8.ToArray(), await client.ReadBytesAsync(1));
        await client.SendAsync(Startup("user", "u", "database", "d", "options", "-c x=y"));
        Assert.Equal("Z I", (await client.UntilReadyAsync())[^1]);
        Assert.Equal(("u", "d", "-c x=y"), (_adapter.Started[0].User, _adapter.Started[0].Parameters["database"], _adapter.Started[0].Parameters["options"]));
    }

    [Fact]
    public async Task A_cancel_request_is_passed_on_without_an_answer()
    {
        await using var client = new WireClient(_adapter);
        await client.SendAsync([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 7, 0xCA, 0xFE, 0xBA, 0xBE]);
        Assert.Equal("closed", await client.ReadAsync());
        Assert.Equal([(7u, 0xCAFEBABE)], _adapter.Cancelled);
    }

    [Theory]
    [InlineData("0000000700030000", "invalid length of startup packet")]
    [InlineData("7fffffff00030000", "invalid length of startup packet")]
    [InlineData("1603010200010001", "invalid length of startup packet")]
    [InlineData("474554202f204854", "invalid length of startup packet")]
    [InlineData("0000000b000300007573", "incomplete startup packet")]
    [InlineData("0000000a000300007573", "invalid string in message")]
    [InlineData("0000000a000300000001", "invalid startup packet layout: expected terminator as last byte")]
    [InlineData("0000000800030000", "invalid startup packet layout: expected terminator as last byte")]
    public async Task Broken_startups_are_told_and_closed(string hex, string message)
    {
        await using var client = new WireClient(_adapter);
        await client.SendAsync(Convert.FromHexString(hex));
        client.StopSending();
        Assert.Equal([$"E FATAL 08P01 {message}", "closed"], await client.UntilReadyAsync());
        Assert.Empty(_adapter.Started);
    }

    [Fact]
    public async Task A_truncated_startup_closes()
    {
        await using var client = new WireClient(_adapter);
        await client.SendAsync([0, 0, 0]);
        client.StopSending();
        Assert.Equal("closed", await client.ReadAsync());
    }

    [Fact]
    public async Task Versions_and_options_are_negotiated()
    {
        await using var client = new WireClient(_adapter);
        await client.SendAsync(StartupOf((3 << 16) | 2, "user", "u", "_pq_.future", "1"));
        Assert.Equal(["v 0 1", "R 0"], (await client.UntilReadyAsync())[..2]);

        await using var old = new WireClient(_adapter);
        await old.SendAsync(StartupOf(2 << 16, "user", "u"));
        Assert.Equal(["E FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.0", "closed"], await old.UntilReadyAsync());
    }

    [Fact]
    public async Task Refusals_are_fatal()
    {
        await using var full = new WireClient(_adapter, refused: true);
        await full.SendAsync(Startup("user", "u"));
        Assert.Equal(["E FATAL 53300 sorry, too many clients already", "closed"], await full.UntilReadyAsync());

        await using var nameless = new WireClient(_adapter);
        await nameless.SendAsync(Startup("database", "d"));
        Assert.StartsWith("E FATAL 28000", await nameless.ReadAsync(), StringComparison.Ordinal);

        await using var unknown = new WireClient(_adapter);
        await unknown.SendAsync(Startup("user", "nobody"));
        Assert.Equal(["E FATAL 28000 role \"nobody\" does not exist", "closed"], await unknown.UntilReadyAsync());
    }

    [Fact]
    public async Task Shutdown_says_farewell_to_an_idle_client()
    {
        await using var client = await ConnectAsync(_adapter);
        await client.ShutDownServerAsync();
        Assert.Equal(["E FATAL 57P01 terminating connection due to administrator command", "closed"], await client.UntilReadyAsync());
    }
}
