using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Catalog;

/// <summary>
/// All built-in relations. A table here has its rows from <see cref="BuiltinRows"/> or from what runs; views are SQL over these.
/// Columns: reference, system-catalog §4–§5.
/// </summary>
public static partial class Builtins
{
    private const string Catalog = "mz_catalog";
    private const string Internal = "mz_internal";

    public static readonly Builtin.Table Databases = Table(
        1, Catalog, "mz_databases", "id text, oid oid, name text, owner_id text, privileges mz_aclitem[]");

    public static readonly Builtin.Table Schemas = Table(
        2, Catalog, "mz_schemas", "id text, oid oid, database_id text?, name text, owner_id text, privileges mz_aclitem[]");

    public static readonly Builtin.Table Roles = Table(
        3, Catalog, "mz_roles", "id text, oid oid, name text, inherit bool, rolcanlogin bool?, rolsuper bool?");

    public static readonly Builtin.Table Clusters = Table(
        4,
        Catalog,
        "mz_clusters",
        "id text, name text, owner_id text, privileges mz_aclitem[], managed bool, size text?, replication_factor uint4?, disk bool?, "
        + "availability_zones text list?, introspection_debugging bool?, introspection_interval interval?");

    public static readonly Builtin.Table ClusterReplicas = Table(
        5, Catalog, "mz_cluster_replicas", "id text, name text, cluster_id text, size text?, availability_zone text?, owner_id text, disk bool?");

    public static readonly Builtin.Table TablesTable = Table(
        6,
        Catalog,
        "mz_tables",
        "id text, oid oid, schema_id text, name text, owner_id text, privileges mz_aclitem[], create_sql text?, redacted_create_sql text?, source_id text?");

    public static readonly Builtin.Table ViewsTable = Table(
        7,
        Catalog,
        "mz_views",
        "id text, oid oid, schema_id text, name text, definition text, owner_id text, privileges mz_aclitem[], create_sql text, redacted_create_sql text");

    public static readonly Builtin.Table MaterializedViews = Table(
        8,
        Catalog,
        "mz_materialized_views",
        "id text, oid oid, schema_id text, name text, cluster_id text, definition text, owner_id text, privileges mz_aclitem[], create_sql text, redacted_create_sql text");

    public static readonly Builtin.Table Sources = Table(
        9,
        Catalog,
        "mz_sources",
        "id text, oid oid, schema_id text, name text, type text, connection_id text?, size text?, envelope_type text?, key_format text?, value_format text?, "
        + "cluster_id text?, owner_id text, privileges mz_aclitem[], create_sql text?, redacted_create_sql text?");

    public static readonly Builtin.Table Indexes = Table(
        10, Catalog, "mz_indexes", "id text, oid oid, name text, on_id text, cluster_id text, owner_id text, create_sql text, redacted_create_sql text");

    public static readonly Builtin.Table IndexColumns = Table(
        11, Catalog, "mz_index_columns", "index_id text, index_position uint8, on_position uint8?, on_expression text?, nullable bool");

    public static readonly Builtin.Table Columns = Table(
        12, Catalog, "mz_columns", "id text, name text, position uint8, nullable bool, type text, default text?, type_oid oid, type_mod int4");

    public static readonly Builtin.Table Connections = Table(
        13,
        Catalog,
        "mz_connections",
        "id text, oid oid, schema_id text, name text, type text, owner_id text, privileges mz_aclitem[], create_sql text, redacted_create_sql text");

    public static readonly Builtin.Table Secrets = Table(
        14, Catalog, "mz_secrets", "id text, oid oid, schema_id text, name text, owner_id text, privileges mz_aclitem[]");

    public static readonly Builtin.Table Types = Table(
        15,
        Catalog,
        "mz_types",
        "id text, oid oid, schema_id text, name text, category text, owner_id text, privileges mz_aclitem[], create_sql text?, redacted_create_sql text?");

