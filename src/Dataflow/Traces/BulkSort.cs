using System.Numerics;
using System.Runtime.InteropServices;
using Materialize.Core.Memory;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Sorts very many updates: while they come they are set apart by the top bits of their hash, so that in the end each part fits the cache, is sorted there once, and is written once to its place in the batch.
/// </summary>
/// <remarks>
/// What costs is waiting for memory: where parts go on is brought into the cache two parts ahead of the rows, and so are a part's rows when they are put in order (a load of numbers takes 0.75 of the time, of texts 0.85).
/// Against sorted runs merged in the end, a row is sorted and consolidated once and not twice, and nothing is read from more than one place at a time. A part is a list of chunks, freed as soon as the part is sorted, while the batch grows: so both together are hardly more than one of them.
/// A part that is far larger than others has a key with very many rows: it is sorted as runs and these merged, so that neither the work of a step nor its memory grows with it.
/// Sorting is fueled: <see cref="Work"/> until <see cref="IsSorted"/>, then <see cref="Finish"/>. Nothing is added once sorting has begun.
/// </remarks>
internal sealed unsafe class BulkSort<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int PartBits = 8;
    private const int Parts = 1 << PartBits;
    private const int PartsAhead = 2;
    private const int HotRows = 4 * SortWindow.RowsMax;
    private const long RowsMax = 8 << 20;
    private const long BytesMax = 1L << 30;
    private const long ChunkBytesMin = 8 << 10;
    private const long ChunkBytesMax = 64 << 10;
    private readonly MergeTools<TTime> _tools;
    private readonly int _hotRows;
    private readonly Part[] _parts = new Part[Parts];
    private readonly int[] _ends = new int[Parts];
    private int[] _order = [];
    private bool _hasTimes; // chunks from now on
    private long _rows;
    private long _keyBytes;
    private long _valueBytes;
    private BatchWriter<TTime>? _writer;
    private int _part;
    private readonly List<Batch<TTime>> _hotRuns = [];
    private Merger<TTime>? _hot; // of _hotRuns, to _writer

    /// <param name="hotRows">A part with more rows is sorted as runs of up to a fifth of that.</param>
    public BulkSort(MergeTools<TTime> tools, int hotRows = HotRows)
    {
        _tools = tools;
        _hotRows = hotRows;
        for (var p = 0; p < Parts; p++)
            _parts[p] = new Part();
    }

    /// <summary>The least time added; closed when nothing was.</summary>
    public Stamp MinStamp { get; private set; } = Stamp.Closed;

    /// <summary>Whether parts would outgrow the cache, or the batch its offsets, with more.</summary>
    public bool IsFull => _rows >= RowsMax || _keyBytes + _valueBytes >= BytesMax
        || (SlabPool.IsShort && (_rows * sizeof(ulong)) + _keyBytes + _valueBytes >= SlabPool.MemoryBudget / 8);

    public bool IsSorted => _part == Parts;

    /// <summary>Copies a keyed batch to its parts; the caller keeps it.</summary>
    public void Add(UpdateBatch<TTime> batch)
    {
        MinStamp = Stamp.Min(MinStamp, batch.MinTime.ToStamp());
        _rows += batch.Count;
        _keyBytes += batch.Keys.Bytes;
        _valueBytes += batch.Rows.Bytes;

        // Row numbers by part first, so that each part is appended to in one go.
        if (_order.Length < batch.Count)
            _order = new int[batch.Count];
        Array.Clear(_ends);
        for (var i = 0; i < batch.Count; i++)
            _ends[batch.Hashes[i] >> (64 - PartBits)]++;
        var sum = 0;
        for (var p = 0; p < Parts; p++)
            (_ends[p], sum) = (sum, sum + _ends[p]);
        for (var i = 0; i < batch.Count; i++)
            _order[_ends[batch.Hashes[i] >> (64 - PartBits)]++] = i;
        fixed (int* order = _order)
        {
            var from = 0;
            for (var p = 0; p < Parts; p++)
            {
                if (p + PartsAhead < Parts)
                    _parts[p + PartsAhead].Open?.PrefetchEnd(_ends[p + PartsAhead] - _ends[p + PartsAhead - 1]);
                Append(_parts[p], batch, order + from, _ends[p] - from);
                from = _ends[p];
            }
        }
    }

    /// <summary>Sorts at least <paramref name="rows"/> rows, or to the end; returns how many.</summary>
    public long Work(long rows)
    {
        _writer ??= new BatchWriter<TTime>(_tools.KeyShape, _tools.ValueShape, _rows, _keyBytes, _valueBytes);
        var emitter = _tools.Emitter;
        emitter.Since = TTime.Minimum;
        emitter.HasAsOf = false;
        var done = 0L;
        while (done < rows && _part < Parts)
        {
            var part = _parts[_part];
            if (_hot is not null || _hotRuns.Count > 0 || part.Rows > _hotRows)
            {
                done += WorkHot(part, rows - done);
                continue;
            }

            if (part.Rows > 0)
                done += SortPart(part, emitter);
            part.Free(part.Chunks.Count);
            _part++;
        }

        if (SlabPool.ScratchBytes > 0)
            _writer.LetGo();
        return done;
    }

    /// <summary>All updates as a sorted batch; null when they cancel.</summary>
    public Batch<TTime>? Finish()
    {
        Core.Invariant.Check(IsSorted, "the sort is not finished");
        return _writer!.Finish();
    }

    public void Measure(StateMeter meter)
    {
        _writer?.Measure(meter);
        foreach (var part in _parts)
        {
            foreach (var chunk in part.Chunks)
                chunk.Measure(meter);
        }

        foreach (var run in _hotRuns)
            run.Measure(meter);
        _hot?.Measure(meter);
    }

    public void Dispose()
    {
        _writer?.Dispose();
        foreach (var part in _parts)
            part.Free(part.Chunks.Count);

        foreach (var run in _hotRuns)
            run.Release();
        _hotRuns.Clear();
        _hot?.Dispose();
    }

    // A run, or a piece of the merge once all are sorted.
    private long WorkHot(Part part, long rows)
    {
        if (part.Chunks.Count > 0)
        {
            var (count, sorted) = (0, 0);
            while (count < part.Chunks.Count && (count == 0 || sorted < _hotRows / 5))
                sorted += part.Chunks[count++].Count;
            if (_tools.SortRun(CollectionsMarshal.AsSpan(part.Chunks)[..count], TTime.Minimum) is { } run)
                _hotRuns.Add(run);
            part.Free(count);
            if (part.Chunks.Count > 0 || _hotRuns.Count > 0)
                return sorted;
            _part++; // all of it cancelled
            return sorted;
        }

        if (_hot is null)
        {
            _hot = new Merger<TTime>(_tools, CollectionsMarshal.AsSpan(_hotRuns), into: _writer);
            foreach (var run in _hotRuns)
                run.Release();
            _hotRuns.Clear();
        }

        var merged = _hot.Work(rows);
        if (!_hot.IsDone)
            return merged;
        _hot.Dispose();
        _hot = null;
        _part++;
        return merged;
    }

    private int SortPart(Part part, Emitter<TTime> emitter)
    {
        var count = part.Chunks.Count;
        var capacity = SlabPool.CapacityFor((long)count * sizeof(RowSource<TTime>));
        var sources = (RowSource<TTime>*)SlabPool.Rent(capacity);
        for (var s = 0; s < count; s++)
            sources[s] = part.Chunks[s].Source;
        var n = _tools.Window.Sort(sources, count, PartBits);
        emitter.Emit(sources, _tools.Window.Entries, n, _writer!, scattered: true);
        SlabPool.Return(sources, capacity);
        return n;
    }

    private void Append(Part part, UpdateBatch<TTime> batch, int* rows, int count)
    {
        part.Rows += count;
        while (count > 0)
        {
            if (part.Open is null || !part.Open.MayTake(batch))
            {
                _hasTimes |= part.Open is not null || batch.Times != null || batch.Diffs != null;
                part.Open = new BulkChunk<TTime>(batch, *rows, part.NextChunkBytes, _hasTimes);
                part.Chunks.Add(part.Open);
                part.Bytes += part.Open.Capacity;
            }

            var appended = part.Open.Append(batch, rows, count);
            rows += appended;
            count -= appended;
            if (count > 0)
                part.Open = null;
        }
    }

    // The rows with one beginning of their hash.
    private sealed class Part
    {
        public List<BulkChunk<TTime>> Chunks { get; } = [];

        /// <summary>The last, if it is not known to be full.</summary>
        public BulkChunk<TTime>? Open { get; set; }

        public long Rows { get; set; }

        public long Bytes { get; set; }

        // A quarter of the part, so that little of it is empty.
        public long NextChunkBytes => Math.Clamp((long)BitOperations.RoundUpToPowerOf2((ulong)Bytes / 4), ChunkBytesMin, ChunkBytesMax);

        public void Free(int count)
        {
            for (var c = 0; c < count; c++)
                Chunks[c].Free();
            Chunks.RemoveRange(0, count);
        }
    }
}
