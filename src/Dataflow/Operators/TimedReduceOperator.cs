using System.Runtime.CompilerServices;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

// Reductions with one accumulator a key and no input history, for totally ordered times.
//
// Let f be the input frontier. Times before f are complete; none before f will come. So the operator goes through times in order, and at each moment works on exactly one: it folds
// the updates of time t into the accumulators once t ≤ f (nothing earlier can come any more: all before t is folded in), and when f passes t it emits, for each key touched at t, the difference between what the key's accumulator
// stood for before t and what it stands for now. Updates beyond f wait. Folding at t = f, before t is complete, is what keeps a bulk load from being buffered: sums do not depend on the order within a time.
//
// A run folds and emits RowsPerRun keys at most and goes on where it stopped. While differences of t are being sent nothing is folded: what the accumulators stand for is the answer at t.
//
// The value before t is not stored but derived from a copy of the accumulator, taken when the key is first touched at t: O(keys touched), gone when t is done.

/// <summary>The frame of accumulable reductions: order of times, table, and copies of touched accumulators.</summary>
internal abstract unsafe class TimedReduceOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int Ahead = 32;
    private const long RowsPerRun = 32 * 1024; // some five milliseconds when every row is another key
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly TimeStash<TTime> _stash;
    private readonly RowShape _keyShape;
    private readonly bool _keysStored;
    private readonly AccumulateKernel _accumulate;
    private readonly nint* _keys;
    private readonly nint* _values;
    private readonly nint* _accumulators;
    private readonly long* _diffs;
    private readonly ulong* _keyScratch;
    private readonly int* _numbers;
    private byte* _touched;         // record number (8), accumulator before
    private long _touchedCapacity;
    private bool _isOpen;
    private TTime _open;
    private readonly Queue<UpdateBatch<TTime>> _folding = new(); // of the open time, not yet in the accumulators
    private int _folded;            // rows of the first of them that are
    private int _emitted;           // touched keys whose differences are sent

    protected TimedReduceOperator(Stream<TTime> keyed, string name, RowShape keyShape, int accumulatorBytes, AccumulateKernel accumulate)
        : base(keyed.Scope.Graph, name)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("accumulable reductions without history need totally ordered times");
        _input = this.NewInput(keyed);
        _stash = new TimeStash<TTime>(keyShape, keyed.Shape);
        _keyShape = keyShape;
        _keysStored = !RowHash.IsBijective(keyShape);
        _accumulate = accumulate;
        Table = new AccumulatorTable(keyShape, accumulatorBytes);
        TouchedStride = (8 + accumulatorBytes + 7) & ~7;
        const int column = WorkerScratch.ColumnBytes;
        var scratch = Graph.Worker.Scratch.Slot(WorkerScratch.FoldSlot);
        _keys = (nint*)scratch;
        _values = (nint*)(scratch + column);
        _accumulators = (nint*)(scratch + (2 * column));
        _diffs = (long*)(scratch + (3 * column));
        _keyScratch = (ulong*)(scratch + (4 * column));
        _numbers = (int*)(scratch + (5 * column));
    }

    protected AccumulatorTable Table { get; }

    protected int TouchedStride { get; }

    protected int TouchedCount { get; private set; }

    public sealed override void Run()
    {
        var frontier = Frontier<TTime>.FromStamp(_input.FrontierStamp);
        var fuel = Fuel(RowsPerRun);

        // What does not fit into this run stays in the input, and holds its frontier there.
        while (Advance(frontier, ref fuel) && fuel > 0 && _input.TryTake(out var batch))
        {
            if (batch.Times != null || !(_isOpen ? batch.MinTime.Equals(_open) : _stash.IsEmpty && HasReached(frontier, batch.MinTime)))
            {
                _stash.Add(batch);
                continue;
            }

            _isOpen = true;
            _open = batch.MinTime;
            _folding.Enqueue(batch);
        }

        // With the input empty, the time may be complete.
        if (fuel > 0)
        {
            SeeFrontiers();
            Advance(Frontier<TTime>.FromStamp(_input.FrontierStamp), ref fuel);
        }

        Flush();
        if (fuel <= 0)
            ActivateWithCredit();
        var least = _stash.Least;
        if (_isOpen)
            least = Stamp.Min(least, _open.ToStamp());
        SetHold(least.IsClosed ? null : least);
    }

    public override void Dispose()
    {
        Table.Dispose();
        _stash.Dispose();
        while (_folding.TryDequeue(out var batch))
            batch.Release();
        SlabPool.Return(_touched, _touchedCapacity);
        _touched = null;
    }

    protected override void MeasureState(StateMeter meter)
    {
        Table.Measure(meter);
        _stash.Measure(meter);
        foreach (var batch in _folding)
            batch.Measure(meter);
        meter.Slab((long)TouchedCount * TouchedStride, _touchedCapacity);
    }

    /// <summary>Emits the differences at <paramref name="time"/> of touched keys: at most <see cref="KernelIo.Capacity"/>.</summary>
    protected abstract void Emit(TTime time, int from, int count);

    /// <summary>Sends what is buffered.</summary>
    protected abstract void Flush();

    /// <summary>A touched key's record, and its accumulator before the time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected int Touched(int index, out byte* before)
    {
        var entry = _touched + ((long)index * TouchedStride);
        before = entry + 8;
        return *(int*)entry;
    }

    // Folds and emits as far as frontier and fuel allow: each time that the frontier has reached, in order; those it has passed are finished at once. False when the fuel was not enough.
    private bool Advance(Frontier<TTime> frontier, ref long fuel)
    {
        while (fuel > 0)
        {
            if (_folding.TryPeek(out var batch))
            {
                var count = (int)Math.Min(Math.Min(KernelIo.Capacity, fuel), batch.Count - _folded);
                Fold(batch, _folded, count);
                fuel -= count;
                _folded += count;
                if (_folded < batch.Count)
                    continue;
                _folding.Dequeue();
                _folded = 0;
                batch.Release();
            }
            else if (_stash.TryFirst(out var first) && (_isOpen ? first.Equals(_open) : HasReached(frontier, first)))
            {
                _isOpen = true;
                _open = first;
                foreach (var taken in _stash.TakeFirst())
                    _folding.Enqueue(taken);
            }
            else if (_isOpen && frontier.HasPassed(_open))
            {
                if (Graph.Worker.IsCongested)
                {
                    fuel = 0;
                    break;
                }

                Core.Invariant.Check(_stash.Least.IsClosed || _open.CompareTo(TTime.FromStamp(_stash.Least)) < 0, "times are taken in order");
                var count = (int)Math.Min(Math.Min(KernelIo.Capacity, fuel), TouchedCount - _emitted);
                Emit(_open, _emitted, count);
                Forget(_emitted, count);
                fuel -= count;
                _emitted += count;
                if (_emitted == TouchedCount)
                    Close();
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    // Whether nothing before the time can come any more.
    private static bool HasReached(Frontier<TTime> frontier, TTime time) => frontier.IsClosed || time.CompareTo(frontier.Time) <= 0;

    // The next time starts from what the accumulators are now.
    private void Forget(int from, int count)
    {
        for (var i = from; i < from + count; i++)
        {
            var number = Touched(i, out _);
            // A count of zero is not enough: a retraction that came before its insert leaves a sum to be kept.
            if (!new ReadOnlySpan<byte>(Table.Accumulator(number), Table.AccumulatorBytes).ContainsAnyExcept((byte)0))
                Table.Remove(number);
            else
                Table.Mark(number) = 0;
        }
    }

    private void Close()
    {
        if (_touchedCapacity > 1 << 20)
        {
            SlabPool.Return(_touched, _touchedCapacity);
            _touched = null;
            _touchedCapacity = 0;
        }

        TouchedCount = 0;
        _emitted = 0;
        _isOpen = false;
        Table.CollectKeys();
    }

    private void Fold(UpdateBatch<TTime> batch, int from, int count)
    {
        Table.Reserve(count);
        var hashes = batch.Hashes + from;
        batch.Rows.CopyAddresses(from, count, _values);
        if (_keysStored)
            batch.Keys.CopyAddresses(from, count, _keys);
        for (var i = 0; i < Math.Min(count, 2 * Ahead); i++)
            Table.Prefetch(hashes[i]);
        for (var i = 0; i < Math.Min(count, Ahead); i++)
            Table.PrefetchRecord(hashes[i]);
        for (var i = 0; i < count; i++)
        {
            if (i + (2 * Ahead) < count)
                Table.Prefetch(hashes[i + (2 * Ahead)]);
            if (i + Ahead < count)
                Table.PrefetchRecord(hashes[i + Ahead]);
            int number;
            if (_keysStored)
            {
                number = Table.FindOrAdd(hashes[i], (byte*)_keys[i], batch.Keys.Length(from + i));
            }
            else
            {
                _keyScratch[i] = RowHash.Unmix(hashes[i]);
                _keys[i] = (nint)(_keyScratch + i);
                number = Table.FindOrAdd(hashes[i], null, 0);
            }

            _numbers[i] = number;
            ref var mark = ref Table.Mark(number);
            if (mark == 0)
            {
                Touch(number);
                mark = TouchedCount;
            }

            _diffs[i] = batch.DiffAt(from + i);
        }

        // After all are found: the first page of records may have moved meanwhile.
        for (var i = 0; i < count; i++)
            _accumulators[i] = (nint)Table.Accumulator(_numbers[i]);
        _accumulate(_keys, _values, _diffs, _accumulators, count);
    }

    private void Touch(int number)
    {
        var needed = (long)(TouchedCount + 1) * TouchedStride;
        if (needed > _touchedCapacity)
            _touched = SlabPool.Resize(_touched, ref _touchedCapacity, (long)TouchedCount * TouchedStride, Math.Max(needed, _touchedCapacity * 2));
        var entry = _touched + ((long)TouchedCount * TouchedStride);
        *(long*)entry = number;
        Unsafe.CopyBlockUnaligned(entry + 8, Table.Accumulator(number), (uint)Table.AccumulatorBytes);
        TouchedCount++;
    }
}
