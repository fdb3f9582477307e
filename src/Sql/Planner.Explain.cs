// EXPLAIN. Early stages are printed here; the later ones need the optimizer, so the plan only says what to explain and how far.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static readonly RelationDesc ExplainPushdownDesc = RelationDesc.Of(
        ("Source", SqlType.String.Nullable(false)),
        ("Total Bytes", SqlType.UInt64.Nullable(false)),
        ("Selected Bytes", SqlType.UInt64.Nullable(false)),
        ("Total Parts", SqlType.UInt64.Nullable(false)),
        ("Selected Parts", SqlType.UInt64.Nullable(false)));

    private static string ExplainColumn(Ast.Statement.ExplainPlan x) => x.Stage switch
    {
        Ast.ExplainStage.Raw => "Raw Plan",
        Ast.ExplainStage.Decorrelated => "Decorrelated Plan",
        Ast.ExplainStage.LocallyOptimized => "Locally Optimized Plan",
        Ast.ExplainStage.Optimized => "Optimized Plan",
        Ast.ExplainStage.PlanInsights => "Plan Insights",
        _ => "Physical Plan",
    };

    private static StatementPlan PlanExplain(StatementContext context, Ast.Statement statement, string sql)
    {
        switch (statement)
        {
            case Ast.Statement.ExplainPlan x:
                return PlanExplainPlan(context, x, sql);
            case Ast.Statement.ExplainTimestamp x:
                return new StatementPlan.ExplainTimestamp(PlanQuery(context, x.Query), PlanWhen(context, x.AsOf), FormatOf(x.Format) ?? ExplainFormat.Text);
            case Ast.Statement.ExplainPushdown x:
                return new StatementPlan.ExplainFilterPushdown(ExplaineeOf(context, x.Explainee, sql));
            default:
                throw SqlException.Unsupported(
                    statement is Ast.Statement.ExplainSinkSchema ? "EXPLAIN SCHEMA" : "EXPLAIN ANALYZE", statement.Position());
        }
    }

    private static StatementPlan PlanExplainPlan(StatementContext context, Ast.Statement.ExplainPlan x, string sql)
    {
        var stage = x.Stage switch
        {
            Ast.ExplainStage.Raw => ExplainStage.Raw,
            Ast.ExplainStage.Decorrelated => ExplainStage.Decorrelated,
            Ast.ExplainStage.LocallyOptimized => ExplainStage.LocallyOptimized,
            Ast.ExplainStage.Optimized => ExplainStage.Optimized,
            Ast.ExplainStage.PlanInsights => ExplainStage.Insights,
            Ast.ExplainStage.OptimizerTrace => ExplainStage.Trace,
            _ => ExplainStage.Physical,
        };
        if (x.Explainee is Ast.Explainee.Object { Kind: Ast.ObjectKind.View } && stage is ExplainStage.Optimized or ExplainStage.Physical)
            throw SqlException.Plan("EXPLAIN for a view needs an explicit stage of RAW, DECORRELATED or LOCALLY OPTIMIZED PLAN", x.Position());
        var modifiers = x.Options.Select(o => KeyValuePair.Create(
            o.Name.ToLowerInvariant().Replace('_', ' '),
            o.Value is null || OptionReader.AsText(o).ToLowerInvariant() is "true" or "on")).ToValueArray();
        var config = new ExplainConfig(modifiers);

        // EXPLAIN without a stage is concise; an explicit PHYSICAL PLAN is not.
        var format = FormatOf(x.Format) ?? (x.Stage == Ast.ExplainStage.Physical ? ExplainFormat.VerboseText : ExplainFormat.Text);
        if (stage is ExplainStage.Insights or ExplainStage.Trace)
            throw SqlException.Unsupported(stage == ExplainStage.Trace ? "EXPLAIN OPTIMIZER TRACE" : "EXPLAIN PLAN INSIGHTS", x.Position());
        var explainee = ExplaineeOf(context, x.Explainee, sql);
        var query = explainee switch
        {
            Explainee.Query q => q.Plan,
            Explainee.Statement { Plan: StatementPlan.CreateView view } => view.Query,
            Explainee.Statement { Plan: StatementPlan.CreateMaterializedView view } => view.Query,
            Explainee.Statement { Plan: StatementPlan.Subscribe { From: SubscribeFrom.Query from } } => from.Plan,
            _ => null,
        };
        if (stage == ExplainStage.Raw && format is ExplainFormat.Text or ExplainFormat.VerboseText && query is not null)
        {
            var desc = RelationDesc.Of((ExplainColumn(x), SqlType.String.Nullable(false)));
            var text = HirPrinter.Print(context.Catalog, query);
            return new StatementPlan.SendRows(new ConstantResult(desc, [[Datum.FromString(text)]]));
        }

        return new StatementPlan.ExplainPlan(stage, format, config, explainee);
    }

    private static ExplainFormat? FormatOf(Ast.ExplainFormat? format) => format switch
    {
        null => null,
        Ast.ExplainFormat.Text => ExplainFormat.Text,
        Ast.ExplainFormat.VerboseText => ExplainFormat.VerboseText,
        Ast.ExplainFormat.Json => ExplainFormat.Json,
        _ => ExplainFormat.Dot,
    };

    private static Explainee ExplaineeOf(StatementContext context, Ast.Explainee explainee, string sql)
    {
        switch (explainee)
        {
            case Ast.Explainee.Object x:
                {
                    var item = context.ResolveItem(x.Name);
                    var wanted = x.Kind switch
                    {
                        Ast.ObjectKind.View => CatalogItemKind.View,
                        Ast.ObjectKind.MaterializedView => CatalogItemKind.MaterializedView,
                        _ => CatalogItemKind.Index,
                    };
                    return item.Kind == wanted
                        ? new Explainee.Item(item.Id, x.Replan)
                        : throw SqlException.Plan($"Expected {item.Name} to be a {KindNames.Of(wanted)}, not a {KindNames.Of(item.Kind)}", x.Position());
                }

            case Ast.Explainee.Of { Statement: Ast.Statement.Select select }:
                return new Explainee.Query(PlanQuery(context, select.Query), PlanWhen(context, select.AsOf));
            case Ast.Explainee.Of x:
                return new Explainee.Statement(PlanStatement(context, x.Statement, sql));
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }
}
