using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Materialize.Slt.Client;

namespace Materialize.Slt.Run;

/// <summary>Nobody answers: the rest of a file cannot run.</summary>
public sealed class NoServerException(string message) : Exception(message);

/// <summary>
/// The server that one worker's files run against: given, or started here afresh for each file. Makes a clean slate before each
/// file, as far as the server lets it: it may be Materialize or PostgreSQL.
/// </summary>
public sealed class ServerUnderTest : IDisposable
{
    private readonly RunOptions _options;
    private readonly string _database;
    private HashSet<string>? _keptRoles;
    private string _host;
    private int _port;
    private int _internalPort;
    private Process? _process;
    private string? _folder;
    private bool? _isMaterialize;

    public ServerUnderTest(RunOptions options, int worker)
    {
        _options = options;
        _host = options.Host;
        _port = options.Port;
        _internalPort = options.InternalPort == 0 ? options.Port : options.InternalPort;
        var name = options.Database ?? "materialize";
        _database = options.Jobs == 1 || options.ServerCommand is not null || !options.Resets ? name : $"{name}_w{worker}";
    }

    public string Host => _host;

    public int Port => _port;

    /// <exception cref="NoServerException">Nobody answers.</exception>
    /// <exception cref="ServerErrorException">The server refuses.</exception>
    public PgConnection Connect(string? user = null, string? password = null, string? database = null)
    {
        user ??= _options.User;
        var port = user is "mz_system" or "mz_support" ? _internalPort : _port;
        List<KeyValuePair<string, string>> parameters = [new("client_encoding", "UTF8"), .. _options.Parameters];
        var target = new ConnectTarget(
            _host, port, user, database ?? _database, password ?? (user == _options.User ? _options.Password : null), parameters, _options.Timeout);
        var patience = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return PgConnection.Open(target);
            }
            catch (Exception e) when (e is ConnectionLostException or AnswerTimeoutException)
            {
                if (patience.Elapsed > TimeSpan.FromSeconds(10))
                    throw new NoServerException(e.Message);
                if (_process is { HasExited: true })
                    StartServer();
                Thread.Sleep(200);
            }
        }
    }

    /// <summary>A clean slate.</summary>
    public void Reset()
    {
        if (_options.ServerCommand is not null)
        {
            StartServer();
            Administer(admin =>
            {
                if (IsMaterialize(admin))
                    SetUpMaterialize(admin);
            });
        }
        else if (_options.Resets)
        {
            Administer(admin =>
            {
                if (IsMaterialize(admin))
                    ResetMaterialize(admin);
                else
                    ResetPostgres(admin);
            });
        }
    }

    public void Dispose() => StopServer();

    private void StartServer()
    {
        StopServer();
        _folder = Directory.CreateTempSubdirectory("slt_").FullName;
        _host = "127.0.0.1";
        _port = FreePort();
        _internalPort = FreePort();
        var command = _options.ServerCommand!
            .Replace("{port}", _port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{internal_port}", _internalPort.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{dir}", _folder, StringComparison.Ordinal);
        if (!_options.ServerCommand!.Contains("{internal_port}", StringComparison.Ordinal))
            _internalPort = _port;

        // exec: the process that is stopped in the end is the server itself, not a shell that leaves it behind.
        _process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"exec {command} > {_folder}/server.log 2>&1 < /dev/null"]))!;
        var patience = Stopwatch.StartNew();
        while (patience.Elapsed < _options.ServerStartWait && !_process.HasExited)
        {
            try
            {
                using var probe = new TcpClient(_host, _port);
                return;
            }
            catch (SocketException)
            {
                Thread.Sleep(100);
            }
        }
    }

    private void StopServer()
    {
        if (_process is { } process)
        {
            if (!process.HasExited)
            {
                using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]))
                    kill.WaitForExit();
                if (!process.WaitForExit(TimeSpan.FromSeconds(5)))
                    process.Kill(entireProcessTree: true);
            }

            process.Dispose();
            _process = null;
        }

        if (_folder is not null && Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        _folder = null;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private void Administer(Action<Administration> work)
    {
        string[] users = _options.AdminUser is { } admin ? [admin] : ["mz_system", _options.User];
        foreach (var user in users)
        {
            foreach (var database in new[] { _options.AdminDatabase, _options.Database ?? "materialize" })
            {
                try
                {
                    using var connection = Connect(user, database: database);
                    try
                    {
                        work(new Administration(connection, _options.Timeout));
                    }
                    catch (ServerErrorException)
                    {
                        // A reset does what the server allows.
                    }

                    return;
                }
                catch (ServerErrorException)
                {
                    // This user or database is not known here: try the next.
                }
                catch (Exception e) when (e is ConnectionLostException or AnswerTimeoutException)
                {
                    throw new NoServerException($"reset: {e.Message}");
                }
            }
        }

        throw new NoServerException("no administrative connection could be made");
    }

    private bool IsMaterialize(Administration admin)
    {
        try
        {
            return _isMaterialize ??= admin.Ask("SELECT name FROM mz_databases LIMIT 1") is not null;
        }
        catch (ServerErrorException)
        {
            return (_isMaterialize = false).Value;
        }
    }

    private void SetUpMaterialize(Administration admin)
    {
        admin.Try("ALTER SYSTEM SET max_tables = 100");
        if (_options.EnableTableKeys)
            admin.Try("ALTER SYSTEM SET unsafe_enable_table_keys = true");
        admin.Try("ALTER SYSTEM SET unsafe_enable_unsafe_functions = on");
    }

    private void ResetMaterialize(Administration admin)
    {
        admin.Try("SET cluster = mz_catalog_server");
        admin.Try("ALTER SYSTEM RESET ALL");
        foreach (var database in admin.Ask("SELECT name FROM mz_databases"))
        {
            if (_options.Jobs == 1 || database == _database)
                admin.Try($"DROP DATABASE \"{database}\" CASCADE");
        }

        admin.Try($"CREATE DATABASE \"{_database}\"");
        if (_options.Jobs == 1)
        {
            foreach (var cluster in admin.Ask("SELECT name FROM mz_clusters WHERE id LIKE 'u%'").Where(c => c != "quickstart"))
                admin.Try($"DROP CLUSTER \"{cluster}\" CASCADE");

            // A script that dropped the usual cluster must not fail all that come after it.
            if (!admin.Ask("SELECT name FROM mz_clusters").Contains("quickstart"))
                admin.Try("CREATE CLUSTER quickstart (SIZE 'scale=1,workers=1', REPLICATION FACTOR 1)");
            foreach (var role in admin.Ask("SELECT name FROM mz_roles WHERE id LIKE 'u%'").Where(r => r != _options.User && r != "materialize"))
            {
                admin.Try($"DROP OWNED BY \"{role}\"");
                admin.Try($"DROP ROLE \"{role}\"");
            }
        }

        admin.Try($"GRANT USAGE ON DATABASE \"{_database}\" TO PUBLIC");
        admin.Try($"GRANT CREATE ON DATABASE \"{_database}\" TO \"{_options.User}\"");
        admin.Try($"GRANT CREATE ON SCHEMA \"{_database}\".public TO \"{_options.User}\"");
        admin.Try("GRANT USAGE ON CLUSTER quickstart TO PUBLIC");
        admin.Try($"GRANT CREATE ON CLUSTER quickstart TO \"{_options.User}\"");
        SetUpMaterialize(admin);
    }

    private void ResetPostgres(Administration admin)
    {
        _keptRoles ??= [.. admin.Ask("SELECT rolname FROM pg_roles")];
        admin.Try($"DROP DATABASE IF EXISTS \"{_database}\" WITH (FORCE)");
        admin.Try($"CREATE DATABASE \"{_database}\"");
        if (_options.Jobs > 1)
            return;
        foreach (var role in admin.Ask("SELECT rolname FROM pg_roles").Where(r => !_keptRoles.Contains(r) && !r.StartsWith("pg_", StringComparison.Ordinal)))
        {
            admin.Try($"DROP OWNED BY \"{role}\"");
            admin.Try($"DROP ROLE \"{role}\"");
        }
    }

    private sealed class Administration(PgConnection connection, TimeSpan timeout)
    {
        public void Try(string sql)
        {
            try
            {
                connection.Simple(sql, timeout);
            }
            catch (ServerErrorException)
            {
                // Not every server knows every statement of a reset.
            }
        }

        public List<string> Ask(string sql) => [.. connection.Simple(sql, timeout).Where(l => !l.StartsWith("COMPLETE ", StringComparison.Ordinal))];
    }
}
