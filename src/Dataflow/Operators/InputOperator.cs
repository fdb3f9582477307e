using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// The source behind an <see cref="InputHandle{TTime}"/>. Time: holds at the handle's time. Work: passes batches on. What the handle does is queued
/// and takes effect in a run, so that the batches and the move of the hold are published together.
/// </summary>
internal sealed class InputOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private readonly Queue<UpdateBatch<TTime>> _queue = new();
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private BatchBuilder<TTime>? _buffer; // the handle's
    private Stamp _time;

    private InputOperator(DataflowGraph graph, string name, Stamp start)
        : base(graph, name)
    {
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _time = start;
        InitialHold(start);
    }

    public static (InputHandle<TTime> Handle, Stream<TTime> Rows) Build(Scope<TTime> scope, string name, RowShape shape, TTime start)
    {
        var op = new InputOperator<TTime>(scope.Graph, name, start.ToStamp());
        return (new InputHandle<TTime>(op, shape, start), new Stream<TTime>(scope, op._output, shape));
    }

    /// <summary>What a handle keeps is counted here.</summary>
    public void Count(BatchBuilder<TTime> buffer) => _buffer = buffer;

    public void Enqueue(UpdateBatch<TTime>? batch)
    {
        if (batch is null)
            return;
        if (Graph.IsDropped)
        {
            batch.Release();
            return;
        }

        _queue.Enqueue(batch);
        Activate();
    }

    public void Advance(Stamp time)
    {
        _time = time;
        Activate();
    }

    public override void Run()
    {
        while (_queue.TryDequeue(out var batch))
            _output.Send(batch);
        SetHold(_time);
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var batch in _queue)
            batch.Measure(meter);
        _buffer?.Measure(meter);
    }

    public override void Dispose()
    {
        while (_queue.TryDequeue(out var batch))
            batch.Release();
    }
}

/// <summary>A collection without rows: nothing is ever outstanding, so it is closed.</summary>
internal sealed class EmptyOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private EmptyOperator(DataflowGraph graph)
        : base(graph, "empty")
    {
    }

    public static Stream<TTime> Build(Scope<TTime> scope, RowShape shape)
    {
        var op = new EmptyOperator<TTime>(scope.Graph);
        return new Stream<TTime>(scope, new OutputPort<UpdateBatch<TTime>>(op), shape);
    }

    public override void Run()
    {
    }
}
