using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// What planning needs to know of the catalog and of the session, at one catalog revision. Implementations are immutable
/// snapshots: the same question has the same answer as long as the object lives, from any thread.
/// </summary>
public interface ISqlCatalog
{
    /// <summary>Who asks, from where.</summary>
    SessionContext Session { get; }

    /// <summary>
    /// The relation, connection, secret, sink or index of that name; null if there is none. Missing parts are completed from the
    /// search path (mz_temp, mz_catalog and pg_catalog first unless the path names them) and the session's database.
    /// </summary>
    CatalogItem? ResolveItem(PartialName name);

    /// <summary>The named type, likewise. Types live in a name space of their own.</summary>
    CatalogType? ResolveType(PartialName name);

    /// <summary>Null when no item, collection version or index has this id.</summary>
    CatalogItem? GetItem(GlobalId id);

    /// <summary>Null when there is none; the name is exact.</summary>
    CatalogDatabase? ResolveDatabase(string name);

    /// <summary>A schema by name in that database, or, with null, in the session's database and among the system schemas.</summary>
    CatalogSchema? ResolveSchema(string? database, string name);

    CatalogCluster? ResolveCluster(string name);

    CatalogRole? ResolveRole(string name);

    CatalogNetworkPolicy? ResolveNetworkPolicy(string name);

    /// <summary>The schema that unqualified new items go to: the first on the search path that exists; null when none does.</summary>
    CatalogSchema? CurrentSchema { get; }

    IEnumerable<CatalogItem> Items { get; }

    IEnumerable<CatalogSchema> Schemas { get; }

    IEnumerable<CatalogDatabase> Databases { get; }

    IEnumerable<CatalogCluster> Clusters { get; }

    IEnumerable<CatalogRole> Roles { get; }

    /// <summary>Whether a boolean system variable such as <c>enable_create_table_from_source</c> is on.</summary>
    bool IsEnabled(string flag);

    /// <summary>A session or system variable's value in text; null if there is no such variable.</summary>
    string? GetVariable(string name);
}

/// <summary>The session's part of name resolution and of functions that ask about it.</summary>
/// <param name="Database">The database variable; may name one that does not exist.</param>
/// <param name="SearchPath">The schemas to look in after the implied ones, in order.</param>
/// <param name="Role">The current role.</param>
/// <param name="Cluster">The cluster variable; may name one that does not exist.</param>
/// <param name="Now">The statement's wall clock, for AS OF and defaults that are constant.</param>
public sealed record SessionContext(
    string Database,
    IReadOnlyList<string> SearchPath,
    RoleId Role,
    string RoleName,
    string Cluster,
    DateTimeOffset Now)
{
    /// <summary>Whether built-in and internal syntax is allowed: set while the catalog re-plans its own create SQL.</summary>
    public bool IsSystem { get; init; }

    /// <summary>Whether a transaction block is open that refers to nothing outside its timedomain; the adapter checks, planning only passes on.</summary>
    public bool InTransactionBlock { get; init; }
}

/// <summary>What an item is.</summary>
public enum CatalogItemKind
{
    Table,
    Source,
    Sink,
    View,
    MaterializedView,
    Index,
    Connection,
    Secret,
    Type,
    Func,
}

/// <summary>An item that statements may name.</summary>
public sealed record CatalogItem
{
    public required GlobalId Id { get; init; }

    public required FullName Name { get; init; }

    public required CatalogItemKind Kind { get; init; }

    public required SchemaId SchemaId { get; init; }

    /// <summary>What <c>'name'::regclass</c> gives.</summary>
    public uint Oid { get; init; }

    public required RoleId Owner { get; init; }

    /// <summary>The columns of a relation; null for what has no rows to read (indexes, connections, secrets, sinks).</summary>
    public RelationDesc? Desc { get; init; }

    /// <summary>The normalised statement that makes the item; empty for built-in ones without.</summary>
    public string CreateSql { get; init; } = "";

    /// <summary>Items its definition names.</summary>
    public IReadOnlyList<GlobalId> DependsOn { get; init; } = [];

    /// <summary>Items whose definitions name it.</summary>
    public IReadOnlyList<GlobalId> UsedBy { get; init; } = [];

    /// <summary>The cluster of an index, materialized view, source or sink.</summary>
    public ClusterId? Cluster { get; init; }

    /// <summary>Whether it disappears with its session.</summary>
    public bool IsTemporary { get; init; }

    /// <summary>For tables: per column the SQL of its DEFAULT, null if none.</summary>
    public IReadOnlyList<string?> ColumnDefaults { get; init; } = [];

    /// <summary>For tables: whether INSERT may write it (user tables not fed by a source).</summary>
    public bool IsWritable { get; init; }

    /// <summary>For a source's subsources and tables: the source; for indexes: the relation indexed.</summary>
    public GlobalId? ParentId { get; init; }

    /// <summary>For indexes: key expressions over the relation's columns.</summary>
    public IReadOnlyList<Materialize.Expr.MirScalarExpr> IndexKeys { get; init; } = [];

    /// <summary>For connections and sources the connector: <c>postgres</c>, <c>kafka</c>, <c>load-generator</c>, <c>progress</c>, <c>subsource</c>…</summary>
    public string? ConnectorType { get; init; }

    /// <summary>Why this version cannot plan it, though the catalog holds it; null for all others.</summary>
    public string? Unplanned { get; init; }

    public bool IsSystem => Id.IsSystem;

    /// <summary>Whether it can stand in FROM.</summary>
    public bool IsRelation => Kind is CatalogItemKind.Table or CatalogItemKind.Source or CatalogItemKind.View or CatalogItemKind.MaterializedView;
}

/// <summary>A named type: built-in, or a user's with its <see cref="SqlType.CustomId"/> set.</summary>
public sealed record CatalogType(GlobalId Id, FullName Name, SqlType Type)
{
    /// <summary>What <c>'name'::regtype</c> gives.</summary>
    public uint Oid { get; init; }
}

public sealed record CatalogDatabase(DatabaseId Id, string Name, RoleId Owner);

/// <param name="Database">Null for system schemas.</param>
public sealed record CatalogSchema(SchemaId Id, DatabaseId? DatabaseId, string? Database, string Name, RoleId Owner)
{
    public bool IsSystem => DatabaseId is null;
}

public sealed record CatalogCluster(ClusterId Id, string Name, RoleId Owner)
{
    public bool IsManaged { get; init; } = true;

    public string? Size { get; init; }

    public int ReplicationFactor { get; init; } = 1;

    public bool IntrospectionDebugging { get; init; }

    /// <summary>Null: off.</summary>
    public TimeSpan? IntrospectionInterval { get; init; } = TimeSpan.FromSeconds(1);

    public IReadOnlyList<CatalogReplica> Replicas { get; init; } = [];

    public bool IsSystem => Id.Value.StartsWith('s');
}

public sealed record CatalogReplica(ReplicaId Id, string Name, string? Size, RoleId Owner);

public sealed record CatalogRole(RoleId Id, string Name)
{
    public bool IsSystem => !Id.Value.StartsWith('u');
}

public sealed record CatalogNetworkPolicy(NetworkPolicyId Id, string Name, RoleId Owner);
