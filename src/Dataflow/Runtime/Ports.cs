using Materialize.Core.Rows;
using Materialize.Dataflow.Progress;

namespace Materialize.Dataflow.Runtime;

/// <summary>Ports in the order in which they were connected. There are thousands of these, nearly all of one port or none: none take no memory, one no more than it needs.</summary>
internal struct PortList<TPort> where TPort : class
{
    private TPort[]? _ports;
    private int _count;

    public readonly ReadOnlySpan<TPort> Ports => new(_ports, 0, _count);

    public void Add(TPort port)
    {
        if (_ports is null)
            _ports = new TPort[1];
        else if (_count == _ports.Length)
            Array.Resize(ref _ports, _count * 2);
        _ports[_count++] = port;
    }
}

/// <summary>Where messages wait for an operator at this worker, and what may still come there.</summary>
internal abstract class InputPort
{
    private PortList<OutputPort> _sources;

    protected InputPort(Operator owner)
    {
        Owner = owner;
        MessagePlace = owner.Graph.Tracker.NewPlace(owner);
        owner.Add(this);
        Sent = new Traffic[owner.Graph.Worker.Peers];
        Received = Sent.Length == 1 ? Sent : new Traffic[Sent.Length];
        IsCountedEverywhere = Sent.Length == 1 || owner.SeesAllWorkers;
        Waiting = IsCountedEverywhere ? MessagePlace : new StampCounts();
    }

    /// <summary>What this worker sent here, by the worker that it went to.</summary>
    public Traffic[] Sent { get; }

    /// <summary>What came from other workers, by worker.</summary>
    public Traffic[] Received { get; }

    public Operator Owner { get; }

    /// <summary>Messages for this input at any worker.</summary>
    public Place MessagePlace { get; }

    /// <summary>Times of what must be taken before the frontier moves: what waits at this worker, or at any (<see cref="Operator.SeesAllWorkers"/>).</summary>
    public StampCounts Waiting { get; }

    /// <summary>Whether the frontier is that of all workers.</summary>
    public bool IsCountedEverywhere { get; }

    /// <summary>What sends here.</summary>
    public ReadOnlySpan<OutputPort> Sources => _sources.Ports;

    /// <summary>The least time that may still come to this worker, messages already waiting included. Those of its peers may still have more to do.</summary>
    public Stamp FrontierStamp { get; set; } = new(0, 0);

    public bool FrontierKnown { get; set; }

    public abstract bool IsEmpty { get; }

    /// <summary>The least time of what waits; looks at all of it.</summary>
    public abstract Stamp LeastWaiting { get; }

    /// <summary>Takes over a reference to a message that was counted by its sender.</summary>
    public abstract void Receive(Message message);

    /// <summary><see cref="Receive(Message)"/> of what another worker sent.</summary>
    public void Receive(Message message, int from)
    {
        Received[from].Add(message.Updates);
        Receive(message);
    }

    public abstract void DropMessages();

    protected void Connect(OutputPort source)
    {
        source.Add(this);
        _sources.Add(source);
    }

    protected void NoteWaiting(Stamp stamp)
    {
        if (!IsCountedEverywhere)
            Waiting.Update(stamp, 1);
    }

    protected void NoteTaken(Stamp stamp)
    {
        if (!IsCountedEverywhere)
        {
            var min = Waiting.Min;
            if (Waiting.Update(stamp, -1) && Waiting.Min > min)
                Owner.Graph.Tracker.MarkDirty(Owner);
        }

        MessagePlace.Add(stamp, -1);
    }

    /// <summary>Counts what waits.</summary>
    public abstract void Measure(StateMeter meter);

    /// <summary>Reads a message from a peer process.</summary>
    public abstract Message Decode(ReadOnlySpan<byte> bytes);
}

/// <summary>An input for messages of one kind.</summary>
/// <param name="owner">The operator that takes them.</param>
/// <param name="decode">How they are read when they come from another process; null if they do not.</param>
/// <param name="shape">The rows of theirs.</param>
internal sealed class InputPort<TMessage>(Operator owner, MessageDecoder<TMessage>? decode = null, RowShape shape = default) : InputPort(owner) where TMessage : Message
{
    private readonly Queue<TMessage> _queue = new();

