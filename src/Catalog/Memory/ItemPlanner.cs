using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser;

namespace Materialize.Catalog;

/// <summary>
/// Makes an <see cref="Item"/> from its durable entry by planning its statement. The only way an item comes to be, in a new
/// statement and at start alike: what restarts see is what was acknowledged.
/// </summary>
public static class ItemPlanner
{
    /// <exception cref="SqlException">The statement cannot be planned against <paramref name="state"/>.</exception>
    public static Item Plan(CatalogState state, CatalogEntry.Item entry)
    {
        var plan = PlanStatement(state, entry.CreateSql);
        return Of(entry, Define(plan, entry), DependenciesOf(plan));
    }

    /// <summary>The item of a durable entry, given what its statement says.</summary>
    internal static Item Of(CatalogEntry.Item entry, ItemDefinition definition, ValueArray<GlobalId> dependsOn)
    {
        Invariant.Check(GlobalId.TryParse(entry.Id, out var id), $"{entry.Id} is an item id");
        return new Item
        {
            Id = id,
            Oid = entry.Oid,
            SchemaId = new SchemaId(entry.SchemaId),
            Name = entry.Name,
            Owner = new RoleId(entry.Owner),
            CreateSql = entry.CreateSql,
            Definition = definition,
            Shard = entry.Shard is { } shard ? ShardId.Parse(shard) : null,
            DependsOn = dependsOn,
            AsOf = entry.AsOf,
        };
    }

    /// <summary>The state with built-in views added, each planned against those before it.</summary>
    /// <exception cref="InvariantViolationException">Some do not plan; the message says which, and why.</exception>
    public static CatalogState PlanAll(CatalogState state, IEnumerable<Builtin.View> views)
    {
        var failures = new List<string>();
        foreach (var view in views)
        {
            try
            {
                state = state.With(Plan(state, view));
            }
            catch (InvariantViolationException e)
            {
                failures.Add(e.Message);
            }
        }

        Invariant.Check(failures.Count == 0, string.Join('\n', failures));
        return state;
    }

    /// <summary>A built-in view. Its id is given; its SELECT is planned like a user's.</summary>
    public static Item Plan(CatalogState state, Builtin.View view)
    {
        var columns = view.Columns.Length == 0 ? "" : $" ({string.Join(", ", view.Columns.Select(c => $"\"{c}\""))})";
        var sql = $"CREATE VIEW {view.Schema}.{view.Name}{columns} AS {view.Sql}";
        try
        {
            var plan = PlanStatement(state, sql);
            return new Item
            {
                Id = view.Id,
                Oid = view.Oid,
                SchemaId = state.Schemas.Values.Single(s => s.Database is null && s.Name == view.Schema).Id,
                Name = view.Name,
                Owner = new RoleId("s1"),
                CreateSql = ((StatementPlan.CreateView)plan).CreateSql,
                Definition = Define(plan, null),
                DependsOn = DependenciesOf(plan),
            };
        }
        catch (Exception e) when (e is SqlException or ParseException)
        {
            throw new InvariantViolationException($"built-in view {view.Schema}.{view.Name} does not plan: {e.Message}");
        }
    }

    private static StatementPlan PlanStatement(CatalogState state, string sql)
    {
        var session = new SessionContext("materialize", [], new RoleId("s1"), "mz_system", "mz_catalog_server", DateTimeOffset.UnixEpoch)
        {
            IsSystem = true,
        };
        // Feature flags guard making new things, not keeping what there is.
        var catalog = new SessionCatalog(state, session, name => name.Contains("enable_", StringComparison.Ordinal) ? "on" : null);
        return Planner.Plan(catalog, SqlParser.ParseStatements(sql).Single().Statement, Params.None, sql);
    }

    private static ItemDefinition Define(StatementPlan plan, CatalogEntry.Item? entry) => plan switch
    {
        StatementPlan.CreateTable x => new ItemDefinition.Table(x.Desc, x.Defaults, Millis(x.RetainHistory)),
        StatementPlan.CreateView x => new ItemDefinition.View(x.Query) { Desc = x.Query.Desc },
        StatementPlan.CreateMaterializedView x =>
            new ItemDefinition.MaterializedView(x.Query, x.Cluster, x.NonNullAssertions, Millis(x.RetainHistory)) { Desc = x.Query.Desc },
        StatementPlan.CreateIndex x => new ItemDefinition.Index(x.On, x.Keys, x.Cluster, Millis(x.RetainHistory)),
        StatementPlan.CreateSource x =>
            new ItemDefinition.Source(x.Connector, x.Cluster, x.Desc, entry?.Slot, Millis(x.TimestampInterval) ?? 1000),
        StatementPlan.CreateSubsource x => new ItemDefinition.SourceOutput(x.Source, x.Desc, IsTable: false, x.IsProgress, entry?.Upstream),
        StatementPlan.CreateTableFromSource { Desc: { } desc } x =>
            new ItemDefinition.SourceOutput(x.Source, desc, IsTable: true, IsProgress: false, entry?.Upstream),
        StatementPlan.CreateConnection x => new ItemDefinition.Connection(x.Details),
        StatementPlan.CreateSecret => new ItemDefinition.Secret(),
        StatementPlan.CreateType x => new ItemDefinition.Type(x.Type with { CustomId = null }),
        _ => throw SqlException.Unsupported($"items of kind {plan.GetType().Name}"),
    };

    private static ValueArray<GlobalId> DependenciesOf(StatementPlan plan) => plan.DependsOn.Distinct().Order().ToValueArray();

    private static ulong? Millis(TimeSpan? span) => span is { } value ? (ulong)value.TotalMilliseconds : null;
}