    public static readonly Builtin.Table BaseTypes = Table(16, Catalog, "mz_base_types", "id text");

    public static readonly Builtin.Table ArrayTypes = Table(17, Catalog, "mz_array_types", "id text, element_id text");

    public static readonly Builtin.Table Functions = Table(
        21,
        Catalog,
        "mz_functions",
        "id text, oid oid, schema_id text, name text, argument_type_ids text[], variadic_argument_type_id text?, return_type_id text?, returns_set bool, owner_id text");

    public static readonly Builtin.Table Operators = Table(
        22, Catalog, "mz_operators", "oid oid, name text, argument_type_ids text[], return_type_id text?");

    public static readonly Builtin.Table Sinks = Table(
        23,
        Catalog,
        "mz_sinks",
        "id text, oid oid, schema_id text, name text, type text, connection_id text?, size text?, envelope_type text?, format text?, key_format text?, "
        + "value_format text?, cluster_id text, owner_id text, create_sql text, redacted_create_sql text");

    public static readonly Builtin.Table RoleMembers = Table(24, Catalog, "mz_role_members", "role_id text, member text, grantor text");

    public static readonly Builtin.Table Comments = Table(
        25, Internal, "mz_comments", "id text, object_type text, object_sub_id int4?, comment text");

    public static readonly Builtin.Table ObjectDependencies = Table(
        26, Internal, "mz_object_dependencies", "object_id text, referenced_object_id text");

    public static readonly Builtin.Table PostgresSources = Table(
        27, Internal, "mz_postgres_sources", "id text, replication_slot text, timeline_id uint8?");

    public static readonly Builtin.Table PostgresSourceTables = Table(
        28, Internal, "mz_postgres_source_tables", "id text, schema_name text, table_name text");

    /// <summary>Written as the storage controller hears of it.</summary>
    public static readonly Builtin.Table SourceStatusHistory = Table(
        29,
        Internal,
        "mz_source_status_history",
        "occurred_at timestamptz, source_id text, status text, error text?, details jsonb?, replica_id text?");

    /// <summary>Every built-in table, in id order.</summary>
    public static IReadOnlyList<Builtin.Table> Tables { get; } =
    [
        Databases, Schemas, Roles, Clusters, ClusterReplicas, TablesTable, ViewsTable, MaterializedViews, Sources, Indexes, IndexColumns, Columns,
        Connections, Secrets, Types, BaseTypes, ArrayTypes, Functions, Operators, Sinks, RoleMembers, Comments, ObjectDependencies,
        PostgresSources, PostgresSourceTables, SourceStatusHistory,
    ];

    private static Builtin.Table Table(ulong number, string schema, string name, string columns) =>
        new(number, 16_600 + (uint)number, schema, name, ParseColumns(columns));

    /// <summary>Reads "name type, name type?": a type's catalog name, <c>[]</c> or <c> list</c> after it, <c>?</c> for nullable.</summary>
    private static RelationDesc ParseColumns(string text)
    {
        var names = new List<string>();
        var types = new List<ColumnType>();
        foreach (var column in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var space = column.IndexOf(' ', StringComparison.Ordinal);
            var type = column[(space + 1)..];
            var nullable = type.EndsWith('?');
            type = type.TrimEnd('?');
            names.Add(column[..space]);
            types.Add(new ColumnType(ParseType(type), nullable));
        }

        return new RelationDesc(new RelationType(types.ToValueArray()), names.ToValueArray());
    }

    private static SqlType ParseType(string type)
    {
        if (type.EndsWith("[]", StringComparison.Ordinal))
            return SqlType.ArrayOf(ParseType(type[..^2]));
        if (type.EndsWith(" list", StringComparison.Ordinal))
            return SqlType.ListOf(ParseType(type[..^5]));
        return PgType.ByName(type) ?? throw new ArgumentException($"no type {type}");
    }
}
