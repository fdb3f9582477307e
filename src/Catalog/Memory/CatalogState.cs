using System.Collections.Immutable;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>
/// Everything the catalog holds, at one revision. Immutable: a session plans against the state it has, whatever happens meanwhile;
/// a new state shares what did not change.
/// </summary>
public sealed record CatalogState
{
    public static readonly CatalogState Empty = new();

    /// <summary>Grows with each change; plans are cached by it.</summary>
    public ulong Revision { get; init; }

    public ImmutableDictionary<DatabaseId, DatabaseEntry> Databases { get; init; } = ImmutableDictionary<DatabaseId, DatabaseEntry>.Empty;

    public ImmutableDictionary<SchemaId, SchemaEntry> Schemas { get; init; } = ImmutableDictionary<SchemaId, SchemaEntry>.Empty;

    public ImmutableDictionary<RoleId, RoleEntry> Roles { get; init; } = ImmutableDictionary<RoleId, RoleEntry>.Empty;

    public ImmutableDictionary<ClusterId, ClusterEntry> Clusters { get; init; } = ImmutableDictionary<ClusterId, ClusterEntry>.Empty;

    public ImmutableDictionary<GlobalId, Item> Items { get; init; } = ImmutableDictionary<GlobalId, Item>.Empty;

    public ImmutableDictionary<(SchemaId Schema, string Name), GlobalId> ItemsByName { get; init; } =
        ImmutableDictionary<(SchemaId, string), GlobalId>.Empty;

    /// <summary>Types have a name space of their own.</summary>
    public ImmutableDictionary<(SchemaId Schema, string Name), CatalogType> TypesByName { get; init; } =
        ImmutableDictionary<(SchemaId, string), CatalogType>.Empty;

    /// <summary>For each item, those whose definitions name it.</summary>
    public ImmutableDictionary<GlobalId, ImmutableSortedSet<GlobalId>> UsedBy { get; init; } =
        ImmutableDictionary<GlobalId, ImmutableSortedSet<GlobalId>>.Empty;

    public ImmutableDictionary<string, CatalogEntry.Comment> Comments { get; init; } = ImmutableDictionary<string, CatalogEntry.Comment>.Empty;

    public ImmutableDictionary<string, string> SystemParameters { get; init; } = ImmutableDictionary<string, string>.Empty;

    public FullName NameOf(Item item)
    {
        var schema = Schemas[item.SchemaId];
        return new FullName(schema.Database is { } database ? Databases[database].Name : null, schema.Name, item.Name);
    }

    /// <summary>Indexes on a relation, in id order.</summary>
    public IEnumerable<Item> IndexesOn(GlobalId relation) =>
        UsedBy.GetValueOrDefault(relation, [])
            .Select(id => Items[id])
            .Where(item => item.Definition is ItemDefinition.Index index && index.On == relation);

    /// <summary>Whether any of these is a log of replicas, or a view over one.</summary>
    public bool ReadsLogs(IEnumerable<GlobalId> ids)
    {
        var seen = new HashSet<GlobalId>();
        return ids.Any(Reads);

        bool Reads(GlobalId id) =>
            seen.Add(id) && Items.TryGetValue(id, out var item) && (item.Definition is ItemDefinition.Log || item.DependsOn.Any(Reads));
    }

    /// <summary>With <paramref name="item"/> added, or in the place of the one with its id.</summary>
    public CatalogState With(Item item)
    {
        var state = Items.ContainsKey(item.Id) ? Without(item.Id) : this;
        var usedBy = state.UsedBy;
        foreach (var input in item.DependsOn)
            usedBy = usedBy.SetItem(input, usedBy.GetValueOrDefault(input, []).Add(item.Id));
        var byName = item.Kind == CatalogItemKind.Type ? state.ItemsByName : state.ItemsByName.SetItem((item.SchemaId, item.Name), item.Id);
        var types = item.Definition is ItemDefinition.Type type
            ? state.TypesByName.SetItem((item.SchemaId, item.Name), new CatalogType(item.Id, NameOf(item), type.SqlType))
            : state.TypesByName;
        return state with { Items = state.Items.SetItem(item.Id, item), ItemsByName = byName, TypesByName = types, UsedBy = usedBy };
    }

    public CatalogState Without(GlobalId id)
    {
        var item = Items[id];
        var usedBy = UsedBy;
        foreach (var input in item.DependsOn)
        {
            if (usedBy.TryGetValue(input, out var users))
                usedBy = users.Count == 1 ? usedBy.Remove(input) : usedBy.SetItem(input, users.Remove(id));
        }

        var isType = item.Kind == CatalogItemKind.Type;
        return this with
        {
            Items = Items.Remove(id),
            ItemsByName = isType ? ItemsByName : ItemsByName.Remove((item.SchemaId, item.Name)),
            TypesByName = isType ? TypesByName.Remove((item.SchemaId, item.Name)) : TypesByName,
            UsedBy = usedBy,
        };
    }
}

/// <summary>A database.</summary>
public sealed record DatabaseEntry(DatabaseId Id, uint Oid, string Name, RoleId Owner);

/// <param name="Database">Null for system schemas.</param>
public sealed record SchemaEntry(SchemaId Id, uint Oid, DatabaseId? Database, string Name, RoleId Owner);

/// <summary>A role.</summary>
public sealed record RoleEntry(RoleId Id, uint Oid, string Name, bool IsSuperuser, bool CanLogin);

/// <summary>A cluster and its replicas.</summary>
public sealed record ClusterEntry(ClusterId Id, string Name, RoleId Owner, bool IsManaged, string? Size, int ReplicationFactor)
{
    public ImmutableList<ReplicaEntry> Replicas { get; init; } = [];
}

/// <summary>A replica; <paramref name="Size"/> names how many processes and workers it has.</summary>
public sealed record ReplicaEntry(ReplicaId Id, string Name, string Size, RoleId Owner);
