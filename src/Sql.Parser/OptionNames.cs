namespace Materialize.Sql.Parser;

/// <summary>The option names each statement knows. Where one name begins another, the longer stands first.</summary>
internal static class OptionNames
{
    public static readonly string[] Recursion = ["RECURSION LIMIT", "RETURN AT RECURSION LIMIT", "ERROR AT RECURSION LIMIT"];
    public static readonly string[] SelectHints =
        ["EXPECTED GROUP SIZE", "AGGREGATE INPUT GROUP SIZE", "DISTINCT ON INPUT GROUP SIZE", "LIMIT INPUT GROUP SIZE"];
    public static readonly string[] Subscribe = ["SNAPSHOT", "PROGRESS"];
    public static readonly string[] Fetch = ["TIMEOUT"];
    public static readonly string[] Copy =
        ["FORMAT", "DELIMITER", "NULL", "QUOTE", "ESCAPE", "HEADER", "AWS CONNECTION", "MAX FILE SIZE", "FILES", "PATTERN"];
    public static readonly string[] Table = ["PARTITION BY", "RETAIN HISTORY", "REDACTED"];
    public static readonly string[] TableFromSource = ["TEXT COLUMNS", "EXCLUDE COLUMNS", "DETAILS", "PARTITION BY", "RETAIN HISTORY"];
    public static readonly string[] MaterializedView = ["ASSERT NOT NULL", "PARTITION BY", "RETAIN HISTORY", "REFRESH"];
    public static readonly string[] Index = ["RETAIN HISTORY"];
    public static readonly string[] ListType = ["ELEMENT TYPE"];
    public static readonly string[] MapType = ["KEY TYPE", "VALUE TYPE"];
    public static readonly string[] Validate = ["VALIDATE"];
    public static readonly string[] Source = ["TIMESTAMP INTERVAL", "RETAIN HISTORY"];
    public static readonly string[] Subsource = ["PROGRESS", "EXTERNAL REFERENCE", "TEXT COLUMNS", "EXCLUDE COLUMNS", "RETAIN HISTORY", "DETAILS"];
    public static readonly string[] Sink = ["SNAPSHOT", "VERSION", "PARTITION STRATEGY", "COMMIT INTERVAL"];
    public static readonly string[] AlterItem = ["RETAIN HISTORY", "TIMESTAMP INTERVAL", "PARTITION BY", "SNAPSHOT", "VERSION"];
    public static readonly string[] AddSubsource = ["TEXT COLUMNS", "EXCLUDE COLUMNS", "DETAILS"];
    public static readonly string[] Cluster =
    [
        "AVAILABILITY ZONES", "DISK", "INTROSPECTION DEBUGGING", "INTROSPECTION INTERVAL", "MANAGED", "REPLICAS", "REPLICATION FACTOR", "SIZE",
        "SCHEDULE", "WORKLOAD CLASS",
    ];
    public static readonly string[] Replica =
    [
        "AVAILABILITY ZONE", "BILLED AS", "COMPUTE ADDRESSES", "COMPUTECTL ADDRESSES", "DISK", "INTERNAL", "INTROSPECTION DEBUGGING",
        "INTROSPECTION INTERVAL", "SIZE", "STORAGE ADDRESSES", "STORAGECTL ADDRESSES", "WORKERS",
    ];
    public static readonly string[] AlterClusterWith = ["WAIT"];
    public static readonly string[] WaitUntilReady = ["TIMEOUT", "ON TIMEOUT"];
    public static readonly string[] NetworkPolicy = ["RULES"];
    public static readonly string[] NetworkRule = ["ACTION", "ADDRESS", "DIRECTION"];
    public static readonly string[] Connection =
    [
        "ACCESS KEY ID", "ASSUME ROLE ARN", "ASSUME ROLE SESSION NAME", "AVAILABILITY ZONES", "AWS CONNECTION", "AWS PRIVATELINK", "BROKERS",
        "BROKER", "CATALOG TYPE", "CREDENTIAL", "DATABASE", "ENDPOINT", "HOST", "PASSWORD", "PORT", "PUBLIC KEY 1", "PUBLIC KEY 2",
        "PROGRESS TOPIC REPLICATION FACTOR", "PROGRESS TOPIC", "REGION", "SASL MECHANISMS", "SASL PASSWORD", "SASL USERNAME", "SCOPE",
        "SECRET ACCESS KEY", "SECURITY PROTOCOL", "SERVICE NAME", "SESSION TOKEN", "SSH TUNNEL", "SSL CERTIFICATE AUTHORITY", "SSL CERTIFICATE",
        "SSL KEY", "SSL MODE", "URL", "USERNAME", "USER", "WAREHOUSE", "TOKEN",
    ];
    public static readonly string[] PrivateLink = ["AVAILABILITY ZONE", "PORT"];
    public static readonly string[] KafkaSource =
        ["GROUP ID PREFIX", "TOPIC METADATA REFRESH INTERVAL", "TOPIC", "START TIMESTAMP", "START OFFSET"];
    public static readonly string[] KafkaSink =
    [
        "COMPRESSION TYPE", "PARTITION BY", "PROGRESS GROUP ID PREFIX", "TOPIC CONFIG", "TOPIC METADATA REFRESH INTERVAL", "TOPIC PARTITION COUNT",
        "TOPIC REPLICATION FACTOR", "TOPIC", "TRANSACTIONAL ID PREFIX", "LEGACY IDS",
    ];
    public static readonly string[] Iceberg = ["NAMESPACE", "TABLE"];
    public static readonly string[] Postgres = ["DETAILS", "PUBLICATION", "TEXT COLUMNS", "EXCLUDE COLUMNS"];
    public static readonly string[] MySql = ["DETAILS", "TEXT COLUMNS", "EXCLUDE COLUMNS", "IGNORE COLUMNS"];
    public static readonly string[] SqlServer = ["DETAILS", "TEXT COLUMNS", "EXCLUDE COLUMNS"];
    public static readonly string[] LoadGenerator =
    [
        "SCALE FACTOR", "TICK INTERVAL", "AS OF", "UP TO", "MAX CARDINALITY", "KEYS", "SNAPSHOT ROUNDS", "TRANSACTIONAL SNAPSHOT", "VALUE SIZE",
        "SEED", "PARTITIONS", "BATCH SIZE",
    ];
    public static readonly string[] Registry =
        ["AVRO KEY FULLNAME", "AVRO VALUE FULLNAME", "NULL DEFAULTS", "KEY COMPATIBILITY LEVEL", "VALUE COMPATIBILITY LEVEL"];
    public static readonly string[] InlineAvro = ["CONFLUENT WIRE FORMAT"];
}
