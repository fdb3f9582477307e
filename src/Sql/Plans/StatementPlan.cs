using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// What a statement asks the coordinator to do; names are resolved, expressions typed, queries decorrelated. Closed: one
/// <c>switch</c> in the adapter sequences them all. Cases are grouped in files: reads and session here, items in
/// <see cref="StatementPlan.CreateItem"/>'s file, the rest in theirs.
/// </summary>
public abstract partial record StatementPlan
{
    private StatementPlan()
    {
    }

    /// <summary>Items the statement names; for privileges, timedomains and invalidation.</summary>
    public ValueArray<GlobalId> DependsOn { get; init; } = [];

    /// <summary>Notices to send with the result, e.g. <c>… already exists, skipping</c>.</summary>
    public ValueArray<PlanNotice> Notices { get; init; } = [];

    // ---- Reads -------------------------------------------------------------------------------------------------------

    /// <param name="CopyTo">For <c>COPY (…) TO STDOUT</c>; null sends rows.</param>
    public sealed record Select(QueryPlan Query, QueryWhen When, CopyFormat? CopyTo = null) : StatementPlan;

    /// <summary>Rows known already: SHOW CREATE, EXPLAIN of early stages.</summary>
    public sealed record SendRows(ConstantResult Result) : StatementPlan;

    /// <param name="From">Rows to follow; its columns are those of <paramref name="Desc"/>.</param>
    /// <param name="Desc">The followed relation, without mz_timestamp and its kin.</param>
    /// <param name="ResultDesc">What the client sees.</param>
    /// <param name="UpToMs">Exclusive; null for no end.</param>
    public sealed record Subscribe(
        SubscribeFrom From,
        RelationDesc Desc,
        RelationDesc ResultDesc,
        QueryWhen When,
        ulong? UpToMs,
        bool Snapshot,
        bool Progress,
        SubscribeOutput Output,
        CopyFormat? CopyTo = null) : StatementPlan;

    /// <param name="Stage">How far to go.</param>
    public sealed record ExplainPlan(ExplainStage Stage, ExplainFormat Format, ExplainConfig Config, Explainee Explainee) : StatementPlan;

    public sealed record ExplainTimestamp(QueryPlan Query, QueryWhen When, ExplainFormat Format) : StatementPlan;

    public sealed record ExplainFilterPushdown(Explainee Explainee) : StatementPlan;

    // ---- Writes ------------------------------------------------------------------------------------------------------

    /// <param name="Values">Rows to add, columns as the table's; a constant after optimisation makes it a blind write, anything else a
    /// read-then-write.</param>
    /// <param name="Returning">Over the table's columns; null without RETURNING.</param>
    public sealed record Insert(
        GlobalId Table,
        RelationDesc TableDesc,
        QueryPlan Values,
        ReturningPlan? Returning) : StatementPlan;

    /// <summary>UPDATE and DELETE: read the rows, then write their retractions and replacements.</summary>
    /// <param name="Selection">The rows to change, as they are, columns as the table's.</param>
    /// <param name="Assignments">For UPDATE: column → new value over the old row; empty for DELETE.</param>
    public sealed record ReadThenWrite(
        GlobalId Table,
        RelationDesc TableDesc,
        MutationKind Kind,
        QueryPlan Selection,
        ValueArray<Assignment> Assignments) : StatementPlan;

    /// <param name="Columns">Positions in the table, in the order of the data's fields.</param>
    /// <param name="Defaults">A value for each column of the table not in <paramref name="Columns"/> (others: ignored).</param>
    public sealed record CopyFrom(
        GlobalId Table,
        RelationDesc TableDesc,
        ValueArray<int> Columns,
        ValueArray<MirScalarExpr> Defaults,
        CopyFromOptions Options) : StatementPlan;

    // ---- Session -----------------------------------------------------------------------------------------------------

    /// <param name="Values">Null: DEFAULT. Several for list-valued variables.</param>
    public sealed record SetVariable(string Name, ValueArray<string>? Values, bool IsLocal) : StatementPlan;

    public sealed record ResetVariable(string Name) : StatementPlan;

    public sealed record ShowVariable(string Name) : StatementPlan;

    public sealed record ShowAllVariables : StatementPlan;

    public sealed record SetTransaction(bool IsLocal, TransactionModes Modes) : StatementPlan;

    public sealed record StartTransaction(TransactionModes Modes) : StatementPlan;

    public sealed record CommitTransaction : StatementPlan;

    public sealed record RollbackTransaction : StatementPlan;

    public sealed record Declare(string Name, Ast.Statement Statement, string StatementSql, ValueArray<SqlType> ParamTypes, Params Params) : StatementPlan;

