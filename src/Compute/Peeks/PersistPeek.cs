using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Compute.Sources;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Peeks;

/// <summary>A peek of a storage collection: reads the shard on the pool, no worker involved.</summary>
internal static class PersistPeek
{
    /// <summary>Answers <paramref name="job"/>, whatever happens but for cancellation.</summary>
    /// <exception cref="OperationCanceledException">The peek was cancelled, which its caller answers.</exception>
    public static async Task RunAsync(PeekJob job, ShardReaders readers, CancellationToken cancel)
    {
        var target = (PeekTarget.Persist)job.Request.Target;
        try
        {
            await using var reader = await readers.OpenAsync(target.Metadata, $"peek {job.Request.Uuid}", cancel);
            var columns = target.Metadata.Desc.Type.Columns;
            var layout = RowLayout.For(columns);
            using var rows = new PeekRows(job, RowSource.Whole(columns));
            EvalError? error = null;
            await foreach (var updates in reader.ConsolidatedSnapshotAsync(new Timestamp(job.Request.Timestamp), cancel))
            {
                // An error anywhere in the collection is the answer, even if enough rows were found: all of it is looked at.
                for (var i = 0; i < updates.Count; i++)
                {
                    if (ShardRows.IsError(layout, updates.Row(i)))
                        error ??= updates.Diffs[i] > 0 ? RowKernels.DecodeError(ShardRows.Error(layout, updates.Row(i))) : null;
                    else if (!rows.IsDone)
                        rows.Add(updates.Row(i), updates.Diffs[i]);
                }

                if (rows.Error is not null || error is not null)
                    break;
            }

            var batch = rows.ToBatch();
            if ((error ?? rows.Error) is { } reason)
                job.Fail(reason);
            else
                job.Found(batch);
        }
        catch (UnsupportedPlanException e)
        {
            job.Fail(e.Error);
        }
        catch (PersistException e)
        {
            job.Fail(ShardReaders.IsLoss(e) ? ShardReaders.LossError(e.Message) : new EvalError("58030", "storage is not available") { Detail = e.Message });
        }
    }
}
