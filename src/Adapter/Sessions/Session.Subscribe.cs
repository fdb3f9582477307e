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
    private readonly RowLayout _input;

    // Guards the queue: filled by a link's task, emptied by the session's.
    private readonly Lock _gate = new();
    private readonly Queue<SubscribeBatch> _queue = new();
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _waitingBytes;
    private ErrorReport? _failure;
    private bool _ended;
    private bool _disposed;
    private ulong? _announced;

    /// <param name="drop">Ends the dataflow.</param>
    /// <param name="statement">Cancelled by a cancel request for the statement.</param>
    public SubscribeRows(RelationDesc desc, RelationDesc resultDesc, bool progress, ulong asOf, Action drop, CancellationToken statement)
    {
        _desc = desc;
        _resultDesc = resultDesc;
        _progress = progress;
        _drop = drop;
        _statement = statement;
        _input = RowLayout.For(desc.Type.Columns);
        Layout = RowLayout.For(resultDesc.Type.Columns);
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
            _waitingBytes += batch.Updates.Data.Length + (20L * batch.Updates.Count);
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
            Task arrived;
            SubscribeBatch? batch = null;
            lock (_gate)
            {
                if (_queue.TryDequeue(out batch))
                    _waitingBytes -= batch.Updates.Data.Length + (20L * batch.Updates.Count);
                else if (_failure is { } failure)
                    throw new AdapterException(failure);
                else if (_ended)
                    return null;
                else if (_arrived.Task.IsCompleted)
                    _arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                arrived = _arrived.Task;
            }

            if (batch is not null)
            {
                var page = Render(batch);
                if (page.Count > 0)
                    return page;
                continue;
            }

            try
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _statement);
                await arrived.WaitAsync(either.Token);
            }
            catch (OperationCanceledException)
            {
                throw new AdapterException(new ErrorReport("ERROR", "57014", "canceling statement due to user request"));
            }
        }
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

    private ResultPage Render(SubscribeBatch batch)
    {
        var page = new PageBuilder();
        var updates = batch.Updates;
        var order = Enumerable.Range(0, updates.Count).ToArray();

        // Each process sends its updates in order: only those of several have to be put into one.
        for (var i = 1; i < order.Length; i++)
        {
            if (Compare(i - 1, i) > 0)
            {
                Array.Sort(order, Compare);
                break;
            }
        }

        for (var i = 0; i < order.Length;)
        {
            // Equal rows of one time are added up: a batch shows each change once.
            var first = order[i];
            var diff = 0L;
            for (; i < order.Length && updates.Times[order[i]] == updates.Times[first] && updates.Row(order[i]).SequenceEqual(updates.Row(first)); i++)
                diff += updates.Diffs[order[i]];
            if (diff == 0)
                continue;
            var values = RowCodec.Unpack(_input, updates.Row(first));
            page.Add(Pack(updates.Times[first], progressed: false, Datum.FromInt64(diff), values));
        }

        if (_progress && batch.Upper is { } upper && upper != _announced)
        {
            _announced = upper;
            page.Add(Pack(upper, progressed: true, Datum.Null, new Datum[_desc.Arity]));
        }

        return page.Build();

        int Compare(int a, int b)
        {
            var byTime = updates.Times[a].CompareTo(updates.Times[b]);
            return byTime != 0 ? byTime : updates.Row(a).SequenceCompareTo(updates.Row(b));
        }
    }

    private byte[] Pack(ulong time, bool progressed, Datum diff, ReadOnlySpan<Datum> values)
    {
        var row = new Datum[_resultDesc.Arity];
        var next = 0;
        row[next++] = Datum.FromNumeric(Numeric.FromUInt64(time));
        if (_progress)
            row[next++] = Datum.FromBool(progressed);
        row[next++] = diff;
        values.CopyTo(row.AsSpan(next));
        return RowCodec.Pack(Layout, row);
    }
}
