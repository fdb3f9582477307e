using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>A peek that waits for all processes of some replica. Guarded by its instance's lock; as a work item, it gives its answer to who waits for it.</summary>
internal sealed class PendingPeek(PeekRequest request) : IThreadPoolWorkItem
{
    private readonly TaskCompletionSource<PeekAnswer> _done = new();   // Continued on the thread that completes it, which is of the pool and holds no lock.
    private PeekAnswer _answer = new PeekAnswer.Dropped();
    private Dictionary<string, Dictionary<int, PeekResult>>? _parts;   // of replicas with several processes

    public PeekRequest Request { get; } = request;

    public Task<PeekAnswer> Done => _done.Task;

    /// <summary>Whoever waits goes on, on this thread.</summary>
    public void Execute() => _done.TrySetResult(_answer);

    /// <summary>What it reads has gone. Any thread, also under locks.</summary>
    public void End() => ThreadPool.UnsafeQueueUserWorkItem(static x => x._done.TrySetResult(new PeekAnswer.Dropped()), this, preferLocal: false);

    /// <summary>Nobody wants it any more. Any thread, also under locks.</summary>
    public void Cancel(CancellationToken token) =>
        ThreadPool.UnsafeQueueUserWorkItem(static x => x.Peek._done.TrySetCanceled(x.Token), (Peek: this, Token: token), preferLocal: false);

    /// <summary>The replica's connection is new: what it answered before does not count.</summary>
    public void Forget(string replica) => _parts?.Remove(replica);

    /// <summary>Adds one process's answer. Whether all have come, so that it can be executed.</summary>
    public bool Add(string replica, int process, int processes, PeekResult result)
    {
        if (processes == 1)
        {
            _answer = Answer([result]);
            return true;
        }

        _parts ??= [];
        if (!_parts.TryGetValue(replica, out var parts))
            _parts.Add(replica, parts = []);
        parts[process] = result;
        if (parts.Count < processes)
            return false;
        _answer = Answer([.. parts.Values]);
        return true;
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
