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

/// <summary>The general reduction. Shape: rows, sealed. Work: a whole group at each time its output may change; yields between groups. State: the input arrangement, and one of outputs.</summary>
internal sealed unsafe partial class GeneralReduceOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const byte IsRow = 0;
    private const byte IsError = 1;
    private const long RowsPerRun = 32 * 1024; // read from groups: some milliseconds
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
    private readonly MergeTools<TTime> _inputTools;
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
    private Round? _round; // under way
    private long _work;    // rows read in this run
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
        _tools = Graph.Worker.Scratch.Tools<TTime>(_keyShape, RowShape.Variable);
        _inputTools = _trace.Tools;
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
        if (_round is null && frontier.CompareTo(_done) > 0)
            _round = Begin(frontier);
        var least = LeastWaiting();
        if (_round is not null)
        {
            _work = 0;
            least = Stamp.Min(least, _round.Least);
            if (Process(_round))
            {
                _done = _round.Frontier;
                _round.Dispose();
                _round = null;
                least = LeastWaiting();
            }

            _ok.Send(_rows.Build());
            _errors.Send(_errorRows.Build());
            if (_round is not null || frontier.CompareTo(_done) > 0)
                Activate();
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
        _round?.Dispose();
        _outputs.Drop(_outputsHold);
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
        _round?.Measure(meter);
        _rows.Measure(meter);
        _errorRows.Measure(meter);
        _newOutputs.Measure(meter);
        foreach (var writer in (ReadOnlySpan<RowWriter>)[_wanted, _wantedErrors, _produced, _tagged, _made])
            meter.Writer(writer);
        _reduction.Measure(meter);
    }

    private Stamp LeastWaiting()
    {
        var least = Stamp.Closed;
        foreach (var delta in _deltas)
            least = Stamp.Min(least, delta.MinStamp);
        foreach (var time in _later.Keys)
            return Stamp.Min(least, time.ToStamp());
        return least;
    }

    // Deltas and noted times that the frontier has passed; null when there are none.
    private Round? Begin(Frontier<TTime> frontier)
    {
        var least = LeastWaiting();
        var noted = TakeNoted(frontier);
        var changes = TakeChanges(frontier);
        if (changes.Count == 0 && noted.Count == 0)
        {
            _done = frontier;
            return null;
        }

        var round = new Round(frontier, least, noted, _trace.TakeSnapshot(), _outputs.TakeSnapshot());
        if (changes.Count <= 1)
        {
            round.Changes = changes.FirstOrDefault();
            return round;
        }

        round.Merging = new Merger<TTime>(_inputTools, changes.ToArray()) { Since = _floor }; // so that a key is met once
        foreach (var batch in changes)
            batch.Release();
        return round;
    }

    // Goes on with a round, key by key; false when there is more to do than one run should.
    private bool Process(Round round)
    {
        if (round.Merging is { } merging)
        {
            _work += merging.Work(Fuel(RowsPerRun));
            if (!merging.IsDone)
                return false;
            round.Changes = merging.Finish();
            merging.Dispose();
            round.Merging = null;
        }

        var changes = round.Changes;
        while (changes is not null && round.Row < changes.Count)
        {
            if (_work >= Fuel(RowsPerRun))
                return false;
            var end = changes.EndOfKey(round.Row);
            GroupReader<TTime>.Prefetch(changes, round.Row, round.Inputs);
            GroupReader<TTime>.Prefetch(changes, round.Row, round.Outputs);
            ulong scratch;
            var key = KeyAt(changes, round.Row, &scratch);
            _times.Clear();
            for (var i = round.Row; i < end; i++)
                AddTime(TTime.Join(changes.TimeAt(i), _floor));
            if (round.Noted.Count > 0 && round.Noted.Remove(key.ToBytes(), out var more))
            {
                foreach (var time in more)
                    AddTime(time);
            }

            Correct(key, round.Inputs, round.Outputs, round.Frontier);
            round.Row = end;
        }

        round.Rest ??= new Queue<KeyValuePair<KeyBytes, List<TTime>>>(round.Noted);
        while (round.Rest.TryPeek(out var noted))
        {
            if (_work >= Fuel(RowsPerRun))
                return false;
            _times.Clear();
            foreach (var time in noted.Value)
                AddTime(time);
            fixed (byte* k = noted.Key.Bytes)
                Correct(new KeyAddress(noted.Key.Hash, k, noted.Key.Bytes.Length), round.Inputs, round.Outputs, round.Frontier);
            round.Rest.Dequeue();
        }

        if (_newOutputs.Build() is { } made)
        {
            if (_tools.SortRun([made], _outputs.Since) is { } batch)
            {
                _outputs.Insert(batch);
                batch.Release();
            }

            made.Release();
        }

        return true;
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

    // The updates of deltas that the frontier has passed; the caller releases each. A delta holds whole sealed times: the frontier has passed all of them, or shows so in the next round.
    private List<Batch<TTime>> TakeChanges(Frontier<TTime> frontier)
    {
        var batches = new List<Batch<TTime>>();
        var taken = 0;
        while (taken < _deltas.Count && Array.TrueForAll(_deltas[taken].Batches, b => frontier.HasPassed(TTime.Join(b.MaxTime, _floor))))
        {
            foreach (var batch in _deltas[taken].Batches)
            {
                batch.AddReference();
                batches.Add(batch);
            }

            _deltas[taken++].Release();
        }

        _deltas.RemoveRange(0, taken);
        return batches;
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

    /// <summary>What is evaluated for one step of the frontier, over several runs if it is much. Owns what it refers to.</summary>
    private sealed class Round(
        Frontier<TTime> frontier, Stamp least, Dictionary<KeyBytes, List<TTime>> noted, Snapshot<TTime> inputs, Snapshot<TTime> outputs) : IDisposable
    {
        public Frontier<TTime> Frontier => frontier;

        /// <summary>Nothing is emitted before it.</summary>
        public Stamp Least => least;

        /// <summary>Times noted for keys that are yet to come.</summary>
        public Dictionary<KeyBytes, List<TTime>> Noted => noted;

        public Snapshot<TTime> Inputs => inputs;

        public Snapshot<TTime> Outputs => outputs;

        public Merger<TTime>? Merging { get; set; }

        public Batch<TTime>? Changes { get; set; }

        /// <summary>The next row of <see cref="Changes"/>.</summary>
        public int Row { get; set; }

        /// <summary>What is left of <see cref="Noted"/> after all changes: keys that have none.</summary>
        public Queue<KeyValuePair<KeyBytes, List<TTime>>>? Rest { get; set; }

        public void Measure(StateMeter meter)
        {
            Merging?.Measure(meter);
            Changes?.Measure(meter);
            Inputs.Measure(meter);
            Outputs.Measure(meter);
        }

        public void Dispose()
        {
            Merging?.Dispose();
            Changes?.Release();
            Inputs.Release();
            Outputs.Release();
        }
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
