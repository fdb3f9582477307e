using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Sorts very many updates: while they come they are set apart by the top bits of their hash, so that in the end each part fits the cache, is sorted there once, and is written once to its place in the batch.
/// </summary>
/// <remarks>
/// Against sorted runs merged in the end, a row is sorted and consolidated once and not twice, and nothing is read from more than one place at a time. A part is a list of chunks, freed as soon as the part is sorted.
/// A part that is far larger than others has a key with very many rows: it is sorted as runs and these merged, so that neither the work of a step nor its memory grows with it.
/// Sorting is fueled: <see cref="Work"/> until <see cref="IsSorted"/>, then <see cref="Finish"/>. Nothing is added once sorting has begun.
/// </remarks>
internal sealed unsafe class BulkSort<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int PartBits = 8;
    private const int Parts = 1 << PartBits;
    private const int ChunkRows = 512;
    private const int HotRows = 4 * SortWindow.RowsMax;
    private const long RowsMax = 8 << 20;
    private const long BytesMax = 1L << 30;
    private readonly RowShape _keyShape;
    private readonly RowShape _valueShape;
    private readonly MergeTools<TTime> _tools;
    private readonly int _hotRows;
    private readonly bool _keysStored;
    private readonly BatchBuilder<TTime>?[] _open = new BatchBuilder<TTime>?[Parts];
    private readonly List<UpdateBatch<TTime>>[] _chunks = new List<UpdateBatch<TTime>>[Parts];
    private readonly int[] _ends = new int[Parts];
    private int[] _order = [];
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
        _keyShape = tools.KeyShape;
        _valueShape = tools.ValueShape;
        _keysStored = !Core.Hashing.RowHash.IsBijective(_keyShape);
        for (var p = 0; p < Parts; p++)
            _chunks[p] = [];
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
                while (from < _ends[p])
                {
                    var builder = _open[p] ??= NewChunk();
                    var count = Math.Min(_ends[p] - from, ChunkRows - builder.Count);
                    Append(builder, batch, order + from, count);
                    from += count;
                    if (builder.Count < ChunkRows)
                        continue;
                    _chunks[p].Add(builder.Build()!);
                    _open[p] = null;
                }
            }
        }
    }

    /// <summary>Sorts at least <paramref name="rows"/> rows, or to the end; returns how many.</summary>
    public long Work(long rows)
    {
        _writer ??= new BatchWriter<TTime>(_keyShape, _valueShape, _rows, _keyBytes, _valueBytes);
        var emitter = _tools.Emitter;
        emitter.Since = TTime.Minimum;
        emitter.HasAsOf = false;
        var done = 0L;
        while (done < rows && _part < Parts)
        {
            var chunks = _chunks[_part];
            if (_open[_part]?.Build() is { } last)
                chunks.Add(last);
            _open[_part] = null;
            if (_hot is not null || _hotRuns.Count > 0 || (long)chunks.Count * ChunkRows > _hotRows)
            {
                done += WorkHot(chunks, rows - done);
                continue;
            }

            if (chunks.Count > 0)
                done += SortPart(chunks, emitter);
            foreach (var chunk in chunks)
                chunk.Release();
            chunks.Clear();
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
        for (var p = 0; p < Parts; p++)
        {
            _open[p]?.Measure(meter);
            foreach (var chunk in _chunks[p])
                chunk.Measure(meter);
        }

        foreach (var run in _hotRuns)
            run.Measure(meter);
        _hot?.Measure(meter);
    }

    public void Dispose()
    {
        _writer?.Dispose();
        for (var p = 0; p < Parts; p++)
        {
            _open[p]?.Dispose();
            foreach (var chunk in _chunks[p])
                chunk.Release();
            _chunks[p].Clear();
        }

        foreach (var run in _hotRuns)
            run.Release();
        _hotRuns.Clear();
        _hot?.Dispose();
    }

    // A run, or a piece of the merge once all are sorted.
    private long WorkHot(List<UpdateBatch<TTime>> chunks, long rows)
    {
        if (chunks.Count > 0)
        {
            var taken = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(chunks)[..Math.Min(chunks.Count, Math.Max(1, _hotRows / ChunkRows / 5))];
            if (_tools.SortRun(taken, TTime.Minimum) is { } run)
                _hotRuns.Add(run);
            var sorted = 0L;
            foreach (var chunk in taken)
            {
                sorted += chunk.Count;
                chunk.Release();
            }

            chunks.RemoveRange(0, taken.Length);
            if (chunks.Count > 0 || _hotRuns.Count > 0)
                return sorted;
            _part++; // all of it cancelled
            return sorted;
        }

        if (_hot is null)
        {
            _hot = new Merger<TTime>(_tools, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_hotRuns), into: _writer);
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

    private int SortPart(List<UpdateBatch<TTime>> chunks, Emitter<TTime> emitter)
    {
        var capacity = SlabPool.CapacityFor((long)chunks.Count * sizeof(RowSource<TTime>));
        var sources = (RowSource<TTime>*)SlabPool.Rent(capacity);
        for (var s = 0; s < chunks.Count; s++)
            sources[s] = RowSource<TTime>.Of(chunks[s]);
        var n = _tools.Window.Sort(sources, chunks.Count, PartBits);
        emitter.Emit(sources, _tools.Window.Entries, n, _writer!);
        SlabPool.Return(sources, capacity);
        return n;
    }

    private BatchBuilder<TTime> NewChunk()
    {
        var builder = new BatchBuilder<TTime>(_valueShape, _keysStored ? _keyShape : null);
        builder.Reserve(ChunkRows);
        if (!_valueShape.IsFixed)
            builder.Rows.EnsureBytes(ChunkRows * _valueBytes / _rows);
        if (_keysStored && !_keyShape.IsFixed)
            builder.Keys!.EnsureBytes(ChunkRows * _keyBytes / _rows);
        return builder;
    }

    private void Append(BatchBuilder<TTime> builder, UpdateBatch<TTime> batch, int* rows, int count)
    {
        var hashes = builder.AddHashes(count);
        for (var i = 0; i < count; i++)
            hashes[i] = batch.Hashes[rows[i]];
        if (_keysStored)
            builder.Keys!.AppendSelected(batch.Keys, 0, rows, count);
        builder.Rows.AppendSelected(batch.Rows, 0, rows, count);
        if (batch.Times == null && batch.Diffs == null)
        {
            builder.AddMany(count, batch.UniformTime, batch.UniformDiff);
            return;
        }

        for (var i = 0; i < count; i++)
            builder.Add(batch.TimeAt(rows[i]), batch.DiffAt(rows[i]));
    }
}
