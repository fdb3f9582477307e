namespace Materialize.SystemTests.Queries;

/// <summary>mz_introspection tells what the replica of the active cluster runs, through SQL.</summary>
public sealed class IntrospectionTests(SharedServer server)
{
    private static readonly string[] Relations =
    [
        "mz_active_peeks", "mz_active_peeks_per_worker", "mz_arrangement_batcher_allocations_raw", "mz_arrangement_sharing", "mz_arrangement_sharing_per_worker",
        "mz_arrangement_sizes", "mz_arrangement_sizes_per_worker", "mz_compute_dataflow_global_ids_per_worker", "mz_compute_exports",
        "mz_compute_exports_per_worker", "mz_compute_frontiers", "mz_compute_frontiers_per_worker", "mz_compute_import_frontiers",
        "mz_compute_import_frontiers_per_worker", "mz_compute_operator_durations_histogram", "mz_compute_operator_durations_histogram_per_worker",
        "mz_dataflow_addresses", "mz_dataflow_addresses_per_worker", "mz_dataflow_arrangement_sizes", "mz_dataflow_channel_operators",
        "mz_dataflow_channel_operators_per_worker", "mz_dataflow_channels", "mz_dataflow_channels_per_worker", "mz_dataflow_global_ids",
        "mz_dataflow_operator_dataflows", "mz_dataflow_operator_dataflows_per_worker", "mz_dataflow_operator_parents",
        "mz_dataflow_operator_parents_per_worker", "mz_dataflow_operators", "mz_dataflow_operators_per_worker", "mz_dataflows", "mz_dataflows_per_worker",
        "mz_message_counts", "mz_message_counts_per_worker", "mz_peek_durations_histogram", "mz_peek_durations_histogram_per_worker",
        "mz_records_per_dataflow", "mz_records_per_dataflow_operator", "mz_records_per_dataflow_operator_per_worker", "mz_records_per_dataflow_per_worker",
        "mz_scheduling_elapsed", "mz_scheduling_elapsed_per_worker",
    ];

