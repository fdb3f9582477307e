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
    private readonly MeshOptions _options;
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

    /// <summary>Listens, connects to all peers, and returns when all are there. Worker threads are not started: <see cref="WorkerGroup.Start"/>.</summary>
    /// <param name="listener">Bound and listening at this process's address; not disposed.</param>
    /// <exception cref="InvalidDataException">A peer is of another version, replica or epoch.</exception>
    public static async Task<Mesh> JoinAsync(MeshOptions options, Socket listener, CancellationToken cancel)
    {
        var mesh = new Mesh(options);
        try
        {
            for (var peer = 0; peer < options.Process; peer++)
                mesh.Add(await mesh.ConnectAsync(options.Addresses[peer], cancel));
            while (Array.FindIndex(mesh._connections, options.Process + 1, static c => c is null) >= 0)
                mesh.Add(await mesh.AcceptAsync(listener, cancel));
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
        _ended.TrySetResult();
        _ = _ended.Task.Exception; // observed: a caller who disposes knows
        _stop.Dispose();
    }

    private MeshHello Hello => new(_options.Replica, _options.Epoch, _options.Process, _options.Addresses.Count, _options.WorkersPerProcess);

    private async Task<(int Process, Socket Socket, NetworkStream Stream)> ConnectAsync(EndPoint address, CancellationToken cancel)
    {
        while (true)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(address, cancel);
            }
            catch (SocketException)
            {
                // Peers start in any order: it may not listen yet. The caller's token bounds the patience.
                socket.Dispose();
                await Task.Delay(20, cancel);
                continue;
            }

            return await GreetAsync(socket, cancel);
        }
    }

    private async Task<(int Process, Socket Socket, NetworkStream Stream)> AcceptAsync(Socket listener, CancellationToken cancel)
    {
        var socket = await listener.AcceptAsync(cancel);
        socket.NoDelay = true;
        return await GreetAsync(socket, cancel);
    }

    private async Task<(int Process, Socket Socket, NetworkStream Stream)> GreetAsync(Socket socket, CancellationToken cancel)
    {
        var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            await Hello.WriteAsync(stream, cancel);
            var theirs = await MeshHello.ReadAsync(stream, cancel);
            if (theirs with { Process = _options.Process } != Hello || (uint)theirs.Process >= (uint)_connections.Length || theirs.Process == _options.Process)
                throw new InvalidDataException($"the peer is {theirs}, this process is {Hello}");
            return (theirs.Process, socket, stream);
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    private void Add((int Process, Socket Socket, NetworkStream Stream) peer)
    {
        if (_connections[peer.Process] is not null)
            throw new InvalidDataException($"two connections of process {peer.Process}");
        _connections[peer.Process] = new Connection(this, peer.Process, peer.Stream);
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
            while (await reader.WaitToReadAsync(cancel))
            {
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
            while (true)
            {
                var read = await reader.ReadAsync(cancel);
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
