using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>
/// A replica: processes that together compute every dataflow of the instance. Process 0 takes the commands and passes them on to the others;
/// it also speaks for all where what is said is global: frontiers, subscribes. Peeks are answered by each for its share. Guarded by its instance's lock.
/// </summary>
internal sealed class Replica(string name, int processes, Action<ReplicaStatus> statusChanged) : IAsyncDisposable
{
    private IReadOnlyList<IControlLink<ComputeCommand, ComputeResponse>>? _links;

    public string Name { get; } = name;

    public int Processes { get; } = processes;

    public CancellationTokenSource Stop { get; } = new();

    public Task Loop { get; set; } = Task.CompletedTask;

    public Action<ReplicaStatus> StatusChanged { get; } = statusChanged;

    /// <summary>All processes are connected: each is told the same nonce, by which they know that they belong together.</summary>
    public void Connect(IReadOnlyList<IControlLink<ComputeCommand, ComputeResponse>> links)
    {
        _links = links;
        var hello = new ComputeCommand.Hello(Guid.NewGuid());
        foreach (var link in links)
            link.Send(hello);
    }

    /// <summary>Tells process 0; a replica that is not connected hears of it when it is, from the history.</summary>
    public void SendToConnected(ComputeCommand command) => _links?[0].Send(command);

    public void Disconnect() => _links = null;

    public async ValueTask DisposeAsync()
    {
        await Stop.CancelAsync();
        await Loop;
        Stop.Dispose();
    }
}
