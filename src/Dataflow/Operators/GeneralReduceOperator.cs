using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// Reduction where times are only partially ordered: inside loops. The algorithm is differential dataflow's.
//
// What a group's output is at a time t depends on the input updates at times ≤ t in the partial order. As a function of t it can change only at joins of times of input updates of the group: elsewhere the set of updates
// seen is that of an earlier join. So when updates at times S come for a key whose history has times H, the output may need correction exactly at the closure of S under joins with S ∪ H. Those
// of the closure that the frontier has passed are evaluated now, in the total order (which extends the partial one, so that corrections at smaller times are in place); the others are noted and evaluated
// when the frontier passes them. At each, output wanted − output accumulated so far at times ≤ t is emitted at t, and kept in a trace of outputs.
//
// Compaction replaces a time by its join with since; times still to come are at or beyond since, so that their joins with it are the same.

/// <summary>What a group becomes, all of it, as tagged rows.</summary>
internal unsafe interface IWholeReduction : IDisposable
{
    void Measure(StateMeter meter);

    /// <summary>How many rows, copies counted, of the beginning of a group decide; <see cref="long.MaxValue"/> if all do.</summary>
    long RowsNeeded { get; }

    /// <summary>Appends the output rows of a group to <paramref name="output"/> (multiplicities to <paramref name="diffs"/>), errors likewise.</summary>
    void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors);
}

