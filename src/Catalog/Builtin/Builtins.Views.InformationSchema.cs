namespace Materialize.Catalog;

/// <summary>information_schema: the same catalog by its standard names.</summary>
public static partial class Builtins
{
    private const string VisibleRelations =
        """
        FROM mz_catalog.mz_relations r
        JOIN mz_catalog.mz_schemas s ON s.id = r.schema_id
        LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
        """;

    private const string InCurrent = "(s.database_id IS NULL OR d.name = current_database())";

    private static IEnumerable<Builtin.View> InformationViews() =>
    [
        View(
            320,
            Information,
            "applicable_roles",
            """
            SELECT m.name AS grantee, r.name AS role_name, CASE WHEN mz_is_superuser() THEN 'YES' ELSE 'NO' END AS is_grantable
            FROM mz_catalog.mz_role_members x
            JOIN mz_catalog.mz_roles m ON m.id = x.member
            JOIN mz_catalog.mz_roles r ON r.id = x.role_id
            WHERE mz_is_superuser() OR m.name = current_user
            """),
        View(
            321,
            Information,
            "character_sets",
            """
            SELECT
                NULL::text AS character_set_catalog, NULL::text AS character_set_schema, 'UTF8' AS character_set_name, 'UCS' AS character_repertoire,
                'UTF8' AS form_of_use, current_database() AS default_collate_catalog, 'pg_catalog' AS default_collate_schema, 'en_US.utf8' AS default_collate_name
            """),
        View(
            322,
            Information,
            "columns",
            $"""
            SELECT
                current_database() AS table_catalog, s.name AS table_schema, r.name AS table_name, c.name AS column_name, c.position::int8 AS ordinal_position,
                c.default AS column_default, CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS is_nullable, c.type AS data_type,
                NULL::int4 AS character_maximum_length, NULL::int4 AS numeric_precision, NULL::int4 AS numeric_scale
            {VisibleRelations}
            JOIN mz_catalog.mz_columns c ON c.id = r.id
            WHERE {InCurrent}
            """),
        View(
            323,
            Information,
            "enabled_roles",
            "SELECT name AS role_name FROM mz_catalog.mz_roles WHERE mz_is_superuser() OR name = current_user"),
        Empty(
            324,
            Information,
            "key_column_usage",
            "constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, table_name text, column_name text, "
            + "ordinal_position int4, position_in_unique_constraint int4"),
        Empty(
            325,
            Information,
            "referential_constraints",
            "constraint_catalog text, constraint_schema text, constraint_name text, unique_constraint_catalog text, unique_constraint_schema text, "
            + "unique_constraint_name text, match_option text, update_rule text, delete_rule text"),
        View(
            326,
            Information,
            "routines",
            """
            SELECT current_database() AS routine_catalog, s.name AS routine_schema, f.name AS routine_name, 'FUNCTION' AS routine_type, NULL::text AS routine_definition
            FROM mz_catalog.mz_functions f JOIN mz_catalog.mz_schemas s ON s.id = f.schema_id
            """),
        View(
            327,
            Information,
            "schemata",
            $"""
            SELECT current_database() AS catalog_name, s.name AS schema_name
            FROM mz_catalog.mz_schemas s LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            WHERE {InCurrent}
            """),
        Empty(
            328,
            Information,
            "table_constraints",
            "constraint_catalog text, constraint_schema text, constraint_name text, table_catalog text, table_schema text, table_name text, constraint_type text, "
            + "is_deferrable text, initially_deferred text, enforced text, nulls_distinct text"),
        View(
            329,
            Information,
            "table_privileges",
            """
            SELECT
                p.grantor AS grantor, p.grantee AS grantee, p.database AS table_catalog, p.schema AS table_schema, p.name AS table_name,
                p.privilege_type AS privilege_type, 'NO' AS is_grantable, CASE WHEN p.privilege_type = 'SELECT' THEN 'YES' ELSE 'NO' END AS with_hierarchy
            FROM mz_internal.mz_show_object_privileges p
            WHERE p.object_type IN ('table', 'view', 'materialized-view', 'source') AND (p.database IS NULL OR p.database = current_database())
            """),
        View(
            330,
            Information,
            "role_table_grants",
            """
            SELECT grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy FROM information_schema.table_privileges
            WHERE mz_is_superuser() OR grantee IN ('PUBLIC', current_user) OR grantor = current_user
            """),
        View(
            331,
            Information,
            "tables",
            $"""
            SELECT
                current_database() AS table_catalog, s.name AS table_schema, r.name AS table_name,
                CASE r.type WHEN 'materialized-view' THEN 'MATERIALIZED VIEW' WHEN 'table' THEN 'BASE TABLE' ELSE upper(r.type) END AS table_type
            {VisibleRelations}
            WHERE {InCurrent}
            """),
        Empty(
            332,
            Information,
            "triggers",
            "trigger_catalog text, trigger_schema text, trigger_name text, event_manipulation text, event_object_catalog text, event_object_schema text, "
            + "event_object_table text, action_order int4, action_condition text, action_statement text, action_orientation text, action_timing text, "
            + "action_reference_old_table text, action_reference_new_table text"),
        View(
            333,
            Information,
            "views",
            $"""
            SELECT current_database() AS table_catalog, s.name AS table_schema, v.name AS table_name, v.definition AS view_definition
            FROM mz_catalog.mz_views v
            JOIN mz_catalog.mz_schemas s ON s.id = v.schema_id
            LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
            WHERE {InCurrent}
            """),
    ];
}
