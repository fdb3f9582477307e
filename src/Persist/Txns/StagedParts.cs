// Parts of tables that are written ahead of their commit, and what becomes of them when the commit never comes.
//
// Such a part's key begins with the epoch of the owner that wrote it, because only that owner's commit can make it part of a table. When a later
// owner has fenced that one, no such commit is possible any more. So of the parts of earlier epochs, those are garbage that neither the txns shard
// names nor, looked at afterwards, the table's own shard: a write moves from the first to the second and never back, so a part that is missed in
// the first because it has moved is found in the second. (Or not even there, when it has been compacted away and is being deleted: deleting it
// twice is no harm.) No clock is asked: an owner that sleeps for a day between staging and commit wakes up fenced.

using System.Globalization;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Txns;

internal static class StagedParts
{
    private const string Folder = "staged/";

    /// <summary>The key of a part that the owner of this epoch stages for a table.</summary>
    public static string Key(ulong epoch, ShardId table, Guid id) => string.Create(CultureInfo.InvariantCulture, $"{Folder}{epoch:D20}.{table}.part-{id:N}");

    /// <summary>Deletes what owners before <paramref name="epoch"/> have staged and not committed; returns how much of it there was.</summary>
    /// <param name="txns">Of the owner of <paramref name="epoch"/>: whoever was before is fenced.</param>
    public static async ValueTask<int> SweepAsync(PersistClient client, TxnsReader reader, WriteHandle txns, ulong epoch, CancellationToken cancel)
    {
        var services = client.Services;
        var found = await services.Retry.RunAsync(async () =>
        {
            var old = new List<(ShardId Table, string Key)>();
            await foreach (var (key, _) in services.Blob.ListAsync(Folder, cancel))
            {
                if (Parse(key) is { } part && part.Epoch < epoch)
                    old.Add((part.Table, key));
            }

            return old;
        }, cancel);
        if (found.Count == 0)
            return 0;

        // The order matters: first what is committed and may be on its way to its table, then the tables.
        if ((await txns.FetchUpperAsync(cancel)).Time?.StepBack() is { } last)
            await reader.WaitForUpperPastAsync(last, cancel);
        var named = reader.Unapplied().SelectMany(t => t.Writes).SelectMany(w => w.Runs).SelectMany(r => r.Parts).OfType<Part.Blob>().Select(p => p.Key).ToHashSet();
        var deleted = 0;
        foreach (var table in found.Where(f => !named.Contains(f.Key)).GroupBy(f => f.Table, f => f.Key))
        {
            using var lease = await client.LeaseAsync(table.Key, cancel);
            var state = (await lease.Value.RefreshAsync(cancel))!;
            var known = state.Trace.SelectMany(b => b.Parts).OfType<Part.Blob>().Select(p => p.Key).Concat(state.Garbage.Select(g => g.Key)).ToHashSet();
            foreach (var key in table.Where(k => !known.Contains(k)))
            {
                await services.Retry.RunAsync(() => services.Blob.DeleteAsync(key, cancel), cancel);
                deleted++;
            }
        }

        if (deleted > 0)
            services.Events.Swept(deleted);
        return deleted;
    }

    private static (ulong Epoch, ShardId Table)? Parse(string key) =>
        key[Folder.Length..].Split('.') is [var epoch, var table, _]
        && ulong.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && ShardId.TryParse(table, out var shard)
            ? (number, shard)
            : null;
}
