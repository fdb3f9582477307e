using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Materialize.SystemTests.Support;

/// <summary>The protocol by hand, for what a well-behaved client library would never do.</summary>
internal static class RawClient
{
    public static async Task<Socket> DialAsync(EnvironmentProcess environment)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, environment.SqlPort);
        return socket;
    }

    /// <summary>Logs in and reads up to the first ReadyForQuery.</summary>
    public static async Task StartupAsync(Socket socket)
    {
        var body = Encoding.UTF8.GetBytes("user\0materialize\0database\0materialize\0\0");
        var message = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(message, message.Length);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(4), 196608);
        body.CopyTo(message, 8);
        await socket.SendAsync(message);
        var received = new List<byte>();
        var buffer = new byte[4096];
        using var patience = new CancellationTokenSource(Eventually.Patience);
        while (received.Count < 6 || received[^6] != 'Z')
        {
            var n = await socket.ReceiveAsync(buffer, patience.Token);
            Assert.NotEqual(0, n);
            received.AddRange(buffer.AsSpan(0, n));
        }
    }

    public static byte[] Query(string text)
    {
        var body = Encoding.UTF8.GetBytes(text + "\0");
        var message = new byte[5 + body.Length];
        message[0] = (byte)'Q';
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), body.Length + 4);
        body.CopyTo(message, 5);
        return message;
    }
}
