using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Splits rows into key and value, hashes the key, and sends each to the worker that owns the hash. Shape: (row) → keyed batches (hash, key, value). Time: of the input.
/// Work: O(rows); state: none.
/// </summary>
/// <remarks>
/// Keys that live in their hashes are written to scratch and forgotten. With one worker the kernel writes straight into the batch that is sent; with more, rows are copied once to
/// their owner's batch. The owner is chosen by bits that neither directories nor hash tables use, so that each worker's share is again uniform in both.
/// </remarks>
internal sealed unsafe class KeyByOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private const int RowsPerRun = 64 * 1024;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly bool _keysStored;
    private readonly BatchBuilder<TTime>[] _builders;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly RowWriter _keys;     // what the kernel writes, unless it writes to a builder directly
    private readonly RowWriter _values;
    private readonly RowWriter? _sortKeys;
    private readonly bool _direct;
    private readonly KernelCall? _call;

    private KeyByOperator(Stream<TTime> source, string name, RowKernel? split, RowShape keyShape, RowShape valueShape, RowShape? sortKeyShape)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _keysStored = !RowHash.IsBijective(keyShape);
        var peers = Graph.Worker.Peers;
        var stored = sortKeyShape is { } sort ? SortedRow.Shape(sort, valueShape) : valueShape;
        _builders = new BatchBuilder<TTime>[peers];
        for (var w = 0; w < peers; w++)
            _builders[w] = new BatchBuilder<TTime>(stored, _keysStored ? keyShape : null);
        _errorRows = Graph.Worker.Scratch.Errors<TTime>();
        _direct = peers == 1 && sortKeyShape is null;
        _keys = _direct && _keysStored ? _builders[0].Keys! : new RowWriter(keyShape);
        _values = _direct ? _builders[0].Rows : new RowWriter(valueShape);
        _sortKeys = sortKeyShape is { } s ? new RowWriter(s) : null;
        if (split is not null)
            _call = new KernelCall(Graph.Worker.Scratch, split, 1, _sortKeys is null ? [_keys, _values] : [_keys, _sortKeys, _values], _errorRows.Rows);
    }

    public override bool FollowsFrontier => false;

    public override bool ReachesPeers => true;

    /// <param name="split">Null: the row is the key, the value empty.</param>
    /// <param name="sortKeyShape">When set, the kernel's second output is a sort key, to precede the value (see <see cref="SortedRow"/>).</param>
    public static (Stream<TTime> Keyed, Stream<TTime> Errors) Build(
        Stream<TTime> source, string name, RowKernel? split, RowShape keyShape, RowShape valueShape, RowShape? sortKeyShape = null)
    {
        if (split is null)
            (keyShape, valueShape) = (source.Shape, RowShape.Empty);
        var op = new KeyByOperator<TTime>(source, name + ": split", split, keyShape, valueShape, sortKeyShape);
        return (new Stream<TTime>(source.Scope, op._output, op._builders[0].Rows.Shape), new Stream<TTime>(source.Scope, op._errors, RowShape.Variable));
    }

    public override void Run()
    {
        var fuel = Fuel(RowsPerRun);
        while (fuel > 0 && _input.TryTake(out var batch))
        {
            fuel -= batch.Count;

            // Inside loops each time is worked on by itself: batches of different rounds are not mixed.
            if (!TTime.IsTotal)
            {
                for (var w = 0; w < _builders.Length; w++)
                {
                    if (!_builders[w].Continues(batch))
                        _output.SendTo(w, _builders[w].Build());
                }
            }

            for (var from = 0; from < batch.Count; from += KernelIo.Capacity)
                Process(batch, from, Math.Min(KernelIo.Capacity, batch.Count - from));
            batch.Release();
        }

        for (var w = 0; w < _builders.Length; w++)
            _output.SendTo(w, _builders[w].Build());
        _errors.Send(_errorRows.Build());
        if (!_input.IsEmpty)
            Activate();
        else
            ReleaseWriters();
    }

    // Those whose rows are copied out or forgotten: an idle operator keeps no memory.
    private void ReleaseWriters()
    {
        if (_keys != _builders[0].Keys)
            _keys.Release();
        if (_values != _builders[0].Rows)
            _values.Release();
        _sortKeys?.Release();
    }

    public override void Dispose()
    {
        foreach (var builder in _builders)
            builder.Dispose();
        _keys.Dispose();
        _values.Dispose();
        _sortKeys?.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var builder in _builders)
            builder.Measure(meter);
        if (_keys != _builders[0].Keys)
            meter.Writer(_keys);
        if (_values != _builders[0].Rows)
            meter.Writer(_values);
        meter.Writer(_sortKeys);
    }

    private void Process(UpdateBatch<TTime> batch, int from, int count)
    {
        var keysBefore = _keys.Count;
        if (_call is null)
        {
            _keys.AppendRange(batch.Rows, from, count);
            if (_direct)
                _values.AppendFixed(count); // of no bytes
        }
        else
        {
            var io = _call.Io;
            batch.Rows.CopyAddresses(from, count, io.Parts[0]);
            _call.Invoke(count);
            _errorRows.AddSelected(batch, from, io.ErrorSelected, io.ErrorsEmitted);
            count = io.Emitted;
        }

        if (_direct)
            FinishDirect(batch, from, keysBefore, count);
        else
            Route(batch, from, count);
    }

    private void FinishDirect(UpdateBatch<TTime> batch, int from, int keysBefore, int count)
    {
        var builder = _builders[0];
        RowHash.HashAll(_keys.Peek(), keysBefore, count, builder.AddHashes(count));
        if (_call is null)
            builder.AddRange(batch, from, count);
        else
            builder.AddSelected(batch, from, _call.Io.Selected, count);
        if (!_keysStored)
            _keys.Clear();
        if (builder.Count >= FlushRows)
            _output.Send(builder.Build());
    }

    private void Route(UpdateBatch<TTime> batch, int from, int count)
    {
        if (_builders.Length == 1)
        {
            AppendSorted(batch, from, count);
            return;
        }

        var hashes = stackalloc ulong[KernelIo.Capacity];
        RowHash.HashAll(_keys.Peek(), 0, count, hashes);
        var order = stackalloc int[KernelIo.Capacity];
        var ends = stackalloc int[_builders.Length];
        OwnerPartition.Sort(hashes, count, _builders.Length, order, ends);
        for (int worker = 0, start = 0; worker < _builders.Length; start = ends[worker++])
        {
            if (ends[worker] > start)
                RouteTo(worker, batch, from, hashes, order + start, ends[worker] - start);
        }

        _keys.Clear();
        _values.Clear();
        _sortKeys?.Clear();
    }

    /// <param name="rows">Numbers of rows in what the kernel wrote; overwritten.</param>
    private void RouteTo(int worker, UpdateBatch<TTime> batch, int from, ulong* hashes, int* rows, int count)
    {
        var builder = _builders[worker];
        if (_keysStored)
            builder.Keys!.AppendSelected(_keys.Peek(), 0, rows, count);
        if (_sortKeys is not null)
        {
            for (var j = 0; j < count; j++)
                SortedRow.Append(builder.Rows, _sortKeys[rows[j]], _values[rows[j]]);
        }
        else if (_call is not null)
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
        if (_call is not null)
        {
            for (var j = 0; j < count; j++)
                rows[j] = _call.Io.Selected[rows[j]];
        }

        builder.AddSelected(batch, from, rows, count);
        if (builder.Count >= FlushRows)
            _output.SendTo(worker, builder.Build());
    }

    // One worker, rows with sort keys.
    private void AppendSorted(UpdateBatch<TTime> batch, int from, int count)
    {
        var builder = _builders[0];
        RowHash.HashAll(_keys.Peek(), 0, count, builder.AddHashes(count));
        if (_keysStored)
            builder.Keys!.AppendRange(_keys.Peek(), 0, count);
        SortedRow.AppendAll(builder.Rows, _sortKeys!.Peek(), _values.Peek(), count);
        builder.AddSelected(batch, from, _call!.Io.Selected, count);
        _keys.Clear();
        _values.Clear();
        _sortKeys.Clear();
        if (builder.Count >= FlushRows)
            _output.Send(builder.Build());
    }
}

