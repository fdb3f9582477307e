using System.Globalization;

namespace Materialize.SystemTests.Durability;

/// <summary>Indexes that do not fit the memory of their replica lie in scratch files, and answer as others do.</summary>
public sealed class ScratchTests
{
    private const int Rows = 700_000;

    private const string Sizes = """{"narrow": {"scale": 1, "workers": 2, "memory_limit": "64MiB"}, "without": {"scale": 1, "workers": 1, "memory_limit": "64MiB", "disk_limit": "0"}}""";

    [Fact]
    public async Task An_index_larger_than_its_budget_answers_right_and_lies_in_scratch_files()
    {
        using var directory = new TemporaryDirectory();
        var scratch = Path.Combine(directory.Path, "elsewhere");
        await using var environment = await EnvironmentProcess.StartAsync(
            Path.Combine(directory.Path, "data"), "--orchestrator-process-scratch-directory", scratch, "--cluster-replica-sizes", Sizes);
        await using var sql = new Sql(await environment.ConnectAsync());
        await sql.DoAsync("CREATE CLUSTER narrow (SIZE 'narrow')", "SET cluster = narrow", "CREATE TABLE t (a int8 NOT NULL, b int8 NOT NULL, c text NOT NULL)");
        await using (var copy = await sql.Connection.BeginTextImportAsync("COPY t FROM STDIN"))
        {
            for (var i = 0; i < Rows; i++)
                await copy.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"{i}\t{i % 1000}\trow {i:D12}\n"));
        }

        await sql.DoAsync("CREATE INDEX t_a ON t (a)", "CREATE INDEX t_b ON t (b)");
        await CheckAsync(Rows, (long)Rows * (Rows - 1) / 2);
        var cluster = await sql.OneAsync("SELECT id FROM mz_catalog.mz_clusters WHERE name = 'narrow'");
        var process = Assert.Single(environment.ProcessesOf(cluster));
        var bytes = long.Parse(await EnvironmentProcess.MetricOfAsync(process, "mz_slab_scratch_bytes"), NumberStyles.Float, CultureInfo.InvariantCulture);
        Assert.True(bytes > 16 << 20, $"{bytes} bytes lie in scratch files");
        Assert.Contains(await File.ReadAllLinesAsync($"/proc/{process}/maps"), line => line.Contains(scratch, StringComparison.Ordinal));

        // What changes meets what lies there.
        await sql.DoAsync("DELETE FROM t WHERE b = 7", "UPDATE t SET b = -1 WHERE a = 42", "INSERT INTO t VALUES (-5, 8, 'new')");
        const int Gone = Rows / 1000;
        await CheckAsync(Rows - Gone + 1, ((long)Rows * (Rows - 1) / 2) - (500L * Gone * (Gone - 1)) - (7L * Gone) - 5);
        Assert.Equal("42|-1|row 000000000042", await sql.OneAsync("SELECT * FROM t WHERE a = 42"));
        Assert.Equal($"{Gone + 1}", await sql.OneAsync("SELECT count(*) FROM t WHERE b = 8"));
        Assert.Equal("0", await sql.OneAsync("SELECT count(*) FROM t WHERE b = 7"));

        async Task CheckAsync(long count, long sum)
        {
            Assert.Equal($"{count}|{sum}", await sql.OneAsync("SELECT count(*), sum(a) FROM t"));
            foreach (var i in (int[])[0, 1, 12_345, Rows - 1])
                Assert.Equal($"{i}|{i % 1000}|row {i:D12}", await sql.OneAsync($"SELECT * FROM t WHERE a = {i}"));
        }
    }

    [Fact]
    public async Task Replicas_are_told_of_scratch_files_and_memory_as_their_size_says()
    {
        using var directory = new TemporaryDirectory();
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path, "--cluster-replica-sizes", Sizes);
        await using var sql = new Sql(await environment.ConnectAsync());
        await sql.DoAsync("CREATE CLUSTER narrow (SIZE 'narrow')", "CREATE CLUSTER without (SIZE 'without')", "CREATE CLUSTER four (SIZE 'scale=1,workers=1,mem=4GiB')");
        var usual = Path.Combine(directory.Path, "scratch");
        Assert.Equal((usual, $"{64L << 20}"), await ToldAsync("narrow"));
        Assert.Equal((null, $"{64L << 20}"), await ToldAsync("without"));
        Assert.Equal((usual, $"{4L << 30}"), await ToldAsync("four"));
        Assert.Equal((usual, null), await ToldAsync("quickstart"));

        async Task<(string? Scratch, string? Memory)> ToldAsync(string cluster)
        {
            var id = await sql.OneAsync($"SELECT id FROM mz_catalog.mz_clusters WHERE name = '{cluster}'");
            await Eventually.HoldsAsync($"{cluster} runs", () => Task.FromResult(environment.ProcessesOf(id).Count == 1));
            var arguments = (await File.ReadAllTextAsync($"/proc/{environment.ProcessesOf(id)[0]}/cmdline")).Split('\0');
            return (After(arguments, "--scratch-directory"), After(arguments, "--announce-memory-limit"));
        }

        static string? After(string[] arguments, string flag) => Array.IndexOf(arguments, flag) is var at and >= 0 ? arguments[at + 1] : null;
    }

    [Fact]
    public async Task A_replica_that_a_failing_disk_ends_is_started_again_and_the_log_says_why()
    {
        using var directory = new TemporaryDirectory();
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path);
        await using var sql = new Sql(await environment.ConnectAsync());
        await sql.DoAsync("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)", "CREATE INDEX i ON t (a)");
        Assert.Equal("2", await sql.OneAsync("SELECT count(*) FROM t"));

        // As the system does for a page that it cannot read.
        using (var fault = System.Diagnostics.Process.Start("kill", ["-BUS", environment.Clusterds.Single().ToString(CultureInfo.InvariantCulture)]))
            await fault.WaitForExitAsync();
        await Eventually.HoldsAsync("the log says why", () => Task.FromResult(environment.Log.Contains("exited with code 135 (SIGBUS: a page of a file in", StringComparison.Ordinal)));
        Assert.Equal("2", await sql.OneAsync("SELECT count(*) FROM t"));
    }

    [Theory]
    [InlineData("{\"x\": {\"scale\": 1}}", "workers must be a number from 1 to 1024")]
    [InlineData("{\"x\": {\"scale\": 1, \"workers\": 1, \"memory_limit\": \"much\"}}", "\"much\" is no number of bytes")]
    [InlineData("[]", "an object of sizes is expected")]
    [InlineData("{", "--cluster-replica-sizes")]
    public async Task Sizes_that_make_no_sense_are_refused_at_the_start(string sizes, string complaint)
    {
        using var directory = new TemporaryDirectory();
        await using var environment = EnvironmentProcess.Launch(directory.Path, "--cluster-replica-sizes", sizes);
        await environment.WaitForExitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, environment.ExitCode);
        Assert.Contains(complaint, environment.Log, StringComparison.Ordinal);
    }
}
