using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// Window functions, kept up to date. Each partition is a tree of its rows in order (WindowTree), of the present only: times are totally ordered, and deltas come whole and in order, so that a partition is worked on at one time after another.
// For each time: the changes are applied to the tree, which stays beside what it becomes, and the difference of the output is emitted by walks over both at the places that the changes touch (WindowWalk). Both are cut into pieces of some
// milliseconds; the hold stays at the delta's least time until all of it is done.
//
// Rows are sealed and sorted by an arrangement, of which nobody holds the trace: it keeps nothing.

/// <summary>
/// See <see cref="Stream{TTime}.Window"/>. Shape: rows, sealed. Time: of the change. Work: O(log) and the rows that a change touches. State: a tree of rows for each partition.
/// </summary>
internal sealed unsafe class WindowOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long RowsPerRun = 32 * 1024;
    private const int ChangesPerStep = 1024;
    private const int FlushRows = 8192;
    private const int KeysPerRun = 8192; // rewritten at a time, when they need to be
    private const long FlushBytes = 4 << 20;
    private const long RetiredBytesMax = 512 * 1024;
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly AccumulatorTable _partitions;
    private readonly WindowTree _tree;
    private readonly WindowWalk _walk;
    private readonly Output _output;
    private readonly WindowChanges _changes = new();
    private readonly Queue<ArrangedDelta<TTime>> _work = new();
    private readonly byte[] _negativeError;
    private int _row;            // of the first delta: where the running key begins
    private int _end;            // and ends
    private ulong _hash;         // of the running key
    private byte* _partition;    // its record
    private int[] _order = [];   // its rows by time, where there are several
    private int _first;          // of the running time, in _order or in the delta
    private int _last;
    private bool _isOrdered;
    private Stage _stage;
    private int _applied;
    private WindowRoot _was; // the partition before the running time

    private enum Stage
    {
        Key,
        Time,
        Applying,
        Walking,
    }

    private WindowOperator(Arranged<TTime> source, string name, WindowPlan plan)
        : base(source.Scope.Graph, name)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("windows of this kind need totally ordered times");
        _input = this.NewInput(source);
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _partitions = new AccumulatorTable(source.KeyShape, sizeof(WindowRoot));
        _negativeError = plan.NegativeError.ToArray();
        var needs = new WindowNeeds(plan);
        _tree = new WindowTree(plan.Accumulations, needs.CountsGroups);
        _walk = new WindowWalk(needs, _tree);
        _output = new Output(plan, _tree, this);
    }

    public static OkErr<TTime> Build(Stream<TTime> source, string name, WindowPlan plan)
    {
        var (arranged, errors) = ArrangeOperator<TTime>.Build(KeyedRows<TTime>.Of(source, name, plan.Split, plan.KeyShape, plan.RowShape, RowShape.Variable), name + ": input");
        if (!TTime.IsTotal)
        {
            var whole = GeneralReduceOperator<TTime>.Build(arranged, name, new WholeWindow(plan), plan.Shape);
            return whole with { Errors = whole.Errors.Concat(errors) };
        }

        var op = new WindowOperator<TTime>(arranged, name, plan);
        var own = new Stream<TTime>(source.Scope, op._errors, RowShape.Variable);
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, op._ok, plan.Shape), own.Concat(errors));
    }

    public override void Run()
    {
        while (_input.TryTake(out var delta))
        {
            if (delta.Single is not null)
                _work.Enqueue(delta);
            else
                delta.Release(); // all of it cancelled
        }

        var fuel = Fuel(RowsPerRun);
        while (fuel > 0 && _work.TryPeek(out var work))
        {
            if (!Advance(work.Batches[0], ref fuel))
                break;
            Finish();
            _work.Dequeue();
            _row = 0;
            work.Release();
        }

        Finish();
        Flush();
        if (_stage == Stage.Key)
            _partitions.CollectKeys(KeysPerRun);
        SetHold(_work.TryPeek(out var next) ? next.MinStamp : null);
        if (_work.Count > 0)
            Activate();
    }

    public override void Dispose()
    {
        foreach (var work in _work)
            work.Release();
        _work.Clear();
        if (_tree.HasLargePages)
            _partitions.ForEach(root => _tree.Drop(ref *(WindowRoot*)root));
        _walk.Dispose();
        _tree.Dispose();
        _partitions.Dispose();
        _output.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var work in _work)
            work.Measure(meter);
        _partitions.Measure(meter);
        _tree.Measure(meter);
        _walk.Measure(meter);
        _output.Measure(meter);
        _output.Rows.Measure(meter);
        _output.Errors.Measure(meter);
    }

    private ref WindowRoot RootOf(byte* partition) => ref *(WindowRoot*)_partitions.Accumulator(partition);

    // After that nothing is looked at any more that was retired, except by a walk that is not at its end.
    private void Finish()
    {
        _output.Finish();
        if (_stage is Stage.Key or Stage.Time)
            _tree.Collect();
    }

    private void Flush()
    {
        _ok.Send(_output.Rows.Build());
        _errors.Send(_output.Errors.Build());
    }

    // Goes on with a delta; false when fuel was used up before its end.
    private bool Advance(Batch<TTime> delta, ref long fuel)
    {
        ulong scratch;
        while (true)
        {
            if (fuel <= 0)
                return false;
            switch (_stage)
            {
                case Stage.Key:
                    if (_row >= delta.Count)
                        return true;
                    BeginKey(delta);
                    break;
                case Stage.Time:
                    if (!BeginTime(delta))
                    {
                        EndKey();
                        break;
                    }

                    ref var root = ref RootOf(_partition);
                    if (_changes.Count <= WindowOutput.EntriesMax && _tree.TryMakeLeaf(ref root, _changes))
                    {
                        SetKey(delta, &scratch);
                        _walk.AddLeaf(root.Page, _output);
                        fuel -= _changes.Count;
                        _first = _last;
                        break;
                    }

                    _was = root;
                    _applied = 0;
                    _stage = Stage.Applying;
                    fuel--;
                    break;
                case Stage.Applying:
                    Apply(ref fuel);
                    break;
                default:
                    SetKey(delta, &scratch);
                    if (!_walk.Run(ref fuel, _output))
                        return false;
                    _first = _last;
                    _stage = Stage.Time;
                    if (_tree.RetiredBytes > RetiredBytesMax)
                        Finish();
                    break;
            }
        }
    }

    private void SetKey(Batch<TTime> delta, ulong* scratch)
    {
        if (delta.KeysStored)
        {
            _output.SetKey(delta.Keys.Address(_row), keyLies: true);
            return;
        }

        *scratch = RowHash.Unmix(delta.Hashes[_row]);
        _output.SetKey((byte*)scratch, keyLies: false);
    }

    private void Apply(ref long fuel)
    {
        ref var root = ref RootOf(_partition);
        var more = (int)Math.Min(_changes.Count, _applied + Math.Clamp(fuel, 1, ChangesPerStep));
        _tree.Apply(ref root, _changes, _applied, more);
        fuel -= 1 + ((more - _applied) / 4) + (_tree.TakeRewritten() / 8);
        _applied = more;
        if (_applied < _changes.Count)
            return;

        if (_was.Negatives > 0 != root.Negatives > 0)
            _output.AddError(_negativeError, root.Negatives > 0 ? 1 : -1);
        _walk.Begin(_was, root, _changes);
        _stage = Stage.Walking;
    }

    private void BeginKey(Batch<TTime> delta)
    {
        _end = delta.EndOfKey(_row);
        ulong scratch;
        byte* key = (byte*)&scratch;
        var keyLength = delta.Keys.Shape.Width;
        if (delta.KeysStored)
        {
            key = delta.Keys.Address(_row);
            keyLength = delta.Keys.Length(_row);
        }

        if (_row + 32 < delta.Count)
            _partitions.Prefetch(delta.Hashes[_row + 32]);
        if (_row + 16 < delta.Count)
            _partitions.PrefetchKey(delta.Hashes[_row + 16]);
        _hash = delta.Hashes[_row];
        _partition = _partitions.FindOrAdd(_hash, key, keyLength);
        _isOrdered = delta.Times != null;
        _first = _isOrdered ? 0 : _row;
        if (_isOrdered)
            SortByTime(delta);
        _stage = Stage.Time;
    }

    private void EndKey()
    {
        ref var root = ref RootOf(_partition);
        if (root.Page == null)
            _partitions.Remove(_hash, _partition);
        _row = _end;
        _stage = Stage.Key;
    }

    // The key's changes at its next time; false if there are none.
    private bool BeginTime(Batch<TTime> delta)
    {
        if (!_isOrdered)
        {
            if (_first >= _end)
                return false;
            _last = _end;
            _changes.Set(delta, _first, _end);
            _output.Time = delta.UniformTime;
            return true;
        }

        var count = _end - _row;
        if (_first >= count)
            return false;
        var time = delta.Times[_order[_first]];
        _last = _first + 1;
        while (_last < count && delta.Times[_order[_last]].Equals(time))
            _last++;
        _changes.Set(delta, _order, _first, _last);
        _output.Time = time;
        return true;
    }

    private void SortByTime(Batch<TTime> delta)
    {
        var count = _end - _row;
        if (_order.Length < count)
            _order = new int[Math.Max(count, Math.Max(64, _order.Length * 2))];
        var isSorted = true;
        for (var i = 0; i < count; i++)
        {
            _order[i] = _row + i;
            isSorted &= i == 0 || delta.Times[_row + i - 1].CompareTo(delta.Times[_row + i]) <= 0;
        }

        if (isSorted)
            return;
        var times = delta.Times;
        _order.AsSpan(0, count).Sort((a, b) =>
        {
            var order = times[a].CompareTo(times[b]);
            return order != 0 ? order : a.CompareTo(b);
        });
    }

    private sealed class Output(WindowPlan plan, WindowTree tree, WindowOperator<TTime> op) : WindowOutput(plan, tree)
    {
        private readonly TTime[] _times = new TTime[EntriesMax];

        public BatchBuilder<TTime> Rows { get; } = new(plan.Shape);

        public BatchBuilder<TTime> Errors { get; } = new(RowShape.Variable);

        /// <summary>Of what is added from now on.</summary>
        public TTime Time { get; set; }

        public void AddError(ReadOnlySpan<byte> error, long diff)
        {
            Errors.Rows.Append(error);
            Errors.Add(Time, diff);
        }

        public override void Dispose()
        {
            base.Dispose();
            Rows.Dispose();
            Errors.Dispose();
        }

        protected override void Added(int first, int end) => _times.AsSpan(first, end - first).Fill(Time);

        protected override void Emit(in RowColumn rows, int* entries, long* diffs, bool allCount)
        {
            if (allCount)
            {
                Rows.Rows.AppendRange(rows, 0, rows.Count);
                for (var i = 0; i < rows.Count; i++)
                    Rows.Add(_times[entries[i]], diffs[i]);
            }
            else
            {
                for (var i = 0; i < rows.Count; i++)
                {
                    if (diffs[i] == 0)
                        continue;
                    Rows.Rows.Append(rows.Address(i), rows.Length(i));
                    Rows.Add(_times[entries[i]], diffs[i]);
                }
            }

            if (Rows.Count > FlushRows - EntriesMax || Rows.Bytes > FlushBytes)
                op.Flush();
        }

        protected override void EmitError(int entry, ReadOnlySpan<byte> error, long diff)
        {
            Errors.Rows.Append(error);
            Errors.Add(_times[entry], diff);
        }
    }
}
