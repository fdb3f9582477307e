using Materialize.Core;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

// A trace is a multiset of updates in three parts: Recent (unsorted, chained by hash), batches in tiers of size ratio 4 or 32, and merges under way.
//
// Since updates are summed, the order and the number of batches means nothing to a reader; merging is only for speed and memory. So there are no time ranges
// to keep contiguous: any batches may be merged with any others.
//
// Policy. A delta of at least half of Recent's capacity becomes a batch as it is; a smaller one is copied into Recent, unsorted if nobody has sorted it yet, which becomes a batch when full. The size ratio r is 4
// while keys are looked up for every eighth new row or more, else 32: a row is then rewritten about twice. A batch of n rows is of tier logr(n / 1.5·L0). When r idle batches of a tier exist, or four that make up half of the trace, and the tier has no merge under way, all its idle batches are merged, together with idle larger ones while those are no larger than the sum so
// far (else space could reach the number of tiers times the data). Each new row pays fuel of 2·total / (total − largest) rows to each merge, so that a merge is done by the time half as many new rows have
// come as there were in the smaller inputs: the largest input is one that would have been rewritten anyway and does not shorten the deadline. A worker that is idle goes on merging.
// It is of the tier of its largest input: batches of the tiers below are merged beside it, since as many as half of its rows come in small ones until it is done (a lookup found up to 72 batches, 9 in the mean now and not 22).
//
// A trace that is looked up and hardly written (the smaller side of most joins) would stay as it was loaded. So lookups since the last batch came are counted too: when what they wasted on having more than one
// batch would have paid for one rewrite, all are merged, and further lookups pay for it, two rows each.
//
// Compaction. Times are joined with `since` whenever rows are rewritten, so that updates which no reader can tell apart meet and cancel. A tier with much uncompacted detail wholly before since is rewritten
// while idle, even when it is not full.

/// <summary>One worker's part of an arrangement: all its updates, compacted to the least since of those who hold it. Worker thread only.</summary>
internal sealed class Trace<TTime> : IMaintained, IArrangement where TTime : unmanaged, ITime<TTime>
{
    // Few batches where most changes are looked up, few rewrites where only now and then somebody reads. A row costs some 30 ns each time it is rewritten, a lookup about as much in each batch.
    private int TierRatio => _lookups > _written / 8 ? RatioMin : RatioMax;
    private const int RatioMin = 4;
    private const int RatioMax = 32;
    private const int HotRecentRows = 1024;
    private const int LookupRows = 3; // a lookup in a batch costs as much as rewriting so many rows
    private const int RowsPaidPerLookup = 2;
    private const long RowsPaidAtOnce = 16 * 1024; // about a millisecond; what is left of a large delta's lookups is paid by later ones, or while the worker is idle
    private const long MergeBytesMax = 3L << 30; // offsets within a batch are 32 bits
    private readonly Worker _worker;
    private readonly List<TraceHold<TTime>> _holds = [];
    private readonly List<Merge> _merges = [];
    private readonly List<IDeltaListener<TTime>> _listeners = [];
    private BatchList<TTime> _batches = new([]);
    private Recent<TTime>? _recent;
    private bool _recentIsHot;
    private long _lookups; // keys looked up of late,
    private long _written; // and rows added
    private long _lookupsSinceBatch;
    private long _owed;    // rows of merging for lookups

    public Trace(Worker worker, RowShape keyShape, RowShape valueShape)
    {
        _worker = worker;
        KeyShape = keyShape;
        ValueShape = valueShape;
        Tools = worker.Scratch.Tools<TTime>(keyShape, valueShape);
    }

    public Worker Worker => _worker;

    public RowShape KeyShape { get; }

    public RowShape ValueShape { get; }

    /// <summary>Times before it are complete.</summary>
    public Frontier<TTime> Upper { get; private set; } = Frontier<TTime>.At(TTime.Minimum);

    /// <summary>Reads at or beyond it are exact.</summary>
    public TTime Since { get; private set; } = TTime.Minimum;

    public bool IsHeld => _holds.Count > 0;

    public MergeTools<TTime> Tools { get; }

    /// <summary>Counts what the trace holds: batches and their merges.</summary>
    public void Measure(StateMeter meter)
    {
        foreach (var batch in _batches.Items)
            batch.Measure(meter);
        _recent?.Measure(meter);
        foreach (var merge in _merges)
            merge.Merger.Measure(meter);
    }

    /// <summary>Readers that hold it.</summary>
    public int Holds => _holds.Count;

