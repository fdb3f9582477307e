using Materialize.Persist.Columns;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>
/// Updates on their way to a shard, all at one time, which need not be known yet. What is large goes to the blob store ahead of its append,
/// so memory stays bounded. One task.
/// </summary>
/// <param name="writer">Not owned.</param>
public sealed class StagedUpdates(WriteHandle writer)
{
    private const int MemoryBytesMax = 4 * 1024 * 1024;

    private UpdateColumnsBuilder _memory = new();
    private BatchBuilder? _spill;

    /// <summary>Updates added, before consolidation.</summary>
    public long Count { get; private set; }

    /// <summary>Whether <see cref="SpillAsync"/> should be awaited.</summary>
    public bool IsFull => _memory.SizeBytes >= MemoryBytesMax;

    /// <summary>Adds one; the time is given later.</summary>
    public void Add(ReadOnlySpan<byte> row, long diff)
    {
        _memory.Add(row, Timestamp.MinValue, diff);
        Count++;
    }

    /// <summary>Writes to the blob store what is in memory.</summary>
    public async Task SpillAsync(CancellationToken cancel)
    {
        _spill ??= writer.NewBatch();
        await _spill.AddAsync(_memory.Build(), cancel);
    }

    /// <summary>Takes over what <paramref name="other"/> has; that is empty afterwards.</summary>
    /// <returns>A batch to be appended beside, when the other had spilled.</returns>
    public async Task<StagedBatch?> TakeAsync(StagedUpdates other, CancellationToken cancel)
    {
        if (other._spill is not null)
            return await other.FinishAsync(cancel);
        _memory.AddRange(other._memory.Build());
        Count += other.Count;
        other.Count = 0;
        if (IsFull)
            await SpillAsync(cancel);
        return null;
    }

    /// <summary>All of it as one batch at no time yet, or null if there is nothing. Empty afterwards.</summary>
    public async Task<StagedBatch?> FinishAsync(CancellationToken cancel)
    {
        if (Count == 0)
            return null;
        await SpillAsync(cancel);
        var batch = await _spill!.FinishAsync(cancel);
        (_spill, Count) = (null, 0);
        return batch;
    }

    /// <summary>Forgets everything.</summary>
    public async Task AbandonAsync()
    {
        _memory = new UpdateColumnsBuilder();
        Count = 0;
        if (_spill is { } spill)
            await spill.AbandonAsync();
        _spill = null;
    }
}
