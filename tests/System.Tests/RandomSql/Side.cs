using System.Diagnostics;
using System.Text;

namespace Materialize.SystemTests.RandomSql;

/// <summary>What a query gave: its rows as a sorted multiset of texts, or the error it failed with.</summary>
internal sealed record Answer(string[]? Rows, string State, string Message)
{
    public bool Equals(Answer? other) => other is not null && (Rows, other.Rows) switch
    {
        (null, null) => true,
        ({ } mine, { } theirs) => mine.SequenceEqual(theirs),
        _ => false,
    };

    public override int GetHashCode() => Rows?.Length ?? -1;

    public override string ToString() => Rows is null
        ? $"  {State}: {Message}\n"
        : Rows.Aggregate(new StringBuilder(), (text, row) => text.Append("  ").Append(row).Append('\n')).Append($"  ({Rows.Length} rows)\n").ToString();
}

/// <summary>One of the two systems, in a schema of its own. A connection that an error has closed is opened again.</summary>
/// <param name="open">Opens a connection.</param>
/// <param name="settings">Statements that each connection begins with.</param>
/// <param name="slowMs">A statement that takes so long is written to the standard error.</param>
internal sealed class Side(Func<Task<NpgsqlConnection>> open, string settings, long slowMs = long.MaxValue) : IAsyncDisposable
{
    private NpgsqlConnection? _connection;
    private string _schema = "public";

    /// <summary>Begins in a new schema; the one before goes.</summary>
    public async Task EnterAsync(string schema)
    {
        if (_schema != "public")
            await DoAsync($"DROP SCHEMA {_schema} CASCADE");
        await DoAsync($"CREATE SCHEMA {schema}");
        _schema = schema;
        await DoAsync($"SET search_path = {schema}");
    }

    public async Task DoAsync(params IEnumerable<string> statements)
    {
        foreach (var statement in statements)
        {
            if (await RunAsync(statement, null) is { Rows: null } error)
                throw new InvalidOperationException($"{error.State}: {error.Message}\nof: {statement}");
        }
    }

    /// <summary>The answer to a query whose columns have these types.</summary>
    public Task<Answer> AskAsync(string query, IReadOnlyList<Kind> kinds) => RunAsync(query, kinds);

    /// <summary>Runs a statement; its answer has no rows or is an error.</summary>
    public Task<Answer> TryAsync(string statement) => RunAsync(statement, null);

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
    }

    private async Task<Answer> RunAsync(string statement, IReadOnlyList<Kind>? kinds)
    {
        var clock = Stopwatch.StartNew();
        var answer = await AnswerAsync(statement, kinds);
        if (clock.ElapsedMilliseconds >= slowMs)
            await Console.Error.WriteLineAsync($"\n{clock.ElapsedMilliseconds} ms: {statement}");
        return answer;
    }

    private async Task<Answer> AnswerAsync(string statement, IReadOnlyList<Kind>? kinds)
    {
        try
        {
            await using var command = new NpgsqlCommand(statement, await ConnectionAsync()) { AllResultTypesAreUnknown = true };
            if (kinds is null)
            {
                await command.ExecuteNonQueryAsync();
                return new Answer([], "", "");
            }

            await using var reader = await command.ExecuteReaderAsync();
            var rows = new List<string>();
            while (await reader.ReadAsync())
                rows.Add(string.Join('|', kinds.Select((kind, i) => reader.IsDBNull(i) ? Sql.Null : Kinds.Normal(kind, reader.GetString(i)))));
            rows.Sort(StringComparer.Ordinal);
            return new Answer([.. rows], "", "");
        }
        catch (PostgresException e)
        {
            return new Answer(null, e.SqlState, e.MessageText);
        }
        catch (NpgsqlException e)
        {
            return new Answer(null, "connection", e.Message);
        }
    }

    private async Task<NpgsqlConnection> ConnectionAsync()
    {
        if (_connection?.FullState.HasFlag(System.Data.ConnectionState.Open) == true)
            return _connection;
        if (_connection is not null)
            await _connection.DisposeAsync();
        _connection = await open();
        await using var path = new NpgsqlCommand($"SET search_path = {_schema}; {settings}", _connection);
        await path.ExecuteNonQueryAsync();
        return _connection;
    }
}
