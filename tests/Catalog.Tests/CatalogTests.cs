using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Catalog.Tests;

/// <summary>What survives, who may write, and what the catalog relations say of changes.</summary>
public sealed class CatalogTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<CatalogEntry> Entries =>
    [
        new CatalogEntry.Fence(3, 4),
        new CatalogEntry.IdAllocator("user-item", 7),
        new CatalogEntry.Database("u2", 20_101, "d\"é", "u1"),
        new CatalogEntry.Schema("u4", 20_102, "u2", "s", "u1"),
        new CatalogEntry.Schema("u5", 20_103, null, "s", "u1"),
        new CatalogEntry.Role("u2", 20_104, "r", true, false),
        new CatalogEntry.Cluster("u2", "c", "u1", true, "1", 2),
        new CatalogEntry.Cluster("u3", "c", "u1", false, null, 0),
        new CatalogEntry.Replica("u2", "u2", "r1", "1", "u1"),
        new CatalogEntry.BuiltinShard("s1", "shard", "print"),
        new CatalogEntry.Comment("table", "u1", null, "of the table"),
        new CatalogEntry.Comment("table", "u1", 2, "of a column"),
        new CatalogEntry.SystemParameter("p", "v"),
        new CatalogEntry.Item("u1", 20_105, "u3", "t", "u1", "CREATE TABLE t (a int4)", "shard", 12, null, "slot"),
    ];

    [Theory]
    [MemberData(nameof(Entries))]
    public void Entries_are_read_as_they_were_written(CatalogEntry entry) => Assert.Equal(entry, CatalogEntry.Decode(entry.Encode()));

    [Fact]
    public void Upstream_tables_are_read_as_they_were_written()
    {
        var upstream = new UpstreamTable("public", "t", 17, [new UpstreamTableColumn("a", 23, -1, true)]);
        var read = (CatalogEntry.Item)CatalogEntry.Decode(
            new CatalogEntry.Item("u1", 20_105, "u3", "t", "u1", "CREATE TABLE t (a int4)", Upstream: upstream).Encode());
        Assert.Equal((upstream.Schema, upstream.Name, upstream.Oid), (read.Upstream!.Schema, read.Upstream.Name, read.Upstream.Oid));
        Assert.Equal(upstream.Columns, read.Upstream.Columns);
    }

    [Fact]
    public void Another_format_is_refused() => Assert.Throws<InvalidDataException>(() => CatalogEntry.Decode([99, .. "{}"u8]));

    [Fact]
    public async Task Who_opens_last_fences_who_opened_before()
    {
        var catalogs = new Catalogs();
        var first = await catalogs.OpenAsync();
        var second = await catalogs.OpenAsync();
        Assert.True(second.Epoch > first.Epoch);
        var comment = new CatalogEntry.Comment("role", "u1", null, "text");
        await Assert.ThrowsAsync<CatalogFencedException>(() => first.TransactAsync([comment], [], Cancel));
        Assert.Empty(first.State.Comments);
        await second.TransactAsync([comment], [], Cancel);
        Assert.Single(second.State.Comments);
    }

    [Fact]
    public async Task An_older_deploy_generation_cannot_open()
    {
        var catalogs = new Catalogs();
        await catalogs.OpenAsync(generation: 2);
        await Assert.ThrowsAsync<CatalogFencedException>(() => catalogs.OpenAsync(generation: 1));
    }

    [Fact]
    public async Task Items_are_planned_again_when_the_catalog_is_opened_again()
    {
        var catalogs = new Catalogs();
        var first = await catalogs.OpenAsync();
        await first.TransactAsync(
            [
                Item(1, "t", "CREATE TABLE materialize.public.t (a int4 NOT NULL, b text)"),
                Item(2, "v", "CREATE VIEW materialize.public.v AS SELECT a + 1 AS c FROM [u1 AS materialize.public.t]"),
                Item(3, "i", "CREATE INDEX i IN CLUSTER [u1] ON [u2 AS materialize.public.v] (c)"),
            ],
            [],
            Cancel);
        var second = await catalogs.OpenAsync();
        foreach (var number in new ulong[] { 1, 2, 3 })
        {
            var (before, after) = (first.State.Items[GlobalId.User(number)], second.State.Items[GlobalId.User(number)]);
            Assert.Equal(before.Name, after.Name);
            Assert.Equal(before.Desc, after.Desc);
            Assert.Equal(before.DependsOn, after.DependsOn);
        }

        Assert.Equal(["c"], second.State.Items[GlobalId.User(2)].Desc!.Names);
        Assert.Equal(GlobalId.User(3), Assert.Single(second.State.IndexesOn(GlobalId.User(2))).Id);
    }

    [Fact]
    public async Task Everything_committed_is_there_after_many_commits_and_openings()
    {
        var catalogs = new Catalogs();
        var random = new Random(5);
        var expected = new SortedDictionary<string, CatalogEntry>(StringComparer.Ordinal);
        for (var opening = 0; opening < 12; opening++)
        {
            var durable = await catalogs.OpenDurableAsync();
            Assert.Equal(expected.Values, durable.Entries.Values.Where(e => e is not CatalogEntry.Fence).OrderBy(e => e.Key, StringComparer.Ordinal));
            for (var i = random.Next(40); i > 0; i--)
            {
                var entry = new CatalogEntry.Comment("table", $"u{random.Next(200)}", null, $"{random.Next()}{new string('x', random.Next(2000))}");
                var removed = expected.Values.Where(e => e.Key != entry.Key && random.Next(30) == 0).Select(e => e.Key).ToList();
                await durable.CommitAsync([entry], removed, Cancel);
                foreach (var key in removed)
                    expected.Remove(key);
                expected[entry.Key] = entry;
            }
        }
    }

    [Fact]
    public async Task The_first_database_stays_dropped()
    {
        var catalogs = new Catalogs();
        var first = await catalogs.OpenAsync();
        await first.TransactAsync([new CatalogEntry.IdAllocator("oid", 30_000)], ["schema/u3", "database/u1"], Cancel);
        var second = await catalogs.OpenAsync();
        Assert.Empty(second.State.Databases);
        Assert.Equal(30_000ul, second.Allocate("oid").First);
    }

    [Fact]
    public async Task A_statement_that_does_not_plan_changes_nothing()
    {
        var catalog = await new Catalogs().OpenAsync();
        var before = catalog.State;
        await Assert.ThrowsAnyAsync<Exception>(() => catalog.TransactAsync([Item(1, "v", "CREATE VIEW v AS SELECT x FROM nowhere")], [], Cancel));
        Assert.Same(before, catalog.State);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Changes_are_the_difference_of_all_rows(int seed)
    {
        var random = new Random(seed);
        var catalog = await new Catalogs().OpenAsync();
        var present = new SortedDictionary<string, CatalogEntry>(StringComparer.Ordinal);
        for (var step = 0; step < 40; step++)
        {
            var before = catalog.State;
            var entry = RandomEntry(random);
            if (present.ContainsKey(entry.Key) && random.Next(2) == 0)
            {
                if (present.Values.Any(e => IsOver(e, entry)))
                    continue;
                await catalog.TransactAsync([], [entry.Key], Cancel);
                present.Remove(entry.Key);
            }
            else
            {
                if (entry is CatalogEntry.Item { Id: "u2" or "u3" } && !present.ContainsKey("item/u1")
                    || entry is CatalogEntry.Item { Id: "u1" } && present.ContainsKey("item/u1"))
                    continue;
                await catalog.TransactAsync([entry], [], Cancel);
                present[entry.Key] = entry;
            }

            var expected = Sum(BuiltinRows.All(catalog.State), BuiltinRows.All(before));
            var actual = BuiltinRows.Changes(before, catalog.State).ToDictionary(c => c.Row, c => c.Diff);
            Assert.Equal(expected.Count, actual.Count);
            Assert.All(expected, e => Assert.Equal(e.Value, actual[e.Key]));
        }
    }

    private static bool IsOver(CatalogEntry entry, CatalogEntry under) =>
        under is CatalogEntry.Item { Id: "u1" } && entry is CatalogEntry.Item { Id: "u2" or "u3" };

    private static CatalogEntry RandomEntry(Random random) => random.Next(8) switch
    {
        0 => Item(1, "t", "CREATE TABLE materialize.public.t (a int4 NOT NULL, b text DEFAULT 'x')"),
        1 => Item(2, $"v{random.Next(2)}", "CREATE VIEW materialize.public.v AS SELECT a + 1 AS c FROM [u1 AS materialize.public.t]"),
        2 => Item(3, "i", "CREATE INDEX i IN CLUSTER [u1] ON [u1 AS materialize.public.t] (a, a + 1)"),
        3 => new CatalogEntry.Database("u7", 20_300, $"d{random.Next(3)}", "u1"),
        4 => new CatalogEntry.Role($"u{8 + random.Next(2)}", 20_301, $"r{random.Next(3)}", random.Next(2) == 0, true),
        5 => new CatalogEntry.Comment("table", "u1", random.Next(2) == 0 ? null : 1, $"text {random.Next(3)}"),
        6 => new CatalogEntry.Schema("u9", 20_303, "u1", $"s{random.Next(3)}", "u1"),
        _ => new CatalogEntry.Cluster("u9", $"c{random.Next(3)}", "u1", true, "1", random.Next(3)),
    };

    private static CatalogEntry.Item Item(ulong number, string name, string sql) =>
        new($"u{number}", 20_200 + (uint)number, "u3", name, "u1", sql, number == 1 ? ShardId.New().ToString() : null);

    private static Dictionary<BuiltinRow, long> Sum(IEnumerable<BuiltinRow> plus, IEnumerable<BuiltinRow> minus)
    {
        var sums = new Dictionary<BuiltinRow, long>();
        foreach (var (row, diff) in plus.Select(r => (r, 1L)).Concat(minus.Select(r => (r, -1L))))
            sums[row] = sums.GetValueOrDefault(row) + diff;
        return sums.Where(s => s.Value != 0).ToDictionary();
    }
}
