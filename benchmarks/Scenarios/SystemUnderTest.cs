using System.Diagnostics;
using Npgsql;

namespace Materialize.Scenarios;

/// <summary>An environmentd with its clusterd processes, on ports and a directory of its own. Disposing ends them and removes the directory.</summary>
internal sealed class SystemUnderTest : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _directory;

    private SystemUnderTest(Process process, string directory, string connectionString)
    {
        _process = process;
        _directory = directory;
        ConnectionString = connectionString;
    }

    public string ConnectionString { get; }

    /// <summary>Starts the programs of a directory, or, with null, those that were built in this repository.</summary>
    /// <exception cref="InvalidOperationException">They are not there, or did not come up.</exception>
    public static async Task<SystemUnderTest> StartAsync(string? programs, int workers)
    {
        var (environmentd, clusterd) = programs is null ? Built() : (Path.Combine(programs, "environmentd"), Path.Combine(programs, "clusterd"));
        if (!File.Exists(environmentd) || !File.Exists(clusterd))
            throw new InvalidOperationException($"{environmentd} and {clusterd} are not built");
        var directory = Directory.CreateTempSubdirectory("materialize-scenarios").FullName;
        string[] arguments =
        [
            "--data-directory", Path.Combine(directory, "data"), "--sql-listen-addr", "127.0.0.1:0", "--http-listen-addr", "127.0.0.1:0",
            "--internal-sql-listen-addr", "127.0.0.1:0", "--internal-http-listen-addr", "127.0.0.1:0", "--clusterd-image", clusterd,
            "--workers", workers.ToString(System.Globalization.CultureInfo.InvariantCulture), "--log-filter", "warn",
        ];
        var start = new ProcessStartInfo(environmentd, arguments) { RedirectStandardOutput = true };
        var process = Process.Start(start) ?? throw new InvalidOperationException("environmentd did not start");
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("sql: ", StringComparison.Ordinal))
                continue;
            var port = line[(line.LastIndexOf(':') + 1)..];
            _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
            return new SystemUnderTest(
                process,
                directory,
                $"Host=127.0.0.1;Port={port};Username=materialize;Database=materialize;Server Compatibility Mode=NoTypeLoading;Pooling=false;Command Timeout=120");
        }

        throw new InvalidOperationException("environmentd ended before it was ready");
    }

    public async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>
    /// Processor time spent so far, of which a busy machine's figures say more than of elapsed time: this process (the client),
    /// environmentd, and all its clusterds.
    /// </summary>
    public (TimeSpan Client, TimeSpan Environmentd, TimeSpan Clusterds) ProcessorTime()
    {
        var clusterds = TimeSpan.Zero;
        foreach (var process in Process.GetProcessesByName("clusterd"))
        {
            using (process)
            {
                try
                {
                    if (Read($"/proc/{process.Id}/status") is { } lines && Number(lines, "PPid:") == _process.Id)
                        clusterds += process.TotalProcessorTime;
                }
                catch (InvalidOperationException)
                {
                    // It has ended meanwhile.
                }
            }
        }

        _process.Refresh();
        return (Environment.CpuUsage.TotalTime, _process.TotalProcessorTime, clusterds);
    }

    /// <summary>Resident bytes of environmentd and of all its clusterds.</summary>
    public (long Environmentd, long Clusterds) ResidentBytes()
    {
        var clusterds = 0L;
        foreach (var status in Directory.EnumerateDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _)).Select(d => d + "/status"))
        {
            if (Read(status) is { } lines && Number(lines, "PPid:") == _process.Id)
                clusterds += Number(lines, "VmRSS:") * 1024;
        }

        return (Number(Read($"/proc/{_process.Id}/status") ?? [], "VmRSS:") * 1024, clusterds);
    }

    public async ValueTask DisposeAsync()
    {
        using (var stop = Process.Start("kill", ["-TERM", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
            await stop.WaitForExitAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(15));
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static (string Environmentd, string Clusterd) Built()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Materialize.sln")))
            root = root.Parent;
        var sources = Path.Combine(root?.FullName ?? ".", "src");
        return (Path.Combine(sources, "Environmentd/bin/Release/net10.0/environmentd"), Path.Combine(sources, "Clusterd/bin/Release/net10.0/clusterd"));
    }

    private static string[]? Read(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (IOException)
        {
            // A process that has ended meanwhile.
            return null;
        }
    }

    private static long Number(string[] lines, string name) =>
        lines.FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal)) is { } line
            ? long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), System.Globalization.CultureInfo.InvariantCulture)
            : 0;
}
