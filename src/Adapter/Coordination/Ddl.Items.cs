using Materialize.Catalog;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Ddl
{
    private async Task<DdlResult> CreateTableAsync(StatementPlan.CreateTable plan, SessionContext session, CancellationToken cancel)
    {
        CheckLimit("max_tables", "table", item => item.Definition is ItemDefinition.Table && item.Id.IsUser);
        var (entry, allocators) = NewItem(plan, session, ShardId.New());
        var state = await CommitAsync([entry, .. allocators], [], cancel);
        await installer.AddTableAsync(state.Items[IdOf(entry)], CancellationToken.None);
        return new DdlResult("CREATE TABLE");
    }

    private async Task<DdlResult> CreateViewAsync(StatementPlan.CreateView plan, SessionContext session, CancellationToken cancel)
    {
        var (entry, allocators) = NewItem(plan, session, null);
        await CommitAndRetireAsync([entry, .. allocators], plan.Replaces, cancel);
        return new DdlResult("CREATE VIEW");
    }

    private async Task<DdlResult> CreateMaterializedViewAsync(
        StatementPlan.CreateMaterializedView plan, SessionContext session, CancellationToken cancel)
    {
        if (plan.Refresh is not null || plan.ReplacementFor is not null)
            throw SqlException.Unsupported(plan.Refresh is not null ? "REFRESH options" : "REPLACEMENT MATERIALIZED VIEW");
        if (!plan.NonNullAssertions.IsEmpty)
            throw SqlException.Unsupported("ASSERT NOT NULL");
        CheckLimit("max_materialized_views", "materialized view", item => item.Definition is ItemDefinition.MaterializedView && item.Id.IsUser);
        CheckReadsNoLogs("materialized view", plan);
        var (entry, allocators) = NewItem(plan, session, ShardId.New());

        // Planned as it will be at every start, before anything is committed: what cannot run is refused here.
        var item = ItemPlanner.Plan(services.Catalog.State, entry);
        using var prepared = installer.Prepare(services.Catalog.State, item);
        entry = entry with { AsOf = prepared.AsOf };
        var (state, retired) = await CommitKeepingRetiredAsync([entry, .. allocators], plan.Replaces, cancel);
        await installer.AddMaterializedViewAsync(state.Items[item.Id], prepared, CancellationToken.None);
        await RetireAsync(retired);
        return new DdlResult("CREATE MATERIALIZED VIEW");
    }

    private async Task<DdlResult> CreateIndexAsync(StatementPlan.CreateIndex plan, SessionContext session, CancellationToken cancel)
    {
        CheckReadsNoLogs("index", plan);
        var (entry, allocators) = NewItem(plan, session, null);
        var item = ItemPlanner.Plan(services.Catalog.State, entry);
        using var prepared = installer.Prepare(services.Catalog.State, item);
        var state = await CommitAsync([entry, .. allocators], [], cancel);
        installer.AddIndex(state.Items[item.Id], prepared);
        return new DdlResult("CREATE INDEX");
    }

    /// <summary>What is maintained is the same on every replica, which logs are not.</summary>
    private void CheckReadsNoLogs(string kind, StatementPlan plan)
    {
        if (services.Catalog.State.ReadsLogs(plan.DependsOn))
            throw new SqlException("0A000", $"{kind} objects cannot depend on log relations");
    }

    /// <summary>Connections and types: nothing runs because of them.</summary>
    private async Task<DdlResult> CreatePlainAsync(StatementPlan.CreateItem plan, SessionContext session, CancellationToken cancel)
    {
        var (entry, allocators) = NewItem(plan, session, null);
        await CommitAsync([entry, .. allocators], [], cancel);
        return new DdlResult(TagOf(plan));
    }

    private async Task<DdlResult> CreateSecretAsync(StatementPlan.CreateSecret plan, SessionContext session, CancellationToken cancel)
    {
        CheckLimit("max_secrets", "secret", item => item.Definition is ItemDefinition.Secret);
        var (entry, allocators) = NewItem(plan, session, null);
        // The contents first: an item without contents would be an acknowledged lie, contents without an item only waste a file.
        services.Secrets.Put(IdOf(entry), plan.Value.AsSpan());
        await CommitAsync([entry, .. allocators], [], cancel);
        return new DdlResult("CREATE SECRET");
    }

    private DdlResult AlterSecret(StatementPlan.AlterSecret plan)
    {
        services.Secrets.Put(plan.Id, plan.Value.AsSpan());
        return new DdlResult("ALTER SECRET");
    }

    /// <summary>An entry with new ids; put the allocators in the same transaction.</summary>
    private (CatalogEntry.Item Entry, CatalogEntry[] Allocators) NewItem(StatementPlan.CreateItem plan, SessionContext session, ShardId? shard)
    {
        var (number, numbers) = services.Catalog.Allocate("item");
        var (oid, oids) = services.Catalog.Allocate("oid");
        var entry = new CatalogEntry.Item(
            GlobalId.User(number).ToString(), (uint)oid, plan.SchemaId.Value, plan.Name.Item, session.Role.Value, plan.CreateSql, shard?.ToString());
        return (entry, [numbers, oids]);
    }

    private static GlobalId IdOf(CatalogEntry.Item entry) => GlobalId.TryParse(entry.Id, out var id) ? id : default;

    private void CheckLimit(string limit, string what, Func<Item, bool> counts)
    {
        var text = services.SystemParameter(limit) ?? VariableTable.Find(limit)!.Default;
        var most = int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
        var current = services.Catalog.State.Items.Values.Count(counts);
        if (current < most)
            return;
        throw new SqlException("53000", $"creating {what} would violate {limit} limit (desired: {current + 1}, limit: {most}, current: {current})")
        {
            Hint = $"Drop an existing {what} or ask an administrator to raise the limit with ALTER SYSTEM SET {limit}.",
        };
    }
}
