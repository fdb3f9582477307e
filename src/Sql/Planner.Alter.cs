// ALTER.
using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql.Parser;

namespace Materialize.Sql;

public static partial class Planner
{
    private static StatementPlan PlanAlter(StatementContext context, Ast.Statement statement)
    {
        switch (statement)
        {
            case Ast.Statement.AlterRename x:
                return PlanRename(context, x);
            case Ast.Statement.AlterSwap x:
                {
                    var first = ResolveObject(context, x.Kind, x.Name) ?? throw UnknownObject(context, x.Kind, x.Name);
                    var other = x.Kind == Ast.ObjectKind.Schema && x.Name.Parts.Count == 2 ? new Ast.ObjectName([x.Name.Parts[0], x.With]) : new Ast.ObjectName([x.With]);
                    var second = ResolveObject(context, x.Kind, other) ?? throw UnknownObject(context, x.Kind, other);
                    CheckUserObject(context, first, x.Position());
                    CheckUserObject(context, second, x.Position());
                    return new StatementPlan.AlterSwap(first, second, KindText(x.Kind));
                }

            case Ast.Statement.AlterOwner x:
                {
                    if (x.Kind == Ast.ObjectKind.ClusterReplica)
                        throw SqlException.Plan("altering the owner of a cluster replica is not supported", x.Position());
                    if (Existing(context, x.Kind, x.Name, x.IfExists) is not { } id)
                        return new StatementPlan.AlterNoop(KindText(x.Kind));
                    CheckUserObject(context, id, x.Position());
                    return new StatementPlan.AlterOwner(id, KindText(x.Kind), ResolveRole(context, x.Owner));
                }

            case Ast.Statement.AlterSetOptions x:
                return PlanAlterOptions(context, x);
            case Ast.Statement.AlterResetOptions x:
                {
                    if (Existing(context, x.Kind, x.Name, x.IfExists) is not ObjectId.Item item)
                        return new StatementPlan.AlterNoop(KindText(x.Kind));
                    return x.Options is ["RETAIN HISTORY"]
                        ? new StatementPlan.AlterRetainHistory(item.Id, KindText(x.Kind), null)
                        : x.Options is ["TIMESTAMP INTERVAL"]
                            ? new StatementPlan.AlterSourceTimestampInterval(item.Id, null)
                            : throw SqlException.Unsupported($"ALTER {KindText(x.Kind)} … RESET ({string.Join(", ", x.Options)})", x.Position());
                }

            case Ast.Statement.AlterSetCluster x:
                {
                    if (!context.Catalog.IsEnabled("enable_alter_set_cluster"))
                        throw SqlException.Plan("ALTER ... SET CLUSTER is not available", x.Position());
                    if (Existing(context, x.Kind, x.Name, x.IfExists) is not ObjectId.Item item)
                        return new StatementPlan.AlterNoop(KindText(x.Kind));
                    return new StatementPlan.AlterSetCluster(item.Id, KindText(x.Kind), ClusterOf(context, x.Cluster).Id);
                }

            case Ast.Statement.AlterTableAddColumn x:
                {
                    if (!context.Catalog.IsEnabled("enable_alter_table_add_column"))
                        throw SqlException.Plan("ALTER TABLE ... ADD COLUMN ... is not available", x.Position());
                    if (Existing(context, Ast.ObjectKind.Table, x.Table, x.IfExists) is not ObjectId.Item item)
                        return new StatementPlan.AlterNoop("TABLE");
                    var type = TypeResolution.Resolve(context, x.Type).Nullable();
                    if (context.Catalog.GetItem(item.Id)!.Desc!.Names.Contains(x.Column.Value))
                    {
                        if (!x.IfColumnNotExists)
                            throw SqlException.Plan($"column \"{x.Column.Value}\" of relation \"{x.Table}\" already exists", x.Position());
                        context.Notices.Add(new PlanNotice(SqlState.DuplicateColumn, $"column \"{x.Column.Value}\" of relation \"{x.Table}\" already exists, skipping"));
                        return new StatementPlan.AlterNoop("TABLE");
                    }

                    return new StatementPlan.AlterTableAddColumn(item.Id, x.Column.Value, type, x.IfColumnNotExists);
                }

            case Ast.Statement.AlterApplyReplacement x:
                {
                    if (Existing(context, Ast.ObjectKind.MaterializedView, x.Name, x.IfExists) is not ObjectId.Item item)
                        return new StatementPlan.AlterNoop("MATERIALIZED VIEW");
                    return new StatementPlan.AlterMaterializedViewApplyReplacement(item.Id, context.ResolveItem(x.Replacement).Id);
                }

            case Ast.Statement.AlterSourceAddSubsource x:
                {
                    if (Existing(context, Ast.ObjectKind.Source, x.Source, x.IfExists) is not ObjectId.Item item)
                        return new StatementPlan.AlterNoop("SOURCE");
                    var source = context.Catalog.GetItem(item.Id)!;
                    var options = new OptionReader("ALTER SOURCE", x.Options);
                    var tables = x.References.Select(r => ExportOf(context, new Target(source.Name, source.SchemaId, null), r)).ToValueArray();
                    return new StatementPlan.AlterSourceAddTables(
                        item.Id, new SourceExports.Tables(tables), options.Texts("TEXT COLUMNS").ToValueArray(), options.Texts("EXCLUDE COLUMNS").ToValueArray());
                }

            case Ast.Statement.AlterSourceDropSubsource x:
                throw new SqlException(SqlState.FeatureNotSupported, "ALTER SOURCE...DROP SUBSOURCE no longer supported")
                {
                    Hint = "Use DROP SOURCE or DROP TABLE instead.",
                    Position = x.Position(),
                };
            case Ast.Statement.AlterSourceRefreshReferences x:
                return Existing(context, Ast.ObjectKind.Source, x.Source, x.IfExists) is ObjectId.Item refreshed
                    ? new StatementPlan.AlterSourceRefreshReferences(refreshed.Id)
                    : new StatementPlan.AlterNoop("SOURCE");
            case Ast.Statement.AlterSinkSetFrom x:
                return Existing(context, Ast.ObjectKind.Sink, x.Sink, x.IfExists) is ObjectId.Item sink
                    ? new StatementPlan.AlterSinkSetFrom(sink.Id, context.ResolveItem(x.From).Id)
                    : new StatementPlan.AlterNoop("SINK");
            case Ast.Statement.AlterConnection x:
                return PlanAlterConnection(context, x);
            case Ast.Statement.AlterSecret x:
                return Existing(context, Ast.ObjectKind.Secret, x.Name, x.IfExists) is ObjectId.Item secret
                    ? new StatementPlan.AlterSecret(secret.Id, SecretValue(context, x.Value))
                    : new StatementPlan.AlterNoop("SECRET");
            case Ast.Statement.AlterClusterSet x:
                {
                    if (context.Catalog.ResolveCluster(x.Name.Value) is not { } cluster)
                        return MissingCluster(context, x.Name, x.IfExists);
                    var reader = new OptionReader("ALTER CLUSTER", x.Options);
                    if (reader.Has("REPLICAS"))
                        throw SqlException.Plan("REPLICAS not supported in ALTER CLUSTER", x.Position());
                    var options = ClusterOptionsOf(context, reader);
                    if (!(options.Managed ?? cluster.IsManaged))
                    {
                        foreach (var option in ManagedOptions)
                        {
                            if (reader.Has(option))
                                throw SqlException.Plan($"{option} not supported for unmanaged clusters", x.Position());
                        }
                    }

                    return new StatementPlan.AlterCluster(cluster.Id, options, [], WaitOf(context, x.WithOptions));
                }

            case Ast.Statement.AlterClusterReset x:
                return context.Catalog.ResolveCluster(x.Name.Value) is { } reset
                    ? new StatementPlan.AlterCluster(reset.Id, new ClusterOptions(), x.Options.Select(o => o.ToLowerInvariant()).ToValueArray(), new AlterClusterWait.None())
                    : MissingCluster(context, x.Name, x.IfExists);
            case Ast.Statement.AlterRoleAttributes x:
                return new StatementPlan.AlterRole(ResolveRole(context, new Ast.RoleName(x.Name)), RoleAttributesOf(x.Attributes));
            case Ast.Statement.AlterRoleVariable x:
                return new StatementPlan.AlterRoleVariable(
                    ResolveRole(context, new Ast.RoleName(x.Name)), x.Variable.Value.ToLowerInvariant(), x.Value is null ? null : Values(x.Value));
            case Ast.Statement.AlterNetworkPolicy x:
                return new StatementPlan.AlterNetworkPolicy(
                    context.Catalog.ResolveNetworkPolicy(x.Name.Value)?.Id ?? throw SqlException.Plan($"unknown network policy '{x.Name.Value}'", x.Position()),
                    RulesOf(x.Options, x.Position()));
            case Ast.Statement.AlterSystemSet x:
                return Values(x.Value) is { } values
                    ? new StatementPlan.AlterSystemSet(x.Name.Value.ToLowerInvariant(), values)
                    : new StatementPlan.AlterSystemReset(x.Name.Value.ToLowerInvariant());
            case Ast.Statement.AlterSystemReset x:
                return new StatementPlan.AlterSystemReset(x.Name.Value.ToLowerInvariant());
            case Ast.Statement.AlterSystemResetAll:
                return new StatementPlan.AlterSystemReset(null);
            default:
                throw SqlException.Unsupported(statement.GetType().Name, statement.Position());
        }
    }

