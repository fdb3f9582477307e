using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Materialize.SystemTests.Support;

/// <summary>A running environmentd, and through it its clusterds, on a data directory. Dispose kills all of them.</summary>
internal sealed partial class EnvironmentProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _log = new();
    private readonly ConcurrentDictionary<string, int> _clusterds = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private EnvironmentProcess(Process process) => _process = process;

    public int SqlPort { get; private set; }

    public int InternalSqlPort { get; private set; }

    /// <summary>As printed: the public address first, the internal one second.</summary>
    public List<string> HttpAddresses { get; } = [];

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>Everything the program wrote, oldest first.</summary>
    public string Log => string.Join('\n', _log);

    /// <summary>The ids of the running clusterds of user clusters, as environmentd last announced them.</summary>
    public IReadOnlyList<int> Clusterds => [.. _clusterds.Where(c => c.Key.StartsWith('u')).Select(c => c.Value)];

    /// <summary>The program as it was built along with the tests, or the one in the folder that <c>MZ_PROGRAMS</c> names.</summary>
    public static string PathOf(string program) => Path.GetFullPath(
        Environment.GetEnvironmentVariable("MZ_PROGRAMS") is { Length: > 0 } folder
            ? Path.Combine(folder, program)
            : typeof(EnvironmentProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == program).Value!);

    /// <summary>Starts the program and waits until it serves.</summary>
    /// <exception cref="InvalidOperationException">It ended before it served; the message holds its log.</exception>
    public static async Task<EnvironmentProcess> StartAsync(string dataDirectory, params string[] more)
    {
        var environment = Launch(dataDirectory, more);
        var first = await Task.WhenAny(environment._ready.Task, environment._process.WaitForExitAsync(), Task.Delay(StartPatience));
        if (first == environment._ready.Task)
            return environment;
        var log = environment.Log;
        await environment.DisposeAsync();
        throw new InvalidOperationException($"environmentd did not start:\n{log}");
    }

    /// <summary>Starts the program without waiting: for the cases in which it must refuse.</summary>
    public static EnvironmentProcess Launch(string dataDirectory, params string[] more)
    {
        string[] args =
        [
            "--data-directory", dataDirectory, "--clusterd-image", PathOf("clusterd"), "--sql-listen-addr", "127.0.0.1:0",
            "--http-listen-addr", "127.0.0.1:0", "--internal-sql-listen-addr", "127.0.0.1:0", "--internal-http-listen-addr", "127.0.0.1:0", .. more,
        ];
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(PathOf("environmentd"), args) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true },
        };
        var environment = new EnvironmentProcess(process);
        process.OutputDataReceived += (_, e) => environment.Wrote(e.Data);
        process.ErrorDataReceived += (_, e) => environment.Wrote(e.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return environment;
    }

    public NpgsqlDataSource Client(string more = "") => NpgsqlDataSource.Create(
        $"Host=127.0.0.1;Port={SqlPort};Username=materialize;Database=materialize;Pooling=false;Server Compatibility Mode=NoTypeLoading;Timeout=30;Command Timeout=60;{more}");

    public async Task<NpgsqlConnection> ConnectAsync(string more = "")
    {
        var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={SqlPort};Username=materialize;Database=materialize;Pooling=false;Server Compatibility Mode=NoTypeLoading;Timeout=30;Command Timeout=60;{more}");
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>kill -9, as from outside. The clusterds see their parent go and end on their own.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>The processes of a cluster that has one replica, as last announced; in their order.</summary>
    public IReadOnlyList<int> ProcessesOf(string cluster) =>
        [.. _clusterds.Where(c => c.Key.StartsWith($"{cluster}.", StringComparison.Ordinal)).OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => c.Value)];

    /// <summary>kill -9 of each clusterd of a user cluster.</summary>
    public void KillClusterds() => Kill(Clusterds);

    /// <summary>kill -9 of clusterds.</summary>
    public static void Kill(params IEnumerable<int> clusterds)
    {
        foreach (var id in clusterds)
        {
            try
            {
                using var process = Process.GetProcessById(id);
                if (process.ProcessName.StartsWith("clusterd", StringComparison.Ordinal))
                    process.Kill();
            }
            catch (ArgumentException)
            {
                // Gone already.
            }
        }
    }

    /// <summary>SIGTERM, and the exit code of a tidy end.</summary>
    public async Task<int> StopAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        await _process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token);
        return _process.ExitCode;
    }

    public Task WaitForExitAsync(TimeSpan patience) => _process.WaitForExitAsync(new CancellationTokenSource(patience).Token);

    /// <summary>Resident bytes of environmentd.</summary>
    public long ResidentBytes()
    {
        _process.Refresh();
        return _process.WorkingSet64;
    }

    /// <summary>A figure of a clusterd, from the one TCP port that it listens on.</summary>
    public static async Task<string> MetricOfAsync(int clusterd, string name)
    {
        var sockets = Directory.GetFiles($"/proc/{clusterd}/fd").Select(f => new FileInfo(f).LinkTarget).OfType<string>().Where(t => t.StartsWith("socket:[", StringComparison.Ordinal))
            .Select(t => t["socket:[".Length..^1]).ToHashSet();
        var ports = (await File.ReadAllLinesAsync("/proc/net/tcp")).Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields[3] == "0A" && sockets.Contains(fields[9])).Select(fields => int.Parse(fields[1].Split(':')[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync($"http://127.0.0.1:{Assert.Single(ports)}/metrics");
        return metrics.Split('\n').Single(line => line.StartsWith(name + " ", StringComparison.Ordinal))[(name.Length + 1)..];
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        KillClusterds();
        _process.Dispose();
    }

    private void Wrote(string? line)
    {
        if (line is null)
            return;
        _log.Enqueue(line);
        if (ClusterdStarted().Match(line) is { Success: true } started)
            _clusterds[started.Groups[1].Value] = int.Parse(started.Groups[2].ValueSpan, CultureInfo.InvariantCulture);
        else if (line.StartsWith("sql: ", StringComparison.Ordinal))
            SqlPort = PortOf(line);
        else if (line.StartsWith("internal sql: ", StringComparison.Ordinal))
            InternalSqlPort = PortOf(line);
        else if (line.StartsWith("http: ", StringComparison.Ordinal))
            HttpAddresses.Add(line["http: ".Length..]);
        else if (line.StartsWith("Ready.", StringComparison.Ordinal))
            _ready.TrySetResult();
    }

    private static int PortOf(string line) => int.Parse(line.AsSpan(line.LastIndexOf(':') + 1), CultureInfo.InvariantCulture);

    [GeneratedRegex(@"clusterd (\S+ process \d+) started, pid (\d+)")]
    private static partial Regex ClusterdStarted();
}
