using System.Buffers;
using System.IO.Pipelines;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>
/// Byte streams between simulated processes. A direction of a link keeps its bytes in order and moves as many at a time as the seed says, frames cut anywhere; directions and links are
/// independent of each other. Buffers are small, so that writers have to wait.
/// </summary>
internal sealed class SimNetwork(Simulator simulator)
{
    private readonly Dictionary<int, Listener> _listeners = [];
    private readonly List<(SimProcess A, SimProcess B, Wire AToB, Wire BToA)> _links = [];

    public IMeshNetwork EndOf(SimProcess process)
    {
        _listeners[process.Index] = new Listener();
        return new End(this, process);
    }

    /// <summary>The process is gone: what it sent may still arrive, in part or all; what is for it goes nowhere.</summary>
    public void Kill(SimProcess process)
    {
        _listeners.Remove(process.Index);
        foreach (var (a, b, aToB, bToA) in _links)
        {
            if (a != process && b != process)
                continue;
            var (from, to) = a == process ? (aToB, bToA) : (bToA, aToB);
            to.Reset();
            if (simulator.Random.Next(2) == 0)
                from.EndOfInput();
            else
                from.Break();
        }
    }

    /// <summary>One of the links breaks, both ways.</summary>
    public void CutOne()
    {
        _links.RemoveAll(l => l.AToB.IsGone && l.BToA.IsGone);
        if (_links.Count == 0)
            return;
        var (_, _, aToB, bToA) = _links[simulator.Random.Next(_links.Count)];
        aToB.Break();
        bToA.Break();
    }

    private Pipe[] Pipes(SimContext writer, SimContext reader)
    {
        var limit = 64 << simulator.Random.Next(12);
        return
        [
            new Pipe(new PipeOptions(null, PipeScheduler.Inline, writer.Scheduler, limit, limit / 2, useSynchronizationContext: false)),
            new Pipe(new PipeOptions(null, reader.Scheduler, PipeScheduler.Inline, limit, limit / 2, useSynchronizationContext: false)),
        ];
    }

    private sealed class Listener
    {
        public Queue<IMeshLink> Waiting { get; } = new();

        public TaskCompletionSource<IMeshLink>? Acceptor { get; set; }
    }

    private sealed class End(SimNetwork network, SimProcess process) : IMeshNetwork
    {
        public ValueTask<IMeshLink> ConnectAsync(int peer, CancellationToken cancel)
        {
            cancel.ThrowIfCancellationRequested();
            var simulator = network.Simulator;
            var other = simulator.Processes[peer];
            if (!network._listeners.TryGetValue(peer, out var listener) || simulator.Random.Next(16) == 0)
                throw new IOException("nobody listens");
            var there = network.Pipes(process.Context, other.Context);
            var back = network.Pipes(other.Context, process.Context);
            var (toPeer, fromPeer) = (new Wire(simulator, process, other, there[0], there[1]), new Wire(simulator, other, process, back[0], back[1]));
            network._links.Add((process, other, toPeer, fromPeer));
            simulator.Add(toPeer);
            simulator.Add(fromPeer);
            simulator.Trace.Add("connect", process.Index, peer);
            var far = new Link(fromPeer, toPeer);
            if (listener.Acceptor is not { } acceptor || !acceptor.TrySetResult(far))
                listener.Waiting.Enqueue(far);
            listener.Acceptor = null;
            return ValueTask.FromResult<IMeshLink>(new Link(toPeer, fromPeer));
        }

        public ValueTask<IMeshLink> AcceptAsync(CancellationToken cancel)
        {
            cancel.ThrowIfCancellationRequested();
            var listener = network._listeners[process.Index];
            if (listener.Waiting.TryDequeue(out var link))
                return ValueTask.FromResult(link);
            var acceptor = new TaskCompletionSource<IMeshLink>(TaskCreationOptions.RunContinuationsAsynchronously);
            listener.Acceptor = acceptor;
            cancel.Register(() => acceptor.TrySetCanceled(cancel));
            return new ValueTask<IMeshLink>(acceptor.Task);
        }
    }

    private Simulator Simulator => simulator;

    private sealed class Link(Wire output, Wire input) : IMeshLink
    {
        public PipeReader Input => input.Far;

        public PipeWriter Output => output.Near;

        public ValueTask DisposeAsync()
        {
            output.EndOfInput();
            input.Far.Complete();
            input.Reset();
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>One direction of a link.</summary>
internal sealed class Wire(Simulator simulator, SimProcess from, SimProcess to, Pipe near, Pipe far) : Actor
{
    private ValueTask<FlushResult> _flush = ValueTask.FromResult(default(FlushResult));

    public PipeWriter Near => near.Writer;

    public PipeReader Far => far.Reader;

    public override bool CanAct
    {
        get
        {
            if (IsGone || !_flush.IsCompleted || !near.Reader.TryRead(out var read))
                return false;
            near.Reader.AdvanceTo(read.Buffer.Start, read.Buffer.Start);
            return true;
        }
    }

    public override void Act()
    {
        near.Reader.TryRead(out var read);
        var bytes = read.Buffer.Length;
        if (bytes > 1 && simulator.Random.Next(3) == 0)
            bytes = simulator.Random.NextInt64(1, bytes);
        simulator.Trace.Add("carry", from.Index, to.Index, bytes);
        var carried = read.Buffer.Slice(0, bytes);
        foreach (var part in carried)
            far.Writer.Write(part.Span);

        var isEnd = read.IsCompleted && bytes == read.Buffer.Length;
        near.Reader.AdvanceTo(carried.End);
        if (bytes > 0)
            _flush = far.Writer.FlushAsync();
        if (isEnd)
        {
            near.Reader.Complete();
            far.Writer.Complete();
            IsGone = true;
        }
    }

    /// <summary>The sender says no more; what it said arrives.</summary>
    public void EndOfInput() => near.Writer.Complete();

    /// <summary>The receiver is gone: the sender's writes fail.</summary>
    public void Reset()
    {
        if (IsGone)
            return;
        IsGone = true;
        near.Reader.Complete(new IOException("the connection was reset"));
        far.Writer.Complete();
    }

    /// <summary>What is under way is lost, and both ends learn of it.</summary>
    public void Break()
    {
        if (IsGone)
            return;
        IsGone = true;
        near.Reader.Complete(new IOException("the connection was reset"));
        far.Writer.Complete(new IOException("the connection was reset"));
    }
}
