using Materialize.Core;
using Materialize.Core.Order;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Repr;

namespace Materialize.Catalog;

/// <summary>Another environmentd has taken over the catalog; this process must stop at once.</summary>
public sealed class CatalogFencedException() : Exception("another environmentd has taken over this environment");

/// <summary>
/// The catalog shard: the set of <see cref="CatalogEntry"/>s, changed by one process at a time. Each commit is one compare-and-append
/// at the shard's next time, so a commit of a process that has been fenced finds another upper than it expects.
/// </summary>
public sealed class DurableCatalog
{
    private readonly WriteHandle _writer;
    private readonly Dictionary<string, CatalogEntry> _entries;
    private ulong _upper;

    private DurableCatalog(WriteHandle writer, Dictionary<string, CatalogEntry> entries, ulong upper)
    {
        _writer = writer;
        _entries = entries;
        _upper = upper;
    }

    public IReadOnlyDictionary<string, CatalogEntry> Entries => _entries;

    public ulong Epoch => ((CatalogEntry.Fence)_entries["fence"]).Epoch;

    /// <summary>
    /// Reads the catalog and takes it over: raises the epoch, after which commits of any earlier owner fail.
    /// </summary>
    /// <exception cref="CatalogFencedException">A higher deploy generation owns it.</exception>
    public static async Task<DurableCatalog> OpenAsync(PersistClient persist, ShardId shard, ulong deployGeneration, CancellationToken cancel)
    {
        var writer = await persist.OpenWriterAsync(shard, cancel);
        while (true)
        {
            var frontier = await writer.FetchUpperAsync(cancel);
            var upper = frontier.Elements[0].Millis;
            var entries = new Dictionary<string, CatalogEntry>();
            if (upper > 0)
            {
                var reader = await persist.OpenReaderAsync(shard, "catalog", cancel);
                await using (reader)
                {
                    using var snapshot = await reader.SnapshotAsync(new Timestamp(upper - 1), cancel);
                    await foreach (var part in snapshot.ReadConsolidatedAsync(cancel))
                    {
                        for (var i = 0; i < part.Count; i++)
                        {
                            Invariant.Check(part.Diffs[i] == 1, "the catalog is a set");
                            var entry = CatalogEntry.Decode(part.Row(i));
                            entries.Add(entry.Key, entry);
                        }
                    }
                }
            }

            var old = entries.GetValueOrDefault("fence") as CatalogEntry.Fence;
            if (old is not null && old.DeployGeneration > deployGeneration)
                throw new CatalogFencedException();
            var catalog = new DurableCatalog(writer, entries, upper);
            try
            {
                await catalog.CommitAsync([new CatalogEntry.Fence(deployGeneration, (old?.Epoch ?? 0) + 1)], [], cancel);
                return catalog;
            }
            catch (CatalogFencedException)
            {
                // Somebody committed between our read and our write: read again. Whoever comes last owns it.
            }
        }
    }

    /// <summary>Puts and removes entries, all or none. A put replaces the entry of the same key.</summary>
    /// <exception cref="CatalogFencedException">This process no longer owns the catalog; nothing was changed.</exception>
    public async Task CommitAsync(IReadOnlyCollection<CatalogEntry> puts, IReadOnlyCollection<string> removes, CancellationToken cancel)
    {
        var builder = new UpdateColumnsBuilder();
        var time = new Timestamp(_upper);
        foreach (var put in puts)
        {
            if (_entries.TryGetValue(put.Key, out var old))
                builder.Add(old.Encode(), time, -1);
            builder.Add(put.Encode(), time, 1);
        }

        foreach (var key in removes)
            builder.Add(_entries[key].Encode(), time, -1);
        var result = await _writer.CompareAndAppendAsync(
            builder.Build(), Antichain<Timestamp>.Of(time), Antichain<Timestamp>.Of(new Timestamp(_upper + 1)), cancel);
        if (result is not AppendResult.Appended)
            throw new CatalogFencedException();
        _upper++;
        foreach (var put in puts)
            _entries[put.Key] = put;
        foreach (var key in removes)
            _entries.Remove(key);
    }
}
