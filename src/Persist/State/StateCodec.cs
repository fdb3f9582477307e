using System.Collections.Immutable;
using Materialize.Core.Order;
using Materialize.Persist.Codec;
using Materialize.Persist.Columns;
using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.State;

/// <summary>Where to start reading a shard's log: at the state after the entry <paramref name="At"/>.</summary>
/// <param name="Key">The blob that holds it; empty if the entry itself does.</param>
internal readonly record struct RollupPointer(SeqNo At, string Key)
{
    public bool IsInline => Key.Length == 0;
}

/// <summary>One entry of a shard's log in consensus.</summary>
/// <param name="OpId">Unique to the attempt that wrote it: who cannot tell whether a compare-and-set happened looks for its own.</param>
/// <param name="Rollup">The latest rollup as of this entry.</param>
/// <param name="State">The whole state after the changes, if this entry is an inline rollup.</param>
internal sealed record LogEntry(SeqNo SeqNo, Guid OpId, RollupPointer Rollup, ImmutableArray<StateChange> Changes, ShardState? State);

/// <summary>The stored form of log entries and rollups.</summary>
internal static class StateCodec
{
    private const byte EntryVersion = 1;
    private const byte RollupVersion = 1;

    public static ReadOnlyMemory<byte> EncodeEntry(LogEntry entry)
    {
        var encoder = Encoder.Start(out var buffer);
        encoder.Varint(entry.SeqNo.Value);
        encoder.Guid(entry.OpId);
        encoder.Varint(entry.Rollup.At.Value);
        encoder.Text(entry.Rollup.Key);
        encoder.Varint((ulong)entry.Changes.Length);
        foreach (var change in entry.Changes)
            Change(encoder, change);
        encoder.Bool(entry.State is not null);
        if (entry.State is { } state)
            State(encoder, state);
        return Sealed.Seal(buffer, EntryVersion);
    }

    /// <param name="key">The consensus key; names the place in errors.</param>
    public static LogEntry DecodeEntry(string key, VersionedData data)
    {
        var place = $"{key}@{data.SeqNo}";
        var decoder = new Decoder(place, Sealed.Open(place, data.Data, EntryVersion));
        var seqNo = new SeqNo(decoder.Varint());
        if (seqNo != data.SeqNo)
            throw decoder.Corrupt($"the entry says that it is {seqNo}");
        var opId = decoder.Guid();
        var rollup = new RollupPointer(new SeqNo(decoder.Varint()), decoder.Text());
        var changes = ImmutableArray.CreateBuilder<StateChange>();
        for (var n = decoder.Count(); n > 0; n--)
            changes.Add(Change(ref decoder));
        var state = decoder.Bool() ? State(ref decoder) : null;
        decoder.End();
        return new LogEntry(seqNo, opId, rollup, changes.ToImmutable(), state);
    }

    public static ReadOnlyMemory<byte> EncodeRollup(ShardState state)
    {
        var encoder = Encoder.Start(out var buffer, 4096);
        State(encoder, state);
        return Sealed.Seal(buffer, RollupVersion);
    }

    public static ShardState DecodeRollup(string key, ReadOnlyMemory<byte> bytes)
    {
        var decoder = new Decoder(key, Sealed.Open(key, bytes, RollupVersion));
        var state = State(ref decoder);
        decoder.End();
        return state;
    }

    public static void Runs(Encoder encoder, ImmutableArray<Run> runs)
    {
        encoder.Varint((ulong)runs.Length);
        foreach (var run in runs)
        {
            encoder.Varint((ulong)run.Parts.Length);
            foreach (var part in run.Parts)
                Part(encoder, part);
        }
    }

    public static ImmutableArray<Run> Runs(ref Decoder decoder)
    {
        var runs = ImmutableArray.CreateBuilder<Run>();
        for (var n = decoder.Count(); n > 0; n--)
        {
            var parts = ImmutableArray.CreateBuilder<Part>();
            for (var m = decoder.Count(); m > 0; m--)
                parts.Add(Part(ref decoder));
            runs.Add(new Run(parts.ToImmutable()));
        }

        return runs.ToImmutable();
    }

    private static void Part(Encoder encoder, Part part)
    {
        switch (part)
        {
            case Part.Inline x:
                encoder.Byte(0);
                encoder.Bytes(x.Bytes.Span);
                break;
            case Part.Blob x:
                encoder.Byte(1);
                encoder.Text(x.Key);
                encoder.Varint((ulong)x.EncodedBytes);
                break;
        }

        encoder.Varint((ulong)part.Count);
        Time(encoder, part.RewriteTime);
    }

