using Materialize.Adapter;
using Materialize.Catalog;
using Materialize.Protocol;
using Npgsql;

namespace Materialize.Environmentd;

/// <summary>Reads what a publication covers from the upstream's catalog.</summary>
internal sealed class PostgresInspector : IUpstreamInspector
{
    private const string ColumnsQuery = """
        SELECT n.nspname, c.relname, c.oid, a.attname, a.atttypid, a.atttypmod, NOT a.attnotnull
        FROM pg_publication_tables p
        JOIN pg_namespace n ON n.nspname = p.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        WHERE p.pubname = $1
        ORDER BY n.nspname, c.relname, a.attnum
        """;

    public async Task<IReadOnlyList<UpstreamTable>> PublishedTablesAsync(SourceConnection.Postgres connection, CancellationToken cancel)
    {
        try
        {
            await using var source = NpgsqlDataSource.Create(ConnectionString(connection));
            await using var open = await source.OpenConnectionAsync(cancel);
            await CheckAsync(open, connection.Publication, cancel);
            await using var command = new NpgsqlCommand(ColumnsQuery, open) { Parameters = { new NpgsqlParameter { Value = connection.Publication } } };
            await using var reader = await command.ExecuteReaderAsync(cancel);
            var tables = new List<UpstreamTable>();
            while (await reader.ReadAsync(cancel))
            {
                var (schema, name, oid) = (reader.GetString(0), reader.GetString(1), reader.GetFieldValue<uint>(2));
                var column = new UpstreamTableColumn(reader.GetString(3), reader.GetFieldValue<uint>(4), reader.GetInt32(5), reader.GetBoolean(6));
                if (tables.LastOrDefault() is not { } last || last.Oid != oid)
                    tables.Add(new UpstreamTable(schema, name, oid, [column]));
                else
                    tables[^1] = last with { Columns = [.. last.Columns, column] };
            }

            return tables;
        }
        catch (Exception e) when (e is NpgsqlException or IOException or System.Net.Sockets.SocketException or TimeoutException)
        {
            throw new UpstreamException($"failed to connect to PostgreSQL at {connection.Host}:{connection.Port}: {e.Message}");
        }
    }

    private static async Task CheckAsync(NpgsqlConnection open, string publication, CancellationToken cancel)
    {
        await using var level = new NpgsqlCommand("SHOW wal_level", open);
        if (await level.ExecuteScalarAsync(cancel) is not "logical")
            throw new UpstreamException("wal_level of the PostgreSQL server is not logical", "Set wal_level = logical in postgresql.conf and restart the server.");
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_publication WHERE pubname = $1", open) { Parameters = { new NpgsqlParameter { Value = publication } } };
        if (await exists.ExecuteScalarAsync(cancel) is null)
            throw new UpstreamException($"publication \"{publication}\" does not exist", $"Run CREATE PUBLICATION {publication} FOR ALL TABLES upstream.");
    }

    private static string ConnectionString(SourceConnection.Postgres connection) => new NpgsqlConnectionStringBuilder
    {
        Host = connection.Host,
        Port = connection.Port,
        Username = connection.User,
        Password = connection.Password,
        Database = connection.Database,
        SslMode = Enum.TryParse<SslMode>(connection.SslMode.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var mode) ? mode : SslMode.Disable,
        Pooling = false,
        Timeout = 10,
    }.ConnectionString;
}
