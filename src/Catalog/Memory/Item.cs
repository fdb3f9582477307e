using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>An item: its name, and what its statement means, planned against the items it depends on.</summary>
public sealed record Item
{
    public required GlobalId Id { get; init; }

    public required uint Oid { get; init; }

    public required SchemaId SchemaId { get; init; }

    public required string Name { get; init; }

    public required RoleId Owner { get; init; }

    /// <summary>Normalised; empty for built-in tables and types.</summary>
    public required string CreateSql { get; init; }

    public required ItemDefinition Definition { get; init; }

    /// <summary>Where its rows are; null when it has none of its own.</summary>
    public ShardId? Shard { get; init; }

    /// <summary>Items that its definition names, ascending.</summary>
    public ValueArray<GlobalId> DependsOn { get; init; } = [];

    /// <summary>For a materialized view: the time from which its contents are computed.</summary>
    public ulong? AsOf { get; init; }

    /// <summary>The columns of a relation.</summary>
    public RelationDesc? Desc => Definition switch
    {
        ItemDefinition.Table x => x.Desc,
        ItemDefinition.View x => x.Desc,
        ItemDefinition.MaterializedView x => x.Desc,
        ItemDefinition.Source x => x.Desc,
        ItemDefinition.SourceOutput x => x.Desc,
        ItemDefinition.Log x => x.Desc,
        _ => null,
    };

    /// <summary>Whether reads of it read its shard.</summary>
    public bool IsStored => Shard is not null && Definition is not ItemDefinition.Unplanned;

    public CatalogItemKind Kind => Definition switch
    {
        ItemDefinition.Table => CatalogItemKind.Table,
        ItemDefinition.SourceOutput x => x.IsTable ? CatalogItemKind.Table : CatalogItemKind.Source,
        ItemDefinition.View => CatalogItemKind.View,
        ItemDefinition.MaterializedView => CatalogItemKind.MaterializedView,
        ItemDefinition.Index => CatalogItemKind.Index,
        ItemDefinition.Source or ItemDefinition.Log => CatalogItemKind.Source,
        ItemDefinition.Connection => CatalogItemKind.Connection,
        ItemDefinition.Secret => CatalogItemKind.Secret,
        ItemDefinition.Unplanned x => x.Kind,
        _ => CatalogItemKind.Type,
    };
}

/// <summary>What an item is, by kind.</summary>
public abstract record ItemDefinition
{
    private ItemDefinition()
    {
    }

    /// <param name="Defaults">Per column the SQL of its DEFAULT, null if none.</param>
    /// <param name="WindowMs">RETAIN HISTORY; null: the default window.</param>
    public sealed record Table(RelationDesc Desc, ValueArray<string?> Defaults, ulong? WindowMs) : ItemDefinition;

    public sealed record View(QueryPlan Query) : ItemDefinition
    {
        /// <summary>With the column names of the definition, if it gives any.</summary>
        public required RelationDesc Desc { get; init; }
    }

    public sealed record MaterializedView(QueryPlan Query, ClusterId Cluster, ValueArray<int> NonNull, ulong? WindowMs) : ItemDefinition
    {
        public required RelationDesc Desc { get; init; }
    }

    public sealed record Index(GlobalId On, ValueArray<MirScalarExpr> Keys, ClusterId Cluster, ulong? WindowMs) : ItemDefinition;

    /// <summary>A source: what it reads, and where it runs. Its rows are its progress, unless it has outputs.</summary>
    /// <param name="Slot">For Postgres: the replication slot that is ours.</param>
    public sealed record Source(SourceConnector Connector, ClusterId Cluster, RelationDesc Desc, string? Slot, ulong TimestampIntervalMs) : ItemDefinition;

    /// <summary>One table of a source: a subsource, its progress, or CREATE TABLE … FROM SOURCE.</summary>
    /// <param name="Upstream">Null for progress.</param>
    public sealed record SourceOutput(GlobalId SourceId, RelationDesc Desc, bool IsTable, bool IsProgress, UpstreamTable? Upstream) : ItemDefinition;

    /// <summary>A log that each replica keeps of itself; its name says which.</summary>
    public sealed record Log(RelationDesc Desc) : ItemDefinition;

    public sealed record Connection(ConnectionDetails Details) : ItemDefinition;

    public sealed record Secret : ItemDefinition;

    public sealed record Type(SqlType SqlType) : ItemDefinition;

    /// <summary>What this version cannot plan: see <see cref="UnplannedItem"/>.</summary>
    /// <param name="Cluster">Of an index, materialized view or source.</param>
    /// <param name="Reason">The planner's message.</param>
    public sealed record Unplanned(CatalogItemKind Kind, ClusterId? Cluster, string Reason) : ItemDefinition;
}
