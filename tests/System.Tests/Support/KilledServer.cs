using System.Diagnostics;

namespace Materialize.SystemTests.Support;

/// <summary>
/// An environment whose processes are killed while clients use it. Clients ask for <see cref="Current"/> whenever they connect, and
/// connect again when they are cut off.
/// </summary>
internal sealed class KilledServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private EnvironmentProcess? _current;
    private readonly System.Collections.Concurrent.ConcurrentQueue<string> _cutOff = new();

    public EnvironmentProcess Current => Volatile.Read(ref _current) ?? throw new InvalidOperationException("not started");

    /// <summary>One line for each kill, with how long the process was away.</summary>
    public List<string> Kills { get; } = [];

    public async Task StartAsync() => Volatile.Write(ref _current, await EnvironmentProcess.StartAsync(_directory.Path));

    /// <summary>kill -9 of the clusterds of user clusters, which environmentd starts again; returns at once.</summary>
    public void KillClusterds()
    {
        Current.KillClusterds();
        Kills.Add("clusterd killed");
    }

    /// <summary>kill -9 of environmentd and a new one on the same data, which serves when this returns.</summary>
    public async Task KillEnvironmentdAsync()
    {
        var killed = Current;
        await killed.KillAsync();
        var clock = Stopwatch.StartNew();
        await StartAsync();
        Kills.Add($"environmentd killed, served again after {clock.Elapsed.TotalSeconds:F1} s");
        await killed.DisposeAsync();
    }

    /// <summary>
    /// Uses connections until <paramref name="until"/>: whenever the server cuts one off, or refuses one, another is tried. What is
    /// not the server's being away passes through, and ends it.
    /// </summary>
    public async Task WhileItLivesAsync(Func<NpgsqlConnection, Task> use, CancellationToken until)
    {
        while (!until.IsCancellationRequested)
        {
            try
            {
                await using var connection = await Current.ConnectAsync("Command Timeout=20;");
                await use(connection);
            }
            catch (Exception e) when (IsAway(e))
            {
                _cutOff.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {e.GetType().Name}: {e.Message} {e.InnerException?.Message}");
                // Away: asked again, as a client would, without keeping a processor busy that its start needs.
                await Task.Delay(20, CancellationToken.None);
            }
        }
    }

    /// <summary>What is known, for who has to find out why something did not happen.</summary>
    public string State => string.Join("\n", [.. Kills, "clients were told:", .. _cutOff.TakeLast(12), "the log ends:", .. Current.Log.Split('\n').TakeLast(60)]);

    public async ValueTask DisposeAsync()
    {
        if (_current is not null)
            await _current.DisposeAsync();
        _directory.Dispose();
    }

    /// <summary>A lost connection, or an error in the place of an answer: allowed while a process is away. A wrong answer is not.</summary>
    private static bool IsAway(Exception e) => e is NpgsqlException or IOException or TimeoutException or InvalidOperationException { InnerException: NpgsqlException };
}
