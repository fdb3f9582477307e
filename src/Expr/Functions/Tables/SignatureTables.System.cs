namespace Materialize.Expr.Functions;

internal static partial class SignatureTables
{
    public const string Session = """
        current_database() text = session:CurrentDatabase
        current_catalog() text = session:CurrentDatabase
        current_schema() text = session:CurrentSchema
        current_schemas(bool) text[] = sql: CASE WHEN $1 THEN mz_internal.current_schemas_with_system() ELSE mz_internal.current_schemas_without_system() END
        current_setting(text) text = sql: mz_unsafe.mz_error_if_null((mz_internal.viewable_variables() -> lower($1)), 'unrecognized configuration parameter')
        current_setting(text, bool) text = sql: CASE WHEN $2 THEN (mz_internal.viewable_variables() -> lower($1)) ELSE mz_unsafe.mz_error_if_null((mz_internal.viewable_variables() -> lower($1)), 'unrecognized configuration parameter') END
        current_timestamp() timestamptz = session:CurrentTimestamp
        now() timestamptz = session:CurrentTimestamp
        for current_user current_role user: @() text = session:CurrentUser
        session_user() text = session:SessionUser
        version() text = session:Version
        pg_backend_pid() int4 = session:PgBackendPid
        pg_postmaster_start_time() timestamptz = session:PgPostmasterStartTime
        schema mz_catalog
        mz_environment_id() text = session:MzEnvironmentId
        mz_is_superuser() bool = session:MzIsSuperuser
        mz_now() mz_timestamp = session:MzNow
        mz_session_id() uuid = session:MzSessionId
        mz_uptime() interval = session:MzUptime
        mz_version() text = session:MzVersion
        mz_version_num() int4 = session:MzVersionNum
        schema mz_internal
        is_rbac_enabled() bool = session:IsRbacEnabled
        current_schemas_with_system() text[] = session:CurrentSchemasWithSystem
        current_schemas_without_system() text[] = session:CurrentSchemasWithoutSystem
        viewable_variables() map[text] = session:ViewableVariables
        mz_role_oid_memberships() map[text[]] = session:MzRoleOidMemberships
        """;

