namespace Materialize.Sql.Parser.Ast;

/// <summary>Where a source reads.</summary>
public abstract record SourceConnector : AstNode
{
    private SourceConnector() { }   // closed

    /// <summary>KAFKA CONNECTION c (…). Options: TOPIC, GROUP ID PREFIX, START OFFSET, START TIMESTAMP, TOPIC METADATA REFRESH INTERVAL.</summary>
    public sealed record Kafka(ObjectName Connection, AstList<SqlOption> Options) : SourceConnector;

    /// <summary>POSTGRES CONNECTION c (…). Options: PUBLICATION, TEXT COLUMNS, EXCLUDE COLUMNS, DETAILS.</summary>
    public sealed record Postgres(ObjectName Connection, AstList<SqlOption> Options) : SourceConnector;

    /// <summary>MYSQL CONNECTION c (…). Options: TEXT COLUMNS, EXCLUDE COLUMNS, IGNORE COLUMNS, DETAILS.</summary>
    public sealed record MySql(ObjectName Connection, AstList<SqlOption> Options) : SourceConnector;

    /// <summary>SQL SERVER CONNECTION c (…). Options: TEXT COLUMNS, EXCLUDE COLUMNS, DETAILS.</summary>
    public sealed record SqlServer(ObjectName Connection, AstList<SqlOption> Options) : SourceConnector;

    /// <summary>LOAD GENERATOR g (…).</summary>
    public sealed record LoadGenerator(LoadGeneratorKind Kind, AstList<SqlOption> Options) : SourceConnector;
}

/// <summary>The load generators.</summary>
public enum LoadGeneratorKind { Clock, Counter, Marketing, Auction, Datums, Tpch, KeyValue }

/// <summary>Where a sink writes.</summary>
public abstract record SinkConnector : AstNode
{
    private SinkConnector() { }   // closed

    /// <summary>KAFKA CONNECTION c (…) [KEY (…) [NOT ENFORCED]] [HEADERS col].</summary>
    public sealed record Kafka(ObjectName Connection, AstList<SqlOption> Options, SinkKey? Key, Ident? Headers) : SinkConnector;

    /// <summary>ICEBERG CATALOG CONNECTION c (…) USING AWS CONNECTION a [KEY (…) [NOT ENFORCED]]. Options: NAMESPACE, TABLE.</summary>
    public sealed record Iceberg(ObjectName Connection, AstList<SqlOption> Options, ObjectName AwsConnection, SinkKey? Key) : SinkConnector;
}

/// <summary>KEY (c, …) [NOT ENFORCED].</summary>
public sealed record SinkKey(AstList<Ident> Columns, bool NotEnforced) : AstNode;

/// <summary>ENVELOPE of a sink.</summary>
public enum SinkEnvelope { Debezium, Upsert }

/// <summary>MODE of a sink.</summary>
public enum SinkMode { Upsert, Append }

/// <summary>FORMAT f, or KEY FORMAT k VALUE FORMAT v.</summary>
public abstract record FormatSpec : AstNode
{
    private FormatSpec() { }   // closed

    /// <summary>FORMAT f.</summary>
    public sealed record Bare(Format Format) : FormatSpec;

    /// <summary>KEY FORMAT k VALUE FORMAT v.</summary>
    public sealed record KeyValue(Format Key, Format Value) : FormatSpec;
}

/// <summary>A format of messages.</summary>
public abstract record Format : AstNode
{
    private Format() { }   // closed

    /// <summary>BYTES.</summary>
    public sealed record Bytes : Format;

    /// <summary>TEXT.</summary>
    public sealed record Text : Format;

    /// <summary>JSON, JSON ARRAY.</summary>
    public sealed record Json(bool Array) : Format;

    /// <summary>AVRO USING ….</summary>
    public sealed record Avro(AvroSchema Schema) : Format;

    /// <summary>PROTOBUF USING CONFLUENT SCHEMA REGISTRY ….</summary>
    public sealed record ProtobufRegistry(SchemaRegistry Registry) : Format;

    /// <summary>PROTOBUF MESSAGE 'm' USING SCHEMA 's'.</summary>
    public sealed record ProtobufInline(string Message, string Schema) : Format;

    /// <summary>REGEX 're'.</summary>
    public sealed record Regex(string Pattern) : Format;

    /// <summary>CSV WITH n COLUMNS, or WITH HEADER [(c, …)] (then <see cref="ColumnCount"/> is null).</summary>
    public sealed record Csv(int? ColumnCount, AstList<Ident> Header, char Delimiter) : Format;
}

/// <summary>Where an Avro schema comes from.</summary>
public abstract record AvroSchema : AstNode
{
    private AvroSchema() { }   // closed

