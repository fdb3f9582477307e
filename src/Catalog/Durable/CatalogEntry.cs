using System.Text.Json;
using System.Text.Json.Serialization;

namespace Materialize.Catalog;

/// <summary>
/// One durable fact of the catalog, a row of the catalog shard. What can be derived (plans, column types, dependencies) is not
/// stored: items keep their normalised statement and are planned again at start.
/// </summary>
/// <remarks>Encoded as a version byte and JSON; a field may be added with a default, never renamed or given a new meaning.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Fence), "fence")]
[JsonDerivedType(typeof(IdAllocator), "id-allocator")]
[JsonDerivedType(typeof(Database), "database")]
[JsonDerivedType(typeof(Schema), "schema")]
[JsonDerivedType(typeof(Role), "role")]
[JsonDerivedType(typeof(Cluster), "cluster")]
[JsonDerivedType(typeof(Replica), "replica")]
[JsonDerivedType(typeof(Item), "item")]
[JsonDerivedType(typeof(BuiltinShard), "builtin-shard")]
[JsonDerivedType(typeof(Comment), "comment")]
[JsonDerivedType(typeof(SystemParameter), "system-parameter")]
public abstract record CatalogEntry
{
    private const byte FormatVersion = 1;

    private CatalogEntry()
    {
    }

    /// <summary>What identifies it: of two entries with one key the later replaces the earlier.</summary>
    [JsonIgnore]
    public abstract string Key { get; }

    /// <summary>Who may write the catalog: a process whose epoch is not this one's must stop.</summary>
    public sealed record Fence(ulong DeployGeneration, ulong Epoch) : CatalogEntry
    {
        public override string Key => "fence";
    }

    /// <summary>The next free number of a name space (<c>user-item</c>, <c>oid</c>…).</summary>
    public sealed record IdAllocator(string Space, ulong Next) : CatalogEntry
    {
        public override string Key => $"id/{Space}";
    }

    public sealed record Database(string Id, uint Oid, string Name, string Owner) : CatalogEntry
    {
        public override string Key => $"database/{Id}";
    }

    public sealed record Schema(string Id, uint Oid, string? DatabaseId, string Name, string Owner) : CatalogEntry
    {
        public override string Key => $"schema/{Id}";
    }

    public sealed record Role(string Id, uint Oid, string Name, bool IsSuperuser, bool CanLogin) : CatalogEntry
    {
        public override string Key => $"role/{Id}";
    }

    public sealed record Cluster(string Id, string Name, string Owner, bool IsManaged, string? Size, int ReplicationFactor) : CatalogEntry
    {
        public override string Key => $"cluster/{Id}";
    }

    public sealed record Replica(string Id, string ClusterId, string Name, string Size, string Owner) : CatalogEntry
    {
        public override string Key => $"replica/{Id}";
    }

    /// <param name="Shard">Where its rows are; null when it has none of its own.</param>
    /// <param name="AsOf">For a materialized view: the time from which its contents are computed.</param>
    /// <param name="Upstream">For what a source feeds: the upstream table, as found when it was made.</param>
    /// <param name="Slot">For a Postgres source: its replication slot.</param>
    public sealed record Item(
        string Id,
        uint Oid,
        string SchemaId,
        string Name,
        string Owner,
        string CreateSql,
        string? Shard = null,
        ulong? AsOf = null,
        UpstreamTable? Upstream = null,
        string? Slot = null) : CatalogEntry
    {
        public override string Key => $"item/{Id}";
    }

    public sealed record BuiltinShard(string Id, string Shard, string Fingerprint) : CatalogEntry
    {
        public override string Key => $"builtin/{Id}";
    }

    /// <param name="ObjectType">As in <c>mz_comments</c>.</param>
    /// <param name="Column">1-based; null for the object itself.</param>
    public sealed record Comment(string ObjectType, string ObjectId, int? Column, string Text) : CatalogEntry
    {
        public override string Key => $"comment/{ObjectType}/{ObjectId}/{Column}";
    }

    public sealed record SystemParameter(string Name, string Value) : CatalogEntry
    {
        public override string Key => $"parameter/{Name}";
    }

    public byte[] Encode()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(this, CatalogJson.Default.CatalogEntry);
        var row = new byte[json.Length + 1];
        row[0] = FormatVersion;
        json.CopyTo(row, 1);
        return row;
    }

    /// <exception cref="InvalidDataException">A format this version does not know.</exception>
    public static CatalogEntry Decode(ReadOnlySpan<byte> row)
    {
        if (row.Length == 0 || row[0] != FormatVersion)
            throw new InvalidDataException("the catalog was written by a version of environmentd that this one cannot read");
        return JsonSerializer.Deserialize(row[1..], CatalogJson.Default.CatalogEntry)
            ?? throw new InvalidDataException("an entry of the catalog is empty");
    }
}

/// <summary>Made at build time: reading a catalog at start then needs no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CatalogEntry))]
internal sealed partial class CatalogJson : JsonSerializerContext;

/// <summary>A table upstream, as it was when the item was made.</summary>
public sealed record UpstreamTable(string Schema, string Name, uint Oid, IReadOnlyList<UpstreamTableColumn> Columns);

/// <summary>A column upstream.</summary>
public sealed record UpstreamTableColumn(string Name, uint TypeOid, int TypeModifier, bool IsNullable);
