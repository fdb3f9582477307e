using System.Globalization;
using Materialize.Protocol;
using Npgsql;
using Npgsql.Replication;
using NpgsqlTypes;

namespace Materialize.Storage;

/// <summary>A published table as it is in the upstream's catalog.</summary>
/// <param name="Kind">r table, p partitioned.</param>
/// <param name="RowFilter">The publication's condition on rows; null if all are published.</param>
internal sealed record PublishedTable(Relation Relation, char Kind, string? RowFilter);

/// <summary>Connections to one upstream, and what its catalog says.</summary>
internal sealed class PostgresUpstream(SourceConnection.Postgres connection, TimeProvider time)
{
    private const int TakeAttempts = 100;
    private static readonly TimeSpan TakePause = TimeSpan.FromMilliseconds(50);

    // Text forms must not depend on how the server or role is configured.
    private const string Settings =
        "-c datestyle=ISO,MDY -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c timezone=UTC -c statement_timeout=0 -c search_path=pg_catalog";

    private const string TablesQuery = """
        SELECT n.nspname, c.relname, c.oid, c.relreplident, c.relkind, {0}, a.attname, a.atttypid, a.atttypmod
        FROM pg_publication_tables p
        JOIN pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' {1}
        WHERE p.pubname = $1
        ORDER BY c.oid, a.attnum
        """;

    public SourceConnection.Postgres Connection { get; } = connection;

    public async Task<NpgsqlConnection> OpenAsync(CancellationToken cancel)
    {
        var open = new NpgsqlConnection(Parameters());
        try
        {
            await open.OpenAsync(cancel);
            return open;
        }
        catch
        {
            await open.DisposeAsync();
            throw;
        }
    }

    public async Task<LogicalReplicationConnection> OpenReplicationAsync(CancellationToken cancel)
    {
        var open = new LogicalReplicationConnection(Parameters())
        {
            WalReceiverTimeout = TimeSpan.FromSeconds(30),
            WalReceiverStatusInterval = TimeSpan.FromSeconds(5),
        };
        try
        {
            await open.Open(cancel);
            return open;
        }
        catch
        {
            await open.DisposeAsync();
            throw;
        }
    }

    /// <summary>What is published, by oid, and where the upstream's log ends.</summary>
    public async Task<(IReadOnlyDictionary<uint, PublishedTable> Tables, ulong Lsn)> TablesAsync(NpgsqlConnection open, CancellationToken cancel)
    {
        // Read first: what the catalog says then is at least as new.
        await using var position = new NpgsqlCommand("SELECT pg_current_wal_lsn()::text", open);
        var lsn = (ulong)NpgsqlLogSequenceNumber.Parse((string)(await position.ExecuteScalarAsync(cancel))!);
        var hasFilters = open.PostgreSqlVersion.Major >= 15;
        var query = string.Format(
            CultureInfo.InvariantCulture, TablesQuery, hasFilters ? "p.rowfilter" : "NULL::text", hasFilters ? "AND a.attname = ANY (p.attnames)" : "");
        await using var command = new NpgsqlCommand(query, open) { Parameters = { new NpgsqlParameter { Value = Connection.Publication } } };
        await using var reader = await command.ExecuteReaderAsync(cancel);
        var tables = new Dictionary<uint, PublishedTable>();
        while (await reader.ReadAsync(cancel))
        {
            var oid = reader.GetFieldValue<uint>(2);
            if (!tables.TryGetValue(oid, out var table))
            {
                var relation = new Relation(oid, reader.GetString(0), reader.GetString(1), reader.GetChar(3), new List<RelationColumn>());
                tables[oid] = table = new PublishedTable(relation, reader.GetChar(4), await reader.IsDBNullAsync(5, cancel) ? null : reader.GetString(5));
            }

            ((List<RelationColumn>)table.Relation.Columns).Add(new RelationColumn(reader.GetString(6), reader.GetFieldValue<uint>(7), reader.GetInt32(8)));
        }

        return (tables, lsn);
    }

