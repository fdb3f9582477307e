using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Materialize.Environmentd.Tests;

/// <summary>Servers inside the test's process, on data directories that go with the test.</summary>
public abstract class ServerTests : IDisposable
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("mz-embedded-").FullName;

    public void Dispose()
    {
        Directory.Delete(_directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected ServerOptions Options(string data) => new()
    {
        DataDirectory = Path.Combine(_directory, data),
        Orchestrator = OrchestratorKind.InProcess,
        Workers = 1,
        SqlListenAddress = new IPEndPoint(IPAddress.Loopback, 0),
        InternalSqlListenAddress = new IPEndPoint(IPAddress.Loopback, 0),
        HttpListenAddress = new IPEndPoint(IPAddress.Loopback, 0),
        InternalHttpListenAddress = new IPEndPoint(IPAddress.Loopback, 0),
    };

    protected Task<MaterializeServer> StartAsync(string data, ILoggerFactory? loggers = null) =>
        MaterializeServer.StartAsync(Options(data), loggers ?? NullLoggerFactory.Instance, CancellationToken.None).WaitAsync(Patience);

    protected static async Task<NpgsqlConnection> OpenAsync(MaterializeServer server)
    {
        var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={server.SqlEndPoint.Port};Username=materialize;Database=materialize;Pooling=false;Server Compatibility Mode=NoTypeLoading");
        await connection.OpenAsync();
        return connection;
    }

    protected static async Task DoAsync(NpgsqlConnection connection, string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }

    protected static async Task<(long, long)> RowAsync(NpgsqlConnection connection, string query)
    {
        await using var command = new NpgsqlCommand(query, connection);
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return (reader.GetInt64(0), reader.GetInt64(1));
    }
}
