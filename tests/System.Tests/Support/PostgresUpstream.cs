using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Materialize.SystemTests.Support;

/// <summary>A PostgreSQL 15 of a test's own, with logical replication, in a folder and on a port that go away with it.</summary>
internal sealed class PostgresUpstream : IAsyncDisposable
{
    private const string Bin = "/usr/lib/postgresql/15/bin";
    private readonly string _folder = Directory.CreateTempSubdirectory("mz-upstream-").FullName;

    private PostgresUpstream(int port) => Port = port;

    public int Port { get; }

    public static async Task<PostgresUpstream> StartAsync()
    {
        int port;
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            port = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        var server = new PostgresUpstream(port);
        if (Environment.UserName == "root")
            await RunAsync("chown", "postgres", server._folder);
        await server.ServerAsync("initdb", "-D", $"{server._folder}/data", "-U", "postgres", "--auth=trust", "-N");
        await File.AppendAllTextAsync($"{server._folder}/data/postgresql.conf", $"""

            port = {port}
            listen_addresses = '127.0.0.1'
            unix_socket_directories = '{server._folder}'
            wal_level = logical
            fsync = off

            """);
        await server.ServerAsync("pg_ctl", "-D", $"{server._folder}/data", "-l", $"{server._folder}/log", "-w", "start");
        return server;
    }

    public async Task<Sql> OpenAsync(string database = "postgres")
    {
        var open = new NpgsqlConnection($"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Pooling=false;Command Timeout=120");
        await open.OpenAsync();
        return new Sql(open);
    }

    /// <summary>Runs pgbench against the database <c>postgres</c> to its end.</summary>
    public Task PgbenchAsync(params string[] options) => RunAsync(
        $"{Bin}/pgbench", ["-h", "127.0.0.1", "-p", Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", .. options, "postgres"]);

    public async ValueTask DisposeAsync()
    {
        await ServerAsync("pg_ctl", "-D", $"{_folder}/data", "-m", "immediate", "-w", "stop");
        Directory.Delete(_folder, recursive: true);
    }

    private Task ServerAsync(string program, params string[] arguments) => Environment.UserName == "root"
        ? RunAsync("runuser", ["-u", "postgres", "--", $"{Bin}/{program}", .. arguments])
        : RunAsync($"{Bin}/{program}", arguments);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        // The server that pg_ctl leaves behind would keep a pipe open: it gets none.
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" > /dev/null 2>&1 < /dev/null", "sh", program, .. arguments]) { WorkingDirectory = "/" })!;
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} exited with {process.ExitCode}");
    }
}
