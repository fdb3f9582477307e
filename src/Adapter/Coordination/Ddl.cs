using Materialize.Catalog;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Adapter;

/// <summary>What came of a statement that changes the catalog.</summary>
internal sealed record DdlResult(string Tag, IReadOnlyList<ErrorReport> Notices)
{
    public DdlResult(string tag) : this(tag, [])
    {
    }
}

/// <summary>
/// Carries out statements that change the catalog, on the coordinator: plan again against the state of that moment, commit to the
/// catalog, then tell the controllers. If the process dies in between, start-up does the rest from the catalog. Facets: this
/// switch, items, drops, clusters and namespaces, sources.
/// </summary>
internal sealed partial class Ddl(AdapterServices services, Coordinator coordinator, DataflowInstaller installer)
{
    /// <param name="plan">As planned by the session; planned again if the catalog has changed since.</param>
    public Task<DdlResult> ExecuteAsync(StatementPlan plan, Statement statement, SessionCatalog catalog, CancellationToken cancel) =>
        coordinator.RunAsync(
            async () =>
            {
                var now = services.Catalog.State;
                if (now.Revision != catalog.State.Revision)
                    plan = Planner.Plan(new SessionCatalog(now, catalog.Session, catalog.GetVariable), statement, Params.None);
                return await SequenceAsync(plan, catalog.Session, cancel);
            },
            cancel);

    /// <summary>The command tag of a statement that changes the catalog.</summary>
    public static string TagOf(StatementPlan plan) => plan switch
    {
        StatementPlan.CreateTable or StatementPlan.CreateTableFromSource => "CREATE TABLE",
        StatementPlan.CreateView => "CREATE VIEW",
        StatementPlan.CreateMaterializedView => "CREATE MATERIALIZED VIEW",
        StatementPlan.CreateIndex => "CREATE INDEX",
        StatementPlan.CreateSource => "CREATE SOURCE",
        StatementPlan.CreateConnection => "CREATE CONNECTION",
        StatementPlan.CreateSecret => "CREATE SECRET",
        StatementPlan.CreateType => "CREATE TYPE",
        StatementPlan.CreateDatabase => "CREATE DATABASE",
        StatementPlan.CreateSchema => "CREATE SCHEMA",
        StatementPlan.CreateCluster => "CREATE CLUSTER",
        StatementPlan.CreateClusterReplica => "CREATE CLUSTER REPLICA",
        StatementPlan.CreateRole => "CREATE ROLE",
        StatementPlan.DropObjects x => $"DROP {x.Kind}",
        StatementPlan.AlterRename x => $"ALTER {x.Kind}",
        StatementPlan.AlterNoop x => $"ALTER {x.Kind}",
        StatementPlan.AlterOwner x => $"ALTER {x.Kind}",
        StatementPlan.AlterSecret => "ALTER SECRET",
        StatementPlan.AlterSystemSet or StatementPlan.AlterSystemReset => "ALTER SYSTEM",
        StatementPlan.Comment => "COMMENT",
        _ => "this statement",
    };

    private async Task<DdlResult> SequenceAsync(StatementPlan plan, SessionContext session, CancellationToken cancel)
    {
        if (plan is StatementPlan.CreateItem { Existing: not null, IfNotExists: true } existing)
        {
            return new DdlResult(
                TagOf(plan), [new ErrorReport("NOTICE", "42710", $"{KindOf(plan)} \"{existing.Name.Item}\" already exists, skipping")]);
        }

        return plan switch
        {
            StatementPlan.CreateItem { IsTemporary: true } => throw SqlException.Unsupported("temporary objects"),
            StatementPlan.CreateTable x => await CreateTableAsync(x, session, cancel),
            StatementPlan.CreateView x => await CreateViewAsync(x, session, cancel),
            StatementPlan.CreateMaterializedView x => await CreateMaterializedViewAsync(x, session, cancel),
            StatementPlan.CreateIndex x => await CreateIndexAsync(x, session, cancel),
            StatementPlan.CreateConnection x => await CreatePlainAsync(x, session, cancel),
            StatementPlan.CreateType x => await CreatePlainAsync(x, session, cancel),
            StatementPlan.CreateSecret x => await CreateSecretAsync(x, session, cancel),
            StatementPlan.AlterSecret x => AlterSecret(x),
            StatementPlan.CreateSource x => await CreateSourceAsync(x, session, cancel),
            StatementPlan.CreateTableFromSource x => await CreateTableFromSourceAsync(x, session, cancel),
            StatementPlan.CreateDatabase x => await CreateDatabaseAsync(x, session, cancel),
            StatementPlan.CreateSchema x => await CreateSchemaAsync(x, session, cancel),
            StatementPlan.CreateRole x => await CreateRoleAsync(x, cancel),
            StatementPlan.CreateCluster x => await CreateClusterAsync(x, session, cancel),
            StatementPlan.CreateClusterReplica x => await CreateReplicaAsync(x, session, cancel),
            StatementPlan.DropObjects x => await DropAsync(x, cancel),
            StatementPlan.AlterNoop x => new DdlResult($"ALTER {x.Kind}"),
            StatementPlan.AlterSystemSet x => await AlterSystemAsync(x.Name, [.. x.Values], cancel),
            StatementPlan.AlterSystemReset x => await ResetSystemAsync(x.Name, cancel),
            StatementPlan.Comment x => await CommentAsync(x, cancel),
            _ => throw SqlException.Unsupported(TagOf(plan) is "this statement" ? Words(plan.GetType().Name) : TagOf(plan)),
        };
    }

    /// <summary>Commits, then brings the catalog relations up to date; they show the change before the client hears of it.</summary>
    private async Task<CatalogState> CommitAsync(IReadOnlyList<CatalogEntry> puts, IReadOnlyList<string> removes, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var before = services.Catalog.State;
        var after = await services.Catalog.TransactAsync(puts, removes, CancellationToken.None);
        var writes = installer.BuiltinWrites(BuiltinRows.Changes(before, after));
        if (writes.Count > 0)
            await services.Committer.SubmitAsync(writes);
        return after;
    }

    private static string KindOf(StatementPlan plan) => TagOf(plan)["CREATE ".Length..].ToLowerInvariant();

    /// <summary>"AlterRetainHistory" as "ALTER RETAIN HISTORY".</summary>
    private static string Words(string name) =>
        string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? $" {c}" : char.ToUpperInvariant(c).ToString())).ToUpperInvariant();
}