    /// <summary>The position that the slot has been confirmed to; null if it does not exist.</summary>
    /// <exception cref="SourceException">It exists and is not ours to use.</exception>
    public async Task<ulong?> SlotAsync(NpgsqlConnection open, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(
            "SELECT confirmed_flush_lsn::text, plugin, wal_status FROM pg_replication_slots WHERE slot_name = $1", open)
        {
            Parameters = { new NpgsqlParameter { Value = Connection.Slot } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancel);
        if (!await reader.ReadAsync(cancel))
            return null;
        if (await reader.IsDBNullAsync(1, cancel) || reader.GetString(1) != "pgoutput")
            throw new SourceException($"replication slot \"{Connection.Slot}\" does not use pgoutput");
        if (!await reader.IsDBNullAsync(2, cancel) && reader.GetString(2) == "lost")
            throw new SourceException($"replication slot \"{Connection.Slot}\" has lost changes that were not read yet", "Drop the source and create it again.");
        return await reader.IsDBNullAsync(0, cancel) ? 0 : (ulong)NpgsqlLogSequenceNumber.Parse(reader.GetString(0));
    }

    /// <summary>
    /// Ends whoever reads from the slot, so that it can be read from here: a connection of a process that is gone, which the server has yet
    /// to notice, or one of ours that did not let itself be closed. There is one ingestion of a source at a time, and it is the newest.
    /// </summary>
    public async Task TakeSlotAsync(NpgsqlConnection open, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL", open)
        {
            Parameters = { new NpgsqlParameter { Value = Connection.Slot } },
        };

        // The answer comes before the end. A process that hears the signal ends within moments, one that is writing to a dead peer later.
        for (var attempt = 0; await command.ExecuteScalarAsync(cancel) is not null; attempt++)
        {
            if (attempt == TakeAttempts)
                throw new SourceException($"replication slot \"{Connection.Slot}\" is in use by a connection that does not end");
            await Task.Delay(TakePause, time, cancel);
        }
    }

    /// <summary>Ends a connection of ours from the server's side.</summary>
    public async Task TerminateAsync(int process, CancellationToken cancel)
    {
        await using var open = await OpenAsync(cancel);
        await using var command = new NpgsqlCommand("SELECT pg_terminate_backend($1)", open) { Parameters = { new NpgsqlParameter { Value = process } } };
        await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>Drops the slot if it exists, and ends its user, if it has one.</summary>
    public async Task DropSlotAsync(CancellationToken cancel)
    {
        await using (var open = await OpenAsync(cancel))
            await TakeSlotAsync(open, cancel);
        await using var replication = await OpenReplicationAsync(cancel);
        try
        {
            await replication.DropReplicationSlot(Connection.Slot, wait: true, cancel);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UndefinedObject)
        {
            // As asked.
        }
    }

    /// <summary>Quoted for SQL.</summary>
    public static string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>What went wrong, for a person; names no secret.</summary>
    public static string Describe(Exception e) => e switch
    {
        PostgresException x => x.Detail is { Length: > 0 } detail && !x.IsTransient ? $"{x.MessageText} ({detail})" : x.MessageText,
        NpgsqlException { InnerException: { } inner } x when inner is not PostgresException => $"{x.Message}: {inner.Message}",
        NpgsqlException { InnerException: PostgresException inner } => inner.MessageText,
        _ => e.Message,
    };

    private string Parameters() => new NpgsqlConnectionStringBuilder
    {
        Host = Connection.Host,
        Port = Connection.Port,
        Username = Connection.User,
        Password = Connection.Password,
        Database = Connection.Database,
        SslMode = Enum.TryParse<SslMode>(Connection.SslMode.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var mode) ? mode : SslMode.Disable,
        Pooling = false,
        Timeout = 10,
        CommandTimeout = 0,

        // Cancelling breaks the connection at once: asking the server to cancel first may wait for an answer that never comes.
        CancellationTimeout = -1,
        KeepAlive = 0,
        TcpKeepAlive = true,
        ApplicationName = "materialize",
        Options = Settings,
    }.ConnectionString;
}
