using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>A peek that waits for all processes of some replica. Guarded by its instance's lock.</summary>
internal sealed class PendingPeek(PeekRequest request)
{
    private Dictionary<string, Dictionary<int, PeekResult>>? _parts;   // of replicas with several processes

    public PeekRequest Request { get; } = request;

    public TaskCompletionSource<PeekAnswer> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The replica's connection is new: what it answered before does not count.</summary>
    public void Forget(string replica) => _parts?.Remove(replica);

    /// <summary>Adds one process's answer; the whole answer once all have come.</summary>
    public PeekAnswer? Add(string replica, int process, int processes, PeekResult result)
    {
        if (processes == 1)
            return Answer([result]);
        _parts ??= [];
        if (!_parts.TryGetValue(replica, out var parts))
            _parts.Add(replica, parts = []);
        parts[process] = result;
        return parts.Count < processes ? null : Answer([.. parts.Values]);
    }

    private static PeekAnswer Answer(ReadOnlySpan<PeekResult> parts)
    {
        var batches = new RowBatch[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            switch (parts[i])
            {
                case PeekResult.Rows rows:
                    batches[i] = rows.Batch;
                    break;
                case PeekResult.Error error:
                    return new PeekAnswer.Error(error.Reason);
                default:
                    return new PeekAnswer.Dropped();
            }
        }

        return new PeekAnswer.Rows(batches);
    }
}
