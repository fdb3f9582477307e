using NodaTime;

namespace Materialize.Catalog;

/// <summary>mz_catalog: unions over the tables of each kind, and what never changes.</summary>
public static partial class Builtins
{
    /// <summary>Details of connectors, and of features, that this version does not have.</summary>
    private static IEnumerable<Builtin.View> EmptyCatalogViews() =>
    [
        Empty(100, Catalog, "mz_aws_privatelink_connections", "id text, principal text"),
        Empty(101, Catalog, "mz_egress_ips", "egress_ip text, prefix_length int4, cidr text"),
        Empty(102, Catalog, "mz_iceberg_sinks", "id text, namespace text, table text"),
        Empty(103, Catalog, "mz_kafka_connections", "id text, brokers text[], sink_progress_topic text"),
        Empty(104, Catalog, "mz_kafka_sinks", "id text, topic text"),
        Empty(105, Catalog, "mz_kafka_sources", "id text, group_id_prefix text, topic text"),
        Empty(106, Catalog, "mz_role_parameters", "role_id text, parameter_name text, parameter_value text"),
        Empty(107, Catalog, "mz_ssh_tunnel_connections", "id text, public_key_1 text, public_key_2 text"),
        Empty(108, Catalog, "mz_pseudo_types", "id text"),
        Empty(109, Catalog, "mz_map_types", "id text, key_id text, value_id text, key_modifiers int8 list?, value_modifiers int8 list?"),
        Empty(110, Catalog, "mz_list_types", "id text, element_id text, element_modifiers int8 list?"),
        Empty(111, Catalog, "mz_system_privileges", "privileges mz_aclitem"),
    ];

    private static IEnumerable<Builtin.View> CatalogViews() =>
    [
        View(
            112,
            Catalog,
            "mz_default_privileges",
            Values(
                "role_id text, database_id text?, schema_id text?, object_type text, grantee text, privileges text",
                ["('p', NULL, NULL, 'type', 'p', 'U')"])),
        View(
            113,
            Catalog,
            "mz_relations",
            """
            SELECT id, oid, schema_id, name, 'table' AS type, owner_id, NULL::text AS cluster_id, privileges FROM mz_catalog.mz_tables
            UNION ALL SELECT id, oid, schema_id, name, 'source', owner_id, cluster_id, privileges FROM mz_catalog.mz_sources
            UNION ALL SELECT id, oid, schema_id, name, 'view', owner_id, NULL::text, privileges FROM mz_catalog.mz_views
            UNION ALL SELECT id, oid, schema_id, name, 'materialized-view', owner_id, cluster_id, privileges FROM mz_catalog.mz_materialized_views
            """),
        View(
            114,
            Catalog,
            "mz_objects",
            """
            SELECT id, oid, schema_id, name, type, owner_id, cluster_id, privileges FROM mz_catalog.mz_relations
            UNION ALL SELECT id, oid, schema_id, name, 'sink', owner_id, cluster_id, NULL::mz_aclitem[] FROM mz_catalog.mz_sinks
            UNION ALL SELECT i.id, i.oid, r.schema_id, i.name, 'index', i.owner_id, i.cluster_id, NULL::mz_aclitem[]
                FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON r.id = i.on_id
            UNION ALL SELECT id, oid, schema_id, name, 'connection', owner_id, NULL::text, privileges FROM mz_catalog.mz_connections
            UNION ALL SELECT id, oid, schema_id, name, 'type', owner_id, NULL::text, privileges FROM mz_catalog.mz_types
            UNION ALL SELECT id, oid, schema_id, name, 'function', owner_id, NULL::text, NULL::mz_aclitem[] FROM mz_catalog.mz_functions
            UNION ALL SELECT id, oid, schema_id, name, 'secret', owner_id, NULL::text, privileges FROM mz_catalog.mz_secrets
            """),
        View(
            115,
            Catalog,
            "mz_timezone_names",
            Values("name text", DateTimeZoneProviders.Tzdb.Ids.Select(id => $"({Literal(id)})"))),
    ];
}
