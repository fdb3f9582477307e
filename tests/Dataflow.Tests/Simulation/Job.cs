using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>A step that all workers take in one order, each in its time.</summary>
internal enum CommandKind
{
    Build,

    /// <summary>A round of updates, each worker its share; then maybe the end of the round's times.</summary>
    Feed,

    /// <summary>What is kept may forget times before.</summary>
    Compact,

    /// <summary>A read of what is kept, at a time.</summary>
    Peek,

    Close,

    Drop,
}

internal readonly record struct Command(CommandKind Kind, int Job, int Round = 0, ulong Time = 0);

/// <summary>A read of an arrangement: each worker adds its part once its part is complete.</summary>
internal sealed class Peek(ulong time, int workers)
{
    public ulong Time => time;

    public Bag Rows { get; } = [];

    public TraceHandle<Time>?[] Waiting { get; } = new TraceHandle<Time>?[workers];

    public int Answers { get; set; }
}

/// <summary>
/// One of the dataflows of a simulation: a random plan over an input of its own, or over what another keeps, from an as-of on. Its result is captured and kept in an arrangement.
/// </summary>
internal sealed class Job
{
    private readonly RandomPlan _plan;
    private readonly PairRows _rows;
    private readonly int _workers;
    private readonly Probe<Time>?[] _probes;
    private readonly Dictionary<ulong, Bag> _expected = [];
    private ulong _checkedTo;
    private bool _checkedEnd;

    public Job(int id, RandomPlan plan, PairRows rows, int workers, Job? source)
    {
        (Id, _plan, _rows, _workers, Source) = (id, plan, rows, workers, source);
        Handles = new InputHandle<Time>?[workers];
        Traces = new TraceHandle<Time>?[workers];
        Graphs = new DataflowGraph?[workers];
        _probes = new Probe<Time>?[workers];
    }

    public int Id { get; }

    /// <summary>Whose arrangement it imports; null: it has an input.</summary>
    public Job? Source { get; }

    /// <summary>The first time that it shows.</summary>
    public ulong AsOf { get; set; }

    public Script? Script { get; set; }

    public List<(List<(ulong A, ulong B, ulong Time, long Diff)> Updates, ulong? AdvanceTo)> Rounds { get; } = [];

    /// <summary>All updates are before this.</summary>
    public ulong End => Source?.End ?? _end;

    public bool IsDropped { get; set; }

    public Captured Output { get; } = new();

    public InputHandle<Time>?[] Handles { get; }

    public TraceHandle<Time>?[] Traces { get; }

    public DataflowGraph?[] Graphs { get; }

    /// <summary>The holds with which each operator's copies begin.</summary>
    public Stamp[]? InitialHolds { get; private set; }

    public List<Peek> Peeks { get; } = [];

    private ulong _end;

    public string Text => Source is null ? _plan.Text : $"{_plan.Text} of {Source.Id} as of {AsOf}";

    /// <summary>Random rounds; some are at the times of the round before.</summary>
    public void MakeRounds(Random random, int seed)
    {
        Script = new Script(seed, 1 + random.Next(10), 1 + random.Next(16));
        var time = 0UL;
        var count = 1 + random.Next(4);
        for (var round = 0; round < count; round++)
        {
            var spread = 1 + random.Next(3);
            var updates = Script.Round(time, random.Next(round == 0 ? 40 : 12), spread, deletes: random.Next(2) == 0 ? 0.45 : 0.6);
            ulong? next = null;
            if (round == count - 1 || random.Next(4) > 0)
                next = time += (ulong)spread + (ulong)random.Next(2);
            Rounds.Add((updates, next));
        }

        _end = time;
    }

