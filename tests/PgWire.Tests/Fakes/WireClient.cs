using System.Buffers.Binary;
using System.Text;
using Materialize.Adapter;
using Materialize.Interchange;
using Microsoft.Extensions.Logging;

namespace Materialize.PgWire.Tests;

/// <summary>
/// The client's end of a scripted conversation. Messages are written as bytes and read back as one line each:
/// <c>Z I</c>, <c>D 1|NULL</c>, <c>C SELECT 1</c>, <c>E ERROR 42601 message</c>.
/// </summary>
internal sealed class WireClient : IAsyncDisposable
{
    private readonly DuplexPipe _stream;
    private readonly CancellationTokenSource _shutdown = new();

    public WireClient(FakeAdapter adapter, PgWireOptions? options = null, bool refused = false, int pauseBytes = 1 << 20)
    {
        (_stream, var server) = DuplexPipe.Create(pauseBytes);
        var connection = new PgConnection(
            server, adapter, options ?? new PgWireOptions(), new PgPeer("test", refused), Logger, TimeProvider.System);
        Running = Task.Run(() => connection.RunAsync(_shutdown.Token));
    }

    public BrokenStatements Logger { get; } = new();

    /// <summary>The server's end.</summary>
    public Task Running { get; }

    public static async Task<WireClient> ConnectAsync(FakeAdapter adapter, PgWireOptions? options = null, int pauseBytes = 1 << 20)
    {
        var client = new WireClient(adapter, options, pauseBytes: pauseBytes);
        await client.SendAsync(Startup("user", "materialize"));
        Assert.Equal(["R 0", "S server_version=9.5.0", "S client_encoding=UTF8", "K 7", "Z I"], await client.UntilReadyAsync());
        return client;
    }

    public static byte[] Startup(params string[] parameters) => StartupOf(196608, parameters);

    public static byte[] StartupOf(int version, params string[] parameters)
    {
        using var body = new WireBuffer();
        body.WriteInt32(0);
        body.WriteInt32(version);
        foreach (var text in parameters)
            body.WriteCString(text);
        body.WriteByte(0);
        body.PatchInt32(0, body.Length);
        return body.Written.ToArray();
    }

    public static byte[] Message(char type, Action<WireBuffer>? write = null)
    {
        using var body = new WireBuffer();
        body.WriteByte((byte)type);
        body.WriteInt32(0);
        write?.Invoke(body);
        body.PatchInt32(1, body.Length - 1);
        return body.Written.ToArray();
    }

    public static byte[] Query(string sql) => Message('Q', b => b.WriteCString(sql));

    public static byte[] Parse(string name, string sql, params uint[] oids) => Message('P', b =>
    {
        b.WriteCString(name);
        b.WriteCString(sql);
        b.WriteInt16((short)oids.Length);
        foreach (var oid in oids)
            b.WriteInt32((int)oid);
    });

    public static byte[] Bind(string portal, string prepared, short[]? formats = null, byte[]?[]? values = null, short[]? resultFormats = null) => Message('B', b =>
    {
        b.WriteCString(portal);
        b.WriteCString(prepared);
        WriteFormats(b, formats ?? []);
        b.WriteInt16((short)(values?.Length ?? 0));
        foreach (var value in values ?? [])
        {
            b.WriteInt32(value?.Length ?? -1);
            b.Write(value);
        }

        WriteFormats(b, resultFormats ?? []);
    });

    public static byte[] Describe(char kind, string name) => Message('D', b => Target(b, kind, name));

    public static byte[] Close(char kind, string name) => Message('C', b => Target(b, kind, name));

    public static byte[] Execute(string portal, int maxRows = 0) => Message('E', b =>
    {
        b.WriteCString(portal);
        b.WriteInt32(maxRows);
    });

    public static byte[] Sync() => Message('S');

    public static byte[] CopyData(string text) => Message('d', b => b.WriteText(text));

    public static byte[] CopyDone() => Message('c');

    public static byte[] CopyFail(string why) => Message('f', b => b.WriteCString(why));

    public async Task SendAsync(params byte[][] messages)
    {
        try
        {
            await _stream.WriteAsync(messages.SelectMany(m => m).ToArray());
        }
        catch (IOException)
        {
            // The server has closed: what it said before is what the test reads.
        }
    }

    /// <summary>All messages up to and including ReadyForQuery, or to the end of the connection ("closed").</summary>
    public async Task<List<string>> UntilReadyAsync()
    {
        var lines = new List<string>();
        while (true)
        {
            lines.Add(await ReadAsync());
            if (lines[^1][0] == 'Z' || lines[^1] == "closed")
                return lines;
        }
    }