    private static StatementPlan.AlterNoop MissingCluster(StatementContext context, Ast.Ident name, bool ifExists)
    {
        if (!ifExists)
            throw SqlException.Plan($"unknown cluster '{name.Value}'", name.Position());
        context.Notices.Add(new PlanNotice(SqlState.UndefinedObject, $"CLUSTER \"{name.Value}\" does not exist, skipping"));
        return new StatementPlan.AlterNoop("CLUSTER");
    }

    /// <summary>The object; null, with a notice, if it need not be there.</summary>
    private static ObjectId? Existing(StatementContext context, Ast.ObjectKind kind, Ast.ObjectName name, bool ifExists)
    {
        if (ResolveObject(context, kind, name) is { } id)
            return id;
        if (!ifExists)
            throw UnknownObject(context, kind, name);
        context.Notices.Add(new PlanNotice(SqlState.UndefinedObject, $"{KindText(kind)} \"{name}\" does not exist, skipping"));
        return null;
    }

    private static void CheckUserObject(StatementContext context, ObjectId id, int? position)
    {
        var catalog = context.Catalog;
        var isSystem = id switch
        {
            ObjectId.Item x => x.Id.IsSystem,
            ObjectId.Schema x => catalog.Schemas.First(s => s.Id == x.Id).IsSystem,
            ObjectId.Cluster x => x.Id.Value.StartsWith('s'),
            ObjectId.Database x => x.Id.Value.StartsWith('s'),
            _ => false,
        };
        if (isSystem && !catalog.Session.IsSystem)
            throw SqlException.Plan($"system {Describe(catalog, id)} cannot be modified", position);
    }

