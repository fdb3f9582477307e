using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using static Materialize.Slt.Client.Frontend;

namespace Materialize.Slt.Client;

/// <summary>Where and as whom to connect.</summary>
public sealed record ConnectTarget(
    string Host, int Port, string User, string? Database, string? Password, IReadOnlyList<KeyValuePair<string, string>> Parameters, TimeSpan Timeout);

/// <summary>What a statement run alone with the extended protocol gave.</summary>
public sealed record ExtendedResult((string Name, uint Oid)[] Columns, List<byte[]?[]> Rows, long Affected, bool[] IsBinary);

/// <summary>
/// A client of protocol 3 with no opinions of its own: it shows what the server sends. Blocking, with a deadline for each
/// exchange; for one thread.
/// </summary>
public sealed class PgConnection : IDisposable
{
    private static readonly HashSet<uint> RegTypes = [24, 2202, 2203, 2204, 2205, 2206, 4089, 4096];
    private readonly Socket _socket;
    private readonly ConnectTarget _target;
    private readonly byte[] _chunk = new byte[65536];
    private byte[] _pending = [];
    private int _pendingAt;
    private long _deadline;
    private byte[]? _cancelKey;

    private PgConnection(ConnectTarget target)
    {
        _target = target;
        _socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            _socket.Connect(target.Host, target.Port);
        }
        catch (SocketException e)
        {
            throw new ConnectionLostException($"connect: {e.Message}");
        }
    }

    /// <exception cref="ServerErrorException">The server refuses.</exception>
    /// <exception cref="ConnectionLostException">Nobody there.</exception>
    public static PgConnection Open(ConnectTarget target)
    {
        var connection = new PgConnection(target);
        try
        {
            connection.StartUp();
            return connection;
        }
        catch
        {
            connection._socket.Dispose();
            throw;
        }
    }

    /// <summary>Sets the time by which the exchange that follows must be over.</summary>
    public void Arm(TimeSpan timeout) => _deadline = Stopwatch.GetTimestamp() + (long)(timeout.TotalSeconds * Stopwatch.Frequency);

    public void Send(params byte[][] messages)
    {
        try
        {
            _socket.SendTimeout = LeftMs();
            _socket.Send(messages.SelectMany(m => m).ToArray());
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.TimedOut)
        {
            throw new AnswerTimeoutException("timeout while sending");
        }
        catch (SocketException e)
        {
            throw new ConnectionLostException(e.Message);
        }
    }

    public BackendMessage Receive()
    {
        var header = Take(5);
        var length = BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1));
        if (length is < 4 or > 1 << 30)
            throw new ConnectionLostException($"bad message length {length}");
        return new BackendMessage((char)header[0], Take(length - 4));
    }

    /// <summary>One simple query message: rows, and the count of each completed statement.</summary>
    public List<string> Simple(string sql, TimeSpan timeout)
    {
        Arm(timeout);
        Send(Frame('Q', CString(sql)));
        var lines = new List<string>();
        ServerErrorException? error = null;
        while (true)
        {
            var message = Receive();
            switch (message.Type)
            {
                case 'Z':
                    return error is null ? lines : throw error;
                case 'D':
                    lines.Add(string.Join(',', message.Values().Select(v => v is null ? "NULL" : System.Text.Encoding.UTF8.GetString(v))));
                    break;
                case 'C':
                    lines.Add($"COMPLETE {message.TagCount()}");
                    break;
                case 'I':
                    lines.Add("COMPLETE 0");
                    break;
                case 'E':
                    error = message.ToException();
                    AwaitEndIfFatal(error);
                    break;
                case 'G':
                    Send(Frame('f', CString("COPY not expected here")));
                    error ??= ServerErrorException.Of("unexpected message from server: CopyIn");
                    break;
                case 'H' or 'W':
                    error ??= ServerErrorException.Of("unexpected message from server: CopyOut");
                    break;
            }
        }
    }

    /// <summary>One statement alone: Parse, Describe, Sync; then Bind, Execute, Sync. reg* columns are fetched in binary.</summary>
    public ExtendedResult Extended(string sql, TimeSpan timeout, byte[]? copyData = null)
    {
        Arm(timeout);
        Send(Frame('P', CString(""), CString(sql), Int16(0)), Frame('D', "S\0"u8.ToArray()), Frame('S'));
        (string Name, uint Oid)[] columns = [];
        ServerErrorException? error = null;
        for (var message = Receive(); message.Type != 'Z'; message = Receive())
        {
            if (message.Type == 'T')
                columns = message.Columns();
            if (message.Type != 'E')
                continue;
            error = message.ToException();
            AwaitEndIfFatal(error);
        }

        if (error is not null)
            throw error;
        bool[] binary = [.. columns.Select(c => RegTypes.Contains(c.Oid))];
        Send(
            Frame('B', [0, 0], Int16(0), Int16(0), Int16(binary.Length), [.. binary.SelectMany(b => Int16(b ? 1 : 0))]),
            Frame('E', [0], Int32(0)),
            Frame('S'));
        var rows = new List<byte[]?[]>();
        var affected = 0L;
        for (var message = Receive(); message.Type != 'Z'; message = Receive())
        {
            switch (message.Type)
            {
                case 'D':
                    rows.Add(message.Values());
                    break;
                case 'C':
                    affected = message.TagCount();
                    break;
                case 'E':
                    error = message.ToException();
                    AwaitEndIfFatal(error);
                    break;
                case 'G':
                    error ??= SendCopy(copyData);
                    break;
                case 'H' or 'W':
                    error = ServerErrorException.Of("unexpected message from server: CopyOut");
                    break;
            }
        }

        return error is null ? new ExtendedResult(columns, rows, affected, binary) : throw error;
    }

    /// <summary>Asks the server, over another connection, to cancel what this one runs.</summary>
    public void Cancel()
    {
        if (_cancelKey is null)
            return;
        try
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            socket.Connect(_target.Host, _target.Port);
            socket.Send([.. Int32(16), .. Int32(80877102), .. _cancelKey]);
        }
        catch (SocketException)
        {
            // Best effort: the connection is given up either way.
        }
    }

    public void Dispose()
    {
        try
        {
            _socket.SendTimeout = 1000;
            _socket.Send(Frame('X'));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Gone already.
        }

        _socket.Dispose();
    }

    private ServerErrorException? SendCopy(byte[]? data)
    {
        // The Sync that went before is ignored while in COPY: each way out sends another.
        if (data is null)
        {
            Send(Frame('f', CString("no data")), Frame('S'));
            return ServerErrorException.Of("unexpected message from server: CopyIn");
        }

        foreach (var chunk in data.Chunk(65536))
            Send(Frame('d', chunk));
        Send(Frame('c'), Frame('S'));
        return null;
    }

    private void StartUp()
    {
        Arm(_target.Timeout);
        List<byte> body = [.. Int32(196608), .. CString("user"), .. CString(_target.User)];
        if (_target.Database is { } database)
            body.AddRange([.. CString("database"), .. CString(database)]);
        foreach (var (name, value) in _target.Parameters)
            body.AddRange([.. CString(name), .. CString(value)]);
        body.Add(0);
        Send([.. Int32(body.Count + 4), .. body]);
        while (true)
        {
            var message = Receive();
            switch (message.Type)
            {
                case 'Z':
                    return;
                case 'E':
                    throw message.ToException();
                case 'K':
                    _cancelKey = message.Body[..8];
                    break;
                case 'R' when BinaryPrimitives.ReadInt32BigEndian(message.Body) is var code and not 0:
                    if (code != 3 || _target.Password is not { } password)
                        throw ServerErrorException.Of($"authentication method {code} is not supported by this client");
                    Send(Frame('p', CString(password)));
                    break;
            }
        }
    }

    private void AwaitEndIfFatal(ServerErrorException error)
    {
        if (!error.IsFatal)
            return;
        Arm(TimeSpan.FromSeconds(1));
        try
        {
            while (Receive().Type != 'Z')
            {
            }
        }
        catch (Exception e) when (e is ConnectionLostException or AnswerTimeoutException)
        {
            throw error;
        }
    }

    private byte[] Take(int count)
    {
        var taken = new byte[count];
        var at = 0;
        while (at < count)
        {
            if (_pendingAt == _pending.Length)
                Fill();
            var length = Math.Min(count - at, _pending.Length - _pendingAt);
            _pending.AsSpan(_pendingAt, length).CopyTo(taken.AsSpan(at));
            _pendingAt += length;
            at += length;
        }

        return taken;
    }

    private void Fill()
    {
        try
        {
            _socket.ReceiveTimeout = LeftMs();
            var count = _socket.Receive(_chunk);
            if (count == 0)
                throw new ConnectionLostException("server closed the connection");
            _pending = _chunk.AsSpan(0, count).ToArray();
            _pendingAt = 0;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            throw new AnswerTimeoutException("timeout");
        }
        catch (SocketException e)
        {
            throw new ConnectionLostException(e.Message);
        }
    }

    private int LeftMs()
    {
        var left = (_deadline - Stopwatch.GetTimestamp()) * 1000 / Stopwatch.Frequency;
        return left > 0 ? (int)Math.Min(left + 1, int.MaxValue) : throw new AnswerTimeoutException("timeout");
    }
}
