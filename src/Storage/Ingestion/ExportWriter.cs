// One table of a source on its way into its shard. It lives through: joining (the upper is the minimum; a snapshot is being read while
// changes from the stream wait), running (each tick appends what came and advances the upper), failed (an error is in the shard, which
// is closed: it will never be otherwise, readers get the error, and a restart sees it by the upper alone).
//
// Joining. The source's history has a binding (T0, B0) when the table joins, and the stream is read from B0 on. The snapshot was taken at
// L ≥ B0. So the table's rows at T0 are those of the snapshot less all changes that committed in [B0, L), which the stream brings:
// each of these is undone at the beginning and done at its own time ("rewound"). What the table held before T0 nobody knows; it reads as
// at T0, since a read right after the table was made must not find it empty.

using Materialize.Core;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.State;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Storage;

/// <summary>The writing side of one export. Used by the ingestion's task.</summary>
internal sealed class ExportWriter : IDisposable
{
    private readonly PersistClient _persist;
    private readonly WriteHandle _writer;
    private readonly RowLayout _layout;

    // Of the transaction that is being received; of those received and not bound; bound, waiting for the table to have joined.
    private readonly StagedUpdates _current;
    private readonly StagedUpdates _currentRewind;
    private readonly StagedUpdates _unbound;
    private readonly StagedUpdates _rewind;
    private readonly List<StagedBatch> _unboundBatches = [];
    private readonly List<StagedBatch> _rewindBatches = [];
    private readonly List<StagedBatch> _waiting = [];
    private DefiniteException? _error;

    private ExportWriter(PersistClient persist, SourceExport export, WriteHandle writer, Frontier upper)
    {
        _persist = persist;
        _writer = writer;
        _layout = RowLayout.For(export.Metadata.Desc.Type.Columns);
        Export = export;
        Upper = upper;
        _current = new StagedUpdates(writer);
        _currentRewind = new StagedUpdates(writer);
        _unbound = new StagedUpdates(writer);
        _rewind = new StagedUpdates(writer);
    }

    public SourceExport Export { get; }

    public Frontier Upper { get; private set; }

    /// <summary>The table has no history yet.</summary>
    public bool IsJoining => Upper.Equals(Frontiers.Minimum);

    /// <summary>It ended with an error, now or in an earlier life.</summary>
    public bool HasFailed => Upper.IsEmpty;

    /// <summary>It failed and the shard does not know yet, or does: nothing more is to be added.</summary>
    public bool TakesNothing => HasFailed || _error is not null;

    /// <summary>While joining: where the snapshot was taken. Changes that committed before are undone at the beginning.</summary>
    public ulong SnapshotLsn { get; set; }

    /// <summary>While joining: the snapshot's rows, or the <see cref="DefiniteException"/> that it ended with.</summary>
    public Task<IReadOnlyList<StagedBatch>>? Snapshot { get; set; }

    /// <summary>Why it failed in this life; null otherwise.</summary>
    public string? Error => _error?.Message;

    /// <summary>Updates appended in this life.</summary>
    public ulong Committed { get; private set; }

    public ulong MessagesReceived { get; set; }

    public ulong BytesReceived { get; set; }

    /// <summary>The decoder's room for the table's columns, set when upstream has described the table.</summary>
    public TableColumns? Columns { get; set; }

    public static async Task<ExportWriter> OpenAsync(PersistClient persist, SourceExport export, CancellationToken cancel)
    {
        var writer = await persist.OpenWriterAsync(export.Metadata.Shard, cancel);
        return new ExportWriter(persist, export, writer, await writer.FetchUpperAsync(cancel));
    }

    /// <summary>A change of the transaction that is being received.</summary>
    /// <param name="lsn">Where the transaction committed.</param>
    public void Add(ReadOnlySpan<byte> row, long diff, ulong lsn)
    {
        _current.Add(row, diff);
        if (IsJoining && lsn < SnapshotLsn)
            _currentRewind.Add(row, -diff);
    }

    /// <summary>To be awaited after each message: bounds memory.</summary>
    public async ValueTask SpillIfFullAsync(CancellationToken cancel)
    {
        if (_current.IsFull)
            await _current.SpillAsync(cancel);
        if (_currentRewind.IsFull)
            await _currentRewind.SpillAsync(cancel);
    }

    /// <summary>The transaction that is being received has committed.</summary>
    public async ValueTask CommitAsync(CancellationToken cancel)
    {
        if (_current.Count > 0 && await _unbound.TakeAsync(_current, cancel) is { } batch)
            _unboundBatches.Add(batch);
        if (_currentRewind.Count > 0 && await _rewind.TakeAsync(_currentRewind, cancel) is { } rewind)
            _rewindBatches.Add(rewind);
    }

