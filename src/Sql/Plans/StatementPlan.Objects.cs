using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public abstract partial record StatementPlan
{
    // ---- Namespaces, clusters, roles ---------------------------------------------------------------------------------

    /// <summary>Also makes its schema public.</summary>
    public sealed record CreateDatabase(string Name, bool IfNotExists) : StatementPlan;

    public sealed record CreateSchema(DatabaseId DatabaseId, string Database, string Name, bool IfNotExists) : StatementPlan;

    public sealed record CreateCluster(string Name, ClusterOptions Options, ValueArray<KeyValuePair<string, ReplicaOptions>> Replicas) : StatementPlan;

    public sealed record CreateClusterReplica(ClusterId Cluster, string Name, ReplicaOptions Options) : StatementPlan;

    public sealed record CreateRole(string Name, RoleAttributes Attributes) : StatementPlan;

    public sealed record CreateNetworkPolicy(string Name, ValueArray<NetworkPolicyRule> Rules) : StatementPlan;

    // ---- DROP --------------------------------------------------------------------------------------------------------

    /// <summary>Everything that goes, dependents before what they depend on.</summary>
    /// <param name="Kind">What the statement names, in capitals as in the command tag: <c>TABLE</c>, <c>MATERIALIZED VIEW</c>, <c>CLUSTER REPLICA</c>.</param>
    /// <param name="Named">What was named.</param>
    /// <param name="All">The same with all that falls with it.</param>
    public sealed record DropObjects(string Kind, ValueArray<ObjectId> Named, ValueArray<ObjectId> All) : StatementPlan;

    /// <summary>DROP OWNED: the objects, and whose privileges go.</summary>
    public sealed record DropOwned(ValueArray<RoleId> Roles, ValueArray<ObjectId> All) : StatementPlan;

    // ---- ALTER -------------------------------------------------------------------------------------------------------

    /// <summary>IF EXISTS, and it does not: a notice and the tag.</summary>
    /// <param name="Kind">As in the tag.</param>
    public sealed record AlterNoop(string Kind) : StatementPlan;

    public sealed record AlterRename(ObjectId Id, string Kind, string NewName) : StatementPlan;

    public sealed record AlterSwap(ObjectId First, ObjectId Second, string Kind) : StatementPlan;

    public sealed record AlterOwner(ObjectId Id, string Kind, RoleId NewOwner) : StatementPlan;

    /// <param name="CreateSql">The secret's statement stays the same.</param>
    public sealed record AlterSecret(GlobalId Id, ValueArray<byte> Value) : StatementPlan;

    /// <summary>The connection after the change.</summary>
    public sealed record AlterConnection(GlobalId Id, ConnectionDetails Details, string CreateSql, bool Validate) : StatementPlan;

    public sealed record AlterConnectionRotateKeys(GlobalId Id) : StatementPlan;

    /// <summary>SET and RESET of options; null for RESET.</summary>
    public sealed record AlterCluster(ClusterId Id, ClusterOptions Set, ValueArray<string> Reset, AlterClusterWait Wait) : StatementPlan;

    public sealed record AlterRole(RoleId Id, RoleAttributes Attributes) : StatementPlan;

    /// <param name="Values">Null: RESET or DEFAULT.</param>
    public sealed record AlterRoleVariable(RoleId Id, string Variable, ValueArray<string>? Values) : StatementPlan;

    public sealed record AlterNetworkPolicy(NetworkPolicyId Id, ValueArray<NetworkPolicyRule> Rules) : StatementPlan;

    public sealed record AlterSystemSet(string Name, ValueArray<string> Values) : StatementPlan;

    /// <param name="Name">Null: ALL.</param>
    public sealed record AlterSystemReset(string? Name) : StatementPlan;

    /// <param name="Value">Null: RESET.</param>
    public sealed record AlterRetainHistory(GlobalId Id, string Kind, TimeSpan? Value) : StatementPlan;

    public sealed record AlterSourceTimestampInterval(GlobalId Id, TimeSpan? Value) : StatementPlan;

    public sealed record AlterTableAddColumn(GlobalId Id, string Column, ColumnType Type, bool IfNotExists) : StatementPlan;

    public sealed record AlterSetCluster(GlobalId Id, string Kind, ClusterId Cluster) : StatementPlan;

    public sealed record AlterMaterializedViewApplyReplacement(GlobalId Id, GlobalId Replacement) : StatementPlan;

    public sealed record AlterSourceAddTables(GlobalId Id, SourceExports.Tables Tables, ValueArray<string> TextColumns, ValueArray<string> ExcludeColumns) : StatementPlan;

    public sealed record AlterSourceRefreshReferences(GlobalId Id) : StatementPlan;

    public sealed record AlterSinkSetFrom(GlobalId Id, GlobalId From) : StatementPlan;

    // ---- Privileges --------------------------------------------------------------------------------------------------

    public sealed record GrantRole(ValueArray<RoleId> Roles, ValueArray<RoleId> Members) : StatementPlan;

    public sealed record RevokeRole(ValueArray<RoleId> Roles, ValueArray<RoleId> Members) : StatementPlan;

    /// <param name="IsGrant">Else revoke.</param>
    public sealed record AlterPrivileges(bool IsGrant, ValueArray<ObjectPrivileges> Objects, ValueArray<RoleId> Grantees) : StatementPlan;

    public sealed record AlterDefaultPrivileges(bool IsGrant, ValueArray<DefaultPrivilegeTarget> Targets, ValueArray<string> Privileges, ValueArray<RoleId> Grantees) : StatementPlan;

    public sealed record ReassignOwned(ValueArray<RoleId> OldRoles, RoleId NewRole, ValueArray<ObjectId> Objects) : StatementPlan;

    /// <param name="Column">From 0, for COMMENT ON COLUMN.</param>
    /// <param name="Comment">Null removes it.</param>
    public sealed record Comment(ObjectId Id, int? Column, string? Text) : StatementPlan;
}

