using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Sends rows, split into key and value, to the workers that own their keys, where there are several (else <see cref="KeyedInput{TTime}"/> splits them). Shape: (row) → keyed batches (hash, key, value).
/// Time: of the input. Work: O(rows); state: none.
/// </summary>
internal sealed class KeyByOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private const int RowsPerRun = 64 * 1024;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly RowKernel? _split;
    private readonly Keying<TTime> _keying;

    public KeyByOperator(Stream<TTime> source, string name, RowKernel? split, Keying<TTime> keying)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _split = split;
        _keying = keying;
        Keyed = new Stream<TTime>(source.Scope, _output, keying.StoredShape);
        Errors = new Stream<TTime>(source.Scope, _errors, RowShape.Variable);
    }

    public Stream<TTime> Keyed { get; }

    public Stream<TTime> Errors { get; }

    public override bool FollowsFrontier => false;

    public override bool ReachesPeers => true;

    public override void Run()
    {
        var fuel = Fuel(RowsPerRun);
        while (fuel > 0 && _input.TryTake(out var batch))
        {
            fuel -= batch.Count;

            // Inside loops each time is worked on by itself: batches of different rounds are not mixed.
            if (!TTime.IsTotal)
                Send(batch);
            for (var from = 0; from < batch.Count; from += KernelIo.Capacity)
            {
                _keying.Add(_split, batch, from, Math.Min(KernelIo.Capacity, batch.Count - from));
                Send(FlushRows);
            }

            batch.Release();
        }

        Send(1);
        _errors.Send(_keying.Errors.Build());
        if (!_input.IsEmpty)
            Activate();
    }

    // To whom there are so many rows.
    private void Send(int rows)
    {
        for (var w = 0; w < _keying.Builders.Length; w++)
        {
            if (_keying.Builders[w].Count >= rows)
                _output.SendTo(w, _keying.Builders[w].Build());
        }
    }

    // What is of another time than the batch to come.
    private void Send(UpdateBatch<TTime> next)
    {
        for (var w = 0; w < _keying.Builders.Length; w++)
        {
            if (!_keying.Builders[w].Continues(next))
                _output.SendTo(w, _keying.Builders[w].Build());
        }
    }
}
