namespace Materialize.Catalog;

/// <summary>mz_internal.mz_show_*: what SHOW shows, of every schema.</summary>
public static partial class Builtins
{
    private static IEnumerable<Builtin.View> ShowViews()
    {
        yield return View(
            270,
            Internal,
            "mz_show_all_objects",
            """
            SELECT o.schema_id, o.name, o.type, coalesce(c.comment, '') AS comment FROM mz_catalog.mz_objects o
            LEFT JOIN mz_internal.mz_comments c ON c.id = o.id AND c.object_type = o.type AND c.object_sub_id IS NULL
            """);
        yield return Show(271, "mz_show_databases", "o.name", "mz_catalog.mz_databases o", "database");
        yield return Show(272, "mz_show_schemas", "o.database_id, o.name", "mz_catalog.mz_schemas o", "schema");
        yield return Show(273, "mz_show_roles", "o.name", "mz_catalog.mz_roles o", "role", "o.id NOT LIKE 's%' AND o.id NOT LIKE 'g%'");
        yield return Show(274, "mz_show_tables", "o.schema_id, o.name", "mz_catalog.mz_tables o", "table", last: ", o.source_id");
        yield return Show(275, "mz_show_views", "o.schema_id, o.name", "mz_catalog.mz_views o", "view");
        yield return Show(276, "mz_show_types", "o.schema_id, o.name", "mz_catalog.mz_types o", "type");
        yield return Show(277, "mz_show_secrets", "o.schema_id, o.name", "mz_catalog.mz_secrets o", "secret");
        yield return Show(278, "mz_show_connections", "o.schema_id, o.name, o.type", "mz_catalog.mz_connections o", "connection");
        yield return Show(
            279,
            "mz_show_sources",
            "o.id, o.name, o.type, k.name AS cluster, o.schema_id, o.cluster_id",
            "mz_catalog.mz_sources o LEFT JOIN mz_catalog.mz_clusters k ON k.id = o.cluster_id",
            "source");
        yield return Show(
            280,
            "mz_show_sinks",
            "o.id, o.name, o.type, k.name AS cluster, o.schema_id, o.cluster_id",
            "mz_catalog.mz_sinks o JOIN mz_catalog.mz_clusters k ON k.id = o.cluster_id",
            "sink");
        yield return Show(
            281,
            "mz_show_materialized_views",
            "o.id, o.name, k.name AS cluster, o.schema_id, o.cluster_id",
            "mz_catalog.mz_materialized_views o JOIN mz_catalog.mz_clusters k ON k.id = o.cluster_id",
            "materialized-view");
        yield return Show(
            282,
            "mz_show_indexes",
            "o.id, o.name, r.name AS on, k.name AS cluster, i.key, o.on_id, r.schema_id, o.cluster_id",
            """
            mz_catalog.mz_indexes o
            JOIN mz_catalog.mz_relations r ON r.id = o.on_id
            JOIN mz_catalog.mz_clusters k ON k.id = o.cluster_id
            JOIN (
                SELECT x.index_id, array_agg(CASE WHEN x.on_expression IS NULL THEN l.name ELSE '{' || x.on_expression || '}' END ORDER BY x.index_position) AS key
                FROM mz_catalog.mz_index_columns x
                JOIN mz_catalog.mz_indexes y ON y.id = x.index_id
                LEFT JOIN mz_catalog.mz_columns l ON l.id = y.on_id AND l.position = x.on_position
                GROUP BY x.index_id
            ) i ON i.index_id = o.id
            """,
            "index");
        yield return View(
            283,
            Internal,
            "mz_show_columns",
            """
            SELECT o.id, o.name, o.nullable, o.type, o.position, coalesce(c.comment, '') AS comment FROM mz_catalog.mz_columns o
            LEFT JOIN mz_internal.mz_comments c
                ON c.id = o.id AND c.object_type IN ('table', 'view', 'materialized-view', 'source') AND c.object_sub_id = o.position::int8::int4
            """);
        yield return Show(
            284,
            "mz_show_clusters",
            "o.name, r.replicas",
            """
            mz_catalog.mz_clusters o
            LEFT JOIN (
                SELECT cluster_id, string_agg(name || ' (' || coalesce(size, '') || ')', ', ' ORDER BY name) AS replicas
                FROM mz_catalog.mz_cluster_replicas GROUP BY cluster_id
            ) r ON r.cluster_id = o.id
            """,
            "cluster");
        yield return Show(
            285,
            "mz_show_cluster_replicas",
            "k.name AS cluster, o.name AS replica, o.id AS replica_id, o.size, true AS ready",
            "mz_catalog.mz_cluster_replicas o JOIN mz_catalog.mz_clusters k ON k.id = o.cluster_id",
            "cluster-replica");
        yield return Empty(286, Internal, "mz_show_network_policies", "name text, rules text?, comment text");
        yield return View(
            287,
            Internal,
            "mz_show_role_members",
            """
            SELECT r.name AS role, m.name AS member, g.name AS grantor
            FROM mz_catalog.mz_role_members x
            JOIN mz_catalog.mz_roles r ON r.id = x.role_id
            JOIN mz_catalog.mz_roles m ON m.id = x.member
            JOIN mz_catalog.mz_roles g ON g.id = x.grantor
            """);
        yield return Privileges(288, "mz_show_system_privileges", "", "SELECT privileges AS item FROM mz_catalog.mz_system_privileges");
        yield return Privileges(289, "mz_show_cluster_privileges", "p.name, ", "SELECT o.name, unnest(o.privileges) AS item FROM mz_catalog.mz_clusters o WHERE o.id LIKE 'u%'");
        yield return Privileges(290, "mz_show_database_privileges", "p.name, ", "SELECT o.name, unnest(o.privileges) AS item FROM mz_catalog.mz_databases o");
        yield return Privileges(
            291,
            "mz_show_schema_privileges",
            "p.database, p.name, ",
            """
            SELECT d.name AS database, o.name, unnest(o.privileges) AS item
            FROM mz_catalog.mz_schemas o LEFT JOIN mz_catalog.mz_databases d ON d.id = o.database_id WHERE o.id LIKE 'u%'
            """);
        yield return Privileges(
            292,
            "mz_show_object_privileges",
            "p.database, p.schema, p.name, p.object_type, ",
            """
            SELECT d.name AS database, s.name AS schema, o.name, o.type AS object_type, unnest(o.privileges) AS item
            FROM mz_catalog.mz_objects o
            JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            WHERE o.id LIKE 'u%'
            """);
        yield return View(
            293,
            Internal,
            "mz_show_all_privileges",
            """
            SELECT grantor, grantee, NULL::text AS database, NULL::text AS schema, NULL::text AS name, 'system' AS object_type, privilege_type
                FROM mz_internal.mz_show_system_privileges
            UNION ALL SELECT grantor, grantee, NULL::text, NULL::text, name, 'cluster', privilege_type FROM mz_internal.mz_show_cluster_privileges
            UNION ALL SELECT grantor, grantee, NULL::text, NULL::text, name, 'database', privilege_type FROM mz_internal.mz_show_database_privileges
            UNION ALL SELECT grantor, grantee, database, NULL::text, name, 'schema', privilege_type FROM mz_internal.mz_show_schema_privileges
            UNION ALL SELECT grantor, grantee, database, schema, name, object_type, privilege_type FROM mz_internal.mz_show_object_privileges
            """);
        yield return View(
            294,
            Internal,
            "mz_show_default_privileges",
            """
            SELECT
                CASE x.role_id WHEN 'p' THEN 'PUBLIC' ELSE o.name END AS object_owner, d.name AS database, s.name AS schema, x.object_type,
                CASE x.grantee WHEN 'p' THEN 'PUBLIC' ELSE g.name END AS grantee, x.privilege_type
            FROM (
                SELECT role_id, database_id, schema_id, object_type, grantee, unnest(mz_internal.mz_format_privileges(privileges)) AS privilege_type
                FROM mz_catalog.mz_default_privileges
            ) x
            LEFT JOIN mz_catalog.mz_roles o ON o.id = x.role_id
            LEFT JOIN mz_catalog.mz_roles g ON g.id = x.grantee
            LEFT JOIN mz_catalog.mz_databases d ON d.id = x.database_id
            LEFT JOIN mz_catalog.mz_schemas s ON s.id = x.schema_id
            """);
        yield return Mine(295, "mz_show_my_system_privileges", "mz_show_system_privileges", "grantor, grantee, privilege_type");
        yield return Mine(296, "mz_show_my_cluster_privileges", "mz_show_cluster_privileges", "grantor, grantee, name, privilege_type");
        yield return Mine(297, "mz_show_my_database_privileges", "mz_show_database_privileges", "grantor, grantee, name, privilege_type");
        yield return Mine(298, "mz_show_my_schema_privileges", "mz_show_schema_privileges", "grantor, grantee, database, name, privilege_type");
        yield return Mine(
            299, "mz_show_my_object_privileges", "mz_show_object_privileges", "grantor, grantee, database, schema, name, object_type, privilege_type");
        yield return Mine(
            300, "mz_show_all_my_privileges", "mz_show_all_privileges", "grantor, grantee, database, schema, name, object_type, privilege_type");
        yield return Mine(
            301, "mz_show_my_default_privileges", "mz_show_default_privileges", "object_owner, database, schema, object_type, grantee, privilege_type");
        yield return View(
            302,
            Internal,
            "mz_show_my_role_members",
            "SELECT role, member, grantor FROM mz_internal.mz_show_role_members WHERE pg_catalog.pg_has_role(member, 'USAGE')");
    }

