using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>
/// max N K B R and top3 N K B R: the greatest of each key's values, or the three greatest, of N values over K keys. A round inserts B values and deletes B: the oldest, or, with <c>-adversary</c>, the
/// greatest there are, of one key after the other, while what comes is less than all that was loaded: what a maximum has to fear most.
/// </summary>
internal sealed unsafe class ExtremesWorkload(int limit, bool adversary, long[] sizes) : SharedWorkload((limit == 1 ? "max" : $"top{limit}") + (adversary ? "-adversary" : ""), sizes)
{
    private const ulong Loaded = 1UL << 63;
    private readonly (ulong Key, ulong Value)[] _rows = new (ulong, ulong)[sizes[0] + (sizes[2] * sizes[3])]; // in the order of their coming
    private int[] _deletions = [];                                                                           // positions in it
    private InputHandle<Time> _input = null!;
    private Check _check;

    public override long LoadRows => Sizes[0];

    public override int Rounds => (int)Sizes[3];

    public override long UpdatesPerRound => 2 * Sizes[2];

    private long Deleted => Sizes[2] * Sizes[3];

    // Beforehand: who deletes what is greatest must know it, which would cost more than the deletion.
    public override void Prepare()
    {
        if (adversary && Deleted > Sizes[0])
            throw new ArgumentException("an adversary deletes no more than was loaded");
        var rng = new Rng(42);
        for (var i = 0L; i < _rows.Length; i++)
            _rows[i] = (rng.Below((ulong)Sizes[1]), (rng.Next() >> 1) | (adversary && i < Sizes[0] ? Loaded : 0));
        var all = Enumerable.Range(0, (int)Sizes[0]);
        _deletions = !adversary
            ? [.. Enumerable.Range(0, (int)Deleted)]
            : [.. all.GroupBy(i => _rows[i].Key).SelectMany(g => g.OrderByDescending(i => _rows[i].Value).Select((i, rank) => (i, rank))).OrderBy(x => x.rank).Take((int)Deleted).Select(x => x.i)];
    }

    public override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(16), 0); // key, value
        var best = rows.TopK("extremes", ColumnKernels.SplitSorted(descending: true), new RowShape(8), new RowShape(8), RowShape.Empty, limit, finish: ColumnKernels.FinishSorted(descending: true), shape: new RowShape(16)).Ok;
        best.ForEach("check", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                _check.Add(batch.DiffAt(i), row[0], row[1]);
            }
        });
        Probe = best.Probe();
    }

    public override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            Send(i, 0, 1);
            Breathe(i);
        }

        _input.AdvanceTo(1);
    }

    public override void Round(ulong time)
    {
        var first = ((long)time - 1) * Sizes[2];
        for (var i = first; i < first + Sizes[2]; i++)
        {
            Send(Sizes[0] + i, time, 1);
            Send(_deletions[i], time, -1);
        }

        _input.AdvanceTo(time + 1);
    }

    public override Check Final() => _check;

    public override Check Plain()
    {
        var gone = _deletions.ToHashSet();
        var check = default(Check);
        foreach (var group in Enumerable.Range(0, _rows.Length).Where(i => !gone.Contains(i)).Select(i => _rows[i]).GroupBy(r => r.Key, r => r.Value))
        {
            foreach (var value in group.OrderDescending().Take(limit))
                check.Add(1, group.Key, value);
        }

        return check;
    }

    public override void Close() => _input.Dispose();

    private void Send(long number, ulong time, long diff)
    {
        if (IsMine(number))
            Send(_input, time, diff, _rows[number].Key, _rows[number].Value);
    }
}
