using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// From statement to plan: names resolved, types checked, queries decorrelated. Pure: the catalog is a snapshot, nothing is done.
/// Start reading here; one file for each group of statements.
/// </summary>
public static partial class Planner
{
    /// <summary>The shape of a statement's result and of its parameters, for Parse and Describe.</summary>
    /// <param name="paramTypes">What the client said of <c>$1</c>…; null where it left the type open. May be shorter than the parameters are many.</param>
    /// <exception cref="SqlException">The statement cannot be planned; with a position where there is one.</exception>
    public static StatementDesc Describe(ISqlCatalog catalog, Ast.Statement statement, IReadOnlyList<SqlType?> paramTypes)
    {
        var context = new StatementContext(catalog, LifetimeOf(statement));
        for (var i = 0; i < paramTypes.Count; i++)
            context.DeclareParameter(i + 1, paramTypes[i]);
        var desc = DescribeStatement(context, statement, out var isCopy);
        var count = context.Parameters.Count == 0 ? 0 : context.Parameters.Keys.Max();
        var types = new SqlType[count];
        for (var i = 0; i < count; i++)
        {
            if (!context.Parameters.TryGetValue(i + 1, out var type))
                throw new SqlException(SqlState.UndefinedParameter, $"could not determine data type of parameter ${i + 1}");
            types[i] = type ?? SqlType.String;
        }

        return new StatementDesc(desc, types.ToValueArray()) { IsCopy = isCopy };
    }

    /// <summary>The plan of a statement with its parameters bound.</summary>
    /// <param name="sql">The text that the statement's spans are offsets into: prepared statements and cursors keep their part of it.</param>
    /// <exception cref="SqlException">The statement cannot be planned.</exception>
    public static StatementPlan Plan(ISqlCatalog catalog, Ast.Statement statement, Params parameters, string sql = "")
    {
        var context = new StatementContext(catalog, LifetimeOf(statement)) { Values = parameters };
        for (var i = 0; i < parameters.Types.Count; i++)
            context.DeclareParameter(i + 1, parameters.Types[i]);
        var plan = PlanStatement(context, statement, sql);
        return plan with { DependsOn = plan.DependsOn.IsEmpty ? context.Dependencies : plan.DependsOn, Notices = [.. plan.Notices, .. context.Notices] };
    }

    /// <summary>
    /// The plan of a query for all values of its parameters, which stand in it as <see cref="Expr.MirScalarExpr.Parameter"/>; null if
    /// it depends on the values (LIMIT $1), or on the session or the moment.
    /// </summary>
    /// <param name="types">Of all its parameters, as <see cref="Describe"/> gave them.</param>
    public static StatementPlan.Select? PlanOpen(ISqlCatalog catalog, Ast.Statement statement, ValueArray<SqlType> types, string sql)
    {
        try
        {
            return Plan(catalog, statement, Params.Open(types), sql) is StatementPlan.Select { When: QueryWhen.Immediately, Query.IsUnmaterializable: false } plan
                ? plan
                : null;
        }
        catch (SqlException)
        {
            // Something asked for a value. If it is an error with every value, planning with the values says so.
            return null;
        }
    }

    /// <summary>The plan of an INSERT for all values of its parameters, as <see cref="PlanOpen"/> makes that of a query; null if it depends on the values.</summary>
    /// <param name="types">Of all its parameters, as <see cref="Describe"/> gave them.</param>
    public static StatementPlan.Insert? PlanOpenInsert(ISqlCatalog catalog, Ast.Statement statement, ValueArray<SqlType> types, string sql)
    {
        try
        {
            return Plan(catalog, statement, Params.Open(types), sql) is StatementPlan.Insert { Notices.IsEmpty: true } plan
                && plan.Returning?.Exprs.Any(Constants.HasParameter) is not true
                    ? plan
                    : null;
        }
        catch (SqlException)
        {
            // As there.
            return null;
        }
    }

    private static QueryLifetime LifetimeOf(Ast.Statement statement) =>
        statement is Ast.Statement.Subscribe ? QueryLifetime.Subscribe : QueryLifetime.OneShot;

    private static StatementPlan PlanStatement(StatementContext context, Ast.Statement statement, string sql) => statement switch
    {
        Ast.Statement.Select x => PlanSelect(context, x.Query, x.AsOf),
        Ast.Statement.Insert x => PlanInsert(context, x),
        Ast.Statement.Update x => PlanUpdate(context, x),
        Ast.Statement.Delete x => PlanDelete(context, x),
        Ast.Statement.Subscribe x => PlanSubscribe(context, x, null),
        Ast.Statement.Copy x => PlanCopy(context, x),
        Ast.Statement.Show x => PlanShow(context, x.Inner),
        Ast.Statement.ExplainPlan or Ast.Statement.ExplainTimestamp or Ast.Statement.ExplainPushdown or Ast.Statement.ExplainSinkSchema
            or Ast.Statement.ExplainAnalyzeObject or Ast.Statement.ExplainAnalyzeCluster => PlanExplain(context, statement, sql),
        Ast.Statement.Declare or Ast.Statement.Fetch or Ast.Statement.Close or Ast.Statement.StartTransaction or Ast.Statement.SetTransaction
            or Ast.Statement.Commit or Ast.Statement.Rollback or Ast.Statement.SetVariable or Ast.Statement.ResetVariable or Ast.Statement.Prepare
            or Ast.Statement.Execute or Ast.Statement.Deallocate or Ast.Statement.Discard or Ast.Statement.Raise or Ast.Statement.ValidateConnection
            or Ast.Statement.InspectShard => PlanSession(context, statement, sql),
        _ => PlanDdl(context, statement),
    };
}
