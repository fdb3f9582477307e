using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Materialize.Scenarios;

/// <summary>
/// Runs one prepared statement on several connections at once, each with one question in flight, from one thread. The protocol is spoken by hand: a driver
/// takes as much of the two cores for a question as the server does, and it is the server that is measured.
/// </summary>
internal sealed class PreparedReads : IDisposable
{
    private readonly Connection[] _connections;

    /// <param name="sql">With one int8 parameter, or none.</param>
    public PreparedReads(string host, int port, int connections, string sql, bool hasParameter) =>
        _connections = [.. Enumerable.Range(0, connections).Select(_ => new Connection(host, port, sql, hasParameter))];

    /// <param name="parameter">The parameter of a connection's n-th question; the result's column <paramref name="column"/> must be an integer.</param>
    /// <param name="check">Whether that column may be this for that parameter.</param>
    /// <returns>Questions a second over all connections, and each one's latency.</returns>
    public (double Rate, Latencies Latencies) Run(TimeSpan duration, Func<int, int, long> parameter, int column, Func<long, long, bool> check)
    {
        var latencies = new List<double>();
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < _connections.Length; i++)
            _connections[i].Ask(parameter(i, 0));
        var ready = new List<Socket>(_connections.Length);
        var waiting = _connections.ToDictionary(c => c.Socket);
        while (waiting.Count > 0)
        {
            // One connection is waited for by reading it.
            ready.Clear();
            ready.AddRange(waiting.Keys);
            if (ready.Count > 1)
                Socket.Select(ready, null, null, TimeSpan.FromSeconds(60));
            if (ready.Count == 0)
                throw new InvalidOperationException("the server does not answer");
            foreach (var socket in ready)
            {
                var connection = waiting[socket];
                if (!connection.Receive())
                    continue;
                latencies.Add(Stopwatch.GetElapsedTime(connection.AskedAt).TotalMilliseconds);
                var answer = connection.Integer(column);
                if (!check(connection.Parameter, answer))
                    throw new InvalidOperationException($"a wrong answer for {connection.Parameter}: {answer}");
                if (clock.Elapsed < duration)
                    connection.Ask(parameter(Array.IndexOf(_connections, connection), connection.Asked));
                else
                    waiting.Remove(socket);
            }
        }

        return (latencies.Count / clock.Elapsed.TotalSeconds, new Latencies(latencies));
    }

    public void Dispose()
    {
        foreach (var connection in _connections)
            connection.Dispose();
    }

    /// <summary>One connection; what it asks is written once, and the parameter put in.</summary>
    private sealed class Connection : IDisposable
    {
        private readonly byte[] _question;
        private readonly int _parameterAt;
        private readonly byte[] _received = new byte[8192];
        private int _end;
        private int _rowAt;

        public Connection(string host, int port, string sql, bool hasParameter)
        {
            Socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            Socket.Connect(host, port);
            var start = new Message(null);
            start.Int32(3 << 16);
            foreach (var text in new[] { "user", "materialize", "database", "materialize", "" })
                start.Text(text);
            Send(start.Bytes());
            var parse = new Message('P');
            parse.Text("s");
            parse.Text(sql);
            parse.Int16(hasParameter ? (short)1 : (short)0);
            if (hasParameter)
                parse.Int32(20);
            Send([.. parse.Bytes(), .. new Message('S').Bytes()]);

            // Binary forms both ways.
            var bind = new Message('B');
            bind.Text("");
            bind.Text("s");
            bind.Int16(1);
            bind.Int16(1);
            bind.Int16(hasParameter ? (short)1 : (short)0);
            if (hasParameter)
            {
                bind.Int32(sizeof(long));
                _parameterAt = bind.Length;
                bind.Int32(0);
                bind.Int32(0);
            }

            bind.Int16(1);
            bind.Int16(1);
            var execute = new Message('E');
            execute.Text("");
            execute.Int32(0);
            _question = [.. bind.Bytes(), .. execute.Bytes(), .. new Message('S').Bytes()];
        }

        public Socket Socket { get; }

        public long AskedAt { get; private set; }

        /// <summary>Questions so far.</summary>
        public int Asked { get; private set; }

        public long Parameter { get; private set; }

        public void Ask(long parameter)
        {
            Parameter = parameter;
            if (_parameterAt > 0)
                BinaryPrimitives.WriteInt64BigEndian(_question.AsSpan(_parameterAt), parameter);
            _end = 0;
            Asked++;
            AskedAt = Stopwatch.GetTimestamp();
            Socket.Send(_question);
        }

        /// <summary>Reads what is here. Whether the answer is complete.</summary>
        public bool Receive()
        {
            var read = Socket.Receive(_received.AsSpan(_end));
            if (read == 0)
                throw new InvalidOperationException("the server has closed the connection");
            _end += read;
            _rowAt = -1;
            var at = 0;
            while (_end - at >= 5)
            {
                var type = (char)_received[at];
                var next = at + 1 + BinaryPrimitives.ReadInt32BigEndian(_received.AsSpan(at + 1));
                if (next > _end)
                {
                    if (next > _received.Length)
                        throw new InvalidOperationException("a message is longer than was thought of");
                    return false;
                }

                if (type == 'E')
                    throw new InvalidOperationException(Encoding.UTF8.GetString(_received.AsSpan(at + 5, next - at - 5)));
                if (type == 'D')
                    _rowAt = at + 7;
                if (type == 'Z')
                    return true;
                at = next;
            }

            return false;
        }

        /// <summary>An int4 or int8 of the answer's only row.</summary>
        public long Integer(int column)
        {
            if (_rowAt < 0)
                throw new InvalidOperationException($"no row for {Parameter}");
            var at = _rowAt;
            for (var i = 0; i < column; i++)
                at += 4 + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(_received.AsSpan(at)));
            return BinaryPrimitives.ReadInt32BigEndian(_received.AsSpan(at)) switch
            {
                4 => BinaryPrimitives.ReadInt32BigEndian(_received.AsSpan(at + 4)),
                8 => BinaryPrimitives.ReadInt64BigEndian(_received.AsSpan(at + 4)),
                var length => throw new InvalidOperationException($"a number of {length} bytes"),
            };
        }

        public void Dispose() => Socket.Dispose();

        private void Send(byte[] message)
        {
            _end = 0;
            Socket.Send(message);
            while (!Receive())
            {
                // The rest is on its way.
            }
        }
    }

    /// <summary>A frontend message; the first of a connection has no type.</summary>
    private sealed class Message(char? type)
    {
        private readonly List<byte> _bytes = type is { } letter ? [(byte)letter, 0, 0, 0, 0] : [0, 0, 0, 0];

        public int Length => _bytes.Count;

        public void Int16(short value) => _bytes.AddRange([(byte)(value >> 8), (byte)value]);

        public void Int32(int value) => _bytes.AddRange([(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value]);

        public void Text(string text)
        {
            _bytes.AddRange(Encoding.UTF8.GetBytes(text));
            _bytes.Add(0);
        }

        public byte[] Bytes()
        {
            var bytes = _bytes.ToArray();
            var lengthAt = type is null ? 0 : 1;
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(lengthAt), bytes.Length - lengthAt);
            return bytes;
        }
    }
}
