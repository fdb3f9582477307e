namespace Materialize.Sql.Parser.Ast;

/// <summary>A statement. Closed: the cases are in Statement.*.cs of this folder.</summary>
public abstract partial record Statement : AstNode
{
    private Statement() { }   // closed

    /// <summary>A query at top level, with its AS OF.</summary>
    public sealed record Select(Query Query, AsOf? AsOf) : Statement;

    /// <summary>INSERT. <see cref="Source"/> is null for DEFAULT VALUES.</summary>
    public sealed record Insert(ObjectName Table, AstList<Ident> Columns, Query? Source, AstList<SelectItem> Returning) : Statement;

    /// <summary>UPDATE.</summary>
    public sealed record Update(ObjectName Table, TableAlias? Alias, AstList<Assignment> Assignments, Expr? Where) : Statement;

    /// <summary>DELETE.</summary>
    public sealed record Delete(ObjectName Table, TableAlias? Alias, AstList<TableWithJoins> Using, Expr? Where) : Statement;

    /// <summary>SUBSCRIBE. Options: SNAPSHOT, PROGRESS.</summary>
    public sealed record Subscribe(
        SubscribeRelation Relation, AstList<SqlOption> Options, AsOf? AsOf, Expr? UpTo, SubscribeOutput Output) : Statement;

    /// <summary>COPY. Options: FORMAT, DELIMITER, NULL, QUOTE, ESCAPE, HEADER, AWS CONNECTION, MAX FILE SIZE, FILES, PATTERN.</summary>
    public sealed record Copy(CopyRelation Relation, CopyDirection Direction, CopyTarget Target, AstList<SqlOption> Options) : Statement;

    /// <summary>DECLARE name CURSOR FOR statement.</summary>
    public sealed record Declare(Ident Name, Statement Inner) : Statement
    {
        /// <summary>The inner statement's own text; no part of equality.</summary>
        public SourceSpan InnerSpan { get; init; }
    }

    /// <summary>FETCH [count] name; a null count with <see cref="All"/> false means 1. Options: TIMEOUT.</summary>
    public sealed record Fetch(Ident Name, bool All, ulong? Count, AstList<SqlOption> Options) : Statement;

    /// <summary>CLOSE name.</summary>
    public sealed record Close(Ident Name) : Statement;

    /// <summary>BEGIN, START TRANSACTION.</summary>
    public sealed record StartTransaction(AstList<TransactionMode> Modes) : Statement;

    /// <summary>SET [SESSION|LOCAL] TRANSACTION …, or with <see cref="SessionDefault"/> SET SESSION CHARACTERISTICS AS TRANSACTION ….</summary>
    public sealed record SetTransaction(bool Local, AstList<TransactionMode> Modes, bool SessionDefault) : Statement;

    /// <summary>COMMIT, END. <see cref="Chain"/>: AND CHAIN.</summary>
    public sealed record Commit(bool Chain) : Statement;

    /// <summary>ROLLBACK, ABORT.</summary>
    public sealed record Rollback(bool Chain) : Statement;

    /// <summary>SET [SESSION|LOCAL] name. TIME ZONE arrives as <c>timezone</c>, SCHEMA as <c>search_path</c>, NAMES as <c>client_encoding</c>.</summary>
    public sealed record SetVariable(bool Local, Ident Name, SetValue Value) : Statement;

    /// <summary>RESET name.</summary>
    public sealed record ResetVariable(Ident Name) : Statement;

    /// <summary>A SHOW of any kind.</summary>
    public sealed record Show(ShowStatement Inner) : Statement;

    /// <summary>PREPARE name AS statement.</summary>
    public sealed record Prepare(Ident Name, Statement Inner) : Statement
    {
        /// <summary>The inner statement's own text; no part of equality.</summary>
        public SourceSpan InnerSpan { get; init; }
    }

    /// <summary>EXECUTE name (args).</summary>
    public sealed record Execute(Ident Name, AstList<Expr> Args) : Statement;

    /// <summary>DEALLOCATE name; null is ALL.</summary>
    public sealed record Deallocate(Ident? Name) : Statement;

