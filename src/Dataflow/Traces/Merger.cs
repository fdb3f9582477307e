using System.Diagnostics;
using System.Numerics;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>What sorts and merges rows of one pair of shapes: one at a worker (<see cref="WorkerScratch.Tools"/>), for all traces. It holds nothing between calls, and each call sets what it goes by.</summary>
internal sealed unsafe class MergeTools<TTime>(WorkerScratch scratch, RowShape keyShape, RowShape valueShape) : IScratch where TTime : unmanaged, ITime<TTime>
{
    public SortWindow Window => scratch.Window;

    public Emitter<TTime> Emitter { get; } = Emitters.For<TTime>(keyShape, valueShape);

    public RowShape KeyShape => keyShape;

    public RowShape ValueShape => valueShape;

    /// <summary>Sorts keyed, unsorted batches into one; null when nothing remains. At most about 64 K rows at a time, see <see cref="SortWindow"/>.</summary>
    public Batch<TTime>? SortRun(ReadOnlySpan<UpdateBatch<TTime>> batches, TTime since)
    {
        // A window's piece of a source has an index of 16 bits: longer batches come as several sources.
        var pieces = 0;
        var rows = 0L;
        var keyBytes = 0L;
        var valueBytes = 0L;
        foreach (var batch in batches)
        {
            pieces += (batch.Count + 65534) / 65535;
            rows += batch.Count;
            keyBytes += batch.Keys.Bytes;
            valueBytes += batch.Rows.Bytes;
        }

        var capacity = SlabPool.CapacityFor((long)pieces * sizeof(RowSource<TTime>));
        var sources = (RowSource<TTime>*)SlabPool.Rent(capacity);
        var s = 0;
        foreach (var batch in batches)
        {
            for (var from = 0; from < batch.Count; from += 65535)
            {
                sources[s] = RowSource<TTime>.Of(batch);
                sources[s].Position = from;
                sources[s].End = Math.Min(batch.Count, from + 65535);
                s++;
            }
        }

        var sorted = Sort(sources, s, rows, keyBytes, valueBytes, since);
        SlabPool.Return(sources, capacity);
        return sorted;
    }

    /// <summary>The same for rows set apart.</summary>
    public Batch<TTime>? SortRun(ReadOnlySpan<BulkChunk<TTime>> chunks, TTime since)
    {
        var capacity = SlabPool.CapacityFor((long)chunks.Length * sizeof(RowSource<TTime>));
        var sources = (RowSource<TTime>*)SlabPool.Rent(capacity);
        var (rows, keyBytes, valueBytes) = (0L, 0L, 0L);
        for (var s = 0; s < chunks.Length; s++)
        {
            var (keys, values) = chunks[s].RowBytes;
            sources[s] = chunks[s].Source;
            rows += chunks[s].Count;
            keyBytes += keys;
            valueBytes += values;
        }

        var sorted = Sort(sources, chunks.Length, rows, keyBytes, valueBytes, since);
        SlabPool.Return(sources, capacity);
        return sorted;
    }

    public Batch<TTime>? Sort(RowSource<TTime>* sources, int count, long rows, long keyBytes, long valueBytes, TTime since)
    {
        using var writer = new BatchWriter<TTime>(KeyShape, ValueShape, rows, keyBytes, valueBytes);
        Emitter.Since = since;
        Emitter.HasAsOf = false;
        var n = Window.Sort(sources, count, 0);
        Emitter.Emit(sources, Window.Entries, n, writer);
        return writer.Finish();
    }

    /// <summary>The rows of a batch before <paramref name="time"/> in the total order, and the others.</summary>
    public (Batch<TTime>? Before, Batch<TTime>? After) Split(Batch<TTime> batch, TTime time)
    {
        Emitter.Since = TTime.Minimum;
        Emitter.HasAsOf = false;
        Emitter.Bound = time;
        Emitter.BoundSide = -1;
        var before = Walk(batch);
        Emitter.BoundSide = 1;
        var after = Walk(batch);
        Emitter.BoundSide = 0;
        return (before, after);
    }

    public void Measure(StateMeter meter) => Emitter.Measure(meter);

    public void Dispose() => Emitter.Dispose();

    private Batch<TTime>? Walk(Batch<TTime> batch)
    {
        using var writer = new BatchWriter<TTime>(KeyShape, ValueShape, batch.Count, batch.Keys.Bytes, batch.Values.Bytes);
        var source = RowSource<TTime>.Of(batch);
        Emitter.Walk(&source, 1, long.MaxValue, writer);
        return writer.Finish();
    }
}

