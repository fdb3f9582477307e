using System.Buffers.Binary;
using System.Net.Sockets;

namespace Materialize.SystemTests.Durability;

/// <summary>Bytes that no client should send, and clients that behave as none should. The server answers or closes, and serves on.</summary>
public sealed class BadInputTests(SharedServer server)
{
    [Fact]
    public async Task Random_bytes_are_refused()
    {
        var random = new Random(7);
        for (var i = 0; i < 40; i++)
        {
            using var socket = await RawClient.DialAsync(server.Environment);
            var bytes = new byte[random.Next(1, 2000)];
            random.NextBytes(bytes);
            await SendAndDrainAsync(socket, bytes);
        }

        await ServesAsync();
    }

    [Theory]
    [InlineData(new byte[] { 0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0 })]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 4 })]
    [InlineData(new byte[] { 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 9, 0, 3, 0, 0, 65 })]
    [InlineData(new byte[] { 0, 0, 1 })]
    [InlineData(new byte[] { })]
    public async Task A_startup_that_is_cut_or_oversized_is_refused(byte[] bytes)
    {
        using var socket = await RawClient.DialAsync(server.Environment);
        await SendAndDrainAsync(socket, bytes);
        await ServesAsync();
    }

    [Fact]
    public async Task A_message_of_impossible_length_ends_only_its_connection()
    {
        foreach (var length in (int[])[int.MaxValue, -1, 0, 3])
        {
            using var socket = await RawClient.DialAsync(server.Environment);
            await RawClient.StartupAsync(socket);
            var message = new byte[9];
            message[0] = (byte)'Q';
            BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), length);
            await SendAndDrainAsync(socket, message);
        }

        await ServesAsync();
    }

    [Fact]
    public async Task Garbage_after_a_good_startup_ends_only_its_connection()
    {
        var random = new Random(11);
        var kinds = "QPBDESCHFdcfpX"u8.ToArray();
        for (var i = 0; i < 40; i++)
        {
            using var socket = await RawClient.DialAsync(server.Environment);
            await RawClient.StartupAsync(socket);
            var bytes = new byte[random.Next(5, 200)];
            random.NextBytes(bytes);
            bytes[0] = kinds[random.Next(kinds.Length)];
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), bytes.Length - 1);
            await SendAndDrainAsync(socket, bytes);
        }

        await ServesAsync();
    }

    [Fact]
    public async Task Idle_connections_do_not_hinder_others()
    {
        var sockets = new List<Socket>();
        try
        {
            // Half of them say nothing at all, half have logged in.
            for (var i = 0; i < 200; i++)
            {
                var socket = await RawClient.DialAsync(server.Environment);
                sockets.Add(socket);
                if (i % 2 == 0)
                    await RawClient.StartupAsync(socket);
            }

            await ServesAsync();
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }

        await ServesAsync();
    }

    [Fact]
    public async Task A_client_that_vanishes_in_mid_result_leaves_nothing_behind()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4, b text)", "INSERT INTO t SELECT x, repeat('x', 1000) FROM generate_series(1, 5000) AS x");
        for (var i = 0; i < 10; i++)
        {
            using var socket = await RawClient.DialAsync(server.Environment);
            await RawClient.StartupAsync(socket);
            await socket.SendAsync(RawClient.Query($"SELECT * FROM {sql.Schema}.t"));
            await socket.ReceiveAsync(new byte[100]);
            socket.LingerState = new LingerOption(true, 0);
        }

        Assert.Equal(5000, await sql.NumberAsync("SELECT count(*) FROM t"));
        await ServesAsync();
    }

    [Fact]
    public async Task A_copy_broken_off_writes_nothing()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (a int4)");
        using (var socket = await RawClient.DialAsync(server.Environment))
        {
            await RawClient.StartupAsync(socket);
            await socket.SendAsync(RawClient.Query($"COPY {sql.Schema}.t FROM STDIN"));
            await socket.SendAsync(new byte[] { (byte)'d', 0, 0, 0, 8, (byte)'1', (byte)'\n', (byte)'2', (byte)'\n' });
            await socket.ReceiveAsync(new byte[1]);
        }

        await sql.DoAsync("INSERT INTO t VALUES (3)");
        Assert.Equal("3", await sql.OneAsync("SELECT a FROM t"));
    }

    [Fact]
    public async Task An_unknown_role_and_a_cancel_of_nobody_are_harmless()
    {
        await using var nobody = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={server.Environment.SqlPort};Username=nobody;Database=materialize;Pooling=false;Server Compatibility Mode=NoTypeLoading");
        var error = await Assert.ThrowsAsync<PostgresException>(() => nobody.OpenAsync());
        Assert.Equal("28000", error.SqlState);
        using var socket = await RawClient.DialAsync(server.Environment);
        await SendAndDrainAsync(socket, [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 1, 2, 3, 4]);
        await ServesAsync();
    }

    /// <summary>Sends, says that nothing more comes, and reads until the server closes.</summary>
    private static async Task SendAndDrainAsync(Socket socket, byte[] bytes)
    {
        using var patience = new CancellationTokenSource(Eventually.Patience);
        try
        {
            await socket.SendAsync(bytes, patience.Token);
            socket.Shutdown(SocketShutdown.Send);
            var buffer = new byte[4096];
            while (await socket.ReceiveAsync(buffer, patience.Token) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // A reset is as good a refusal as a close.
        }
    }

    private async Task ServesAsync()
    {
        Assert.False(server.Environment.HasExited, server.Environment.Log);
        await using var sql = new Sql(await server.Environment.ConnectAsync());
        Assert.Equal("1", await sql.OneAsync("SELECT 1"));
    }
}
