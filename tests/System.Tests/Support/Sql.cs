using System.Globalization;

namespace Materialize.SystemTests.Support;

/// <summary>A connection with results as text: rows of <c>a|b|∅</c>.</summary>
internal sealed class Sql(NpgsqlConnection connection) : IAsyncDisposable
{
    public const string Null = "∅";

    public NpgsqlConnection Connection { get; } = connection;

    public async Task DoAsync(params string[] statements)
    {
        foreach (var statement in statements)
        {
            try
            {
                await using var command = new NpgsqlCommand(statement, Connection);
                await command.ExecuteNonQueryAsync();
            }
            catch (PostgresException e)
            {
                e.Data["statement"] = statement;
                throw new InvalidOperationException($"{e.SqlState}: {e.MessageText}\nof: {statement}", e);
            }
        }
    }

    /// <summary>Rows in the order of arrival.</summary>
    public async Task<string[]> RowsAsync(string query)
    {
        try
        {
            await using var command = new NpgsqlCommand(query, Connection) { AllResultTypesAreUnknown = true };
            await using var reader = await command.ExecuteReaderAsync();
            var rows = new List<string>();
            while (await reader.ReadAsync())
                rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? Null : reader.GetString(i))));
            return [.. rows];
        }
        catch (PostgresException e)
        {
            throw new InvalidOperationException($"{e.SqlState}: {e.MessageText}\nof: {query}", e);
        }
    }

    /// <summary>Rows as a multiset: sorted.</summary>
    public async Task<string[]> BagAsync(string query) => [.. (await RowsAsync(query)).Order(StringComparer.Ordinal)];

    public async Task<string> OneAsync(string query) => Assert.Single(await RowsAsync(query));

    public async Task<long> NumberAsync(string query) => long.Parse(await OneAsync(query), CultureInfo.InvariantCulture);

    /// <summary>The schema that unqualified names mean, if one was made for this connection.</summary>
    public string? Schema { get; init; }

    /// <summary>
    /// Runs what must fail. After states of class XX, which planning errors and lost data have, Npgsql gives its connection up: it is opened again.
    /// </summary>
    public async Task<PostgresException> FailsAsync(string statement)
    {
        await using var command = new NpgsqlCommand(statement, Connection);
        var error = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync());
        if (Connection.FullState.HasFlag(System.Data.ConnectionState.Open))
            return error;
        Assert.StartsWith("XX", error.SqlState, StringComparison.Ordinal);
        await Connection.CloseAsync();
        await Connection.OpenAsync();
        if (Schema is not null)
            await DoAsync($"SET search_path = {Schema}");
        return error;
    }

    public ValueTask DisposeAsync() => Connection.DisposeAsync();
}
