using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>
/// The storage side of one cluster: its ingestions, and the replica that runs them. Ingestions run on one replica at a time; the
/// first process of it takes the commands.
/// </summary>
internal sealed class StorageInstance(InstanceId id, TimeProvider time, ILogger logger, Action<StorageResponse> received) : IAsyncDisposable
{
    private static readonly TimeSpan DropTimeout = TimeSpan.FromSeconds(10);

    // Guards all state below; nothing under it waits.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, IngestionDescription> _ingestions = [];
    private readonly Dictionary<GlobalId, TaskCompletionSource> _stopping = [];
    private readonly List<StorageReplica> _replicas = [];   // the first runs the ingestions

    public void AddReplica(string name, IReadOnlyList<IControlConnector<StorageCommand, StorageResponse>> processes)
    {
        var replica = new StorageReplica(name);
        lock (_gate)
            _replicas.Add(replica);
        var loop = new LinkLoop<StorageCommand, StorageResponse>(
            $"storage {id}.{name}",
            [processes[0]],
            links => Connected(replica, links[0]),
            (_, response) =>
            {
                Received(response);
                return null;
            },
            () => Disconnected(replica),
            time,
            logger);
        replica.Loop = loop.RunAsync(replica.Stop.Token);
    }

    public async ValueTask DropReplicaAsync(string name)
    {
        StorageReplica? replica;
        lock (_gate)
        {
            replica = _replicas.Find(r => r.Name == name);
            if (replica is null)
                return;
            var wasActive = replica == Active;
            _replicas.Remove(replica);
            // Another replica takes over what this one ran.
            if (wasActive && Active is { Link: { } link })
            {
                foreach (var ingestion in _ingestions.Values)
                    link.Send(new StorageCommand.RunIngestion(ingestion));
            }
        }

        await replica.DisposeAsync();
    }

    public void Run(IngestionDescription ingestion)
    {
        lock (_gate)
        {
            _ingestions[ingestion.Id] = ingestion;
            Active?.Link?.Send(new StorageCommand.RunIngestion(ingestion));
        }
    }

    public async Task StopAsync(GlobalId ingestion, CancellationToken cancel)
    {
        TaskCompletionSource stopped;
        lock (_gate)
        {
            if (!_ingestions.Remove(ingestion))
                return;
            if (Active?.Link is not { } link)
                return;
            stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _stopping[ingestion] = stopped;
            link.Send(new StorageCommand.AllowCompaction(ingestion, null));
        }

        try
        {
            await stopped.Task.WaitAsync(DropTimeout, time, cancel);
        }
        catch (TimeoutException)
        {
            // The upstream is away: its slot stays behind, and the log of the replica says so.
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<StorageReplica> replicas;
        lock (_gate)
        {
            replicas = [.. _replicas];
            _replicas.Clear();
        }

        foreach (var replica in replicas)
            await replica.DisposeAsync();
    }

    private StorageReplica? Active => _replicas.FirstOrDefault();

    private void Connected(StorageReplica replica, IControlLink<StorageCommand, StorageResponse> link)
    {
        lock (_gate)
        {
            replica.Link = link;
            link.Send(new StorageCommand.Hello(Guid.NewGuid()));
            if (replica == Active)
            {
                foreach (var ingestion in _ingestions.Values)
                    link.Send(new StorageCommand.RunIngestion(ingestion));
            }

            link.Send(new StorageCommand.InitializationComplete());
            link.Send(new StorageCommand.AllowWrites());
        }
    }

    private void Disconnected(StorageReplica replica)
    {
        lock (_gate)
            replica.Link = null;
    }

    private void Received(StorageResponse response)
    {
        if (response is StorageResponse.DroppedId dropped)
        {
            TaskCompletionSource? stopped;
            lock (_gate)
                _stopping.Remove(dropped.Id, out stopped);
            stopped?.TrySetResult();
        }

        received(response);
    }

    private sealed class StorageReplica(string name) : IAsyncDisposable
    {
        public string Name { get; } = name;

        public CancellationTokenSource Stop { get; } = new();

        public Task Loop { get; set; } = Task.CompletedTask;

        public IControlLink<StorageCommand, StorageResponse>? Link { get; set; }

        public async ValueTask DisposeAsync()
        {
            await Stop.CancelAsync();
            await Loop;
            Stop.Dispose();
        }
    }
}
