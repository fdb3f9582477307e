namespace Materialize.Sql.Parser.Ast;

public abstract partial record Statement
{
    /// <summary>CREATE DATABASE.</summary>
    public sealed record CreateDatabase(Ident Name, bool IfNotExists) : Statement;

    /// <summary>CREATE SCHEMA; a name of one or two parts.</summary>
    public sealed record CreateSchema(ObjectName Name, bool IfNotExists) : Statement;

    /// <summary>CREATE TABLE (…). Options: PARTITION BY, RETAIN HISTORY.</summary>
    public sealed record CreateTable(
        ObjectName Name, AstList<ColumnDef> Columns, AstList<TableConstraint> Constraints, bool IfNotExists, bool Temporary,
        AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE TABLE … FROM SOURCE. <see cref="Columns"/> may be empty. Options: TEXT COLUMNS, EXCLUDE COLUMNS, DETAILS, PARTITION BY, RETAIN HISTORY.</summary>
    public sealed record CreateTableFromSource(
        ObjectName Name, AstList<ColumnDef> Columns, AstList<Ident> ColumnNames, AstList<TableConstraint> Constraints, bool IfNotExists, ObjectName Source, ObjectName? Reference,
        FormatSpec? Format, AstList<SourceInclude> Include, SourceEnvelope? Envelope, AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE VIEW.</summary>
    public sealed record CreateView(
        ObjectName Name, AstList<Ident> Columns, Query Query, bool IfNotExists, bool OrReplace, bool Temporary) : Statement;

    /// <summary>CREATE [REPLACEMENT] MATERIALIZED VIEW. Options: ASSERT NOT NULL, PARTITION BY, RETAIN HISTORY, REFRESH.</summary>
    /// <param name="ReplacementFor">The target of CREATE REPLACEMENT.</param>
    /// <param name="AsOf">AS OF ts, in stored text only.</param>
    public sealed record CreateMaterializedView(
        ObjectName Name, AstList<Ident> Columns, ObjectName? ReplacementFor, ClusterName? InCluster, Ident? InReplica, Query Query,
        bool IfNotExists, bool OrReplace, AstList<SqlOption> Options, ulong? AsOf) : Statement;

    /// <summary>CREATE [DEFAULT] INDEX; <see cref="Key"/> is null exactly for DEFAULT. Options: RETAIN HISTORY.</summary>
    public sealed record CreateIndex(
        Ident? Name, ClusterName? InCluster, ObjectName On, AstList<Expr>? Key, bool IfNotExists, AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE TYPE.</summary>
    public sealed record CreateType(ObjectName Name, TypeDefinition Definition) : Statement;

    /// <summary>CREATE SECRET.</summary>
    public sealed record CreateSecret(ObjectName Name, bool IfNotExists, Expr Value) : Statement;

    /// <summary>CREATE CONNECTION. <see cref="Options"/> by type; WithOptions: VALIDATE.</summary>
    public sealed record CreateConnection(
        ObjectName Name, ConnectionType Type, bool IfNotExists, AstList<SqlOption> Options, AstList<SqlOption> WithOptions) : Statement;

    /// <summary>CREATE SOURCE. Options: TIMESTAMP INTERVAL, RETAIN HISTORY.</summary>
    public sealed record CreateSource(
        ObjectName Name, bool IfNotExists, ClusterName? InCluster, AstList<Ident> Columns, AstList<Ident>? PrimaryKeyNotEnforced,
        SourceConnector Connector, FormatSpec? Format, AstList<SourceInclude> Include, SourceEnvelope? Envelope,
        ExternalReferences? References, ObjectName? ProgressSubsource, AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE SUBSOURCE, in stored text only. Options: PROGRESS, EXTERNAL REFERENCE, TEXT COLUMNS, EXCLUDE COLUMNS, RETAIN HISTORY, DETAILS.</summary>
    public sealed record CreateSubsource(
        ObjectName Name, AstList<ColumnDef> Columns, AstList<TableConstraint> Constraints, ObjectName? OfSource, bool IfNotExists,
        AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE SOURCE (or TABLE) … FROM WEBHOOK.</summary>
    public sealed record CreateWebhookSource(
        ObjectName Name, bool IfNotExists, bool IsTable, ClusterName? InCluster, FormatSpec BodyFormat, AstList<WebhookHeader> MappedHeaders,
        bool IncludeHeaders, AstList<WebhookHeaderFilter> HeaderFilters, WebhookCheck? Check) : Statement;

    /// <summary>CREATE SINK. Options: SNAPSHOT, VERSION, PARTITION STRATEGY, COMMIT INTERVAL.</summary>
    public sealed record CreateSink(
        ObjectName? Name, bool IfNotExists, ClusterName? InCluster, ObjectName From, SinkConnector Connector, FormatSpec? Format,
        SinkEnvelope? Envelope, SinkMode? Mode, AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE CLUSTER. Options as in the cluster reference; Features: open names.</summary>
    public sealed record CreateCluster(Ident Name, AstList<SqlOption> Options, AstList<SqlOption> Features) : Statement;

    /// <summary>CREATE CLUSTER REPLICA.</summary>
    public sealed record CreateClusterReplica(ReplicaName Name, AstList<SqlOption> Options) : Statement;

    /// <summary>CREATE ROLE.</summary>
    public sealed record CreateRole(Ident Name, AstList<RoleAttribute> Attributes) : Statement;

    /// <summary>CREATE NETWORK POLICY. Options: RULES.</summary>
    public sealed record CreateNetworkPolicy(Ident Name, AstList<SqlOption> Options) : Statement;
}

/// <summary>A column of CREATE TABLE.</summary>
public sealed record ColumnDef(Ident Name, DataType Type, ObjectName? Collation, AstList<ColumnOption> Options) : AstNode;

/// <summary>What follows a column's type, with an optional CONSTRAINT name.</summary>
public abstract record ColumnOption : AstNode
{
    private ColumnOption() { }   // closed

    /// <summary>The name given by CONSTRAINT.</summary>
    public Ident? ConstraintName { get; init; }

    /// <summary>NULL.</summary>
    public sealed record Null : ColumnOption;

    /// <summary>NOT NULL.</summary>
    public sealed record NotNull : ColumnOption;

    /// <summary>DEFAULT e.</summary>
    public sealed record Default(Expr Value) : ColumnOption;

    /// <summary>PRIMARY KEY or UNIQUE.</summary>
    public sealed record Unique(bool Primary) : ColumnOption;

    /// <summary>REFERENCES t (c, …).</summary>
    public sealed record References(ObjectName Table, AstList<Ident> Columns) : ColumnOption;

    /// <summary>CHECK (e).</summary>
    public sealed record Check(Expr Condition) : ColumnOption;

    /// <summary>VERSION {ADDED|DROPPED} n, in stored text only.</summary>
    public sealed record Version(bool Dropped, int Number) : ColumnOption;
}

/// <summary>A constraint of a table, with an optional name.</summary>
public abstract record TableConstraint : AstNode
{
    private TableConstraint() { }   // closed

    /// <summary>The name given by CONSTRAINT.</summary>
    public Ident? Name { get; init; }

    /// <summary>PRIMARY KEY or UNIQUE [NULLS NOT DISTINCT] (c, …).</summary>
    public sealed record Unique(AstList<Ident> Columns, bool Primary, bool NullsNotDistinct) : TableConstraint;

    /// <summary>FOREIGN KEY (c, …) REFERENCES t (c, …).</summary>
    public sealed record ForeignKey(AstList<Ident> Columns, ObjectName Table, AstList<Ident> Referred) : TableConstraint;

    /// <summary>CHECK (e).</summary>
    public sealed record Check(Expr Condition) : TableConstraint;
}

/// <summary>What CREATE TYPE defines.</summary>
public abstract record TypeDefinition : AstNode
{
    private TypeDefinition() { }   // closed

    /// <summary>AS LIST. Options: ELEMENT TYPE.</summary>
    public sealed record List(AstList<SqlOption> Options) : TypeDefinition;

    /// <summary>AS MAP. Options: KEY TYPE, VALUE TYPE.</summary>
    public sealed record Map(AstList<SqlOption> Options) : TypeDefinition;

    /// <summary>AS (c t, …).</summary>
    public sealed record Record(AstList<ColumnDef> Columns) : TypeDefinition;
}

/// <summary>The connection types.</summary>
public enum ConnectionType { Aws, AwsPrivateLink, Kafka, ConfluentSchemaRegistry, Postgres, MySql, SqlServer, SshTunnel, IcebergCatalog }

/// <summary>An attribute of a role.</summary>
public abstract record RoleAttribute : AstNode
{
    private RoleAttribute() { }   // closed

    /// <summary>[NO]SUPERUSER, [NO]LOGIN, [NO]INHERIT, [NO]CREATECLUSTER, [NO]CREATEDB, [NO]CREATEROLE.</summary>
    public sealed record Flag(RoleFlag Kind, bool Enabled) : RoleAttribute;

    /// <summary>PASSWORD 'p', or NULL.</summary>
    public sealed record Password(string? Value) : RoleAttribute;
}

/// <summary>The yes/no attributes of a role.</summary>
public enum RoleFlag { Superuser, Login, Inherit, CreateCluster, CreateDb, CreateRole }
