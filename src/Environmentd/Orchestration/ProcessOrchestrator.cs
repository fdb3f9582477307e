using System.Diagnostics;
using System.Globalization;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>What every clusterd is told.</summary>
internal sealed record ClusterdSettings(string Executable, string BlobUrl, string ConsensusUrl, string PubSubUrl, string ScratchDirectory, string LogFilter);

/// <summary>
/// Runs replicas as child processes, reached over unix sockets, by which those of one replica also reach each other. All children end when this
/// process does, however it ends: they watch their standard input.
/// </summary>
internal sealed partial class ProcessOrchestrator(ClusterdSettings settings, TimeProvider time, ILoggerFactory loggers)
    : ReplicaSupervisor(new SocketTransport(), time, loggers)
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = loggers.CreateLogger<ProcessOrchestrator>();
    private readonly string _sockets = Directory.CreateTempSubdirectory("mz-").FullName;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (Directory.Exists(_sockets))
            Directory.Delete(_sockets, recursive: true);
    }

    protected override TransportAddress Address(ReplicaProcess process, string service) => new TransportAddress.Unix(Path.Combine(_sockets, process.NameOf(service)));

    protected override async Task<string> LiveAsync(ReplicaProcess process, Action started, CancellationToken cancel)
    {
        using var child = new Process { StartInfo = StartInfo(process) };
        try
        {
            child.Start();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            // A missing or unreadable executable may come back (an upgrade in progress); reads wait meanwhile.
            return $"cannot be started: {settings.Executable}: {e.Message}";
        }

        started();
        LogStarted(process.Host, process.Index, child.Id);
        try
        {
            await child.WaitForExitAsync(cancel);
            return $"exited with code {child.ExitCode}{MeaningOf(child.ExitCode)}";
        }
        catch (OperationCanceledException)
        {
            await StopAsync(child);
            return "was stopped";
        }
    }

    /// <summary>What those who operate it could not know from the number (reference: deployment §1.0).</summary>
    private string MeaningOf(int exitCode) => exitCode switch
    {
        135 => $" (SIGBUS: a page of a file in {settings.ScratchDirectory} or of a program could not be read or written; look for errors of the disk)",
        137 => " (SIGKILL: usually, the system was out of memory)",
        _ => "",
    };

    /// <summary>Closing its standard input asks it to stop; what does not is killed.</summary>
    private static async Task StopAsync(Process child)
    {
        child.StandardInput.Close();
        using var timeout = new CancellationTokenSource(StopTimeout);
        try
        {
            await child.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            child.Kill(entireProcessTree: true);
        }
    }

    private ProcessStartInfo StartInfo(ReplicaProcess process)
    {
        List<string> args =
        [
            "--storage-controller-listen-addr", $"{Address(process, "storage")}",
            "--compute-controller-listen-addr", $"{Address(process, "compute")}",
            "--internal-http-listen-addr", "127.0.0.1:0",
            "--process", process.Index.ToString(CultureInfo.InvariantCulture),
            "--mesh-addresses", string.Join(',', MeshOf(process)),
            "--workers", process.Size.Workers.ToString(CultureInfo.InvariantCulture),
            "--grpc-host", process.Host,
            "--exit-with-parent",
            "--persist-blob-url", settings.BlobUrl,
            "--persist-consensus-url", settings.ConsensusUrl,
            "--persist-pubsub-url", settings.PubSubUrl,
            "--log-filter", settings.LogFilter,
        ];
        if (process.Size.HasScratch)
            args.AddRange(["--scratch-directory", settings.ScratchDirectory]);
        if (process.Size.MemoryLimit is { } limit)
            args.AddRange(["--announce-memory-limit", limit.ToString(CultureInfo.InvariantCulture)]);
        return new ProcessStartInfo(settings.Executable, args) { UseShellExecute = false, RedirectStandardInput = true };
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "clusterd {Host} process {Index} started, pid {Pid}")]
    private partial void LogStarted(string host, int index, int pid);
}
