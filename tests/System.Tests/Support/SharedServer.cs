namespace Materialize.SystemTests.Support;

/// <summary>One environment for all tests that leave it as they found it: each works in a schema of its own.</summary>
public class SharedServer : IAsyncLifetime
{
    private TemporaryDirectory? _directory;
    private EnvironmentProcess? _environment;
    private int _schemas;

    internal EnvironmentProcess Environment => _environment ?? throw new InvalidOperationException("not started");

    /// <summary>What the server is started with.</summary>
    protected virtual string[] Options => [];

    public async ValueTask InitializeAsync()
    {
        _directory = new TemporaryDirectory();
        _environment = await EnvironmentProcess.StartAsync(_directory.Path, Options);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_environment is not null)
            await _environment.DisposeAsync();
        _directory?.Dispose();
    }

    /// <summary>A connection whose current schema is new and its own.</summary>
    internal async Task<Sql> OpenAsync(string more = "")
    {
        var schema = $"s{Interlocked.Increment(ref _schemas)}";
        var sql = new Sql(await Environment.ConnectAsync(more)) { Schema = schema };
        await sql.DoAsync($"CREATE SCHEMA {schema}");
        await sql.DoAsync($"SET search_path = {schema}");
        return sql;
    }

    /// <summary>A further connection in the schema of another.</summary>
    internal async Task<Sql> OpenBesideAsync(Sql other)
    {
        var sql = new Sql(await Environment.ConnectAsync()) { Schema = other.Schema };
        await sql.DoAsync($"SET search_path = {other.Schema}");
        return sql;
    }
}

/// <summary>The same, with its replicas inside it.</summary>
public sealed class InProcessServer : SharedServer
{
    internal static readonly string[] InProcess = ["--orchestrator", "in-process"];

    protected override string[] Options => InProcess;
}

/// <summary>A directory that goes with its test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("mz-system-").FullName;

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // A clusterd that is just ending may still write; the system cleans its temporary directory.
        }
    }
}
