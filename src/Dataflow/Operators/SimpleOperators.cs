using Materialize.Core.Hashing;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>The sum of collections: passes batches on untouched.</summary>
internal sealed class ConcatOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<UpdateBatch<TTime>>[] _ports;
    private readonly OutputPort<UpdateBatch<TTime>> _output;

    private ConcatOperator(Stream<TTime> first, ReadOnlySpan<Stream<TTime>> others)
        : base(first.Scope.Graph, "concat")
    {
        _ports = new InputPort<UpdateBatch<TTime>>[others.Length + 1];
        _ports[0] = this.NewInput(first);
        for (var i = 0; i < others.Length; i++)
        {
            if (others[i].Shape != first.Shape)
                throw new ArgumentException($"cannot add rows of {others[i].Shape} to rows of {first.Shape}", nameof(others));
            _ports[i + 1] = this.NewInput(others[i]);
        }

        _output = new OutputPort<UpdateBatch<TTime>>(this);
    }

    public override bool FollowsFrontier => false;

    public static Stream<TTime> Build(Stream<TTime> first, ReadOnlySpan<Stream<TTime>> others) =>
        others.IsEmpty ? first : new Stream<TTime>(first.Scope, new ConcatOperator<TTime>(first, others)._output, first.Shape);

    public override void Run()
    {
        foreach (var port in _ports)
        {
            while (port.TryTake(out var batch))
                _output.Send(batch);
        }
    }
}

/// <summary>Opposite diffs; rows and times are moved over without a copy where nobody else has the batch.</summary>
internal sealed unsafe class NegateOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly BatchBuilder<TTime> _copy;

    private NegateOperator(Stream<TTime> source)
        : base(source.Scope.Graph, "negate")
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _copy = new BatchBuilder<TTime>(source.Shape);
    }

    public override bool FollowsFrontier => false;

    public static Stream<TTime> Build(Stream<TTime> source) =>
        new(source.Scope, new NegateOperator<TTime>(source)._output, source.Shape);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            if (batch.IsUnique)
            {
                if (batch.Diffs == null)
                    batch.UniformDiff = -batch.UniformDiff;
                for (var i = 0; batch.Diffs != null && i < batch.Count; i++)
                    batch.Diffs[i] = -batch.Diffs[i];
                _output.Send(batch);
                continue;
            }

            _copy.Rows.AppendRange(batch.Rows, 0, batch.Count);
            for (var i = 0; i < batch.Count; i++)
                _copy.Add(batch.TimeAt(i), -batch.DiffAt(i));
            _output.Send(_copy.Build());
            batch.Release();
        }
    }

    protected override void MeasureState(StateMeter meter) => _copy.Measure(meter);

    public override void Dispose() => _copy.Dispose();
}

/// <summary>Times joined with a fixed one.</summary>
internal sealed class AdvanceOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly BatchBuilder<TTime> _copy;
    private readonly TTime _asOf;

    private AdvanceOperator(Stream<TTime> source, TTime asOf)
        : base(source.Scope.Graph, "advance")
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _copy = new BatchBuilder<TTime>(source.Shape);
        _asOf = asOf;
    }

    public override bool FollowsFrontier => false;

    public static Stream<TTime> Build(Stream<TTime> source, TTime asOf) =>
        new(source.Scope, new AdvanceOperator<TTime>(source, asOf)._output, source.Shape);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            if (TTime.LessEqual(_asOf, batch.MinTime))
            {
                _output.Send(batch);
                continue;
            }

            _copy.Rows.AppendRange(batch.Rows, 0, batch.Count);
            for (var i = 0; i < batch.Count; i++)
                _copy.Add(TTime.Join(batch.TimeAt(i), _asOf), batch.DiffAt(i));
            _output.Send(_copy.Build());
            batch.Release();
        }
    }

    protected override void MeasureState(StateMeter meter) => _copy.Measure(meter);

    public override void Dispose() => _copy.Dispose();
}

