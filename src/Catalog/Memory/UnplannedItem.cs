using System.Text.RegularExpressions;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Catalog;

/// <summary>
/// An item that the catalog holds but this version cannot plan: another version made it, or it names one that cannot be planned. It is
/// there, so that it can be seen, dropped and waited for by a version that knows it; nothing is computed for it and nothing reads it.
/// </summary>
internal static partial class UnplannedItem
{
    private static readonly (string Begin, CatalogItemKind Kind)[] Kinds =
    [
        ("CREATE MATERIALIZED VIEW ", CatalogItemKind.MaterializedView),
        ("CREATE VIEW ", CatalogItemKind.View),
        ("CREATE INDEX ", CatalogItemKind.Index),
        ("CREATE TABLE ", CatalogItemKind.Table),
        ("CREATE SOURCE ", CatalogItemKind.Source),
        ("CREATE SUBSOURCE ", CatalogItemKind.Source),
        ("CREATE CONNECTION ", CatalogItemKind.Connection),
        ("CREATE SECRET ", CatalogItemKind.Secret),
    ];

    /// <param name="state">Holds all items of lower ids.</param>
    /// <param name="entry">What the catalog holds.</param>
    /// <param name="reason">What the planner said.</param>
    public static Item Of(CatalogState state, CatalogEntry.Item entry, string reason)
    {
        var kind = Kinds.FirstOrDefault(k => entry.CreateSql.StartsWith(k.Begin, StringComparison.Ordinal), (Begin: "", Kind: CatalogItemKind.Type)).Kind;
        var cluster = Cluster().Match(entry.CreateSql) is { Success: true } match ? new ClusterId(match.Groups[1].Value) : (ClusterId?)null;
        return ItemPlanner.Of(
            entry, new ItemDefinition.Unplanned(kind, cluster, reason), [.. NamesIn(state, entry.CreateSql).Where(i => i.ToString() != entry.Id).Distinct().Order()]);
    }

    /// <summary>The items that a stored statement names: all names in it are written out in full, or are ids.</summary>
    private static IEnumerable<GlobalId> NamesIn(CatalogState state, string sql)
    {
        foreach (Match match in ById().Matches(sql))
        {
            if (GlobalId.TryParse(match.Groups[1].Value, out var id) && state.Items.ContainsKey(id))
                yield return id;
        }

        foreach (Match match in ByName().Matches(sql))
        {
            string[] parts = [.. match.Groups[1].Captures.Select(c => c.Value.StartsWith('"') ? c.Value[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal) : c.Value)];
            var schema = state.Schemas.Values.FirstOrDefault(s => s.Name == parts[1] && s.Database is { } d && state.Databases[d].Name == parts[0]);
            if (schema is not null && state.ItemsByName.TryGetValue((schema.Id, parts[2]), out var id))
                yield return id;
        }
    }

    [GeneratedRegex(@"IN CLUSTER \[([us]\d+)\]")]
    private static partial Regex Cluster();

    [GeneratedRegex(@"\[([us]\d+) AS ")]
    private static partial Regex ById();

    [GeneratedRegex("""(?<![\w".])(?:("(?:[^"]|"")+"|[A-Za-z_][\w$]*)\.){2}(?<1>"(?:[^"]|"")+"|[A-Za-z_][\w$]*)""")]
    private static partial Regex ByName();
}