    /// <summary>
    /// What Postgres clients ask of the catalog. The macros read mz_catalog; a superuser holds every privilege, and an object
    /// that is not there gives null, as in Postgres.
    /// </summary>
    public const string Compatibility = """
        col_description(oid, int4) text = sql: (SELECT c.comment FROM mz_internal.mz_comments c JOIN mz_catalog.mz_objects o ON o.id = c.id WHERE o.oid = $1 AND c.object_sub_id = $2 LIMIT 1)
        obj_description(oid, text) text = sql: (SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = $1 AND d.objsubid = 0 AND d.classoid = (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = $2 LIMIT 1))
        obj_description(oid) text = sql: (SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = $1 AND d.objsubid = 0 LIMIT 1)
        shobj_description(oid, text) text = sql: NULL::text
        format_type(oid, int4) text = sql: CASE WHEN $1 IS NULL THEN NULL ELSE coalesce(mz_internal.mz_builtin_type_name($1, $2), (SELECT t.typname::text FROM pg_catalog.pg_type t WHERE t.oid = $1 LIMIT 1), '???') END
        pg_cancel_backend(int4) bool = pg_cancel_backend !
        pg_column_size(any) int4 = pg_column_size
        pg_encoding_to_char(int8) text = pg_encoding_to_char
        pg_function_is_visible(oid) bool = sql: (SELECT s.name = ANY(current_schemas(true)) FROM mz_catalog.mz_functions f JOIN mz_catalog.mz_schemas s ON f.schema_id = s.id WHERE f.oid = $1 LIMIT 1)
        pg_table_is_visible(oid) bool = sql: (SELECT s.name = ANY(current_schemas(true)) FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON o.schema_id = s.id WHERE o.oid = $1 LIMIT 1)
        pg_type_is_visible(oid) bool = sql: (SELECT s.name = ANY(current_schemas(true)) FROM mz_catalog.mz_types t JOIN mz_catalog.mz_schemas s ON t.schema_id = s.id WHERE t.oid = $1 LIMIT 1)
        pg_get_constraintdef(oid) text = sql: NULL::text
        pg_get_constraintdef(oid, bool) text = sql: NULL::text
        pg_get_expr(text, oid) text = sql: $1
        pg_get_expr(text, oid, bool) text = sql: $1
        pg_get_indexdef(oid) text = sql: (SELECT 'CREATE INDEX ' || i.name || ' ON ' || s.name || '.' || r.name || ' USING arrangement (' || k.columns || ')' FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_relations r ON r.id = i.on_id JOIN mz_catalog.mz_schemas s ON s.id = r.schema_id JOIN (SELECT ic.index_id, string_agg(coalesce(c.name, ic.on_expression), ', ' ORDER BY ic.index_position) AS columns FROM mz_catalog.mz_index_columns ic JOIN mz_catalog.mz_indexes x ON x.id = ic.index_id LEFT JOIN mz_catalog.mz_columns c ON c.id = x.on_id AND c.position = ic.on_position GROUP BY ic.index_id) k ON k.index_id = i.id WHERE i.oid = $1 LIMIT 1)
        pg_get_indexdef(oid, int4, bool) text = sql: CASE WHEN $2 = 0 THEN pg_catalog.pg_get_indexdef($1) ELSE (SELECT coalesce(c.name, ic.on_expression) FROM mz_catalog.mz_indexes i JOIN mz_catalog.mz_index_columns ic ON ic.index_id = i.id LEFT JOIN mz_catalog.mz_columns c ON c.id = i.on_id AND c.position = ic.on_position WHERE i.oid = $1 AND ic.index_position = $2 LIMIT 1) END
        pg_get_ruledef(oid) text = sql: NULL::text
        pg_get_ruledef(oid, bool) text = sql: NULL::text
        pg_get_function_result(oid) text = sql: NULL::text
        pg_get_function_arguments(oid) text = sql: NULL::text
        pg_get_function_identity_arguments(oid) text = sql: NULL::text
        pg_get_partkeydef(oid) text = sql: NULL::text
        pg_get_statisticsobjdef_columns(oid) text = sql: NULL::text
        pg_get_triggerdef(oid) text = sql: NULL::text
        pg_get_serial_sequence(text, text) text = sql: NULL::text
        pg_relation_is_publishable(regclass) bool = sql: false
        pg_get_userbyid(oid) text = sql: CASE WHEN $1 IS NULL THEN NULL ELSE coalesce((SELECT r.name FROM mz_catalog.mz_roles r WHERE r.oid = $1 LIMIT 1), 'unknown (OID=' || $1::text || ')') END
        pg_get_viewdef(text) text = sql: (SELECT v.definition FROM (SELECT oid, name, definition FROM mz_catalog.mz_views UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) v WHERE v.name = $1 LIMIT 1)
        pg_get_viewdef(text, bool) text = sql: (SELECT v.definition FROM (SELECT oid, name, definition FROM mz_catalog.mz_views UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) v WHERE v.name = $1 LIMIT 1)
        pg_get_viewdef(oid) text = sql: (SELECT v.definition FROM (SELECT oid, name, definition FROM mz_catalog.mz_views UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) v WHERE v.oid = $1 LIMIT 1)
        pg_get_viewdef(oid, bool) text = sql: (SELECT v.definition FROM (SELECT oid, name, definition FROM mz_catalog.mz_views UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) v WHERE v.oid = $1 LIMIT 1)
        pg_get_viewdef(oid, int4) text = sql: (SELECT v.definition FROM (SELECT oid, name, definition FROM mz_catalog.mz_views UNION ALL SELECT oid, name, definition FROM mz_catalog.mz_materialized_views) v WHERE v.oid = $1 LIMIT 1)
        pg_is_in_recovery() bool = sql: false
        pg_relation_size(regclass, text) int8 = sql: CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL ELSE -1::int8 END
        pg_relation_size(regclass) int8 = sql: CASE WHEN $1 IS NULL THEN NULL ELSE -1::int8 END
        pg_table_size(regclass) int8 = sql: CASE WHEN $1 IS NULL THEN NULL ELSE -1::int8 END
        pg_total_relation_size(regclass) int8 = sql: CASE WHEN $1 IS NULL THEN NULL ELSE -1::int8 END
        pg_stat_get_numscans(oid) int8 = sql: CASE WHEN $1 IS NULL THEN NULL ELSE -1::int8 END
        pg_tablespace_location(oid) text = sql: NULL::text
        pg_typeof(any) text = pg_typeof ~%
        makeaclitem(oid, oid, text, bool) aclitem = makeaclitem !
        to_regclass(text) regclass = sql: (SELECT o.oid::regclass FROM mz_catalog.mz_relations o JOIN mz_catalog.mz_schemas s ON o.schema_id = s.id WHERE o.name = (parse_ident($1))[array_length(parse_ident($1), 1)] AND s.name = ANY(current_schemas(true)) LIMIT 1)
        for text oid: has_schema_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(s.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_schemas s WHERE $1::text IN (s.name, s.oid::text) LIMIT 1)
        for text oid: has_database_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(d.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_databases d WHERE $1::text IN (d.name, d.oid::text) LIMIT 1)
        for text oid: has_table_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_relations o WHERE $1::text IN (o.name, o.oid::text) LIMIT 1)
        for text oid: has_connection_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_connections o WHERE $1::text IN (o.name, o.oid::text) LIMIT 1)
        for text oid: has_secret_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_secrets o WHERE $1::text IN (o.name, o.oid::text) LIMIT 1)
        for text oid: has_type_privilege(@, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_types o WHERE $1::text IN (o.name, o.oid::text) LIMIT 1)
        has_cluster_privilege(text, text) bool = sql: (SELECT mz_is_superuser() OR mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user), $2) FROM mz_catalog.mz_clusters o WHERE o.name = $1 LIMIT 1)
        has_system_privilege(text) bool = sql: mz_is_superuser() OR coalesce((SELECT bool_or(mz_internal.mz_acl_item_contains_privilege(p.privileges, $1)) FROM mz_catalog.mz_system_privileges p WHERE mz_internal.mz_aclitem_grantee(p.privileges) IN ('p', (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = current_user))), false)
        for text oid: has_schema_privilege(text, @, text) bool = sql: (SELECT coalesce(mz_internal.mz_privileges_granted(s.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = $1), $3), false) OR ($1 = current_user AND mz_is_superuser()) FROM mz_catalog.mz_schemas s WHERE $2::text IN (s.name, s.oid::text) LIMIT 1)
        for text oid: has_database_privilege(text, @, text) bool = sql: (SELECT coalesce(mz_internal.mz_privileges_granted(d.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = $1), $3), false) OR ($1 = current_user AND mz_is_superuser()) FROM mz_catalog.mz_databases d WHERE $2::text IN (d.name, d.oid::text) LIMIT 1)
        for text oid: has_table_privilege(text, @, text) bool = sql: (SELECT coalesce(mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = $1), $3), false) OR ($1 = current_user AND mz_is_superuser()) FROM mz_catalog.mz_relations o WHERE $2::text IN (o.name, o.oid::text) LIMIT 1)
        has_cluster_privilege(text, text, text) bool = sql: (SELECT coalesce(mz_internal.mz_privileges_granted(o.privileges, (SELECT r.id FROM mz_catalog.mz_roles r WHERE r.name = $1), $3), false) OR ($1 = current_user AND mz_is_superuser()) FROM mz_catalog.mz_clusters o WHERE o.name = $2 LIMIT 1)
        for pg_has_role has_role: @(text, text) bool = sql: CASE WHEN mz_internal.mz_validate_role_privilege($2) THEN mz_is_superuser() OR (SELECT coalesce(r.oid::text = ANY(mz_internal.mz_role_oid_memberships() -> (SELECT u.oid::text FROM mz_catalog.mz_roles u WHERE u.name = current_user)), false) FROM mz_catalog.mz_roles r WHERE r.name = $1) END
        for pg_has_role has_role: @(text, text, text) bool = sql: CASE WHEN mz_internal.mz_validate_role_privilege($3) THEN (SELECT coalesce(r.oid::text = ANY(mz_internal.mz_role_oid_memberships() -> (SELECT u.oid::text FROM mz_catalog.mz_roles u WHERE u.name = $1)), false) FROM mz_catalog.mz_roles r WHERE r.name = $2) END
        for pg_has_role has_role: @(oid, text) bool = sql: CASE WHEN mz_internal.mz_validate_role_privilege($2) THEN mz_is_superuser() OR coalesce($1::text = ANY(mz_internal.mz_role_oid_memberships() -> (SELECT u.oid::text FROM mz_catalog.mz_roles u WHERE u.name = current_user)), false) END
        for pg_has_role has_role: @(oid, oid, text) bool = sql: CASE WHEN mz_internal.mz_validate_role_privilege($3) THEN coalesce($2::text = ANY(mz_internal.mz_role_oid_memberships() -> $1::text), false) END
        schema information_schema
        _pg_expandarray(anyarray) setof expandarray = sql: unnest($1) WITH ORDINALITY
        """;