    public async Task<List<string>> AskAsync(params byte[][] messages)
    {
        await SendAsync(messages);
        return await UntilReadyAsync();
    }

    /// <summary>The next message as a line, "closed" at the end.</summary>
    public async Task<string> ReadAsync()
    {
        var header = await ReadBytesAsync(5);
        if (header is null)
            return "closed";
        var body = await ReadBytesAsync(BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1)) - 4);
        return Show((char)header[0], body!);
    }

    public async Task<byte[]?> ReadBytesAsync(int count)
    {
        var bytes = new byte[count];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        for (var at = 0; at < count;)
        {
            var read = await _stream.ReadAsync(bytes.AsMemory(at), patience.Token);
            if (read == 0)
                return null;
            at += read;
        }

        return bytes;
    }

    public void StopSending() => _stream.CloseWriting();

    public Task ShutDownServerAsync() => _shutdown.CancelAsync();

    /// <summary>Vanishes without a word, and waits for the server's end to notice.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await Running.WaitAsync(TimeSpan.FromSeconds(20));
        _shutdown.Dispose();
    }

    private static void WriteFormats(WireBuffer b, short[] formats)
    {
        b.WriteInt16((short)formats.Length);
        foreach (var format in formats)
            b.WriteInt16(format);
    }

    private static void Target(WireBuffer b, char kind, string name)
    {
        b.WriteByte((byte)kind);
        b.WriteCString(name);
    }

    private static string Show(char type, byte[] body)
    {
        var reader = new MessageReader(body);
        switch (type)
        {
            case 'R':
                return $"R {reader.ReadInt32()}";
            case 'S':
                return $"S {reader.ReadCString()}={reader.ReadCString()}";
            case 'K':
                return $"K {reader.ReadInt32()}";
            case 'Z':
                return $"Z {(char)body[0]}";
            case 'C':
                return $"C {reader.ReadCString()}";
            case 'E' or 'N':
                var fields = Encoding.UTF8.GetString(body).Split('\0', StringSplitOptions.RemoveEmptyEntries).ToDictionary(f => f[0], f => f[1..]);
                var extra = string.Concat(fields.Where(f => f.Key is 'D' or 'H' or 'P').Select(f => $" {f.Key}:{f.Value}"));
                Assert.Equal(fields['S'], fields['V']);
                return $"{type} {fields['S']} {fields['C']} {fields['M']}{extra}";
            case 'T':
                return "T " + string.Join("|", Columns(body));
            case 'D':
                return "D " + string.Join("|", Fields(body));
            case 'G' or 'H':
                return $"{type} {reader.ReadByte()} {reader.ReadInt16()}";
            case 'd':
                return "d " + Encoding.Latin1.GetString(body);
            case 't':
                var count = reader.ReadInt16();
                var oids = new List<int>();
                for (var i = 0; i < count; i++)
                    oids.Add(reader.ReadInt32());
                return $"t {string.Join(",", oids)}";
            case 'v':
                return $"v {reader.ReadInt32() & 0xffff} {reader.ReadInt32()}";
            default:
                return type.ToString();
        }
    }

    private static List<string> Columns(byte[] body)
    {
        var reader = new MessageReader(body);
        var columns = new List<string>();
        for (var i = reader.ReadInt16(); i > 0; i--)
        {
            var name = reader.ReadCString();
            reader.ReadInt32();
            reader.ReadInt16();
            var oid = reader.ReadInt32();
            var length = reader.ReadInt16();
            var modifier = reader.ReadInt32();
            columns.Add($"{name}:{oid}:{length}:{modifier}:{reader.ReadInt16()}");
        }

        return columns;
    }

    private static List<string> Fields(byte[] body)
    {
        var reader = new MessageReader(body);
        var fields = new List<string>();
        for (var i = reader.ReadInt16(); i > 0; i--)
        {
            var size = reader.ReadInt32();
            fields.Add(size < 0 ? "NULL" : Encoding.Latin1.GetString(reader.ReadBytes(size)));
        }

        reader.End();
        return fields;
    }
}

/// <summary>Counts statements that broke with an exception nobody foresaw: there must be none.</summary>
internal sealed class BrokenStatements : ILogger
{
    public List<string> Errors { get; } = [];

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (Errors)
            Errors.Add($"{formatter(state, exception)}: {exception}");
    }
}
