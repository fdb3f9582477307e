namespace Materialize.Catalog;

/// <summary>mz_introspection: what each replica tells of itself. Columns: reference, system-catalog §6.</summary>
/// <remarks>
/// Logs are kept by clusterd (src/Compute/Logging). In those ending in _raw a quantity is the multiplicity of the row; views count it. Each
/// *_per_worker relation has a companion for the whole replica: for what is the same at all workers, that of worker 0.
/// </remarks>
public static partial class Builtins
{
    private const string Introspection = "mz_introspection";
    private const string PerOperator = "operator_id uint8, worker_id uint8";
    private const string PerChannel = "channel_id uint8, from_worker_id uint8, to_worker_id uint8";

    /// <summary>Every log, in id order.</summary>
    public static IReadOnlyList<Builtin.Log> Logs { get; } =
    [
        Log(400, "mz_dataflow_operators_per_worker", "id uint8, worker_id uint8, name text"),
        Log(401, "mz_dataflow_addresses_per_worker", "id uint8, worker_id uint8, address uint8 list"),
        Log(
            402,
            "mz_dataflow_channels_per_worker",
            "id uint8, worker_id uint8, from_index uint8, from_port uint8, to_index uint8, to_port uint8, type text"),
        Log(403, "mz_scheduling_elapsed_raw", "id uint8, worker_id uint8"),
        Log(404, "mz_compute_operator_durations_histogram_raw", "id uint8, worker_id uint8, duration_ns uint8"),
        Log(405, "mz_arrangement_records_raw", PerOperator),
        Log(406, "mz_arrangement_batches_raw", PerOperator),
        Log(407, "mz_arrangement_heap_size_raw", PerOperator),
        Log(408, "mz_arrangement_heap_capacity_raw", PerOperator),
        Log(409, "mz_arrangement_heap_allocations_raw", PerOperator),
        Log(410, "mz_arrangement_batcher_records_raw", PerOperator),
        Log(411, "mz_arrangement_batcher_size_raw", PerOperator),
        Log(412, "mz_arrangement_batcher_capacity_raw", PerOperator),
        Log(413, "mz_arrangement_batcher_allocations_raw", PerOperator),
        Log(414, "mz_arrangement_sharing_raw", PerOperator),
        Log(415, "mz_message_counts_sent_raw", PerChannel),
        Log(416, "mz_message_counts_received_raw", PerChannel),
        Log(417, "mz_message_batch_counts_sent_raw", PerChannel),
        Log(418, "mz_message_batch_counts_received_raw", PerChannel),
        Log(419, "mz_compute_exports_per_worker", "export_id text, worker_id uint8, dataflow_id uint8"),
        Log(420, "mz_compute_dataflow_global_ids_per_worker", "id uint8, worker_id uint8, global_id text"),
        Log(421, "mz_compute_frontiers_per_worker", "export_id text, worker_id uint8, time mz_timestamp"),
        Log(422, "mz_compute_import_frontiers_per_worker", "export_id text, import_id text, worker_id uint8, time mz_timestamp"),
        Log(423, "mz_active_peeks_per_worker", "id uuid, worker_id uint8, object_id text, type text, time mz_timestamp"),
        Log(424, "mz_peek_durations_histogram_raw", "worker_id uint8, type text, duration_ns uint8"),
    ];

    private static Builtin.Log Log(ulong number, string name, string columns) =>
        new(number, 16_600 + (uint)number, Introspection, name, ParseColumns(columns));

