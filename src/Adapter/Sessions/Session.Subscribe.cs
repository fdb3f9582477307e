using Materialize.Controller;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    private async ValueTask<ExecuteResponse> SubscribeAsync(StatementPlan.Subscribe plan, CancellationToken cancel)
    {
        if (plan.Output is not SubscribeOutput.Diffs)
            throw SqlException.Unsupported("SUBSCRIBE with ENVELOPE or WITHIN TIMESTAMP ORDER BY");
        if (_transaction is { IsExplicit: true })
            _transaction.BeginSubscribe();
        var state = _services.Catalog.State;
        IReadOnlyCollection<GlobalId> reads = plan.From is SubscribeFrom.Query { Plan.DependsOn: var deps } ? [.. deps] : [((SubscribeFrom.Item)plan.From).Id];
        var cluster = reads.Any(id => !id.IsSystem) || state.ReadsLogs(reads) ? ActiveCluster(state) : state.Clusters[new ClusterId("s2")];
        CheckHasReplicas((cluster, false));
        await EnsureLogsAsync(state, cluster, reads, cancel);
        var catalog = new DataflowCatalog(state, cluster.Id, _services.Logs);
        var id = _services.TransientIds.Next();
        MirRelationExpr query = plan.From switch
        {
            SubscribeFrom.Item x => new MirRelationExpr.Get(new Id.Global(x.Id), plan.Desc.Type),
            SubscribeFrom.Query x => x.Plan.Whole,
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        query = Unmaterializable.Substitute(ViewExpansion.Expand(query, catalog), Environment().Value);
        var planned = DataflowPlanner.ForSubscribe(
            catalog, id, _services.TransientIds.Next(), $"subscribe {id}", query, plan.Desc, plan.Snapshot, plan.UpToMs);
        var imports = planned.Dataflow.ImportIds.ToList();
        var at = await _services.Timestamps.SelectAsync(imports, plan.When, _variables.IsStrictSerializable, cancel);
        if (plan.UpToMs is { } upTo && at.Timestamp >= upTo)
        {
            at.Dispose();
            if (at.Timestamp > upTo)
                throw new SqlException("22000", $"subscribe lower (`AS OF`) bound must be less than or equal to the upper (`UP TO`) bound: {at.Timestamp} > {upTo}");
            Notice("00000", $"subscribe as of {upTo} (inclusive) up to the same bound {upTo} (exclusive) is guaranteed to be empty");
            return Rows(new ConstantRows(RowLayout.For(plan.ResultDesc.Type.Columns), []));
        }

        var dataflow = WithMetadata(planned.Dataflow) with { AsOf = at.Timestamp };
        var instance = new InstanceId(cluster.Id.Value);
        var rows = new SubscribeRows(plan.Desc, plan.ResultDesc, plan.Progress, at.Timestamp, () => _services.Compute.DropExports(instance, [id]), cancel);
        _services.Compute.CreateDataflow(instance, dataflow, at.Holds, windowMs: null, rows);
        return Rows(rows);

        ExecuteResponse Rows(IResultRows source) => plan.CopyTo is { } format
            ? new ExecuteResponse.CopyOut(plan.ResultDesc, source, FormatOf(format))
            : new ExecuteResponse.Rows(plan.ResultDesc, source, "SUBSCRIBE");
    }
}

/// <summary>
/// The changes of a SUBSCRIBE, as rows. Batches come from the controller and wait here until the client has taken what came before;
/// when too much waits, the subscribe is ended with an error rather than the server growing.
/// </summary>
internal sealed class SubscribeRows : ISubscribeReceiver, IResultRows
{
    /// <summary>Bytes that may wait for a slow client.</summary>
    private const long WaitingBytesMax = 256L << 20;

    private readonly RelationDesc _desc;
    private readonly RelationDesc _resultDesc;
    private readonly bool _progress;
    private readonly Action _drop;
    private readonly CancellationToken _statement;
    private readonly ChangeRow _change;
    private readonly PageBuilder _page = new();

    // Guards the queue: filled by a link's task, emptied by the session's.
    private readonly Lock _gate = new();
    private readonly Queue<SubscribeBatch> _queue = new();
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _waitingBytes;
    private ErrorReport? _failure;
    private bool _ended;
    private bool _disposed;
    private ulong? _announced;