    private static void Time(Encoder encoder, Timestamp? time)
    {
        encoder.Bool(time is not null);
        if (time is { } there)
            encoder.Varint(there.Millis);
    }

    private static Timestamp? Time(ref Decoder decoder) => decoder.Bool() ? new Timestamp(decoder.Varint()) : null;

    private static Part Part(ref Decoder decoder)
    {
        switch (decoder.Byte())
        {
            case 0:
                var bytes = decoder.Bytes();
                var (inlineCount, inlineTime) = Tail(ref decoder);
                return new Part.Inline(bytes, inlineCount, inlineTime);
            case 1:
                var key = decoder.Text();
                var size = (long)decoder.Varint();
                var (count, time) = Tail(ref decoder);
                return new Part.Blob(key, count, size, time);
            case var kind:
                throw decoder.Corrupt($"{kind} is no kind of part");
        }

        static (int Count, Timestamp? Time) Tail(ref Decoder decoder) =>
            ((int)decoder.Varint(), Time(ref decoder));
    }

    public static void Frontier(Encoder encoder, Frontier frontier)
    {
        encoder.Bool(!frontier.IsEmpty);
        if (frontier.Time is { } time)
            encoder.Varint(time.Millis);
    }

    public static Frontier Frontier(ref Decoder decoder) =>
        decoder.Bool() ? Antichain<Timestamp>.Of(new Timestamp(decoder.Varint())) : Antichain<Timestamp>.Empty;

    private static void Change(Encoder encoder, StateChange change)
    {
        switch (change)
        {
            case StateChange.Append x:
                encoder.Byte(0);
                Frontier(encoder, x.Upper);
                Runs(encoder, x.Runs);
                break;
            case StateChange.Replace x:
                encoder.Byte(1);
                encoder.Varint((ulong)x.Ids.Length);
                foreach (var id in x.Ids)
                    encoder.Varint(id);
                Frontier(encoder, x.Since);
                Time(encoder, x.ShrinksAt);
                Runs(encoder, x.Runs);
                break;
            case StateChange.SetReader x:
                encoder.Byte(2);
                encoder.Guid(x.Id);
                Reader(encoder, x.Reader);
                break;
            case StateChange.RemoveReader x:
                encoder.Byte(3);
                encoder.Guid(x.Id);
                break;
            case StateChange.SetCritical x:
                encoder.Byte(4);
                encoder.Guid(x.Id);
                Critical(encoder, x.Reader);
                break;
            case StateChange.RemoveCritical x:
                encoder.Byte(5);
                encoder.Guid(x.Id);
                break;
            case StateChange.SetRollup x:
                encoder.Byte(6);
                encoder.Varint(x.At.Value);
                encoder.Text(x.Key);
                break;
            case StateChange.DropGarbage x:
                encoder.Byte(7);
                encoder.Varint((ulong)x.Keys.Length);
                foreach (var key in x.Keys)
                    encoder.Text(key);
                break;
            default:
                throw new System.Diagnostics.UnreachableException(change.GetType().Name);
        }
    }

    private static StateChange Change(ref Decoder decoder)
    {
        switch (decoder.Byte())
        {
            case 0:
                return new StateChange.Append(Frontier(ref decoder), Runs(ref decoder));
            case 1:
                var ids = ImmutableArray.CreateBuilder<ulong>();
                for (var n = decoder.Count(); n > 0; n--)
                    ids.Add(decoder.Varint());
                return new StateChange.Replace(ids.ToImmutable(), Frontier(ref decoder), Time(ref decoder), Runs(ref decoder));
            case 2:
                return new StateChange.SetReader(decoder.Guid(), Reader(ref decoder));
            case 3:
                return new StateChange.RemoveReader(decoder.Guid());
            case 4:
                return new StateChange.SetCritical(decoder.Guid(), Critical(ref decoder));
            case 5:
                return new StateChange.RemoveCritical(decoder.Guid());
            case 6:
                return new StateChange.SetRollup(new SeqNo(decoder.Varint()), decoder.Text());
            case 7:
                var keys = ImmutableArray.CreateBuilder<string>();
                for (var n = decoder.Count(); n > 0; n--)
                    keys.Add(decoder.Text());
                return new StateChange.DropGarbage(keys.ToImmutable());
            case var kind:
                throw decoder.Corrupt($"{kind} is no kind of change");
        }
    }

