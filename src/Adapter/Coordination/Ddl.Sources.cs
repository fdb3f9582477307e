using System.Globalization;
using Materialize.Catalog;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Ddl
{
    private async Task<DdlResult> CreateSourceAsync(StatementPlan.CreateSource plan, SessionContext session, CancellationToken cancel)
    {
        if (plan.Connector is not SourceConnector.Postgres postgres)
            throw SqlException.Unsupported("sources other than Postgres");
        if (!postgres.TextColumns.IsEmpty || !postgres.ExcludeColumns.IsEmpty)
            throw SqlException.Unsupported("TEXT COLUMNS and EXCLUDE COLUMNS");
        CheckLimit("max_sources", "source", item => item.Definition is ItemDefinition.Source && item.Id.IsUser);
        var slot = $"materialize_{Guid.NewGuid():N}";
        var connection = installer.ConnectionOf(services.Catalog.State, postgres.Connection, postgres.Publication, slot);
        var upstream = await InspectAsync(connection, cancel);
        var chosen = Choose(plan, upstream);
        var (first, numbers) = services.Catalog.Allocate("item", 2 + (ulong)chosen.Count);
        var (oid, oids) = services.Catalog.Allocate("oid", 2 + (ulong)chosen.Count);
        var sourceId = GlobalId.User(first);
        var entries = new List<CatalogEntry>
        {
            new CatalogEntry.Item(
                sourceId.ToString(), (uint)oid, plan.SchemaId.Value, plan.Name.Item, session.Role.Value, plan.CreateSql, ShardId.New().ToString(), Slot: slot),
        };
        for (var i = 0; i < chosen.Count; i++)
        {
            var (table, name) = chosen[i];
            var sql = SourceSql.Subsource(name, plan.Name, sourceId, table);
            entries.Add(new CatalogEntry.Item(
                GlobalId.User(first + 1 + (ulong)i).ToString(),
                (uint)oid + 1 + (uint)i,
                SchemaIdOf(name, plan),
                name.Item,
                session.Role.Value,
                sql,
                ShardId.New().ToString(),
                Upstream: table));
        }

        var state = await CommitAsync([.. entries, numbers, oids], [], cancel);
        foreach (var entry in entries.OfType<CatalogEntry.Item>())
            await installer.AddSourceCollectionAsync(state.Items[IdOf(entry)], CancellationToken.None);
        installer.RunIngestion(state, state.Items[sourceId]);
        return new DdlResult("CREATE SOURCE");
    }

    private async Task<DdlResult> CreateTableFromSourceAsync(StatementPlan.CreateTableFromSource plan, SessionContext session, CancellationToken cancel)
    {
        var before = services.Catalog.State;
        if (before.Items[plan.Source].Definition is not ItemDefinition.Source { Connector: SourceConnector.Postgres postgres } source)
            throw SqlException.Unsupported("CREATE TABLE FROM SOURCE for this kind of source");
        if (!plan.TextColumns.IsEmpty || !plan.ExcludeColumns.IsEmpty)
            throw SqlException.Unsupported("TEXT COLUMNS and EXCLUDE COLUMNS");
        if (plan.Reference is null)
            throw new SqlException("XX000", "CREATE TABLE FROM SOURCE needs a REFERENCE to an upstream table");
        var upstream = await InspectAsync(installer.ConnectionOf(before, postgres.Connection, postgres.Publication, source.Slot ?? ""), cancel);
        var table = Find(upstream, plan.Reference);
        var (entry, allocators) = NewItem(plan, session, ShardId.New());
        entry = entry with { Upstream = table, CreateSql = SourceSql.Table(plan, before, table) };
        var state = await CommitAsync([entry, .. allocators], [], cancel);
        await installer.AddSourceCollectionAsync(state.Items[IdOf(entry)], CancellationToken.None);
        installer.RunIngestion(state, state.Items[plan.Source]);
        return new DdlResult("CREATE TABLE");
    }

    private async Task<IReadOnlyList<UpstreamTable>> InspectAsync(SourceConnection.Postgres connection, CancellationToken cancel)
    {
        try
        {
            return await services.Upstream.PublishedTablesAsync(connection, cancel);
        }
        catch (UpstreamException e)
        {
            throw new SqlException("XX000", e.Message) { Hint = e.Hint };
        }
    }

    private static List<(UpstreamTable Table, FullName Name)> Choose(StatementPlan.CreateSource plan, IReadOnlyList<UpstreamTable> upstream)
    {
        switch (plan.Exports)
        {
            case null:
                return [];
            case SourceExports.AllTables:
                return [.. upstream.Select(t => (t, plan.Name with { Item = t.Name }))];
            case SourceExports.Schemas x:
                return [.. upstream.Where(t => x.Names.Contains(t.Schema)).Select(t => (t, plan.Name with { Item = t.Name }))];
            case SourceExports.Tables x:
                return [.. x.References.Select(r => (Find(upstream, r.Key), r.Value))];
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static UpstreamTable Find(IReadOnlyList<UpstreamTable> upstream, string reference)
    {
        var parts = reference.Split('.');
        var found = upstream
            .Where(t => t.Name == parts[^1] && (parts.Length < 2 || t.Schema == parts[^2]))
            .ToList();
        return found.Count switch
        {
            1 => found[0],
            0 => throw new SqlException("XX000", $"reference to {reference} not found in source")
            {
                Hint = "The publication must include the table: ALTER PUBLICATION … ADD TABLE.",
            },
            _ => throw new SqlException("XX000", $"reference {reference} is ambiguous, consider specifying the schema"),
        };
    }

    private string SchemaIdOf(FullName name, StatementPlan.CreateSource plan)
    {
        if (name.Database == plan.Name.Database && name.Schema == plan.Name.Schema)
            return plan.SchemaId.Value;
        var state = services.Catalog.State;
        var schema = state.Schemas.Values.FirstOrDefault(
            s => s.Name == name.Schema && s.Database is { } d && state.Databases[d].Name == name.Database);
        return schema?.Id.Value ?? throw new SqlException("XX000", $"unknown schema '{name.Schema}'");
    }
}

/// <summary>Writes the statements that the catalog keeps for what a source feeds: their columns come from upstream, not from the user.</summary>
internal static class SourceSql
{
    public static string Subsource(FullName name, FullName source, GlobalId sourceId, UpstreamTable table) =>
        $"CREATE SUBSOURCE {Quote(name)} ({Columns(table)}) OF SOURCE [{sourceId} AS {Quote(source)}] WITH (EXTERNAL REFERENCE = {Quote(table.Schema)}.{Quote(table.Name)})";

    public static string Table(StatementPlan.CreateTableFromSource plan, CatalogState state, UpstreamTable table) =>
        $"CREATE TABLE {Quote(plan.Name)} ({Columns(table)}) FROM SOURCE [{plan.Source} AS {Quote(state.NameOf(state.Items[plan.Source]))}] (REFERENCE = {Quote(table.Schema)}.{Quote(table.Name)})";

    private static string Columns(UpstreamTable table) => string.Join(", ", table.Columns.Select(column =>
        string.Create(CultureInfo.InvariantCulture, $"{Quote(column.Name)} {TypeName(table, column)}{(column.IsNullable ? "" : " NOT NULL")}")));

    private static string TypeName(UpstreamTable table, UpstreamTableColumn column)
    {
        var type = PgType.ByOid(column.TypeOid)
            ?? throw SqlException.Unsupported($"column {table.Schema}.{table.Name}.{column.Name}: its type (oid {column.TypeOid})");
        return type.Kind switch
        {
            // 4 is the header that Postgres adds to every length; numeric packs precision and scale.
            ScalarKind.VarChar when column.TypeModifier >= 4 => $"varchar({column.TypeModifier - 4})",
            ScalarKind.Char => $"char({Math.Max(column.TypeModifier - 4, 1)})",
            ScalarKind.Numeric when column.TypeModifier >= 4 =>
                $"numeric({Math.Min((column.TypeModifier - 4) >> 16, 39)}, {(column.TypeModifier - 4) & 0xffff})",
            _ => type.ToSql(),
        };
    }

    private static string Quote(FullName name) =>
        string.Join('.', new[] { name.Database, name.Schema, name.Item }.OfType<string>().Select(Quote));

    private static string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
