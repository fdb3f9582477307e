namespace Materialize.Sql.Parser.Ast;

/// <summary>A SHOW. All but <see cref="Variable"/> and <see cref="AllVariables"/> may also stand where a query may.</summary>
public abstract record ShowStatement : AstNode
{
    private ShowStatement() { }   // closed

    /// <summary>
    /// SHOW kind [FROM schema or database] [ON object] [IN CLUSTER c] [LIKE | WHERE]. <see cref="From"/> names a schema, for SCHEMAS a database;
    /// <see cref="On"/> a source (TABLES, SUBSOURCES) or relation (INDEXES).
    /// </summary>
    public sealed record Objects(ShowKind Kind, ObjectName? From, ObjectName? On, ClusterName? InCluster, ShowFilter? Filter) : ShowStatement;

    /// <summary>SHOW COLUMNS FROM rel.</summary>
    public sealed record Columns(ObjectName Relation, ShowFilter? Filter) : ShowStatement;

    /// <summary>SHOW PRIVILEGES [ON kinds] [FOR role].</summary>
    public sealed record Privileges(GrantObjectKind? On, bool OnSystem, RoleName? For, ShowFilter? Filter) : ShowStatement;

    /// <summary>SHOW DEFAULT PRIVILEGES [ON kinds] [FOR role].</summary>
    public sealed record DefaultPrivileges(GrantObjectKind? On, RoleName? For, ShowFilter? Filter) : ShowStatement;

    /// <summary>SHOW ROLE MEMBERSHIP [FOR role].</summary>
    public sealed record RoleMembership(RoleName? For, ShowFilter? Filter) : ShowStatement;

    /// <summary>SHOW [REDACTED] CREATE kind name.</summary>
    public sealed record Create(ObjectKind Kind, ObjectName Name, bool Redacted) : ShowStatement;

    /// <summary>SHOW variable. TIME ZONE arrives as <c>timezone</c>, TRANSACTION ISOLATION LEVEL as <c>transaction_isolation</c>.</summary>
    public sealed record Variable(Ident Name) : ShowStatement;

    /// <summary>SHOW ALL.</summary>
    public sealed record AllVariables : ShowStatement;
}

/// <summary>The lists one can SHOW.</summary>
public enum ShowKind
{
    Databases, Schemas, Objects, Tables, Views, MaterializedViews, Sources, Subsources, Sinks, Connections, Secrets, Types, Roles,
    Indexes, Clusters, ClusterReplicas, NetworkPolicies, ContinualTasks,
}

/// <summary>LIKE 'p' or WHERE e.</summary>
public abstract record ShowFilter : AstNode
{
    private ShowFilter() { }   // closed

    /// <summary>LIKE 'p'.</summary>
    public sealed record Like(string Pattern) : ShowFilter;

    /// <summary>WHERE e.</summary>
    public sealed record Where(Expr Condition) : ShowFilter;
}
