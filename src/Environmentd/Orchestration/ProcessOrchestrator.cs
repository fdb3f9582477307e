using System.Diagnostics;
using System.Globalization;
using Materialize.Controller;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>What every clusterd is told.</summary>
internal sealed record ClusterdSettings(string Executable, string BlobUrl, string ConsensusUrl, string PubSubUrl, string LogFilter);

/// <summary>
/// Runs replicas as child processes, reached over unix sockets, by which those of one replica also reach each other. A child that dies is started again, with a growing pause if it
/// keeps dying; all children end when this process does, however it ends: they watch their standard input.
/// </summary>
internal sealed partial class ProcessOrchestrator : IReplicaOrchestrator
{
    private static readonly TimeSpan RestartPauseMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly ClusterdSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly string _sockets = Directory.CreateTempSubdirectory("mz-").FullName;

    // Guards the map: the coordinator adds and drops, disposal takes all.
    private readonly Lock _gate = new();
    private readonly Dictionary<(InstanceId, string), Replica> _replicas = [];

    public ProcessOrchestrator(ClusterdSettings settings, TimeProvider time, ILoggerFactory loggers)
    {
        _settings = settings;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger<ProcessOrchestrator>();
    }

    public ReplicaEndpoints EnsureReplica(InstanceId instance, string replica, ReplicaSize size)
    {
        lock (_gate)
        {
            if (!_replicas.TryGetValue((instance, replica), out var running))
            {
                running = new Replica(this, instance, replica, size);
                _replicas.Add((instance, replica), running);
                running.Start();
            }

            return running.Endpoints;
        }
    }

    public async ValueTask DropReplicaAsync(InstanceId instance, string replica)
    {
        Replica? dropped;
        lock (_gate)
            _replicas.Remove((instance, replica), out dropped);
        if (dropped is not null)
            await dropped.StopAsync();
    }

