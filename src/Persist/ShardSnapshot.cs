using System.Runtime.CompilerServices;
using Materialize.Persist.Columns;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>A shard's contents as of a time. May be read several times, until disposed of.</summary>
public sealed class ShardSnapshot : IDisposable
{
    private readonly ReadHandle _handle;
    private readonly StateUse _use;
    private readonly PartStore _store;
    private readonly IReadOnlyList<Run> _unapplied;

    /// <param name="unapplied">Committed elsewhere (the txns shard) and not yet in the state.</param>
    internal ShardSnapshot(ReadHandle handle, StateUse use, Timestamp asOf, IReadOnlyList<Run> unapplied)
    {
        _unapplied = unapplied;
        _handle = handle;
        _use = use;
        AsOf = asOf;
        _store = new PartStore(handle.Shard, handle.Machine.Services);
    }

    /// <summary>Every update that comes out is at this time.</summary>
    public Timestamp AsOf { get; }

    /// <summary>How many pieces are stored; <see cref="ReadPartAsync"/> takes their indices, so that workers can share the reading.</summary>
    public int PartCount => Parts.Count();

    /// <summary>How large they are, stored.</summary>
    public long EncodedBytes => Parts.Sum(p => p.EncodedBytes);

    private IEnumerable<Run> Runs => _use.State.Trace.Where(b => b.Lower.Time is { } lower && lower <= AsOf).SelectMany(b => b.Runs).Concat(_unapplied);

    private IEnumerable<Part> Parts => Runs.SelectMany(r => r.Parts);

    /// <summary>The updates of one piece, in no particular order, not consolidated with those of others.</summary>
    public async ValueTask<UpdateColumns> ReadPartAsync(int index, CancellationToken cancel) =>
        AsOfTime(await _handle.FetchAsync(_store, Parts.ElementAt(index), cancel));

    /// <summary>All updates, piece by piece; rows that were written and deleted come as both.</summary>
    public async IAsyncEnumerable<UpdateColumns> ReadAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        foreach (var part in Parts)
        {
            var updates = AsOfTime(await _handle.FetchAsync(_store, part, cancel));
            if (!updates.IsEmpty)
                yield return updates;
        }
    }

    /// <summary>Each row once with its multiplicity, rows of multiplicity zero left out. Memory: a part for each stored run.</summary>
    public async IAsyncEnumerable<UpdateColumns> ReadConsolidatedAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        var all = Runs.ToArray();
        var runs = all.Select(run => _store.FetchRunAsync(run, AsOfTime, all.Length <= Compaction.RunsAheadMax, cancel)).ToArray();
        var merger = new RunMerger(runs, _handle.Machine.Services.Config.PartBytesTarget);
        await foreach (var updates in merger.MergeAsync(cancel))
            yield return updates;
    }

    public void Dispose() => _use.Dispose();

    private UpdateColumns AsOfTime(UpdateColumns updates) =>
        updates.Between(Timestamp.MinValue, AsOf.TryStepForward(out var next) ? next : null).AdvancedTo(AsOf);
}