    public void Build(Worker worker)
    {
        var w = worker.Index;
        var graph = worker.BuildDataflow($"job {Id}", scope =>
        {
            Stream<Time> input;
            if (Source is { } source)
                input = scope.Import("import", source.Traces[w]!, AsOf).AsStream("rows", Kernels.Pair(_plan.Key, _plan.Key, _rows), _rows.Shape).Ok;
            else
                (Handles[w], input) = scope.NewInput("input", _rows.Shape, 0);
            var result = _plan.Build(input);
            Output.Attach(result, _rows, w);
            _probes[w] = result.Probe();
            Traces[w] = result.Arrange("kept", Kernels.Split(_rows, _plan.Key, _plan.Key), _plan.Key.Shape, _plan.Key.Shape).Arranged.Trace();
            Traces[w]!.AdvanceSince(AsOf);
        });
        Graphs[w] = graph;
        Stamp[] holds = [.. graph.Operators.Select(op => op.Hold ?? Stamp.Closed)];
        if (InitialHolds is { } first && !first.SequenceEqual(holds))
            throw new ViolationException($"worker {w} begins dataflow {graph.Id} with other holds than others");
        InitialHolds = holds;
    }

    public void Feed(int worker, int round)
    {
        var (updates, advance) = Rounds[round];
        var handle = Handles[worker]!;
        for (var i = worker; i < updates.Count; i += _workers)
            handle.Send(_rows.Encode(updates[i].A, updates[i].B), updates[i].Time, updates[i].Diff);
        if (advance is { } to)
            handle.AdvanceTo(to);
        else
            handle.Flush();
    }

    /// <summary>Answers what peeks can be answered at this worker.</summary>
    public bool AnswerPeeks(int worker)
    {
        var any = false;
        foreach (var peek in Peeks)
        {
            if (peek.Waiting[worker] is not { } trace || !trace.Upper.HasPassed(peek.Time))
                continue;
            using (var cursor = trace.OpenCursor(peek.Time))
            {
                while (cursor.NextRow())
                    peek.Rows.Add((_plan.Key.Decode(cursor.Key), _plan.Key.Decode(cursor.Value)), cursor.Diff, 0);
            }

            trace.Dispose();
            peek.Waiting[worker] = null;
            any = true;
            if (++peek.Answers == _workers)
                Expected(peek.Time).MustEqual(peek.Rows, $"{Text} kept at {peek.Time}");
        }

        return any;
    }

    /// <summary>Where a probe at any worker, or what came out at each of them, says that a time is complete, it must have come out right, of all workers.</summary>
    public void CheckOutput()
    {
        var most = Output.Frontiers.Count == _workers ? Output.Frontier : Frontier<Time>.At(0);
        foreach (var probe in _probes)
        {
            if (probe is not null && most.CompareTo(probe.Frontier) < 0)
                most = probe.Frontier;
        }

        for (_checkedTo = Math.Max(_checkedTo, AsOf); _checkedTo < End && most.HasPassed(_checkedTo); _checkedTo++)
            Expected(_checkedTo).MustEqual(Output.At(_checkedTo), $"{Text} at {_checkedTo}");
        if (most.IsClosed && !_checkedEnd)
        {
            _checkedEnd = true;
            Expected(ulong.MaxValue).MustEqual(Output.At(ulong.MaxValue), $"{Text} at the end");
        }
    }

    public bool IsComplete => IsDropped || (Output.Frontiers.Count == _workers && Output.Frontier.IsClosed && Peeks.TrueForAll(p => p.Answers == _workers));

    /// <summary>Lets go of what a worker has; its dataflow was dropped.</summary>
    public void Free(int worker)
    {
        Handles[worker]?.Dispose();
        Handles[worker] = null;
        Traces[worker]?.Dispose();
        Traces[worker] = null;
        foreach (var peek in Peeks)
        {
            peek.Waiting[worker]?.Dispose();
            peek.Waiting[worker] = null;
        }
    }

    private Bag Expected(ulong time)
    {
        if (!_expected.TryGetValue(time, out var bag))
            _expected.Add(time, bag = _plan.Evaluate(Source?.Expected(time) ?? Bag.At(Script!.Updates, time)));
        return bag;
    }
}
