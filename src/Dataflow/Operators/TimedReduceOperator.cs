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
// The value before t is not stored but derived from a copy of the record, taken when the key is first touched at t: O(keys touched), gone when its difference is sent. Of a key that was not there before, only which it is is
// remembered: a load of one time keeps nothing that is as large as its accumulators. Records move while the table grows, so they are found again when differences are sent.

/// <summary>The frame of accumulable reductions: order of times, table, and copies of touched accumulators.</summary>
internal abstract unsafe class TimedReduceOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int Ahead = 16;
    private const long RowsPerRun = 16 * 1024; // a millisecond or two when every row is another key
    private const int MovedPerRow = 8;         // records that the table moves in the time of a row's lookup
    private readonly KeyedInput<TTime> _input;
    private readonly TimeStash<TTime> _stash;
    private readonly AccumulatorTable _table;
    private readonly bool _keysStored;
    private readonly AccumulateKernel _accumulate;
    private readonly nint* _keys;
    private readonly nint* _values;       // while differences are sent: accumulators before the time
    private readonly nint* _accumulators;
    private readonly long* _diffs;
    private readonly ulong* _keyScratch;
    private readonly nint* _identities;
    private readonly EntryLog _changed;   // records as they were before the time, and where they were
    private readonly EntryLog _added;     // the first bytes of records that were not there before it: which keys they are of
    private long _version;                // of the table, when the time was opened
    private bool _isOpen;
    private TTime _open;
    private readonly Queue<UpdateBatch<TTime>> _folding = new(); // of the open time, not yet in the accumulators
    private int _folded;            // rows of the first of them that are
    private int _emitted;           // touched keys whose differences are sent

    /// <param name="errors">Rows that could not be split.</param>
    protected TimedReduceOperator(KeyedRows<TTime> source, string name, int accumulatorBytes, AccumulateKernel accumulate, out Stream<TTime> errors)
        : base(source.Scope.Graph, name)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("accumulable reductions without history need totally ordered times");
        var keyShape = source.KeyShape;
        _input = new KeyedInput<TTime>(this, source, out errors);
        _stash = new TimeStash<TTime>(keyShape, source.ValueShape);
        _keysStored = !RowHash.IsBijective(keyShape);
        _accumulate = accumulate;
        _table = new AccumulatorTable(keyShape, accumulatorBytes);
        _changed = new EntryLog(_table.RecordBytes + sizeof(nint));
        _added = new EntryLog(_table.IdentityBytes);
        const int column = WorkerScratch.ColumnBytes;
        var scratch = Graph.Worker.Scratch.Slot(WorkerScratch.FoldSlot);
        _keys = (nint*)scratch;
        _values = (nint*)(scratch + column);
        _accumulators = (nint*)(scratch + (2 * column));
        _diffs = (long*)(scratch + (3 * column));
        _keyScratch = (ulong*)(scratch + (4 * column));
        _identities = (nint*)(scratch + (5 * column));
    }

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

            Open(batch.MinTime);
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
        _table.Dispose();
        _stash.Dispose();
        while (_folding.TryDequeue(out var batch))
            batch.Release();
        _changed.Dispose();
        _added.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        _table.Measure(meter);
        _stash.Measure(meter);
        foreach (var batch in _folding)
            batch.Measure(meter);
        _changed.Measure(meter);
        _added.Measure(meter);
    }

    /// <summary>Emits the differences at <paramref name="time"/> of some touched keys: at most <see cref="KernelIo.Capacity"/>, to be had by <see cref="Key"/>, <see cref="Before"/> and <see cref="Now"/>.</summary>
    protected abstract void Emit(TTime time, int count);

    /// <summary>Sends what is buffered.</summary>
    protected abstract void Flush();

    /// <summary>A touched key's bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected byte* Key(int index) => (byte*)_keys[index];

    protected int KeyLength(int index) => _table.KeyLength((byte*)_identities[index]);

    /// <summary>Its accumulator before the time; null if it had none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected byte* Before(int index) => (byte*)_values[index];

    /// <summary>Its accumulator after the time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected byte* Now(int index) => (byte*)_accumulators[index];

    // Folds and emits as far as frontier and fuel allow: each time that the frontier has reached, in order; those it has passed are finished at once. False when the fuel was not enough.
    private bool Advance(Frontier<TTime> frontier, ref long fuel)
    {
        while (fuel > 0)
        {
            if (_folding.TryPeek(out var batch))
            {
                var count = (int)Math.Min(Math.Min(KernelIo.Capacity, fuel), batch.Count - _folded);
                fuel -= Fold(batch, _folded, count);
                _folded += count;
                if (_folded < batch.Count)
                    continue;
                _folding.Dequeue();
                _folded = 0;
                batch.Release();
            }
            else if (_stash.TryFirst(out var first) && (_isOpen ? first.Equals(_open) : HasReached(frontier, first)))
            {
                Open(first);
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
                var touched = _changed.Count + _added.Count;
                var count = (int)Math.Min(Math.Min(KernelIo.Capacity, fuel), touched - _emitted);
                FindTouched(_emitted, count);
                Emit(_open, count);
                Forget(count);
                fuel -= count;
                _emitted += count;
                _changed.ReleaseBefore(_emitted);
                _added.ReleaseBefore(_emitted - _changed.Count);
                if (_emitted == touched)
                    Close(touched);
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

    // Keys and accumulators of touched keys [from, from + count): first those that were there before, then the others.
    private void FindTouched(int from, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var touched = from + i;
            _identities[i] = (nint)(touched < _changed.Count ? _changed[touched] : _added[touched - _changed.Count]);
        }

        var changed = Math.Max(0, Math.Min(count, _changed.Count - from));
        for (var i = 0; i < Math.Min(count, Ahead); i++)
            _table.Prefetch(*(ulong*)_identities[i]);
        for (var i = 0; i < count; i++)
        {
            if (i + Ahead < count)
                _table.Prefetch(*(ulong*)_identities[i + Ahead]);
            var identity = (byte*)_identities[i];
            _keys[i] = (nint)_table.Key(identity, _keyScratch + i);
            _values[i] = i < changed ? (nint)(identity + _table.IdentityBytes) : 0;
            var record = i < changed && _table.Version == _version ? *(byte**)(identity + _table.RecordBytes) : null;
            if (record == null || !_table.IsStill(record, identity))
                record = _table.Find(identity);
            AccumulatorTable.Unmark(record);
            _accumulators[i] = (nint)_table.Accumulator(record);
        }
    }

    // A count of zero is not enough to be forgotten: a retraction that came before its insert leaves a sum to be kept.
    private void Forget(int count)
    {
        var zeros = 0;
        for (var i = 0; i < count; i++)
        {
            if (*(long*)Now(i) != 0 || new ReadOnlySpan<byte>(Now(i), _table.AccumulatorBytes).ContainsAnyExcept((byte)0))
                continue;
            _accumulators[zeros] = _accumulators[i];
            _identities[zeros++] = _identities[i];
        }

        // Removing one moves others.
        for (var i = 0; i < zeros; i++)
        {
            var identity = (byte*)_identities[i];
            var record = Now(i) - _table.IdentityBytes;
            _table.Remove(*(ulong*)identity, _table.IsStill(record, identity) ? record : _table.Find(identity));
        }
    }

    private void Open(TTime time)
    {
        if (!_isOpen)
            _version = _table.Version;
        _isOpen = true;
        _open = time;
    }

    private void Close(int touched)
    {
        _changed.Clear();
        _added.Clear();
        _emitted = 0;
        _isOpen = false;
        _table.CollectKeys(KernelIo.Capacity + (2L * touched));
    }

    // Returns its work, in rows.
    private long Fold(UpdateBatch<TTime> batch, int from, int count)
    {
        var work = (long)count;
        var hashes = batch.Hashes + from;
        batch.Rows.CopyAddresses(from, count, _values);
        if (_keysStored)
        {
            batch.Keys.CopyAddresses(from, count, _keys);
        }
        else
        {
            for (var i = 0; i < count; i++)
            {
                _keyScratch[i] = RowHash.Unmix(hashes[i]);
                _keys[i] = (nint)(_keyScratch + i);
            }
        }

        if (batch.Diffs == null)
            new Span<long>(_diffs, count).Fill(batch.UniformDiff);
        var diffs = batch.Diffs == null ? _diffs : batch.Diffs + from;
        for (var done = 0; done < count;)
        {
            var found = _table.FindOrAdd(hashes, batch.Keys, from, _accumulators, done, count);
            for (var i = done; i < found; i++)
            {
                var record = (byte*)(_accumulators[i] & ~1);
                if (AccumulatorTable.Mark(record))
                    Remember(hashes[i], record, isNew: (_accumulators[i] & 1) != 0);
                _accumulators[i] = (nint)_table.Accumulator(record);
            }

            if (found > done)
                _accumulate(_keys + done, _values + done, diffs + done, _accumulators + done, found - done);
            done = found;
            if (done < count)
                work += _table.Grow(hashes[done]) / MovedPerRow; // those found have been added to
        }

        return work;
    }

    private void Remember(ulong hash, byte* record, bool isNew)
    {
        var entry = (isNew ? _added : _changed).Add();
        _table.CopyIdentity(hash, record, entry);
        if (isNew)
            return;
        _table.CopyAccumulator(record, entry);
        *(byte**)(entry + _table.RecordBytes) = record;
    }
}
