using Materialize.Core;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>What every environment has: system schemas and types in memory, the first database, roles and clusters durably.</summary>
/// <remarks>Names and ids: reference, system-catalog §1–§2.</remarks>
internal static class Bootstrap
{
    private static readonly Lazy<CatalogState> s_systemState = new(MakeSystemState);

    /// <summary>
    /// System schemas, built-in types, tables (their shards aside) and views: the same in every environment, so never stored. The
    /// first to ask plans the views, which is most of the work of a start.
    /// </summary>
    /// <exception cref="InvariantViolationException">A built-in view does not plan.</exception>
    public static CatalogState SystemState => s_systemState.Value;

    /// <summary>The first entries of a new environment.</summary>
    public static IReadOnlyList<CatalogEntry> Entries(string replicaSize) =>
    [
        new CatalogEntry.Database("u1", 20_000, "materialize", "s1"),
        new CatalogEntry.Schema("u3", 20_001, "u1", "public", "s1"),
        new CatalogEntry.Role("s1", 20_002, "mz_system", IsSuperuser: true, CanLogin: true),
        new CatalogEntry.Role("s2", 20_003, "mz_support", IsSuperuser: false, CanLogin: true),
        new CatalogEntry.Role("u1", 20_004, "materialize", IsSuperuser: true, CanLogin: true),
        new CatalogEntry.Cluster("s2", "mz_catalog_server", "s1", IsManaged: true, replicaSize, 1),
        new CatalogEntry.Replica("s2", "s2", "r1", replicaSize, "s1"),
        new CatalogEntry.Cluster("u1", "quickstart", "s1", IsManaged: true, replicaSize, 1),
        new CatalogEntry.Replica("u1", "u1", "r1", replicaSize, "s1"),
        new CatalogEntry.IdAllocator("database", 2),
        new CatalogEntry.IdAllocator("schema", 4),
        new CatalogEntry.IdAllocator("role", 2),
        new CatalogEntry.IdAllocator("cluster", 2),
        new CatalogEntry.IdAllocator("replica", 2),
        new CatalogEntry.IdAllocator("oid", 20_100),
        .. Builtins.Tables.Select(t => new CatalogEntry.BuiltinShard(t.Id.ToString(), ShardId.New().ToString(), Fingerprint(t.Desc))),
    ];

    /// <summary>A built-in table as it is in one environment.</summary>
    public static Item TableItem(CatalogState state, Builtin.Table table, IReadOnlyDictionary<string, CatalogEntry> entries)
    {
        Invariant.Check(
            entries.TryGetValue($"builtin/{table.Id}", out var entry) && ((CatalogEntry.BuiltinShard)entry).Fingerprint == Fingerprint(table.Desc),
            $"the environment was made by a version with another {table.Schema}.{table.Name}: upgrading it is not supported yet");
        return state.Items[table.Id] with { Shard = ShardId.Parse(((CatalogEntry.BuiltinShard)entry).Shard) };
    }

    private static Item TableItem(CatalogState state, Builtin.Table table) =>
        SystemItem(state, table, new ItemDefinition.Table(table.Desc, [], null));

    private static Item SystemItem(CatalogState state, Builtin builtin, ItemDefinition definition) => new()
    {
        Id = builtin.Id,
        Oid = builtin.Oid,
        SchemaId = state.Schemas.Values.Single(s => s.Database is null && s.Name == builtin.Schema).Id,
        Name = builtin.Name,
        Owner = new RoleId("s1"),
        CreateSql = "",
        Definition = definition,
    };

    private static string Fingerprint(RelationDesc desc) =>
        string.Join(',', desc.Names.Zip(desc.Type.Columns, (name, column) => $"{name}:{column.Type.Kind}{(column.IsNullable ? "?" : "")}"));

    private static CatalogState MakeSystemState()
    {
        var state = CatalogState.Empty;
        (string Id, uint Oid, string Name)[] schemas =
        [
            ("s1", 16_385, "mz_catalog"),
            ("s2", 11, "pg_catalog"),
            ("s4", 16_387, "mz_internal"),
            ("s5", 16_388, "information_schema"),
            ("s6", 16_389, "mz_unsafe"),
            ("s7", 16_390, "mz_catalog_unstable"),
            ("s8", 16_391, "mz_introspection"),
        ];
        foreach (var (id, oid, name) in schemas)
        {
            var schema = new SchemaEntry(new SchemaId(id), oid, null, name, new RoleId("s1"));
            state = state with { Schemas = state.Schemas.Add(schema.Id, schema) };
        }

        state = BuiltinTypes.AddTo(state);
        foreach (var table in Builtins.Tables)
            state = state.With(TableItem(state, table));
        foreach (var log in Builtins.Logs)
            state = state.With(SystemItem(state, log, new ItemDefinition.Log(log.Desc)));
        return ItemPlanner.PlanAll(state, Builtins.Views);
    }
}
