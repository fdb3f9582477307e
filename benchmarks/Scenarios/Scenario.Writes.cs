using System.Diagnostics;
using System.Text;
using Npgsql;

namespace Materialize.Scenarios;

/// <summary>INSERT until seen, INSERTs side by side, COPY, SUBSCRIBE and the memory of an index.</summary>
internal static class WriteScenarios
{
    /// <summary>One row is inserted; the next begins when a SUBSCRIBE on a materialized view has shown it.</summary>
    public static async Task<IEnumerable<Figure>> InsertToSubscribeAsync(SystemUnderTest system, Sizes sizes)
    {
        await using var writer = await system.ConnectAsync();
        await ReadScenarios.ExecuteAsync(writer, "CREATE TABLE events (k int8, v int8)");
        await ReadScenarios.ExecuteAsync(writer, "CREATE MATERIALIZED VIEW totals AS SELECT k % 10 AS bucket, count(*) AS n, sum(v) AS total FROM events GROUP BY k % 10");
        await using var listener = await system.ConnectAsync();
        await ReadScenarios.ExecuteAsync(listener, "BEGIN");
        await ReadScenarios.ExecuteAsync(listener, "DECLARE c CURSOR FOR SUBSCRIBE totals");
        await using var fetch = new NpgsqlCommand("FETCH ALL c", listener);
        await using var insert = new NpgsqlCommand("INSERT INTO events VALUES ($1, $2)", writer);
        insert.Parameters.Add(new NpgsqlParameter<long>());
        insert.Parameters.Add(new NpgsqlParameter<long>());
        await insert.PrepareAsync();
        var (all, statements) = (new List<double>(), new List<double>());
        for (var i = 0; i < sizes.Inserts; i++)
        {
            var start = Stopwatch.GetTimestamp();
            ((NpgsqlParameter<long>)insert.Parameters[0]).TypedValue = i;
            ((NpgsqlParameter<long>)insert.Parameters[1]).TypedValue = 1;
            await insert.ExecuteNonQueryAsync();
            statements.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);

            // The row of this bucket with its new count: one more than all the rounds before gave it.
            for (var seen = false; !seen;)
            {
                await using var reader = await fetch.ExecuteReaderAsync();
                while (await reader.ReadAsync())
                    seen |= reader.GetInt64(1) > 0 && reader.GetInt64(2) == i % 10 && reader.GetInt64(3) == (i / 10) + 1;
            }

            all.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        // The first ones compile what the others use.
        return
        [
            new Figure("INSERT → SUBSCRIBE on a materialized view", $"p50 {new Latencies(all.Skip(all.Count / 10)).At(0.5):0.0} ms", new Latencies(all.Skip(all.Count / 10)).ToString()),
            new Figure("  of which the INSERT statement", "", new Latencies(statements.Skip(all.Count / 10)).ToString()),
        ];
    }