    /// <summary>USING CONFLUENT SCHEMA REGISTRY.</summary>
    public sealed record Registry(SchemaRegistry Value) : AvroSchema;

    /// <summary>USING SCHEMA 'json' [(CONFLUENT WIRE FORMAT = b)].</summary>
    public sealed record Inline(string Schema, AstList<SqlOption> Options) : AvroSchema;
}

/// <summary>CONFLUENT SCHEMA REGISTRY CONNECTION c [(…)] [KEY STRATEGY s] [VALUE STRATEGY s]; <see cref="Seed"/> in stored text only.</summary>
public sealed record SchemaRegistry(
    ObjectName Connection, AstList<SqlOption> Options, AstList<RegistryDoc> Docs, ReaderSchemaStrategy? KeyStrategy, ReaderSchemaStrategy? ValueStrategy,
    RegistrySeed? Seed) : AstNode;

/// <summary>[KEY|VALUE] DOC ON {TYPE t|COLUMN t.c} = 'd'; neither key nor value means both.</summary>
public sealed record RegistryDoc(bool? ForKey, bool OnColumn, ObjectName Target, string Text) : AstNode;

/// <summary>SEED [KEY SCHEMA 'k'] VALUE SCHEMA 'v': the schemas fixed at creation. With <see cref="KeyMessage"/>/<see cref="ValueMessage"/> for Protobuf.</summary>
public sealed record RegistrySeed(string? KeySchema, string? KeyMessage, string ValueSchema, string? ValueMessage) : AstNode;

/// <summary>Which schema to read with.</summary>
public abstract record ReaderSchemaStrategy : AstNode
{
    private ReaderSchemaStrategy() { }   // closed

    /// <summary>INLINE 'schema'.</summary>
    public sealed record Inline(string Schema) : ReaderSchemaStrategy;

    /// <summary>ID n.</summary>
    public sealed record Id(int Value) : ReaderSchemaStrategy;

    /// <summary>LATEST.</summary>
    public sealed record Latest : ReaderSchemaStrategy;
}

/// <summary>One item of INCLUDE.</summary>
public sealed record SourceInclude(SourceIncludeKind Kind, string? Header, Ident? Alias, bool Bytes) : AstNode;

/// <summary>The metadata INCLUDE can name; Header has a key.</summary>
public enum SourceIncludeKind { Key, Timestamp, Partition, Offset, Headers, Header }

/// <summary>ENVELOPE of a source.</summary>
public abstract record SourceEnvelope : AstNode
{
    private SourceEnvelope() { }   // closed

    /// <summary>NONE.</summary>
    public sealed record None : SourceEnvelope;

    /// <summary>DEBEZIUM.</summary>
    public sealed record Debezium : SourceEnvelope;

    /// <summary>MATERIALIZE.</summary>
    public sealed record Materialize : SourceEnvelope;

    /// <summary>UPSERT; with <see cref="InlineErrors"/> (VALUE DECODING ERRORS = INLINE [AS alias]).</summary>
    public sealed record Upsert(bool InlineErrors, Ident? ErrorAlias) : SourceEnvelope;
}

/// <summary>FOR ALL TABLES, FOR SCHEMAS, FOR TABLES.</summary>
public abstract record ExternalReferences : AstNode
{
    private ExternalReferences() { }   // closed

    /// <summary>FOR ALL TABLES.</summary>
    public sealed record All : ExternalReferences;

    /// <summary>FOR SCHEMAS (s, …).</summary>
    public sealed record Schemas(AstList<Ident> Names) : ExternalReferences;

    /// <summary>FOR TABLES (r [AS n], …).</summary>
    public sealed record Tables(AstList<ExternalReference> Items) : ExternalReferences;
}

/// <summary>An upstream object and the name it gets here.</summary>
public sealed record ExternalReference(ObjectName Reference, ObjectName? Alias) : AstNode;

/// <summary>INCLUDE HEADER 'h' AS col [BYTES] of a webhook.</summary>
public sealed record WebhookHeader(string Header, Ident Column, bool Bytes) : AstNode;

/// <summary>[NOT] 'h' of INCLUDE HEADERS (…).</summary>
public sealed record WebhookHeaderFilter(string Header, bool Block) : AstNode;

/// <summary>CHECK ( [WITH (…)] e ).</summary>
public sealed record WebhookCheck(AstList<WebhookCheckInput> Inputs, Expr Condition) : AstNode;

/// <summary>{HEADERS|BODY|SECRET name} [AS a] [BYTES].</summary>
public sealed record WebhookCheckInput(WebhookCheckInputKind Kind, ObjectName? Secret, Ident? Alias, bool Bytes) : AstNode;

/// <summary>What a webhook's CHECK can see.</summary>
public enum WebhookCheckInputKind { Headers, Body, Secret }
