using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>A peek that waits for all processes of some replica. Guarded by its instance's lock.</summary>
internal sealed class PendingPeek(PeekRequest request)
{
    private readonly Dictionary<string, Dictionary<int, PeekResult>> _parts = [];

    public PeekRequest Request { get; } = request;

    public TaskCompletionSource<PeekAnswer> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The replica's connection is new: what it answered before does not count.</summary>
    public void Forget(string replica) => _parts.Remove(replica);

    /// <summary>Adds one process's answer; the whole answer once all have come.</summary>
    public PeekAnswer? Add(string replica, int process, int processes, PeekResult result)
    {
        if (!_parts.TryGetValue(replica, out var parts))
            _parts.Add(replica, parts = []);
        parts[process] = result;
        if (parts.Count < processes)
            return null;
        foreach (var part in parts.Values)
        {
            switch (part)
            {
                case PeekResult.Error error:
                    return new PeekAnswer.Error(error.Reason);
                case PeekResult.Canceled:
                    return new PeekAnswer.Dropped();
            }
        }

        return new PeekAnswer.Rows([.. parts.Values.OfType<PeekResult.Rows>().Select(r => r.Batch)]);
    }
}