    [Fact]
    public async Task Logs_tell_of_an_index_its_operators_its_rows_and_its_frontier()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            "CREATE TABLE t (k int, v text)",
            "CREATE VIEW w AS SELECT k, count(*) AS c FROM t GROUP BY k",
            "CREATE INDEX w_by_k ON w (k)",
            "INSERT INTO t SELECT x % 100, 'v' || x::text FROM generate_series(1, 5000) AS x");
        Assert.Equal("100", await sql.OneAsync("SELECT count(*) FROM w"));
        var index = await sql.OneAsync("SELECT id FROM mz_catalog.mz_indexes WHERE name = 'w_by_k' ORDER BY oid DESC LIMIT 1");

        // The index's dataflow, its operators and what they keep. Logs may be a second old.
        await Eventually.HoldsAsync("the index is among the exports, with its rows", async () => await sql.OneAsync(
            $"""
            SELECT coalesce(max(r.records), 0) >= 200
            FROM mz_introspection.mz_compute_exports e JOIN mz_introspection.mz_records_per_dataflow r ON r.id = e.dataflow_id WHERE e.export_id = '{index}'
            """) == "t");
        var dataflow = await sql.OneAsync($"SELECT dataflow_id FROM mz_introspection.mz_compute_exports WHERE export_id = '{index}'");
        Assert.Contains("w_by_k", await sql.OneAsync($"SELECT name FROM mz_introspection.mz_dataflows WHERE id = {dataflow}"));
        var operators = await sql.NumberAsync($"SELECT count(*) FROM mz_introspection.mz_dataflow_operator_dataflows WHERE dataflow_id = {dataflow}");
        Assert.InRange(operators, 6, 100);
        Assert.Equal(operators - 1, await sql.NumberAsync(
            $"SELECT count(*) FROM mz_introspection.mz_dataflow_addresses a JOIN mz_introspection.mz_dataflow_operators o ON a.id = o.id WHERE a.address[1] = {dataflow} AND list_length(a.address) = 2"));
        Assert.Equal(operators - 1, await sql.NumberAsync(
            $"SELECT count(*) FROM mz_introspection.mz_dataflow_operator_parents p JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = p.id WHERE d.dataflow_id = {dataflow}"));
        Assert.InRange(await sql.NumberAsync(
            $"SELECT count(*) FROM mz_introspection.mz_dataflow_channel_operators c JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = c.to_operator_id WHERE d.dataflow_id = {dataflow}"), operators - 3, 200);

        // A hundred accumulators, a hundred rows of the index.
        Assert.InRange(await sql.NumberAsync($"SELECT records FROM mz_introspection.mz_records_per_dataflow WHERE id = {dataflow}"), 200, 1000);
        Assert.Equal("1", await sql.OneAsync(
            $"""
            SELECT count(*) FROM mz_introspection.mz_arrangement_sizes s JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = s.operator_id
            WHERE d.dataflow_id = {dataflow} AND d.name LIKE 'arrange' AND s.records = 100 AND s.size > 0 AND s.capacity >= s.size AND s.batches >= 1
            """));
        Assert.InRange(await sql.NumberAsync(
            $"SELECT max(count) FROM mz_introspection.mz_arrangement_sharing s JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = s.operator_id WHERE d.dataflow_id = {dataflow}"), 1, 10);

        // All 5000 rows went through some channel, and each that was sent was received.
        Assert.Equal("5000|5000", await sql.OneAsync(
            $"""
            SELECT max(m.sent), max(m.received) FROM mz_introspection.mz_message_counts m
            JOIN mz_introspection.mz_dataflow_channel_operators c ON c.id = m.channel_id
            JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = c.to_operator_id WHERE d.dataflow_id = {dataflow}
            """));

        // Time passes in operators and frontiers from now on.
        await sql.DoAsync("INSERT INTO t VALUES (1, 'more')");
        await Eventually.HoldsAsync("time is spent in operators", async () => await sql.NumberAsync(
            $"SELECT coalesce(sum(elapsed_ns), 0)::int8 FROM mz_introspection.mz_scheduling_elapsed e JOIN mz_introspection.mz_dataflow_operator_dataflows d ON d.id = e.id WHERE d.dataflow_id = {dataflow}") > 0);
        var frontier = $"SELECT time::text::int8 FROM mz_introspection.mz_compute_frontiers WHERE export_id = '{index}'";
        var before = await sql.NumberAsync(frontier);
        await Eventually.HoldsAsync("the frontier moves", async () => await sql.NumberAsync(frontier) > before);
        Assert.InRange(await sql.NumberAsync($"SELECT count(*) FROM mz_introspection.mz_compute_import_frontiers WHERE export_id = '{index}'"), 1, 1);
        Assert.InRange(await sql.NumberAsync("SELECT sum(count)::int8 FROM mz_introspection.mz_peek_durations_histogram"), 1, 1_000_000);
    }

    [Fact]
    public async Task Every_relation_can_be_read_and_a_dropped_dataflow_leaves_them()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (k int)", "CREATE INDEX gone_soon ON t (k)");
        Assert.Equal("0", await sql.OneAsync("SELECT count(*) FROM t"));
        foreach (var relation in Relations)
            await sql.RowsAsync($"SELECT * FROM mz_introspection.{relation}");
        var named = "SELECT count(*) FROM mz_introspection.mz_dataflows WHERE name LIKE '%gone_soon%'";
        await Eventually.HoldsAsync("the dataflow is named", async () => await sql.OneAsync(named) == "1");
        await sql.DoAsync("DROP INDEX gone_soon");
        await Eventually.HoldsAsync("the dropped dataflow goes", async () => await sql.OneAsync(named) == "0");
    }

    [Fact]
    public async Task A_waiting_peek_is_an_active_one_and_logs_can_be_subscribed_to()
    {
        await using var sql = await server.OpenAsync();
        await sql.DoAsync("CREATE TABLE t (k int)", "CREATE INDEX waited_for ON t (k)");
        Assert.Equal("0", await sql.OneAsync("SELECT count(*) FROM t"));
        var index = await sql.OneAsync("SELECT id FROM mz_catalog.mz_indexes WHERE name = 'waited_for'");
        await using var waiting = await server.OpenBesideAsync(sql);
        using var stop = new CancellationTokenSource();
        await using var command = new NpgsqlCommand("SELECT * FROM t AS OF 18000000000000000000", waiting.Connection);
        var read = command.ExecuteNonQueryAsync(stop.Token);
        await Eventually.HoldsAsync("the peek is seen waiting", async () => await sql.OneAsync(
            $"SELECT count(*) FROM mz_introspection.mz_active_peeks WHERE object_id = '{index}' AND type = 'index'") == "1");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        await Eventually.HoldsAsync("the cancelled peek goes", async () => await sql.OneAsync($"SELECT count(*) FROM mz_introspection.mz_active_peeks WHERE object_id = '{index}'") == "0");

        await sql.DoAsync("BEGIN", "DECLARE c CURSOR FOR SUBSCRIBE (SELECT name FROM mz_introspection.mz_dataflows WHERE name LIKE '%made_meanwhile%')");
        await using var other = await server.OpenBesideAsync(sql);
        await other.DoAsync("CREATE INDEX made_meanwhile ON t (k)");
        var row = await sql.OneAsync("FETCH 1 c");
        Assert.Contains("made_meanwhile", row);
        await sql.DoAsync("ROLLBACK");
    }

    [Fact]
    public async Task What_is_maintained_cannot_depend_on_logs_and_one_replica_must_be_meant()
    {
        await using var sql = await server.OpenAsync();
        Assert.Equal("0A000", (await sql.FailsAsync("CREATE MATERIALIZED VIEW m AS SELECT name FROM mz_introspection.mz_dataflow_operators")).SqlState);
        await sql.DoAsync("CREATE CLUSTER two_replicas (SIZE = '1', REPLICATION FACTOR = 2)", "SET cluster = two_replicas");
        Assert.Contains("must target a replica", (await sql.FailsAsync("SELECT * FROM mz_introspection.mz_dataflows")).MessageText);
        await sql.DoAsync("RESET cluster", "DROP CLUSTER two_replicas");
    }
}
