using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>
/// Makes one contiguous output of a subscribe from the batches of several processes and replicas. A process's batches are
/// contiguous among themselves, but a connection that is new starts again from its as-of.
/// </summary>
/// <remarks>
/// Per replica, what its processes sent is kept until all have passed a time; the least of their uppers is that replica's upper.
/// When it is beyond what was handed on, the updates in between are handed on, whichever replica they come from: all replicas
/// compute the same. Rows before the lower cut were already handed on and are dropped.
/// </remarks>
internal sealed class SubscribeMerge(ulong start)
{
    private readonly Dictionary<string, Part[]> _replicas = [];
    private Frontier _done = Frontier.At(start);

    public IEnumerable<SubscribeBatch> Add(string replica, int process, int processes, SubscribeBatch batch)
    {
        if (!_replicas.TryGetValue(replica, out var parts))
            _replicas.Add(replica, parts = [.. Enumerable.Range(0, processes).Select(_ => new Part())]);
        var part = parts[process];
        if (Frontier.At(batch.Lower) < part.Upper)
            part.Restart();
        part.Upper = Frontier.Of(batch.Upper);
        if (batch.Updates.Count > 0 || batch.Error is not null)
            part.Batches.Add(batch);
        var upper = parts.Min(p => p.Upper);
        var failed = parts.SelectMany(p => p.Batches).FirstOrDefault(b => b.Error is not null);
        if (failed is not null)
        {
            yield return new SubscribeBatch(_done.Value, upper.Time, RowBatch.Empty, failed.Error);
            yield break;
        }

        if (upper <= _done)
            yield break;
        var lower = _done;
        _done = upper;
        yield return new SubscribeBatch(lower.Value, upper.Time, Take(parts, lower, upper), null);
    }

    private static RowBatch Take(Part[] parts, Frontier lower, Frontier upper)
    {
        // The usual case: one process, and the batch is just what comes next.
        if (parts is [{ Batches: [var only] }] && Frontier.At(only.Lower) >= lower)
        {
            parts[0].Batches.Clear();
            return only.Updates;
        }

        var data = new MemoryStream();
        var ends = new List<int>();
        var times = new List<ulong>();
        var diffs = new List<long>();
        foreach (var part in parts)
        {
            foreach (var batch in part.Batches)
            {
                for (var i = 0; i < batch.Updates.Count; i++)
                {
                    var time = batch.Updates.Times[i];
                    if (time < lower.Value || time >= upper.Value)
                        continue;
                    data.Write(batch.Updates.Row(i));
                    ends.Add(checked((int)data.Length));
                    times.Add(time);
                    diffs.Add(batch.Updates.Diffs[i]);
                }
            }

            part.Batches.RemoveAll(b => Frontier.Of(b.Upper) <= upper);
        }

        return new RowBatch(data.ToArray(), [.. ends], [.. times], [.. diffs]);
    }

    private sealed class Part
    {
        public Frontier Upper { get; set; } = Frontier.Minimum;

        public List<SubscribeBatch> Batches { get; } = [];

        public void Restart()
        {
            Upper = Frontier.Minimum;
            Batches.Clear();
        }
    }
}
