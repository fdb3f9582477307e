using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Materialize.Core.Memory;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Reads one key's values with their accumulated multiplicities, in value order: a k-way walk over the key's rows in each batch, and its rows in Recent sorted on the spot. Reused for key after key.
/// </summary>
/// <remarks>Work: a seek in each batch, then O(values read); stopping early costs nothing more. Addresses are valid until the next key or the release of the sources.</remarks>
internal sealed unsafe class GroupReader<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private struct Run
    {
        public Batch<TTime>? Batch; // null: rows of Recent, listed in _recentRows
        public int Position;
        public int End;
        public bool Filtered;       // whether times must be at or before the limit
        public byte* Value;
        public int Length;
        public ulong Word;
    }

    private Run[] _runs = new Run[8];
    private int _runCount;
    private Run[] _marked = [];
    private int _markedCount;
    private Recent<TTime>? _recent;
    private const int FewRows = 16;
    private const int SkipMax = 64;
    private ulong[] _recentWords = [];
    private int[] _recentRows = new int[16];
    private int _recentCount;
    private bool _hasLimit;
    private TTime _limit;
    private TTime _floor;
    private bool _strict;
    private byte* _after;      // values at or before it are passed over; null: none
    private int _afterLength;

    /// <summary>
    /// Brings into the cache what reading keys of <paramref name="probes"/> after <paramref name="row"/> will need of a snapshot: directory entries of keys sixteen rows ahead, rows of those eight ahead.
    /// </summary>
    public static void Prefetch(Batch<TTime> probes, int row, Snapshot<TTime> snapshot)
    {
        if (!Sse.IsSupported || row + 16 >= probes.Count)
            return;
        var far = probes.Hashes[row + 16];
        var near = probes.Hashes[row + 8];
        foreach (var batch in snapshot.Batches)
        {
            Sse.Prefetch0(batch.Directory.Entries + batch.Directory.IndexOf(far));
            if (!batch.Directory.MayHold(near))
                continue;
            var at = batch.Directory.RowAt(batch.Directory.IndexOf(near));
            Sse.Prefetch0(batch.Hashes + at);
            if (batch.Values.IsFixed)
                Sse.Prefetch0(batch.Values.Data + ((long)at * batch.Values.Shape.Width));
        }
    }

    /// <summary>Rows that the sources have yet to give, at most.</summary>
    public long Rows
    {
        get
        {
            var rows = 0L;
            for (var r = 0; r < _runCount; r++)
                rows += _runs[r].End - _runs[r].Position;
            return rows;
        }
    }

    /// <summary>Begins a key with no sources.</summary>
    public void Start()
    {
        _after = null;
        _runCount = 0;
        _recentCount = 0;
        _hasLimit = false;
    }

    /// <summary>Updates of sources added as filtered count only at times at or before <paramref name="limit"/> (before it, if <paramref name="strict"/>).</summary>
    /// <param name="floor">Times of filtered sources are joined with it before they are compared.</param>
    public void Limit(TTime limit, bool strict, TTime floor)
    {
        _floor = floor;
        _hasLimit = true;
        _limit = limit;
        _strict = strict;
    }

    /// <summary>Sources added from now on are read only after a value, which lies still until the next key. Work: O(log) in each batch, not O(values passed over).</summary>
    public void After(byte* value, int length)
    {
        _after = value;
        _afterLength = length;
    }

    /// <summary>Remembers the sources added so far and where they stand.</summary>
    public void Mark()
    {
        if (_marked.Length < _runCount)
            _marked = new Run[_runs.Length];
        Array.Copy(_runs, _marked, _runCount);
        _markedCount = _runCount;
    }

    /// <summary>Back to <see cref="Mark"/>: the same values again, without seeking them again.</summary>
    public void Rewind()
    {
        Array.Copy(_marked, _runs, _markedCount);
        _runCount = _markedCount;
        _hasLimit = false;
    }

    /// <summary>Adds the key's rows in a snapshot.</summary>
    public void Add(Snapshot<TTime> snapshot, ulong hash, byte* key, int keyLength, bool filtered)
    {
        snapshot.Trace.NoteLookups(1);
        foreach (var batch in snapshot.Batches)
            Add(batch, hash, key, keyLength, filtered);
        if (snapshot.Recent is not { } recent)
            return;
        _recent = recent;
        for (var row = recent.First(hash, snapshot.RecentCount); row >= 0; row = recent.Next(row))
        {
            if (!recent.KeyEquals(row, key, keyLength) || (filtered && !Sees(recent.TimeAt(row))))
                continue;
            if (_after != null && BytesVariable.Compare(recent.ValueAddress(row), recent.ValueLength(row), _after, _afterLength) <= 0)
                continue;
            if (_recentCount == _recentRows.Length)
                Array.Resize(ref _recentRows, _recentCount * 2);
            _recentRows[_recentCount++] = row;
        }

        if (_recentCount == 0)
            return;
        snapshot.Trace.NoteRecentRead(_recentCount);
        SortRecent(0, _recentCount, 0);
        Push(new Run { Position = 0, End = _recentCount });
    }

    /// <summary>Adds the key's rows in a batch.</summary>
    public void Add(Batch<TTime> batch, ulong hash, byte* key, int keyLength, bool filtered)
    {
        if (batch.Find(hash, key, keyLength, out var from, out var to))
            Add(batch, from, to, filtered);
    }

    /// <summary>Adds rows [from, to) of one key.</summary>
    public void Add(Batch<TTime> batch, int from, int to, bool filtered)
    {
        if (_after != null)
            from = PastAfter(batch, from, to);
        if (from < to)
            Push(new Run { Batch = batch, Position = from, End = to, Filtered = filtered });
    }

    /// <summary>The next value with a multiplicity other than zero; false at the end.</summary>
    public bool Next(out byte* value, out int length, out long diff)
    {
        while (_runCount > 0)
        {
            var best = 0;
            for (var r = 1; r < _runCount; r++)
            {
                if (Compare(ref _runs[r], ref _runs[best]) < 0)
                    best = r;
            }

            value = _runs[best].Value;
            length = _runs[best].Length;
            var word = _runs[best].Word;
            diff = 0;
            for (var r = 0; r < _runCount; r++)
            {
                ref var run = ref _runs[r];
                var ended = false;
                while (run.Word == word && run.Length == length && Same(run.Value, value, length))
                {
                    diff += DiffOf(ref run);
                    run.Position++;
                    if (!Load(ref run))
                    {
                        ended = true;
                        break;
                    }
                }

                if (ended)
                {
                    _runs[r] = _runs[--_runCount];
                    r--;
                }
            }

            if (diff != 0)
                return true;
        }

        value = null;
        length = 0;
        diff = 0;
        return false;
    }

    public void Dispose() => _recent = null;

    private int PastAfter(Batch<TTime> batch, int from, int to)
    {
        while (from < to)
        {
            var middle = from + ((to - from) >> 1);
            if (BytesVariable.Compare(batch.Values.Address(middle), batch.Values.Length(middle), _after, _afterLength) <= 0)
                from = middle + 1;
            else
                to = middle;
        }

        return from;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Sees(TTime time)
    {
        if (!_hasLimit)
            return true;
        time = TTime.Join(time, _floor);
        return TTime.LessEqual(time, _limit) && !(_strict && time.Equals(_limit));
    }

    private void Push(Run run)
    {
        if (_runCount == _runs.Length)
            Array.Resize(ref _runs, _runCount * 2);
        _runs[_runCount] = run;
        if (Load(ref _runs[_runCount]))
            _runCount++;
    }

    // Stands the run on its next visible row.
    private bool Load(ref Run run)
    {
        if (run.Batch is not { } batch)
        {
            if (run.Position >= run.End)
                return false;
            var row = _recentRows[run.Position];
            run.Value = _recent!.ValueAddress(row);
            run.Length = _recent.ValueLength(row);
            run.Word = BytesVariable.Word(run.Value, run.Length);
            return true;
        }

        while (run.Filtered && run.Position < run.End && !Sees(batch.TimeAt(run.Position)))
            run.Position++;
        if (run.Position >= run.End)
            return false;
        run.Value = batch.Values.Address(run.Position);
        run.Length = batch.Values.Length(run.Position);
        run.Word = BytesVariable.Word(run.Value, run.Length);
        return true;
    }

    private long DiffOf(ref Run run) => run.Batch is { } batch ? batch.DiffAt(run.Position) : _recent!.DiffAt(_recentRows[run.Position]);

    private static bool Same(byte* a, byte* b, int length) =>
        a == b || length <= 8 || BytesVariable.Compare(a, length, b, length) == 0; // words are equal

    private static int Compare(ref Run a, ref Run b) => a.Word != b.Word
        ? (a.Word < b.Word ? -1 : 1)
        : BytesVariable.Compare(a.Value, a.Length, b.Value, b.Length);

    // By eight bytes of the values after another: those are equal up to there.
    private void SortRecent(int from, int to, int skip)
    {
        var rows = _recentRows.AsSpan(from, to - from);
        var recent = _recent!;
        if (rows.Length <= FewRows)
        {
            SortFew(rows, recent);
            return;
        }

        if (skip >= SkipMax)
        {
            SortAlike(rows, recent);
            return;
        }

        if (_recentWords.Length < _recentCount)
            _recentWords = new ulong[_recentRows.Length];
        var words = _recentWords.AsSpan(from, to - from);
        for (var i = 0; i < rows.Length; i++)
        {
            var length = recent.ValueLength(rows[i]);
            words[i] = length <= skip ? 0 : BytesVariable.Word(recent.ValueAddress(rows[i]) + skip, length - skip);
        }

        words.Sort(rows);
        for (int i = from, end; i < to; i = end)
        {
            end = i + 1;
            while (end < to && _recentWords[end] == _recentWords[i])
                end++;
            if (end > i + 1)
                SortRecent(i, end, skip + sizeof(ulong));
        }
    }

    private static void SortAlike(Span<int> rows, Recent<TTime> recent) =>
        rows.Sort((a, b) => BytesVariable.Compare(recent.ValueAddress(a), recent.ValueLength(a), recent.ValueAddress(b), recent.ValueLength(b)));

    // Those of a usual group: without a delegate.
    private static void SortFew(Span<int> rows, Recent<TTime> recent)
    {
        for (var i = 1; i < rows.Length; i++)
        {
            var moved = rows[i];
            var j = i;
            for (; j > 0 && BytesVariable.Compare(recent.ValueAddress(rows[j - 1]), recent.ValueLength(rows[j - 1]), recent.ValueAddress(moved), recent.ValueLength(moved)) > 0; j--)
                rows[j] = rows[j - 1];
            rows[j] = moved;
        }
    }
}
