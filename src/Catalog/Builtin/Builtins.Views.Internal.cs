namespace Materialize.Catalog;

/// <summary>mz_internal: names of objects, and the state of sources.</summary>
public static partial class Builtins
{
    private static IEnumerable<Builtin.View> InternalViews() =>
    [
        View(
            250,
            Internal,
            "mz_objects_id_namespace_types",
            Values(
                "object_type text",
                ["('table')", "('view')", "('materialized-view')", "('source')", "('sink')", "('index')", "('connection')", "('type')", "('function')", "('secret')"])),
        View(
            251,
            Internal,
            "mz_object_oid_alias",
            Values(
                "object_type text, oid_alias text",
                [
                    "('table', 'regclass')", "('source', 'regclass')", "('view', 'regclass')", "('materialized-view', 'regclass')", "('index', 'regclass')",
                    "('type', 'regtype')", "('function', 'regproc')",
                ])),
        View(
            252,
            Internal,
            "mz_object_fully_qualified_names",
            """
            SELECT o.id, o.name, o.type AS object_type, s.id AS schema_id, s.name AS schema_name, d.id AS database_id, d.name AS database_name, o.cluster_id
            FROM mz_catalog.mz_objects o
            JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            """),
        View(
            253,
            Internal,
            "mz_object_global_ids",
            "SELECT id, id AS global_id FROM mz_catalog.mz_objects WHERE type NOT IN ('type', 'function')"),
        View(
            254,
            Internal,
            "mz_source_statuses",
            """
            SELECT
                o.id, o.name, o.type, h.occurred_at AS last_status_change_at, coalesce(h.status, CASE WHEN o.type = 'progress' THEN 'running' ELSE 'created' END) AS status,
                h.error, h.details
            FROM (
                SELECT id, name, type FROM mz_catalog.mz_sources WHERE id LIKE 'u%'
                UNION ALL SELECT id, name, 'table' FROM mz_catalog.mz_tables WHERE source_id IS NOT NULL
            ) o
            LEFT JOIN (
                SELECT DISTINCT ON (source_id) source_id, occurred_at, status, error, details
                FROM mz_internal.mz_source_status_history ORDER BY source_id, occurred_at DESC
            ) h ON h.source_id = o.id
            """),
        View(255, Internal, "mz_cluster_schedules", "SELECT id AS cluster_id, 'manual' AS type, NULL::interval AS refresh_hydration_time_estimate FROM mz_catalog.mz_clusters"),
        View(256, Internal, "mz_cluster_workload_classes", "SELECT id, NULL::text AS workload_class FROM mz_catalog.mz_clusters"),
        Empty(257, Internal, "mz_pending_cluster_replicas", "id text"),
        Empty(258, Internal, "mz_internal_cluster_replicas", "id text"),
        Empty(259, Internal, "mz_replacements", "id text, target_id text"),
        Empty(260, Internal, "mz_network_policies", "id text, name text, owner_id text, privileges mz_aclitem[], oid oid"),
        Empty(261, Internal, "mz_network_policy_rules", "name text, policy_id text, action text, address text, direction text"),
        Empty(262, Internal, "mz_kafka_source_tables", "id text, topic text, envelope_type text?, key_format text?, value_format text?"),
        Empty(263, Internal, "mz_mysql_source_tables", "id text, schema_name text, table_name text"),
        Empty(264, Internal, "mz_sql_server_source_tables", "id text, schema_name text, table_name text"),
        Empty(265, Internal, "mz_webhook_sources", "id text, name text, url text"),
        View(
            266,
            Internal,
            "mz_materialized_view_refresh_strategies",
            """
            SELECT id AS materialized_view_id, 'on-commit' AS type, NULL::interval AS interval, NULL::timestamptz AS aligned_to, NULL::timestamptz AS at
            FROM mz_catalog.mz_materialized_views
            """),
        View(
            267,
            Internal,
            "mz_sink_statuses",
            """
            SELECT id, name, type, NULL::timestamptz AS last_status_change_at, 'created' AS status, NULL::text AS error, NULL::jsonb AS details
            FROM mz_catalog.mz_sinks
            """),
    ];
}
