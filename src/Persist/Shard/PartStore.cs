using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Persist.Columns;
using Materialize.Persist.State;
using Materialize.Persist.Txns;
using Materialize.Repr;

namespace Materialize.Persist.Shard;

/// <summary>Reads and writes the parts of one shard.</summary>
/// <param name="stagedBy">For parts that only a commit of this owner of the tables will name: its epoch, which <see cref="StagedParts"/> finds them by.</param>
internal sealed class PartStore(ShardId shard, Services services, ulong? stagedBy = null)
{
    private const int WritesInFlightMax = 2;

    // Memory for large arrays that go with a part, in units of its own: hashes and raised times when it is read; what it is built up in, sorted and encoded by when it is written.
    private const int FetchCost = 2;
    private const int WriteCost = 4;

    public string NewPartKey() => stagedBy is { } epoch ? StagedParts.Key(epoch, shard, services.Ids.Next()) : $"{shard}/part-{services.Ids.Next():N}";

    /// <summary>The updates of a part, in stored order.</summary>
    /// <exception cref="MissingBlobException">The blob is gone.</exception>
    public async ValueTask<UpdateColumns> FetchAsync(Part part, CancellationToken cancel)
    {
        UpdateColumns updates;
        switch (part)
        {
            case Part.Inline inline:
                updates = PartCodec.Decode($"{shard} (inline)", inline.Bytes);
                break;
            case Part.Blob blob:
                var bytes = await services.Retry.RunAsync(() => services.Blob.GetAsync(blob.Key, cancel), cancel);
                updates = PartCodec.Decode(blob.Key, bytes ?? throw new MissingBlobException(blob.Key));
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }

        if (updates.Count != part.Count)
            throw new CorruptDataException((part as Part.Blob)?.Key ?? shard.ToString(), $"{updates.Count} updates where the state says {part.Count}");
        LargeGarbage.Note(FetchCost * updates.SizeBytes);
        return part.RewriteTime is { } time ? updates.AllAt(time) : updates;
    }

    /// <summary>The updates of a run, part after part; with <paramref name="ahead"/> the next one is fetched while the caller works on one.</summary>
    public async IAsyncEnumerable<UpdateColumns> FetchRunAsync(
        Run run, Func<UpdateColumns, UpdateColumns> map, bool ahead, [EnumeratorCancellation] CancellationToken cancel)
    {
        Task<UpdateColumns>? next = null;
        for (var i = 0; i < run.Parts.Length; i++)
        {
            var current = await (next ?? FetchAsync(run.Parts[i], cancel).AsTask());
            next = ahead && i + 1 < run.Parts.Length ? FetchAsync(run.Parts[i + 1], cancel).AsTask() : null;
            yield return map(current);
        }
    }

    public async ValueTask DeleteAsync(IEnumerable<Part> parts, CancellationToken cancel)
    {
        foreach (var blob in parts.OfType<Part.Blob>())
            await services.Retry.RunAsync(() => services.Blob.DeleteAsync(blob.Key, cancel), cancel);
    }

    /// <summary>Takes the stored forms of parts; keeps the first small ones inline, writes the others, a few at a time.</summary>
    public sealed class Writer(PartStore store, Services services)
    {
        private readonly List<Part> _parts = [];
        private readonly Queue<Task> _writes = [];
        private long _inlineBytes;

        public async ValueTask WriteAsync(UpdateColumns sorted, CancellationToken cancel)
        {
            var bytes = PartCodec.Encode(sorted, services.Config.Compression);
            LargeGarbage.Note(WriteCost * sorted.SizeBytes);
            if (_inlineBytes + bytes.Length <= services.Config.InlineBytesMax)
            {
                _inlineBytes += bytes.Length;
                _parts.Add(new Part.Inline(bytes, sorted.Count, null));
                return;
            }

            while (_writes.Count >= WritesInFlightMax)
                await _writes.Dequeue();
            var key = store.NewPartKey();
            _parts.Add(new Part.Blob(key, sorted.Count, bytes.Length, null));
            _writes.Enqueue(SetAsync(key, bytes, cancel));
        }

        /// <summary>The parts in order of writing, all of them durable.</summary>
        public async ValueTask<ImmutableArray<Part>> FinishAsync()
        {
            while (_writes.TryDequeue(out var write))
                await write;
            return [.. _parts];
        }

        /// <summary>Deletes what was written. For when something else went wrong; what this meets is not reported.</summary>
        public async ValueTask AbandonAsync()
        {
            try
            {
                await Task.WhenAll(_writes);
                await store.DeleteAsync(_parts, CancellationToken.None);
            }
            catch (Exception e) when (e is PersistException or OperationCanceledException)
            {
                // What stays is unreferenced and does no harm.
            }
        }

        private async Task SetAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancel) =>
            await services.Retry.RunAsync(async () =>
            {
                await services.Blob.SetAsync(key, bytes, cancel);
                return true;
            }, cancel);
    }
}
