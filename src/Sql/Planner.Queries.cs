// SELECT, SUBSCRIBE, SHOW, COPY … TO.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static readonly SqlType SubscribeTime = SqlType.NumericOf(0);

    private static StatementPlan PlanSelect(StatementContext context, Ast.Query query, Ast.AsOf? asOf, CopyFormat? copyTo = null) =>
        new StatementPlan.Select(PlanQuery(context, query), PlanWhen(context, asOf), copyTo);

    /// <summary>A query at top level: what is ordered and cut there is done to the answer, not by the dataflow.</summary>
    internal static QueryPlan PlanQuery(StatementContext context, Ast.Query query)
    {
        var planned = new QueryPlanner(context).PlanQuery(query, Scope.Empty);
        return Finish(context, planned);
    }

    private static QueryPlan Finish(StatementContext context, PlannedQuery planned)
    {
        var desc = DescOf(planned);
        ulong? limit = planned.Limit is HirScalarExpr.Literal { Value: { IsNull: false } value } ? (ulong)value.AsInt64 : null;
        var finishing = new RowSetFinishing(planned.OrderBy, limit, planned.Offset, planned.Project);
        var whole = planned.ToRelation();
        var mir = HirLowering.Lower(planned.Expr);
        return new QueryPlan(planned.Expr, mir, desc, finishing, context.Dependencies)
        {
            Whole = ReferenceEquals(whole, planned.Expr) ? mir : HirLowering.Lower(whole),
            IsUnmaterializable = context.UsesUnmaterializable,
        };
    }

    private static RelationDesc DescOf(PlannedQuery planned)
    {
        var columns = planned.Expr.Type.Columns;
        return new RelationDesc(
            new RelationType(planned.Project.Select(i => columns[i])), planned.Scope.Select(i => i.Column).ToValueArray());
    }

    private static QueryWhen PlanWhen(StatementContext context, Ast.AsOf? asOf)
    {
        if (asOf is null)
            return QueryWhen.Now;
        var time = PlanTimestamp(context, asOf.Time, "AS OF");
        return asOf.AtLeast ? new QueryWhen.AtLeastTimestamp(time) : new QueryWhen.AtTimestamp(time);
    }

    /// <summary>A constant time in ms since 1970.</summary>
    private static ulong PlanTimestamp(StatementContext context, Ast.Expr expr, string clause)
    {
        var planner = new QueryPlanner(context);
        var planned = planner.PlanConstant(expr, clause);
        if (planned.Type.Type.Kind == ScalarKind.String)
            planned = Coercion.Cast(context, clause, CastContext.Explicit, planned, SqlType.MzTimestamp, expr.Position());
        else
            planned = Coercion.Cast(context, clause, CastContext.Assignment, planned, SqlType.MzTimestamp, expr.Position());
        var value = Constants.Evaluate(planned, clause, expr.Position(), context.Catalog.Session.Now);
        return value.IsNull ? throw SqlException.Plan($"can't use NULL as a mz_timestamp for {clause}", expr.Position()) : value.AsUInt64;
    }

    // ---- SUBSCRIBE -----------------------------------------------------------------------------------------------------

    private static StatementPlan.Subscribe PlanSubscribe(StatementContext context, Ast.Statement.Subscribe x, CopyFormat? copyTo)
    {
        SubscribeFrom from;
        RelationDesc desc;
        if (x.Relation is Ast.SubscribeRelation.Name name)
        {
            var item = context.ResolveItem(name.Value);
            if (!item.IsRelation || item.Desc is null)
                throw SqlException.Plan($"'{item.Name}' cannot be subscribed to because it is a{(item.Kind == CatalogItemKind.Index ? "n" : "")} {KindNames.Of(item.Kind)}", name.Position());
            from = new SubscribeFrom.Item(item.Id);
            desc = item.Desc;
        }
        else
        {
            var query = PlanQuery(context, ((Ast.SubscribeRelation.Query)x.Relation).Value);
            from = new SubscribeFrom.Query(query);
            desc = query.Desc;
        }

        var options = new OptionReader("SUBSCRIBE", x.Options);
        var snapshot = options.Bool("SNAPSHOT") ?? true;
        var progress = options.Bool("PROGRESS") ?? false;
        var (output, columns) = PlanSubscribeOutput(context, x.Output, desc);
        var result = new List<(string, ColumnType)> { ("mz_timestamp", SubscribeTime.Nullable(false)) };
        if (progress)
        {
            result.Add(("mz_progressed", SqlType.Bool.Nullable(false)));
            columns = columns.Select(c => (c.Name, c.Type with { IsNullable = true })).ToList();
        }

        result.AddRange(columns);
        return new StatementPlan.Subscribe(
            from, desc, RelationDesc.Of([.. result]), PlanWhen(context, x.AsOf),
            x.UpTo is null ? null : PlanTimestamp(context, x.UpTo, "UP TO"), snapshot, progress, output, copyTo);
    }

    private static (SubscribeOutput Output, List<(string Name, ColumnType Type)> Columns) PlanSubscribeOutput(
        StatementContext context, Ast.SubscribeOutput output, RelationDesc desc)
    {
        var types = desc.Type.Columns;
        var all = desc.Names.Select((n, i) => (n, types[i])).ToList();
        switch (output)
        {
            case Ast.SubscribeOutput.Diffs:
                return (new SubscribeOutput.Diffs(), [("mz_diff", SqlType.Int64.Nullable(false)), .. all]);
            case Ast.SubscribeOutput.WithinTimestampOrderBy x:
                {
                    List<ScopeItem> items = [new(null, "mz_diff", SqlType.Int64.Nullable(false)), .. all.Select(c => new ScopeItem(null, c.n, c.Item2))];
                    var orders = new QueryPlanner(context).PlanColumnOrders(x.OrderBy, items, "WITHIN TIMESTAMP ORDER BY");
                    return (new SubscribeOutput.WithinTimestampOrderBy(orders), [("mz_diff", SqlType.Int64.Nullable(false)), .. all]);
                }

            case Ast.SubscribeOutput.EnvelopeUpsert x:
                {
                    var keys = Keys(x.Key, "UPSERT");
                    var values = all.Where((_, i) => !keys.Contains(i)).Select(c => (c.n, c.Item2 with { IsNullable = true }));
                    return (new SubscribeOutput.EnvelopeUpsert(keys), [("mz_state", SqlType.String.Nullable(false)), .. keys.Select(k => all[k]), .. values]);
                }

            case Ast.SubscribeOutput.EnvelopeDebezium x:
                {
                    if (!context.Catalog.IsEnabled("enable_envelope_debezium_in_subscribe"))
                        throw SqlException.Plan("ENVELOPE DEBEZIUM (KEY (..)) is not available", output.Position());
                    var keys = Keys(x.Key, "DEBEZIUM");
                    var values = all.Where((_, i) => !keys.Contains(i)).ToList();
                    return (
                        new SubscribeOutput.EnvelopeDebezium(keys),
                        [
                            ("mz_state", SqlType.String.Nullable(false)), .. keys.Select(k => all[k]),
                        .. values.Select(c => ("before_" + c.n, c.Item2 with { IsNullable = true })),
                        .. values.Select(c => ("after_" + c.n, c.Item2 with { IsNullable = true })),
                        ]);
                }

            default:
                throw new System.Diagnostics.UnreachableException();
        }

        ValueArray<int> Keys(IReadOnlyList<Ast.Ident> names, string envelope) => names.Select(n =>
        {
            var found = desc.Names.Index().Where(c => c.Item == n.Value).Select(c => c.Index).ToList();
            return found is [var only]
                ? only
                : throw SqlException.Plan(
                    $"invalid keys in SUBSCRIBE ENVELOPE {envelope} (KEY (..))", n.Position(),
                    detail: found.Count == 0 ? $"The column {n.Value} does not exist." : $"The column {n.Value} is ambiguous.");
        }).ToValueArray();
    }

    // ---- SHOW ----------------------------------------------------------------------------------------------------------

    private static StatementPlan PlanShow(StatementContext context, Ast.ShowStatement show)
    {
        switch (show)
        {
            case Ast.ShowStatement.Variable x:
                return new StatementPlan.ShowVariable(x.Name.Value.ToLowerInvariant());
            case Ast.ShowStatement.AllVariables:
                return new StatementPlan.ShowAllVariables();
            case Ast.ShowStatement.Create x:
                return new StatementPlan.SendRows(ShowCreate.Rows(context, x));
            default:
                return PlanSelect(context, ShowRewriter.Rewrite(context.Catalog, show), null);
        }
    }

    // ---- COPY ----------------------------------------------------------------------------------------------------------

    private static StatementPlan PlanCopy(StatementContext context, Ast.Statement.Copy x)
    {
        var options = new OptionReader("COPY", x.Options);
        if (x.Direction == Ast.CopyDirection.From)
            return PlanCopyFrom(context, x, options);
        if (x.Target is Ast.CopyTarget.Uri)
            throw SqlException.Unsupported("COPY TO an object store", x.Position());
        foreach (var name in (string[])["DELIMITER", "NULL", "QUOTE", "ESCAPE", "HEADER"])
        {
            if (options.Has(name))
                throw SqlException.Plan($"COPY TO does not support {name} option", x.Position());
        }

        var format = CopyFormatOf(options);
        return x.Relation switch
        {
            Ast.CopyRelation.Select query => PlanSelect(context, query.Query, query.AsOf, format),
            Ast.CopyRelation.Subscribe subscribe => PlanSubscribe(context, subscribe.Statement, format),
            Ast.CopyRelation.Named named when named.Columns.Count == 0 =>
                PlanSelect(context, new Ast.Query(null, new Ast.SetExpr.Table(named.Name), []), null, format),
            Ast.CopyRelation.Named => throw SqlException.Unsupported("COPY TO of some columns of a relation", x.Position()),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    private static CopyFormat CopyFormatOf(OptionReader options) => options.Text("FORMAT")?.ToLowerInvariant() switch
    {
        null or "text" => CopyFormat.Text,
        "csv" => CopyFormat.Csv,
        "binary" => CopyFormat.Binary,
        "parquet" => throw SqlException.Unsupported("FORMAT PARQUET"),
        var other => throw SqlException.Plan($"unknown FORMAT: {other}"),
    };

    // ---- Describe ------------------------------------------------------------------------------------------------------

    private static RelationDesc? DescribeStatement(StatementContext context, Ast.Statement statement, out bool isCopy)
    {
        isCopy = false;
        switch (statement)
        {
            case Ast.Statement.Select x:
                return DescOf(new QueryPlanner(context).PlanQuery(x.Query, Scope.Empty));
            case Ast.Statement.Insert x:
                return DescribeInsert(context, x);
            case Ast.Statement.Update x:
                PlanUpdate(context, x);
                return null;
            case Ast.Statement.Delete x:
                PlanDelete(context, x);
                return null;
            case Ast.Statement.Subscribe x:
                return PlanSubscribe(context, x, null).ResultDesc;
            case Ast.Statement.Copy { Direction: Ast.CopyDirection.To } x:
                isCopy = true;
                return PlanCopy(context, x) switch
                {
                    StatementPlan.Select select => select.Query.Desc,
                    StatementPlan.Subscribe subscribe => subscribe.ResultDesc,
                    _ => null,
                };
            case Ast.Statement.Copy:
                isCopy = true;
                return null;
            case Ast.Statement.Show { Inner: Ast.ShowStatement.Variable variable }:
                return RelationDesc.Of((variable.Name.Value.ToLowerInvariant(), SqlType.String.Nullable(false)));
            case Ast.Statement.Show { Inner: Ast.ShowStatement.AllVariables }:
                return RelationDesc.Of(
                    ("name", SqlType.String.Nullable(false)), ("setting", SqlType.String.Nullable(false)), ("description", SqlType.String.Nullable(false)));
            case Ast.Statement.Show { Inner: Ast.ShowStatement.Create }:
                return ShowCreate.Desc;
            case Ast.Statement.Show x:
                return DescOf(new QueryPlanner(context).PlanQuery(ShowRewriter.Rewrite(context.Catalog, x.Inner), Scope.Empty));
            case Ast.Statement.ExplainPlan x:
                return RelationDesc.Of((ExplainColumn(x), SqlType.String.Nullable(false)));
            case Ast.Statement.ExplainTimestamp:
                return RelationDesc.Of(("Timestamp", SqlType.String.Nullable(false)));
            case Ast.Statement.ExplainPushdown:
                return ExplainPushdownDesc;
            case Ast.Statement.InspectShard:
                return RelationDesc.Of(("state", SqlType.Jsonb.Nullable(false)));
            default:
                return null;
        }
    }
}