    /// <summary>DISCARD.</summary>
    public sealed record Discard(DiscardTarget Target) : Statement;

    /// <summary>RAISE severity.</summary>
    public sealed record Raise(NoticeSeverity Severity) : Statement;

    /// <summary>EXPLAIN of a plan. <see cref="Stage"/> is null when none is written. <see cref="Format"/> likewise.</summary>
    public sealed record ExplainPlan(ExplainStage? Stage, AstList<SqlOption> Options, ExplainFormat? Format, Explainee Explainee) : Statement;

    /// <summary>EXPLAIN TIMESTAMP.</summary>
    public sealed record ExplainTimestamp(ExplainFormat? Format, Query Query, AsOf? AsOf) : Statement;

    /// <summary>EXPLAIN FILTER PUSHDOWN.</summary>
    public sealed record ExplainPushdown(Explainee Explainee) : Statement;

    /// <summary>EXPLAIN {KEY|VALUE} SCHEMA FOR CREATE SINK.</summary>
    public sealed record ExplainSinkSchema(bool Key, ExplainFormat? Format, Statement Sink) : Statement;

    /// <summary>EXPLAIN ANALYZE {CPU|MEMORY|HINTS} … FOR object.</summary>
    public sealed record ExplainAnalyzeObject(AnalyzeProperties Properties, Explainee Explainee, bool AsSql) : Statement;

    /// <summary>EXPLAIN ANALYZE CLUSTER ….</summary>
    public sealed record ExplainAnalyzeCluster(AnalyzeProperties Properties, bool AsSql) : Statement;

    /// <summary>COMMENT ON … IS; null removes.</summary>
    public sealed record Comment(CommentTarget Target, string? Text) : Statement;

    /// <summary>VALIDATE CONNECTION name.</summary>
    public sealed record ValidateConnection(ObjectName Name) : Statement;

    /// <summary>INSPECT SHARD 'id'.</summary>
    public sealed record InspectShard(string Id) : Statement;
}

/// <summary>AS OF [AT LEAST] e.</summary>
public sealed record AsOf(Expr Time, bool AtLeast) : AstNode;

/// <summary>SET column = value of UPDATE.</summary>
public sealed record Assignment(Ident Column, Expr Value) : AstNode;

/// <summary>What a SUBSCRIBE follows.</summary>
public abstract record SubscribeRelation : AstNode
{
    private SubscribeRelation() { }   // closed

    /// <summary>A relation by name.</summary>
    public sealed record Name(ObjectName Value) : SubscribeRelation;

    /// <summary>( query ).</summary>
    public sealed record Query(Ast.Query Value) : SubscribeRelation;
}

/// <summary>The shape of a SUBSCRIBE's output.</summary>
public abstract record SubscribeOutput : AstNode
{
    private SubscribeOutput() { }   // closed

    /// <summary>mz_diff rows.</summary>
    public sealed record Diffs : SubscribeOutput;

    /// <summary>WITHIN TIMESTAMP ORDER BY.</summary>
    public sealed record WithinTimestampOrderBy(AstList<OrderByExpr> OrderBy) : SubscribeOutput;

    /// <summary>ENVELOPE UPSERT (KEY (…)).</summary>
    public sealed record EnvelopeUpsert(AstList<Ident> Key) : SubscribeOutput;

    /// <summary>ENVELOPE DEBEZIUM (KEY (…)).</summary>
    public sealed record EnvelopeDebezium(AstList<Ident> Key) : SubscribeOutput;
}

/// <summary>What a COPY reads or writes.</summary>
public abstract record CopyRelation : AstNode
{
    private CopyRelation() { }   // closed

    /// <summary>A relation, some of its columns.</summary>
    public sealed record Named(ObjectName Name, AstList<Ident> Columns) : CopyRelation;

    /// <summary>A query, with AS OF.</summary>
    public sealed record Select(Query Query, AsOf? AsOf) : CopyRelation;

    /// <summary>A SUBSCRIBE.</summary>
    public sealed record Subscribe(Statement.Subscribe Statement) : CopyRelation;
}

