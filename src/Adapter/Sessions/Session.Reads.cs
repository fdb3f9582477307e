using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    private async ValueTask<ExecuteResponse> SelectAsync(StatementPlan.Select select, CachedRead? cached, CancellationToken cancel)
    {
        var (layout, pages) = await WithinStatementTimeoutAsync(
            static (x, limited) => x.Session.ReadAsync(x.Select.Query, x.Select.When, x.Cached, limited), (Session: this, Select: select, Cached: cached), cancel);
        _runningIsOver = cancel == _running.Token;
        var rows = new ConstantRows(layout, pages);
        return select.CopyTo is { } format
            ? new ExecuteResponse.CopyOut(select.Query.Desc, rows, FormatOf(format))
            : new ExecuteResponse.Rows(select.Query.Desc, rows, "SELECT");
    }

    private ValueTask<T> WithinStatementTimeoutAsync<T>(Func<CancellationToken, ValueTask<T>> body, CancellationToken cancel) =>
        WithinStatementTimeoutAsync(static (inner, limited) => inner(limited), body, cancel);

    /// <exception cref="TimeoutException">The session's statement_timeout has passed.</exception>
    private async ValueTask<T> WithinStatementTimeoutAsync<TState, T>(Func<TState, CancellationToken, ValueTask<T>> body, TState state, CancellationToken cancel)
    {
        var limit = Settings.StatementTimeout;
        if (limit <= TimeSpan.Zero)
            return await body(state, cancel);

        // What a cursor reads is not cancelled with the FETCH, but its time is limited too.
        using var own = cancel == _running.Token ? null : CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var source = own ?? _running;
        _clock.Start(source, limit);
        try
        {
            return await body(state, source.Token);
        }
        catch (OperationCanceledException) when (_clock.HasPassed)
        {
            throw new TimeoutException();
        }
        finally
        {
            _clock.Stop();
        }
    }

    /// <summary>Runs a query to its end, at the time its transaction or isolation level says.</summary>
    private async ValueTask<(RowLayout Layout, IReadOnlyList<ResultPage> Pages)> ReadAsync(
        QueryPlan query, QueryWhen when, CachedRead? cached, CancellationToken cancel)
    {
        var settings = Settings;
        var state = settings.State;
        var route = Route(state, query);
        var catalog = new DataflowCatalog(state, route.Cluster.Id, _services.Logs);
        if (cached?.Peek is null)
            await EnsureLogsAsync(state, route.Cluster, query.DependsOn, cancel);
        PeekPlan plan;
        ReadTimestamp? at = null;
        try
        {
            StatementEnvironment? environment = null;
            if (query.IsUnmaterializable)
            {
                // mz_now() is the query's time, so the time comes first.
                at = await ChooseTimeAsync(state, route.Cluster, [.. DataflowPlanner.Inputs(catalog, query.Mir).Select(id => LogIndexOr(route.Cluster.Id, id))], when, cancel);
                environment = Environment();
                environment.MzNow = at.Timestamp;
            }

            plan = cached?.Peek ?? PlanPeek(catalog, query, query.Mir.TypeOf().Columns, environment ?? Environment());
            if (cached is not null && !query.IsUnmaterializable)
                cached.Peek = plan;
            if (plan is PeekPlan.Constant constant)
            {
                if (constant.Error is { } error)
                    throw ErrorOf(error);
                return RowFinisher.Finish([Pack(constant.Rows, constant.ResultColumns)], RowLayout.For(constant.ResultColumns), query.Finishing, settings.MaxResultBytes);
            }

            at ??= await ChooseTimeAsync(state, route.Cluster, [.. plan.ImportIds], when, cancel);
            CheckHasReplicas(route);
            var batches = RowsOf(await PeekAsync(plan, at, route.Cluster, query.Finishing, cancel));
            await LineariseAsync(at, cancel);
            if (settings.EmitsTimestampNotice)
                Notice("00000", $"query timestamp: {at.Timestamp}");
            return RowFinisher.Finish(batches, RowLayout.For(plan.ResultColumns), query.Finishing, settings.MaxResultBytes);
        }
        finally
        {
            // A transaction's time lives as long as the transaction.
            if (at is not null && !ReferenceEquals(at, (_transaction?.Ops as TransactionOps.Reads)?.At))
                at.Dispose();
        }
    }

    private PeekPlan PlanPeek(DataflowCatalog catalog, QueryPlan query, ValueArray<ColumnType> columns, StatementEnvironment environment)
    {
        var limit = _services.SystemParameter("persist_fast_path_limit") is { } text && ulong.TryParse(text, out var value) ? value : 25;
        return PeekPlanning.Plan(
            catalog, query.Mir, columns, query.Finishing, environment.Value, _services.TransientIds.Next(), _services.TransientIds.Next(), limit);
    }

    private Task<PeekAnswer> PeekAsync(PeekPlan plan, ReadTimestamp at, ClusterEntry cluster, RowSetFinishing finishing, CancellationToken cancel)
    {
        var instance = new InstanceId(cluster.Id.Value);
        PeekRequest Request(PeekTarget target, ValueArray<ValueArray<Datum>>? keys, Mfp mfp) => new(
            _services.PeekIds.Next(), target, keys, at.Timestamp, mfp, plan.ResultColumns, finishing, Settings.MaxResultBytes);
        switch (plan)
        {
            case PeekPlan.FastPathIndex x:
                // A time that is this read's alone holds nothing but the index: the peek takes that hold over.
                var hold = at.Holds is [var only] && !ReferenceEquals(at, (_transaction?.Ops as TransactionOps.Reads)?.At) ? only : HoldAt(x.IndexId, at);
                return _services.Compute.PeekAsync(instance, Request(new PeekTarget.Index(x.IndexId), x.LiteralKeys, x.Mfp), hold, cancel);
            case PeekPlan.FastPathPersist x:
                var metadata = _services.Storage.Metadata(x.Id) ?? throw Dropped();
                return _services.Compute.PeekAsync(instance, Request(new PeekTarget.Persist(x.Id, metadata), null, x.Mfp), HoldAt(x.Id, at), cancel);
            case PeekPlan.SlowPath x:
                return PeekTransientAsync(
                    instance, x, Request(new PeekTarget.Index(x.IndexId), null, Mfp.Identity(plan.ResultColumns.Count)), at, cancel);
            default:
                throw new System.Diagnostics.UnreachableException(plan.GetType().Name);
        }
    }

    /// <summary>Reads what a dataflow makes for this peek alone.</summary>
    private async Task<PeekAnswer> PeekTransientAsync(
        InstanceId instance, PeekPlan.SlowPath plan, PeekRequest request, ReadTimestamp at, CancellationToken cancel)
    {
        var dataflow = WithMetadata(plan.Dataflow) with { AsOf = at.Timestamp };
        var holds = plan.Dataflow.ImportIds.Select(id => HoldAt(id, at)).ToList();
        _services.Compute.CreateDataflow(instance, dataflow, holds, windowMs: null);
        try
        {
            return await _services.Compute.PeekAsync(instance, request, HoldAt(plan.IndexId, at), cancel);
        }
        finally
        {
            _services.Compute.DropExports(instance, [plan.IndexId]);
        }
    }

    private static IReadOnlyList<RowBatch> RowsOf(PeekAnswer answer) => answer switch
    {
        PeekAnswer.Rows rows => rows.Batches,
        PeekAnswer.Error error => throw ErrorOf(error.Reason),
        _ => throw Dropped(),
    };

    /// <summary>A hold of its own for one peek or dataflow; what <paramref name="at"/> holds keeps the time readable meanwhile.</summary>
    private ReadHold HoldAt(GlobalId id, ReadTimestamp at)
    {
        var holds = _services.Registry.Acquire([id]) ?? throw Dropped();
        if (!holds[0].At.IsBeyond(at.Timestamp))
        {
            holds[0].Dispose();
            throw new SqlException("22000", $"could not find a valid timestamp for the query: {id} is not readable at {at.Timestamp}");
        }

        holds[0].DowngradeTo(Frontier.At(at.Timestamp));
        return holds[0];
    }

    private DataflowDescription WithMetadata(DataflowDescription dataflow) => dataflow with
    {
        SourceImports = dataflow.SourceImports.Select(i => i with { Metadata = _services.Storage.Metadata(i.Id) ?? throw Dropped() }),
    };

    /// <summary>The time of a read: that of the transaction if it reads already, else a new one, which an explicit transaction keeps.</summary>
    private async ValueTask<ReadTimestamp> ChooseTimeAsync(
        CatalogState state, ClusterEntry cluster, IReadOnlyCollection<GlobalId> ids, QueryWhen when, CancellationToken cancel)
    {
        var strict = Settings.IsStrictSerializable;
        if (_transaction is not { IsExplicit: true } || when is not QueryWhen.Immediately)
            return await _services.Timestamps.SelectAsync(ids, when, strict, cancel);
        _transaction.CheckMayRead();
        if (_transaction.Ops is TransactionOps.Reads reads)
        {
            var outside = ids.Where(id => !reads.Timedomain.Contains(id)).ToList();
            if (outside.Count > 0)
            {
                throw new SqlException("25000", "Transactions can only reference objects in the same timedomain. See https://materialize.com/docs/sql/begin/#same-timedomain-error")
                {
                    Detail = $"The following relations in the query are outside the transaction's time domain: {string.Join(", ", outside.Select(id => NameOf(state, id)))}.",
                };
            }

            return reads.At;
        }

        // Everything in the schemas of what is read stays readable at the transaction's time.
        var domain = Timedomain(state, cluster.Id, ids);
        var at = await _services.Timestamps.SelectAsync(domain, when, strict, cancel);
        _transaction.BeginReads(at, domain);
        return at;
    }

    private HashSet<GlobalId> Timedomain(CatalogState state, ClusterId cluster, IReadOnlyCollection<GlobalId> ids)
    {
        var schemas = ids.Where(state.Items.ContainsKey).Select(id => state.Items[id].SchemaId).ToHashSet();
        var domain = ids.ToHashSet();
        foreach (var item in state.Items.Values)
        {
            if (!schemas.Contains(item.SchemaId) || !_services.Registry.Contains(item.Id))
                continue;
            if (item.IsStored || (item.Definition is ItemDefinition.Index index && index.Cluster == cluster))
                domain.Add(item.Id);
        }

        return domain;
    }

    /// <summary>Holds a strict-serializable answer back until the oracle's time has reached the one it was read at.</summary>
    private async ValueTask LineariseAsync(ReadTimestamp at, CancellationToken cancel)
    {
        if (at.OracleTs is not { } known || at.Timestamp <= known)
            return;
        while (true)
        {
            var now = (await _services.Oracle.ReadTsAsync(cancel)).Millis;
            if (now >= at.Timestamp)
                return;
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(at.Timestamp - now, 1000)), _services.Time, cancel);
        }
    }

    /// <summary>Where a query runs: the session's cluster, or the catalog's for queries of the catalog alone.</summary>
    private (ClusterEntry Cluster, bool IsAuto) Route(CatalogState state, QueryPlan query)
    {
        if (Settings.RoutesCatalogQueries && !query.DependsOn.IsEmpty && query.DependsOn.All(id => id.IsSystem) && !state.ReadsLogs(query.DependsOn))
            return (state.Clusters[new ClusterId("s2")], true);
        // What reads nothing needs no cluster, usually: it must work though the session's cluster has gone.
        var active = query.DependsOn.IsEmpty ? TryActiveCluster(state) ?? state.Clusters[new ClusterId("s2")] : ActiveCluster(state);
        return (active, false);
    }

    /// <summary>Makes the logs readable that a query reads, if it reads any; says so to the user.</summary>
    /// <exception cref="SqlException">It is not clear which replica's logs are meant.</exception>
    private async ValueTask EnsureLogsAsync(CatalogState state, ClusterEntry cluster, IEnumerable<GlobalId> dependsOn, CancellationToken cancel)
    {
        if (!state.ReadsLogs(dependsOn))
            return;
        if (cluster.Replicas.Count > 1)
        {
            throw _variables.Get("cluster_replica") is { Length: > 0 }
                ? SqlException.Unsupported("reading the logs of one of several replicas of a cluster")
                : new SqlException("0A000", "log source reads must target a replica") { Hint = "Use a cluster with one replica." };
        }

        if (_variables.IsOn("emit_introspection_query_notice"))
            Notice("00000", $"the query reads what replicas tell of themselves: its result is that of the replica of cluster \"{cluster.Name}\"");
        await _services.Logs.EnsureAsync(cluster.Id, cancel);
    }

    /// <summary>The collection that is read where a query names <paramref name="id"/>: for a log its index, since nothing stores it.</summary>
    private GlobalId LogIndexOr(ClusterId cluster, GlobalId id) => _services.Logs.IndexesOn(cluster, id) is [var index] ? index.Id : id;

    private ClusterEntry ActiveCluster(CatalogState state) =>
        TryActiveCluster(state) ?? throw new SqlException("XX000", $"unknown cluster '{_variables.Get("cluster")}'");

    private ClusterEntry? TryActiveCluster(CatalogState state)
    {
        var settings = Settings;
        return ReferenceEquals(settings.State, state) ? settings.Cluster : state.Clusters.Values.FirstOrDefault(c => c.Name == _variables.Get("cluster"));
    }

    private static void CheckHasReplicas((ClusterEntry Cluster, bool IsAuto) route)
    {
        if (route.Cluster.Replicas.IsEmpty)
        {
            throw new SqlException("0A000", $"CLUSTER \"{route.Cluster.Name}\" has no replicas available to service request")
            {
                Hint = "Use CREATE CLUSTER REPLICA to attach cluster replicas to the cluster",
            };
        }
    }

    private StatementEnvironment Environment() =>
        new(_services, _variables, _roleName, ConnectionId, _id, _transaction?.StartedAt ?? _services.Time.GetUtcNow())
        {
            StartedAt = _services.StartedAt,
        };

    internal static RowBatch Pack(ValueArray<ConstantRow> rows, ValueArray<ColumnType> columns)
    {
        var layout = RowLayout.For(columns);
        var page = new PageBuilder();
        foreach (var row in rows)
            page.Add(RowCodec.Pack(layout, row.Values.AsSpan()));
        var built = page.Build();
        return new RowBatch(built.Data, built.Ends.ToArray(), [], [.. rows.Select(r => r.Diff)]);
    }

    private static SqlException ErrorOf(EvalError error) => new(error.SqlState, error.Message) { Detail = error.Detail, Hint = error.Hint };

    private static SqlException Dropped() => new("42704", "the query could not complete because a relation it depends on was dropped");

    private static string NameOf(CatalogState state, GlobalId id) =>
        state.Items.TryGetValue(id, out var item) ? $"\"{state.NameOf(item)}\"" : id.ToString();

    private static CopyFormat FormatOf(Sql.CopyFormat format) => format switch
    {
        Sql.CopyFormat.Csv => CopyFormat.Csv,
        Sql.CopyFormat.Binary => CopyFormat.Binary,
        _ => CopyFormat.Text,
    };
}
