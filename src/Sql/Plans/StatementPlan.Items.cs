using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public abstract partial record StatementPlan
{
    // ---- Items -------------------------------------------------------------------------------------------------------

    /// <summary>Makes one item.</summary>
    /// <param name="Name">Full: the schema exists, the name is free or one of the two flags says what to do.</param>
    /// <param name="CreateSql">The normalised statement, all names full; what <c>SHOW CREATE</c> prints and what restarts plan again.</param>
    /// <param name="IfNotExists">An item of that name is no error but a notice: see <see cref="CreateItem.Existing"/>.</param>
    public abstract record CreateItem(FullName Name, string CreateSql, bool IfNotExists) : StatementPlan
    {
        public required SchemaId SchemaId { get; init; }

        /// <summary>An item of that name that is there already: with <see cref="IfNotExists"/> nothing is to do but the notice.</summary>
        public GlobalId? Existing { get; init; }

        /// <summary>With OR REPLACE: items to drop first, the replaced one and (for views) nothing else.</summary>
        public ValueArray<GlobalId> Replaces { get; init; } = [];

        public bool IsTemporary { get; init; }
    }

    /// <param name="Defaults">Per column the SQL of its DEFAULT, null if none.</param>
    public sealed record CreateTable(
        FullName Name, string CreateSql, bool IfNotExists, RelationDesc Desc, ValueArray<string?> Defaults) : CreateItem(Name, CreateSql, IfNotExists)
    {
        public TimeSpan? RetainHistory { get; init; }
    }

    /// <summary>CREATE TABLE … FROM SOURCE.</summary>
    /// <param name="Reference">The upstream object as written, dots between parts; null when the source has only one.</param>
    /// <param name="Desc">Null when the columns come from the upstream table: the adapter asks it.</param>
    public sealed record CreateTableFromSource(
        FullName Name,
        string CreateSql,
        bool IfNotExists,
        GlobalId Source,
        string? Reference,
        RelationDesc? Desc,
        SourceEncoding? Encoding,
        ValueArray<string> TextColumns,
        ValueArray<string> ExcludeColumns) : CreateItem(Name, CreateSql, IfNotExists);

    public sealed record CreateView(
        FullName Name, string CreateSql, bool IfNotExists, QueryPlan Query) : CreateItem(Name, CreateSql, IfNotExists);

    /// <param name="NonNullAssertions">Columns of ASSERT NOT NULL.</param>
    public sealed record CreateMaterializedView(
        FullName Name,
        string CreateSql,
        bool IfNotExists,
        ClusterId Cluster,
        QueryPlan Query,
        ValueArray<int> NonNullAssertions) : CreateItem(Name, CreateSql, IfNotExists)
    {
        /// <summary>Null: on commit.</summary>
        public RefreshSchedule? Refresh { get; init; }

        public TimeSpan? RetainHistory { get; init; }

        public ulong? AsOfMs { get; init; }

        /// <summary>For CREATE REPLACEMENT: the view to be replaced.</summary>
        public GlobalId? ReplacementFor { get; init; }
    }

    /// <param name="Keys">Over the columns of <paramref name="On"/>.</param>
    public sealed record CreateIndex(
        FullName Name,
        string CreateSql,
        bool IfNotExists,
        GlobalId On,
        ValueArray<MirScalarExpr> Keys,
        ClusterId Cluster) : CreateItem(Name, CreateSql, IfNotExists)
    {
        public TimeSpan? RetainHistory { get; init; }
    }

    public sealed record CreateSource(
        FullName Name, string CreateSql, bool IfNotExists, ClusterId Cluster, SourceConnector Connector) : CreateItem(Name, CreateSql, IfNotExists)
    {
        /// <summary>Columns the source itself has; empty for those whose rows are in subsources.</summary>
        public required RelationDesc Desc { get; init; }

        public SourceEncoding? Encoding { get; init; }

        public SourceEnvelope Envelope { get; init; } = SourceEnvelope.None;

        public ValueArray<IncludeMetadata> Include { get; init; } = [];

        /// <summary>Null: none (the tables are made later by CREATE TABLE FROM SOURCE).</summary>
        public SourceExports? Exports { get; init; }

        /// <summary>The progress collection to make with it.</summary>
        public required FullName ProgressName { get; init; }

        public TimeSpan? TimestampInterval { get; init; }

        public TimeSpan? RetainHistory { get; init; }
    }

    /// <summary>One output of a source: the persisted, internal form that the catalog plans again at start.</summary>
    public sealed record CreateSubsource(
        FullName Name, string CreateSql, bool IfNotExists, GlobalId Source, string? Reference, RelationDesc Desc, bool IsProgress)
        : CreateItem(Name, CreateSql, IfNotExists)
    {
        public ValueArray<string> TextColumns { get; init; } = [];

        public ValueArray<string> ExcludeColumns { get; init; } = [];
    }

    public sealed record CreateSink(
        FullName Name, string CreateSql, bool IfNotExists, GlobalId From, ClusterId Cluster, string ConnectorType) : CreateItem(Name, CreateSql, IfNotExists);

    public sealed record CreateConnection(
        FullName Name, string CreateSql, bool IfNotExists, ConnectionDetails Details, bool Validate) : CreateItem(Name, CreateSql, IfNotExists);

    /// <param name="Value">The secret's bytes. Never in <see cref="CreateItem.CreateSql"/>.</param>
    public sealed record CreateSecret(
        FullName Name, string CreateSql, bool IfNotExists, ValueArray<byte> Value) : CreateItem(Name, CreateSql, IfNotExists);

    /// <param name="Type">Without its <see cref="SqlType.CustomId"/>: the adapter knows the id.</param>
    public sealed record CreateType(FullName Name, string CreateSql, bool IfNotExists, SqlType Type) : CreateItem(Name, CreateSql, IfNotExists);
}

