using Materialize.Catalog;
using Materialize.Sql;
using Materialize.Sql.Parser;
using Microsoft.Extensions.Logging;

namespace Materialize.Adapter;

/// <summary>
/// One client's session. Parses, plans and reads on the caller's own task, from an immutable catalog; only changes of the catalog go
/// to the <see cref="Coordinator"/> and only writes of rows to the <see cref="GroupCommitter"/>. Facets: statements (here),
/// the extended protocol, transactions, reads, writes, cursors, SUBSCRIBE, variables.
/// </summary>
internal sealed partial class Session : ISession
{
    private readonly AdapterServices _services;
    private readonly Ddl _ddl;
    private readonly SessionVariables _variables;
    private readonly RoleId _role;
    private readonly string _roleName;
    private readonly ILogger _logger;
    private readonly Queue<ErrorReport> _notices;
    private readonly Action<Session> _closed;
    private readonly Guid _id = Guid.NewGuid();
    private TransactionState? _transaction;

    // What runs now can be cancelled by this; from other threads by a cancel request, or when the connection or the time ends.
    private CancellationTokenSource _running = new();
    private bool _runningIsOver;
    private CancellationToken _connection;
    private CancellationTokenRegistration _connectionEnds;
    private readonly StatementClock _clock;

    public Session(
        AdapterServices services, Ddl ddl, SessionVariables variables, RoleEntry role, uint connectionId, uint secretKey, IEnumerable<ErrorReport> notices, Action<Session> closed)
    {
        _services = services;
        _ddl = ddl;
        _variables = variables;
        _role = role.Id;
        _roleName = role.Name;
        ConnectionId = connectionId;
        SecretKey = secretKey;
        _closed = closed;
        _clock = new StatementClock(services.Time);
        _notices = new Queue<ErrorReport>(notices);
        _logger = services.Loggers.CreateLogger<Session>();
    }

    public uint ConnectionId { get; }

    public uint SecretKey { get; }

    public TransactionStatus TransactionStatus => _transaction switch
    {
        { HasFailed: true } => TransactionStatus.Failed,
        { IsExplicit: true } => TransactionStatus.InTransaction,
        _ => TransactionStatus.Idle,
    };

    public IEnumerable<KeyValuePair<string, string>> ReportedParameters =>
        VariableTable.Variables.Where(v => v.IsReported).Select(v => new KeyValuePair<string, string>(v.Name, _variables.Get(v)));

    public bool TryTakeNotice(out ErrorReport notice) => _notices.TryDequeue(out notice!);

    public bool TryTakeParameterChange(out KeyValuePair<string, string> change) => _variables.TryTakeChange(out change);

    /// <summary>Cancels what runs now. Any thread.</summary>
    public void Cancel() => Volatile.Read(ref _running).Cancel();

    public IReadOnlyList<SimpleStatement> ParseSimple(string sql) => Edge(() =>
    {
        if (FindText(sql) is { } known)
            return known;
        var parsed = SqlParser.ParseStatements(sql);
        ParsedSimpleStatement[] statements = [.. parsed.Select(p => new ParsedSimpleStatement(p.Statement, p.Sql, p.Offset, parsed.Count == 1))];
        KeepText(sql, statements);
        return (IReadOnlyList<SimpleStatement>)statements;
    });

    public async ValueTask<ExecuteResponse> ExecuteSimpleAsync(SimpleStatement statement, CancellationToken cancel)
    {
        var parsed = (ParsedSimpleStatement)statement;
        return await EdgeAsync(
            async () =>
            {
                var running = Run(cancel);
                EnsureTransaction();
                CheckNotFailed(parsed.Statement);
                if (TryExecutePlanned(parsed.Read, [], running) is { } planned)
                    return await planned;
                var key = CurrentPlanKey;
                var plan = Planner.Plan(Catalog(), parsed.Statement, Params.None, parsed.Sql);
                parsed.Read = PlanToKeep(key, plan);
                if (parsed.Read is { } read)
                    return await SelectAsync(read.Plan, read, running);
                return await ExecutePlanAsync(plan, parsed.Statement, running);
            },
            parsed.Offset);
    }

    public async ValueTask DisposeAsync()
    {
        await _connectionEnds.DisposeAsync();
        _clock.Dispose();
        await _running.CancelAsync();
        foreach (var portal in _portals.Values)
            await DisposePortalAsync(portal);
        _portals.Clear();
        EndTransaction(committed: false);
        _closed(this);
    }

