using Materialize.Persist.Columns;

namespace Materialize.Persist;

/// <summary>The settings of persist. The defaults suit one machine with an SSD.</summary>
public sealed record PersistConfig
{
    /// <summary>Writes whose stored form is at most this large live in the shard's state; larger ones become blobs.</summary>
    public int InlineBytesMax { get; init; } = 64 * 1024;

    /// <summary>Inlined writes are compacted away once a shard holds more than this of them.</summary>
    public int InlineTotalBytesMax { get; init; } = 256 * 1024;

    /// <summary>A part is cut at about this size in memory.</summary>
    public int PartBytesTarget { get; init; } = 8 * 1024 * 1024;

    public PartCompression Compression { get; init; } = PartCompression.None;

    /// <summary>A reader that has not renewed for this long loses its hold.</summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A rollup is written every so many entries of a shard's log.</summary>
    public int RollupEvery { get; init; } = 64;

    /// <summary>States whose stored form is at most this large are rolled up within the log itself, larger ones in a blob.</summary>
    public int InlineRollupBytesMax { get; init; } = 32 * 1024;

    /// <summary>Compaction starts when a shard has this many batches.</summary>
    public int CompactionBatchesMin { get; init; } = 8;

    /// <summary>At most this many batches become one at a time: bounds the memory of a merge.</summary>
    public int CompactionBatchesMax { get; init; } = 16;

    /// <summary>How often a call to the stores is made before its failure is reported.</summary>
    public int AttemptsMax { get; init; } = 8;

    /// <summary>The pause before the second attempt; it doubles up to one second.</summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromMilliseconds(4);

    /// <summary>How often a follower looks when diffs are pushed to it: the safety net for lost messages.</summary>
    public TimeSpan PollWhenPushed { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often a follower looks at first when nothing is pushed; the pause doubles up to <see cref="PollPauseMax"/>.</summary>
    public TimeSpan PollPauseMin { get; init; } = TimeSpan.FromMilliseconds(4);

    public TimeSpan PollPauseMax { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Committed table writes go to their own shards this long after their commit, several at a time. Readers do not wait for it.</summary>
    public TimeSpan TxnsApplyPause { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether the client compacts, collects and renews leases by itself. Off in tests that drive these steps.</summary>
    public bool Background { get; init; } = true;
}
