using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>Rows that an operator is to have by key; while a dataflow is built.</summary>
/// <param name="Rows">At one worker the rows as they are, which <see cref="KeyedInput{TTime}"/> will split; with more, what <see cref="KeyByOperator{TTime}"/> made of them.</param>
/// <param name="Split">Null: the row is the key, the value empty.</param>
/// <param name="Keying">What splits rows of these shapes.</param>
/// <param name="Errors">Of the operator before; null where there is none.</param>
internal readonly record struct KeyedRows<TTime>(Stream<TTime> Rows, RowKernel? Split, RowShape KeyShape, Keying<TTime> Keying, Stream<TTime>? Errors) where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Of values, as they are stored.</summary>
    public RowShape ValueShape => Keying.StoredShape;

    public Scope<TTime> Scope => Rows.Scope;

    /// <param name="split">Null: the row is the key, the value empty.</param>
    /// <param name="sortKeyShape">When set, the kernel's second output is a sort key, to precede the value (see <see cref="SortedRow"/>).</param>
    public static KeyedRows<TTime> Of(Stream<TTime> source, string name, RowKernel? split, RowShape keyShape, RowShape valueShape, RowShape? sortKeyShape = null)
    {
        if (split is null)
            (keyShape, valueShape) = (source.Shape, RowShape.Empty);
        var worker = source.Scope.Worker;
        var keying = worker.Scratch.Keying<TTime>(worker.Peers, keyShape, valueShape, sortKeyShape);
        if (worker.Peers == 1)
            return new KeyedRows<TTime>(source, split, keyShape, keying, null);
        var op = new KeyByOperator<TTime>(source, name + ": split", split, keying);
        return new KeyedRows<TTime>(op.Keyed, split, keyShape, keying, op.Errors);
    }
}

/// <summary>
/// The input of an operator that works on rows by key. Where a worker has no peers, rows are split as they are taken: an operator before, that sends to nobody else, would be a sixth of the way of a small update
/// and a third of the memory of a small arrangement.
/// </summary>
internal sealed class KeyedInput<TTime> where TTime : unmanaged, ITime<TTime>
{
    private const int BatchRows = 8192;
    private readonly InputPort<UpdateBatch<TTime>> _port;
    private readonly RowKernel? _split;
    private readonly Keying<TTime>? _keying; // null: what comes is keyed
    private readonly OutputPort<UpdateBatch<TTime>>? _errors;

    /// <summary>Adds its ports to <paramref name="owner"/>, which is being built.</summary>
    /// <param name="errors">Rows that could not be split.</param>
    public KeyedInput(Operator owner, KeyedRows<TTime> source, out Stream<TTime> errors)
    {
        _port = owner.NewInput(source.Rows);
        if (source.Errors is { } known)
        {
            errors = known;
            return;
        }

        _split = source.Split;
        _keying = source.Keying;
        _errors = new OutputPort<UpdateBatch<TTime>>(owner);
        errors = new Stream<TTime>(source.Scope, _errors, RowShape.Variable);
    }

    public Stamp FrontierStamp => _port.FrontierStamp;

    public bool IsEmpty => _port.IsEmpty;

    /// <summary>The next keyed batch, as <see cref="InputPort{TMessage}.TryTake"/> takes what was sent; errors are sent.</summary>
    public bool TryTake(out UpdateBatch<TTime> batch)
    {
        if (_keying is null)
            return _port.TryTake(out batch);
        var builder = _keying.Builders[0];

        // Inside loops each time is worked on by itself: batches of different rounds are not mixed.
        while (builder.Count < BatchRows && _port.TryPeek(out var next) && (TTime.IsTotal || builder.Continues(next)))
        {
            _port.TryTake(out next);
            for (var from = 0; from < next.Count; from += KernelIo.Capacity)
                _keying.Add(_split, next, from, Math.Min(KernelIo.Capacity, next.Count - from));
            next.Release();
        }

        _errors!.Send(_keying.Errors.Build());
        batch = builder.Build()!;
        return batch is not null;
    }
}