/// <summary>Rows to the worker that a hash, what was sent before, or the caller chooses. Shape and time: unchanged.</summary>
internal sealed unsafe class ExchangeOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int ToEvery = -1;
    private const int ByHashOf = -2;
    private const int ByLoad = -3;
    private const int FlushRows = 8192;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly int _target;
    private readonly BatchBuilder<TTime>[] _builders;
    private readonly RowWriter? _keys;
    private readonly RowWriter? _errors;
    private readonly KernelCall? _call;
    private readonly long[] _given; // rows, by worker, while they go to who has been given least

    private ExchangeOperator(Stream<TTime> source, int target, RowKernel? key, RowShape keyShape)
        : base(source.Scope.Graph, "exchange")
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _target = target;
        _given = new long[target == ByLoad ? Graph.Worker.Peers : 0];
        _builders = new BatchBuilder<TTime>[target == ByHashOf ? Graph.Worker.Peers : 0];
        for (var w = 0; w < _builders.Length; w++)
            _builders[w] = new BatchBuilder<TTime>(source.Shape);
        if (key is not null)
        {
            _keys = new RowWriter(keyShape);
            _errors = new RowWriter(RowShape.Variable);
            _call = new KernelCall(Graph.Worker.Scratch, key, 1, [_keys], _errors);
        }
    }

    public override bool FollowsFrontier => false;

    public override bool ReachesPeers => true;

    public static Stream<TTime> ByHash(Stream<TTime> source, RowKernel? key, RowShape keyShape) =>
        source.Scope.Worker.Peers == 1 ? source : Build(source, ByHashOf, key, keyShape);

    public static Stream<TTime> ToLeastLoaded(Stream<TTime> source) =>
        source.Scope.Worker.Peers == 1 ? source : Build(source, ByLoad, null, default);

    public static Stream<TTime> ToWorker(Stream<TTime> source, int worker) => Build(source, worker, null, default);

    public static Stream<TTime> ToAll(Stream<TTime> source) => Build(source, ToEvery, null, default);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            if (_target >= 0)
            {
                _output.SendTo(_target, batch);
                continue;
            }

            if (_target == ByLoad)
            {
                var least = LeastGiven();
                _given[least] += batch.Count;
                _output.SendTo(least, batch);
                continue;
            }

            if (_target == ToEvery)
            {
                for (var w = 1; w < Graph.Worker.Peers; w++)
                    batch.AddReference();
                for (var w = 0; w < Graph.Worker.Peers; w++)
                    _output.SendTo(w, batch);
                continue;
            }

            Route(batch);
            batch.Release();
        }

        for (var w = 0; w < _builders.Length; w++)
            _output.SendTo(w, _builders[w].Build());
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var builder in _builders)
            builder.Measure(meter);
        meter.Writer(_keys);
        meter.Writer(_errors);
    }

    public override void Dispose()
    {
        foreach (var builder in _builders)
            builder.Dispose();
        _keys?.Dispose();
        _errors?.Dispose();
    }

    private static Stream<TTime> Build(Stream<TTime> source, int target, RowKernel? key, RowShape keyShape) =>
        new(source.Scope, new ExchangeOperator<TTime>(source, target, key, keyShape)._output, source.Shape);

    // Of equals, this worker first: what is in no need of it does not travel.
    private int LeastGiven()
    {
        var least = Graph.Worker.Index;
        for (var worker = 0; worker < _given.Length; worker++)
        {
            if (_given[worker] < _given[least])
                least = worker;
        }

        return least;
    }

    private void Route(UpdateBatch<TTime> batch)
    {
        var hashes = stackalloc ulong[KernelIo.Capacity];
        var order = stackalloc int[KernelIo.Capacity];
        var ends = stackalloc int[_builders.Length];
        for (var from = 0; from < batch.Count; from += KernelIo.Capacity)
        {
            var count = Math.Min(KernelIo.Capacity, batch.Count - from);
            if (_call is not null)
            {
                batch.Rows.CopyAddresses(from, count, _call.Io.Parts[0]);
                _call.Invoke(count);
                Core.Invariant.Check(_call.Io.Emitted == count, "an exchange key is defined for each row");
            }

            if (_keys is null)
                RowHash.HashAll(batch.Rows, from, count, hashes);
            else
                RowHash.HashAll(_keys.Peek(), 0, count, hashes);
            OwnerPartition.Sort(hashes, count, _builders.Length, order, ends);
            for (int worker = 0, start = 0; worker < _builders.Length; start = ends[worker++])
            {
                var builder = _builders[worker];
                builder.Rows.AppendSelected(batch.Rows, from, order + start, ends[worker] - start);
                builder.AddSelected(batch, from, order + start, ends[worker] - start);
                if (builder.Count >= FlushRows)
                    _output.SendTo(worker, builder.Build());
            }

            _keys?.Clear();
            _errors?.Clear();
        }
    }
}

