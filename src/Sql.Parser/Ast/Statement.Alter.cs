namespace Materialize.Sql.Parser.Ast;

public abstract partial record Statement
{
    /// <summary>ALTER kind name RENAME TO new, for items, clusters, replicas (name cluster.replica), schemas, databases.</summary>
    public sealed record AlterRename(ObjectKind Kind, bool IfExists, ObjectName Name, Ident To) : Statement;

    /// <summary>ALTER {SCHEMA|CLUSTER} a SWAP WITH b.</summary>
    public sealed record AlterSwap(ObjectKind Kind, ObjectName Name, Ident With) : Statement;

    /// <summary>ALTER kind name OWNER TO role.</summary>
    public sealed record AlterOwner(ObjectKind Kind, bool IfExists, ObjectName Name, RoleName Owner) : Statement;

    /// <summary>ALTER kind name SET (options); RETAIN HISTORY, TIMESTAMP INTERVAL, SNAPSHOT….</summary>
    public sealed record AlterSetOptions(ObjectKind Kind, bool IfExists, ObjectName Name, AstList<SqlOption> Options) : Statement;

    /// <summary>ALTER kind name RESET (option names).</summary>
    public sealed record AlterResetOptions(ObjectKind Kind, bool IfExists, ObjectName Name, AstList<string> Options) : Statement;

    /// <summary>ALTER {MATERIALIZED VIEW|SOURCE|SINK|…} name SET CLUSTER c.</summary>
    public sealed record AlterSetCluster(ObjectKind Kind, bool IfExists, ObjectName Name, ClusterName Cluster) : Statement;

    /// <summary>ALTER TABLE t ADD COLUMN.</summary>
    public sealed record AlterTableAddColumn(bool IfExists, ObjectName Table, bool IfColumnNotExists, Ident Column, DataType Type) : Statement;

    /// <summary>ALTER MATERIALIZED VIEW n APPLY REPLACEMENT r.</summary>
    public sealed record AlterApplyReplacement(bool IfExists, ObjectName Name, ObjectName Replacement) : Statement;

    /// <summary>ALTER SOURCE s ADD {SUBSOURCE|TABLE} …. Options: TEXT COLUMNS, EXCLUDE COLUMNS, DETAILS.</summary>
    public sealed record AlterSourceAddSubsource(
        bool IfExists, ObjectName Source, AstList<ExternalReference> References, AstList<SqlOption> Options) : Statement;

    /// <summary>ALTER SOURCE s DROP {SUBSOURCE|TABLE} n, …: parsed to be refused with a hint.</summary>
    public sealed record AlterSourceDropSubsource(bool IfExists, ObjectName Source, AstList<ObjectName> Subsources, bool Cascade) : Statement;

    /// <summary>ALTER SOURCE s REFRESH REFERENCES.</summary>
    public sealed record AlterSourceRefreshReferences(bool IfExists, ObjectName Source) : Statement;

    /// <summary>ALTER SINK s SET FROM rel.</summary>
    public sealed record AlterSinkSetFrom(bool IfExists, ObjectName Sink, ObjectName From) : Statement;

    /// <summary>ALTER CONNECTION c action, … [WITH (VALIDATE = b)].</summary>
    public sealed record AlterConnection(
        bool IfExists, ObjectName Name, AstList<ConnectionAction> Actions, AstList<SqlOption> WithOptions) : Statement;

    /// <summary>ALTER SECRET s AS e.</summary>
    public sealed record AlterSecret(bool IfExists, ObjectName Name, Expr Value) : Statement;

    /// <summary>ALTER CLUSTER c SET (…) [WITH ( WAIT … )].</summary>
    public sealed record AlterClusterSet(bool IfExists, Ident Name, AstList<SqlOption> Options, AstList<SqlOption> WithOptions) : Statement;

    /// <summary>ALTER CLUSTER c RESET (…).</summary>
    public sealed record AlterClusterReset(bool IfExists, Ident Name, AstList<string> Options) : Statement;

    /// <summary>ALTER ROLE r [WITH] attributes.</summary>
    public sealed record AlterRoleAttributes(Ident Name, AstList<RoleAttribute> Attributes) : Statement;

    /// <summary>ALTER ROLE r {SET var = v | RESET var}; reset when <see cref="Value"/> is null.</summary>
    public sealed record AlterRoleVariable(Ident Name, Ident Variable, SetValue? Value) : Statement;

    /// <summary>ALTER NETWORK POLICY p SET (RULES …).</summary>
    public sealed record AlterNetworkPolicy(Ident Name, AstList<SqlOption> Options) : Statement;

