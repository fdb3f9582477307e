// CREATE DATABASE, SCHEMA, CLUSTER, CLUSTER REPLICA, ROLE, NETWORK POLICY; COMMENT.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static void CheckReserved(StatementContext context, string kind, string name, int? position)
    {
        if (context.Catalog.Session.IsSystem)
            return;
        if (name.StartsWith("mz_", StringComparison.Ordinal) || name.StartsWith("pg_", StringComparison.Ordinal) || name.StartsWith("external_", StringComparison.Ordinal) || name == "public" && kind == "role")
            throw SqlException.Plan($"unacceptable {kind} name '{name}'", position, detail: $"The prefixes \"mz_\", \"pg_\" and \"external_\" are reserved for system {kind}s.");
    }

    private static StatementPlan PlanCreateDatabase(StatementContext context, Ast.Statement.CreateDatabase x)
    {
        if (context.Catalog.ResolveDatabase(x.Name.Value) is not null)
        {
            if (!x.IfNotExists)
                throw SqlException.Plan($"database '{x.Name.Value}' already exists", x.Position());
            Exists(context, "database", x.Name.Value, SqlState.DuplicateDatabase);
        }

        return new StatementPlan.CreateDatabase(x.Name.Value, x.IfNotExists);
    }

    private static StatementPlan PlanCreateSchema(StatementContext context, Ast.Statement.CreateSchema x)
    {
        if (x.Name.Parts.Count > 2)
            throw SqlException.Plan($"schema name '{x.Name}' has more than two components", x.Position());
        var databaseName = x.Name.Parts.Count == 2 ? x.Name.Parts[0].Value : context.Catalog.Session.Database;
        var database = context.Catalog.ResolveDatabase(databaseName) ?? throw SqlException.Plan($"unknown database '{databaseName}'", x.Position());
        var name = x.Name.Item.Value;
        CheckReserved(context, "schema", name, x.Position());
        if (context.Catalog.ResolveSchema(database.Name, name) is { DatabaseId: not null })
        {
            if (!x.IfNotExists)
                throw SqlException.Plan($"schema '{name}' already exists", x.Position());
            Exists(context, "schema", name, SqlState.DuplicateSchema);
        }

        return new StatementPlan.CreateSchema(database.Id, database.Name, name, x.IfNotExists);
    }

    // ---- Clusters --------------------------------------------------------------------------------------------------------

    private static readonly string[] ManagedOptions =
    [
        "SIZE", "REPLICATION FACTOR", "SCHEDULE", "INTROSPECTION INTERVAL", "INTROSPECTION DEBUGGING", "AVAILABILITY ZONES", "DISK",
    ];

    private static ClusterOptions ClusterOptionsOf(StatementContext context, OptionReader reader)
    {
        if (reader.Has("AVAILABILITY ZONES") && !context.Catalog.IsEnabled("enable_managed_cluster_availability_zones"))
            throw SqlException.Plan("AVAILABILITY ZONES is not available");
        bool? onRefresh = reader.Value("SCHEDULE") switch
        {
            Ast.OptionValue.ScheduleOnRefresh => true,
            Ast.OptionValue.ScheduleManual => false,
            _ => null,
        };
        if (onRefresh == true && !context.Catalog.IsEnabled("enable_cluster_schedule_refresh"))
            throw SqlException.Plan("`SCHEDULE = ON REFRESH` cluster option is not available");
        if (onRefresh == true && reader.Has("REPLICATION FACTOR"))
            throw SqlException.Plan("REPLICATION FACTOR cannot be given together with any SCHEDULE other than MANUAL");
        TimeSpan? estimate = reader.Value("SCHEDULE") is Ast.OptionValue.ScheduleOnRefresh { HydrationTimeEstimate: { } text } && OptionReader.ExprText(text) is { } duration
            ? Durations.Parse(duration, null, "HYDRATION TIME ESTIMATE")
            : null;
        var factor = reader.UInt64("REPLICATION FACTOR");
        if (factor > uint.MaxValue)
            throw SqlException.Plan("invalid REPLICATION FACTOR: out of range");
        return new ClusterOptions
        {
            Managed = reader.Bool("MANAGED"),
            Size = reader.Text("SIZE"),
            ReplicationFactor = (uint?)factor,
            IntrospectionIntervalMs = IntrospectionInterval(reader),
            IntrospectionDebugging = reader.Bool("INTROSPECTION DEBUGGING"),
            AvailabilityZones = reader.Texts("AVAILABILITY ZONES").ToValueArray(),
            WorkloadClass = reader.Value("WORKLOAD CLASS") is Ast.OptionValue.Literal { Value: Ast.Expr.NullLiteral } ? null : reader.Text("WORKLOAD CLASS"),
            OnRefresh = onRefresh,
            HydrationTimeEstimate = estimate,
        };
    }

    /// <summary>0 turns introspection off; a bare number is one of seconds' kin, an interval string.</summary>
    private static ulong? IntrospectionInterval(OptionReader reader) =>
        reader.Text("INTROSPECTION INTERVAL") is not { } text ? null : text == "0" ? 0 : (ulong)reader.Duration("INTROSPECTION INTERVAL")!.Value.TotalMilliseconds;

    private static ReplicaOptions ReplicaOptionsOf(OptionReader reader) => new()
    {
        Size = reader.Text("SIZE"),
        AvailabilityZone = reader.Text("AVAILABILITY ZONE"),
        BilledAs = reader.Text("BILLED AS"),
        Internal = reader.Bool("INTERNAL") ?? false,
        IntrospectionIntervalMs = IntrospectionInterval(reader),
        IntrospectionDebugging = reader.Bool("INTROSPECTION DEBUGGING"),
        StoragectlAddresses = reader.Texts("STORAGECTL ADDRESSES").ToValueArray(),
        ComputectlAddresses = reader.Texts("COMPUTECTL ADDRESSES").ToValueArray(),
        Workers = (int?)reader.UInt64("WORKERS"),
    };

    private static ReplicaOptions CheckedReplica(ReplicaOptions options, int? position) =>
        options.Size is null && options.StoragectlAddresses.IsEmpty
            ? throw SqlException.Plan("SIZE option must be specified", position)
            : options;

    private static StatementPlan PlanCreateCluster(StatementContext context, Ast.Statement.CreateCluster x)
    {
        var name = x.Name.Value;
        CheckReserved(context, "cluster", name, x.Position());
        if (context.Catalog.ResolveCluster(name) is not null)
            throw SqlException.Plan($"cluster '{name}' already exists", x.Position());
        var reader = new OptionReader("CREATE CLUSTER", x.Options);
        var options = ClusterOptionsOf(context, reader);
        var managed = options.Managed ?? !reader.Has("REPLICAS");
        List<KeyValuePair<string, ReplicaOptions>> replicas = [];
        if (managed)
        {
            if (reader.Has("REPLICAS"))
                throw SqlException.Plan("REPLICAS not supported for managed clusters", x.Position());
            if (options.Size is null)
                throw SqlException.Plan("SIZE must be specified for managed clusters", x.Position());
        }
        else
        {
            foreach (var option in ManagedOptions)
            {
                if (reader.Has(option))
                    throw SqlException.Plan($"{option} not supported for unmanaged clusters", x.Position());
            }

            if (reader.Value("REPLICAS") is not Ast.OptionValue.Replicas definitions)
                throw SqlException.Plan("REPLICAS must be specified for unmanaged clusters", x.Position());
            foreach (var replica in definitions.Definitions)
            {
                if (replicas.Any(r => r.Key == replica.Name.Value))
                    throw SqlException.Plan($"cluster replica '{replica.Name.Value}' already exists", replica.Position());
                replicas.Add(KeyValuePair.Create(
                    replica.Name.Value, CheckedReplica(ReplicaOptionsOf(new OptionReader("REPLICAS", replica.Options)), replica.Position())));
            }
        }

        return new StatementPlan.CreateCluster(name, options with { Managed = managed }, replicas.ToValueArray());
    }

    private static StatementPlan PlanCreateReplica(StatementContext context, Ast.Statement.CreateClusterReplica x)
    {
        var cluster = context.Catalog.ResolveCluster(x.Name.Cluster.Value) ?? throw SqlException.Plan($"unknown cluster '{x.Name.Cluster.Value}'", x.Position());
        var options = ReplicaOptionsOf(new OptionReader("CREATE CLUSTER REPLICA", x.Options));
        if (cluster.IsManaged && !options.Internal)
            throw SqlException.Plan("cannot modify managed cluster " + cluster.Name, x.Position());
        if (cluster.Replicas.Any(r => r.Name == x.Name.Replica.Value))
            throw SqlException.Plan($"cluster replica '{x.Name.Replica.Value}' already exists", x.Position());
        return new StatementPlan.CreateClusterReplica(cluster.Id, x.Name.Replica.Value, CheckedReplica(options, x.Position()));
    }

    // ---- Roles -----------------------------------------------------------------------------------------------------------

    private static RoleAttributes RoleAttributesOf(IReadOnlyList<Ast.RoleAttribute> attributes)
    {
        var result = new RoleAttributes();
        HashSet<string> seen = [];
        foreach (var attribute in attributes)
        {
            var key = attribute is Ast.RoleAttribute.Flag f ? f.Kind.ToString() : "Password";
            if (!seen.Add(key))
                throw SqlException.Plan("conflicting or redundant options", attribute.Position());
            switch (attribute)
            {
                case Ast.RoleAttribute.Password x:
                    result = result with { Password = x.Value, ClearsPassword = x.Value is null };
                    break;
                case Ast.RoleAttribute.Flag { Kind: Ast.RoleFlag.Superuser } x:
                    result = result with { Superuser = x.Enabled };
                    break;
                case Ast.RoleAttribute.Flag { Kind: Ast.RoleFlag.Login } x:
                    result = result with { Login = x.Enabled };
                    break;
                case Ast.RoleAttribute.Flag { Kind: Ast.RoleFlag.Inherit } x:
                    if (!x.Enabled)
                        throw SqlException.Unsupported("non inherit roles", attribute.Position());
                    result = result with { Inherit = true };
                    break;
                case Ast.RoleAttribute.Flag x:
                    var name = x.Kind.ToString().ToUpperInvariant();
                    throw new SqlException(SqlState.FeatureNotSupported, $"{name} attribute is not supported")
                    {
                        Hint = $"Use system privileges instead: GRANT {name} ON SYSTEM.",
                        Position = attribute.Position(),
                    };
            }
        }

        return result;
    }

    private static StatementPlan PlanCreateRole(StatementContext context, Ast.Statement.CreateRole x)
    {
        CheckReserved(context, "role", x.Name.Value, x.Position());
        if (context.Catalog.ResolveRole(x.Name.Value) is not null)
            throw SqlException.Plan($"role '{x.Name.Value}' already exists", x.Position());
        return new StatementPlan.CreateRole(x.Name.Value, RoleAttributesOf(x.Attributes) with { Inherit = true });
    }

    private static ValueArray<NetworkPolicyRule> RulesOf(IReadOnlyList<Ast.SqlOption> options, int? position)
    {
        if (options.FirstOrDefault(o => o.Name == "RULES")?.Value is not Ast.OptionValue.NetworkRules rules)
            throw SqlException.Plan("RULES must be specified when creating network policies", position);
        if (rules.Rules.Count > 25)
            throw SqlException.Plan("RULES count exceeds max_rules_per_network_policy (25)", position);
        return rules.Rules.Select(r =>
        {
            var reader = new OptionReader("RULES", r.Options);
            var action = reader.Text("ACTION") ?? throw SqlException.Plan("ACTION must be specified when creating network policy rules", r.Position());
            var direction = reader.Text("DIRECTION") ?? throw SqlException.Plan("DIRECTION must be specified when creating network policy rules", r.Position());
            var address = reader.Text("ADDRESS") ?? throw SqlException.Plan("ADDRESS must be specified when creating network policy rules", r.Position());
            if (action.ToLowerInvariant() != "allow")
                throw SqlException.Plan($"invalid ACTION: must be \"allow\", not \"{action}\"", r.Position());
            if (direction.ToLowerInvariant() != "ingress")
                throw SqlException.Plan($"invalid DIRECTION: must be \"ingress\", not \"{direction}\"", r.Position());
            if (!System.Net.IPNetwork.TryParse(address, out _))
                throw SqlException.Plan($"invalid ADDRESS: \"{address}\" is not an address range", r.Position());
            return new NetworkPolicyRule(r.Name.Value, "allow", "ingress", address);
        }).ToValueArray();
    }

    private static StatementPlan PlanCreateNetworkPolicy(StatementContext context, Ast.Statement.CreateNetworkPolicy x)
    {
        if (context.Catalog.ResolveNetworkPolicy(x.Name.Value) is not null)
            throw SqlException.Plan($"network policy '{x.Name.Value}' already exists", x.Position());
        return new StatementPlan.CreateNetworkPolicy(x.Name.Value, RulesOf(x.Options, x.Position()));
    }

    // ---- COMMENT ---------------------------------------------------------------------------------------------------------

    private static StatementPlan PlanComment(StatementContext context, Ast.Statement.Comment x)
    {
        if (x.Text is not null && System.Text.Encoding.UTF8.GetByteCount(x.Text) > 1024)
            throw new SqlException(SqlState.ProgramLimitExceeded, "comment exceeds 1024 bytes") { Position = x.Position() };
        if (x.Target is Ast.CommentTarget.Column column)
        {
            var item = context.ResolveItem(column.Relation);
            var names = item.Desc?.Names ?? [];
            var at = names.AsSpan().IndexOf(column.Name.Value);
            if (at < 0)
                throw SqlException.Plan($"column \"{column.Relation}.{column.Name.Value}\" does not exist", column.Position());
            return new StatementPlan.Comment(new ObjectId.Item(item.Id), at, x.Text);
        }

        var target = (Ast.CommentTarget.Object)x.Target;
        if (target.Kind == Ast.ObjectKind.Function)
            throw SqlException.Unsupported("COMMENT ON FUNCTION", x.Position());
        var id = ResolveObject(context, target.Kind, target.Name) ?? throw UnknownObject(context, target.Kind, target.Name);
        return new StatementPlan.Comment(id, null, x.Text);
    }

    private static RoleId ResolveRole(StatementContext context, Ast.RoleName name) =>
        name.IsPublic
            ? RoleId.Public
            : context.Catalog.ResolveRole(name.Name!.Value)?.Id ?? throw SqlException.Plan($"unknown role '{name.Name!.Value}'", name.Position());
}
