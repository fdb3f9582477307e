using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Compute.Workers;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Sinks;

/// <summary>
/// Sends a collection's changes to the controller: one batch of consolidated updates, in order of time, whenever times have become
/// complete. All rows come to worker 0, which is the one that sends. Worker thread only.
/// </summary>
internal sealed class SubscribeSink
{
    private readonly SinkExport _sink;
    private readonly ulong _asOf;
    private readonly ResponseSession? _responses;
    private readonly UpdateBuffer _rows = new();
    private readonly UpdateBuffer _errors = new();
    private Frontier _rowFrontier;
    private Frontier _errorFrontier;
    private ulong _lower;

    private SubscribeSink(SinkExport sink, ulong asOf, ResponseSession? responses)
    {
        _sink = sink;
        _asOf = asOf;
        _responses = responses;
        _rowFrontier = _errorFrontier = Frontier.At(asOf);
    }

    /// <summary>Everything was sent, or an error: nothing more will come.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>The last frontier told, exclusive; null when finished.</summary>
    public ulong? Upper => IsFinished ? null : Math.Max(_lower, _asOf);

    /// <summary>Builds the sink's operators, at every worker.</summary>
    /// <param name="responses">Null at workers other than the one that sends.</param>
    public static SubscribeSink Build(SinkExport sink, Bundle bundle, ulong asOf, ResponseSession? responses)
    {
        var subscribe = new SubscribeSink(sink, asOf, responses);
        var rows = bundle.OkAs(sink.FromDesc.Type.Columns);
        rows.Gather().ForEach("subscribe", subscribe.OnRows, f => subscribe.OnFrontier(ref subscribe._rowFrontier, f));
        bundle.Errors.Gather().ForEach("subscribe errors", subscribe.OnErrors, f => subscribe.OnFrontier(ref subscribe._errorFrontier, f));
        return subscribe;
    }

    private void OnRows(UpdateBatch<Time> batch)
    {
        if (IsFinished)
            return;
        for (var i = 0; i < batch.Count; i++)
        {
            var time = batch.TimeAt(i).Value;
            if (time < _sink.UpTo.GetValueOrDefault(ulong.MaxValue) && (_sink.WithSnapshot || time > _asOf))
                _rows.Add(batch[i], time, batch.DiffAt(i));
        }
    }

    private void OnErrors(UpdateBatch<Time> batch)
    {
        for (var i = 0; i < batch.Count; i++)
            _errors.Add(batch[i], batch.TimeAt(i).Value, batch.DiffAt(i));
    }

    private void OnFrontier(ref Frontier mine, Frontier frontier)
    {
        mine = frontier;
        if (_responses is not null)
            Advance(Frontier.Min(_rowFrontier, _errorFrontier));
    }

    private void Advance(Frontier frontier)
    {
        if (IsFinished)
            return;
        ulong? upper = frontier.IsClosed ? null : frontier.Time.Value;
        if (upper >= _sink.UpTo)
            upper = null;
        if (upper <= Math.Max(_lower, _asOf))
            return;
        if (FirstError(upper) is { } error)
        {
            Finish(upper, RowBatch.Empty, error);
            return;
        }

        _rows.Consolidate();
        var batch = _rows.TakeFirst(_rows.CountBefore(upper));
        if (upper is null)
        {
            Finish(null, batch, null);
            return;
        }

        Send(upper, batch, null);
        _lower = upper.Value;
    }

    private void Finish(ulong? upper, RowBatch batch, EvalError? error)
    {
        IsFinished = true;
        Send(upper, batch, error);
        _rows.Clear();
        _errors.Clear();
    }

    private void Send(ulong? upper, RowBatch batch, EvalError? error) =>
        _responses!.Send(new ComputeResponse.SubscribeResponse(_sink.Id, new SubscribeBatch(_lower, upper, batch, error)));

    /// <summary>An error that the collection holds at some time before <paramref name="upper"/>.</summary>
    private EvalError? FirstError(ulong? upper)
    {
        if (_errors.IsEmpty)
            return null;
        _errors.Consolidate();
        var count = _errors.CountBefore(upper);
        for (var i = 0; i < count; i++)
        {
            // Times are in order and nothing before held an error: the first update of this one adds it.
            if (_errors.DiffAt(i) > 0)
                return RowKernels.DecodeError(_errors.Row(i));
        }

        return null;
    }
}