    public async ValueTask DisposeAsync()
    {
        List<Replica> all;
        lock (_gate)
        {
            all = [.. _replicas.Values];
            _replicas.Clear();
        }

        await Task.WhenAll(all.Select(r => r.StopAsync()));
        Directory.Delete(_sockets, recursive: true);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "clusterd {Instance}.{Replica} process {Index} started, pid {Pid}")]
    private partial void LogStarted(InstanceId instance, string replica, int index, int pid);

    [LoggerMessage(Level = LogLevel.Warning, Message = "clusterd {Instance}.{Replica} process {Index} exited with code {Code}; starting it again in {PauseMs} ms")]
    private partial void LogExited(InstanceId instance, string replica, int index, int code, double pauseMs);

    [LoggerMessage(Level = LogLevel.Error, Message = "clusterd {Instance}.{Replica} cannot be started: {Reason}")]
    private partial void LogCannotStart(InstanceId instance, string replica, string reason);

    /// <summary>The processes of one replica.</summary>
    private sealed class Replica
    {
        private readonly ProcessOrchestrator _owner;
        private readonly InstanceId _instance;
        private readonly string _name;
        private readonly ReplicaSize _size;
        private readonly CancellationTokenSource _stop = new();
        private readonly List<Task> _loops = [];

        public Replica(ProcessOrchestrator owner, InstanceId instance, string name, ReplicaSize size)
        {
            (_owner, _instance, _name, _size) = (owner, instance, name, size);
            var transport = new SocketTransport();
            Endpoints = new ReplicaEndpoints(
                [.. Enumerable.Range(0, size.Processes).Select(i => Connect(transport, i, "compute", ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses))],
                [.. Enumerable.Range(0, size.Processes).Select(i => Connect(transport, i, "storage", ProtocolCodecs.StorageCommands, ProtocolCodecs.StorageResponses))]);
        }

        public ReplicaEndpoints Endpoints { get; }

        public void Start()
        {
            for (var i = 0; i < _size.Processes; i++)
            {
                var index = i;
                _loops.Add(Task.Run(() => RunAsync(index, _stop.Token)));
            }
        }

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await Task.WhenAll(_loops);
            _stop.Dispose();
        }

        private string Socket(int index, string service) => Path.Combine(_owner._sockets, $"{_instance}-{_name}-{index}-{service}");

        private ControlConnector<TCommand, TResponse> Connect<TCommand, TResponse>(
            ITransport transport, int index, string service, IMessageCodec<TCommand> commands, IMessageCodec<TResponse> responses)
            where TCommand : class
            where TResponse : class =>
            new(new CommandClient<TCommand, TResponse>(
                transport,
                new TransportAddress.Unix(Socket(index, service)),
                new FrameHello(ProtocolCodecs.Version, service, $"{_instance}.{_name}"),
                FrameOptions.Client,
                commands,
                responses,
                _owner._time,
                _owner._loggers.CreateLogger<ProcessOrchestrator>())
            { RetryMin = TimeSpan.FromMilliseconds(20) });

        private async Task RunAsync(int index, CancellationToken cancel)
        {
            var pause = TimeSpan.FromMilliseconds(50);
            while (!cancel.IsCancellationRequested)
            {
                using var process = new Process { StartInfo = StartInfo(index) };
                try
                {
                    process.Start();
                }
                catch (System.ComponentModel.Win32Exception e)
                {
                    // A missing or unreadable executable may come back (an upgrade in progress); reads wait meanwhile.
                    _owner.LogCannotStart(_instance, _name, $"{_owner._settings.Executable}: {e.Message}");
                    if (!await PauseAsync(RestartPauseMax, cancel))
                        return;
                    continue;
                }

                var started = _owner._time.GetTimestamp();
                _owner.LogStarted(_instance, _name, index, process.Id);
                try
                {
                    await process.WaitForExitAsync(cancel);
                }
                catch (OperationCanceledException)
                {
                    await StopProcessAsync(process);
                    return;
                }

                // One that ran for a while may be started again at once.
                pause = _owner._time.GetElapsedTime(started) > TimeSpan.FromSeconds(10)
                    ? TimeSpan.FromMilliseconds(50)
                    : TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, RestartPauseMax.Ticks));
                _owner.LogExited(_instance, _name, index, process.ExitCode, pause.TotalMilliseconds);
                if (!await PauseAsync(pause, cancel))
                    return;
            }
        }

        /// <summary>False when told to stop meanwhile.</summary>
        private async Task<bool> PauseAsync(TimeSpan pause, CancellationToken cancel)
        {
            try
            {
                await Task.Delay(pause, _owner._time, cancel);
                return true;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }

        /// <summary>Closing its standard input asks it to stop; what does not is killed.</summary>
        private static async Task StopProcessAsync(Process process)
        {
            process.StandardInput.Close();
            using var timeout = new CancellationTokenSource(StopTimeout);
            try
            {
                await process.WaitForExitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
            }
        }

        private ProcessStartInfo StartInfo(int index)
        {
            var settings = _owner._settings;
            string[] args =
            [
                "--storage-controller-listen-addr", $"unix:{Socket(index, "storage")}",
                "--compute-controller-listen-addr", $"unix:{Socket(index, "compute")}",
                "--internal-http-listen-addr", "127.0.0.1:0",
                "--process", index.ToString(CultureInfo.InvariantCulture),
                "--mesh-addresses", string.Join(',', Enumerable.Range(0, _size.Processes).Select(i => $"unix:{Socket(i, "mesh")}")),
                "--workers", _size.Workers.ToString(CultureInfo.InvariantCulture),
                "--grpc-host", $"{_instance}.{_name}",
                "--exit-with-parent",
                "--persist-blob-url", settings.BlobUrl,
                "--persist-consensus-url", settings.ConsensusUrl,
                "--persist-pubsub-url", settings.PubSubUrl,
                "--log-filter", settings.LogFilter,
            ];
            var info = new ProcessStartInfo(settings.Executable, args) { UseShellExecute = false, RedirectStandardInput = true };
            return info;
        }
    }
}