/// <summary>
/// The sealed collection: deltas of an arrangement of whole rows, as rows again. The trace is held by nobody, so that only incomplete updates are kept.
/// </summary>
internal sealed unsafe class ConsolidateOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly BatchBuilder<TTime> _rows;

    private ConsolidateOperator(Arranged<TTime> source, string name)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(source.KeyShape);
    }

    public override bool FollowsFrontier => false;

    public static Stream<TTime> Build(Stream<TTime> source, string name)
    {
        var arranged = ArrangeOperator<TTime>.Build(source, name, null, default, default).Arranged;
        return new Stream<TTime>(source.Scope, new ConsolidateOperator<TTime>(arranged, name)._output, source.Shape);
    }

    public override void Run()
    {
        while (_input.TryTake(out var delta))
        {
            if (delta.Single is { } batch)
            {
                for (var row = 0; row < batch.Count; row++)
                {
                    if (batch.KeysStored)
                    {
                        _rows.Rows.Append(batch.Keys.Address(row), batch.Keys.Length(row));
                    }
                    else
                    {
                        var key = RowHash.Unmix(batch.Hashes[row]);
                        _rows.Rows.Append((byte*)&key, batch.Keys.Shape.Width);
                    }

                    _rows.Add(batch.TimeAt(row), batch.DiffAt(row));
                    if (_rows.Count >= 8192)
                        _output.Send(_rows.Build());
                }
            }

            delta.Release();
        }

        _output.Send(_rows.Build());
    }

    protected override void MeasureState(StateMeter meter) => _rows.Measure(meter);

    public override void Dispose() => _rows.Dispose();
}

/// <summary>Calls back with batches and frontiers. Consumes; has no output.</summary>
internal sealed class ForEachOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly Action<UpdateBatch<TTime>>? _onBatch;
    private readonly Action<Frontier<TTime>>? _onFrontier;
    private Frontier<TTime>? _last;

    private ForEachOperator(Stream<TTime> source, string name, Action<UpdateBatch<TTime>>? onBatch, Action<Frontier<TTime>>? onFrontier)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _onBatch = onBatch;
        _onFrontier = onFrontier;
    }

    public override bool FollowsFrontier => _onFrontier is not null;

    public static Stream<TTime> Build(Stream<TTime> source, string name, Action<UpdateBatch<TTime>>? onBatch, Action<Frontier<TTime>>? onFrontier)
    {
        _ = new ForEachOperator<TTime>(source, name, onBatch, onFrontier);
        return source;
    }

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            _onBatch?.Invoke(batch);
            batch.Release();
        }

        SeeFrontiers();
        var frontier = Frontier<TTime>.FromStamp(_input.FrontierStamp);
        if (_onFrontier is null || (_last is { } last && last.CompareTo(frontier) == 0))
            return;
        _last = frontier;
        _onFrontier(frontier);
    }
}

/// <summary>Keeps a <see cref="Probe{TTime}"/> up to date.</summary>
internal sealed class ProbeOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly InputPort<UpdateBatch<TTime>>[] _inputs;
    private readonly Probe<TTime> _probe = new();

    private ProbeOperator(Stream<TTime>[] sources)
        : base(sources[0].Scope.Graph, "probe")
    {
        _inputs = [.. sources.Select(s => this.NewInput(s))];
    }

    public override bool SeesAllWorkers => true;

    public static Probe<TTime> Build(Stream<TTime>[] sources) => new ProbeOperator<TTime>(sources)._probe;

    public override void Run()
    {
        foreach (var input in _inputs)
        {
            while (input.TryTake(out var batch))
                batch.Release();
        }

        SeeFrontiers();
        var least = Stamp.Closed;
        foreach (var input in _inputs)
            least = Stamp.Min(least, input.FrontierStamp);
        _probe.Frontier = Frontier<TTime>.FromStamp(least);
    }
}