/// <summary>The general reduction. Shape: rows, sealed. Work: a whole group at each time its output may change. State: the input arrangement, and one of outputs.</summary>
internal sealed unsafe class GeneralReduceOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const byte IsRow = 0;
    private const byte IsError = 1;
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly Trace<TTime> _trace;
    private readonly TTime _floor;
    private readonly RowShape _keyShape;
    private readonly Trace<TTime> _outputs;
    private readonly TraceHold<TTime> _outputsHold;
    private readonly MergeTools<TTime> _tools;
    private readonly BatchBuilder<TTime> _newOutputs;      // keyed: what goes to _outputs
    private readonly IWholeReduction _reduction;
    private readonly List<ArrangedDelta<TTime>> _deltas = [];
    private readonly SortedDictionary<TTime, HashSet<KeyBytes>> _later = [];
    private readonly GroupReader<TTime> _reader = new();
    private readonly RowWriter _wanted;
    private readonly RowWriter _wantedErrors = new(RowShape.Variable);
    private readonly List<long> _wantedDiffs = [];
    private readonly RowWriter _produced = new(RowShape.Variable); // tagged outputs of the running key, with times and diffs
    private readonly List<(TTime Time, long Diff)> _producedTimes = [];
    private readonly RowWriter _tagged = new(RowShape.Variable);
    private readonly RowWriter _made = new(RowShape.Variable);
    private readonly List<long> _madeDiffs = [];
    private readonly List<(nint Value, int Length, long Diff)> _entries = [];
    private readonly List<TTime> _times = [];   // of the running key, to be evaluated
    private readonly List<TTime> _history = []; // of the running key's input
    private nint[] _values = GC.AllocateArray<nint>(64, pinned: true);
    private int[] _lengths = GC.AllocateArray<int>(64, pinned: true);
    private long[] _diffs = GC.AllocateArray<long>(64, pinned: true);
    private TraceHold<TTime>? _hold;
    private Frontier<TTime> _done = Frontier<TTime>.At(TTime.Minimum);

    private GeneralReduceOperator(Arranged<TTime> source, string name, IWholeReduction reduction, RowShape shape)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = new BatchBuilder<TTime>(RowShape.Variable);
        _trace = source.SharedTrace;
        _hold = _trace.NewHold();
        _floor = source.Floor;
        _keyShape = source.KeyShape;
        _outputs = new Trace<TTime>(Graph.Worker, _keyShape, RowShape.Variable);
        _outputsHold = _outputs.NewHold();
        _tools = new MergeTools<TTime>(Graph.Worker.Scratch, _keyShape, RowShape.Variable);
        _newOutputs = new BatchBuilder<TTime>(RowShape.Variable, RowHash.IsBijective(_keyShape) ? null : _keyShape);
        _wanted = new RowWriter(shape);
        _reduction = reduction;
    }

    public static OkErr<TTime> Build(Arranged<TTime> source, string name, IWholeReduction reduction, RowShape shape)
    {
        var op = new GeneralReduceOperator<TTime>(source, name, reduction, shape);
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, op._ok, shape), new Stream<TTime>(source.Scope, op._errors, RowShape.Variable));
    }

    public override void Run()
    {
        while (_input.TryTake(out var delta))
            _deltas.Add(delta);
        var frontier = Frontier<TTime>.FromStamp(_input.FrontierStamp);
        if (frontier.CompareTo(_done) > 0)
        {
            Process(frontier);
            _done = frontier;
        }

        var least = Stamp.Closed;
        foreach (var delta in _deltas)
            least = Stamp.Min(least, delta.MinStamp);
        foreach (var time in _later.Keys)
        {
            least = Stamp.Min(least, time.ToStamp());
            break;
        }

        SetHold(least.IsClosed ? null : least);

        // Inputs and outputs are read at times from the least that is still to be evaluated.
        least = Stamp.Min(least, _input.FrontierStamp);
        if (least.IsClosed)
        {
            if (_hold is not null)
                _trace.Drop(_hold);
            _hold = null;
            return;
        }

        var bound = TTime.FromStamp(least).FutureBound;
        _hold?.Advance(bound);
        _outputsHold.Advance(bound);
    }

    public override void Dispose()
    {
        foreach (var delta in _deltas)
            delta.Release();
        _deltas.Clear();
        if (_hold is not null)
            _trace.Drop(_hold);
        _hold = null;
        _outputs.Drop(_outputsHold);
        _tools.Dispose();
        _rows.Dispose();
        _errorRows.Dispose();
        _newOutputs.Dispose();
        _wanted.Dispose();
        _wantedErrors.Dispose();
        _produced.Dispose();
        _tagged.Dispose();
        _made.Dispose();
        _reduction.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        _outputs.Measure(meter);
        foreach (var delta in _deltas)
            delta.Measure(meter);
        _tools.Measure(meter);
        _rows.Measure(meter);
        _errorRows.Measure(meter);
        _newOutputs.Measure(meter);
        foreach (var writer in (ReadOnlySpan<RowWriter>)[_wanted, _wantedErrors, _produced, _tagged, _made])
            meter.Writer(writer);
        _reduction.Measure(meter);
    }

    // Deltas and noted times that the frontier has passed, key by key.
    private void Process(Frontier<TTime> frontier)
    {
        var noted = TakeNoted(frontier);
        var changes = TakeChanges(frontier);
        if (changes is null && noted.Count == 0)
            return;
        var inputs = _trace.TakeSnapshot();
        var outputs = _outputs.TakeSnapshot();
        for (var row = 0; changes is not null && row < changes.Count;)
        {
            var end = changes.EndOfKey(row);
            GroupReader<TTime>.Prefetch(changes, row, inputs);
            GroupReader<TTime>.Prefetch(changes, row, outputs);
            ulong scratch;
            var key = KeyAt(changes, row, &scratch);
            _times.Clear();
            for (var i = row; i < end; i++)
                AddTime(TTime.Join(changes.TimeAt(i), _floor));
            if (noted.Count > 0 && noted.Remove(key.ToBytes(), out var more))
            {
                foreach (var time in more)
                    AddTime(time);
            }

            Correct(key, inputs, outputs, frontier);
            row = end;
        }

        foreach (var (bytes, times) in noted)
        {
            _times.Clear();
            foreach (var time in times)
                AddTime(time);
            fixed (byte* k = bytes.Bytes)
                Correct(new KeyAddress(bytes.Hash, k, bytes.Bytes.Length), inputs, outputs, frontier);
        }

        changes?.Release();
        inputs.Release();
        outputs.Release();
        if (_newOutputs.Build() is { } made)
        {
            if (_tools.SortRun([made], _outputs.Since) is { } batch)
            {
                _outputs.Insert(batch);
                batch.Release();
            }

            made.Release();
        }

        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }

    private Dictionary<KeyBytes, List<TTime>> TakeNoted(Frontier<TTime> frontier)
    {
        var noted = new Dictionary<KeyBytes, List<TTime>>();
        while (_later.Count > 0)
        {
            var (time, keys) = First(_later);
            if (!frontier.HasPassed(time))
                break;
            _later.Remove(time);
            foreach (var key in keys)
            {
                if (!noted.TryGetValue(key, out var times))
                    noted.Add(key, times = []);
                times.Add(time);
            }
        }

        return noted;
    }

    // The updates of deltas that the frontier has passed, as one batch, so that a key is met once. A delta holds whole sealed times: the frontier has passed all of them, or shows so in the next run.
    private Batch<TTime>? TakeChanges(Frontier<TTime> frontier)
    {
        var batches = new List<Batch<TTime>>();
        var taken = 0;
        while (taken < _deltas.Count && Array.TrueForAll(_deltas[taken].Batches, b => frontier.HasPassed(TTime.Join(b.MaxTime, _floor))))
            batches.AddRange(_deltas[taken++].Batches);
        Batch<TTime>? changes = null;
        if (batches.Count == 1)
        {
            changes = batches[0];
            changes.AddReference();
        }
        else if (batches.Count > 1)
        {
            using var tools = new MergeTools<TTime>(Graph.Worker.Scratch, _keyShape, _trace.ValueShape);
            using var merger = new Merger<TTime>(tools, batches.ToArray()) { Since = _floor };
            merger.Work(long.MaxValue);
            changes = merger.Finish();
        }

        for (var d = 0; d < taken; d++)
            _deltas[d].Release();
        _deltas.RemoveRange(0, taken);
        return changes;
    }

    private void Correct(KeyAddress key, Snapshot<TTime> inputs, Snapshot<TTime> outputs, Frontier<TTime> frontier)
    {
        Close(key, inputs, frontier);
        _times.Sort();
        _produced.Clear();
        _producedTimes.Clear();
        foreach (var time in _times)
        {
            _wanted.Clear();
            _wantedErrors.Clear();
            _wantedDiffs.Clear();
            var count = ReadGroup(inputs, key, time, _floor, _reduction.RowsNeeded);
            if (count > 0)
            {
                _reduction.Reduce(
                    key.Address, key.Length, (nint*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _values[0]),
                    (int*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _lengths[0]),
                    (long*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _diffs[0]), count, _wanted, _wantedDiffs, _wantedErrors);
            }

            EmitCorrection(key, time, outputs);
        }
    }

    // Times at which the output may change because of updates at _times: closed under joins with each other and with the history's.
    private void Close(KeyAddress key, Snapshot<TTime> inputs, Frontier<TTime> frontier)
    {
        if (TTime.IsTotal)
            return;
        ReadHistory(inputs, key);
        for (var i = 0; i < _times.Count; i++) // grows meanwhile
        {
            for (var h = 0; h < _history.Count; h++)
                Note(TTime.Join(_times[i], _history[h]), key, frontier);
            for (var j = 0; j < i; j++)
                Note(TTime.Join(_times[i], _times[j]), key, frontier);
        }
    }

    private void Note(TTime time, KeyAddress key, Frontier<TTime> frontier)
    {
        if (_times.Contains(time))
            return;
        if (frontier.HasPassed(time))
        {
            _times.Add(time);
            return;
        }

        if (!_later.TryGetValue(time, out var keys))
            _later.Add(time, keys = []);
        keys.Add(key.ToBytes());
    }

    private void AddTime(TTime time)
    {
        if (!_times.Contains(time))
            _times.Add(time);
    }

    private void ReadHistory(Snapshot<TTime> inputs, KeyAddress key)
    {
        _history.Clear();
        foreach (var batch in inputs.Batches)
        {
            if (IsPast(batch.TimeBound) || !batch.Find(key.Hash, key.Address, key.Length, out var from, out var to))
                continue;
            if (batch.Times == null)
                AddHistory(batch.UniformTime);
            for (var row = from; batch.Times != null && row < to; row++)
                AddHistory(batch.Times[row]);
        }

        if (inputs.Recent is not { } recent || IsPast(recent.TimeBound))
            return;
        for (var row = recent.First(key.Hash, inputs.RecentCount); row >= 0; row = recent.Next(row))
        {
            if (recent.KeyEquals(row, key.Address, key.Length))
                AddHistory(recent.TimeAt(row));
        }
    }

    // Whether all times up to a bound are at or before each of those to be evaluated: their joins with these are these. The rule during a load, when only rounds advance.
    private bool IsPast(TTime bound)
    {
        foreach (var time in _times)
        {
            if (!TTime.LessEqual(bound, time))
                return false;
        }

        return true;
    }

    private void AddHistory(TTime time)
    {
        time = TTime.Join(time, _floor);
        if ((_history.Count == 0 || !_history[^1].Equals(time)) && !_history.Contains(time))
            _history.Add(time);
    }

    private int ReadGroup(Snapshot<TTime> snapshot, KeyAddress key, TTime time, TTime floor, long rowsNeeded)
    {
        _reader.Start();
        _reader.Limit(time, strict: false, floor);
        _reader.Add(snapshot, key.Hash, key.Address, key.Length, filtered: true);
        var count = 0;
        while (rowsNeeded > 0 && _reader.Next(out var value, out var length, out var diff))
        {
            if (count == _values.Length)
            {
                _values = Grow(_values);
                _lengths = Grow(_lengths);
                _diffs = Grow(_diffs);
            }

            _values[count] = (nint)value;
            _lengths[count] = length;
            _diffs[count++] = diff;
            if (diff > 0 && rowsNeeded != long.MaxValue)
                rowsNeeded -= diff;
        }

        return count;

        static T[] Grow<T>(T[] old) where T : unmanaged
        {
            var grown = GC.AllocateArray<T>(old.Length * 2, pinned: true);
            old.CopyTo(grown, 0);
            return grown;
        }
    }

    // Wanted − accumulated, by value: all in one list, sorted, added up.
    private void EmitCorrection(KeyAddress key, TTime time, Snapshot<TTime> outputs)
    {
        _tagged.Clear();
        _entries.Clear();
        var accumulated = ReadGroup(outputs, key, time, TTime.Minimum, long.MaxValue);
        for (var i = 0; i < accumulated; i++)
            _entries.Add((_values[i], _lengths[i], -_diffs[i]));
        for (var i = 0; i < _produced.Count; i++)
        {
            if (TTime.LessEqual(_producedTimes[i].Time, time))
                _entries.Add(((nint)_produced.AddressOf(i), _produced.LengthOf(i), -_producedTimes[i].Diff));
        }

        for (var i = 0; i < _wanted.Count; i++)
            Tag(_wanted[i], IsRow);
        for (var i = 0; i < _wantedErrors.Count; i++)
            Tag(_wantedErrors[i], IsError);
        for (var i = 0; i < _tagged.Count; i++)
            _entries.Add(((nint)_tagged.AddressOf(i), _tagged.LengthOf(i), i < _wantedDiffs.Count ? _wantedDiffs[i] : 1));
        if (_entries.Count > 1)
            _entries.Sort(static (a, b) => BytesVariable.Compare((byte*)a.Value, a.Length, (byte*)b.Value, b.Length));

        // Copied apart first: what is produced at this time joins _produced, which moves.
        _made.Clear();
        _madeDiffs.Clear();
        for (var i = 0; i < _entries.Count;)
        {
            var (value, length, sum) = _entries[i];
            for (i++; i < _entries.Count && BytesVariable.Compare((byte*)value, length, (byte*)_entries[i].Value, _entries[i].Length) == 0; i++)
                sum += _entries[i].Diff;
            if (sum == 0)
                continue;
            _made.Append((byte*)value, length);
            _madeDiffs.Add(sum);
        }

        for (var i = 0; i < _made.Count; i++)
        {
            var value = _made.AddressOf(i);
            var length = _made.LengthOf(i);
            _produced.Append(value, length);
            _producedTimes.Add((time, _madeDiffs[i]));
            _newOutputs.Keys?.Append(key.Address, key.Length);
            _newOutputs.Rows.Append(value, length);
            _newOutputs.AddHash(key.Hash);
            _newOutputs.Add(time, _madeDiffs[i]);
            var to = value[length - 1] == IsRow ? _rows : _errorRows;
            to.Rows.Append(value, length - 1);
            to.Add(time, _madeDiffs[i]);
        }
    }

    private void Tag(ReadOnlySpan<byte> row, byte tag)
    {
        var to = _tagged.Reserve(row.Length + 1);
        row.CopyTo(new Span<byte>(to, row.Length));
        to[row.Length] = tag;
        _tagged.Commit(row.Length + 1);
    }

    private static KeyAddress KeyAt(Batch<TTime> batch, int row, ulong* scratch)
    {
        if (batch.KeysStored)
            return new KeyAddress(batch.Hashes[row], batch.Keys.Address(row), batch.Keys.Length(row));
        *scratch = RowHash.Unmix(batch.Hashes[row]);
        return new KeyAddress(batch.Hashes[row], (byte*)scratch, batch.Keys.Shape.Width);
    }

    private static (TTime, HashSet<KeyBytes>) First(SortedDictionary<TTime, HashSet<KeyBytes>> later)
    {
        foreach (var (time, keys) in later)
            return (time, keys);
        throw new System.Diagnostics.UnreachableException();
    }

    /// <summary>A key where it lies.</summary>
    private readonly struct KeyAddress(ulong hash, byte* address, int length)
    {
        public ulong Hash { get; } = hash;

        public byte* Address { get; } = address;

        public int Length { get; } = length;

        public KeyBytes ToBytes() => new(Hash, new ReadOnlySpan<byte>(Address, Length).ToArray());
    }

    /// <summary>A key by its bytes.</summary>
    private readonly struct KeyBytes(ulong hash, byte[] bytes) : IEquatable<KeyBytes>
    {
        public ulong Hash { get; } = hash;

        public byte[] Bytes { get; } = bytes;

        public bool Equals(KeyBytes other) => Hash == other.Hash && Bytes.AsSpan().SequenceEqual(other.Bytes);

        public override bool Equals(object? obj) => obj is KeyBytes other && Equals(other);

        public override int GetHashCode() => Hash.GetHashCode();
    }
}