/// <summary>
/// A value with a sort key before it, so that the arrangement's order of values is the wanted order: sort key, row, and for sort keys of variable width their length in the last 4 bytes.
/// Sort keys are prefix-free, so that what follows decides only among equal ones.
/// </summary>
internal static unsafe class SortedRow
{
    public static RowShape Shape(RowShape sortKey, RowShape row) =>
        sortKey.IsFixed && row.IsFixed ? new RowShape(sortKey.Width + row.Width) : RowShape.Variable;

    public static void Append(RowWriter writer, ReadOnlySpan<byte> sortKey, ReadOnlySpan<byte> row)
    {
        var tail = writer.Shape.IsFixed ? 0 : sizeof(int);
        var length = sortKey.Length + row.Length + tail;
        var to = writer.Reserve(length);
        sortKey.CopyTo(new Span<byte>(to, sortKey.Length));
        row.CopyTo(new Span<byte>(to + sortKey.Length, row.Length));
        if (tail > 0)
            System.Runtime.CompilerServices.Unsafe.WriteUnaligned(to + length - tail, sortKey.Length);
        writer.Commit(length);
    }

    /// <summary>The first <paramref name="count"/> of both columns.</summary>
    public static void AppendAll(RowWriter writer, in RowColumn sortKeys, in RowColumn rows, int count)
    {
        var sortWidth = sortKeys.Shape.Width;
        var rowWidth = rows.Shape.Width;
        if (!writer.Shape.IsFixed || sortWidth % 8 != 0 || rowWidth % 8 != 0)
        {
            for (var i = 0; i < count; i++)
                Append(writer, sortKeys[i], rows[i]);
            return;
        }

        var to = (ulong*)writer.AppendFixed(count);
        var sort = (ulong*)sortKeys.Data;
        var row = (ulong*)rows.Data;
        for (var i = 0; i < count; i++)
        {
            for (var w = 0; w < sortWidth; w += 8)
                *to++ = *sort++;
            for (var w = 0; w < rowWidth; w += 8)
                *to++ = *row++;
        }
    }

    /// <summary>The row in a stored value.</summary>
    public static ReadOnlySpan<byte> RowOf(byte* value, int length, RowShape stored, RowShape sortKey)
    {
        var row = (byte*)RowAddress(value, length, stored, sortKey);
        return new ReadOnlySpan<byte>(row, (int)(value + length - row) - (stored.IsFixed ? 0 : sizeof(int)));
    }

    /// <summary>Where it begins; the sort key lies before it.</summary>
    public static nint RowAddress(byte* value, int length, RowShape stored, RowShape sortKey) =>
        (nint)(value + (stored.IsFixed ? sortKey.Width : System.Runtime.CompilerServices.Unsafe.ReadUnaligned<int>(value + length - sizeof(int))));
}