    public TraceHold<TTime> NewHold()
    {
        var hold = new TraceHold<TTime>(this, Since);
        _holds.Add(hold);
        return hold;
    }

    /// <summary>So many keys are looked up in a snapshot: what merging saves.</summary>
    public void NoteLookups(long keys)
    {
        _lookups += keys;
        var rows = _batches.Rows + (_recent?.Count ?? 0);
        if (keys > rows / 4) // that many walk through the batches
            return;
        _lookupsSinceBatch += keys;
        if (_merges.Count == 0 && (Apart < 2 || _lookupsSinceBatch * (Apart - 1) * LookupRows < rows))
            return;
        if (_owed == 0)
            _worker.NoteOwing(this);
        _owed += keys * RowsPaidPerLookup;
    }

    /// <summary>Merges for the lookups since the last call.</summary>
    public void PayOwed()
    {
        if (_merges.Count == 0)
        {
            if (RecentIsSettled)
                FlushRecent();
            if (_merges.Count == 0 && _batches.Items.Length > 1)
                StartMerge(TierOf(_batches.Rows), Idle());
            _lookupsSinceBatch = 0;
        }

        if (_merges.Count > 0)
            _merges[0].Fuel += Math.Min(_owed, RowsPaidAtOnce);
        _owed = 0;
        RunMerges();
        _worker.AddMaintained(this);
    }

    // Where a lookup has to look, new rows aside.
    private int Apart => _batches.Items.Length + (RecentIsSettled ? 1 : 0);

    private bool RecentIsSettled => _recent is { Count: > 0 } recent && recent.Count <= _lookupsSinceBatch / 8;

    /// <summary>A reader had to sort that many newest rows of one key. Many, and the next to come find them sorted: each reader would sort them anew.</summary>
    public void NoteRecentRead(int rows) => _recentIsHot |= rows > HotRecentRows;

    /// <summary>Lets go; without any hold the trace is emptied for good.</summary>
    public void Drop(TraceHold<TTime> hold)
    {
        if (!_holds.Remove(hold))
            return;
        if (_holds.Count > 0)
        {
            SinceMayHaveMoved();
            return;
        }

        foreach (var merge in _merges)
            merge.Merger.Dispose();
        _merges.Clear();
        Replace(new BatchList<TTime>([]));
        _recent?.Release();
        _recent = null;
    }

    public void SinceMayHaveMoved()
    {
        var since = _holds[0].Since;
        for (var i = 1; i < _holds.Count; i++)
            since = TTime.Meet(since, _holds[i].Since);
        Since = since;
    }

    public void AddListener(IDeltaListener<TTime> listener) => _listeners.Add(listener);

    public void RemoveListener(IDeltaListener<TTime> listener) => _listeners.Remove(listener);

    /// <summary>All updates at present, pinned; the caller releases it.</summary>
    public Snapshot<TTime> TakeSnapshot() => new(this, _batches, _recent);

    /// <summary>
    /// Adds a delta (null: none) and moves <see cref="Upper"/>. Listeners in other dataflows get it too. Its snapshot is of this trace as it is now. The caller keeps its reference.
    /// </summary>
    public void Insert(ArrangedDelta<TTime>? delta, Frontier<TTime> upper)
    {
        Invariant.Check(upper.CompareTo(Upper) >= 0, "a trace's upper never goes back");
        if (IsHeld && delta is not null)
        {
            foreach (var listener in _listeners)
            {
                delta.AddReference();
                listener.OnDelta(delta);
            }

            Add(delta);
        }

        Upper = upper;
        foreach (var listener in _listeners)
            listener.OnUpper(upper);
    }

    /// <summary>Adds updates of which nobody else is told. The caller keeps its reference.</summary>
    public void Insert(Batch<TTime> batch)
    {
        Invariant.Check(_listeners.Count == 0, "listeners are told of every delta");
        if (!IsHeld)
            return;
        Add(batch);
        Pay(batch.Count);
    }

    /// <summary>Merges for about <paramref name="fuel"/> rows, or starts what is worth doing while idle.</summary>
    public bool Maintain(long fuel)
    {
        if (_merges.Count == 0)
            StartCompaction();
        if (_merges.Count == 0)
            return false;
        foreach (var merge in _merges)
            merge.Fuel = Math.Max(merge.Fuel, 0);
        _merges[0].Fuel += fuel;
        RunMerges();
        return true;
    }

