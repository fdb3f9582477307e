using Materialize.Protocol;

namespace Materialize.Controller;

/// <summary>
/// Makes one contiguous output of a subscribe from the batches of several replicas. A replica's batches are contiguous among
/// themselves, but a connection that is new starts again from its as-of.
/// </summary>
/// <remarks>
/// A batch that reaches beyond what was handed on is handed on, whichever replica it comes from: all replicas compute the same. Rows
/// before the lower cut were already handed on and are dropped.
/// </remarks>
internal sealed class SubscribeMerge(ulong start)
{
    private readonly Dictionary<string, Part> _replicas = [];
    private Frontier _done = Frontier.At(start);

    /// <summary>What is to be handed on, if anything.</summary>
    public SubscribeBatch? Add(string replica, SubscribeBatch batch)
    {
        if (!_replicas.TryGetValue(replica, out var part))
            _replicas.Add(replica, part = new Part());
        if (Frontier.At(batch.Lower) < part.Upper)
            part.Restart();
        part.Upper = Frontier.Of(batch.Upper);
        if (batch.Error is not null)
            return new SubscribeBatch(_done.Value, batch.Upper, RowBatch.Empty, batch.Error);
        if (batch.Updates.Count > 0)
            part.Batches.Add(batch);
        if (part.Upper <= _done)
        {
            part.Batches.Clear();   // Another replica was first with all of it.
            return null;
        }

        var lower = _done;
        _done = part.Upper;
        return new SubscribeBatch(lower.Value, batch.Upper, part.Take(lower), null);
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

        /// <summary>All that is not before <paramref name="lower"/>.</summary>
        public RowBatch Take(Frontier lower)
        {
            // The usual case: the batch is just what comes next.
            if (Batches is [var only] && Frontier.At(only.Lower) >= lower)
            {
                Batches.Clear();
                return only.Updates;
            }

            var data = new MemoryStream();
            var ends = new List<int>();
            var times = new List<ulong>();
            var diffs = new List<long>();
            foreach (var batch in Batches)
            {
                for (var i = 0; i < batch.Updates.Count; i++)
                {
                    var time = batch.Updates.Times[i];
                    if (time < lower.Value)
                        continue;
                    data.Write(batch.Updates.Row(i));
                    ends.Add(checked((int)data.Length));
                    times.Add(time);
                    diffs.Add(batch.Updates.Diffs[i]);
                }
            }

            Batches.Clear();
            return new RowBatch(data.ToArray(), [.. ends], [.. times], [.. diffs]);
        }
    }
}
