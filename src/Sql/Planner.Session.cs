// Statements about the session: transactions, cursors, prepared statements, variables.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static readonly TimeSpan FetchTimeoutMax = TimeSpan.FromDays(1);

    private static StatementPlan PlanSession(StatementContext context, Ast.Statement statement, string sql)
    {
        switch (statement)
        {
            case Ast.Statement.StartTransaction x:
                return new StatementPlan.StartTransaction(Modes(x.Modes));
            case Ast.Statement.SetTransaction x:
                if (x.SessionDefault)
                {
                    if (Modes(x.Modes).Isolation is { } level)
                        return new StatementPlan.SetVariable("transaction_isolation", [IsolationText(level)], false);
                    throw SqlException.Unsupported("SET SESSION CHARACTERISTICS without an isolation level", x.Position());
                }

                return new StatementPlan.SetTransaction(x.Local, Modes(x.Modes));
            case Ast.Statement.Commit x:
                return x.Chain ? throw SqlException.Unsupported("CHAIN", x.Position()) : new StatementPlan.CommitTransaction();
            case Ast.Statement.Rollback x:
                return x.Chain ? throw SqlException.Unsupported("CHAIN", x.Position()) : new StatementPlan.RollbackTransaction();
            case Ast.Statement.SetVariable x:
                return new StatementPlan.SetVariable(x.Name.Value.ToLowerInvariant(), Values(x.Value), x.Local);
            case Ast.Statement.ResetVariable x:
                return new StatementPlan.ResetVariable(x.Name.Value.ToLowerInvariant());
            case Ast.Statement.Declare x:
                if (x.Inner is not (Ast.Statement.Select or Ast.Statement.Subscribe or Ast.Statement.Show))
                    throw SqlException.Plan("DECLARE CURSOR must not contain data-modifying statements", x.Position());
                return new StatementPlan.Declare(
                    x.Name.Value, x.Inner, Slice(sql, x.InnerSpan), context.Values?.Types ?? [], context.Values ?? Params.None);
            case Ast.Statement.Fetch x:
                {
                    var options = new OptionReader("FETCH", x.Options);
                    var timeout = options.Duration("TIMEOUT");
                    if (timeout > FetchTimeoutMax)
                        throw SqlException.Plan("TIMEOUT out of range: must be at most 1 day", x.Position());
                    return new StatementPlan.Fetch(x.Name.Value, x.All ? null : x.Count ?? 1, timeout);
                }

            case Ast.Statement.Close x:
                return new StatementPlan.Close(x.Name.Value);
            case Ast.Statement.Prepare x:
                return new StatementPlan.Prepare(x.Name.Value, x.Inner, Slice(sql, x.InnerSpan), Describe(context.Catalog, x.Inner, []));
            case Ast.Statement.Execute x:
                {
                    var planner = new QueryPlanner(context);
                    List<Datum> values = [];
                    List<SqlType> types = [];
                    foreach (var arg in x.Args)
                    {
                        var planned = planner.PlanConstant(arg, "EXECUTE");
                        values.Add(Constants.Evaluate(planned, "EXECUTE", arg.Position(), context.Catalog.Session.Now));
                        types.Add(planned.Type.Type);
                    }

                    return new StatementPlan.Execute(x.Name.Value, new Params(values.ToValueArray(), types.ToValueArray()));
                }

            case Ast.Statement.Deallocate x:
                return new StatementPlan.Deallocate(x.Name?.Value);
            case Ast.Statement.Discard x:
                return x.Target switch
                {
                    Ast.DiscardTarget.All => new StatementPlan.DiscardAll(),
                    Ast.DiscardTarget.Temp => new StatementPlan.DiscardTemp(),
                    Ast.DiscardTarget.Plans => throw SqlException.Unsupported("DISCARD PLANS", x.Position()),
                    _ => throw SqlException.Unsupported("DISCARD SEQUENCES", x.Position()),
                };
            case Ast.Statement.Raise x:
                if (!context.Catalog.IsEnabled("enable_raise_statement"))
                    throw SqlException.Plan("RAISE statement is not available", x.Position());
                return new StatementPlan.Raise(x.Severity.ToString().ToUpperInvariant());
            case Ast.Statement.ValidateConnection x:
                {
                    var item = context.ResolveItem(x.Name);
                    return item.Kind == CatalogItemKind.Connection
                        ? new StatementPlan.ValidateConnection(item.Id)
                        : throw SqlException.Plan($"{item.Name} is not a connection", x.Position());
                }

            case Ast.Statement.InspectShard x:
                return GlobalId.TryParse(x.Id, out var id)
                    ? new StatementPlan.InspectShard(id)
                    : throw SqlException.Plan($"invalid global id: {x.Id}", x.Position());
            default:
                throw new System.Diagnostics.UnreachableException(statement.GetType().Name);
        }
    }

    private static string Slice(string sql, Ast.SourceSpan span) =>
        span.IsKnown && span.End <= sql.Length ? sql[span.Start..span.End] : sql;

    private static TransactionModes Modes(IReadOnlyList<Ast.TransactionMode> modes)
    {
        IsolationLevel? isolation = null;
        bool? readOnly = null;
        foreach (var mode in modes)
        {
            switch (mode)
            {
                case Ast.TransactionMode.Access x:
                    readOnly = x.ReadOnly;
                    break;
                case Ast.TransactionMode.Isolation x:
                    isolation = (IsolationLevel)x.Level;
                    break;
            }
        }

        return new TransactionModes(isolation, readOnly);
    }

    private static string IsolationText(IsolationLevel level) => level switch
    {
        IsolationLevel.ReadUncommitted => "read uncommitted",
        IsolationLevel.ReadCommitted => "read committed",
        IsolationLevel.RepeatableRead => "repeatable read",
        IsolationLevel.Serializable => "serializable",
        IsolationLevel.StrongSessionSerializable => "strong session serializable",
        _ => "strict serializable",
    };

    /// <summary>Null: DEFAULT.</summary>
    private static ValueArray<string>? Values(Ast.SetValue value) => value switch
    {
        Ast.SetValue.Values x => x.Items.Select(i =>
            OptionReader.ExprText(i) ?? throw SqlException.Plan("SET requires constant values", i.Position())).ToValueArray(),
        _ => null,
    };
}
