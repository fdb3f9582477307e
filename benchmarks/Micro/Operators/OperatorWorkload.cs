using System.Runtime.InteropServices;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro.Operators;

/// <summary>
/// operator-NAME N B R: loads N rows at one time; then R rounds of B inserts and B deletes of the oldest, spread over the inputs that change, and <see cref="SinglesPerRound"/> times R of one update.
/// </summary>
internal sealed class OperatorWorkload(OperatorBenchmark benchmark, long[] sizes) : Workload
{
    public const int SinglesPerRound = 5;
    private const int ColumnsMax = 64;
    private readonly Feed[] _feeds = [.. benchmark.Inputs.Select((input, i) => new Feed(input, sizes[0], 42 + (ulong)i))];
    private readonly List<Feed> _changing = [];
    private DataflowGraph? _earlier;
    private TraceHandle<Time>? _import;
    private TraceHandle<Time>? _trace;
    private ReadColumns? _read;
    private Check _check;
    private long _single;

    public override long LoadRows => _feeds.Sum(f => f.Live);

    public override int Rounds => (int)sizes[2];

    public override long UpdatesPerRound => 2 * sizes[1];

    public override int SingleRounds => SinglesPerRound * Rounds;

    private ulong LastTime => (ulong)(Rounds + SingleRounds);

    public override void Prepare()
    {
        _changing.AddRange(_feeds.Where(f => f.Input.Changes));
        if (!benchmark.Imports)
            return;
        if (Shares > 1)
            throw new NotSupportedException("an import is measured with one worker");
        _earlier = Worker.BuildDataflow("earlier", scope =>
        {
            var rows = _feeds[0].Open(scope);
            var arranged = rows.Arrange("by key", ColumnKernels.PairSplit, OperatorRows.Number, OperatorRows.Number).Arranged;
            _import = arranged.Trace();
            Probe = arranged.AsStream("nothing", io => io.Emitted = 0, OperatorRows.Number).Ok.Probe();
        });
        LoadFeed(_feeds[0]);
        Complete(0);
        Worker.StepWhileBusy();
    }

    public override void Build(Scope<Time> scope)
    {
        var imported = _import is null ? null : scope.Import("import", _import, 0);
        var inputs = imported is null ? _feeds.Select(f => f.Open(scope)).ToArray() : [];
        var output = benchmark.Build(new OperatorGraph(scope, inputs, imported, LastTime));
        _read = output.Read;
        if (output.Arranged is { } arranged)
        {
            _trace = arranged.Trace();
            Probe = arranged.AsStream("nothing", io => io.Emitted = 0, OperatorRows.Number).Ok.Probe();
            return;
        }

        Probe = output.Rows!.ForEach("see", See).Probe();
    }

    public override void Load()
    {
        if (benchmark.Imports)
            return;
        foreach (var feed in _feeds)
            LoadFeed(feed);
    }

    public override void Round(ulong time)
    {
        for (var i = 0L; i < sizes[1]; i++)
        {
            var feed = _changing[(int)(i % _changing.Count)];
            Change(feed, i, time, insert: true);
            Change(feed, i, time, insert: false);
        }

        Advance(time + 1);
    }

    public override void SingleRound(ulong time)
    {
        // Each input in turn gets a row and loses one.
        var (turn, kind) = Math.DivRem(_single++, 2);
        Change(_changing[(int)(turn % _changing.Count)], turn, time, insert: kind == 0);
        Advance(time + 1);
    }

    public override Check Final()
    {
        if (_trace is not { } trace)
            return _check;
        var check = default(Check);
        var row = new byte[ColumnsMax * sizeof(ulong)];
        using var cursor = trace.OpenCursor(LastTime);
        while (cursor.NextRow())
        {
            cursor.Key.CopyTo(row);
            cursor.Value.CopyTo(row.AsSpan(cursor.Key.Length));
            check.Add(cursor.Diff, Columns(row.AsSpan(0, cursor.Key.Length + cursor.Value.Length), []));
        }

        return check;
    }

    public override Check Plain() => benchmark.Plain(new PlainRows([.. _feeds.Select(f => f.Rows())], LastTime));

    public override void Close()
    {
        _trace?.Dispose();
        _import?.Dispose();
        foreach (var feed in _feeds)
            feed.Handle.Dispose();
        _earlier?.Drop();
    }

    private void LoadFeed(Feed feed)
    {
        for (var i = 0L; i < feed.Live; i++)
        {
            Change(feed, i, 0, insert: true);
            Breathe(i);
        }

        feed.Handle.AdvanceTo(1);
    }

    private void Change(Feed feed, long number, ulong time, bool insert)
    {
        var (key, value) = insert ? feed.NextInsert() : feed.NextDelete();
        if (!IsMine(number))
            return;
        feed.Input.Write(feed.Handle.Rows, key, value);
        feed.Handle.Commit(time, insert ? 1 : -1);
    }

    private void Advance(ulong time)
    {
        foreach (var feed in _feeds)
            feed.Handle.AdvanceTo(time);
        _trace?.AdvanceSince(time - 1);
        _import?.AdvanceSince(time - 1);
    }

    private void See(UpdateBatch<Time> batch)
    {
        Span<ulong> columns = stackalloc ulong[ColumnsMax];
        for (var i = 0; i < batch.Count; i++)
        {
            // What is already known of later times is not of this view.
            if (batch.TimeAt(i).Value <= LastTime)
                _check.Add(batch.DiffAt(i), Columns(batch[i], columns));
        }
    }

    private ReadOnlySpan<ulong> Columns(ReadOnlySpan<byte> row, Span<ulong> columns) =>
        _read is null ? MemoryMarshal.Cast<byte, ulong>(row) : columns[.._read(row, columns)];

    /// <summary>An input, and where its rows stand. Every worker draws all of them.</summary>
    private sealed class Feed(OperatorInput input, long rows, ulong seed)
    {
        private readonly ulong _keys = (ulong)Math.Max(1, input.Keys(rows));
        private Rng _inserts = new(seed);
        private Rng _deletes = new(seed);
        private long _inserted;
        private long _deleted;

        public OperatorInput Input => input;

        public InputHandle<Time> Handle { get; private set; } = null!;

        /// <summary>Rows of the load.</summary>
        public long Live { get; } = Math.Max(1, input.Rows(rows));

        public Stream<Time> Open(Scope<Time> scope)
        {
            (Handle, var stream) = scope.NewInput("input", input.Shape, 0);
            return stream;
        }

        public (ulong Key, ulong Value) NextInsert()
        {
            _inserted++;
            return Draw(ref _inserts);
        }

        public (ulong Key, ulong Value) NextDelete()
        {
            _deleted++;
            return Draw(ref _deletes);
        }

        /// <summary>Those that are there now.</summary>
        public List<(ulong Key, ulong Value)> Rows()
        {
            var rng = _deletes;
            return [.. Enumerable.Range(0, (int)(_inserted - _deleted)).Select(_ => Draw(ref rng))];
        }

        private (ulong Key, ulong Value) Draw(ref Rng rng)
        {
            var key = rng.Below(_keys);
            return (key, input.Value(rng.Next(), rows));
        }
    }
}
