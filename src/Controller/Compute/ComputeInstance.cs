using Materialize.Core;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>
/// One cluster as the controller sees it: its dataflows, peeks and replicas.
/// </summary>
/// <remarks>
/// <para>The history that a (re)connecting process is told is not a log but is made from the state: a CreateDataflow for each live
/// dataflow, whose as-of is as far as its exports have come, then its pending peeks. That is the fully reduced history of
/// the reference, §14.4.</para>
/// <para>A dataflow holds each input at the least time that it may have to be rebuilt from: an index at its since; a materialized
/// view at its shard's upper − 1, so that its contents go on without a gap; a subscribe at its frontier − 1.</para>
/// </remarks>
internal sealed class ComputeInstance(InstanceId id, CollectionRegistry registry, InstanceConfig config, TimeProvider time, ILogger logger)
    : IAsyncDisposable
{
    // Guards all state below: sessions and links both come here. Nothing under it waits; sends only queue.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, DataflowState> _exports = [];
    private readonly List<DataflowState> _dataflows = [];
    private readonly Dictionary<Guid, PendingPeek> _peeks = [];
    private readonly Dictionary<string, Replica> _replicas = [];

    public int ReplicaCount
    {
        get
        {
            lock (_gate)
                return _replicas.Count;
        }
    }

    public void AddReplica(string name, IReadOnlyList<IControlConnector<ComputeCommand, ComputeResponse>> processes, Action<ReplicaStatus> statusChanged)
    {
        var replica = new Replica(name, processes.Count, statusChanged);
        lock (_gate)
            _replicas.Add(name, replica);
        var loop = new LinkLoop<ComputeCommand, ComputeResponse>(
            $"compute {id}.{name}",
            processes,
            links => Connected(replica, links),
            (process, response) => Received(replica, process, response),
            () => Disconnected(replica),
            time,
            logger);
        replica.Loop = loop.RunAsync(replica.Stop.Token);
    }

    public async ValueTask DropReplicaAsync(string name)
    {
        Replica? replica;
        lock (_gate)
            _replicas.Remove(name, out replica);
        if (replica is not null)
            await replica.DisposeAsync();
    }

    public void CreateDataflow(DataflowDescription dataflow, IReadOnlyList<ReadHold> inputHolds, ulong? windowMs, ISubscribeReceiver? subscribe)
    {
        Invariant.Check(dataflow.AsOf is not null, "a dataflow to create has an as-of");
        var asOf = dataflow.AsOf.Value;
        foreach (var hold in inputHolds)
            Invariant.Check(hold.At <= Frontier.At(asOf), $"{hold.Id} is readable at the as-of of {dataflow.DebugName}");
        foreach (var export in dataflow.IndexExports)
            registry.Register(export.Id, Frontier.At(asOf), Frontier.At(asOf), windowMs);
        lock (_gate)
        {
            var state = new DataflowState(dataflow, inputHolds, subscribe);
            _dataflows.Add(state);
            foreach (var export in dataflow.ExportIds)
                _exports.Add(export, state);
            foreach (var replica in _replicas.Values)
                Create(state, Frontier.At(asOf), replica);
        }
    }

    /// <summary>
    /// Sinks go at once. An index goes when the last read hold on it does: dataflows that import it would otherwise be told, after
    /// a reconnect, to import what is not there.
    /// </summary>
    public void DropExports(IReadOnlyCollection<GlobalId> exports)
    {
        List<GlobalId> indexes = [];
        List<GlobalId> sinks = [];
        lock (_gate)
        {
            foreach (var export in exports)
            {
                if (_exports.TryGetValue(export, out var dataflow))
                    (dataflow.IsIndex(export) ? indexes : sinks).Add(export);
            }
        }

        foreach (var sink in sinks)
            Remove(sink);
        foreach (var index in indexes)
            registry.Drop(index);
    }

    /// <summary>Ends peeks and one-shot dataflows that read a collection which has been dropped; maintained ones were dropped before it.</summary>
    public void EndReaders(IReadOnlySet<GlobalId> dropped)
    {
        List<GlobalId> exports;
        List<PendingPeek> peeks;
        lock (_gate)
        {
            exports = [.. _dataflows.Where(d => d.ImportIds.Any(dropped.Contains)).SelectMany(d => d.Live).Where(id => id.IsTransient)];
            peeks = [.. _peeks.Values.Where(p => p.Request.Target switch
            {
                PeekTarget.Index x => dropped.Contains(x.Id) || exports.Contains(x.Id),
                PeekTarget.Persist x => dropped.Contains(x.Id),
                _ => false,
            })];
        }

        foreach (var peek in peeks)
            peek.End();
        DropExports(exports);
    }

    private void Remove(GlobalId export)
    {
        IReadOnlyList<ReadHold> released = [];
        ISubscribeReceiver? dropped = null;
        lock (_gate)
        {
            if (!_exports.Remove(export, out var dataflow))
                return;
            foreach (var replica in _replicas.Values)
                replica.SendToConnected(new ComputeCommand.AllowCompaction(export, null));
            dataflow.Live.Remove(export);
            if (dataflow.Live.Count == 0)
            {
                _dataflows.Remove(dataflow);
                released = dataflow.InputHolds;
                dropped = dataflow.SubscribeDone ? null : dataflow.Subscribe;
            }
        }

        foreach (var hold in released)
            hold.Dispose();
        dropped?.Dropped();
    }

    public async Task<PeekAnswer> PeekAsync(PeekRequest request, ReadHold hold, CancellationToken cancel)
    {
        using var _ = hold;
        var peek = new PendingPeek(request);
        lock (_gate)
        {
            _peeks.Add(request.Uuid, peek);
            foreach (var replica in _replicas.Values)
                replica.SendToConnected(new ComputeCommand.Peek(request));
        }

        try
        {
            await using var cancelled = cancel.UnsafeRegister(static (waiting, token) => ((PendingPeek)waiting!).Cancel(token), peek);
            return await peek.Done;
        }
        finally
        {
            lock (_gate)
            {
                if (_peeks.Remove(request.Uuid))
                {
                    foreach (var replica in _replicas.Values)
                        replica.SendToConnected(new ComputeCommand.CancelPeek(request.Uuid));
                }
            }
        }
    }

    /// <summary>The since of some collection moved; if it is an index of this instance, replicas may forget and inputs too.</summary>
    public void SinceAdvanced(GlobalId export, Frontier since)
    {
        if (since.IsEmpty)
        {
            Remove(export);
            return;
        }

        DataflowState? dataflow;
        lock (_gate)
        {
            if (!_exports.TryGetValue(export, out dataflow) || !dataflow.IsIndex(export))
                return;
            foreach (var replica in _replicas.Values)
                replica.SendToConnected(new ComputeCommand.AllowCompaction(export, since.Time));
        }

        Downgrade(dataflow);
    }

    public async ValueTask DisposeAsync()
    {
        List<Replica> replicas;
        List<PendingPeek> peeks;
        lock (_gate)
        {
            replicas = [.. _replicas.Values];
            _replicas.Clear();
            peeks = [.. _peeks.Values];
        }

        foreach (var peek in peeks)
            peek.End();
        foreach (var replica in replicas)
            await replica.DisposeAsync();
    }

    private void Connected(Replica replica, IReadOnlyList<IControlLink<ComputeCommand, ComputeResponse>> links)
    {
        lock (_gate)
        {
            replica.Connect(links);
            replica.SendToConnected(new ComputeCommand.CreateInstance(config));
            foreach (var dataflow in _dataflows)
                Create(dataflow, dataflow.RebuildFrom(registry), replica);
            foreach (var peek in _peeks.Values)
            {
                peek.Forget(replica.Name);
                replica.SendToConnected(new ComputeCommand.Peek(peek.Request));
            }

            replica.SendToConnected(new ComputeCommand.InitializationComplete());
        }

        replica.StatusChanged(ReplicaStatus.Online);
    }

    private static void Create(DataflowState dataflow, Frontier asOf, Replica replica)
    {
        foreach (var command in dataflow.CreationCommands(asOf))
            replica.SendToConnected(command);
    }

    private void Disconnected(Replica replica)
    {
        lock (_gate)
        {
            replica.Disconnect();
            foreach (var peek in _peeks.Values)
                peek.Forget(replica.Name);
        }

        replica.StatusChanged(ReplicaStatus.Offline);
    }

    private IThreadPoolWorkItem? Received(Replica replica, int process, ComputeResponse response)
    {
        switch (response)
        {
            case ComputeResponse.Frontiers frontiers:
                ReceiveFrontiers(frontiers);
                break;
            case ComputeResponse.PeekResponse peek:
                return ReceivePeek(replica, process, peek);
            case ComputeResponse.SubscribeResponse subscribe:
                ReceiveSubscribe(subscribe);
                break;
            case ComputeResponse.SubscribeDropped:
                // Only answers our own drop, after which nobody listens.
                break;
        }

        return null;
    }

    private void ReceiveFrontiers(ComputeResponse.Frontiers frontiers)
    {
        if (frontiers.Write is not { } write)
            return;
        DataflowState? dataflow;
        lock (_gate)
        {
            if (!_exports.TryGetValue(frontiers.Id, out dataflow))
                return;
        }

        registry.AdvanceUpper(frontiers.Id, Frontier.Of(write.Time));
        Downgrade(dataflow);
    }

    private PendingPeek? ReceivePeek(Replica replica, int process, ComputeResponse.PeekResponse response)
    {
        lock (_gate)
        {
            // Answers to cancelled peeks, and of slower replicas, are expected.
            if (!_peeks.TryGetValue(response.Uuid, out var peek) || !peek.Add(replica.Name, process, replica.Processes, response.Result))
                return null;
            _peeks.Remove(response.Uuid);
            foreach (var other in _replicas.Values)
            {
                if (other != replica)
                    other.SendToConnected(new ComputeCommand.CancelPeek(response.Uuid));
            }

            return peek;
        }
    }

    private void ReceiveSubscribe(ComputeResponse.SubscribeResponse response)
    {
        DataflowState? dataflow;
        lock (_gate)
        {
            if (!_exports.TryGetValue(response.Id, out dataflow) || dataflow.Subscribe is not { } receiver || dataflow.SubscribeDone)
                return;
            // Under the lock, so that batches of two replicas cannot cross; the receiver only queues.
            if (dataflow.Merge.Add(response.Batch) is { } batch)
            {
                receiver.Receive(batch);
                dataflow.SubscribeFrontier = Frontier.Of(batch.Upper);
                dataflow.SubscribeDone = batch.Upper is null || batch.Error is not null;
            }
        }

        Downgrade(dataflow);
    }

    /// <summary>Lets go of input times that the dataflow will not be rebuilt from.</summary>
    private void Downgrade(DataflowState dataflow)
    {
        lock (_gate)
        {
            if (dataflow.Live.Count == 0)
                return;
        }

        var from = dataflow.RebuildFrom(registry);
        lock (dataflow.HoldGate)
        {
            foreach (var hold in dataflow.InputHolds)
            {
                // A released hold stays released: dropping races with frontiers still on their way.
                if (!hold.At.IsEmpty && !from.IsEmpty)
                    hold.DowngradeTo(from);
            }
        }
    }
}
