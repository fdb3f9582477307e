using Materialize.Dataflow.Progress;

namespace Materialize.Dataflow.Runtime;

/// <summary>Where messages wait for an operator at this worker, and what may still come there.</summary>
internal abstract class InputPort
{
    protected InputPort(Operator owner)
    {
        Owner = owner;
        MessagePlace = owner.Graph.Tracker.NewPlace(owner);
        owner.Inputs.Add(this);
        Sent = new Traffic[owner.Graph.Worker.Peers];
        Received = Sent.Length == 1 ? Sent : new Traffic[Sent.Length];
        IsCountedEverywhere = Sent.Length == 1 || owner.SeesAllWorkers;
        Waiting = IsCountedEverywhere ? MessagePlace.Counts : new StampCounts();
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

    public List<OutputPort> Sources { get; } = [];

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
internal sealed class InputPort<TMessage> : InputPort where TMessage : Message
{
    private readonly Queue<TMessage> _queue = new();
    private readonly MessageDecoder<TMessage>? _decode;

    public InputPort(Operator owner, MessageDecoder<TMessage>? decode = null)
        : base(owner)
    {
        _decode = decode;
    }

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

    public void Connect(OutputPort<TMessage> source)
    {
        source.Targets.Add(this);
        source.TargetPorts.Add(this);
        Sources.Add(source);
    }

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
        _decode is null ? throw new InvalidOperationException($"{Owner.Name} takes no messages from other processes") : _decode(bytes);
}

internal delegate TMessage MessageDecoder<out TMessage>(ReadOnlySpan<byte> bytes);

/// <summary>Where an operator sends; knows who listens.</summary>
internal abstract class OutputPort
{
    protected OutputPort(Operator owner)
    {
        Owner = owner;
        owner.Outputs.Add(this);
    }

    public Operator Owner { get; }

    public List<InputPort> TargetPorts { get; } = [];
}

/// <summary>An output of messages of one kind.</summary>
internal sealed class OutputPort<TMessage>(Operator owner) : OutputPort(owner) where TMessage : Message
{
    public List<InputPort<TMessage>> Targets { get; } = [];

    /// <summary>Sends to the listeners at this worker. Takes over the caller's reference; null is nothing.</summary>
    public void Send(TMessage? message)
    {
        if (message is null)
            return;
        var stamp = message.MinStamp;
        var updates = message.Updates;
        Owner.RowsOut += updates;
        Owner.CheckMaySend(stamp);
        for (var i = 1; i < Targets.Count; i++)
            message.AddReference();
        if (Targets.Count == 0)
        {
            message.Release();
            return;
        }

        var self = Owner.Graph.Worker.Index;
        foreach (var target in Targets)
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
        for (var i = 1; i < Targets.Count; i++)
            message.AddReference();
        if (Targets.Count == 0)
            message.Release();
        foreach (var target in Targets)
        {
            target.Sent[peer].Add(message.Updates);
            target.MessagePlace.Add(stamp, 1);
            worker.SendData(peer, Owner.Graph.Id, target.MessagePlace.Id, message);
        }
    }
}
