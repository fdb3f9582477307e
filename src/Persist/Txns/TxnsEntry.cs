using System.Buffers;
using System.Collections.Immutable;
using Materialize.Persist.Codec;
using Materialize.Persist.State;
using Materialize.Repr;

namespace Materialize.Persist.Txns;

/// <summary>
/// A row of the txns shard. A row that is there says something; its retraction says that this is over. Rows carry the time they are about,
/// because compaction may move the time of the update itself.
/// </summary>
internal abstract record TxnsEntry
{
    private const byte Version = 1;

    private TxnsEntry()
    {
    }

    /// <summary>The environment of this epoch owns the txns shard.</summary>
    public sealed record Owner(ulong Epoch) : TxnsEntry;

    /// <summary>From <paramref name="At"/> on, <paramref name="Shard"/> is written through the txns shard only.</summary>
    public sealed record Registered(ShardId Shard, Timestamp At) : TxnsEntry;

    /// <summary>Updates of <paramref name="Shard"/> at <paramref name="At"/>. Retracted once the shard itself has them.</summary>
    /// <param name="Index">Tells apart the writes of one commit.</param>
    /// <param name="Runs">Their parts already read as being at <paramref name="At"/>.</param>
    public sealed record Write(ShardId Shard, Timestamp At, uint Index, ImmutableArray<Run> Runs) : TxnsEntry
    {
        public long EncodedBytes { get; } = Runs.Sum(r => r.Parts.Sum(p => p.EncodedBytes));
    }

    public byte[] Encode()
    {
        var encoder = Encoder.Start(out var buffer);
        switch (this)
        {
            case Owner x:
                encoder.Byte(0);
                encoder.Varint(x.Epoch);
                break;
            case Registered x:
                encoder.Byte(1);
                encoder.Guid(x.Shard.Value);
                encoder.Varint(x.At.Millis);
                break;
            case Write x:
                encoder.Byte(2);
                encoder.Guid(x.Shard.Value);
                encoder.Varint(x.At.Millis);
                encoder.Varint(x.Index);
                StateCodec.Runs(encoder, x.Runs);
                break;
        }

        return Sealed.Seal(buffer, Version).ToArray();
    }

    /// <param name="bytes">Kept by the result.</param>
    public static TxnsEntry Decode(ShardId txns, ReadOnlyMemory<byte> bytes)
    {
        var place = $"{txns} (txns)";
        var decoder = new Decoder(place, Sealed.Open(place, bytes, Version));
        TxnsEntry entry = decoder.Byte() switch
        {
            0 => new Owner(decoder.Varint()),
            1 => new Registered(new ShardId(decoder.Guid()), new Timestamp(decoder.Varint())),
            2 => new Write(new ShardId(decoder.Guid()), new Timestamp(decoder.Varint()), (uint)decoder.Varint(), StateCodec.Runs(ref decoder)),
            var kind => throw decoder.Corrupt($"{kind} is no kind of entry"),
        };
        decoder.End();
        return entry;
    }
}