    public static async Task<IEnumerable<Figure>> ParallelInsertsAsync(SystemUnderTest system, Sizes sizes)
    {
        var connections = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => system.ConnectAsync()));
        await ReadScenarios.ExecuteAsync(connections[0], "CREATE TABLE inserted (c int8, i int8)");
        var commands = new List<NpgsqlCommand>();
        foreach (var connection in connections)
        {
            var command = new NpgsqlCommand("INSERT INTO inserted VALUES ($1, $2)", connection);
            command.Parameters.Add(new NpgsqlParameter<long>());
            command.Parameters.Add(new NpgsqlParameter<long>());
            await command.PrepareAsync();
            commands.Add(command);
        }

        async Task OneAsync(int connection, int operation)
        {
            ((NpgsqlParameter<long>)commands[connection].Parameters[0]).TypedValue = connection;
            ((NpgsqlParameter<long>)commands[connection].Parameters[1]).TypedValue = operation;
            await commands[connection].ExecuteNonQueryAsync();
        }

        var warm = await Load.RunAsync(16, sizes.WarmUp, OneAsync);
        var (rate, latencies) = await Load.RunAsync(16, sizes.Duration, OneAsync);
        await using (var count = new NpgsqlCommand("SELECT count(*) FROM inserted", connections[0]))
            Expect(warm.Latencies.Count + latencies.Count, (long)(await count.ExecuteScalarAsync())!, "inserted rows");
        foreach (var connection in connections)
            await connection.DisposeAsync();
        return [new Figure("INSERT of one row a statement, 16 connections", Load.PerSecond(rate), latencies.ToString())];
    }

    public static async Task<IEnumerable<Figure>> BulkAsync(SystemUnderTest system, Sizes sizes)
    {
        await using var connection = await system.ConnectAsync();
        await ReadScenarios.ExecuteAsync(connection, "CREATE TABLE bulk (id int8, g int8, s text)");
        var data = new StringBuilder();
        for (var i = 0; i < sizes.BulkRows; i++)
            data.Append(i).Append('\t').Append(i * 31L % 1000).Append("\ttext").Append((i % 100_000_000).ToString("D8", System.Globalization.CultureInfo.InvariantCulture)).Append('\n');
        var bytes = Encoding.UTF8.GetBytes(data.ToString());
        var clock = Stopwatch.StartNew();
        await using (var copy = (StreamWriter)await connection.BeginTextImportAsync("COPY bulk FROM STDIN"))
            await copy.BaseStream.WriteAsync(bytes);
        var copied = clock.Elapsed.TotalSeconds;
        await using (var count = new NpgsqlCommand("SELECT count(*) FROM bulk", connection))
            Expect(sizes.BulkRows, (long)(await count.ExecuteScalarAsync())!, "copied rows");
        var figures = new List<Figure> { new($"COPY FROM STDIN, {sizes.BulkRows:#,0} rows", Load.PerSecond(sizes.BulkRows / copied), $"{copied:0.00} s, {bytes.Length >> 20} MiB") };

        clock.Restart();
        var (rows, received) = (0L, 0L);
        using (var subscribed = (NpgsqlCopyTextReader)await connection.BeginTextExportAsync("COPY (SUBSCRIBE bulk WITH (progress = false)) TO STDOUT"))
        {
            var buffer = new byte[1 << 16];
            while (rows < sizes.BulkRows)
            {
                var read = await subscribed.BaseStream.ReadAsync(buffer.AsMemory(), CancellationToken.None);
                if (read == 0)
                    break;
                received += read;
                rows += buffer.AsSpan(0, read).Count((byte)'\n');
            }

            await subscribed.CancelAsync();
        }

        Expect(sizes.BulkRows, rows, "subscribed rows");
        figures.Add(new Figure("SUBSCRIBE output (COPY text)", Load.PerSecond(rows / clock.Elapsed.TotalSeconds), $"{clock.Elapsed.TotalSeconds:0.00} s, {received >> 20} MiB"));

        await using var fresh = await system.ConnectAsync();
        var before = system.ResidentBytes();
        clock.Restart();
        await ReadScenarios.ExecuteAsync(fresh, "CREATE INDEX bulk_id ON bulk (id)");
        await using (var last = new NpgsqlCommand($"SELECT s FROM bulk WHERE id = {sizes.BulkRows - 1}", fresh))
        {
            if (await last.ExecuteScalarAsync() is not string)
                throw new InvalidOperationException("the index lacks a row");
        }

        var hydrated = clock.Elapsed.TotalSeconds;
        var after = system.ResidentBytes();
        figures.Add(new Figure(
            $"index on (int8, int8, text of 12), {sizes.BulkRows:#,0} rows",
            $"{(after.Clusterds - before.Clusterds) / (double)sizes.BulkRows:0.0} B/row",
            $"clusterds {before.Clusterds >> 20} → {after.Clusterds >> 20} MiB, environmentd {after.Environmentd >> 20} MiB; hydrated in {hydrated:0.00} s, {Load.PerSecond(sizes.BulkRows / hydrated)}"));
        return figures;
    }

    private static void Expect(long expected, long actual, string what)
    {
        if (expected != actual)
            throw new InvalidOperationException($"{actual} {what} instead of {expected}");
    }
}
