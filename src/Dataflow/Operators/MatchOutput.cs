using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>Which updates of a snapshot a probe matches, beside having its key.</summary>
internal enum MatchTimes
{
    /// <summary>All; the pair is at the join of the two times.</summary>
    Any,

    /// <summary>Those before the probe's time.</summary>
    Before,

    /// <summary>Those at or before the probe's time.</summary>
    UpTo,
}

/// <summary>A sorted batch to be matched with a snapshot, and how far that has come. Owns a reference to both.</summary>
internal sealed class MatchWork<TTime> where TTime : unmanaged, ITime<TTime>
{
    public MatchWork(Batch<TTime> probes, Snapshot<TTime> stored, bool probesAreLeft)
    {
        Probes = probes;
        Stored = stored;
        ProbesAreLeft = probesAreLeft;
        stored.Trace.NoteLookups(probes.Count);
    }

    public Batch<TTime> Probes { get; }

    public Snapshot<TTime> Stored { get; }

    /// <summary>Whether the probe's value is the kernel's part 1 and the stored value part 2.</summary>
    public bool ProbesAreLeft { get; }

    public Stamp MinStamp { get; init; }

    // Which of the snapshot's batches (then Recent), which probe, which of the probe's matches.
    public int Source;
    public int Probe;
    public int Match;

    public bool IsDone => Source > Stored.Batches.Length;

    public void Measure(StateMeter meter)
    {
        Probes.Measure(meter);
        Stored.Measure(meter);
    }

    public void Release()
    {
        Probes.Release();
        Stored.Release();
    }
}

