using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Controller;

/// <summary>One process of a replica. Guarded by its instance's lock.</summary>
internal sealed class ReplicaProcess(int index)
{
    public int Index { get; } = index;

    /// <summary>Null while disconnected.</summary>
    public IControlLink<ComputeCommand, ComputeResponse>? Link { get; set; }

    /// <summary>As this connection has reported them.</summary>
    public Dictionary<GlobalId, Frontier> Uppers { get; } = [];

    public void Reset(IControlLink<ComputeCommand, ComputeResponse> link)
    {
        Link = link;
        Uppers.Clear();
    }
}

/// <summary>A replica: processes that together compute every dataflow of the instance.</summary>
internal sealed class Replica(string name, int processes, Action<ReplicaStatus> statusChanged) : IAsyncDisposable
{
    public string Name { get; } = name;

    public ReplicaProcess[] Processes { get; } = [.. Enumerable.Range(0, processes).Select(i => new ReplicaProcess(i))];

    public CancellationTokenSource Stop { get; } = new();

    public List<Task> Loops { get; } = [];

    public Action<ReplicaStatus> StatusChanged { get; } = statusChanged;

    public bool IsOnline => Processes.All(p => p.Link is not null);

    /// <summary>How far all processes have come: a time is complete when it is complete on each of them.</summary>
    public Frontier Upper(GlobalId id)
    {
        var upper = Frontier.Empty;
        foreach (var process in Processes)
            upper = Frontier.Min(upper, process.Uppers.GetValueOrDefault(id, Frontier.Minimum));
        return upper;
    }

    public void SendToConnected(ComputeCommand command)
    {
        foreach (var process in Processes)
            process.Link?.Send(command);
    }

    public void SendToConnected(IEnumerable<ComputeCommand> commands)
    {
        foreach (var command in commands)
            SendToConnected(command);
    }

    public async ValueTask DisposeAsync()
    {
        await Stop.CancelAsync();
        await Task.WhenAll(Loops);
        Stop.Dispose();
    }
}