    private SessionCatalog Catalog() => new(
        _services.Catalog.State,
        new SessionContext(
            _variables.Get("database")!,
            _variables.SearchPath,
            _role,
            _roleName,
            _variables.Get("cluster")!,
            _transaction?.StartedAt ?? _services.Time.GetUtcNow())
        {
            InTransactionBlock = _transaction is { IsExplicit: true },
        },
        name => VariableTable.Find(name) is { } variable ? _variables.Get(variable) : null);

    private void Notice(string state, string message, string severity = "NOTICE", string? detail = null, string? hint = null) =>
        _notices.Enqueue(new ErrorReport(severity, state, message, detail, hint));

    private async ValueTask<ExecuteResponse> ExecutePlanAsync(StatementPlan plan, Sql.Parser.Ast.Statement statement, CancellationToken cancel)
    {
        foreach (var notice in plan.Notices)
            Notice(notice.State, notice.Message, notice.Severity, notice.Detail, notice.Hint);
        switch (plan)
        {
            case StatementPlan.Select x:
                return await SelectAsync(x, null, cancel);
            case StatementPlan.SendRows x:
                return new ExecuteResponse.Rows(x.Result.Desc, ConstantRows.Of(x.Result), "SELECT");
            case StatementPlan.Subscribe x:
                return await SubscribeAsync(x, cancel);
            case StatementPlan.ExplainPlan x:
                return Explain(x);
            case StatementPlan.ExplainTimestamp x:
                return await ExplainTimestampAsync(x, cancel);
            case StatementPlan.Insert x:
                return await InsertAsync(x, cancel);
            case StatementPlan.ReadThenWrite x:
                return await ReadThenWriteAsync(x, cancel);
            case StatementPlan.CopyFrom x:
                return CopyFrom(x);
            case StatementPlan.SetVariable or StatementPlan.ResetVariable or StatementPlan.ShowVariable or StatementPlan.ShowAllVariables
                or StatementPlan.SetTransaction:
                return ExecuteVariables(plan);
            case StatementPlan.StartTransaction x:
                return StartTransaction(x);
            case StatementPlan.CommitTransaction:
                return await EndExplicitAsync(commit: true);
            case StatementPlan.RollbackTransaction:
                return await EndExplicitAsync(commit: false);
            case StatementPlan.Declare x:
                return await DeclareAsync(x);
            case StatementPlan.Fetch x:
                return await FetchAsync(x, cancel);
            case StatementPlan.Close x:
                return await CloseCursorAsync(x.Cursor);
            case StatementPlan.Prepare x:
                return Prepare(x);
            case StatementPlan.Execute x:
                return await ExecutePreparedAsync(x, cancel);
            case StatementPlan.Deallocate x:
                return Deallocate(x);
            case StatementPlan.DiscardAll or StatementPlan.DiscardTemp:
                return await DiscardAsync(plan is StatementPlan.DiscardAll);
            case StatementPlan.Raise x:
                Notice("00000", "raised a notice", x.Severity.ToUpperInvariant());
                return new ExecuteResponse.Completed("RAISE");
            default:
                return await ExecuteDdlAsync(plan, statement, cancel);
        }
    }

    private async ValueTask<ExecuteResponse> ExecuteDdlAsync(StatementPlan plan, Sql.Parser.Ast.Statement statement, CancellationToken cancel)
    {
        if (_transaction is { IsExplicit: true })
            throw new SqlException("25001", $"{Ddl.TagOf(plan)} cannot be run inside a transaction block");
        // In a query of several statements, what came before a change of the catalog is done by then.
        await CommitImplicitAsync();
        EnsureTransaction();
        var result = await _ddl.ExecuteAsync(plan, statement, Catalog(), cancel);
        foreach (var notice in result.Notices)
            _notices.Enqueue(notice);
        return new ExecuteResponse.Completed(result.Tag);
    }

    /// <summary>Makes what follows the running statement, for cancel requests. A result that is read later still belongs to it.</summary>
    /// <param name="cancel">The connection's end.</param>
    private CancellationToken Run(CancellationToken cancel)
    {
        if (cancel != _connection)
        {
            _connectionEnds.Dispose();
            _connection = cancel;
            _connectionEnds = cancel.UnsafeRegister(session => ((Session)session!).Cancel(), this);
        }

        // A read that is over has left nothing behind that could be cancelled: the next statement takes over what it had.
        if (!_runningIsOver || _running.IsCancellationRequested)
            Volatile.Write(ref _running, new CancellationTokenSource());
        _runningIsOver = false;
        cancel.ThrowIfCancellationRequested();
        return _running.Token;
    }
}
