using System.Globalization;

namespace Materialize.SystemTests.Durability;

/// <summary>A disk without space, or that takes no writes at all.</summary>
public sealed class FullDiskTests
{
    private const string CannotMount = "mounting a small file system needs root";

    [Fact]
    public async Task Writes_wait_for_space_reads_go_on_and_what_was_acknowledged_stays()
    {
        using var disk = SmallDisk.TryMount(megabytes: 96);
        Assert.SkipWhen(disk is null, CannotMount);
        var environment = await EnvironmentProcess.StartAsync(disk.Path);
        try
        {
            await using var sql = new Sql(await environment.ConnectAsync());
            await sql.DoAsync(
                "CREATE TABLE t (a int4, b text)", "CREATE INDEX i ON t (a)", "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t",
                "INSERT INTO t VALUES (0, 'before')");
            Assert.Equal("1", await sql.OneAsync("SELECT n FROM m"));
            disk.Fill();

            // Until the preallocated end of the log is used up, inserts may still fit; one will not.
            var inserted = 0;
            var writing = Task.Run(async () =>
            {
                await using var writer = new Sql(await environment.ConnectAsync("Command Timeout=120;"));
                while (inserted < 2000)
                {
                    await writer.DoAsync($"INSERT INTO t VALUES ({inserted + 1}, repeat('x', 2000))");
                    Interlocked.Increment(ref inserted);
                }
            });
            await Eventually.HoldsAsync(
                "the log says that the disk is full", () => Task.FromResult(environment.Log.Contains("a commit has to be tried again", StringComparison.Ordinal)));
            Assert.False(writing.IsCompleted, "an insert was acknowledged or refused while there was no space");
            var acknowledged = Volatile.Read(ref inserted);
            Assert.Equal("before", await sql.OneAsync("SELECT b FROM t WHERE a = 0"));

            // A clusterd that dies now comes back when there is space.
            environment.KillClusterds();
            disk.MakeRoom();
            await Eventually.HoldsAsync("inserts go on", () => Task.FromResult(Volatile.Read(ref inserted) > acknowledged));
            Interlocked.Exchange(ref inserted, 1_000_000);
            await writing;
            Assert.False(environment.HasExited, environment.Log);
            await CheckAsync(sql);

            await environment.KillAsync();
            await environment.DisposeAsync();
            environment = await EnvironmentProcess.StartAsync(disk.Path);
            await using var again = new Sql(await environment.ConnectAsync());
            await CheckAsync(again);

            async Task CheckAsync(Sql reader)
            {
                var rows = (await reader.RowsAsync("SELECT a FROM t ORDER BY a")).Select(r => int.Parse(r, CultureInfo.InvariantCulture)).ToList();
                Assert.Equal(Enumerable.Range(0, rows.Count), rows);
                Assert.InRange(rows.Count, acknowledged + 1, 2002);
                Assert.Equal($"{rows.Count}", await reader.OneAsync("SELECT n FROM m"));
            }
        }
        finally
        {
            await environment.DisposeAsync();
        }
    }

    [Fact]
    public async Task Starting_without_space_is_refused_with_the_reason_and_works_when_there_is_some()
    {
        using var disk = SmallDisk.TryMount(megabytes: 96);
        Assert.SkipWhen(disk is null, CannotMount);
        await using (var first = await EnvironmentProcess.StartAsync(disk.Path))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            await sql.DoAsync("CREATE TABLE t (a int4)", "INSERT INTO t VALUES (1)");
            await first.KillAsync();
        }

        disk.Fill();
        await using (var second = EnvironmentProcess.Launch(disk.Path))
        {
            await second.WaitForExitAsync(Eventually.Patience);
            Assert.Equal(1, second.ExitCode);
            Assert.Contains("full", second.Log, StringComparison.Ordinal);
            Assert.DoesNotContain("not foreseen", second.Log, StringComparison.Ordinal);
        }

        disk.MakeRoom();
        await using var third = await EnvironmentProcess.StartAsync(disk.Path);
        await using var again = new Sql(await third.ConnectAsync());
        Assert.Equal("1", await again.OneAsync("SELECT a FROM t"));
    }

    [Fact]
    public async Task A_read_only_data_directory_is_refused_with_its_name()
    {
        using var disk = SmallDisk.TryMount(megabytes: 96);
        Assert.SkipWhen(disk is null, CannotMount);
        disk.MakeReadOnly();
        await using var environment = EnvironmentProcess.Launch(disk.Path);
        await environment.WaitForExitAsync(Eventually.Patience);
        Assert.Equal(1, environment.ExitCode);
        Assert.Contains(disk.Path, environment.Log, StringComparison.Ordinal);
        Assert.Contains("Read-only", environment.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("not foreseen", environment.Log, StringComparison.Ordinal);
    }
}
