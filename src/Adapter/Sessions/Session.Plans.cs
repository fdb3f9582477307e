using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Adapter;

// What is run often is planned once. A plan holds while the catalog and all of the session's variables are what they were: those decide
// what names mean, which indexes there are and where a query runs. Two things are kept:
//
//   * of a query without parameters, its plan as it is (with values for functions of session and time only if it has none);
//   * of a lookup in an index with parameters, an OpenPeek, made for all values at once. It is made at the second execution, and kept only if
//     the plan made with that execution's values reads the same index in the same way: where a value decides how to read, it keeps deciding.
//
// Of a prepared INSERT of rows written out, with parameters or not, the rows' expressions are kept from its second execution on (OpenRows).
//
// Statements sent as text find the plan by the text; prepared ones have it.
internal sealed partial class Session
{
    /// <summary>Texts of single SELECTs remembered: some ten kilobytes each, and sessions are many.</summary>
    private const int TextsMax = 32;

    /// <summary>A longer text is not sent again and again.</summary>
    private const int TextCharsMax = 16 * 1024;

    /// <summary>Executions after which a read whose plan depends on its values is planned with them for good.</summary>
    private const int OpenTriesMax = 5;

    private readonly LruMap<string, ParsedSimpleStatement[]> _texts = new(TextsMax);
    private SessionSettings? _settings;

    private SessionSettings Settings
    {
        get
        {
            var state = _services.Catalog.State;
            return _settings is { } known && ReferenceEquals(known.State, state) && known.VariablesVersion == _variables.Version
                ? known
                : _settings = SessionSettings.Of(state, _variables);
        }
    }

    private PlanKey CurrentPlanKey => new(_services.Catalog.State.Revision, _variables.Version, _transaction is { IsExplicit: true });

    /// <summary>Runs a read by a plan made before, if one holds.</summary>
    private ValueTask<ExecuteResponse>? TryExecutePlanned(CachedRead? read, ValueArray<Datum> parameters, CancellationToken cancel)
    {
        if (read is null || read.Key != CurrentPlanKey)
            return null;
        if (parameters.IsEmpty)
            return SelectAsync(read.Plan, read, cancel);
        return read.Open?.Bind(parameters.AsSpan()) is { } bound ? SelectAsync(read.Plan, new CachedRead(read.Key, read.Plan) { Peek = bound }, cancel) : null;
    }

    /// <summary>What of a freshly made plan is to be kept for the next execution; null: nothing.</summary>
    /// <param name="key">Taken before it was planned: a change since then makes it stale.</param>
    private static CachedRead? PlanToKeep(PlanKey key, StatementPlan plan) =>
        plan is StatementPlan.Select { When: QueryWhen.Immediately } select && plan.Notices.IsEmpty ? new CachedRead(key, select) : null;

    /// <summary>
    /// For a read with parameters that was just planned with values: makes the plan for all values, if it is time to and there is one.
    /// </summary>
    /// <param name="key">Taken before it was planned.</param>
    private void TryOpen(PreparedStatement prepared, PlanKey key, StatementPlan plan)
    {
        if (prepared.Read is not { } read || read.Key != key)
        {
            prepared.Read = PlanToKeep(key, plan);
            return;
        }

        if (read.Open is not null || read.OpenTries >= OpenTriesMax || plan is not StatementPlan.Select select || select.Query.IsUnmaterializable)
            return;
        read.OpenTries++;
        var types = prepared.Description.ParamTypes;
        var state = _services.Catalog.State;
        var withValues = PlanPeek(new DataflowCatalog(state, Route(state, select.Query).Cluster.Id, _services.Logs), select.Query, select.Query.Mir.TypeOf().Columns, Environment());
        if (withValues is not PeekPlan.FastPathIndex || Planner.PlanOpen(Catalog(), prepared.Statement!, types, prepared.Sql) is not { } open || !open.Notices.IsEmpty)
            return;
        var catalog = new DataflowCatalog(state, Route(state, open.Query).Cluster.Id, _services.Logs);
        if (PeekPlanning.PlanOpen(catalog, open.Query.Mir, open.Query.Mir.TypeOf().Columns, types) is { } peek && peek.ReadsAs(withValues))
            prepared.Read = new CachedRead(key, open) { Open = peek };
    }

    /// <summary>Runs an INSERT by what was kept of its plan, if that holds. At the second execution it is made.</summary>
    /// <returns>Null if it must be planned with its values.</returns>
    private ExecuteResponse? TryInsertPlanned(PreparedStatement prepared, ValueArray<Datum> parameters, CancellationToken cancel)
    {
        if (prepared.Insert is not { } insert || insert.Key != CurrentPlanKey)
            return null;
        if (!insert.IsOpened)
        {
            var plan = Planner.PlanOpenInsert(Catalog(), prepared.Statement!, prepared.Description.ParamTypes, prepared.Sql);
            insert = prepared.Insert = new CachedInsert(insert.Key)
            {
                IsOpened = true,
                Plan = plan,
                Rows = plan is null ? null : OpenRows.Of(plan.Values.Mir, prepared.Description.ParamTypes),
            };
        }

        return insert.Rows?.TryEval(parameters.AsSpan(), Environment().Value) is { } rows ? Insert(insert.Plan!, rows, cancel) : null;
    }

    private IReadOnlyList<ParsedSimpleStatement>? FindText(string sql) =>
        sql.Length <= TextCharsMax && _texts.TryGet(sql, out var known) ? known : null;

    private void KeepText(string sql, ParsedSimpleStatement[] statements)
    {
        if (sql.Length <= TextCharsMax && statements is [{ Statement: Statement.Select }])
            _texts.Set(sql, statements);
    }
}

/// <summary>Under what a plan was made.</summary>
/// <param name="Revision">Of the catalog.</param>
/// <param name="VariablesVersion">Of the session's variables.</param>
internal readonly record struct PlanKey(ulong Revision, ulong VariablesVersion, bool InTransactionBlock);

/// <summary>How a read is to be run again.</summary>
internal sealed class CachedRead(PlanKey key, StatementPlan.Select plan)
{
    public PlanKey Key { get; } = key;

    public StatementPlan.Select Plan { get; } = plan;

    /// <summary>Without parameters, or with them bound: how it reads. Null until it has run once.</summary>
    public PeekPlan? Peek { get; set; }

    /// <summary>With parameters: how it reads, whatever they are. Null if that depends.</summary>
    public OpenPeek? Open { get; init; }

    /// <summary>How often <see cref="Open"/> was looked for in vain.</summary>
    public int OpenTries { get; set; }
}

/// <summary>How an INSERT is to be run again.</summary>
internal sealed class CachedInsert(PlanKey key)
{
    public PlanKey Key { get; } = key;

    /// <summary>Whether the rest was looked for.</summary>
    public bool IsOpened { get; init; }

    public StatementPlan.Insert? Plan { get; init; }

    /// <summary>Null if it is to be planned with its values each time.</summary>
    public OpenRows? Rows { get; init; }
}
