using Materialize.Interchange;
using Materialize.Persist;
using Materialize.Repr;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;

namespace Materialize.Storage;

/// <summary>The tables of one upstream as they were at the moment a replication slot was made.</summary>
internal sealed class SnapshotReader : IAsyncDisposable
{
    private const int RowBytesMax = 1 << 30;
    private readonly PostgresUpstream _upstream;
    private readonly NpgsqlConnection _connection;

    private SnapshotReader(PostgresUpstream upstream, NpgsqlConnection connection, ulong lsn, IReadOnlyDictionary<uint, PublishedTable> tables)
    {
        _upstream = upstream;
        _connection = connection;
        Lsn = lsn;
        Tables = tables;
    }

    /// <summary>Everything that committed before this is in the snapshot, and nothing else.</summary>
    public ulong Lsn { get; }

    /// <summary>What was published, by oid.</summary>
    public IReadOnlyDictionary<uint, PublishedTable> Tables { get; }

    /// <summary>Makes a slot and a transaction that sees the database at its beginning.</summary>
    /// <param name="replication">Free for other use afterwards. Of a temporary slot: to be closed then.</param>
    public static async Task<SnapshotReader> BeginAsync(
        PostgresUpstream upstream, LogicalReplicationConnection replication, string slot, bool isTemporary, IReadOnlyCollection<uint> oids, CancellationToken cancel)
    {
        var made = await replication.CreatePgOutputReplicationSlot(slot, isTemporary, LogicalSlotSnapshotInitMode.Export, cancellationToken: cancel);
        var connection = await upstream.OpenAsync(cancel);
        try
        {
            await ExecuteAsync(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancel);
            await ExecuteAsync(connection, $"SET TRANSACTION SNAPSHOT '{made.SnapshotName}'", cancel);
            var (tables, _) = await upstream.TablesAsync(connection, cancel);

            // TRUNCATE and rewrites by ALTER TABLE show through snapshots; readers that hold a lock keep them out.
            foreach (var oid in oids.Where(tables.ContainsKey))
                await ExecuteAsync(connection, $"LOCK TABLE {NameOf(tables[oid])} IN ACCESS SHARE MODE", cancel);
            return new SnapshotReader(upstream, connection, (ulong)made.ConsistentPoint, tables);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>All rows of an export's table, staged at no time yet. One call at a time.</summary>
    /// <exception cref="DefiniteException">The table is not as it was planned, or a value has no place in its column.</exception>
    public async Task<IReadOnlyList<StagedBatch>> ReadAsync(ExportWriter export, CancellationToken cancel)
    {
        var planned = export.Export;
        if (!Tables.TryGetValue(planned.UpstreamOid, out var table))
            throw new DefiniteException($"{TableColumns.NameOf(planned)} was dropped upstream or is no longer in the publication");
        using (new TableColumns(planned, table.Relation))
        {
            // Only for its checks.
        }

        var columns = string.Join(", ", planned.Columns.Select(c => PostgresUpstream.Quote(c.Name)));
        var only = table.Kind == 'r' ? "ONLY " : "";
        var where = table.RowFilter is { } filter ? $" WHERE {filter}" : "";
        var query = $"COPY (SELECT {columns} FROM {only}{NameOf(table)}{where}) TO STDOUT";
        var staged = export.NewStaged();
        try
        {
            using var text = (StreamReader)await _connection.BeginTextExportAsync(query, cancel);
            var decoder = new CopyDecoder(planned.Metadata.Desc, CopyTextOptions.TextDefault, RowBytesMax);
            var buffer = new byte[64 * 1024];
            InterchangeException? bad = null;
            while (true)
            {
                var read = await text.BaseStream.ReadAsync(buffer, cancel);
                if (read == 0)
                    break;
                export.BytesReceived += (ulong)read;

                // Bad data is read to its end: the transaction must live for the tables that follow.
                if (bad is not null)
                    continue;
                try
                {
                    decoder.Feed(buffer.AsSpan(0, read));
                    await DrainAsync(all: false);
                }
                catch (InterchangeException e)
                {
                    bad = e;
                }
            }

            if (bad is not null)
                throw bad;
            decoder.Finish();
            await DrainAsync(all: true);
            return await staged.FinishAsync(cancel) is { } batch ? [batch] : [];

            async Task DrainAsync(bool all)
            {
                while (decoder.TryTakePage(all, out var page))
                {
                    AddPage(page);
                    if (staged.IsFull)
                        await staged.SpillAsync(cancel);
                }
            }
        }
        catch (InterchangeException e)
        {
            await staged.AbandonAsync();
            throw new DefiniteException($"{TableColumns.NameOf(planned)}: {e.Message}", e.Context);
        }
        catch
        {
            await staged.AbandonAsync();
            throw;
        }

        void AddPage(CopyPage page)
        {
            var start = 0;
            foreach (var end in page.Ends.Span)
            {
                staged.Add(page.Data.Span[start..end], 1);
                start = end;
                export.MessagesReceived++;
            }
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static string NameOf(PublishedTable table) =>
        $"{PostgresUpstream.Quote(table.Relation.Schema)}.{PostgresUpstream.Quote(table.Relation.Name)}";

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancel);
    }
}
