using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Threading.Channels;

namespace Materialize.Dataflow.Runtime;

// One connection for each pair of processes; the one with the higher number connects. Frames of one worker to one process keep their order, which is all that progress tracking needs
// (see Tracker): data before the progress message that counts it is not needed even, but a worker's progress messages must come in order.
//
// Epochs. Workers hold half of a computation each: when a process dies, what the others hold is worth nothing. So a lost peer ends the epoch: every process's workers stop, and whoever started them starts all anew with a
// higher epoch. A hello with another epoch is refused, so that processes of two epochs never mix.

/// <summary>Which processes form a replica, and which of them this is.</summary>
/// <param name="Replica">Id of the replica; must agree.</param>
/// <param name="Epoch">Generation of the replica; must agree.</param>
/// <param name="Process">This process's number, from 0.</param>
/// <param name="Processes">How many there are; must agree.</param>
/// <param name="WorkersPerProcess">Must agree.</param>
public sealed record MeshOptions(string Replica, ulong Epoch, int Process, int Processes, int WorkersPerProcess)
{
    /// <summary>What keep-alives, time limits and new attempts go by.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    internal WorkerSettings Workers { get; init; } = WorkerSettings.Default;
}

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
        _connections = new Connection?[options.Processes];
        var peers = options.WorkersPerProcess * options.Processes;
        Group = new WorkerGroup(options.WorkersPerProcess, options.Process * options.WorkersPerProcess, peers, new Links(this), options.Workers, startThreads: false);
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
    /// Connects to all peers and lets them connect, and returns when all are there; waits as long as it takes. Worker threads are not started: <see cref="WorkerGroup.Start"/>.
    /// </summary>
    /// <remarks>
    /// A peer of another epoch is refused and tried again: it is what a dead epoch left behind, or is ahead of us, and then our caller gives up. Strangers
    /// who connect are turned away, and one that says nothing keeps nobody waiting.
    /// </remarks>
    /// <exception cref="InvalidDataException">A peer is of another version, replica or layout.</exception>
    public static async Task<Mesh> JoinAsync(MeshOptions options, IMeshNetwork network, CancellationToken cancel)
    {
        var mesh = new Mesh(options);
        try
        {
            for (var peer = 0; peer < options.Process; peer++)
                mesh._connections[peer] = await mesh.ConnectAsync(network, peer, cancel);
            await mesh.AcceptPeersAsync(network, cancel);
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
        _stop.Cancel();
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

    private MeshHello Hello => new(_options.Replica, _options.Epoch, _options.Process, _options.Processes, _options.WorkersPerProcess);

    private async Task<Connection> ConnectAsync(IMeshNetwork network, int peer, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                var link = await network.ConnectAsync(peer, cancel);
                var theirs = await GreetAsync(link, cancel);
                if (theirs == (Hello with { Process = peer }))
                    return new Connection(this, peer, link);
                await link.DisposeAsync();
                if (theirs with { Process = peer, Epoch = _options.Epoch } != Hello with { Process = peer })
                    throw new InvalidDataException($"the peer is {theirs}, this process is {Hello}");
            }
            catch (IOException)
            {
                // Peers start in any order: it may not listen yet, or be about to end. The caller's token bounds the patience.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), _options.Clock, cancel);
        }
    }

    /// <summary>Lets all peers with higher numbers in. Greets many at once: one that says nothing is waited for only by itself.</summary>
    private async Task AcceptPeersAsync(IMeshNetwork network, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var greeted = Channel.CreateUnbounded<(int Order, Connection Connection)>();
        var orders = new int[_connections.Length];
        var greetings = new List<Task>();
        var accepting = Task.CompletedTask;
        try
        {
            if (Array.FindIndex(_connections, _options.Process + 1, static c => c is null) >= 0)
                accepting = AcceptAllAsync();
            while (Array.FindIndex(_connections, _options.Process + 1, static c => c is null) >= 0)
            {
                var (order, connection) = await greeted.Reader.ReadAsync(cancel);

                // The same peer again, in the same epoch: it gave the attempt up that came first.
                var peer = connection.Process;
                if (order < orders[peer])
                {
                    await connection.CloseAsync();
                    continue;
                }

                if (_connections[peer] is { } stale)
                    await stale.CloseAsync();
                (_connections[peer], orders[peer]) = (connection, order);
            }
        }
        catch (ChannelClosedException e) when (e.InnerException is { } cause)
        {
            throw new IOException("peers cannot connect any more", cause);
        }
        finally
        {
            stop.Cancel();
            await accepting;
            await Task.WhenAll(greetings);
            while (greeted.Reader.TryRead(out var late))
                await late.Connection.CloseAsync();
        }

        async Task AcceptAllAsync()
        {
            try
            {
                for (var order = 1; ; order++)
                {
                    var link = await network.AcceptAsync(stop.Token);
                    greetings.RemoveAll(g => g.IsCompleted);
                    greetings.Add(LetInAsync(order, link));
                }
            }
            catch (OperationCanceledException)
            {
                // All are here, or our caller has given up.
            }
            catch (Exception e)
            {
                greeted.Writer.TryComplete(e);
            }
        }

        async Task LetInAsync(int order, IMeshLink link)
        {
            try
            {
                var theirs = await GreetAsync(link, stop.Token);
                if (theirs == Hello with { Process = theirs.Process } && theirs.Process > _options.Process && theirs.Process < _connections.Length)
                {
                    greeted.Writer.TryWrite((order, new Connection(this, theirs.Process, link)));
                    return;
                }

                await link.DisposeAsync();
            }
            catch (Exception e) when (e is IOException or InvalidDataException or OperationCanceledException)
            {
                // A stranger, or a peer that went away: others may still come.
            }
        }
    }

    /// <summary>Both say who they are. The link is disposed of when that fails.</summary>
    private async Task<MeshHello> GreetAsync(IMeshLink link, CancellationToken cancel)
    {
        using var silence = new CancellationTokenSource(HandshakeTimeout, _options.Clock);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel, silence.Token);
        try
        {
            await Hello.WriteAsync(link.Output, patience.Token);
            return await MeshHello.ReadAsync(link.Input, patience.Token);
        }
        catch (Exception e)
        {
            await link.DisposeAsync();
            if (e is OperationCanceledException && !cancel.IsCancellationRequested)
                throw new IOException("the peer does not answer");
            throw;
        }
    }

    private void Lose(int process, Exception? cause)
    {
        if (!_stop.IsCancellationRequested)
            _ended.TrySetException(new PeerLostException(process, cause));
    }

    /// <summary>One peer process: a task that writes queued frames, one that reads.</summary>
    private sealed class Connection(Mesh mesh, int process, IMeshLink link)
    {
        private readonly Channel<byte[]> _outbox = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
        private Task _tasks = Task.CompletedTask;
        private ITimer? _keepAlive;

        public int Process => process;

        // Bounded by credits: workers with too much under way hold back what makes data (Worker.IsCongested).
        public void Send(byte[] frame) => _outbox.Writer.TryWrite(frame);

        public void Start()
        {
            var cancel = mesh._stop.Token;
            _tasks = Task.WhenAll(GuardAsync(WriteAsync(cancel)), GuardAsync(ReadAsync(cancel)));
            _keepAlive = mesh._options.Clock.CreateTimer(static c => ((Connection)c!).Send(MeshFrames.KeepAlive), this, KeepAliveInterval, KeepAliveInterval);
        }

        /// <summary>Once the mesh stops, or before <see cref="Start"/>.</summary>
        public async Task CloseAsync()
        {
            _keepAlive?.Dispose();
            _outbox.Writer.TryComplete();
            await _tasks;
            await link.DisposeAsync();
        }

        private async Task GuardAsync(Task loop)
        {
            try
            {
                await loop;
                mesh.Lose(process, null);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
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
            var writer = link.Output;
            var reader = _outbox.Reader;
            while (await reader.WaitToReadAsync(cancel))
            {
                while (reader.TryRead(out var frame))
                {
                    if (frame.Length > 64 * 1024)
                    {
                        await writer.FlushAsync(cancel);
                        await writer.WriteAsync(frame, cancel);
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
            var reader = link.Input;
            using var silence = new CancellationTokenSource(SilenceMax, mesh._options.Clock);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel, silence.Token);
            while (true)
            {
                silence.CancelAfter(SilenceMax);
                var read = await reader.ReadAsync(end.Token);
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
                    var (to, item) = MeshFrames.ReadData(body, first, workers.Count, mesh._options.WorkersPerProcess * mesh._options.Processes);
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
            var item = new InboxItem.Progress(from, dataflow, changes);
            foreach (var worker in mesh.Group.Workers)
            {
                if (worker.Index != from)
                    worker.Deliver(item);
            }

            var frame = MeshFrames.Progress(from, dataflow, changes);
            foreach (var connection in mesh._connections)
                connection?.Send(frame);
        }

        public void SendData(int from, int to, int dataflow, int place, Message message)
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
