using System.Collections.Frozen;

namespace Materialize.Adapter;

/// <summary>How a variable's text is checked and written back.</summary>
internal enum VariableKind
{
    Text,
    Bool,
    Integer,
    Duration,
    ByteSize,
    Isolation,
    StringList,
    ClientSeverity,
}

/// <summary>A session or system variable.</summary>
/// <param name="Name">As SHOW prints it; looked up without regard to case.</param>
/// <param name="IsReported">Whether clients are told of changes by ParameterStatus.</param>
/// <param name="Allowed">If not empty, the only values (compared without case).</param>
internal sealed record Variable(string Name, VariableKind Kind, string Default, string Description)
{
    public bool IsReported { get; init; }

    public bool IsReadOnly { get; init; }

    public string[] Allowed { get; init; } = [];

    /// <summary>Only ALTER SYSTEM changes it.</summary>
    public bool IsSystem { get; init; }
}

/// <summary>All variables. Names, defaults and effects: reference, system-catalog §10.</summary>
internal static class VariableTable
{
    public const string Version = "v26.1.0";

    private static readonly Variable[] All =
    [
        new("application_name", VariableKind.Text, "", "name of the application, for logs") { IsReported = true },
        new("client_encoding", VariableKind.Text, "UTF8", "character set of the client") { IsReported = true, Allowed = ["UTF8", "UTF-8", "unicode"] },
        new("client_min_messages", VariableKind.ClientSeverity, "notice", "least severity of notices that are sent")
        {
            Allowed = ["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"],
        },
        new("cluster", VariableKind.Text, "quickstart", "the active cluster") { IsReported = true },
        new("cluster_replica", VariableKind.Text, "", "the replica that SELECTs go to") { IsReported = true },
        new("current_object_missing_warnings", VariableKind.Bool, "on", "whether to warn when the database, schema or cluster is missing"),
        new("database", VariableKind.Text, "materialize", "the active database") { IsReported = true },
        new("DateStyle", VariableKind.Text, "ISO, MDY", "display format of dates; output is always ISO") { IsReported = true },
        new("default_cluster_replication_factor", VariableKind.Integer, "1", "replication factor of new clusters") { IsReported = true },
        new("extra_float_digits", VariableKind.Integer, "3", "digits of floats; output always round-trips"),
        new("idle_in_transaction_session_timeout", VariableKind.Duration, "2 min", "longest idle time in a transaction"),
        new("integer_datetimes", VariableKind.Bool, "on", "datetimes are integers") { IsReported = true, Allowed = ["on"] },
        new("IntervalStyle", VariableKind.Text, "postgres", "display format of intervals") { IsReported = true, Allowed = ["postgres"] },
        new("is_superuser", VariableKind.Bool, "off", "whether the role is a superuser") { IsReported = true, IsReadOnly = true },
        new("max_identifier_length", VariableKind.Integer, "255", "longest identifier in bytes") { IsReadOnly = true },
        new("max_query_result_size", VariableKind.ByteSize, "1GB", "largest result of a query"),
        new("mz_version", VariableKind.Text, Version, "version of this server") { IsReported = true, IsReadOnly = true },
        new("search_path", VariableKind.StringList, "public", "schemas in which unqualified names are looked up") { IsReported = true },
        new("server_version", VariableKind.Text, "9.5.0", "the PostgreSQL version that clients may assume") { IsReported = true, IsReadOnly = true },
        new("server_version_num", VariableKind.Integer, "90500", "the same as a number") { IsReadOnly = true },
        new("sql_safe_updates", VariableKind.Bool, "off", "no effect"),
        new("standard_conforming_strings", VariableKind.Bool, "on", "backslashes in strings are literal") { IsReported = true, Allowed = ["on"] },
        new("statement_timeout", VariableKind.Duration, "1 min", "longest run of a statement; 0 for none"),
        new("TimeZone", VariableKind.Text, "UTC", "time zone of timestamptz output")
        {
            IsReported = true,
            Allowed = ["UTC", "GMT", "+00", "+00:00", "-00", "-00:00", "0", "Etc/UTC"],
        },
        new("transaction_isolation", VariableKind.Isolation, "strict serializable", "isolation level of transactions"),
        new("auto_route_catalog_queries", VariableKind.Bool, "on", "whether queries of the catalog alone run on mz_catalog_server"),
        new("emit_timestamp_notice", VariableKind.Bool, "off", "whether a notice tells the timestamp of each query"),
        new("emit_introspection_query_notice", VariableKind.Bool, "on", "whether a notice tells of per-replica introspection queries"),
        new("welcome_message", VariableKind.Bool, "on", "whether a notice greets at login"),
        new("max_result_size", VariableKind.ByteSize, "1GB", "largest result of any query") { IsSystem = true },
        new("max_tables", VariableKind.Integer, "200", "most user tables") { IsSystem = true },
        new("max_sources", VariableKind.Integer, "200", "most user sources") { IsSystem = true },
        new("max_materialized_views", VariableKind.Integer, "500", "most materialized views") { IsSystem = true },
        new("max_clusters", VariableKind.Integer, "25", "most clusters") { IsSystem = true },
        new("max_databases", VariableKind.Integer, "1000", "most databases") { IsSystem = true },
        new("max_schemas_per_database", VariableKind.Integer, "1000", "most schemas in a database") { IsSystem = true },
        new("max_roles", VariableKind.Integer, "1000", "most roles") { IsSystem = true },
        new("max_secrets", VariableKind.Integer, "100", "most secrets") { IsSystem = true },
        new("max_connections", VariableKind.Integer, "5000", "most client connections") { IsSystem = true },
        new("max_copy_from_row_size", VariableKind.ByteSize, "128MB", "longest row of COPY FROM") { IsSystem = true },
        new("persist_fast_path_limit", VariableKind.Integer, "25", "most rows a query may ask of storage directly") { IsSystem = true },
        new("enable_create_table_from_source", VariableKind.Bool, "on", "CREATE TABLE … FROM SOURCE") { IsSystem = true },
        new("enable_rbac_checks", VariableKind.Bool, "off", "whether privileges are checked; not built yet, so it cannot be on")
        {
            IsSystem = true,
            Allowed = ["off"],
        },
        Flag("enable_alter_set_cluster", "ALTER … SET CLUSTER"),
        Flag("enable_alter_table_add_column", "ALTER TABLE … ADD COLUMN"),
        Flag("enable_cluster_schedule_refresh", "SCHEDULE = ON REFRESH of clusters"),
        Flag("enable_envelope_debezium_in_subscribe", "ENVELOPE DEBEZIUM of SUBSCRIBE"),
        Flag("enable_load_generator_clock", "LOAD GENERATOR CLOCK"),
        Flag("enable_load_generator_counter", "LOAD GENERATOR COUNTER"),
        Flag("enable_managed_cluster_availability_zones", "AVAILABILITY ZONES of clusters"),
        Flag("enable_raise_statement", "RAISE"),
        Flag("enable_refresh_every_mvs", "REFRESH EVERY and REFRESH AT of materialized views"),
        Flag("enable_zero_downtime_cluster_reconfiguration", "WITH (WAIT …) of ALTER CLUSTER"),
        Flag("unsafe_enable_table_check_constraint", "CHECK is parsed and not enforced"),
        Flag("unsafe_enable_table_foreign_key", "REFERENCES is parsed and not enforced"),
        Flag("unsafe_enable_table_keys", "PRIMARY KEY and UNIQUE are parsed and not enforced"),
    ];

    /// <summary>What allows a piece of syntax that is off unless somebody asks for it (reference, system-catalog §10.3). Only those are here that the planner looks at.</summary>
    private static Variable Flag(string name, string allows) => new(name, VariableKind.Bool, "off", allows) { IsSystem = true };

    private static readonly FrozenDictionary<string, Variable> ByName =
        All.ToFrozenDictionary(v => v.Name, StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenDictionary<string, Variable>.AlternateLookup<ReadOnlySpan<char>> Lookup =
        ByName.GetAlternateLookup<ReadOnlySpan<char>>();

    public static IEnumerable<Variable> Variables => All;

    public static Variable? Find(string name) => Lookup.TryGetValue(name.AsSpan(), out var variable) ? variable : null;
}