/// <summary>
/// The inner loops of joins: finds the pairs of a sorted batch and a snapshot with equal keys, and feeds them to the kernel a thousand at a time.
/// </summary>
/// <remarks>
/// Probes are in hash order. If they are many compared with a stored batch, both are walked together; else each is looked up by the batch's directory, with the cache lines of sixty-four probes ahead
/// prefetched (13–50 M probes/s). Stops between any two pairs once enough rows came out, so that one hot key cannot stall the worker. Shared by linear and half joins.
/// </remarks>
internal sealed unsafe class MatchOutput<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private const int ProbesAhead = 64;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly KernelCall _call;
    private readonly MatchTimes _times;
    private readonly TTime _probeFloor;
    private readonly TTime _storedFloor;
    private readonly TTime* _matchTimes;
    private readonly long* _matchDiffs;
    private readonly ulong* _keys;
    private int _pending;
    private bool _uniform;
    private long _produced;

    public MatchOutput(Operator op, RowKernel kernel, RowShape shape, MatchTimes times, TTime leftFloor, TTime rightFloor)
    {
        _ok = new OutputPort<UpdateBatch<TTime>>(op);
        _errors = new OutputPort<UpdateBatch<TTime>>(op);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = new BatchBuilder<TTime>(RowShape.Variable);
        _call = new KernelCall(op.Graph.Worker.Scratch, kernel, 3, [_rows.Rows], _errorRows.Rows);
        _times = times;
        _probeFloor = leftFloor;
        _storedFloor = rightFloor;
        var scratch = op.Graph.Worker.Scratch;
        _keys = (ulong*)scratch.Slot(WorkerScratch.KeySlot);
        _matchDiffs = (long*)scratch.Slot(WorkerScratch.MatchSlot);
        _matchTimes = (TTime*)(_matchDiffs + KernelIo.Capacity);
        Core.Invariant.Check(sizeof(TTime) <= 7 * sizeof(ulong), "times fit their scratch");
    }

    public OkErr<TTime> Streams(Scope<TTime> scope) => new(
        new Stream<TTime>(scope, _ok, _rows.Rows.Shape), new Stream<TTime>(scope, _errors, RowShape.Variable));

    /// <summary>Goes on with <paramref name="work"/> until it is done or about <paramref name="rowsMax"/> pairs or probes were made; returns how many.</summary>
    public long Match(MatchWork<TTime> work, long rowsMax)
    {
        _produced = 0;
        while (!work.IsDone && _produced < rowsMax)
        {
            bool ended;
            if (work.Source < work.Stored.Batches.Length)
                ended = MatchBatch(work, work.Stored.Batches[work.Source], rowsMax);
            else
                ended = work.Stored.Recent is not { } recent || MatchRecent(work, recent, rowsMax);
            if (!ended)
                break;
            work.Source++;
            work.Probe = 0;
            work.Match = 0;
        }

        Invoke();
        return _produced;
    }

    /// <summary>Sends what is buffered.</summary>
    public void Flush()
    {
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }

    public void Measure(StateMeter meter)
    {
        _rows.Measure(meter);
        _errorRows.Measure(meter);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _errorRows.Dispose();
    }

    private bool MatchBatch(MatchWork<TTime> work, Batch<TTime> stored, long rowsMax)
    {
        var probes = work.Probes;
        var walk = probes.Count > stored.Count / 4;
        var at = walk && work.Probe > 0 ? stored.Seek(probes.Hashes[work.Probe]) : 0;
        var rows = stackalloc int[ProbesAhead]; // where the hashes of probes [first, ahead) begin
        var (first, ahead) = (work.Probe, work.Probe);
        var lastProbe = -1; // the probe whose range [from, to) is known
        int from = 0, to = 0;
        for (var p = work.Probe; p < probes.Count; p++)
        {
            var hash = probes.Hashes[p];
            if (lastProbe >= 0 && probes.Hashes[lastProbe] == hash && SameKey(probes, lastProbe, p))
            {
            }
            else if (walk)
            {
                while (at < stored.Count && stored.Hashes[at] < hash)
                    at++;
                FindAt(stored, at, probes, p, hash, out from, out to);
            }
            else
            {
                if (p >= ahead)
                {
                    first = p;
                    ahead = Locate(probes, p, stored, rows);
                }

                FindAt(stored, rows[p - first], probes, p, hash, out from, out to);
            }

            lastProbe = p;
            _produced++;
            for (var m = from + work.Match; m < to; m++)
            {
                Add(work, p, stored.Values.Address(m), stored.TimeAt(m), stored.DiffAt(m));
                if (_produced >= rowsMax)
                {
                    work.Probe = p;
                    work.Match = m + 1 - from;
                    return false;
                }
            }

            work.Match = 0;
        }

        return true;
    }

    // The rows where the hashes of the next probes begin, or any others where there are none. Each step brings into the cache what the next one reads, so that sixty-four waits are one: directory; hashes, and
    // ends of rows of variable width, of what the directory does not know to be none; keys, values, times and diffs.
    private static int Locate(Batch<TTime> probes, int from, Batch<TTime> stored, int* rows)
    {
        var to = Math.Min(probes.Count, from + ProbesAhead);
        var candidates = stackalloc int[ProbesAhead];
        var count = 0;
        ref readonly var directory = ref stored.Directory;
        for (var p = from; p < to && Sse.IsSupported; p++)
            Sse.Prefetch0(directory.Entries + directory.IndexOf(probes.Hashes[p]));
        for (var p = from; p < to; p++)
        {
            // Without a branch: nobody could foresee it.
            var mayHold = directory.MayHold(probes.Hashes[p]);
            rows[p - from] = stored.Count;
            candidates[count] = p;
            count += Unsafe.BitCast<bool, byte>(mayHold);
        }

        for (var c = 0; c < count && Sse.IsSupported; c++)
        {
            var row = (long)directory.RowAt(directory.IndexOf(probes.Hashes[candidates[c]]));
            Sse.Prefetch0(stored.Hashes + row);
            if (stored.Keys.Ends != null)
                Sse.Prefetch0(stored.Keys.Ends + row);
            if (stored.Values.Ends != null)
                Sse.Prefetch0(stored.Values.Ends + row);
        }

        for (var c = 0; c < count; c++)
        {
            var p = candidates[c];
            var row = stored.Seek(probes.Hashes[p]);
            rows[p - from] = row;
            if (!Sse.IsSupported || row >= stored.Count || stored.Hashes[row] != probes.Hashes[p])
                continue;
            if (stored.KeysStored)
                Sse.Prefetch0(stored.Keys.Address(row));
            Sse.Prefetch0(stored.Values.Address(row));
            if (stored.Times != null)
                Sse.Prefetch0(stored.Times + row);
            if (stored.Diffs != null)
                Sse.Prefetch0(stored.Diffs + row);
        }

        return to;
    }

    private static bool SameKey(Batch<TTime> probes, int a, int b) =>
        !probes.KeysStored || probes.KeyEquals(a, probes.Keys.Address(b), probes.Keys.Length(b));

    private static void FindAt(Batch<TTime> stored, int at, Batch<TTime> probes, int p, ulong hash, out int from, out int to)
    {
        from = at;
        to = at;
        if (at >= stored.Count || stored.Hashes[at] != hash)
            return;
        if (stored.KeysStored)
            stored.FindKey(hash, probes.Keys.Address(p), probes.Keys.Length(p), ref from, out to);
        else
            to = stored.EndOfHash(at);
    }

    private bool MatchRecent(MatchWork<TTime> work, Recent<TTime> recent, long rowsMax)
    {
        var probes = work.Probes;
        for (var p = work.Probe; p < probes.Count; p++)
        {
            _produced++;
            var skip = work.Match;
            var hash = probes.Hashes[p];
            for (var row = recent.First(hash, work.Stored.RecentCount); row >= 0; row = recent.Next(row))
            {
                if (probes.KeysStored && !recent.KeyEquals(row, probes.Keys.Address(p), probes.Keys.Length(p)))
                    continue;
                if (skip-- > 0)
                    continue;
                work.Match++;
                Add(work, p, recent.ValueAddress(row), recent.TimeAt(row), recent.DiffAt(row));
                if (_produced >= rowsMax)
                {
                    work.Probe = p;
                    return false;
                }
            }

            work.Match = 0;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add(MatchWork<TTime> work, int probe, byte* storedValue, TTime storedTime, long storedDiff)
    {
        var probes = work.Probes;
        var left = work.ProbesAreLeft;
        var probeTime = TTime.Join(probes.TimeAt(probe), left ? _probeFloor : _storedFloor);
        storedTime = TTime.Join(storedTime, left ? _storedFloor : _probeFloor);
        if (_times != MatchTimes.Any && (!TTime.LessEqual(storedTime, probeTime) || (_times == MatchTimes.Before && storedTime.Equals(probeTime))))
            return;
        var time = TTime.Join(probeTime, storedTime);
        var diff = checked(probes.DiffAt(probe) * storedDiff);
        var n = _pending;
        var parts = _call.Io.Parts;
        if (probes.KeysStored)
        {
            parts[0][n] = (nint)probes.Keys.Address(probe);
        }
        else
        {
            _keys[n] = RowHash.Unmix(probes.Hashes[probe]);
            parts[0][n] = (nint)(_keys + n);
        }

        var probeValue = (nint)probes.Values.Address(probe);
        parts[1][n] = left ? probeValue : (nint)storedValue;
        parts[2][n] = left ? (nint)storedValue : probeValue;
        if (n == 0)
            _uniform = true;
        else
            _uniform = _uniform && time.Equals(_matchTimes[0]) && diff == _matchDiffs[0];
        _matchTimes[n] = time;
        _matchDiffs[n] = diff;
        _produced++;
        _pending = n + 1;
        if (n + 1 == KernelIo.Capacity)
            Invoke();
    }

    private void Invoke()
    {
        if (_pending == 0)
            return;
        var io = _call.Io;
        _call.Invoke(_pending);
        _pending = 0;
        Commit(_rows, io.Selected, io.Emitted);
        Commit(_errorRows, io.ErrorSelected, io.ErrorsEmitted);
        if (_rows.Count >= FlushRows)
            _ok.Send(_rows.Build());
        if (_errorRows.Count >= FlushRows)
            _errors.Send(_errorRows.Build());
    }

    private void Commit(BatchBuilder<TTime> builder, int* selected, int count)
    {
        if (_uniform)
        {
            builder.AddMany(count, _matchTimes[0], _matchDiffs[0]);
            return;
        }

        for (var j = 0; j < count; j++)
            builder.Add(_matchTimes[selected[j]], _matchDiffs[selected[j]]);
    }
}