    private static IEnumerable<Builtin.View> IntrospectionViews()
    {
        const string sizes = "records, batches, size, capacity, allocations";
        return
        [
            .. OfWorkerZero(440, "mz_dataflow_operators", "id, name"),
            .. OfWorkerZero(441, "mz_dataflow_addresses", "id, address"),
            .. OfWorkerZero(442, "mz_dataflow_channels", "id, from_index, from_port, to_index, to_port, type"),
            .. OfWorkerZero(443, "mz_compute_exports", "export_id, dataflow_id"),
            .. OfWorkerZero(444, "mz_active_peeks", "id, object_id, type, time"),
            InView(
                445,
                "mz_compute_frontiers",
                "SELECT export_id, pg_catalog.min(time) AS time FROM mz_introspection.mz_compute_frontiers_per_worker GROUP BY export_id"),
            InView(
                446,
                "mz_compute_import_frontiers",
                """
                SELECT export_id, import_id, pg_catalog.min(time) AS time
                FROM mz_introspection.mz_compute_import_frontiers_per_worker GROUP BY export_id, import_id
                """),
            InView(
                447,
                "mz_dataflows_per_worker",
                """
                SELECT a.address[1] AS id, o.worker_id, o.name
                FROM mz_introspection.mz_dataflow_addresses_per_worker a
                JOIN mz_introspection.mz_dataflow_operators_per_worker o ON o.id = a.id AND o.worker_id = a.worker_id
                WHERE mz_catalog.list_length(a.address) = 1
                """),
            .. OfWorkerZero(448, "mz_dataflows", "id, name"),
            InView(
                449,
                "mz_dataflow_operator_dataflows_per_worker",
                """
                SELECT o.id, o.name, o.worker_id, d.id AS dataflow_id, d.name AS dataflow_name
                FROM mz_introspection.mz_dataflow_operators_per_worker o
                JOIN mz_introspection.mz_dataflow_addresses_per_worker a ON o.id = a.id AND o.worker_id = a.worker_id
                JOIN mz_introspection.mz_dataflows_per_worker d ON d.id = a.address[1] AND d.worker_id = a.worker_id
                """),
            .. OfWorkerZero(450, "mz_dataflow_operator_dataflows", "id, name, dataflow_id, dataflow_name"),
            InView(
                451,
                "mz_dataflow_operator_parents_per_worker",
                """
                SELECT a.id, p.id AS parent_id, a.worker_id
                FROM mz_introspection.mz_dataflow_addresses_per_worker a
                JOIN mz_introspection.mz_dataflow_operators_per_worker o ON o.id = a.id AND o.worker_id = a.worker_id
                JOIN mz_introspection.mz_dataflow_addresses_per_worker p ON p.address[1] = a.address[1] AND p.worker_id = a.worker_id
                JOIN mz_introspection.mz_dataflow_operators_per_worker q ON q.id = p.id AND q.worker_id = p.worker_id
                WHERE mz_catalog.list_length(a.address) = 2 AND mz_catalog.list_length(p.address) = 1
                """),
            .. OfWorkerZero(452, "mz_dataflow_operator_parents", "id, parent_id"),
            InView(
                453,
                "mz_dataflow_channel_operators_per_worker",
                """
                SELECT
                    c.id, c.worker_id, f.id AS from_operator_id, f.address AS from_operator_address, t.id AS to_operator_id, t.address AS to_operator_address,
                    c.type
                FROM mz_introspection.mz_dataflow_channels_per_worker c
                JOIN mz_introspection.mz_dataflow_addresses_per_worker s ON s.id = c.id AND s.worker_id = c.worker_id
                JOIN mz_introspection.mz_dataflow_addresses_per_worker f
                    ON f.worker_id = c.worker_id AND f.address[1] = s.address[1] AND f.address[2] = c.from_index
                JOIN mz_introspection.mz_dataflow_addresses_per_worker t
                    ON t.worker_id = c.worker_id AND t.address[1] = s.address[1] AND t.address[2] = c.to_index
                """),
            .. OfWorkerZero(454, "mz_dataflow_channel_operators", "id, from_operator_id, from_operator_address, to_operator_id, to_operator_address, type"),
            .. Counted(455, "mz_scheduling_elapsed", "mz_scheduling_elapsed_raw", "id", "elapsed_ns"),
            .. Counted(457, "mz_compute_operator_durations_histogram", "mz_compute_operator_durations_histogram_raw", "id, duration_ns", "count"),
            .. Counted(459, "mz_arrangement_sharing", "mz_arrangement_sharing_raw", "operator_id", "count"),
            .. Counted(461, "mz_peek_durations_histogram", "mz_peek_durations_histogram_raw", "type, duration_ns", "count"),
            InView(
                463,
                "mz_arrangement_sizes_per_worker",
                $"""
                SELECT
                    operator_id, worker_id, pg_catalog.sum(records) AS records, pg_catalog.sum(batches) AS batches, pg_catalog.sum(size) AS size,
                    pg_catalog.sum(capacity) AS capacity, pg_catalog.sum(allocations) AS allocations
                FROM (
                    SELECT operator_id, worker_id, 1 AS records, 0 AS batches, 0 AS size, 0 AS capacity, 0 AS allocations
                    FROM mz_introspection.mz_arrangement_records_raw
                    UNION ALL SELECT operator_id, worker_id, 1, 0, 0, 0, 0 FROM mz_introspection.mz_arrangement_batcher_records_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 1, 0, 0, 0 FROM mz_introspection.mz_arrangement_batches_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 1, 0, 0 FROM mz_introspection.mz_arrangement_heap_size_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 1, 0, 0 FROM mz_introspection.mz_arrangement_batcher_size_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 0, 1, 0 FROM mz_introspection.mz_arrangement_heap_capacity_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 0, 1, 0 FROM mz_introspection.mz_arrangement_batcher_capacity_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 0, 0, 1 FROM mz_introspection.mz_arrangement_heap_allocations_raw
                    UNION ALL SELECT operator_id, worker_id, 0, 0, 0, 0, 1 FROM mz_introspection.mz_arrangement_batcher_allocations_raw
                ) parts
                GROUP BY operator_id, worker_id
                """),
            InView(464, "mz_arrangement_sizes", $"SELECT operator_id, {Sums("")} FROM mz_introspection.mz_arrangement_sizes_per_worker GROUP BY operator_id"),
            InView(
                465,
                "mz_records_per_dataflow_operator_per_worker",
                """
                SELECT d.id, d.name, d.worker_id, d.dataflow_id, s.records, s.batches, s.size, s.capacity, s.allocations
                FROM mz_introspection.mz_dataflow_operator_dataflows_per_worker d
                LEFT JOIN mz_introspection.mz_arrangement_sizes_per_worker s ON s.operator_id = d.id AND s.worker_id = d.worker_id
                """),
            InView(
                466,
                "mz_records_per_dataflow_operator",
                $"SELECT id, name, dataflow_id, {Sums("")} FROM mz_introspection.mz_records_per_dataflow_operator_per_worker GROUP BY id, name, dataflow_id"),
            InView(
                467,
                "mz_records_per_dataflow_per_worker",
                $"""
                SELECT d.id, d.name, o.worker_id, {Sums("o.")}
                FROM mz_introspection.mz_records_per_dataflow_operator_per_worker o
                JOIN mz_introspection.mz_dataflows_per_worker d ON d.id = o.dataflow_id AND d.worker_id = o.worker_id
                GROUP BY d.id, d.name, o.worker_id
                """),
            InView(
                468,
                "mz_records_per_dataflow",
                $"SELECT id, name, {Sums("")} FROM mz_introspection.mz_records_per_dataflow_per_worker GROUP BY id, name"),
            InView(469, "mz_dataflow_arrangement_sizes", $"SELECT id, name, {sizes} FROM mz_introspection.mz_records_per_dataflow"),
            InView(
                470,
                "mz_message_counts_per_worker",
                """
                SELECT
                    channel_id, from_worker_id, to_worker_id, pg_catalog.sum(sent) AS sent, pg_catalog.sum(received) AS received,
                    pg_catalog.sum(batch_sent) AS batch_sent, pg_catalog.sum(batch_received) AS batch_received
                FROM (
                    SELECT channel_id, from_worker_id, to_worker_id, 1 AS sent, 0 AS received, 0 AS batch_sent, 0 AS batch_received
                    FROM mz_introspection.mz_message_counts_sent_raw
                    UNION ALL SELECT channel_id, from_worker_id, to_worker_id, 0, 1, 0, 0 FROM mz_introspection.mz_message_counts_received_raw
                    UNION ALL SELECT channel_id, from_worker_id, to_worker_id, 0, 0, 1, 0 FROM mz_introspection.mz_message_batch_counts_sent_raw
                    UNION ALL SELECT channel_id, from_worker_id, to_worker_id, 0, 0, 0, 1 FROM mz_introspection.mz_message_batch_counts_received_raw
                ) parts
                GROUP BY channel_id, from_worker_id, to_worker_id
                """),
            InView(
                471,
                "mz_message_counts",
                """
                SELECT
                    channel_id, pg_catalog.sum(sent) AS sent, pg_catalog.sum(received) AS received, pg_catalog.sum(batch_sent) AS batch_sent,
                    pg_catalog.sum(batch_received) AS batch_received
                FROM mz_introspection.mz_message_counts_per_worker GROUP BY channel_id
                """),
            InView(
                472,
                "mz_dataflow_global_ids",
                "SELECT id, global_id FROM mz_introspection.mz_compute_dataflow_global_ids_per_worker WHERE worker_id = 0::uint8"),
        ];

        // Null where no operator has any: a sum of nothing.
        static string Sums(string of) =>
            string.Join(", ", sizes.Split(", ").Select(column => $"pg_catalog.sum({of}{column})::int8 AS {column}"));
    }

    private static Builtin.View InView(ulong number, string name, string sql) => View(number, Introspection, name, sql);

    /// <summary>What all workers have alike.</summary>
    private static IEnumerable<Builtin.View> OfWorkerZero(ulong number, string name, string columns) =>
        [InView(number, name, $"SELECT {columns} FROM mz_introspection.{name}_per_worker WHERE worker_id = 0::uint8")];

    /// <summary>Two views, for each worker and for all, of a log that counts by multiplicity.</summary>
    private static IEnumerable<Builtin.View> Counted(ulong number, string name, string log, string key, string count) =>
    [
        InView(number, name + "_per_worker", $"SELECT {key}, worker_id, pg_catalog.count(*) AS {count} FROM mz_introspection.{log} GROUP BY {key}, worker_id"),
        InView(number + 1, name, $"SELECT {key}, pg_catalog.sum({count}) AS {count} FROM mz_introspection.{name}_per_worker GROUP BY {key}"),
    ];
}
