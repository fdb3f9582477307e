using System.Numerics;
using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>A row of a window: its hash, and where it is (source &lt;&lt; 16 | index from the source's position).</summary>
internal struct WindowEntry
{
    public ulong Hash;
    public uint Ref;
}

/// <summary>Columns that rows come from: an unsorted batch from a channel, or a sorted one. <c>[Position, End)</c> is what a window takes.</summary>
internal unsafe struct RowSource<TTime> where TTime : unmanaged, ITime<TTime>
{
    public ulong* Hashes;
    public byte* Keys;
    public uint* KeyEnds;
    public byte* Values;
    public uint* ValueEnds;
    public TTime* Times;
    public TTime UniformTime;
    public int* Diffs;
    public long* WideDiffs;
    public long UniformDiff;
    public int Position;
    public int End;
    public int Count;
    public BatchDirectory Directory;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TTime TimeAt(int row) => Times == null ? UniformTime : Times[row];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long DiffAt(int row) => Diffs != null ? Diffs[row] : WideDiffs != null ? WideDiffs[row] : UniformDiff;

    public static RowSource<TTime> Of(Batch<TTime> batch) => new()
    {
        Hashes = batch.Hashes,
        Keys = batch.Keys.Data,
        KeyEnds = batch.Keys.Ends,
        Values = batch.Values.Data,
        ValueEnds = batch.Values.Ends,
        Times = batch.Times,
        UniformTime = batch.UniformTime,
        Diffs = batch.Diffs,
        WideDiffs = batch.WideDiffs,
        UniformDiff = 1,
        Count = batch.Count,
        End = batch.Count,
        Directory = batch.Directory,
    };

    /// <summary>Rows of a keyed batch from a channel: unsorted, no directory.</summary>
    public static RowSource<TTime> Of(UpdateBatch<TTime> batch) => new()
    {
        Hashes = batch.Hashes,
        Keys = batch.Keys.Data,
        KeyEnds = batch.Keys.Ends,
        Values = batch.Rows.Data,
        ValueEnds = batch.Rows.Ends,
        Times = batch.Times,
        UniformTime = batch.UniformTime,
        WideDiffs = batch.Diffs,
        UniformDiff = batch.UniformDiff,
        Count = batch.Count,
        End = batch.Count,
    };
}

/// <summary>
/// Sorts the rows of a window by hash with one pass of buckets: the kernel of flush, bulk load and merge.
/// </summary>
/// <remarks>
/// Hashes are uniform, so that buckets by their top bits, one or two rows each, leave next to nothing to the insertion pass: 110–160 M rows/s while the window fits
/// the cache (performance.md §1). Stable: rows of equal hash keep the order of sources and positions. A source's piece has fewer than 65 536 rows.
/// </remarks>
internal sealed unsafe class SortWindow : IDisposable
{
    /// <summary>Most rows of a window.</summary>
    public const int RowsMax = 32768;

    private WindowEntry* _entries;
    private long _entriesCapacity;
    private uint* _buckets;
    private long _bucketsCapacity;

    /// <summary>The sorted rows of the last call.</summary>
    public WindowEntry* Entries => _entries;

    /// <summary>Sorts [Position, End) of each source; all hashes agree on their top <paramref name="commonBits"/> bits. Returns the number of rows.</summary>
    public int Sort<TTime>(RowSource<TTime>* sources, int count, int commonBits) where TTime : unmanaged, ITime<TTime>
    {
        var rows = 0;
        for (var s = 0; s < count; s++)
            rows += sources[s].End - sources[s].Position;
        if (rows == 0)
            return 0;
        var bits = Math.Min(16, BitOperations.Log2((uint)rows) + 1);
        Reserve(rows, 1 << bits);
        var shift = 63 - bits;
        var buckets = _buckets;
        new Span<uint>(buckets, 1 << bits).Clear();
        for (var s = 0; s < count; s++)
        {
            var hash = sources[s].Hashes + sources[s].Position;
            var end = sources[s].Hashes + sources[s].End;
            for (; hash < end; hash++)
                buckets[*hash << commonBits >> 1 >> shift]++;
        }

        var sum = 0u;
        for (var b = 0; b < 1 << bits; b++)
        {
            var n = buckets[b];
            buckets[b] = sum;
            sum += n;
        }

        var entries = _entries;
        for (var s = 0; s < count; s++)
        {
            var first = sources[s].Hashes + sources[s].Position;
            var length = sources[s].End - sources[s].Position;
            var reference = (uint)s << 16;
            for (var i = 0; i < length; i++)
            {
                var hash = first[i];
                var entry = entries + buckets[hash << commonBits >> 1 >> shift]++;
                entry->Hash = hash;
                entry->Ref = reference | (uint)i;
            }
        }

        for (var i = 1; i < rows; i++)
        {
            if (entries[i].Hash >= entries[i - 1].Hash)
                continue;
            var moved = entries[i];
            var j = i;
            do
            {
                entries[j] = entries[j - 1];
                j--;
            }
            while (j > 0 && entries[j - 1].Hash > moved.Hash);
            entries[j] = moved;
        }

        return rows;
    }

    public void Measure(StateMeter meter)
    {
        meter.Slab(0, _entriesCapacity);
        meter.Slab(0, _bucketsCapacity);
    }

    public void Dispose()
    {
        SlabPool.Return(_entries, _entriesCapacity);
        SlabPool.Return(_buckets, _bucketsCapacity);
        _entries = null;
        _buckets = null;
        _entriesCapacity = 0;
        _bucketsCapacity = 0;
    }

    private void Reserve(int rows, int buckets)
    {
        if ((long)rows * sizeof(WindowEntry) > _entriesCapacity)
            _entries = (WindowEntry*)SlabPool.Resize((byte*)_entries, ref _entriesCapacity, 0, (long)rows * sizeof(WindowEntry));
        if ((long)buckets * sizeof(uint) > _bucketsCapacity)
            _buckets = (uint*)SlabPool.Resize((byte*)_buckets, ref _bucketsCapacity, 0, (long)buckets * sizeof(uint));
    }
}
