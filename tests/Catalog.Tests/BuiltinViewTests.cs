using Materialize.Repr;

namespace Materialize.Catalog.Tests;

/// <summary>The built-in views as what clients know: ids, oids, columns.</summary>
public sealed class BuiltinViewTests
{
    [Fact]
    public void No_two_builtins_share_an_id_an_oid_or_a_name()
    {
        IReadOnlyList<Builtin> all = [.. Builtins.Tables, .. Builtins.Views];
        Assert.Equal(all.Count, all.Select(b => b.Number).Distinct().Count());
        Assert.Equal(all.Count, all.Select(b => b.Oid).Distinct().Count());
        Assert.Equal(all.Count, all.Select(b => (b.Schema, b.Name)).Distinct().Count());
    }

    [Fact]
    public async Task Every_view_plans()
    {
        var catalog = await new Catalogs().OpenAsync();
        Assert.All(Builtins.Views, view => Assert.NotEmpty(catalog.State.Items[view.Id].Desc!.Names));
    }

    [Theory]
    [InlineData("pg_class", 1259u)]
    [InlineData("pg_type", 1247u)]
    [InlineData("pg_attribute", 1249u)]
    [InlineData("pg_proc", 1255u)]
    [InlineData("pg_namespace", 2615u)]
    [InlineData("pg_database", 1262u)]
    public void Relations_whose_oids_clients_know_have_those_of_Postgres(string name, uint oid) =>
        Assert.Equal(oid, Builtins.Views.Single(v => v.Schema == "pg_catalog" && v.Name == name).Oid);

    /// <summary>Columns that clients read by name; types as they are sent.</summary>
    [Theory]
    [InlineData("mz_objects", "id text, oid oid, schema_id text, name text, type text, owner_id text, cluster_id text, privileges mz_aclitem[]")]
    [InlineData("pg_namespace", "oid oid, nspname text, nspowner oid, nspacl text[]")]
    [InlineData(
        "pg_attribute",
        "attrelid oid, attname text, atttypid oid, attlen smallint, attnum smallint, atttypmod integer, attndims smallint, attnotnull boolean, atthasdef boolean, "
        + "attidentity \"char\", attgenerated \"char\", attisdropped boolean, attcollation oid")]
    [InlineData(
        "pg_index",
        "indexrelid oid, indrelid oid, indnatts smallint, indisunique boolean, indisprimary boolean, indimmediate boolean, indisclustered boolean, "
        + "indisvalid boolean, indisreplident boolean, indkey int2vector, indoption int2vector, indexprs text, indpred text")]
    [InlineData("mz_show_indexes", "id text, name text, on text, cluster text, key text[], on_id text, schema_id text, cluster_id text, comment text")]
    [InlineData("mz_show_cluster_replicas", "cluster text, replica text, replica_id text, size text, ready boolean, comment text")]
    [InlineData(
        "mz_source_statuses",
        "id text, name text, type text, last_status_change_at timestamp with time zone, status text, error text, details jsonb")]
    public async Task Columns_are_those_of_the_reference(string view, string columns)
    {
        var catalog = await new Catalogs().OpenAsync();
        var desc = catalog.State.Items[Builtins.Views.Single(v => v.Name == view).Id].Desc!;
        Assert.Equal(columns, string.Join(", ", desc.Names.Zip(desc.Type.Columns, (name, column) => $"{name} {column.Type.ToSql()}")));
    }
}
