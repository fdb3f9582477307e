using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Splits rows into key and value, hashes the key, and sets each row apart for the worker that owns the hash. One at a worker for all splits of the same shapes
/// (<see cref="WorkerScratch.Keying"/>): who uses it takes what is in <see cref="Builders"/> before his run ends.
/// </summary>
/// <remarks>
/// Keys that live in their hashes are written to scratch and forgotten. With one worker the kernel writes straight into the batch that is built; with more, rows are copied once to
/// their owner's batch. The owner is chosen by bits that neither directories nor hash tables use, so that each worker's share is again uniform in both.
/// </remarks>
internal sealed unsafe class Keying<TTime> : IScratch where TTime : unmanaged, ITime<TTime>
{
    private const long BytesKept = 64 << 10; // of what is copied out or forgotten
    private readonly bool _keysStored;
    private readonly bool _direct;
    private readonly RowWriter _keys;     // what the kernel writes, unless it writes to a builder directly
    private readonly RowWriter _values;
    private readonly RowWriter? _sortKeys;
    private readonly KernelIo _io;

    /// <param name="sortKeyShape">When set, kernels write a sort key second, to precede the value (see <see cref="SortedRow"/>).</param>
    public Keying(WorkerScratch scratch, int workers, RowShape keyShape, RowShape valueShape, RowShape? sortKeyShape)
    {
        _keysStored = !RowHash.IsBijective(keyShape);
        StoredShape = sortKeyShape is { } sort ? SortedRow.Shape(sort, valueShape) : valueShape;
        Builders = new BatchBuilder<TTime>[workers];
        for (var w = 0; w < workers; w++)
            Builders[w] = new BatchBuilder<TTime>(StoredShape, _keysStored ? keyShape : null);
        Errors = scratch.Errors<TTime>();
        _direct = workers == 1 && sortKeyShape is null;
        _keys = _direct && _keysStored ? Builders[0].Keys! : new RowWriter(keyShape);
        _values = _direct ? Builders[0].Rows : new RowWriter(valueShape);
        _sortKeys = sortKeyShape is { } s ? new RowWriter(s) : null;
        _io = KernelCall.NewIo(scratch, 1, _sortKeys is null ? [_keys, _values] : [_keys, _sortKeys, _values], Errors.Rows);
    }

    /// <summary>Of values, as they are stored.</summary>
    public RowShape StoredShape { get; }

    /// <summary>By worker, the rows that are its.</summary>
    public BatchBuilder<TTime>[] Builders { get; }

    /// <summary>Rows that could not be split: <see cref="WorkerScratch.Errors"/>.</summary>
    public BatchBuilder<TTime> Errors { get; }

    /// <summary>Adds rows [<paramref name="from"/>, <paramref name="from"/> + <paramref name="count"/>), at most <see cref="KernelIo.Capacity"/>. Errors go to <see cref="Errors"/>.</summary>
    /// <param name="split">Null: the row is the key, the value empty.</param>
    public void Add(RowKernel? split, UpdateBatch<TTime> batch, int from, int count)
    {
        var keysBefore = _keys.Count;
        if (split is null)
        {
            _keys.AppendRange(batch.Rows, from, count);
            if (_direct)
                _values.AppendFixed(count); // of no bytes
        }
        else
        {
            batch.Rows.CopyAddresses(from, count, _io.Parts[0]);
            KernelCall.Invoke(split, _io, count);
            Errors.AddSelected(batch, from, _io.ErrorSelected, _io.ErrorsEmitted);
            count = _io.Emitted;
        }

        var selected = split is null ? null : _io.Selected;
        if (_direct)
            FinishDirect(batch, from, keysBefore, selected, count);
        else if (Builders.Length == 1)
            FinishSorted(batch, from, selected, count);
        else
            Route(batch, from, selected, count);
    }

    public void Measure(StateMeter meter)
    {
        foreach (var builder in Builders)
            builder.Measure(meter);
        if (_keys != Builders[0].Keys)
            meter.Writer(_keys);
        if (_values != Builders[0].Rows)
            meter.Writer(_values);
        meter.Writer(_sortKeys);
    }

    public void Dispose()
    {
        foreach (var builder in Builders)
            builder.Dispose();
        _keys.Dispose();
        _values.Dispose();
        _sortKeys?.Dispose();
    }

    private void FinishDirect(UpdateBatch<TTime> batch, int from, int keysBefore, int* selected, int count)
    {
        var builder = Builders[0];
        RowHash.HashAll(_keys.Peek(), keysBefore, count, builder.AddHashes(count));
        if (selected == null)
            builder.AddRange(batch, from, count);
        else
            builder.AddSelected(batch, from, selected, count);
        if (!_keysStored)
            _keys.Clear();
    }

    // One worker, rows with sort keys.
    private void FinishSorted(UpdateBatch<TTime> batch, int from, int* selected, int count)
    {
        var builder = Builders[0];
        RowHash.HashAll(_keys.Peek(), 0, count, builder.AddHashes(count));
        if (_keysStored)
            builder.Keys!.AppendRange(_keys.Peek(), 0, count);
        SortedRow.AppendAll(builder.Rows, _sortKeys!.Peek(), _values.Peek(), count);
        builder.AddSelected(batch, from, selected, count);
        Forget();
    }

    private void Route(UpdateBatch<TTime> batch, int from, int* selected, int count)
    {
        var hashes = stackalloc ulong[KernelIo.Capacity];
        RowHash.HashAll(_keys.Peek(), 0, count, hashes);
        var order = stackalloc int[KernelIo.Capacity];
        var ends = stackalloc int[Builders.Length];
        OwnerPartition.Sort(hashes, count, Builders.Length, order, ends);
        for (int worker = 0, start = 0; worker < Builders.Length; start = ends[worker++])
        {
            if (ends[worker] > start)
                RouteTo(Builders[worker], batch, from, selected, hashes, order + start, ends[worker] - start);
        }

        Forget();
    }

    /// <param name="rows">Numbers of rows in what the kernel wrote; overwritten.</param>
    private void RouteTo(BatchBuilder<TTime> builder, UpdateBatch<TTime> batch, int from, int* selected, ulong* hashes, int* rows, int count)
    {
        if (_keysStored)
            builder.Keys!.AppendSelected(_keys.Peek(), 0, rows, count);
        if (_sortKeys is not null)
        {
            for (var j = 0; j < count; j++)
                SortedRow.Append(builder.Rows, _sortKeys[rows[j]], _values[rows[j]]);
        }
        else if (selected != null)
        {
            builder.Rows.AppendSelected(_values.Peek(), 0, rows, count);
        }
        else
        {
            builder.Rows.AppendFixed(count); // of no bytes
        }

        var to = builder.AddHashes(count);
        for (var j = 0; j < count; j++)
            to[j] = hashes[rows[j]];
        for (var j = 0; selected != null && j < count; j++)
            rows[j] = selected[rows[j]];
        builder.AddSelected(batch, from, rows, count);
    }

    // Rows that were copied out or hashed. What is large is not kept for the next.
    private void Forget()
    {
        Forget(_keys);
        Forget(_values);
        Forget(_sortKeys);
    }

    private static void Forget(RowWriter? rows)
    {
        if (rows is null)
            return;
        if (rows.Bytes > BytesKept)
            rows.Release();
        else
            rows.Clear();
    }
}
