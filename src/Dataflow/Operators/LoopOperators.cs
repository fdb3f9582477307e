using Materialize.Core.Rows;
using Materialize.Dataflow.Progress;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>The same updates at times of another kind: into a loop, or out of it. Rows are moved where nobody else has them.</summary>
internal sealed unsafe class RetimeOperator<TFrom, TTo> : Operator
    where TFrom : unmanaged, ITime<TFrom>
    where TTo : unmanaged, ITime<TTo>
{
    private readonly InputPort<UpdateBatch<TFrom>> _input;
    private readonly OutputPort<UpdateBatch<TTo>> _output;
    private readonly BatchBuilder<TTo> _rows;
    private readonly Func<TFrom, TTo> _retime;

    private RetimeOperator(Stream<TFrom> source, string name, TimeEffect effect, Func<TFrom, TTo> retime)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTo>>(this);
        _rows = new BatchBuilder<TTo>(source.Shape);
        _retime = retime;
        TimeEffect = effect;
    }

    public override bool FollowsFrontier => false;

    public static Stream<TTo> Build(Scope<TTo> scope, Stream<TFrom> source, string name, TimeEffect effect, Func<TFrom, TTo> retime) =>
        new(scope, new RetimeOperator<TFrom, TTo>(source, name, effect, retime)._output, source.Shape);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            _rows.Rows.AppendRange(batch.Rows, 0, batch.Count);
            if (batch.Times == null && batch.Diffs == null)
            {
                _rows.AddMany(batch.Count, _retime(batch.UniformTime), batch.UniformDiff);
            }
            else
            {
                for (var i = 0; i < batch.Count; i++)
                    _rows.Add(_retime(batch.TimeAt(i)), batch.DiffAt(i));
            }

            batch.Release();
            if (_rows.Count >= 8192)
                _output.Send(_rows.Build());
        }

        _output.Send(_rows.Build());
    }

    protected override void MeasureState(StateMeter meter)
    {
        _rows.Measure(meter);
    }

    public override void Dispose() => _rows.Dispose();
}

/// <summary>Into a loop, rows at rounds that depend on them. Shape: rows; batches of one time each, so that receivers need not set times apart. Work: O(rows); state: none.</summary>
internal sealed unsafe class DelayedEntryOperator<TOuter> : Operator where TOuter : unmanaged, ITime<TOuter>
{
    private readonly InputPort<UpdateBatch<TOuter>> _input;
    private readonly OutputPort<UpdateBatch<Iterated<TOuter>>> _output;
    private readonly RowShape _shape;
    private readonly Func<nint, uint> _round;
    private readonly SortedDictionary<Iterated<TOuter>, BatchBuilder<Iterated<TOuter>>> _rows = [];

    private DelayedEntryOperator(Stream<TOuter> source, Func<nint, uint> round)
        : base(source.Scope.Graph, "enter at")
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<Iterated<TOuter>>>(this);
        _shape = source.Shape;
        _round = round;
    }

    public override bool FollowsFrontier => false;

    public static Stream<Iterated<TOuter>> Build(Scope<Iterated<TOuter>> scope, Stream<TOuter> source, Func<nint, uint> round) =>
        new(scope, new DelayedEntryOperator<TOuter>(source, round)._output, source.Shape);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var time = new Iterated<TOuter>(batch.TimeAt(i), _round(batch.RowAddress(i)));
                if (!_rows.TryGetValue(time, out var builder))
                    _rows.Add(time, builder = new BatchBuilder<Iterated<TOuter>>(_shape));
                builder.Rows.AppendRange(batch.Rows, i, 1);
                builder.Add(time, batch.DiffAt(i));
                if (builder.Count >= 8192)
                    _output.Send(builder.Build());
            }

            batch.Release();
        }

        foreach (var builder in _rows.Values)
            _output.Send(builder.Build());
        _rows.Clear();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var builder in _rows.Values)
            builder.Measure(meter);
    }

    public override void Dispose()
    {
        foreach (var builder in _rows.Values)
            builder.Dispose();
    }
}

/// <summary>
/// The back edge of a loop: updates at round r come out at round r + 1. It is built before what defines it, so that the loop is a path from a later operator to an earlier one; the round's increase is what keeps the loop's frontier
/// from supporting itself.
/// </summary>
internal sealed class FeedbackOperator<TOuter> : Operator where TOuter : unmanaged, ITime<TOuter>
{
    private readonly InputPort<UpdateBatch<Iterated<TOuter>>> _input;
    private readonly OutputPort<UpdateBatch<Iterated<TOuter>>> _output;
    private readonly OutputPort<UpdateBatch<Iterated<TOuter>>> _beyond;
    private readonly BatchBuilder<Iterated<TOuter>> _rows;
    private readonly BatchBuilder<Iterated<TOuter>> _beyondRows;
    private readonly uint? _roundsMax;

    private FeedbackOperator(Scope<Iterated<TOuter>> scope, RowShape shape, uint? roundsMax)
        : base(scope.Graph, "feedback")
    {
        _input = new InputPort<UpdateBatch<Iterated<TOuter>>>(this, Wiring.Decode<Iterated<TOuter>>, shape);
        _output = new OutputPort<UpdateBatch<Iterated<TOuter>>>(this);
        _beyond = new OutputPort<UpdateBatch<Iterated<TOuter>>>(this);
        _rows = new BatchBuilder<Iterated<TOuter>>(shape);
        _beyondRows = new BatchBuilder<Iterated<TOuter>>(shape);
        _roundsMax = roundsMax;
        TimeEffect = new TimeEffect(0, StepsLoop: Iterated<TOuter>.Depth);
        Value = new Stream<Iterated<TOuter>>(scope, _output, shape);
        BeyondLimit = new Stream<Iterated<TOuter>>(scope, _beyond, shape);
    }

    public Stream<Iterated<TOuter>> Value { get; }

    public Stream<Iterated<TOuter>> BeyondLimit { get; }

    public override bool FollowsFrontier => false;

    public static FeedbackOperator<TOuter> Build(Scope<Iterated<TOuter>> scope, RowShape shape, uint? roundsMax) => new(scope, shape, roundsMax);

    public void Connect(Stream<Iterated<TOuter>> definition) => _input.Connect(definition.Output);

    public override void Run()
    {
        while (_input.TryTake(out var batch))
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var time = batch.TimeAt(i);
                var next = time with { Round = time.Round + 1 };
                var to = next.Round > _roundsMax ? _beyondRows : _rows;
                to.Rows.AppendRange(batch.Rows, i, 1);
                to.Add(next, batch.DiffAt(i));
            }

            batch.Release();
            _output.Send(_rows.Build());
            _beyond.Send(_beyondRows.Build());
        }
    }

    protected override void MeasureState(StateMeter meter)
    {
        _rows.Measure(meter);
        _beyondRows.Measure(meter);
    }

    public override void Dispose()
    {
        _rows.Dispose();
        _beyondRows.Dispose();
    }
}