    /// <summary>ALTER SYSTEM SET v = x.</summary>
    public sealed record AlterSystemSet(Ident Name, SetValue Value) : Statement;

    /// <summary>ALTER SYSTEM RESET v.</summary>
    public sealed record AlterSystemReset(Ident Name) : Statement;

    /// <summary>ALTER SYSTEM RESET ALL.</summary>
    public sealed record AlterSystemResetAll : Statement;

    /// <summary>ALTER DEFAULT PRIVILEGES; the target is a kind of objects (Tables, …).</summary>
    public sealed record AlterDefaultPrivileges(
        AstList<RoleName>? TargetRoles, GrantScope Scope, bool Revoke, Privileges Privileges, GrantObjectKind Kind,
        AstList<RoleName> Grantees) : Statement;

    /// <summary>DROP kind name, …; <see cref="Cascade"/> null = not written.</summary>
    public sealed record DropObjects(ObjectKind Kind, bool IfExists, AstList<ObjectName> Names, bool? Cascade) : Statement;

    /// <summary>DROP OWNED BY.</summary>
    public sealed record DropOwned(AstList<RoleName> Roles, bool? Cascade) : Statement;

    /// <summary>REASSIGN OWNED BY … TO.</summary>
    public sealed record ReassignOwned(AstList<RoleName> From, RoleName To) : Statement;

    /// <summary>GRANT role, … TO role, ….</summary>
    public sealed record GrantRole(AstList<RoleName> Roles, AstList<RoleName> Members) : Statement;

    /// <summary>REVOKE role, … FROM role, ….</summary>
    public sealed record RevokeRole(AstList<RoleName> Roles, AstList<RoleName> Members) : Statement;

    /// <summary>GRANT privileges ON target TO role, ….</summary>
    public sealed record GrantPrivileges(Privileges Privileges, GrantTarget Target, AstList<RoleName> Roles) : Statement;

    /// <summary>REVOKE privileges ON target FROM role, ….</summary>
    public sealed record RevokePrivileges(Privileges Privileges, GrantTarget Target, AstList<RoleName> Roles) : Statement;
}

/// <summary>A role: a name, or PUBLIC (then <see cref="Name"/> is null).</summary>
public sealed record RoleName(Ident? Name) : AstNode
{
    /// <summary>PUBLIC.</summary>
    public bool IsPublic => Name is null;
}

/// <summary>ALL [PRIVILEGES] (<see cref="Items"/> empty) or a list.</summary>
public sealed record Privileges(bool All, AstList<Privilege> Items) : AstNode;

/// <summary>The privileges.</summary>
public enum Privilege { Select, Insert, Update, Delete, Usage, Create, CreateRole, CreateDb, CreateCluster, CreateNetworkPolicy }

/// <summary>What GRANT and REVOKE grant on.</summary>
public abstract record GrantTarget : AstNode
{
    private GrantTarget() { }   // closed

    /// <summary>ON SYSTEM.</summary>
    public sealed record System : GrantTarget;

    /// <summary>ON kind name, …; Table when no kind is written. Kinds that cannot be granted on (VIEW…) pass too: the planner answers with a hint.</summary>
    public sealed record Objects(ObjectKind Kind, AstList<ObjectName> Names) : GrantTarget;

    /// <summary>ON ALL kinds [IN …].</summary>
    public sealed record All(GrantObjectKind Kind, GrantScope Scope) : GrantTarget;
}

/// <summary>Plural kinds of GRANT … ON ALL and of default privileges.</summary>
public enum GrantObjectKind { Tables, Types, Secrets, Connections, Clusters, Databases, Schemas, Views, MaterializedViews, Sources, Sinks, Indexes, NetworkPolicies }

/// <summary>Where ON ALL looks.</summary>
public abstract record GrantScope : AstNode
{
    private GrantScope() { }   // closed

    /// <summary>Everywhere.</summary>
    public sealed record Anywhere : GrantScope;

    /// <summary>IN DATABASE d, ….</summary>
    public sealed record Databases(AstList<Ident> Names) : GrantScope;

    /// <summary>IN SCHEMA s, ….</summary>
    public sealed record Schemas(AstList<ObjectName> Names) : GrantScope;
}

/// <summary>An action of ALTER CONNECTION.</summary>
public abstract record ConnectionAction : AstNode
{
    private ConnectionAction() { }   // closed

    /// <summary>ROTATE KEYS.</summary>
    public sealed record RotateKeys : ConnectionAction;

    /// <summary>SET (option).</summary>
    public sealed record Set(SqlOption Option) : ConnectionAction;

    /// <summary>DROP (option) or RESET (option): the same thing.</summary>
    public sealed record Drop(string Option) : ConnectionAction;
}