/// <summary>When a materialized view is refreshed.</summary>
/// <param name="AtMs">Single times.</param>
public sealed record RefreshSchedule(ValueArray<ulong> AtMs, ValueArray<RefreshEvery> Every);

/// <summary>Every <paramref name="IntervalMs"/> ms, counted from <paramref name="AlignedToMs"/>.</summary>
public sealed record RefreshEvery(ulong IntervalMs, ulong AlignedToMs);

/// <summary>Where a source's data come from.</summary>
public abstract record SourceConnector
{
    private SourceConnector()
    {
    }

    public sealed record Postgres(GlobalId Connection, string Publication, ValueArray<string> TextColumns, ValueArray<string> ExcludeColumns) : SourceConnector;

    /// <summary>Options lower case as <c>tick interval</c>; durations in ms, numbers as written.</summary>
    public sealed record LoadGenerator(string Generator, ValueArray<KeyValuePair<string, string>> Options) : SourceConnector;

    public sealed record Kafka(GlobalId Connection, string Topic, ValueArray<KeyValuePair<string, string>> Options) : SourceConnector;

    public sealed record MySql(GlobalId Connection, ValueArray<string> TextColumns, ValueArray<string> ExcludeColumns) : SourceConnector;

    public sealed record SqlServer(GlobalId Connection, ValueArray<string> TextColumns, ValueArray<string> ExcludeColumns) : SourceConnector;

    public sealed record Webhook(WebhookBody Body, bool IncludeHeaders, ValueArray<string> HeaderFilter) : SourceConnector;
}

public enum WebhookBody
{
    Text,
    Json,
    JsonArray,
    Bytes,
}

/// <summary>How messages become columns.</summary>
/// <param name="Key">Null without a key format.</param>
public sealed record SourceEncoding(DataFormat? Key, DataFormat Value);

public abstract record DataFormat
{
    private DataFormat()
    {
    }

    public sealed record Bytes : DataFormat;

    public sealed record Text : DataFormat;

    public sealed record Json(bool IsArray) : DataFormat;

    public sealed record Csv(int Columns, ValueArray<string> Header, char Delimiter) : DataFormat;

    public sealed record Regex(string Pattern) : DataFormat;

    public sealed record Avro(GlobalId? SchemaRegistry, string? InlineSchema) : DataFormat;

    public sealed record Protobuf(GlobalId? SchemaRegistry, string? Message, string? Schema) : DataFormat;
}

public enum SourceEnvelope
{
    None,
    Upsert,
    Debezium,
    Materialize,
}

public sealed record IncludeMetadata(string Kind, string Alias);

/// <summary>Which upstream tables become subsources.</summary>
public abstract record SourceExports
{
    private SourceExports()
    {
    }

    public sealed record AllTables : SourceExports;

    public sealed record Schemas(ValueArray<string> Names) : SourceExports;

    /// <param name="Tables">Upstream reference (dots between parts), and the name here; null: the reference's last part.</param>
    public sealed record Tables(ValueArray<KeyValuePair<string, FullName>> References) : SourceExports;
}

/// <summary>A connection's options, checked.</summary>
/// <param name="Type">postgres, kafka, mysql, sql-server, ssh-tunnel, aws, confluent-schema-registry….</param>
/// <param name="Options">Lower case names, <c>ssl mode</c>; in the order written.</param>
public sealed record ConnectionDetails(string Type, ValueArray<KeyValuePair<string, ConnectionValue>> Options)
{
    /// <summary>The option's value, or null.</summary>
    public ConnectionValue? Find(string name)
    {
        foreach (var (key, value) in Options)
        {
            if (key == name)
                return value;
        }

        return null;
    }
}

public abstract record ConnectionValue
{
    private ConnectionValue()
    {
    }

    public sealed record Text(string Value) : ConnectionValue;

    /// <summary>The value is in a secret, read when connecting.</summary>
    public sealed record Secret(GlobalId Id) : ConnectionValue;

    /// <summary>Another connection: a tunnel.</summary>
    public sealed record Item(GlobalId Id) : ConnectionValue;
}