    private static void Reader(Encoder encoder, LeasedReader reader)
    {
        encoder.Text(reader.Purpose);
        Frontier(encoder, reader.Since);
        encoder.Varint(reader.HoldSeqNo.Value);
        encoder.Varint(reader.HeartbeatMs);
        encoder.Varint(reader.LeaseMs);
    }

    private static LeasedReader Reader(ref Decoder decoder) =>
        new(decoder.Text(), Frontier(ref decoder), new SeqNo(decoder.Varint()), decoder.Varint(), decoder.Varint());

    private static void Critical(Encoder encoder, CriticalReader reader)
    {
        encoder.Text(reader.Purpose);
        Frontier(encoder, reader.Since);
        encoder.Varint(reader.Epoch);
    }

    private static CriticalReader Critical(ref Decoder decoder) => new(decoder.Text(), Frontier(ref decoder), decoder.Varint());

    private static void State(Encoder encoder, ShardState state)
    {
        encoder.Varint(state.SeqNo.Value);
        Frontier(encoder, state.Since);
        Frontier(encoder, state.Upper);
        encoder.Varint(state.NextBatchId);
        encoder.Varint((ulong)state.Trace.Length);
        foreach (var batch in state.Trace)
        {
            encoder.Varint(batch.Id);
            Frontier(encoder, batch.Lower);
            Frontier(encoder, batch.Upper);
            Frontier(encoder, batch.Since);
            Time(encoder, batch.ShrinksAt);
            Runs(encoder, batch.Runs);
        }

        encoder.Varint((ulong)state.Readers.Count);
        foreach (var (id, reader) in state.Readers)
        {
            encoder.Guid(id);
            Reader(encoder, reader);
        }

        encoder.Varint((ulong)state.Criticals.Count);
        foreach (var (id, reader) in state.Criticals)
        {
            encoder.Guid(id);
            Critical(encoder, reader);
        }

        encoder.Varint((ulong)state.Garbage.Length);
        foreach (var garbage in state.Garbage)
        {
            encoder.Varint(garbage.RetiredAt.Value);
            encoder.Text(garbage.Key);
        }

        encoder.Bool(state.Rollup is not null);
        if (state.Rollup is { } rollup)
        {
            encoder.Varint(rollup.At.Value);
            encoder.Text(rollup.Key);
        }
    }

    private static ShardState State(ref Decoder decoder)
    {
        var seqNo = new SeqNo(decoder.Varint());
        var since = Frontier(ref decoder);
        var upper = Frontier(ref decoder);
        var nextBatchId = decoder.Varint();
        var trace = ImmutableArray.CreateBuilder<Batch>();
        for (var n = decoder.Count(); n > 0; n--)
            trace.Add(new Batch(
                decoder.Varint(), Frontier(ref decoder), Frontier(ref decoder), Frontier(ref decoder), Time(ref decoder), Runs(ref decoder)));
        var readers = ImmutableDictionary.CreateBuilder<Guid, LeasedReader>();
        for (var n = decoder.Count(); n > 0; n--)
            readers[decoder.Guid()] = Reader(ref decoder);
        var criticals = ImmutableDictionary.CreateBuilder<Guid, CriticalReader>();
        for (var n = decoder.Count(); n > 0; n--)
            criticals[decoder.Guid()] = Critical(ref decoder);
        var garbage = ImmutableArray.CreateBuilder<Garbage>();
        for (var n = decoder.Count(); n > 0; n--)
            garbage.Add(new Garbage(new SeqNo(decoder.Varint()), decoder.Text()));
        var rollup = decoder.Bool() ? new StateChange.SetRollup(new SeqNo(decoder.Varint()), decoder.Text()) : null;
        var state = new ShardState
        {
            SeqNo = seqNo,
            Since = since,
            Upper = upper,
            NextBatchId = nextBatchId,
            Trace = trace.ToImmutable(),
            Readers = readers.ToImmutable(),
            Criticals = criticals.ToImmutable(),
            Garbage = garbage.ToImmutable(),
            Rollup = rollup,
        };
        if (!state.IsWellFormed())
            throw decoder.Corrupt("the trace is not contiguous");
        return state;
    }
}
