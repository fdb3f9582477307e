using Materialize.Catalog;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    private ExecuteResponse.Rows Explain(StatementPlan.ExplainPlan plan)
    {
        if (plan.Format is not (ExplainFormat.Text or ExplainFormat.VerboseText))
            throw SqlException.Unsupported("EXPLAIN AS JSON or DOT");
        var state = _services.Catalog.State;
        var text = (plan.Stage, plan.Explainee) switch
        {
            (ExplainStage.Raw, var explainee) => HirPrinter.Print(Catalog(), QueryOf(state, explainee)),
            (ExplainStage.Decorrelated or ExplainStage.LocallyOptimized, var explainee) => ExplainText.Mir(QueryOf(state, explainee).Mir, HumanNames(state)),
            (ExplainStage.Optimized, var explainee) => Optimized(state, explainee).Optimized,
            (ExplainStage.Physical, var explainee) => Optimized(state, explainee).Physical,
            _ => throw SqlException.Unsupported("this stage of EXPLAIN"),
        };
        var title = plan.Stage switch
        {
            ExplainStage.Raw => "Raw Plan",
            ExplainStage.Decorrelated => "Decorrelated Plan",
            ExplainStage.LocallyOptimized => "Locally Optimized Plan",
            ExplainStage.Physical => "Physical Plan",
            _ => "Optimized Plan",
        };
        return TextRows([title], [[Datum.FromString(text)]], "EXPLAIN");
    }

    private async ValueTask<ExecuteResponse> ExplainTimestampAsync(StatementPlan.ExplainTimestamp plan, CancellationToken cancel)
    {
        var state = _services.Catalog.State;
        var catalog = new DataflowCatalog(state, Route(state, plan.Query).Cluster.Id, _services.Logs);
        var inputs = DataflowPlanner.Inputs(catalog, plan.Query.Mir).Where(_services.Registry.Contains).ToList();
        using var at = await _services.Timestamps.SelectAsync(inputs, plan.When, _variables.IsStrictSerializable, cancel);
        var lines = new List<string>
        {
            $"                query timestamp: {at.Timestamp}",
            $"          oracle read timestamp: {at.OracleTs?.ToString() ?? "none"}",
            $"            respond immediately: {(at.RespondsImmediately ? "true" : "false")}",
        };
        foreach (var id in inputs)
        {
            if (_services.Registry.Frontiers(id) is not { } frontiers)
                continue;
            lines.Add("");
            lines.Add($"source {NameOf(state, id)}:");
            lines.Add($"                  read frontier: {frontiers.Since}");
            lines.Add($"                 write frontier: {frontiers.Upper}");
        }

        return TextRows(["Timestamp"], [[Datum.FromString(string.Join('\n', lines))]], "EXPLAIN");
    }

    private (string Optimized, string Physical) Optimized(CatalogState state, Explainee explainee)
    {
        var names = HumanNames(state);
        switch (explainee)
        {
            case Explainee.Query x:
                var catalog = new DataflowCatalog(state, Route(state, x.Plan).Cluster.Id, _services.Logs);
                var peek = PlanPeek(catalog, x.Plan, x.Plan.Mir.TypeOf().Columns, Environment());
                return (ExplainText.Peek(peek, x.Plan.Finishing, names), ExplainText.PeekPhysical(peek, x.Plan.Finishing, names));
            case Explainee.Statement { Plan: StatementPlan.CreateMaterializedView or StatementPlan.CreateView } x:
                return OfQuery(QueryOf(state, explainee), x.Plan is StatementPlan.CreateMaterializedView view ? view.Cluster : ActiveCluster(state).Id);
            case Explainee.Statement { Plan: StatementPlan.CreateIndex x }:
                return OfIndex(x.On, new ArrangementKey(x.Keys), x.Cluster);
            case Explainee.Item x when state.Items[x.Id].Definition is ItemDefinition.Index index:
                return OfIndex(index.On, new ArrangementKey(index.Keys), index.Cluster);
            case Explainee.Item x:
                return OfQuery(
                    QueryOf(state, x), state.Items[x.Id].Definition is ItemDefinition.MaterializedView mv ? mv.Cluster : ActiveCluster(state).Id);
            default:
                throw SqlException.Unsupported("EXPLAIN of this statement");
        }

        (string, string) OfQuery(QueryPlan query, ClusterId cluster) => Print(DataflowPlanner.ForSubscribe(
            new DataflowCatalog(state, cluster), GlobalId.Transient(0), GlobalId.Transient(0), "explain", query.Whole, query.Desc, true, null));

        (string, string) OfIndex(GlobalId on, ArrangementKey key, ClusterId cluster) => Print(DataflowPlanner.ForIndex(
            new DataflowCatalog(state, cluster), GlobalId.Transient(0), "explain", on, state.Items[on].Desc!.Type, key));

        (string, string) Print(PlannedDataflow planned) =>
            (ExplainText.Optimized(planned, names), ExplainText.Physical(planned.Dataflow, names));
    }

    private static QueryPlan QueryOf(CatalogState state, Explainee explainee) => explainee switch
    {
        Explainee.Query x => x.Plan,
        Explainee.Statement { Plan: StatementPlan.CreateView x } => x.Query,
        Explainee.Statement { Plan: StatementPlan.CreateMaterializedView x } => x.Query,
        Explainee.Item x => state.Items[x.Id].Definition switch
        {
            ItemDefinition.View view => view.Query,
            ItemDefinition.MaterializedView view => view.Query,
            _ => throw SqlException.Unsupported("EXPLAIN of this item at this stage"),
        },
        _ => throw SqlException.Unsupported("EXPLAIN of this statement"),
    };

    private static Func<GlobalId, string> HumanNames(CatalogState state) =>
        id => state.Items.TryGetValue(id, out var item) ? state.NameOf(item).ToString() : id.ToString();
}
