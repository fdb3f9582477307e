// DDL: the switch, and what the statements share: where a new item goes, and in which cluster.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private const int MaxColumns = 256;

    private static StatementPlan PlanDdl(StatementContext context, Ast.Statement statement) => statement switch
    {
        Ast.Statement.CreateTable x => PlanCreateTable(context, x),
        Ast.Statement.CreateTableFromSource x => PlanCreateTableFromSource(context, x),
        Ast.Statement.CreateView x => PlanCreateView(context, x),
        Ast.Statement.CreateMaterializedView x => PlanCreateMaterializedView(context, x),
        Ast.Statement.CreateIndex x => PlanCreateIndex(context, x),
        Ast.Statement.CreateType x => PlanCreateType(context, x),
        Ast.Statement.CreateSecret x => PlanCreateSecret(context, x),
        Ast.Statement.CreateConnection x => PlanCreateConnection(context, x),
        Ast.Statement.CreateSource x => PlanCreateSource(context, x),
        Ast.Statement.CreateSubsource x => PlanCreateSubsource(context, x),
        Ast.Statement.CreateWebhookSource x => PlanCreateWebhook(context, x),
        Ast.Statement.CreateSink x => throw SqlException.Unsupported("CREATE SINK", x.Position()),
        Ast.Statement.CreateDatabase x => PlanCreateDatabase(context, x),
        Ast.Statement.CreateSchema x => PlanCreateSchema(context, x),
        Ast.Statement.CreateCluster x => PlanCreateCluster(context, x),
        Ast.Statement.CreateClusterReplica x => PlanCreateReplica(context, x),
        Ast.Statement.CreateRole x => PlanCreateRole(context, x),
        Ast.Statement.CreateNetworkPolicy x => PlanCreateNetworkPolicy(context, x),
        Ast.Statement.DropObjects x => PlanDrop(context, x),
        Ast.Statement.DropOwned x => PlanDropOwned(context, x),
        Ast.Statement.Comment x => PlanComment(context, x),
        Ast.Statement.GrantRole or Ast.Statement.RevokeRole or Ast.Statement.GrantPrivileges or Ast.Statement.RevokePrivileges
            or Ast.Statement.AlterDefaultPrivileges or Ast.Statement.ReassignOwned => PlanPrivileges(context, statement),
        _ => PlanAlter(context, statement),
    };

    /// <summary>Where a new item goes.</summary>
    private readonly record struct Target(FullName Name, SchemaId SchemaId, CatalogItem? Existing);

    /// <summary>Completes a new item's name; notes it so that the stored statement has it in full.</summary>
    private static Target TargetOf(StatementContext context, Ast.ObjectName name, bool temporary, bool ifNotExists, bool mayReplace, bool isType = false)
    {
        var catalog = context.Catalog;
        var partial = StatementContext.Partial(name);
        if (temporary)
        {
            if (partial.Schema is not null and not "mz_temp")
                throw SqlException.Plan("cannot create temporary item in non-temporary schema", name.Position());
            var full = new FullName(null, "mz_temp", partial.Item);
            context.ResolvedNames[name] = full;
            return Checked(context, name, new Target(full, new SchemaId("mz_temp"), Exact(catalog, full)), ifNotExists, mayReplace);
        }

        CatalogSchema? schema;
        if (partial.Schema is null)
        {
            schema = catalog.CurrentSchema
                ?? throw new SqlException(SqlState.InvalidSchemaName, "no schema has been selected to create in") { Position = name.Position() };
        }
        else
        {
            if (partial.Database is { } database && catalog.ResolveDatabase(database) is null)
                throw SqlException.Plan($"unknown database '{database}'", name.Position());
            schema = catalog.ResolveSchema(partial.Database, partial.Schema)
                ?? throw SqlException.Plan($"unknown schema '{(partial.Database is null ? partial.Schema : partial.Database + "." + partial.Schema)}'", name.Position());
        }

        if (schema.IsSystem && !catalog.Session.IsSystem)
            throw SqlException.Plan($"system schema '{schema.Name}' cannot be modified", name.Position());
        var fullName = new FullName(schema.Database, schema.Name, partial.Item);
        context.ResolvedNames[name] = fullName;
        var existing = isType
            ? catalog.ResolveType(new PartialName(fullName.Database, fullName.Schema, fullName.Item)) is { } type ? catalog.GetItem(type.Id) : null
            : Exact(catalog, fullName);
        return Checked(context, name, new Target(fullName, schema.Id, existing), ifNotExists, mayReplace);
    }

    private static CatalogItem? Exact(ISqlCatalog catalog, FullName name) =>
        catalog.ResolveItem(new PartialName(name.Database, name.Schema, name.Item)) is { } item && item.Name == name ? item : null;

    private static Target Checked(StatementContext context, Ast.ObjectName name, Target target, bool ifNotExists, bool mayReplace)
    {
        if (target.Existing is null || mayReplace || context.Catalog.Session.IsSystem)
            return target;
        if (!ifNotExists)
            throw SqlException.Plan($"catalog item '{target.Name.Item}' already exists", name.Position());
        Exists(context, KindNames.Of(target.Existing.Kind), target.Name.Item, SqlState.DuplicateTable);
        return target;
    }

    private static void Exists(StatementContext context, string kind, string name, string state) =>
        context.Notices.Add(new PlanNotice(state, $"{kind} \"{name}\" already exists, skipping"));

    /// <summary>The cluster named, or the session's.</summary>
    private static CatalogCluster ClusterOf(StatementContext context, Ast.ClusterName? name)
    {
        var catalog = context.Catalog;
        CatalogCluster? found;
        if (name?.Id is { } id)
            found = catalog.Clusters.FirstOrDefault(c => c.Id.Value == id);
        else
            found = catalog.ResolveCluster(name?.Name?.Value ?? catalog.Session.Cluster);
        return found ?? throw SqlException.Plan($"unknown cluster '{name?.Name?.Value ?? name?.Id ?? catalog.Session.Cluster}'", name?.Position());
    }

    /// <summary>In stored statements the cluster is written by id: renaming it changes nothing.</summary>
    private static Ast.ClusterName ClusterById(CatalogCluster cluster) => new(null, cluster.Id.Value);

    private static void CheckColumns(IEnumerable<string> names, int? position)
    {
        HashSet<string> seen = [];
        var count = 0;
        foreach (var name in names)
        {
            if (!seen.Add(name))
                throw SqlException.Plan($"column \"{name}\" specified more than once", position);
            count++;
        }

        if (count > MaxColumns)
            throw SqlException.Plan($"number of columns ({count}) exceeds limit ({MaxColumns})", position);
    }
}