    public const string MzInternal = """
        schema mz_catalog
        mz_row_size(any) int4 = mz_row_size
        schema mz_internal
        mz_builtin_type_name(oid, int4) text = mz_builtin_type_name ~?
        mz_type_name(oid) text = mz_type_name ?
        mz_render_typmod(oid, int4) text = mz_render_typmod
        make_mz_aclitem(text, text, text) mz_aclitem = make_mz_aclitem !
        mz_acl_item_contains_privilege(mz_aclitem, text) bool = mz_acl_item_contains_privilege !
        mz_aclitem_grantor(mz_aclitem) text = mz_aclitem_grantor
        mz_aclitem_grantee(mz_aclitem) text = mz_aclitem_grantee
        mz_aclitem_privileges(mz_aclitem) text = mz_aclitem_privileges
        aclitem_grantor(aclitem) oid = aclitem_grantor
        aclitem_grantee(aclitem) oid = aclitem_grantee
        aclitem_privileges(aclitem) text = aclitem_privileges
        mz_privileges_granted(mz_aclitem[], text, text) bool = mz_privileges_granted !
        mz_format_privileges(text) text[] = mz_format_privileges !
        mz_validate_privileges(text) bool = mz_validate_privileges !
        mz_validate_role_privilege(text) bool = mz_validate_role_privilege !
        mz_normalize_object_name(text) text[] = mz_normalize_object_name !
        mz_normalize_schema_name(text) text[] = mz_normalize_schema_name !
        for connection secret: mz_@_oid(text) oid = sql: mz_unsafe.mz_error_if_null((SELECT x.oid FROM mz_catalog.mz_@s x WHERE x.name = $1 LIMIT 1), '@ "' || $1 || '" does not exist')
        for database schema role: mz_@_oid(text) oid = sql: mz_unsafe.mz_error_if_null((SELECT x.oid FROM mz_catalog.mz_@s x WHERE x.name = $1 LIMIT 1), '@ "' || $1 || '" does not exist')
        mz_global_id_to_name(text) text = sql: (SELECT coalesce(d.name || '.', '') || s.name || '.' || o.name FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON o.schema_id = s.id LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id WHERE o.id = $1)
        schema mz_unsafe
        mz_error_if_null(any, text) arg0 = error_if_null ~!
        mz_sleep(float8) timestamptz = mz_sleep ?!
        mz_panic(text) text = mz_panic !
        """;
}
