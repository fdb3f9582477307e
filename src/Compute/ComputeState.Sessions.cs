// A replica of several processes. The controller connects to each of them and says Hello with one nonce; everything else it tells
// process 0 only, which passes it on to the others, so that all see one order and build the same dataflows. Each process answers for
// itself; what is global, frontiers and subscribes, worker 0 says.
//
// The first Hello also brings the processes together: its nonce is the epoch of their mesh. A process that has lost a peer ends, and so do all
// the others: the next Hello finds only fresh ones, and a stale one, which has another nonce, cannot join them. A later Hello to processes
// that have their mesh is a new session only: a controller that comes back finds its dataflows.

using System.Threading.Channels;
using Materialize.Compute.Workers;
using Materialize.Dataflow.Runtime;
using Materialize.Protocol;

namespace Materialize.Compute;

public sealed partial class ComputeState
{
    private const int CommandsAtOnceMax = 64;

    private readonly Lock _sessionGate = new();   // Over _sessions: connections come while process 0 is followed.
    private readonly Dictionary<Guid, ResponseSession> _sessions = [];
    private Mesh? _mesh;
    private Task _following = Task.CompletedTask;

    /// <summary>Talks to one controller until its connection closes. One call at a time.</summary>
    public async Task ServeAsync(CommandConnection<ComputeResponse, ComputeCommand> connection, CancellationToken cancel)
    {
        if (await connection.ReceiveAsync(cancel) is not ComputeCommand.Hello hello)
            return;
        var session = LeadsReplica ? new ResponseSession(connection.TrySend) : EnterSession(hello.Nonce);
        using var closed = CancellationTokenSource.CreateLinkedTokenSource(cancel);

        // What receives a command also carries it out, when nothing is waited for.
        var commands = Channel.CreateUnbounded<List<ComputeCommand>>(new() { SingleReader = true, AllowSynchronousContinuations = true });
        var receiving = ReceiveAsync(connection, commands.Writer, closed);
        var sending = SendAsync(session, connection, cancel);
        try
        {
            if (!await JoinAsync(hello.Nonce, closed.Token))
                return;
            if (LeadsReplica)
                await LeadAsync(hello, commands.Reader, session);
            else
                await receiving;
        }
        finally
        {
            session.Close();
            await closed.CancelAsync();
            await sending;
            await receiving;
            LeaveSession(hello.Nonce, session);
        }
    }

    private static async Task SendAsync(
        ResponseSession session, CommandConnection<ComputeResponse, ComputeCommand> connection, CancellationToken cancel)
    {
        try
        {
            while (await session.Responses.WaitToReadAsync(cancel))
            {
                while (session.Responses.TryRead(out var response))
                {
                    await connection.SendAsync(response, cancel);
                    session.Sent();
                }
            }
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            // The receiving side ends the session.
        }
    }

    /// <summary>
    /// Reads ahead, so that a connection that is lost is noticed while peers are waited for. What is here at one time is handed on together: waking a worker
    /// for each of many small peeks takes longer than answering them.
    /// </summary>
    private static async Task ReceiveAsync(
        CommandConnection<ComputeResponse, ComputeCommand> connection, ChannelWriter<List<ComputeCommand>> commands, CancellationTokenSource closed)
    {
        var batch = new List<ComputeCommand>();
        try
        {
            while (true)
            {
                var next = connection.ReceiveAsync(closed.Token);
                if (batch.Count > 0 && (!next.IsCompleted || batch.Count >= CommandsAtOnceMax))
                {
                    commands.TryWrite(batch);
                    batch = [];
                }

                if (await next is not { } command)
                    break;
                batch.Add(command);
            }
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            // As good as closed.
        }

        commands.TryWrite(batch);
        commands.Complete();
        await closed.CancelAsync();
    }

    private async Task LeadAsync(ComputeCommand.Hello hello, ChannelReader<List<ComputeCommand>> commands, ResponseSession session)
    {
        // The history comes first and takes effect as a whole, so that nothing that is still wanted is dropped on the way.
        var history = new List<ComputeCommand>();
        var isComplete = false;
        await foreach (var batch in commands.ReadAllAsync(CancellationToken.None))
        {
            foreach (var command in batch)
            {
                if (isComplete)
                {
                    PassOn(command);
                    Apply(command, session);
                }
                else if (command is ComputeCommand.InitializationComplete)
                {
                    isComplete = true;
                    PassOn(hello);
                    history.ForEach(PassOn);
                    PassOn(command);
                    Reconcile(history, session);
                }
                else
                {
                    history.Add(command);
                }
            }

            PostPeeks();
        }
    }

    private void PassOn(ComputeCommand command) => _mesh?.SendControl(ProtocolCodecs.ComputeCommands.Encode(command).Span);

    /// <summary>Does as process 0 does, until the mesh ends.</summary>
    private async Task FollowAsync(Mesh mesh)
    {
        List<ComputeCommand>? history = null;
        var session = new ResponseSession();
        try
        {
            await foreach (var bytes in mesh.Control.ReadAllAsync())
            {
                switch (ProtocolCodecs.ComputeCommands.Decode(bytes))
                {
                    case ComputeCommand.Hello hello:
                        session = EnterSession(hello.Nonce, isCurrent: true);
                        history = [];
                        break;
                    case ComputeCommand.InitializationComplete when history is not null:
                        Reconcile(history, session);
                        history = null;
                        break;
                    case var command when history is not null:
                        history.Add(command);
                        break;
                    case var command:
                        Apply(command, session);
                        break;
                }

                PostPeeks();
            }
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    /// <summary>The session of this nonce, whether the connection or process 0 mentions it first.</summary>
    private ResponseSession EnterSession(Guid nonce, bool isCurrent = false)
    {
        lock (_sessionGate)
        {
            if (!_sessions.TryGetValue(nonce, out var session))
                session = new ResponseSession();
            if (isCurrent)
                _sessions.Clear();
            return _sessions[nonce] = session;
        }
    }

    private void LeaveSession(Guid nonce, ResponseSession session)
    {
        lock (_sessionGate)
        {
            if (_sessions.TryGetValue(nonce, out var current) && current == session)
                _sessions.Remove(nonce);
        }
    }

    /// <summary>Brings the workers of all processes together, once. False if the connection was lost before they were.</summary>
    private async Task<bool> JoinAsync(Guid nonce, CancellationToken closed)
    {
        if (_workers is not null)
            return true;
        var options = _options.Mesh!;
        try
        {
            await using var network = await MeshNetwork.ListenAsync(options, closed);
            var epoch = BitConverter.ToUInt64(nonce.ToByteArray());
            _mesh = await Mesh.JoinAsync(new MeshOptions(options.Replica, epoch, options.Process, options.Addresses.Count, _options.Workers), network, closed);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            Fail(e);
            return false;
        }

        _workers = new WorkerThreads(_mesh.Group, _options.PinWorkers, _options.Time, Fail);
        LogJoined(options.Process, options.Addresses.Count);
        _ = WatchAsync(_mesh);
        if (!LeadsReplica)
            _following = FollowAsync(_mesh);
        return true;
    }

    private async Task WatchAsync(Mesh mesh)
    {
        try
        {
            await mesh.Ended;
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private async Task LeaveAsync()
    {
        if (_mesh is null)
            return;
        await _mesh.DisposeAsync();
        await _following;
    }

    [Microsoft.Extensions.Logging.LoggerMessage(Level = Microsoft.Extensions.Logging.LogLevel.Information, Message = "process {Process} has joined the replica's {Processes} processes")]
    private partial void LogJoined(int process, int processes);
}
