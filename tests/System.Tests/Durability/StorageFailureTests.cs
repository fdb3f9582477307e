namespace Materialize.SystemTests.Durability;

/// <summary>A disk that misbehaves: clear messages, no crash while it can be helped, nothing acknowledged lost.</summary>
public sealed class StorageFailureTests
{
    [Fact]
    public async Task A_data_directory_that_cannot_be_made_is_refused_with_its_name()
    {
        using var directory = new TemporaryDirectory();
        var file = Path.Combine(directory.Path, "a-file");
        await File.WriteAllTextAsync(file, "x", TestContext.Current.CancellationToken);
        await using var environment = EnvironmentProcess.Launch(Path.Combine(file, "data"));
        await environment.WaitForExitAsync(Eventually.Patience);
        Assert.Equal(1, environment.ExitCode);
        Assert.Contains(file, environment.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled exception", environment.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_corrupted_consensus_file_is_refused()
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path))
            Assert.Equal(0, await first.StopAsync());
        foreach (var file in Directory.GetFiles(directory.Path, "consensus.db*"))
        {
            var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
            new Random(3).NextBytes(bytes);
            await File.WriteAllBytesAsync(file, bytes, TestContext.Current.CancellationToken);
        }

        await using var second = EnvironmentProcess.Launch(directory.Path);
        await second.WaitForExitAsync(Eventually.Patience);
        Assert.NotEqual(0, second.ExitCode);
        Assert.Contains("consensus", second.Log, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Unhandled exception", second.Log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_missing_or_corrupted_blob_is_an_error_never_a_wrong_answer(bool missing)
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            // Too large to be written inline, and incompressible.
            await sql.DoAsync("CREATE TABLE t (a int4, b text)", "INSERT INTO t SELECT x, md5(x::text) || md5((x + 1)::text) FROM generate_series(1, 20000) AS x");
            Assert.Equal("20000", await sql.OneAsync("SELECT count(*) FROM t"));
            // Made last: what it stores is not the largest blob.
            await sql.DoAsync("CREATE INDEX i ON t (a)", "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t", "CREATE TABLE other (a int4)");
            Assert.Equal("20000", await sql.OneAsync("SELECT n FROM m"));
            await first.StopAsync();
        }

        var blobs = new DirectoryInfo(Path.Combine(directory.Path, "blob")).GetFiles("*", SearchOption.AllDirectories).OrderByDescending(f => f.Length).ToList();
        Assert.NotEmpty(blobs);
        var victim = blobs[0];
        Assert.True(victim.Length > 100_000, $"the largest blob has {victim.Length} bytes");
        var bytes = await File.ReadAllBytesAsync(victim.FullName, TestContext.Current.CancellationToken);
        if (missing)
        {
            victim.Delete();
        }
        else
        {
            byte[] corrupt = [.. bytes];
            corrupt[bytes.Length / 2] ^= 0x40;
            await File.WriteAllBytesAsync(victim.FullName, corrupt, TestContext.Current.CancellationToken);
        }

        await using (var second = await EnvironmentProcess.StartAsync(directory.Path))
            await CheckLostAsync(second);

        // Where the data is back, the next start takes back the error that the materialized view has stored.
        await File.WriteAllBytesAsync(victim.FullName, bytes, TestContext.Current.CancellationToken);
        await using var third = await EnvironmentProcess.StartAsync(directory.Path);
        await using var restored = new Sql(await third.ConnectAsync());
        await restored.DoAsync("INSERT INTO t VALUES (0, '')");
        foreach (var (query, answer) in new[] { ("SELECT n FROM m", "20001"), ("SELECT count(*) FROM t", "20001"), ("SELECT length(b) FROM t WHERE a = 7", "64") })
            Assert.Equal(answer, await restored.OneAsync(query));
    }

    private static async Task CheckLostAsync(EnvironmentProcess second)
    {
        await using var again = new Sql(await second.ConnectAsync("Include Error Detail=true;"));
        foreach (var query in (string[])["SELECT sum(length(b)) FROM t", "SELECT b FROM t WHERE a = 7", "SELECT n FROM m", "SELECT count(*) FROM t"])
        {
            try
            {
                var lost = await again.FailsAsync(query);
                Assert.Equal("XX001", lost.SqlState);
                Assert.Contains("part-", lost.Detail, StringComparison.Ordinal);
            }
            catch (Xunit.Sdk.XunitException e)
            {
                throw new InvalidOperationException($"{query}\n{second.Log}", e);
            }
        }

        Assert.False(second.HasExited, second.Log);

        // Nor has the replica: what does not need the lost rows is maintained as before.
        Assert.DoesNotContain("exited with code", second.Log, StringComparison.Ordinal);

        // What does not need it goes on.
        await again.DoAsync("CREATE TABLE u (a int4)", "INSERT INTO u VALUES (1)");
        Assert.Equal("1", await again.OneAsync("SELECT a FROM u"));
        await second.StopAsync();
    }
}
