namespace Materialize.SystemTests.Sources;

/// <summary>What a source says of itself.</summary>
public class SourceStatusTests(SharedServer server)
{
    [Fact]
    public async Task A_status_is_recorded_when_it_changes_and_not_when_it_is_said_again()
    {
        await using var upstream = await PostgresUpstream.StartAsync();
        await using (var postgres = await upstream.OpenAsync())
        {
            await postgres.DoAsync(
                "CREATE TABLE a (n int)", "CREATE TABLE b (n int)", "ALTER TABLE a REPLICA IDENTITY FULL", "ALTER TABLE b REPLICA IDENTITY FULL",
                "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)", "CREATE PUBLICATION mz FOR ALL TABLES");
        }

        // Each further table sends the replica the source again, which then says all that it knows.
        await using var sql = await server.OpenAsync();
        await sql.DoAsync(
            $"CREATE CONNECTION pg TO POSTGRES (HOST '127.0.0.1', PORT {upstream.Port}, USER 'postgres', DATABASE 'postgres')",
            "CREATE SOURCE s FROM POSTGRES CONNECTION pg (PUBLICATION 'mz')",
            "CREATE TABLE a FROM SOURCE s (REFERENCE public.a)",
            "CREATE TABLE b FROM SOURCE s (REFERENCE public.b)");
        Assert.Equal("1|2", await sql.OneAsync("SELECT a.n, b.n FROM a, b"));
        const string History =
            "SELECT h.source_id, h.status FROM mz_internal.mz_source_status_history h JOIN mz_sources s ON s.id = h.source_id WHERE s.name = 's' ORDER BY h.occurred_at";
        await Eventually.HoldsAsync("the source is running", async () => (await sql.RowsAsync(History)).LastOrDefault()?.EndsWith("|running", StringComparison.Ordinal) == true);
        var statuses = await sql.RowsAsync(History);
        Assert.All(statuses.Zip(statuses.Skip(1)), x => Assert.NotEqual(x.First, x.Second));
        await sql.DoAsync("DROP SOURCE s CASCADE", "DROP CONNECTION pg");
    }
}
