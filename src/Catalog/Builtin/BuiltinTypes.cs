using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>The built-in types as catalog objects: each of <see cref="PgType.All"/>, and its array type.</summary>
internal static class BuiltinTypes
{
    /// <summary>Ids of types start here, so that relations and types never meet.</summary>
    private const ulong FirstNumber = 10_000;

    /// <summary>A type, its array's oid, and what its rows in the catalog say.</summary>
    internal sealed record Entry(GlobalId Id, uint Oid, SchemaId Schema, string Name, SqlType Type, string Category, Entry? Element);

    public static IReadOnlyList<Entry> All { get; } = MakeAll();

    public static CatalogState AddTo(CatalogState state)
    {
        foreach (var entry in All)
        {
            var schema = state.Schemas[entry.Schema];
            var type = new CatalogType(entry.Id, new FullName(null, schema.Name, entry.Name), entry.Type);
            state = state with { TypesByName = state.TypesByName.SetItem((entry.Schema, entry.Name), type) };
        }

        return state;
    }

    private static List<Entry> MakeAll()
    {
        var entries = new List<Entry>();
        foreach (var type in PgType.All)
        {
            var schema = new SchemaId(type.Schema == "mz_catalog" ? "s1" : "s2");
            // list and map are not types by themselves: they only stand in signatures.
            if (type.Kind is ScalarKind.List or ScalarKind.Map)
                continue;
            var sql = PgType.ByOid(type.Oid)!;
            var id = GlobalId.System(FirstNumber + type.Oid);
            var element = new Entry(id, type.Oid, schema, type.Name, sql, Category(type.Category), null);
            entries.Add(element);
            if (type.ArrayOid != 0)
                entries.Add(new Entry(GlobalId.System(FirstNumber + type.ArrayOid), type.ArrayOid, schema, "_" + type.Name, SqlType.ArrayOf(sql), "array", element));
        }

        return entries;
    }

    private static string Category(char category) => category switch
    {
        'B' => "boolean",
        'N' => "numeric",
        'S' => "string",
        'D' => "date-time",
        'T' => "timespan",
        'A' => "array",
        'C' => "composite",
        'P' => "pseudo",
        _ => "user-defined",
    };
}