    // The batch that is being shown, and how far. The session's task only.
    private SubscribeBatch? _batch;
    private int _next;

    /// <param name="drop">Ends the dataflow.</param>
    /// <param name="statement">Cancelled by a cancel request for the statement.</param>
    public SubscribeRows(RelationDesc desc, RelationDesc resultDesc, bool progress, ulong asOf, Action drop, CancellationToken statement)
    {
        _desc = desc;
        _resultDesc = resultDesc;
        _progress = progress;
        _drop = drop;
        _statement = statement;
        Layout = RowLayout.For(resultDesc.Type.Columns);
        _change = new ChangeRow(RowLayout.For(desc.Type.Columns), Layout, prefix: progress ? 3 : 2);
        if (progress)
            _queue.Enqueue(new SubscribeBatch(asOf, asOf, RowBatch.Empty, null));
    }

    public RowLayout Layout { get; }

    public void Receive(SubscribeBatch batch)
    {
        lock (_gate)
        {
            if (_failure is not null || _ended || _disposed)
                return;
            _waitingBytes += WaitingBytes(batch);
            if (batch.Error is { } error)
                _failure = new ErrorReport("ERROR", error.SqlState, error.Message, error.Detail, error.Hint);
            else if (_waitingBytes > WaitingBytesMax)
                _failure = new ErrorReport("ERROR", "53200", "subscribe fell too far behind: the client does not read its rows");
            else
                _queue.Enqueue(batch);
            _ended = batch.Upper is null;
            _arrived.TrySetResult();
        }
    }

    public void Dropped()
    {
        lock (_gate)
        {
            _failure ??= _ended || _disposed ? null : new ErrorReport(
                "ERROR", "42704", "subscribe has been terminated because underlying relation was dropped");
            _arrived.TrySetResult();
        }
    }

    public async ValueTask<ResultPage?> NextAsync(CancellationToken cancel)
    {
        while (true)
        {
            // A long batch is many pages, none of which waits for anything.
            if (cancel.IsCancellationRequested || _statement.IsCancellationRequested)
                throw Cancelled();
            if (_batch is not null)
            {
                var page = NextPage(_batch);
                if (page.Count > 0)
                    return page;
            }

            Task arrived;
            lock (_gate)
            {
                if (_queue.TryDequeue(out _batch))
                    _waitingBytes -= WaitingBytes(_batch);
                else if (_failure is { } failure)
                    throw new AdapterException(failure);
                else if (_ended)
                    return null;
                else if (_arrived.Task.IsCompleted)
                    _arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                arrived = _arrived.Task;
            }

            _next = 0;
            if (_batch is not null)
                continue;
            try
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _statement);
                await arrived.WaitAsync(either.Token);
            }
            catch (OperationCanceledException)
            {
                throw Cancelled();
            }
        }

        static AdapterException Cancelled() => new(new ErrorReport("ERROR", "57014", "canceling statement due to user request"));
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
                return ValueTask.CompletedTask;
            _disposed = true;
            _queue.Clear();
        }

        _drop();
        return ValueTask.CompletedTask;
    }

    private static long WaitingBytes(SubscribeBatch batch) => batch.Updates.Data.Length + (20L * batch.Updates.Count);

    /// <summary>The next rows of a batch, whose updates are consolidated and in order; none, and the batch is done, at its end.</summary>
    private ResultPage NextPage(SubscribeBatch batch)
    {
        var updates = batch.Updates;
        for (; _next < updates.Count && !_page.IsFull; _next++)
            _change.Add(_page, updates.Times[_next], updates.Diffs[_next], updates.Row(_next));
        if (_next < updates.Count)
            return _page.Build();
        if (_progress && batch.Upper is { } upper && upper != _announced)
        {
            _announced = upper;
            _page.Add(RowCodec.Pack(
                Layout, [Datum.FromNumeric(Numeric.FromUInt64(upper)), Datum.FromBool(true), .. Enumerable.Repeat(Datum.Null, 1 + _desc.Arity)]));
        }

        _batch = null;
        return _page.Build();
    }
}
