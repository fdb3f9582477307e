using System.Collections.Immutable;
using Materialize.Persist.Codec;
using Materialize.Persist.Columns;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>
/// Writes updates of any number to a shard's blob store ahead of their append. Memory is bounded by some parts
/// (<see cref="PersistConfig.PartBytesTarget"/>) provided the asynchronous methods are awaited. Used by one caller at a time.
/// </summary>
public sealed class BatchBuilder
{
    private readonly ShardId _shard;
    private readonly Services _services;
    private readonly PartStore _store;
    private readonly PartStore.Writer _writer;
    private UpdateColumnsBuilder _buffer = new();
    private Timestamp _min = Timestamp.MaxValue;
    private Timestamp _max = Timestamp.MinValue;
    private long _count;

    /// <param name="stagedBy">As for <see cref="PartStore"/>.</param>
    internal BatchBuilder(ShardId shard, Services services, ulong? stagedBy = null)
    {
        _shard = shard;
        _services = services;
        _store = new PartStore(shard, services, stagedBy);
        _writer = new PartStore.Writer(_store, services);
    }

    /// <summary>Buffers one update. Await <see cref="FlushIfFullAsync"/> from time to time (each row is not too often: it is one comparison).</summary>
    public void Add(ReadOnlySpan<byte> row, Timestamp time, long diff)
    {
        _min = Timestamp.Meet(_min, time);
        _max = Timestamp.Join(_max, time);
        _buffer.Add(row, time, diff);
    }

    /// <summary>Buffers all of <paramref name="updates"/>, writing a part whenever one is full.</summary>
    public async ValueTask AddAsync(UpdateColumns updates, CancellationToken cancel)
    {
        for (var i = 0; i < updates.Count;)
        {
            for (; i < updates.Count && _buffer.SizeBytes < _services.Config.PartBytesTarget; i++)
                Add(updates.Row(i), updates.Times[i], updates.Diffs[i]);
            await FlushIfFullAsync(cancel);
        }
    }

    /// <summary>Writes a part if enough is buffered.</summary>
    public ValueTask FlushIfFullAsync(CancellationToken cancel) =>
        _buffer.SizeBytes >= _services.Config.PartBytesTarget ? FlushAsync(cancel) : ValueTask.CompletedTask;

    /// <summary>Everything added so far as one batch, durable but not yet part of the shard. The builder is used up.</summary>
    public async ValueTask<StagedBatch> FinishAsync(CancellationToken cancel)
    {
        await FlushAsync(cancel);
        var parts = await _writer.FinishAsync();
        // Each part is sorted by itself, not after the one before: a run of its own.
        return new StagedBatch(_shard, [.. parts.Select(p => new Run([p]))], _count, _min, _max);
    }

    /// <summary>Deletes what has been written. The builder is used up.</summary>
    public ValueTask AbandonAsync() => _writer.AbandonAsync();

    private async ValueTask FlushAsync(CancellationToken cancel)
    {
        var sorted = RowOrder.SortAndConsolidate(_buffer.Build());
        if (sorted.IsEmpty)
            return;
        _count += sorted.Count;
        await _writer.WriteAsync(sorted, cancel);
    }
}

/// <summary>
/// Updates that are durable but not yet part of a shard. Append it, or delete it: nobody else will. Immutable; <see cref="Encode"/> lets another
/// process append it.
/// </summary>
public sealed class StagedBatch
{
    private const byte Version = 1;

    internal StagedBatch(ShardId shard, ImmutableArray<Run> runs, long count, Timestamp min, Timestamp max)
    {
        Shard = shard;
        Runs = runs;
        Count = count;
        MinTime = min;
        MaxTime = max;
    }

    /// <summary>The shard it was written for, and the only one that may have it.</summary>
    public ShardId Shard { get; }

    /// <summary>How many updates, as stored.</summary>
    public long Count { get; }

    /// <summary>The least time; meaningless if there are no updates.</summary>
    public Timestamp MinTime { get; }

    public Timestamp MaxTime { get; }

    public bool IsEmpty => Runs.IsEmpty;

    /// <summary>The size of what is stored.</summary>
    public long EncodedBytes => Runs.Sum(r => r.Parts.Sum(p => p.EncodedBytes));

    internal ImmutableArray<Run> Runs { get; }

    /// <summary>The same updates all at <paramref name="time"/>, without touching what is stored: for batches staged before their time was known.</summary>
    public StagedBatch At(Timestamp time)
    {
        var runs = Runs.Select(r => new Run([.. r.Parts.Select(p => p with { RewriteTime = time })]));
        return new StagedBatch(Shard, [.. runs], Count, time, time);
    }

    /// <summary>A form that <see cref="Decode"/> takes, in this process or another.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var encoder = Encoder.Start(out var buffer);
        encoder.Guid(Shard.Value);
        encoder.Varint((ulong)Count);
        encoder.Varint(MinTime.Millis);
        encoder.Varint(MaxTime.Millis);
        StateCodec.Runs(encoder, Runs);
        return Sealed.Seal(buffer, Version);
    }

    /// <param name="place">Names the origin of the bytes in errors.</param>
    /// <exception cref="CorruptDataException">The bytes are not what <see cref="Encode"/> made.</exception>
    public static StagedBatch Decode(string place, ReadOnlyMemory<byte> bytes)
    {
        var decoder = new Decoder(place, Sealed.Open(place, bytes, Version));
        var shard = new ShardId(decoder.Guid());
        var count = (long)decoder.Varint();
        var min = new Timestamp(decoder.Varint());
        var max = new Timestamp(decoder.Varint());
        var runs = StateCodec.Runs(ref decoder);
        decoder.End();
        return new StagedBatch(shard, runs, count, min, max);
    }
}
