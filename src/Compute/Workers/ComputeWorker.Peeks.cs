using System.Diagnostics;
using Materialize.Compute.Peeks;
using Materialize.Dataflow.Runtime;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Workers;

internal sealed partial class ComputeWorker
{
    private readonly List<IndexPeek> _peeks = [];
    private readonly List<CollectionState> _lookedUp = [];
    private readonly DurationHistogram _peekDurations = new();

    /// <summary>Peeks of indexes that wait or are being answered.</summary>
    public IEnumerable<PeekRequest> PendingPeeks => _peeks.Select(p => p.Job.Request);

    /// <summary>Peeks that were answered, by the power of two of nanoseconds that they took here.</summary>
    public ReadOnlySpan<long> PeekDurations => _peekDurations.Counts;

    /// <summary>Takes this worker's share of a peek of an index.</summary>
    public void Peek(PeekJob job)
    {
        var target = (PeekTarget.Index)job.Request.Target;
        if (!_collections.TryGetValue(target.Id, out var collection))
        {
            job.Fail(new EvalError("XX000", $"index {target.Id} does not exist on this replica"));
            return;
        }

        var peek = new IndexPeek(job, collection);
        NoteReader(collection);

        // What a lookup takes is less than coming back to it.
        var isLookup = job.Request.LiteralKeys is not null;
        if (!isLookup || !peek.IsReady || !IsDone(peek))
            _peeks.Add(peek);
        if (isLookup && !_lookedUp.Contains(collection))
        {
            _lookedUp.Add(collection);
            TellShares();
        }
    }

    /// <summary>Says of the indexes that are looked up how far they are without errors here.</summary>
    private void TellShares()
    {
        foreach (var collection in _lookedUp)
        {
            if (collection.Trace is not { } trace || collection.SharesToldAt == trace.Errors.Upper)
                continue;
            collection.SharesToldAt = trace.Errors.Upper;
            collection.Shares!.Tell(localIndex, trace.Shape, trace.Errors.Size.Rows > 0 ? 0 : Time(trace.Errors.Upper) ?? ulong.MaxValue);
        }
    }

    public void CancelPeek(Guid uuid)
    {
        foreach (var peek in _peeks.Where(p => p.Job.Request.Uuid == uuid))
            peek.Job.Cancel();
    }

    /// <summary>One turn for each peek that can be answered. Whether there was any.</summary>
    private bool ServePeeks()
    {
        var any = false;
        for (var i = 0; i < _peeks.Count;)
        {
            var peek = _peeks[i];
            if (!peek.IsReady)
            {
                i++;
                continue;
            }

            any = true;
            if (IsDone(peek))
                _peeks.RemoveAt(i);
            else
                i++;
        }

        return any;
    }

    /// <summary>Gives the peek a turn. Whether that was its last.</summary>
    private bool IsDone(IndexPeek peek)
    {
        if (!peek.Turn())
            return false;
        _peekDurations.Add(Stopwatch.GetElapsedTime(peek.StartedAt));
        peek.Dispose();
        return true;
    }

    private void ForgetPeeks()
    {
        foreach (var peek in _peeks)
        {
            peek.Job.Forget();
            peek.Dispose();
        }

        _peeks.Clear();
    }
}