    public override bool IsEmpty => _queue.Count == 0;

    public override Stamp LeastWaiting
    {
        get
        {
            var least = Stamp.Closed;
            foreach (var message in _queue)
                least = Stamp.Min(least, message.MinStamp);
            return least;
        }
    }

    public void Connect(OutputPort<TMessage> source) => base.Connect(source);

    /// <summary>The next message; the caller takes over the reference, and from here until the end of its run may send at the message's times.</summary>
    public bool TryTake(out TMessage message)
    {
        if (!_queue.TryDequeue(out message!))
            return false;
        var stamp = message.MinStamp;
        NoteTaken(stamp);
        Owner.NoteTaken(stamp);
        Owner.RowsIn += message.Updates;
        return true;
    }

    public bool TryPeek(out TMessage message) => _queue.TryPeek(out message!);

    public override void Receive(Message message)
    {
        _queue.Enqueue((TMessage)message);
        NoteWaiting(message.MinStamp);
        Owner.Activate();
    }

    public override void DropMessages()
    {
        while (_queue.TryDequeue(out var message))
            message.Release();
    }

    public override void Measure(StateMeter meter)
    {
        foreach (var message in _queue)
            message.Measure(meter);
    }

    public override Message Decode(ReadOnlySpan<byte> bytes) =>
        decode is null ? throw new InvalidOperationException($"{Owner.Name} takes no messages from other processes") : decode(bytes, shape);
}

/// <summary>Reads a message with rows of <paramref name="shape"/>.</summary>
/// <exception cref="InvalidDataException">It is not one.</exception>
internal delegate TMessage MessageDecoder<out TMessage>(ReadOnlySpan<byte> bytes, RowShape shape);

/// <summary>Where an operator sends; knows who listens.</summary>
internal abstract class OutputPort
{
    private PortList<InputPort> _targets;

    protected OutputPort(Operator owner)
    {
        Owner = owner;
        owner.Add(this);
    }

    public Operator Owner { get; }

    /// <summary>What is sent to.</summary>
    public ReadOnlySpan<InputPort> Targets => _targets.Ports;

    public void Add(InputPort target) => _targets.Add(target);
}

/// <summary>An output of messages of one kind.</summary>
internal sealed class OutputPort<TMessage>(Operator owner) : OutputPort(owner) where TMessage : Message
{
    /// <summary>Sends to the listeners at this worker. Takes over the caller's reference; null is nothing.</summary>
    public void Send(TMessage? message)
    {
        if (message is null)
            return;
        var stamp = message.MinStamp;
        var updates = message.Updates;
        Owner.RowsOut += updates;
        Owner.CheckMaySend(stamp);
        var targets = Targets;
        if (targets.IsEmpty)
        {
            message.Release();
            return;
        }

        for (var i = 1; i < targets.Length; i++)
            message.AddReference();
        var self = Owner.Graph.Worker.Index;
        foreach (var target in targets)
        {
            target.Sent[self].Add(updates);
            target.MessagePlace.Add(stamp, 1);
            target.Receive(message);
        }
    }

    /// <summary>Sends to the listeners at worker <paramref name="peer"/>.</summary>
    public void SendTo(int peer, TMessage? message)
    {
        if (message is null)
            return;
        var worker = Owner.Graph.Worker;
        if (peer == worker.Index)
        {
            Send(message);
            return;
        }

        Owner.RowsOut += message.Updates;
        Owner.CheckMaySend(message.MinStamp);
        var stamp = message.MinStamp;
        var targets = Targets;
        for (var i = 1; i < targets.Length; i++)
            message.AddReference();
        if (targets.IsEmpty)
            message.Release();
        foreach (var target in targets)
        {
            target.Sent[peer].Add(message.Updates);
            target.MessagePlace.Add(stamp, 1);
            worker.SendData(peer, Owner.Graph.Id, target.MessagePlace.Id, message);
        }
    }
}
