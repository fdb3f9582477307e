using Materialize.Repr;

namespace Materialize.Catalog;

public static partial class Builtins
{
    private const string Postgres = "pg_catalog";
    private const string Information = "information_schema";

    /// <summary>Every built-in view, each after those it names.</summary>
    public static IReadOnlyList<Builtin.View> Views { get; } =
    [
        .. EmptyCatalogViews(),
        .. CatalogViews(),
        .. EmptyPostgresViews(),
        .. PostgresHelperViews(),
        .. PostgresViews(),
        .. InternalViews(),
        .. ShowViews(),
        .. InformationViews(),
        .. IntrospectionViews(),
    ];

    /// <param name="oid">Postgres' own, for those of its relations whose oids clients know; else one of ours.</param>
    private static Builtin.View View(ulong number, string schema, string name, string sql, uint oid = 0) =>
        new(number, oid == 0 ? 16_600 + (uint)number : oid, schema, name, sql);

    /// <summary>A relation of things that this version has none of; columns as <see cref="ParseColumns"/> reads them.</summary>
    private static Builtin.View Empty(ulong number, string schema, string name, string columns, uint oid = 0)
    {
        var desc = ParseColumns(columns);
        var selected = desc.Names.Zip(desc.Type.Columns, (column, type) => $"NULL::{type.Type.ToSql()} AS \"{column}\"");
        return View(number, schema, name, $"SELECT {string.Join(", ", selected)} WHERE false", oid);
    }

    private static string Literal(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    /// <summary>Constant rows, with the names and types of their columns.</summary>
    private static string Values(string columns, IEnumerable<string> rows)
    {
        var desc = ParseColumns(columns);
        var selected = desc.Names.Zip(desc.Type.Columns, (column, type) => $"v.\"{column}\"::{type.Type.ToSql()} AS \"{column}\"");
        var names = string.Join(", ", desc.Names.Select(n => $"\"{n}\""));
        return $"SELECT {string.Join(", ", selected)} FROM (VALUES {string.Join(", ", rows)}) AS v ({names})";
    }
}
