// The remap shard binds our time to the source's: its contents at a time T are one row, the position (LSN) up to which the source had
// been read at T. A transaction that committed at position c has the first time whose position is beyond c. A binding is durable before
// any data is written at its time, so that whoever reads the same transactions again gives them the same times. The detail of the times
// that a restart needs is held by a critical reader of our own: no lease to lose while the process is down.

using Materialize.Core;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.State;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Storage;

/// <summary>From <paramref name="Time"/> on, until the next binding, everything that committed before <paramref name="Lsn"/> is in the data.</summary>
internal readonly record struct Binding(Timestamp Time, ulong Lsn);

/// <summary>The durable bindings of one source. Used by one task.</summary>
internal sealed class RemapShard : IDisposable
{
    private static readonly CriticalReaderId Hold = new(new Guid("6d61746c-0000-4000-8000-696e67657374"));
    private static readonly FencingEpoch Epoch = new(1);

    private readonly RowLayout _layout;
    private readonly WriteHandle _writer;
    private readonly CriticalSince _hold;
    private readonly List<Binding> _bindings = [];

    private RemapShard(RowLayout layout, WriteHandle writer, CriticalSince hold)
    {
        _layout = layout;
        _writer = writer;
        _hold = hold;
    }

    /// <summary>Everything before it is bound.</summary>
    public Timestamp Upper { get; private set; }

    /// <summary>The newest binding; null if the source was never read.</summary>
    public Binding? Latest => _bindings.Count > 0 ? _bindings[^1] : null;

    public static async Task<RemapShard> OpenAsync(PersistClient persist, CollectionMetadata metadata, CancellationToken cancel)
    {
        var hold = await persist.OpenCriticalSinceAsync(metadata.Shard, Hold, Epoch, "ingestion", cancel);
        try
        {
            var writer = await persist.OpenWriterAsync(metadata.Shard, cancel);
            var remap = new RemapShard(RowLayout.For(metadata.Desc.Type.Columns), writer, hold);
            try
            {
                await remap.RecoverAsync(persist, cancel);
                return remap;
            }
            catch
            {
                writer.Dispose();
                throw;
            }
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>The bindings after <paramref name="time"/>, in order.</summary>
    public IEnumerable<Binding> After(Timestamp time) => _bindings.Where(b => b.Time > time);

    /// <summary>The binding that holds at <paramref name="time"/>; null if none does.</summary>
    public Binding? At(Timestamp time)
    {
        for (var i = _bindings.Count - 1; i >= 0; i--)
        {
            if (_bindings[i].Time <= time)
                return _bindings[i];
        }

        return null;
    }

    /// <summary>Binds the least time from <paramref name="now"/> on that is free to <paramref name="lsn"/>, and gives that time.</summary>
    /// <param name="lsn">Not before the newest binding's; equal: the time passes and nothing has happened.</param>
    /// <exception cref="RestartException">Another process has bound times meanwhile.</exception>
    public async Task<Timestamp> BindAsync(Timestamp now, ulong lsn, CancellationToken cancel)
    {
        var time = Timestamp.Join(now, Upper);
        var updates = UpdateColumns.Empty;
        Invariant.Check(Latest is not { } last || last.Lsn <= lsn, "a source's position does not go back");
        if (Latest?.Lsn != lsn)
        {
            var builder = new UpdateColumnsBuilder();
            if (Latest is { } old)
                builder.Add(RowOf(old.Lsn), time, -1);
            builder.Add(RowOf(lsn), time, 1);
            updates = builder.Build();
        }

        var result = await _writer.CompareAndAppendAsync(updates, Frontier.Of(Upper), Frontier.Of(time.StepForward()), cancel);
        if (result is AppendResult.Mismatch mismatch)
            throw new RestartException($"the remap shard was written by another process (upper {mismatch.Upper})");
        Upper = time.StepForward();
        if (Latest?.Lsn != lsn)
            _bindings.Add(new Binding(time, lsn));
        return time;
    }

    /// <summary>Bindings before the one that holds at <paramref name="time"/> are not needed any more.</summary>
    public async Task ForgetBeforeAsync(Timestamp time, CancellationToken cancel)
    {
        if (At(time) is not { } binding)
            return;
        _bindings.RemoveAll(b => b.Time < binding.Time);
        await _hold.CompareAndDowngradeSinceAsync(Epoch, Epoch, Frontier.Of(time), cancel);
    }

    public void Dispose()
    {
        _writer.Dispose();
        _hold.Dispose();
    }

    private async Task RecoverAsync(PersistClient persist, CancellationToken cancel)
    {
        var upper = await _writer.FetchUpperAsync(cancel);
        if (upper.IsEmpty)
            throw new SourceException("the source was dropped");
        Upper = upper.Time!.Value;
        if (Upper == Timestamp.MinValue)
            return;
        await using var reader = await persist.OpenReaderAsync(_writer.Shard, "ingestion", cancel);
        var since = reader.Since.Time ?? throw new SourceException("the source was dropped");
        var totals = new SortedDictionary<ulong, (Timestamp First, long Count)>();
        using (var snapshot = await reader.SnapshotAsync(since, cancel))
        {
            await foreach (var updates in snapshot.ReadConsolidatedAsync(cancel))
                Take(updates);
        }

        if (since.StepForward() < Upper)
        {
            await foreach (var delta in reader.ListenAsync(since.StepForward(), cancel))
            {
                Take(delta.Updates);
                if (delta.Progress.Time is not { } progress || progress >= Upper)
                    break;
            }
        }

        foreach (var (lsn, (first, _)) in totals)
            _bindings.Add(new Binding(first, lsn));
        for (var i = 1; i < _bindings.Count; i++)
            Invariant.Check(_bindings[i - 1].Time < _bindings[i].Time, "bindings ascend in both times");

        void Take(UpdateColumns updates)
        {
            for (var i = 0; i < updates.Count; i++)
            {
                // A position's retraction tells when the next one began, which that one says itself.
                if (updates.Diffs[i] <= 0)
                    continue;
                var lsn = RowCodec.Unpack(_layout, updates.Row(i))[0].AsUInt64;
                totals[lsn] = (updates.Times[i], updates.Diffs[i]);
            }
        }
    }

    private byte[] RowOf(ulong lsn) => RowCodec.Pack(_layout, [Datum.FromUInt64(lsn)]);
}