    private void Add(ArrangedDelta<TTime> delta)
    {
        if (delta.Unsorted is { } rows)
        {
            var recent = RecentFor(delta.Updates);
            foreach (var batch in rows)
                recent.Append(batch);
        }
        else
        {
            foreach (var batch in delta.Batches)
                Add(batch);
        }

        Pay(delta.Updates);
    }

    private void Add(Batch<TTime> delta)
    {
        if (!Recent<TTime>.Fits(delta.Count, delta.Values.Bytes + delta.Keys.Bytes))
        {
            delta.AddReference();
            AddBatch(delta);
            return;
        }

        RecentFor(delta.Count).Append(delta);
    }

    // Where so many rows go.
    private Recent<TTime> RecentFor(int rows)
    {
        if (_recent is not null && (_recentIsHot || _recent.IsFull(rows)))
            FlushRecent();
        return _recent ??= new Recent<TTime>(KeyShape, ValueShape, _batches.Items.Length > 0 ? Recent<TTime>.RowsMax : 0);
    }

    // New rows pay for merging.
    private void Pay(int rows)
    {
        _written += rows;
        foreach (var merge in _merges)
            merge.Fuel += rows * merge.Rate;
        RunMerges();
        _worker.AddMaintained(this);
    }

    private void FlushRecent()
    {
        var recent = _recent!;
        _recent = null;
        _recentIsHot = false;
        _lookups /= 2;
        _written /= 2;
        var batch = recent.Sort(Tools, recent.Count, Since);
        recent.Release();
        if (batch is not null)
            AddBatch(batch);
    }

    private void AddBatch(Batch<TTime> batch)
    {
        _lookupsSinceBatch = 0;
        Replace(_batches.With(batch));
        batch.Release(); // the list has its own
        StartMerges();
    }

    private void Replace(BatchList<TTime> batches)
    {
        var old = _batches;
        _batches = batches;
        old.Release();
    }

    private int TierOf(long rows)
    {
        var (tier, ratio) = (0, TierRatio);
        for (var limit = (long)(1.5 * Recent<TTime>.RowsMax); rows > limit; limit *= ratio)
            tier++;
        return tier;
    }

    private void StartMerges()
    {
        var idle = Idle();
        for (var i = 0; i < idle.Count;)
        {
            var tier = TierOf(idle[i].Count);
            var end = i + 1;
            while (end < idle.Count && TierOf(idle[end].Count) == tier)
                end++;
            var sum = 0L;
            for (var k = i; k < end; k++)
                sum += idle[k].Count;
            if (end - i >= (2 * sum < _batches.Rows ? TierRatio : RatioMin) && !_merges.Exists(m => m.Tier == tier))
            {
                while (end < idle.Count && idle[end].Count <= sum)
                    sum += idle[end++].Count;
                StartMerge(TierOf(idle[end - 1].Count), idle[i..end]);
            }

            i = end;
        }
    }

    // Detail before since that nobody can see any more is worth a rewrite when it is a good part of a tier.
    private void StartCompaction()
    {
        var idle = Idle();
        foreach (var batch in idle)
        {
            if (batch.RepeatedRows > batch.Count / 4 && batch.MaxTime.CompareTo(Since) <= 0)
            {
                var tier = TierOf(batch.Count);
                StartMerge(tier, idle.FindAll(b => TierOf(b.Count) == tier));
                return;
            }
        }
    }

    // Batches in no merge, smallest first.
    private List<Batch<TTime>> Idle()
    {
        var idle = new List<Batch<TTime>>();
        foreach (var batch in _batches.Items)
        {
            if (!_merges.Exists(m => m.Merger.Inputs.Contains(batch)))
                idle.Add(batch);
        }

        idle.Sort(static (a, b) => a.Count.CompareTo(b.Count));
        return idle;
    }

    private void StartMerge(int tier, List<Batch<TTime>> inputs)
    {
        var bytes = 0L;
        foreach (var input in inputs)
            bytes += Math.Max(input.Keys.Bytes, input.Values.Bytes);
        if (bytes > MergeBytesMax)
            return;
        var merger = new Merger<TTime>(Tools, inputs.ToArray()) { Since = Since };
        var largest = (long)inputs[^1].Count;
        var rate = 2 * merger.TotalRows / Math.Max(1, inputs.Count == 1 ? largest : merger.TotalRows - largest);
        _merges.Add(new Merge(merger, tier, Math.Max(2, rate)));
    }

