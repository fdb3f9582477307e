using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>DECLARE, FETCH and CLOSE. A cursor is a portal with a name that SQL can use; it lives as long as its transaction.</summary>
internal sealed partial class Session
{
    private ValueTask<ExecuteResponse> DeclareAsync(StatementPlan.Declare plan)
    {
        if (_transaction is not { IsExplicit: true })
            throw new SqlException("25P01", "DECLARE CURSOR can only be used in transaction blocks");
        if (_portals.ContainsKey(plan.Name))
            throw new SqlException("42P03", $"cursor \"{plan.Name}\" already exists");
        var description = Planner.Describe(Catalog(), plan.Statement, [.. plan.ParamTypes.Select(t => (SqlType?)t)]);
        var prepared = new PreparedStatement(plan.Statement, plan.StatementSql, description) { Revision = _services.Catalog.State.Revision };
        _portals[plan.Name] = new Portal(prepared, plan.Params.Values) { Cursor = new CursorRows() };
        return new ValueTask<ExecuteResponse>(new ExecuteResponse.Completed("DECLARE CURSOR"));
    }

    private async ValueTask<ExecuteResponse> FetchAsync(StatementPlan.Fetch plan, CancellationToken cancel)
    {
        if (_portals.GetValueOrDefault(plan.Cursor) is not { Cursor: { } cursor } portal)
            throw new SqlException("34000", $"cursor \"{plan.Cursor}\" does not exist");
        if (!cursor.IsOpen)
        {
            var response = await ExecuteBoundAsync(portal.Prepared, portal.Parameters, CancellationToken.None);
            if (response is not ExecuteResponse.Rows rows)
                throw new SqlException("42601", "cursors can only be declared for queries");
            cursor.Open(rows);
        }

        var page = await cursor.TakeAsync(plan.Count ?? ulong.MaxValue, plan.Timeout, _services.Time, cancel);
        return new ExecuteResponse.Rows(cursor.Columns, new ConstantRows(cursor.Layout, page is null ? [] : [page]), "FETCH");
    }

    private async ValueTask<ExecuteResponse> CloseCursorAsync(string name)
    {
        if (_portals.GetValueOrDefault(name) is not { Cursor: not null } portal)
            throw new SqlException("34000", $"cursor \"{name}\" does not exist");
        _portals.Remove(name);
        await DisposePortalAsync(portal);
        return new ExecuteResponse.Completed("CLOSE CURSOR");
    }
}

/// <summary>What a cursor reads from, and what it has read ahead.</summary>
internal sealed class CursorRows : IAsyncDisposable
{
    private ExecuteResponse.Rows? _rows;
    private ResultPage? _page;
    private int _next;
    private Task<ResultPage?>? _reading;

    public bool IsOpen => _rows is not null;

    public RelationDesc Columns => _rows!.Columns;

    public RowLayout Layout => _rows!.Source.Layout;

    public void Open(ExecuteResponse.Rows rows) => _rows = rows;

    /// <summary>
    /// Up to <paramref name="count"/> rows. Of a SELECT: as many as there are. Of a SUBSCRIBE: without a timeout, waits for at least
    /// one and takes what is ready; with one, what comes until then.
    /// </summary>
    public async ValueTask<ResultPage?> TakeAsync(ulong count, TimeSpan? timeout, TimeProvider time, CancellationToken cancel)
    {
        var taken = new PageBuilder();
        var isStream = _rows!.Source is SubscribeRows;
        var deadline = timeout is { } limit ? time.GetUtcNow() + limit : (DateTimeOffset?)null;
        while ((ulong)taken.Count < count)
        {
            if (_page is not null && _next < _page.Count)
            {
                taken.Add(_page.Row(_next++));
                continue;
            }

            // A read that is cut short by the timeout is kept: the next FETCH goes on with it.
            _reading ??= _rows.Source.NextAsync(CancellationToken.None).AsTask();
            if (isStream && !_reading.IsCompleted)
            {
                if (deadline is { } until)
                {
                    var left = until - time.GetUtcNow();
                    if (left <= TimeSpan.Zero)
                        break;
                    await Task.WhenAny(_reading, Task.Delay(left, time, cancel));
                    cancel.ThrowIfCancellationRequested();
                    if (!_reading.IsCompleted)
                        break;
                }
                else if (taken.Count > 0)
                {
                    break;
                }
            }

            var page = await _reading.WaitAsync(cancel);
            _reading = null;
            if (page is null)
                break;
            (_page, _next) = (page, 0);
        }

        return taken.Count == 0 ? null : taken.Build();
    }

    public ValueTask DisposeAsync() => _rows?.Source.DisposeAsync() ?? ValueTask.CompletedTask;
}