    /// <param name="Count">Null: ALL.</param>
    public sealed record Fetch(string Cursor, ulong? Count, TimeSpan? Timeout) : StatementPlan;

    public sealed record Close(string Cursor) : StatementPlan;

    public sealed record Prepare(string Name, Ast.Statement Statement, string StatementSql, StatementDesc Desc) : StatementPlan;

    /// <param name="Arguments">Constant expressions without columns, not yet cast to the parameters' types.</param>
    public sealed record Execute(string Name, Params Arguments) : StatementPlan;

    /// <param name="Name">Null: ALL.</param>
    public sealed record Deallocate(string? Name) : StatementPlan;

    public sealed record DiscardAll : StatementPlan;

    public sealed record DiscardTemp : StatementPlan;

    public sealed record Raise(string Severity) : StatementPlan;

    public sealed record ValidateConnection(GlobalId Connection) : StatementPlan;

    public sealed record InspectShard(GlobalId Item) : StatementPlan;
}

/// <summary>A notice planning gives rise to.</summary>
public sealed record PlanNotice(string State, string Message)
{
    public string? Detail { get; init; }

    public string? Hint { get; init; }

    /// <summary>NOTICE unless said otherwise.</summary>
    public string Severity { get; init; } = "NOTICE";
}

/// <summary>What a SUBSCRIBE follows.</summary>
public abstract record SubscribeFrom
{
    private SubscribeFrom()
    {
    }

    public sealed record Item(GlobalId Id) : SubscribeFrom;

    public sealed record Query(QueryPlan Plan) : SubscribeFrom;
}

/// <summary>The shape of a SUBSCRIBE's rows.</summary>
public abstract record SubscribeOutput
{
    private SubscribeOutput()
    {
    }

    /// <summary>mz_timestamp, [mz_progressed], mz_diff, columns.</summary>
    public sealed record Diffs : SubscribeOutput;

    /// <summary>The same, rows of a timestamp sorted. Columns count mz_diff as 0, the relation's first as 1.</summary>
    public sealed record WithinTimestampOrderBy(ValueArray<ColumnOrder> OrderBy) : SubscribeOutput;

    /// <summary>mz_timestamp, [mz_progressed], mz_state, keys, values.</summary>
    public sealed record EnvelopeUpsert(ValueArray<int> Keys) : SubscribeOutput;

    /// <summary>mz_timestamp, [mz_progressed], mz_state, keys, before_…, after_….</summary>
    public sealed record EnvelopeDebezium(ValueArray<int> Keys) : SubscribeOutput;
}

/// <summary>Expressions over the written row, and what the client sees of them.</summary>
public sealed record ReturningPlan(ValueArray<MirScalarExpr> Exprs, RelationDesc Desc);

public enum MutationKind
{
    Delete,
    Update,
}

/// <summary>Column of the table := value over the old row.</summary>
public sealed record Assignment(int Column, MirScalarExpr Value);

/// <summary>How COPY FROM STDIN reads. Characters are single bytes.</summary>
/// <param name="NullText">Not quoted; <c>\N</c> for text, empty for CSV.</param>
public sealed record CopyFromOptions(CopyFormat Format, char Delimiter, string NullText, char Quote, char Escape, bool Header);

public enum IsolationLevel
{
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
    StrongSessionSerializable,
    StrictSerializable,
}

/// <summary>Null: as it was.</summary>
public sealed record TransactionModes(IsolationLevel? Isolation, bool? ReadOnly);

/// <summary>The stages of EXPLAIN, in order.</summary>
public enum ExplainStage
{
    Raw,
    Decorrelated,
    LocallyOptimized,
    Optimized,
    Physical,
    Insights,
    Trace,
}

public enum ExplainFormat
{
    Text,
    VerboseText,
    Json,
    Dot,
}

/// <summary>Modifiers of <c>WITH (…)</c>, lower case with spaces, and whether each is on.</summary>
public sealed record ExplainConfig(ValueArray<KeyValuePair<string, bool>> Modifiers)
{
    public bool Has(string modifier, bool fallback = false)
    {
        foreach (var (name, on) in Modifiers)
        {
            if (name == modifier)
                return on;
        }

        return fallback;
    }
}

/// <summary>What is explained.</summary>
public abstract record Explainee
{
    private Explainee()
    {
    }

    public sealed record Query(QueryPlan Plan, QueryWhen When) : Explainee;

    /// <summary>A CREATE VIEW, CREATE MATERIALIZED VIEW, CREATE INDEX or SUBSCRIBE, planned but not run.</summary>
    public sealed record Statement(StatementPlan Plan) : Explainee;

    /// <param name="Replan">Optimise it again rather than print the stored plan.</param>
    public sealed record Item(GlobalId Id, bool Replan) : Explainee;
}