    /// <summary>
    /// The transaction that is being received empties the table. What is not in the shard yet is forgotten and what is there is retracted,
    /// so nothing may be bound between this and the transaction's commit.
    /// </summary>
    /// <param name="lsn">Where the transaction committed.</param>
    public async Task TruncateAsync(ulong lsn, CancellationToken cancel)
    {
        await ForgetStagedAsync();
        if (IsJoining)
        {
            // Before it joins, a table reads as it was when it joined: emptied, if that came first. The snapshot was taken after and what
            // it has, the stream undoes; or before, and has nothing to add.
            if (lsn >= SnapshotLsn)
                Snapshot = DiscardAsync(Snapshot!);
            return;
        }

        var asOf = Upper.Time!.Value.StepBack()!.Value;
        await using var reader = await _persist.OpenReaderAsync(_writer.Shard, "truncate", cancel);
        using var snapshot = await reader.SnapshotAsync(asOf, cancel);
        await foreach (var updates in snapshot.ReadConsolidatedAsync(cancel))
        {
            for (var i = 0; i < updates.Count; i++)
                _current.Add(updates.Row(i), -updates.Diffs[i]);
            if (_current.IsFull)
                await _current.SpillAsync(cancel);
        }
    }

    /// <summary>From now on readers get an error. Appended with the next tick.</summary>
    public async Task FailAsync(DefiniteException error)
    {
        if (TakesNothing)
            return;
        _error = error;
        await _current.AbandonAsync();
        await _currentRewind.AbandonAsync();
    }

    /// <summary>Appends what has committed, at <paramref name="time"/>, and completes that time.</summary>
    /// <param name="lsn">What the time is bound to.</param>
    /// <returns>Whether the upper has moved: a table does not while its snapshot is being read.</returns>
    /// <exception cref="RestartException">Another process has written to the shard.</exception>
    public async Task<bool> AppendAsync(Timestamp time, ulong lsn, CancellationToken cancel)
    {
        if (HasFailed || Upper.IsPast(time))
            return false;
        if (await _unbound.FinishAsync(cancel) is { } last)
            _unboundBatches.Add(last);
        _waiting.AddRange(_unboundBatches.Select(b => b.At(time)));
        _unboundBatches.Clear();

        // Not before all changes that the snapshot has were received: those that follow would be there twice.
        if (IsJoining && _error is null && (lsn < SnapshotLsn || Snapshot is not { IsCompleted: true }))
            return false;
        if (IsJoining && _error is null)
            await TakeSnapshotAsync(cancel);
        var newUpper = _error is null ? Frontier.Of(time.StepForward()) : Frontier.Empty;
        if (_error is { } error)
        {
            if (IsJoining)
                await ForgetStagedAsync();
            _waiting.Add(await ErrorAsync(error, cancel) is { } batch ? batch.At(IsJoining ? Timestamp.MinValue : time) : throw new InvalidOperationException());
        }

        // Out of our hands from here on: if the call does not return, the shard may have them, and nobody may delete them.
        StagedBatch[] batches = [.. _waiting];
        _waiting.Clear();
        var result = await _writer.CompareAndAppendBatchesAsync(batches, Upper, newUpper, cancel);
        if (result is AppendResult.Mismatch mismatch)
            throw new RestartException($"the shard of {Export.Id} was written by another process (upper {mismatch.Upper})");
        Committed += (ulong)batches.Sum(b => b.Count);
        Upper = newUpper;
        Snapshot = null;
        return true;
    }

    /// <summary>Deletes what was staged and never appended.</summary>
    public async ValueTask AbandonAsync()
    {
        await ForgetStagedAsync();
        if (Snapshot is { } snapshot)
        {
            try
            {
                foreach (var batch in await snapshot)
                    await _writer.DeleteAsync(batch, CancellationToken.None);
            }
            catch (Exception e) when (e is not InvariantViolationException)
            {
                // It was cancelled or failed along with everything else, and has deleted what it could.
            }
        }
    }

    public StagedUpdates NewStaged() => new(_writer);

    public void Dispose() => _writer.Dispose();

    private async Task TakeSnapshotAsync(CancellationToken cancel)
    {
        if (await _rewind.FinishAsync(cancel) is { } rewind)
            _rewindBatches.Add(rewind);
        _waiting.AddRange(_rewindBatches.Select(b => b.At(Timestamp.MinValue)));
        _rewindBatches.Clear();
        try
        {
            _waiting.AddRange((await Snapshot!).Select(b => b.At(Timestamp.MinValue)));
        }
        catch (DefiniteException e)
        {
            await FailAsync(e);
        }
    }

    private async Task<StagedBatch?> ErrorAsync(DefiniteException error, CancellationToken cancel)
    {
        var staged = new StagedUpdates(_writer);
        staged.Add(ShardRows.OfError(_layout, EvalErrorCodec.Encode(new EvalError("XX000", error.Message) { Detail = error.Detail })), 1);
        return await staged.FinishAsync(cancel);
    }

    private async Task ForgetStagedAsync()
    {
        foreach (var staged in (StagedUpdates[])[_current, _currentRewind, _unbound, _rewind])
            await staged.AbandonAsync();
        foreach (var batch in _unboundBatches.Concat(_rewindBatches).Concat(_waiting))
            await _writer.DeleteAsync(batch, CancellationToken.None);
        _unboundBatches.Clear();
        _rewindBatches.Clear();
        _waiting.Clear();
    }

    private async Task<IReadOnlyList<StagedBatch>> DiscardAsync(Task<IReadOnlyList<StagedBatch>> snapshot)
    {
        foreach (var batch in await snapshot)
            await _writer.DeleteAsync(batch, CancellationToken.None);
        return [];
    }
}
