namespace Materialize.Catalog;

/// <summary>pg_catalog over mz_catalog. The helpers cover every database; the views show the current one and the system schemas.</summary>
public static partial class Builtins
{
    /// <summary>The row of a helper belongs to the current database, or to none.</summary>
    private const string InCurrentDatabase = "(x.database_name IS NULL OR x.database_name = current_database())";

    private static IEnumerable<Builtin.View> PostgresHelperViews() =>
    [
        View(200, Internal, "mz_type_pg_metadata", Values("id text, typinput oid, typreceive oid", TypeFunctions.Metadata())),
        View(
            201,
            Internal,
            "pg_namespace_all_databases",
            """
            SELECT s.oid AS oid, s.name AS nspname, coalesce(r.oid, 0::oid) AS nspowner, NULL::text[] AS nspacl, d.name AS database_name
            FROM mz_catalog.mz_schemas s
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = s.owner_id
            """),
        View(
            202,
            Internal,
            "pg_class_all_databases",
            """
            SELECT
                c.oid AS oid, c.name AS relname, s.oid AS relnamespace, 0::oid AS reloftype, coalesce(r.oid, 0::oid) AS relowner, 0::oid AS relam,
                0::oid AS reltablespace, (-1)::float4 AS reltuples, 0::oid AS reltoastrelid, i.on_id IS NOT NULL AS relhasindex, 'p'::"char" AS relpersistence,
                CASE c.type WHEN 'table' THEN 'r' WHEN 'source' THEN 'r' WHEN 'index' THEN 'i' WHEN 'view' THEN 'v' WHEN 'materialized-view' THEN 'm' END AS relkind,
                coalesce(n.columns, 0)::int2 AS relnatts, 0::int2 AS relchecks, false AS relhasrules, false AS relhastriggers, false AS relhassubclass,
                false AS relrowsecurity, false AS relforcerowsecurity, 'd'::"char" AS relreplident, false AS relispartition, false AS relhasoids,
                NULL::text[] AS reloptions, d.name AS database_name
            FROM mz_catalog.mz_objects c
            JOIN mz_catalog.mz_schemas s ON s.id = c.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = c.owner_id
            LEFT JOIN (SELECT DISTINCT on_id FROM mz_catalog.mz_indexes) i ON i.on_id = c.id
            LEFT JOIN (
                SELECT id, count(*) AS columns FROM mz_catalog.mz_columns GROUP BY id
                UNION ALL SELECT index_id, count(*) FROM mz_catalog.mz_index_columns GROUP BY index_id
            ) n ON n.id = c.id
            WHERE c.type IN ('table', 'source', 'index', 'view', 'materialized-view')
            """),
        View(
            203,
            Internal,
            "pg_type_all_databases",
            """
            SELECT
                t.oid AS oid, t.name AS typname, s.oid AS typnamespace, coalesce(r.oid, 0::oid) AS typowner, NULL::int2 AS typlen,
                (CASE t.category WHEN 'composite' THEN 'c' WHEN 'pseudo' THEN 'p' ELSE 'b' END)::"char" AS typtype,
                (CASE t.category
                    WHEN 'array' THEN 'A' WHEN 'bit-string' THEN 'V' WHEN 'boolean' THEN 'B' WHEN 'composite' THEN 'C' WHEN 'date-time' THEN 'D'
                    WHEN 'enum' THEN 'E' WHEN 'geometric' THEN 'G' WHEN 'list' THEN 'U' WHEN 'network-address' THEN 'I' WHEN 'numeric' THEN 'N'
                    WHEN 'pseudo' THEN 'P' WHEN 'string' THEN 'S' WHEN 'timespan' THEN 'T' WHEN 'user-defined' THEN 'U' WHEN 'unknown' THEN 'X'
                END)::"char" AS typcategory,
                ','::"char" AS typdelim, 0::oid AS typrelid, coalesce(e.oid, 0::oid) AS typelem, coalesce(a.oid, 0::oid) AS typarray,
                m.typinput::regproc AS typinput, coalesce(m.typreceive, 0::oid) AS typreceive, false AS typnotnull, 0::oid AS typbasetype,
                (-1)::int4 AS typtypmod, 0::oid AS typcollation, NULL::text AS typdefault, d.name AS database_name
            FROM mz_catalog.mz_types t
            JOIN mz_catalog.mz_schemas s ON s.id = t.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = t.owner_id
            LEFT JOIN mz_internal.mz_type_pg_metadata m ON m.id = t.id
            LEFT JOIN (SELECT x.id, y.oid FROM mz_catalog.mz_array_types x JOIN mz_catalog.mz_types y ON y.id = x.element_id) e ON e.id = t.id
            LEFT JOIN (SELECT x.element_id, y.oid FROM mz_catalog.mz_array_types x JOIN mz_catalog.mz_types y ON y.id = x.id) a ON a.element_id = t.id
            """),
        View(
            204,
            Internal,
            "pg_attribute_all_databases",
            """
            SELECT
                c.oid AS attrelid, a.name AS attname, a.type_oid AS atttypid, NULL::int2 AS attlen, a.position::int8::int2 AS attnum, a.type_mod AS atttypmod,
                (CASE WHEN t.category = 'array' THEN 1 ELSE 0 END)::int2 AS attndims, NOT a.nullable AS attnotnull, a.default IS NOT NULL AS atthasdef,
                ''::"char" AS attidentity, ''::"char" AS attgenerated, false AS attisdropped, 0::oid AS attcollation,
                d.name AS database_name, NULL::text AS pg_type_database_name
            FROM (
                SELECT id, name, type_oid, position, type_mod, nullable, "default" FROM mz_catalog.mz_columns
                UNION ALL
                SELECT x.index_id, k.name, k.type_oid, x.index_position, k.type_mod, k.nullable, NULL::text
                FROM mz_catalog.mz_index_columns x
                JOIN mz_catalog.mz_indexes i ON i.id = x.index_id
                JOIN mz_catalog.mz_columns k ON k.id = i.on_id AND k.position = x.on_position
            ) a
            JOIN mz_catalog.mz_objects c ON c.id = a.id
            JOIN mz_catalog.mz_schemas s ON s.id = c.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_types t ON t.oid = a.type_oid
            """),
        View(
            205,
            Internal,
            "pg_attrdef_all_databases",
            """
            SELECT NULL::oid AS oid, c.oid AS adrelid, a.position::int8 AS adnum, a.default AS adbin, a.default AS adsrc
            FROM mz_catalog.mz_columns a JOIN mz_catalog.mz_objects c ON c.id = a.id WHERE a.default IS NOT NULL
            """),
        View(
            206,
            Internal,
            "pg_description_all_databases",
            """
            SELECT
                c.oid AS objoid,
                (CASE WHEN o.object_type IN ('type') THEN 1247 WHEN o.object_type = 'function' THEN 1255 ELSE 1259 END)::oid AS classoid,
                coalesce(o.object_sub_id, 0) AS objsubid, o.comment AS description, d.name AS oid_database_name, NULL::text AS class_database_name
            FROM mz_internal.mz_comments o
            JOIN mz_catalog.mz_objects c ON c.id = o.id AND c.type = o.object_type
            JOIN mz_catalog.mz_schemas s ON s.id = c.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            UNION ALL
            SELECT s.oid, 2615::oid, 0, o.comment, d.name, NULL::text
            FROM mz_internal.mz_comments o
            JOIN mz_catalog.mz_schemas s ON s.id = o.id AND o.object_type = 'schema'
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            """),
        View(
            207,
            Internal,
            "pg_authid_core",
            """
            SELECT
                oid AS oid, name AS rolname, rolsuper AS rolsuper, inherit AS rolinherit, coalesce(rolcanlogin, false) AS rolcanlogin, false AS rolreplication,
                false AS rolbypassrls, (-1)::int4 AS rolconnlimit, NULL::text AS rolpassword, NULL::timestamptz AS rolvaliduntil
            FROM mz_catalog.mz_roles
            """),
    ];

