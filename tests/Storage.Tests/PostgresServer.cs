using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;

[assembly: AssemblyFixture(typeof(Materialize.Storage.Tests.PostgresServer))]

namespace Materialize.Storage.Tests;

/// <summary>A PostgreSQL server of the tests' own: in a folder and on a port that go away with them. One for all tests; each has its own database.</summary>
public sealed class PostgresServer : IAsyncLifetime
{
    private const string Bin = "/usr/lib/postgresql/15/bin";
    private readonly string _folder = Directory.CreateTempSubdirectory("storage-test-").FullName;
    private int _databases;

    public int Port { get; private set; }

    public async ValueTask InitializeAsync()
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Port = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        if (Environment.UserName == "root")
            await RunAsync("chown", "postgres", _folder);
        await ServerAsync("initdb", "-D", $"{_folder}/data", "-U", "postgres", "--auth=trust", "-N");
        await File.AppendAllTextAsync($"{_folder}/data/postgresql.conf", $"""

            port = {Port}
            listen_addresses = '127.0.0.1'
            unix_socket_directories = '{_folder}'
            wal_level = logical
            fsync = off
            max_connections = 60
            max_wal_senders = 30
            max_replication_slots = 30

            """);
        await StartAsync();
    }

    public Task StartAsync() => ServerAsync("pg_ctl", "-D", $"{_folder}/data", "-l", $"{_folder}/log", "-w", "start");

    /// <summary>Stops it as a crash would.</summary>
    public Task KillAsync() => ServerAsync("pg_ctl", "-D", $"{_folder}/data", "-m", "immediate", "-w", "stop");

    /// <summary>A new database with a publication <c>mz</c> for all its tables.</summary>
    public async Task<Upstream> NewDatabaseAsync()
    {
        var name = $"d{Interlocked.Increment(ref _databases)}";
        await using (var admin = await new Upstream(this, "postgres").OpenAsync())
            await Upstream.RunAsync(admin, $"CREATE DATABASE {name}");
        var upstream = new Upstream(this, name);
        await upstream.RunAsync("CREATE PUBLICATION mz FOR ALL TABLES");
        return upstream;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static Task ServerAsync(string program, params string[] arguments) => Environment.UserName == "root"
        ? RunAsync("runuser", ["-u", "postgres", "--", $"{Bin}/{program}", .. arguments])
        : RunAsync($"{Bin}/{program}", arguments);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        // The server that pg_ctl leaves behind would keep a pipe open: it gets none.
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = "/" };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec \"$@\" > /dev/null 2>&1 < /dev/null");
        start.ArgumentList.Add("sh");
        start.ArgumentList.Add(program);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} exited with {process.ExitCode}");
    }
}

/// <summary>One database of the server.</summary>
public sealed class Upstream(PostgresServer server, string database)
{
    public int Port => server.Port;

    public string Database => database;

    public async Task<NpgsqlConnection> OpenAsync()
    {
        var open = new NpgsqlConnection($"Host=127.0.0.1;Port={server.Port};Username=postgres;Database={database};Pooling=false");
        await open.OpenAsync(TestContext.Current.CancellationToken);
        return open;
    }

    public async Task RunAsync(string sql)
    {
        await using var open = await OpenAsync();
        await RunAsync(open, sql);
    }

    public static async Task RunAsync(NpgsqlConnection open, string sql)
    {
        await using var command = new NpgsqlCommand(sql, open);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>A connection that reads from a slot, answers the server's keepalives, and never ends of its own.</summary>
    public async Task<IAsyncDisposable> ReadSlotAsync(string slot)
    {
        var replication = new LogicalReplicationConnection($"Host=127.0.0.1;Port={server.Port};Username=postgres;Database={database};Pooling=false;Cancellation Timeout=-1");
        await replication.Open(TestContext.Current.CancellationToken);
        var messages = replication.StartReplication(new PgOutputReplicationSlot(slot), new PgOutputReplicationOptions("mz", PgOutputProtocolVersion.V1), CancellationToken.None);
        var reading = Task.Run(async () =>
        {
            await foreach (var message in messages)
                _ = message;
        });
        while ((await QueryAsync($"SELECT active::text FROM pg_replication_slots WHERE slot_name = '{slot}'"))[0] != "true")
            Assert.False(reading.IsCompleted, "it reads");
        return replication;
    }

    /// <summary>The first column of all rows, as text.</summary>
    public async Task<List<string>> QueryAsync(string sql)
    {
        await using var open = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, open) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var rows = new List<string>();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? "∅" : reader.GetString(i))));
        return rows;
    }
}
