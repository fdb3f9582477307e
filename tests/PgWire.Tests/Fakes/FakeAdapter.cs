using Materialize.Adapter;
using Materialize.Core.Collections;
using Materialize.Interchange;
using Materialize.Repr;

namespace Materialize.PgWire.Tests;

/// <summary>An adapter that answers by a table from SQL text to outcome; keeps the transaction's state as Postgres does.</summary>
internal sealed class FakeAdapter : IAdapterClient
{
    /// <summary>What a statement's text does. Called anew for each execution.</summary>
    public Dictionary<string, Func<CancellationToken, ValueTask<ExecuteResponse>>> Statements { get; } = [];

    public Dictionary<string, PreparedDescription> Descriptions { get; } = [];

    public List<(uint Id, uint Key)> Cancelled { get; } = [];

    public List<StartupRequest> Started { get; } = [];

    public FakeSession? Session { get; private set; }

    public int OpenSessions { get; set; }

    public void On(string sql, Func<ExecuteResponse> respond) => Statements[sql] = _ => ValueTask.FromResult(respond());

    public void OnRows(string sql, RelationDesc columns, string text, string command = "SELECT") =>
        On(sql, () => new ExecuteResponse.Rows(columns, new FakeRows(columns, text), command));

    public void OnError(string sql, ErrorReport report) => Statements[sql] = _ => throw new AdapterException(report);

    public ValueTask<ISession> StartupAsync(StartupRequest request, CancellationToken cancel)
    {
        Started.Add(request);
        if (request.User == "nobody")
            throw new AdapterException(new ErrorReport("FATAL", "28000", "role \"nobody\" does not exist"));
        OpenSessions++;
        Session = new FakeSession(this);
        return ValueTask.FromResult<ISession>(Session);
    }

    public void CancelRequest(uint connectionId, uint secretKey) => Cancelled.Add((connectionId, secretKey));
}

internal sealed class FakeSession(FakeAdapter adapter) : ISession
{
    private readonly Dictionary<string, (string Sql, PreparedDescription Description)> _prepared = [];
    private readonly Dictionary<string, (string Prepared, string Sql, ExecuteResponse? Started)> _portals = [];

    public Queue<ErrorReport> Notices { get; } = [];

    public Queue<KeyValuePair<string, string>> Changes { get; } = [];

    public List<ValueArray<Datum>> Bound { get; } = [];

    public List<bool> Ends { get; } = [];

    public uint ConnectionId => 7;

    public uint SecretKey => 0xCAFEBABE;

    public TransactionStatus TransactionStatus { get; private set; }

    public IEnumerable<KeyValuePair<string, string>> ReportedParameters => [new("server_version", "9.5.0"), new("client_encoding", "UTF8")];

    public bool TryTakeNotice(out ErrorReport notice) => Notices.TryDequeue(out notice!);

    public bool TryTakeParameterChange(out KeyValuePair<string, string> change) => Changes.TryDequeue(out change);

    public IReadOnlyList<SimpleStatement> ParseSimple(string sql) =>
        sql.Contains("syntax error", StringComparison.Ordinal)
            ? throw new AdapterException(new ErrorReport("ERROR", "42601", "Expected a statement", Position: 3))
            : [.. sql.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(s => new FakeStatement(s))];

    public ValueTask<ExecuteResponse> ExecuteSimpleAsync(SimpleStatement statement, CancellationToken cancel) => RunAsync(((FakeStatement)statement).Sql, cancel);

    public ValueTask PrepareAsync(string name, string sql, IReadOnlyList<uint> parameterOids, CancellationToken cancel)
    {
        if (TransactionStatus == TransactionStatus.Failed && sql is not "ROLLBACK" and not "COMMIT")
            throw Aborted();
        if (sql.Contains("syntax error", StringComparison.Ordinal))
            throw Fail(new ErrorReport("ERROR", "42601", "Expected a statement"));
        if (name.Length > 0 && _prepared.ContainsKey(name))
            throw Fail(new ErrorReport("ERROR", "42P05", $"prepared statement \"{name}\" already exists"));
        _prepared[name] = (sql, adapter.Descriptions.GetValueOrDefault(sql) ?? new PreparedDescription([], null, sql.Length == 0));
        return ValueTask.CompletedTask;
    }

    public PreparedDescription DescribePrepared(string name) =>
        _prepared.TryGetValue(name, out var found)
            ? found.Description
            : throw Fail(new ErrorReport("ERROR", "26000", $"prepared statement \"{name}\" does not exist"));

    public void ClosePrepared(string name) => _prepared.Remove(name);

    public void Bind(string portal, string prepared, ValueArray<Datum> parameters)
    {
        Bound.Add(parameters);
        _portals[portal] = (prepared, _prepared[prepared].Sql, null);
    }

    public RelationDesc? DescribePortal(string portal) =>
        _portals.TryGetValue(portal, out var found) ? _prepared[found.Prepared].Description.Columns : throw NoPortal(portal);

    public void ClosePortal(string portal) => _portals.Remove(portal);

    public async ValueTask<ExecuteResponse> ExecuteAsync(string portal, CancellationToken cancel)
    {
        if (!_portals.TryGetValue(portal, out var found))
            throw NoPortal(portal);
        if (found.Started is { } started)
            return started;
        var response = await RunAsync(found.Sql, cancel);
        _portals[portal] = found with { Started = response };
        return response;
    }