/// <summary>COPY TO or FROM.</summary>
public enum CopyDirection { To, From }

/// <summary>The other end of a COPY.</summary>
public abstract record CopyTarget : AstNode
{
    private CopyTarget() { }   // closed

    /// <summary>STDIN (FROM) or STDOUT (TO).</summary>
    public sealed record Standard : CopyTarget;

    /// <summary>A URI expression.</summary>
    public sealed record Uri(Expr Value) : CopyTarget;
}

/// <summary>A mode of a transaction.</summary>
public abstract record TransactionMode : AstNode
{
    private TransactionMode() { }   // closed

    /// <summary>READ ONLY or READ WRITE.</summary>
    public sealed record Access(bool ReadOnly) : TransactionMode;

    /// <summary>ISOLATION LEVEL.</summary>
    public sealed record Isolation(IsolationLevel Level) : TransactionMode;
}

/// <summary>The isolation levels one can write.</summary>
public enum IsolationLevel { ReadUncommitted, ReadCommitted, RepeatableRead, Serializable, StrongSessionSerializable, StrictSerializable }

/// <summary>The right side of SET.</summary>
public abstract record SetValue : AstNode
{
    private SetValue() { }   // closed

    /// <summary>DEFAULT.</summary>
    public sealed record Default : SetValue;

    /// <summary>One or more values: a literal, or a bare word (<see cref="Expr.Identifier"/> of one part) taken as its text; a signed number is a NumberLiteral with its sign.</summary>
    public sealed record Values(AstList<Expr> Items) : SetValue;
}

/// <summary>What DISCARD discards.</summary>
public enum DiscardTarget { All, Plans, Sequences, Temp }

/// <summary>Severities of RAISE.</summary>
public enum NoticeSeverity { Debug, Info, Log, Notice, Warning }

/// <summary>The stages of EXPLAIN.</summary>
public enum ExplainStage { Raw, Decorrelated, LocallyOptimized, Optimized, Physical, PlanInsights, OptimizerTrace }

/// <summary>The formats of EXPLAIN.</summary>
public enum ExplainFormat { Text, VerboseText, Json, Dot }

/// <summary>What EXPLAIN explains.</summary>
public abstract record Explainee : AstNode
{
    private Explainee() { }   // closed

    /// <summary>A stored object: VIEW, MATERIALIZED VIEW, INDEX; <see cref="Replan"/> optimises anew.</summary>
    public sealed record Object(ObjectKind Kind, ObjectName Name, bool Replan) : Explainee;

    /// <summary>SELECT, CREATE VIEW, CREATE MATERIALIZED VIEW, CREATE INDEX, SUBSCRIBE; <see cref="Broken"/> is BROKEN, a hook of tests.</summary>
    public sealed record Of(Statement Statement, bool Broken) : Explainee;
}

/// <summary>What EXPLAIN ANALYZE measures; either HINTS, or some of CPU and MEMORY.</summary>
public sealed record AnalyzeProperties(bool Hints, AstList<AnalyzeProperty> Properties, bool WithSkew) : AstNode;

/// <summary>A measure of EXPLAIN ANALYZE.</summary>
public enum AnalyzeProperty { Cpu, Memory }

/// <summary>The object of a COMMENT.</summary>
public abstract record CommentTarget : AstNode
{
    private CommentTarget() { }   // closed

    /// <summary>An object by name (a database, schema, role, cluster as a name of one or two parts; a replica as cluster.replica).</summary>
    public sealed record Object(ObjectKind Kind, ObjectName Name) : CommentTarget;

    /// <summary>A column of a relation.</summary>
    public sealed record Column(ObjectName Relation, Ident Name) : CommentTarget;
}

/// <summary>Kinds of objects a statement can name. The parser answers Role for USER.</summary>
public enum ObjectKind
{
    Table, View, MaterializedView, Source, Sink, Index, Type, Role, User, Cluster, ClusterReplica, Secret, Connection,
    Database, Schema, Function, Subsource, NetworkPolicy, ContinualTask,
}