    /// <summary>A list of one kind of thing, and the comment on each.</summary>
    private static Builtin.View Show(ulong number, string name, string columns, string from, string type, string where = "true", string last = "") => View(
        number,
        Internal,
        name,
        $"""
        SELECT {columns}, coalesce(c.comment, '') AS comment{last} FROM {from}
        LEFT JOIN mz_internal.mz_comments c ON c.id = o.id AND c.object_type = '{type}' AND c.object_sub_id IS NULL
        WHERE {where}
        """);

    /// <summary>One row per privilege that an mz_aclitem grants; grants to system roles are not shown.</summary>
    private static Builtin.View Privileges(ulong number, string name, string columns, string items) => View(
        number,
        Internal,
        name,
        $"""
        SELECT g.name AS grantor, CASE p.grantee_id WHEN 'p' THEN 'PUBLIC' ELSE e.name END AS grantee, {columns}p.privilege_type
        FROM (
            SELECT
                i.*, mz_internal.mz_aclitem_grantor(i.item) AS grantor_id, mz_internal.mz_aclitem_grantee(i.item) AS grantee_id,
                unnest(mz_internal.mz_format_privileges(mz_internal.mz_aclitem_privileges(i.item))) AS privilege_type
            FROM ({items}) AS i
        ) AS p
        LEFT JOIN mz_catalog.mz_roles g ON g.id = p.grantor_id
        LEFT JOIN mz_catalog.mz_roles e ON e.id = p.grantee_id
        WHERE p.grantee_id NOT LIKE 's%'
        """);

    private static Builtin.View Mine(ulong number, string name, string all, string columns) => View(
        number,
        Internal,
        name,
        $"SELECT {columns} FROM mz_internal.{all} WHERE grantee = 'PUBLIC' OR pg_catalog.pg_has_role(grantee, 'USAGE')");
}