    public ValueTask EndImplicitAsync(bool failed, CancellationToken cancel)
    {
        Ends.Add(failed);
        if (failed)
            FailTransaction();
        if (TransactionStatus == TransactionStatus.Idle)
            _portals.Clear();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        adapter.OpenSessions--;
        return ValueTask.CompletedTask;
    }

    private async ValueTask<ExecuteResponse> RunAsync(string sql, CancellationToken cancel)
    {
        if (TransactionStatus == TransactionStatus.Failed && sql is not "ROLLBACK" and not "COMMIT")
            throw Aborted();
        try
        {
            switch (sql)
            {
                case "":
                    return new ExecuteResponse.EmptyQuery();
                case "BEGIN":
                    TransactionStatus = TransactionStatus.InTransaction;
                    return new ExecuteResponse.Completed("BEGIN");
                case "COMMIT" or "ROLLBACK":
                    TransactionStatus = TransactionStatus.Idle;
                    return new ExecuteResponse.Completed(sql);
                default:
                    return adapter.Statements.TryGetValue(sql, out var run)
                        ? await run(cancel)
                        : throw new AdapterException(new ErrorReport("ERROR", "XX000", $"no such statement: {sql}", "A detail.", "A hint."));
            }
        }
        catch (AdapterException)
        {
            FailTransaction();
            throw;
        }
    }

    private AdapterException Fail(ErrorReport report)
    {
        FailTransaction();
        return new AdapterException(report);
    }

    private AdapterException NoPortal(string name) => Fail(new ErrorReport("ERROR", "34000", $"portal \"{name}\" does not exist"));

    private static AdapterException Aborted() => new(new ErrorReport("ERROR", "25P02", "current transaction is aborted"));

    private void FailTransaction()
    {
        if (TransactionStatus == TransactionStatus.InTransaction)
            TransactionStatus = TransactionStatus.Failed;
    }

    private sealed class FakeStatement(string sql) : SimpleStatement
    {
        public string Sql { get; } = sql;
    }
}

/// <summary>A result from text in COPY form, in pages of two rows.</summary>
internal sealed class FakeRows : IResultRows
{
    private readonly Queue<ResultPage> _pages = [];

    public FakeRows(RelationDesc columns, string text, int rowsInPage = 2)
    {
        Layout = RowLayout.For(columns.Type.Columns);
        var rows = CopyText.Decode(columns, text);
        foreach (var chunk in rows.Chunk(rowsInPage))
            _pages.Enqueue(CopyText.PageOf(chunk));
    }

    public RowLayout Layout { get; }

    public bool IsDisposed { get; private set; }

    public ValueTask<ResultPage?> NextAsync(CancellationToken cancel) =>
        ValueTask.FromResult(_pages.TryDequeue(out var page) ? page : null);

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }
}

/// <summary>A COPY's target that remembers.</summary>
internal sealed class FakeTarget : ICopyTarget
{
    public List<byte[]> Rows { get; } = [];

    public bool IsComplete { get; private set; }

    public bool IsAborted { get; private set; }

    public ValueTask AppendAsync(ResultPage rows, CancellationToken cancel)
    {
        for (var i = 0; i < rows.Count; i++)
            Rows.Add(rows.Row(i).ToArray());
        return ValueTask.CompletedTask;
    }

    public ValueTask<string> CompleteAsync(CancellationToken cancel)
    {
        IsComplete = true;
        return ValueTask.FromResult($"COPY {Rows.Count}");
    }

    public ValueTask AbortAsync()
    {
        IsAborted = true;
        return ValueTask.CompletedTask;
    }
}

/// <summary>Rows from and to COPY text, for tests that want to write rows down.</summary>
internal static class CopyText
{
    public static List<byte[]> Decode(RelationDesc columns, string text, CopyTextOptions? options = null)
    {
        var decoder = new CopyDecoder(columns, options ?? CopyTextOptions.TextDefault, 1 << 20);
        decoder.Feed(System.Text.Encoding.UTF8.GetBytes(text));
        decoder.Finish();
        return Take(decoder);
    }

    public static List<byte[]> Take(CopyDecoder decoder)
    {
        var rows = new List<byte[]>();
        while (decoder.TryTakePage(all: true, out var page))
        {
            var whole = new ResultPage(page.Data, page.Ends);
            for (var i = 0; i < whole.Count; i++)
                rows.Add(whole.Row(i).ToArray());
        }

        return rows;
    }

    public static ResultPage PageOf(IEnumerable<byte[]> rows)
    {
        var data = new List<byte>();
        var ends = new List<int>();
        foreach (var row in rows)
        {
            data.AddRange(row);
            ends.Add(data.Count);
        }

        return new ResultPage(data.ToArray(), ends.ToArray());
    }

    public static string Encode(RelationDesc columns, IEnumerable<byte[]> rows, CopyTextFormat format = CopyTextFormat.Text)
    {
        using var output = new WireBuffer();
        var encoder = CopyEncoder.For(RowLayout.For(columns.Type.Columns), format);
        foreach (var row in rows)
            encoder.WriteRow(row, output);
        return System.Text.Encoding.UTF8.GetString(output.Written);
    }
}
