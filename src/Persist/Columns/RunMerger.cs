using Materialize.Repr;

namespace Materialize.Persist.Columns;

/// <summary>
/// Merges sorted runs into one, consolidating. A run is a stream of parts, of which one at a time is in memory: memory is bounded by the number
/// of runs times the size of a part.
/// </summary>
/// <param name="runs">Each in <see cref="RowOrder"/> over all its parts, with times already as they shall be.</param>
/// <param name="targetBytes">About how large the columns that come out are.</param>
internal sealed class RunMerger(IReadOnlyList<IAsyncEnumerable<UpdateColumns>> runs, long targetBytes)
{
    private readonly PriorityQueue<Cursor, Position> _heap = new(PositionOrder.Instance);
    private UpdateColumnsBuilder _out = new();
    private Position? _pending;
    private long _pendingDiff;
    private Position? _emitted;

    /// <summary>The greatest time that came out so far.</summary>
    public Timestamp MaxTime { get; private set; } = Timestamp.MinValue;

    /// <summary>How many updates came out so far, and how many of them have the row of the one before: those may cancel once times are raised.</summary>
    public (long Updates, long SameRow) Counts { get; private set; }

    /// <summary>The merged run, in pieces. Together they are sorted and consolidated. To be enumerated once.</summary>
    public async IAsyncEnumerable<UpdateColumns> MergeAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        var opened = new List<Cursor>();
        try
        {
            foreach (var run in runs)
            {
                var cursor = new Cursor(run.GetAsyncEnumerator(cancel));
                opened.Add(cursor);
                if (await cursor.LoadAsync())
                    _heap.Enqueue(cursor, cursor.At);
            }

            while (_heap.Count > 0)
            {
                if (Step() is { } drained && await drained.LoadAsync())
                    _heap.Enqueue(drained, drained.At);
                if (_out.SizeBytes >= targetBytes)
                    yield return _out.Build();
            }

            Emit();
            if (_out.Count > 0)
                yield return _out.Build();
        }
        finally
        {
            foreach (var cursor in opened)
                await cursor.DisposeAsync();
        }
    }

    /// <summary>Merges until a part is used up, whose cursor is returned, out of the heap; or until the output is full (null).</summary>
    private Cursor? Step()
    {
        while (_heap.TryDequeue(out var cursor, out var at))
        {
            if (_pending is { } pending && PositionOrder.Instance.Compare(pending, at) == 0)
            {
                _pendingDiff = checked(_pendingDiff + at.Diff);
            }
            else
            {
                Emit();
                _pending = at;
                _pendingDiff = at.Diff;
            }

            if (!cursor.Advance())
                return cursor;
            _heap.Enqueue(cursor, cursor.At);
            if (_out.SizeBytes >= targetBytes)
                return null;
        }

        return null;
    }

    private void Emit()
    {
        if (_pending is { } pending && _pendingDiff != 0)
        {
            _out.Add(pending.Updates.Row(pending.Index), pending.Time, _pendingDiff);
            var sameRow = _emitted is { } before && before.Hash == pending.Hash
                && before.Updates.Row(before.Index).SequenceEqual(pending.Updates.Row(pending.Index));
            Counts = (Counts.Updates + 1, Counts.SameRow + (sameRow ? 1 : 0));
            MaxTime = Timestamp.Join(MaxTime, pending.Time);
            _emitted = pending;
        }

        _pending = null;
    }

    private readonly record struct Position(ulong Hash, UpdateColumns Updates, int Index)
    {
        public Timestamp Time => Updates.Times[Index];

        public long Diff => Updates.Diffs[Index];
    }

    private sealed class PositionOrder : IComparer<Position>
    {
        public static readonly PositionOrder Instance = new();

        public int Compare(Position a, Position b)
        {
            if (a.Hash != b.Hash)
                return a.Hash < b.Hash ? -1 : 1;
            var byRow = a.Updates.Row(a.Index).SequenceCompareTo(b.Updates.Row(b.Index));
            return byRow != 0 ? byRow : a.Time.CompareTo(b.Time);
        }
    }

    private sealed class Cursor(IAsyncEnumerator<UpdateColumns> parts) : IAsyncDisposable
    {
        private UpdateColumns _updates = UpdateColumns.Empty;
        private ulong[] _hashes = [];
        private int _index;

        public Position At => new(_hashes[_index], _updates, _index);

        public bool Advance() => ++_index < _hashes.Length;

        public async ValueTask<bool> LoadAsync()
        {
            while (await parts.MoveNextAsync())
            {
                if (parts.Current.IsEmpty)
                    continue;
                _updates = parts.Current;
                _hashes = RowOrder.Hashes(_updates);
                _index = 0;
                return true;
            }

            return false;
        }

        public ValueTask DisposeAsync() => parts.DisposeAsync();
    }
}
