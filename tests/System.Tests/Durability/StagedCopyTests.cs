namespace Materialize.SystemTests.Durability;

/// <summary>A COPY FROM of more than is kept in memory goes to the blob store as it comes, and becomes visible, or disappears, as a whole.</summary>
public sealed class StagedCopyTests(StagedCopyTests.Server server) : IClassFixture<StagedCopyTests.Server>, IAsyncLifetime
{
    // About 14 MB: several times what is kept in memory.
    private const int Rows = 40_000;

    // Of each test its own: what becomes of a dropped table's blobs, and when, is not asked here.
    private static int _tables;
    private readonly string _table = $"t{Interlocked.Increment(ref _tables)}";
    private Sql _sql = null!;

    public async ValueTask InitializeAsync()
    {
        _sql = new Sql(await server.Environment.ConnectAsync());
        await _sql.DoAsync($"CREATE TABLE {_table} (a int8 NOT NULL, b text)");
    }

    public ValueTask DisposeAsync() => _sql.DisposeAsync();

    [Fact]
    public async Task Its_rows_are_all_there_and_a_restart_finds_them()
    {
        using var directory = new TemporaryDirectory();
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            await sql.DoAsync("CREATE TABLE t (a int8 NOT NULL, b text)");
            await CopyAsync(sql, "COPY t FROM STDIN");
            await sql.DoAsync("INSERT INTO t VALUES (-1, 'after')");
            await CheckAsync(sql);
            Assert.Equal(0, await first.StopAsync());
        }

        await using var second = await EnvironmentProcess.StartAsync(directory.Path);
        await using var again = new Sql(await second.ConnectAsync());
        await CheckAsync(again);

        static async Task CheckAsync(Sql sql) => Assert.Equal(
            $"{Rows + 1}|{((long)Rows * (Rows - 1) / 2) - 1}|{Rows + 1}", await sql.OneAsync("SELECT count(*), sum(a), count(DISTINCT b) FROM t"));
    }

    [Fact]
    public async Task Defaults_and_an_order_of_columns_of_its_own_hold_for_all_rows()
    {
        await _sql.DoAsync("CREATE TABLE d (n int8 DEFAULT 7, b text, a int8 NOT NULL)");
        await CopyAsync(_sql, "COPY d (a, b) FROM STDIN");
        Assert.Equal($"{Rows}|{7L * Rows}|{(long)Rows * (Rows - 1) / 2}", await _sql.OneAsync($"SELECT count(*), sum(n), sum(a) FROM d"));
    }

    [Theory]
    [InlineData("not a number\tx\n", "22P02")]
    [InlineData("\\N\tx\n", "23502")]
    public async Task One_that_fails_at_its_last_row_leaves_nothing_behind(string last, string state)
    {
        var before = Blobs;
        var error = await Assert.ThrowsAsync<PostgresException>(() => CopyAsync(_sql, $"COPY {_table} FROM STDIN", last));
        Assert.Equal(state, error.SqlState);
        Assert.Equal("0", await _sql.OneAsync($"SELECT count(*) FROM {_table}"));
        await Eventually.HoldsAsync("what was staged is deleted", () => Task.FromResult(Blobs <= before));
    }

    [Fact]
    public async Task One_that_is_rolled_back_leaves_nothing_behind()
    {
        var before = Blobs;
        await _sql.DoAsync("BEGIN");
        await CopyAsync(_sql, $"COPY {_table} FROM STDIN");
        Assert.True(Blobs > before, "it is staged");
        await _sql.DoAsync("ROLLBACK");
        Assert.Equal("0", await _sql.OneAsync($"SELECT count(*) FROM {_table}"));
        await Eventually.HoldsAsync("what was staged is deleted", () => Task.FromResult(Blobs <= before));
    }

    [Fact]
    public async Task What_was_staged_when_the_server_was_killed_is_gone_after_the_next_start()
    {
        using var directory = new TemporaryDirectory();
        await using (var killed = await EnvironmentProcess.StartAsync(directory.Path))
        {
            await using var sql = new Sql(await killed.ConnectAsync());
            await sql.DoAsync("CREATE TABLE t (a int8 NOT NULL, b text)");
            await CopyAsync(sql, "COPY t FROM STDIN");
            await using var other = new Sql(await killed.ConnectAsync());
            await other.DoAsync("CREATE TABLE u (a int8 NOT NULL, b text)", "BEGIN");
            await CopyAsync(other, "COPY u FROM STDIN");
            Assert.Contains(StagedBy(directory.Path), key => key.Contains("staged", StringComparison.Ordinal));
            await killed.KillAsync();
        }

        var before = StagedBy(directory.Path);
        await using var next = await EnvironmentProcess.StartAsync(directory.Path);
        await using var again = new Sql(await next.ConnectAsync());
        await Eventually.HoldsAsync("it says what it has deleted", () => Task.FromResult(next.Log.Contains("had staged and never committed", StringComparison.Ordinal)));
        Assert.True(before.Except(StagedBy(directory.Path)).Any(), "blobs have gone");
        Assert.Equal("0", await again.OneAsync("SELECT count(*) FROM u"));
        Assert.Equal($"{Rows}|{(long)Rows * (Rows - 1) / 2}", await again.OneAsync("SELECT count(*), sum(a) FROM t"));

        static HashSet<string> StagedBy(string path) => [.. Directory.GetFiles(Path.Combine(path, "blob"), "*", SearchOption.AllDirectories).Where(f => f.Contains("staged", StringComparison.Ordinal))];
    }

    [Fact]
    public async Task Two_of_one_transaction_become_visible_at_its_end()
    {
        await using var other = new Sql(await server.Environment.ConnectAsync());
        await _sql.DoAsync("BEGIN");
        await CopyAsync(_sql, $"COPY {_table} FROM STDIN");
        await CopyAsync(_sql, $"COPY {_table} FROM STDIN");
        Assert.Equal("0", await other.OneAsync($"SELECT count(*) FROM {_table}"));
        await _sql.DoAsync("COMMIT");
        Assert.Equal($"{2 * Rows}|{Rows}", await other.OneAsync($"SELECT count(*), count(DISTINCT a) FROM {_table}"));
    }

    private int Blobs => Directory.GetFiles(Path.Combine(server.DataDirectory, "blob"), "*", SearchOption.AllDirectories).Length;

    private static async Task CopyAsync(Sql sql, string statement, string last = "")
    {
        await using var copy = await sql.Connection.BeginTextImportAsync(statement, TestContext.Current.CancellationToken);
        for (var i = 0; i < Rows; i++)
            await copy.WriteAsync($"{i}\trow {i} {new string('x', 300)}{i}\n");
        await copy.WriteAsync(last);
    }

    /// <summary>An environment of these tests' own: they look at its blobs.</summary>
    public sealed class Server : IAsyncLifetime
    {
        private readonly TemporaryDirectory _directory = new();

        internal EnvironmentProcess Environment { get; private set; } = null!;

        internal string DataDirectory => _directory.Path;

        public async ValueTask InitializeAsync() => Environment = await EnvironmentProcess.StartAsync(DataDirectory);

        public async ValueTask DisposeAsync()
        {
            await Environment.DisposeAsync();
            _directory.Dispose();
        }
    }
}
