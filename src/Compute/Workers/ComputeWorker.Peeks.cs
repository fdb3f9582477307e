using Materialize.Compute.Peeks;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Workers;

internal sealed partial class ComputeWorker
{
    private readonly List<IndexPeek> _peeks = [];

    /// <summary>Takes this worker's share of a peek of an index.</summary>
    public void Peek(PeekJob job)
    {
        var target = (PeekTarget.Index)job.Request.Target;
        if (!_collections.TryGetValue(target.Id, out var collection))
        {
            job.Fail(new EvalError("XX000", $"index {target.Id} does not exist on this replica"));
            return;
        }

        _peeks.Add(new IndexPeek(job, collection));
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
            if (peek.Turn())
            {
                _peeks.RemoveAt(i);
                peek.Dispose();
            }
            else
            {
                i++;
            }
        }

        return any;
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
