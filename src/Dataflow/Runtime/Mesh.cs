using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Materialize.Dataflow.Runtime;

// One TCP connection for each pair of processes; the one with the higher number connects. Frames of one worker to one process keep their order, which is all that progress tracking needs
// (see Tracker): data before the progress message that counts it is not needed even, but a worker's progress messages must come in order.
//
// Epochs. Workers hold half of a computation each: when a process dies, what the others hold is worth nothing. So a lost peer ends the epoch: every process's workers stop, and whoever started them starts all anew with a
// higher epoch. A hello with another epoch is refused, so that processes of two epochs never mix.

/// <summary>Which processes form a replica, and which of them this is.</summary>
/// <param name="Replica">Id of the replica; must agree.</param>
/// <param name="Epoch">Generation of the replica; must agree.</param>
/// <param name="Process">This process's number, from 0.</param>
/// <param name="Addresses">Where process i listens, for each i (port 2102 in a deployment).</param>
/// <param name="WorkersPerProcess">Must agree.</param>
public sealed record MeshOptions(string Replica, ulong Epoch, int Process, IReadOnlyList<EndPoint> Addresses, int WorkersPerProcess);

/// <summary>A peer process of the mesh is gone; the epoch is over.</summary>
public sealed class PeerLostException(int process, Exception? cause)
    : Exception($"process {process} of the replica is gone", cause)
{
    public int Process { get; } = process;
}