/// <summary>
/// A merge of any number of batches in steps: the fueled k-way radix merge of performance.md §1a.
/// </summary>
/// <remarks>
/// The state is the number of a window over the top bits of the hash, and a position in each source. A step finds each source's end by its directory, sorts the rows between by one
/// pass of buckets, and emits them. The cost of a row does not depend on the number of sources. A window with more rows than <see cref="SortWindow.RowsMax"/> holds hot keys, which no
/// bits of a hash can split: it is walked in order instead, as far as the fuel goes.
/// </remarks>
internal sealed unsafe class Merger<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int WindowRows = 2048;
    private readonly MergeTools<TTime> _tools;
    private readonly Batch<TTime>[] _inputs;
    private readonly int _count;
    private readonly long? _pieceRows;
    private readonly int[] _advised; // how far each input was read when last advice was given
    private readonly int _windowBits;
    private readonly long _sourcesCapacity;
    private RowSource<TTime>* _sources;
    private readonly bool _ownsWriter;
    private BatchWriter<TTime> _writer;
    private ulong _window;
    private bool _walking;

    /// <summary>Takes a reference to each input.</summary>
    /// <param name="pieceRows">To read a snapshot piecewise (<see cref="TakeWritten"/>): room for that many rows only. Null: all becomes one batch, which lasts.</param>
    /// <param name="into">Where the rows go, if not to a batch of their own: it has room, and what was written to it before comes first.</param>
    public Merger(MergeTools<TTime> tools, ReadOnlySpan<Batch<TTime>> inputs, long? pieceRows = null, BatchWriter<TTime>? into = null)
    {
        _pieceRows = pieceRows;
        _tools = tools;
        _inputs = inputs.ToArray();
        _count = inputs.Length;
        _advised = new int[_count];
        foreach (var input in _inputs)
        {
            input.AddReference();
            TotalRows += input.Count;
            KeyBytes += input.Keys.Bytes;
            ValueBytes += input.Values.Bytes;
        }

        _windowBits = TotalRows <= WindowRows ? 0 : Math.Min(30, BitOperations.Log2((ulong)TotalRows / WindowRows) + 1);
        _sourcesCapacity = SlabPool.CapacityFor((long)_count * sizeof(RowSource<TTime>));
        _sources = (RowSource<TTime>*)SlabPool.Rent(_sourcesCapacity);
        for (var s = 0; s < _count; s++)
        {
            _sources[s] = RowSource<TTime>.Of(_inputs[s]);
            _sources[s].End = 0;
        }

        _ownsWriter = into is null;
        _writer = into ?? NewWriter();
    }

    public long TotalRows { get; }

    public long KeyBytes { get; }

    public long ValueBytes { get; }

    public ReadOnlySpan<Batch<TTime>> Inputs => _inputs;

    public bool IsDone => !_walking && _window >> _windowBits != 0;

    /// <summary>Since to which times are compacted; may advance between steps.</summary>
    public TTime Since { get; set; } = TTime.Minimum;

    /// <summary>Set to read a snapshot instead of compacting.</summary>
    public TTime? AsOf { get; set; }

    /// <summary>Rows written and not yet taken.</summary>
    public int PendingRows => _writer.Count;

    /// <summary>Merges at least <paramref name="rows"/> rows, or to the end; returns how many.</summary>
    public long Work(long rows)
    {
        var emitter = _tools.Emitter;
        emitter.Since = Since;
        emitter.HasAsOf = AsOf is not null;
        emitter.AsOf = AsOf.GetValueOrDefault();
        var done = 0L;
        while (done < rows && !IsDone)
        {
            if (_walking)
            {
                done += emitter.Walk(_sources, _count, Math.Max(1, rows - done), _writer);
                _walking = false;
                for (var s = 0; s < _count; s++)
                    _walking |= _sources[s].Position < _sources[s].End;
                if (!_walking)
                    _window++;
                continue;
            }

            var size = 0L;
            for (var s = 0; s < _count; s++)
            {
                _sources[s].End = EndOfWindow(ref _sources[s]);
                size += _sources[s].End - _sources[s].Position;
            }

            if (size > SortWindow.RowsMax)
            {
                _walking = true;
                continue;
            }

            if (size > 0)
            {
                var n = _tools.Window.Sort(_sources, _count, _windowBits);
                emitter.Emit(_sources, _tools.Window.Entries, n, _writer);
                for (var s = 0; s < _count; s++)
                    _sources[s].Position = _sources[s].End;
                done += n;
            }

            _window++;
        }

        if (SlabPool.ScratchBytes > 0)
            Advise();
        return done;
    }

    // Now and then: where it is read and written.
    private void Advise()
    {
        for (var s = 0; s < _count; s++)
        {
            var position = _sources[s].Position;
            if (position - _advised[s] < 64 * 1024)
                continue;
            _inputs[s].Advise(_advised[s], position);
            _advised[s] = position;
        }

        _writer.LetGo();
    }

    /// <summary>What was merged so far as a batch of its own, and begins another; null when nothing was. Only for reading snapshots piecewise.</summary>
    public Batch<TTime>? TakeWritten()
    {
        var batch = _writer.Finish();
        _writer = NewWriter();
        return batch;
    }

    /// <summary>The merged batch, once done; null when everything cancelled.</summary>
    public Batch<TTime>? Finish()
    {
        Debug.Assert(IsDone && _ownsWriter, "the merge is finished, and to a batch of its own");
        return _writer.Finish();
    }

    /// <summary>What is written and yet to be, and the inputs where nobody else has them.</summary>
    public void Measure(StateMeter meter)
    {
        foreach (var input in _inputs)
            input.Measure(meter);
        if (_ownsWriter)
            _writer.Measure(meter);
        meter.Slab((long)_count * sizeof(RowSource<TTime>), _sourcesCapacity);
    }

    public void Dispose()
    {
        if (_ownsWriter)
            _writer.Dispose();
        SlabPool.Return(_sources, _sourcesCapacity);
        _sources = null;
        foreach (var input in _inputs)
            input.Release();
    }

    private BatchWriter<TTime> NewWriter() => new(
        _tools.KeyShape, _tools.ValueShape, Math.Min(_pieceRows ?? long.MaxValue, TotalRows), KeyBytes, ValueBytes, lasts: _pieceRows is null);

    private int EndOfWindow(ref RowSource<TTime> source)
    {
        var bound = _window + 1;
        if (bound >> _windowBits != 0)
            return source.Count;
        if (source.Directory.Bits >= _windowBits)
            return source.Directory.RowAt(bound << (source.Directory.Bits - _windowBits));
        var hash = bound << (64 - _windowBits);
        var index = bound >> (_windowBits - source.Directory.Bits);
        var low = Math.Max(source.Position, source.Directory.RowAt(index));
        var high = source.Directory.RowAt(index + 1);
        while (low < high)
        {
            var middle = low + ((high - low) >> 1);
            if (source.Hashes[middle] < hash)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