/// <summary>Anything that can be dropped, owned, renamed, granted on or commented.</summary>
public abstract record ObjectId
{
    private ObjectId()
    {
    }

    public sealed record Item(GlobalId Id) : ObjectId;

    public sealed record Database(DatabaseId Id) : ObjectId;

    public sealed record Schema(SchemaId Id) : ObjectId;

    public sealed record Cluster(ClusterId Id) : ObjectId;

    public sealed record Replica(ClusterId ClusterId, ReplicaId Id) : ObjectId;

    public sealed record Role(RoleId Id) : ObjectId;

    public sealed record NetworkPolicy(NetworkPolicyId Id) : ObjectId;

    /// <summary>The whole system, for GRANT … ON SYSTEM.</summary>
    public sealed record System : ObjectId;
}

/// <summary>Null: not said.</summary>
public sealed record ClusterOptions
{
    public bool? Managed { get; init; }

    public string? Size { get; init; }

    public uint? ReplicationFactor { get; init; }

    public ulong? IntrospectionIntervalMs { get; init; }

    public bool? IntrospectionDebugging { get; init; }

    public ValueArray<string> AvailabilityZones { get; init; } = [];

    public string? WorkloadClass { get; init; }

    /// <summary>SCHEDULE = ON REFRESH.</summary>
    public bool? OnRefresh { get; init; }

    public TimeSpan? HydrationTimeEstimate { get; init; }
}

/// <summary>Null: not said.</summary>
public sealed record ReplicaOptions
{
    public string? Size { get; init; }

    public string? AvailabilityZone { get; init; }

    public string? BilledAs { get; init; }

    public bool Internal { get; init; }

    public ulong? IntrospectionIntervalMs { get; init; }

    public bool? IntrospectionDebugging { get; init; }

    /// <summary>Unorchestrated replicas: where its processes listen.</summary>
    public ValueArray<string> StoragectlAddresses { get; init; } = [];

    public ValueArray<string> ComputectlAddresses { get; init; } = [];

    public int? Workers { get; init; }
}

public sealed record RoleAttributes
{
    public bool? Superuser { get; init; }

    public bool? Login { get; init; }

    public bool? Inherit { get; init; }

    /// <summary>The new password; see <see cref="ClearsPassword"/> for PASSWORD NULL.</summary>
    public string? Password { get; init; }

    public bool ClearsPassword { get; init; }
}

public sealed record NetworkPolicyRule(string Name, string Action, string Direction, string Address);

/// <summary>WITH ( WAIT … ).</summary>
public abstract record AlterClusterWait
{
    private AlterClusterWait()
    {
    }

    public sealed record None : AlterClusterWait;

    public sealed record For(TimeSpan Duration) : AlterClusterWait;

    public sealed record UntilReady(TimeSpan Timeout, bool CommitOnTimeout) : AlterClusterWait;
}

/// <param name="Privileges">Capitals: <c>SELECT</c>, <c>USAGE</c>, <c>CREATEDB</c>.</param>
public sealed record ObjectPrivileges(ObjectId Object, ValueArray<string> Privileges);

/// <param name="Role">Whose future objects; null: all roles.</param>
/// <param name="ObjectType">table, type, secret, connection, cluster, database, schema.</param>
public sealed record DefaultPrivilegeTarget(RoleId? Role, DatabaseId? Database, SchemaId? Schema, string ObjectType);