    private static IEnumerable<Builtin.View> PostgresViews() =>
    [
        View(
            220,
            Postgres,
            "pg_namespace",
            $"SELECT x.oid, x.nspname, x.nspowner, x.nspacl FROM mz_internal.pg_namespace_all_databases x WHERE {InCurrentDatabase}",
            2615),
        View(
            221,
            Postgres,
            "pg_class",
            $"""
            SELECT
                x.oid, x.relname, x.relnamespace, x.reloftype, x.relowner, x.relam, x.reltablespace, x.reltuples, x.reltoastrelid, x.relhasindex,
                x.relpersistence, x.relkind, x.relnatts, x.relchecks, x.relhasrules, x.relhastriggers, x.relhassubclass, x.relrowsecurity,
                x.relforcerowsecurity, x.relreplident, x.relispartition, x.relhasoids, x.reloptions
            FROM mz_internal.pg_class_all_databases x WHERE {InCurrentDatabase}
            """,
            1259),
        View(
            222,
            Postgres,
            "pg_type",
            $"""
            SELECT
                x.oid, x.typname, x.typnamespace, x.typowner, x.typlen, x.typtype, x.typcategory, x.typdelim, x.typrelid, x.typelem, x.typarray, x.typinput,
                x.typreceive, x.typnotnull, x.typbasetype, x.typtypmod, x.typcollation, x.typdefault
            FROM mz_internal.pg_type_all_databases x WHERE {InCurrentDatabase}
            """,
            1247),
        View(
            223,
            Postgres,
            "pg_attribute",
            $"""
            SELECT
                x.attrelid, x.attname, x.atttypid, x.attlen, x.attnum, x.atttypmod, x.attndims, x.attnotnull, x.atthasdef, x.attidentity, x.attgenerated,
                x.attisdropped, x.attcollation
            FROM mz_internal.pg_attribute_all_databases x WHERE {InCurrentDatabase}
            """,
            1249),
        View(224, Postgres, "pg_attrdef", "SELECT x.oid, x.adrelid, x.adnum, x.adbin, x.adsrc FROM mz_internal.pg_attrdef_all_databases x", 2604),
        View(
            225,
            Postgres,
            "pg_description",
            """
            SELECT x.objoid, x.classoid, x.objsubid, x.description FROM mz_internal.pg_description_all_databases x
            WHERE x.oid_database_name IS NULL OR x.oid_database_name = current_database()
            """,
            2609),
        View(
            226,
            Postgres,
            "pg_authid",
            """
            SELECT
                oid, rolname, rolsuper, rolinherit, rolsuper AS rolcreaterole, rolsuper AS rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
                rolconnlimit, rolpassword, rolvaliduntil
            FROM mz_internal.pg_authid_core
            """,
            1260),
        View(
            227,
            Postgres,
            "pg_roles",
            """
            SELECT
                rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit, '********' AS rolpassword, rolvaliduntil,
                rolbypassrls, NULL::text[] AS rolconfig, oid
            FROM pg_catalog.pg_authid
            """),
        View(
            228,
            Postgres,
            "pg_user",
            """
            SELECT
                rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls,
                rolpassword AS passwd, rolvaliduntil AS valuntil, NULL::text[] AS useconfig
            FROM pg_catalog.pg_roles WHERE rolcanlogin
            """),
        View(
            229,
            Postgres,
            "pg_auth_members",
            """
            SELECT r.oid AS roleid, m.oid AS member, g.oid AS grantor, false AS admin_option
            FROM mz_catalog.mz_role_members x
            JOIN mz_catalog.mz_roles r ON r.id = x.role_id
            JOIN mz_catalog.mz_roles m ON m.id = x.member
            JOIN mz_catalog.mz_roles g ON g.id = x.grantor
            """,
            1261),
        View(
            230,
            Postgres,
            "pg_database",
            """
            SELECT
                d.oid AS oid, d.name AS datname, coalesce(r.oid, 0::oid) AS datdba, 6::int4 AS encoding, false AS datistemplate, true AS datallowconn,
                'C' AS datcollate, 'C' AS datctype, NULL::text[] AS datacl
            FROM mz_catalog.mz_databases d LEFT JOIN mz_catalog.mz_roles r ON r.id = d.owner_id
            """,
            1262),
        View(
            231,
            Postgres,
            "pg_index",
            """
            SELECT
                i.oid AS indexrelid, r.oid AS indrelid, k.natts::int2 AS indnatts, false AS indisunique, false AS indisprimary, true AS indimmediate,
                false AS indisclustered, true AS indisvalid, false AS indisreplident, k.key::int2vector AS indkey, k.option::int2vector AS indoption,
                NULL::text AS indexprs, NULL::text AS indpred
            FROM mz_catalog.mz_indexes i
            JOIN mz_catalog.mz_relations r ON r.id = i.on_id
            JOIN mz_catalog.mz_schemas s ON s.id = r.schema_id
            LEFT JOIN mz_catalog.mz_databases x ON x.id = s.database_id
            JOIN (
                SELECT
                    index_id, count(*) AS natts, string_agg(coalesce(on_position::int8, 0)::text, ' ' ORDER BY index_position) AS key,
                    string_agg('0', ' ') AS option
                FROM mz_catalog.mz_index_columns GROUP BY index_id
            ) k ON k.index_id = i.id
            WHERE x.name IS NULL OR x.name = current_database()
            """,
            2610),
        View(
            232,
            Postgres,
            "pg_proc",
            $"""
            SELECT
                f.oid AS oid, f.name AS proname, s.oid AS pronamespace, coalesce(r.oid, 0::oid) AS proowner, NULL::text AS proargdefaults,
                coalesce(t.oid, 0::oid) AS prorettype, f.returns_set AS proretset, false AS proisagg, false AS proiswindow
            FROM mz_catalog.mz_functions f
            JOIN mz_catalog.mz_schemas s ON s.id = f.schema_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = f.owner_id
            LEFT JOIN mz_catalog.mz_types t ON t.id = f.return_type_id
            UNION ALL
            SELECT f.oid, f.name, 11::oid, 10::oid, NULL::text, 0::oid, false, false, false
            FROM ({Values("oid oid, name text", TypeFunctions.Rows())}) f
            """,
            1255),
        View(
            233,
            Postgres,
            "pg_operator",
            """
            SELECT
                o.oid AS oid, o.name AS oprname, coalesce(t.oid, 0::oid) AS oprresult,
                CASE WHEN o.arity = 2 THEN coalesce(a.oid, 0::oid) ELSE 0::oid END AS oprleft,
                CASE WHEN o.arity = 2 THEN coalesce(b.oid, 0::oid) ELSE coalesce(a.oid, 0::oid) END AS oprright
            FROM (
                SELECT oid, name, return_type_id, array_length(argument_type_ids, 1) AS arity, argument_type_ids[1] AS first, argument_type_ids[2] AS second
                FROM mz_catalog.mz_operators
            ) o
            LEFT JOIN mz_catalog.mz_types t ON t.id = o.return_type_id
            LEFT JOIN mz_catalog.mz_types a ON a.id = o.first
            LEFT JOIN mz_catalog.mz_types b ON b.id = o.second
            """,
            2617),
        View(
            234,
            Postgres,
            "pg_am",
            // relam is 0 everywhere; psql describes an index only if its access method has a row.
            "SELECT 0::oid AS oid, 'arrangement' AS amname, 0::oid::regproc AS amhandler, 'i'::\"char\" AS amtype",
            2601),
        View(235, Postgres, "pg_settings", "SELECT 'max_index_keys' AS name, '1000' AS setting"),
        View(
            236,
            Postgres,
            "pg_tablespace",
            "SELECT 0::oid AS oid, 'pg_default' AS spcname, NULL::oid AS spcowner, NULL::text[] AS spcacl, NULL::text[] AS spcoptions",
            1213),
        View(
            237,
            Postgres,
            "pg_depend",
            """
            SELECT 1259::oid AS classid, o.oid AS objid, 0::int4 AS objsubid, 1259::oid AS refclassid, d.oid AS refobjid, 0::int4 AS refobjsubid, 'n'::"char" AS deptype
            FROM mz_internal.mz_object_dependencies x
            JOIN mz_catalog.mz_relations o ON o.id = x.object_id
            JOIN mz_catalog.mz_relations d ON d.id = x.referenced_object_id
            """,
            2608),
        View(
            238,
            Postgres,
            "pg_tables",
            """
            SELECT n.nspname AS schemaname, c.relname AS tablename, pg_catalog.pg_get_userbyid(c.relowner) AS tableowner
            FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'
            """),
        View(
            239,
            Postgres,
            "pg_views",
            """
            SELECT s.name AS schemaname, v.name AS viewname, coalesce(r.oid, 0::oid) AS viewowner, v.definition AS definition
            FROM mz_catalog.mz_views v
            LEFT JOIN mz_catalog.mz_schemas s ON s.id = v.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = v.owner_id
            WHERE d.name IS NULL OR d.name = current_database()
            """),
        View(
            240,
            Postgres,
            "pg_matviews",
            """
            SELECT s.name AS schemaname, v.name AS matviewname, coalesce(r.oid, 0::oid) AS matviewowner, v.definition AS definition
            FROM mz_catalog.mz_materialized_views v
            LEFT JOIN mz_catalog.mz_schemas s ON s.id = v.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            LEFT JOIN mz_catalog.mz_roles r ON r.id = v.owner_id
            WHERE d.name IS NULL OR d.name = current_database()
            """),
        View(
            241,
            Postgres,
            "pg_indexes",
            """
            SELECT
                current_database() AS table_catalog, s.name AS schemaname, r.name AS tablename, i.name AS indexname, NULL::text AS tablespace,
                pg_catalog.pg_get_indexdef(i.oid) AS indexdef
            FROM mz_catalog.mz_indexes i
            JOIN mz_catalog.mz_relations r ON r.id = i.on_id
            JOIN mz_catalog.mz_schemas s ON s.id = r.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            WHERE d.name IS NULL OR d.name = current_database()
            """),
        View(
            242,
            Postgres,
            "pg_timezone_names",
            """
            SELECT z.name AS name, o.abbrev AS abbrev, o.base_utc_offset + o.dst_offset AS utc_offset, o.dst_offset <> INTERVAL '0' AS is_dst
            FROM (SELECT n.name, timezone_offset(n.name, now()) AS at FROM mz_catalog.mz_timezone_names n) AS x,
                LATERAL (SELECT x.name) AS z, LATERAL (SELECT (x.at).abbrev, (x.at).base_utc_offset, (x.at).dst_offset) AS o
            """),
    ];
}