    private void RunMerges()
    {
        for (var i = 0; i < _merges.Count; i++)
        {
            var merge = _merges[i];
            if (merge.Fuel <= 0)
                continue;
            merge.Merger.Since = Since;
            merge.Fuel -= merge.Merger.Work(merge.Fuel);
            if (!merge.Merger.IsDone)
                continue;
            _merges.RemoveAt(i--);
            var merged = merge.Merger.Finish();
            Replace(_batches.Without(merge.Merger.Inputs, merged));
            merged?.Release();
            merge.Merger.Dispose();
            StartMerges();
        }
    }

    private sealed class Merge(Merger<TTime> merger, int tier, long rate)
    {
        public Merger<TTime> Merger { get; } = merger;

        public int Tier { get; } = tier;

        public long Rate { get; } = rate;

        public long Fuel { get; set; }
    }
}

/// <summary>An immutable list of batches, counted as one, so that a snapshot is one reference.</summary>
internal sealed class BatchList<TTime> where TTime : unmanaged, ITime<TTime>
{
    private int _references = 1;

    /// <summary>Takes a reference to each batch.</summary>
    public BatchList(Batch<TTime>[] items)
    {
        Items = items;
        foreach (var batch in items)
        {
            batch.AddReference();
            Rows += batch.Count;
        }
    }

    public Batch<TTime>[] Items { get; }

    public long Rows { get; }

    public void AddReference() => _references++;

    public void Release()
    {
        if (--_references > 0)
            return;
        foreach (var batch in Items)
            batch.Release();
    }

    public BatchList<TTime> With(Batch<TTime> batch) => new([.. Items, batch]);

    public BatchList<TTime> Without(ReadOnlySpan<Batch<TTime>> removed, Batch<TTime>? added)
    {
        var kept = new List<Batch<TTime>>(Items.Length);
        foreach (var batch in Items)
        {
            if (!removed.Contains(batch))
                kept.Add(batch);
        }

        if (added is not null)
            kept.Add(added);
        return new BatchList<TTime>([.. kept]);
    }
}

/// <summary>Keeps a trace, and its since from passing <see cref="Since"/>.</summary>
internal sealed class TraceHold<TTime>(Trace<TTime> trace, TTime since) where TTime : unmanaged, ITime<TTime>
{
    public TTime Since { get; private set; } = since;

    public void Advance(TTime since)
    {
        var next = TTime.Join(Since, since);
        if (next.Equals(Since))
            return;
        Since = next;
        trace.SinceMayHaveMoved();
    }
}

/// <summary>What a trace held at one moment, pinned. Worker thread only.</summary>
internal sealed class Snapshot<TTime> where TTime : unmanaged, ITime<TTime>
{
    private readonly BatchList<TTime> _batches;
    private int _references = 1;

    public Snapshot(Trace<TTime> trace, BatchList<TTime> batches, Recent<TTime>? recent)
    {
        Trace = trace;
        _batches = batches;
        _batches.AddReference();
        if (recent is { Count: > 0 })
        {
            Recent = recent;
            RecentCount = recent.Count;
            recent.AddReference();
        }
    }

    /// <summary>No updates at all.</summary>
    public static Snapshot<TTime> Empty(Trace<TTime> trace)
    {
        var none = new BatchList<TTime>([]);
        var snapshot = new Snapshot<TTime>(trace, none, null);
        none.Release();
        return snapshot;
    }

    public Trace<TTime> Trace { get; }

    public Batch<TTime>[] Batches => _batches.Items;

    public Recent<TTime>? Recent { get; }

    public int RecentCount { get; }

    public long Rows => _batches.Rows + RecentCount;

    public void AddReference() => _references++;

    public void Release()
    {
        if (--_references > 0)
            return;
        _batches.Release();
        Recent?.Release();
    }

    public void Measure(StateMeter meter)
    {
        foreach (var batch in Batches)
            batch.Measure(meter);
        Recent?.Measure(meter);
    }

    /// <summary>All rows as sorted batches; the caller releases each.</summary>
    public Batch<TTime>[] ToBatches()
    {
        var batches = new List<Batch<TTime>>(Batches);
        foreach (var batch in batches)
            batch.AddReference();
        if (Recent?.Sort(Trace.Tools, RecentCount, TTime.Minimum) is { } sorted)
            batches.Add(sorted);
        return [.. batches];
    }
}

/// <summary>Follows a trace from another dataflow of the same worker.</summary>
internal interface IDeltaListener<TTime> where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Takes over the delta.</summary>
    void OnDelta(ArrangedDelta<TTime> delta);

    void OnUpper(Frontier<TTime> upper);
}