    private static StatementPlan PlanRename(StatementContext context, Ast.Statement.AlterRename x)
    {
        if (Existing(context, x.Kind, x.Name, x.IfExists) is not { } id)
            return new StatementPlan.AlterNoop(KindText(x.Kind));
        CheckUserObject(context, id, x.Position());
        var to = x.To.Value;
        var catalog = context.Catalog;
        switch (id)
        {
            case ObjectId.Item item:
                var full = catalog.GetItem(item.Id)!.Name with { Item = to };
                if (Exact(catalog, full) is not null)
                    throw SqlException.Plan($"catalog item '{to}' already exists", x.Position());
                break;
            case ObjectId.Schema schema:
                CheckReserved(context, "schema", to, x.Position());
                if (catalog.ResolveSchema(catalog.Schemas.First(s => s.Id == schema.Id).Database, to) is not null)
                    throw SqlException.Plan($"schema '{to}' already exists", x.Position());
                break;
            case ObjectId.Cluster:
                CheckReserved(context, "cluster", to, x.Position());
                if (catalog.ResolveCluster(to) is not null)
                    throw SqlException.Plan($"cluster '{to}' already exists", x.Position());
                break;
            case ObjectId.Replica replica:
                if (catalog.Clusters.First(c => c.Id == replica.ClusterId).IsManaged)
                    throw SqlException.Plan("cannot modify managed cluster", x.Position());
                break;
            case ObjectId.Database:
                throw SqlException.Unsupported("ALTER DATABASE … RENAME TO", x.Position());
        }

        return new StatementPlan.AlterRename(id, KindText(x.Kind), to);
    }