/// <summary>The workers of this process, joined with those of the replica's other processes.</summary>
public sealed class Mesh : IAsyncDisposable
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan KeepAliveInterval = TimeSpan.FromSeconds(1);

    // Much longer than any pause of a live process, on a machine with too much to do: what ends here is computed again from nothing.
    private static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(30);

    private readonly MeshOptions _options;
    private readonly Channel<byte[]> _control = Channel.CreateUnbounded<byte[]>();
    private readonly Connection?[] _connections;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Mesh(MeshOptions options)
    {
        _options = options;
        _connections = new Connection?[options.Addresses.Count];
        var peers = options.WorkersPerProcess * options.Addresses.Count;
        Group = new WorkerGroup(options.WorkersPerProcess, options.Process * options.WorkersPerProcess, peers, new Links(this), startThreads: false);
    }

    public WorkerGroup Group { get; }

    /// <summary>Faults with <see cref="PeerLostException"/> when a peer is gone: the workers stop getting anything, dispose and begin a new epoch. Completes when disposed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>What <see cref="SendControl"/> of other processes sent, each process's in its order; completes when the mesh is disposed.</summary>
    public ChannelReader<byte[]> Control => _control.Reader;

    /// <summary>Sends a message to every other process, behind what was sent before. Any thread; order is that of the calls.</summary>
    public void SendControl(ReadOnlySpan<byte> message)
    {
        var frame = MeshFrames.Control(message);
        foreach (var connection in _connections)
            connection?.Send(frame);
    }

    /// <summary>
    /// Listens, connects to all peers, and returns when all are there; waits as long as it takes. Worker threads are not started: <see cref="WorkerGroup.Start"/>.
    /// </summary>
    /// <remarks>A peer of another epoch is refused and tried again: it is what a dead epoch left behind, or is ahead of us, and then our caller gives up.</remarks>
    /// <param name="listener">Bound and listening at this process's address; not disposed.</param>
    /// <exception cref="InvalidDataException">A peer is of another version, replica or layout.</exception>
    public static async Task<Mesh> JoinAsync(MeshOptions options, Socket listener, CancellationToken cancel)
    {
        var mesh = new Mesh(options);
        try
        {
            for (var peer = 0; peer < options.Process; peer++)
                mesh._connections[peer] = await mesh.ConnectAsync(peer, cancel);
            while (Array.FindIndex(mesh._connections, options.Process + 1, static c => c is null) >= 0)
            {
                if (await mesh.AcceptAsync(listener, cancel) is { } connection)
                {
                    // The same peer again, in the same epoch: it gave its first attempt up.
                    if (mesh._connections[connection.Process] is { } stale)
                        await stale.CloseAsync();
                    mesh._connections[connection.Process] = connection;
                }
            }
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }

        foreach (var connection in mesh._connections)
            connection?.Start();
        return mesh;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var connection in _connections)
        {
            if (connection is not null)
                await connection.CloseAsync();
        }

        Group.Dispose();
        _control.Writer.TryComplete();
        _ended.TrySetResult();
        _ = _ended.Task.Exception; // observed: a caller who disposes knows
        _stop.Dispose();
    }

    private MeshHello Hello => new(_options.Replica, _options.Epoch, _options.Process, _options.Addresses.Count, _options.WorkersPerProcess);

    private async Task<Connection> ConnectAsync(int peer, CancellationToken cancel)
    {
        while (true)
        {
            var address = _options.Addresses[peer];
            var socket = address.AddressFamily == AddressFamily.Unix
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(address, cancel);
                var stream = new NetworkStream(socket, ownsSocket: true);
                var theirs = await GreetAsync(stream, cancel);
                if (theirs == (Hello with { Process = peer }))
                    return new Connection(this, peer, stream);
                await stream.DisposeAsync();
                if (theirs with { Process = peer, Epoch = _options.Epoch } != Hello with { Process = peer })
                    throw new InvalidDataException($"the peer at {address} is {theirs}, this process is {Hello}");
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                // Peers start in any order: it may not listen yet, or be about to end. The caller's token bounds the patience.
                socket.Dispose();
            }

            await Task.Delay(20, cancel);
        }
    }

    /// <summary>Null: not one that is awaited; it was turned away.</summary>
    private async Task<Connection?> AcceptAsync(Socket listener, CancellationToken cancel)
    {
        var socket = await listener.AcceptAsync(cancel);
        if (socket.AddressFamily != AddressFamily.Unix)
            socket.NoDelay = true;
        var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            var theirs = await GreetAsync(stream, cancel);
            if (theirs == Hello with { Process = theirs.Process } && theirs.Process > _options.Process && theirs.Process < _connections.Length)
                return new Connection(this, theirs.Process, stream);
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            // A stranger, or a peer that went away: others may still come.
        }

        await stream.DisposeAsync();
        return null;
    }

    private async Task<MeshHello> GreetAsync(NetworkStream stream, CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(HandshakeTimeout);
        try
        {
            await Hello.WriteAsync(stream, patience.Token);
            return await MeshHello.ReadAsync(stream, patience.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            await stream.DisposeAsync();
            throw new IOException("the peer does not answer");
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    private void Lose(int process, Exception? cause)
    {
        if (!_stop.IsCancellationRequested)
            _ended.TrySetException(new PeerLostException(process, cause));
    }

    /// <summary>One peer process: a task that writes queued frames, one that reads.</summary>
    private sealed class Connection(Mesh mesh, int process, NetworkStream stream)
    {
        private readonly Channel<byte[]> _outbox = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
        private Task _tasks = Task.CompletedTask;

        public int Process => process;

        // Bounded by credits: workers with too much under way hold back what makes data (Worker.IsCongested).
        public void Send(byte[] frame) => _outbox.Writer.TryWrite(frame);

        public void Start()
        {
            var cancel = mesh._stop.Token;
            _tasks = Task.WhenAll(GuardAsync(WriteAsync(cancel)), GuardAsync(ReadAsync(cancel)));
        }

        public async Task CloseAsync()
        {
            _outbox.Writer.TryComplete();
            await stream.DisposeAsync();
            await _tasks;
        }

        private async Task GuardAsync(Task loop)
        {
            try
            {
                await loop;
                mesh.Lose(process, null);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
            {
                mesh.Lose(process, e);
            }
            catch (Exception e)
            {
                mesh._ended.TrySetException(e); // a broken frame: our bug, or not our peer
            }
        }

        private async Task WriteAsync(CancellationToken cancel)
        {
            var writer = PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true));
            var reader = _outbox.Reader;
            var more = reader.WaitToReadAsync(cancel).AsTask();
            while (true)
            {
                try
                {
                    if (!await more.WaitAsync(KeepAliveInterval, cancel))
                        return;
                    more = reader.WaitToReadAsync(cancel).AsTask();
                }
                catch (TimeoutException)
                {
                    writer.Write(MeshFrames.KeepAlive);
                }

                while (reader.TryRead(out var frame))
                {
                    if (frame.Length > 64 * 1024)
                    {
                        await writer.FlushAsync(cancel);
                        await stream.WriteAsync(frame, cancel);
                    }
                    else
                    {
                        writer.Write(frame);
                        if (writer.UnflushedBytes > 64 * 1024)
                            await writer.FlushAsync(cancel);
                    }
                }

                await writer.FlushAsync(cancel);
            }
        }

        private async Task ReadAsync(CancellationToken cancel)
        {
            var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024, leaveOpen: true));
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            while (true)
            {
                silence.CancelAfter(SilenceMax);
                var read = await reader.ReadAsync(silence.Token);
                var buffer = read.Buffer;
                while (TryTakeFrame(ref buffer, out var frame))
                    Handle(frame);
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                    return;
            }
        }

        private static bool TryTakeFrame(ref ReadOnlySequence<byte> buffer, out byte[] frame)
        {
            frame = [];
            if (buffer.Length < 4)
                return false;
            Span<byte> header = stackalloc byte[4];
            buffer.Slice(0, 4).CopyTo(header);
            var length = BinaryPrimitives.ReadInt32LittleEndian(header);
            if (length is < 1 or > MeshFrames.BytesMax)
                throw new InvalidDataException($"a frame of {length} bytes");
            if (buffer.Length < 4 + length)
                return false;
            frame = buffer.Slice(4, length).ToArray();
            buffer = buffer.Slice(4 + length);
            return true;
        }

        private void Handle(byte[] frame)
        {
            var body = frame.AsSpan(1);
            var workers = mesh.Group.Workers;
            var first = mesh._options.Process * mesh._options.WorkersPerProcess;
            switch ((FrameKind)frame[0])
            {
                case FrameKind.Progress:
                    var progress = MeshFrames.ReadProgress(body);
                    foreach (var worker in workers)
                        worker.Deliver(progress);
                    break;
                case FrameKind.Data:
                    var (to, item) = MeshFrames.ReadData(body, first, workers.Count, mesh._options.WorkersPerProcess * mesh._options.Addresses.Count);
                    workers[to].Deliver(item);
                    break;
                case FrameKind.Credit:
                    var (creditor, bytes) = MeshFrames.ReadCredit(body, first, workers.Count);
                    workers[creditor].ReturnCredit(bytes);
                    break;
                case FrameKind.Control:
                    mesh._control.Writer.TryWrite(body.ToArray());
                    break;
                case FrameKind.KeepAlive:
                    break;
                default:
                    throw new InvalidDataException($"a frame of kind {frame[0]}");
            }
        }
    }

    private sealed class Links(Mesh mesh) : IWorkerLinks
    {
        private int PerProcess => mesh._options.WorkersPerProcess;

        public void BroadcastProgress(int from, int dataflow, (int Place, Stamp Stamp, long Count)[] changes)
        {
            var item = new InboxItem.Progress(dataflow, changes);
            foreach (var worker in mesh.Group.Workers)
            {
                if (worker.Index != from)
                    worker.Deliver(item);
            }

            var frame = MeshFrames.Progress(from, dataflow, changes);
            foreach (var connection in mesh._connections)
                connection?.Send(frame);
        }

        public void SendData(int from, int to, int dataflow, int place, IMessage message)
        {
            var local = mesh.Group.Workers;
            var sender = local[from % PerProcess];
            if (to / PerProcess == mesh._options.Process)
            {
                sender.UseCredit(message.Bytes);
                local[to % PerProcess].Deliver(new InboxItem.Data(dataflow, place, message, sender));
                return;
            }

            var batch = message.Encode();
            message.Release();
            sender.UseCredit(batch.Length);
            mesh._connections[to / PerProcess]!.Send(MeshFrames.Data(from, to, dataflow, place, batch));
        }

        public void ReturnRemoteCredit(int worker, long bytes) => mesh._connections[worker / PerProcess]?.Send(MeshFrames.Credit(worker, bytes));
    }
}