    private static StatementPlan PlanAlterOptions(StatementContext context, Ast.Statement.AlterSetOptions x)
    {
        if (Existing(context, x.Kind, x.Name, x.IfExists) is not ObjectId.Item item)
            return new StatementPlan.AlterNoop(KindText(x.Kind));
        var reader = new OptionReader($"ALTER {KindText(x.Kind)}", x.Options);
        if (reader.Has("RETAIN HISTORY"))
            return new StatementPlan.AlterRetainHistory(item.Id, KindText(x.Kind), reader.RetainHistory());
        if (reader.Has("TIMESTAMP INTERVAL"))
            return new StatementPlan.AlterSourceTimestampInterval(item.Id, reader.Duration("TIMESTAMP INTERVAL"));
        throw SqlException.Unsupported($"ALTER {KindText(x.Kind)} … SET ({string.Join(", ", x.Options.Select(o => o.Name))})", x.Position());
    }

    private static StatementPlan PlanAlterConnection(StatementContext context, Ast.Statement.AlterConnection x)
    {
        if (Existing(context, Ast.ObjectKind.Connection, x.Name, x.IfExists) is not ObjectId.Item item)
            return new StatementPlan.AlterNoop("CONNECTION");
        if (x.Actions is [Ast.ConnectionAction.RotateKeys])
            return new StatementPlan.AlterConnectionRotateKeys(item.Id);
        if (x.Actions.OfType<Ast.ConnectionAction.RotateKeys>().Any())
            throw SqlException.Plan("cannot specify any other actions alongside ALTER CONNECTION...ROTATE KEYS", x.Position());
        var connection = context.Catalog.GetItem(item.Id)!;
        var stored = (Ast.Statement.CreateConnection)SqlParser.ParseStatement(connection.CreateSql).Statement;
        var options = stored.Options.ToList();
        HashSet<string> touched = [];
        foreach (var action in x.Actions)
        {
            var name = action is Ast.ConnectionAction.Set set ? set.Option.Name : ((Ast.ConnectionAction.Drop)action).Option;
            if (!touched.Add(name))
                throw SqlException.Plan($"cannot both SET and DROP/RESET {name}", x.Position());
            options.RemoveAll(o => o.Name == name);
            if (action is Ast.ConnectionAction.Set { Option: var option })
                options.Add(option);
        }

        var altered = stored with { Options = Ast.AstList.ToAstList(options) };
        var details = ConnectionDetailsOf(context, stored.Type, altered.Options, x.Position());
        var with = new OptionReader("ALTER CONNECTION", x.WithOptions);
        return new StatementPlan.AlterConnection(item.Id, details, NameNormalizer.StoredSql(context, altered), with.Bool("VALIDATE") ?? true);
    }

    private static AlterClusterWait WaitOf(StatementContext context, IReadOnlyList<Ast.SqlOption> options)
    {
        if (options.FirstOrDefault(o => o.Name == "WAIT") is not { } wait)
            return new AlterClusterWait.None();
        if (!context.Catalog.IsEnabled("enable_zero_downtime_cluster_reconfiguration"))
            throw SqlException.Plan("ALTER CLUSTER WITH ( WAIT ... ) is not available", wait.Position());
        switch (wait.Value)
        {
            case Ast.OptionValue.WaitFor x:
                return new AlterClusterWait.For(Durations.Parse(OptionReader.ExprText(x.Duration) ?? "", wait.Position(), "WAIT FOR"));
            case Ast.OptionValue.WaitUntilReady x:
                var reader = new OptionReader("WAIT UNTIL READY", x.Options);
                var timeout = reader.Duration("TIMEOUT") ?? throw SqlException.Plan("TIMEOUT option is required for ALTER CLUSTER...WITH ( WAIT UNTIL READY ( ... ) )", wait.Position());
                return new AlterClusterWait.UntilReady(timeout, reader.Text("ON TIMEOUT")?.ToUpperInvariant() switch
                {
                    null or "COMMIT" => true,
                    "ROLLBACK" => false,
                    var other => throw SqlException.Plan($"unknown ON TIMEOUT action: {other}", wait.Position()),
                });
            default:
                throw OptionReader.Invalid(wait, "expected FOR or UNTIL READY");
        }
    }
}
