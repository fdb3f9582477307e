using Materialize.Compute;
using Materialize.Persist;
using Materialize.Protocol;
using Materialize.Storage;
using Microsoft.Extensions.Logging;

namespace Materialize.Clusterd;

/// <summary>What one clusterd process is made of.</summary>
public sealed record ClusterdOptions
{
    public required ITransport Transport { get; init; }

    public required TransportAddress ComputeAddress { get; init; }

    public required TransportAddress StorageAddress { get; init; }

    public required int Workers { get; init; }

    /// <inheritdoc cref="ComputeOptions.PinWorkers"/>
    public bool PinWorkers { get; init; }

    /// <summary>Which of the replica's processes this is.</summary>
    public int Process { get; init; }

    /// <summary>Where each of the replica's processes listens for the others; one or none: there are no others.</summary>
    public IReadOnlyList<TransportAddress> MeshAddresses { get; init; } = [];

    /// <summary>Not owned.</summary>
    public required PersistClient Persist { get; init; }

    /// <summary>The replica's name, to turn away misdirected controllers and processes of others; empty: no controller is.</summary>
    public string Host { get; init; } = "";

    public required TimeProvider Time { get; init; }

    public required ILoggerFactory Logs { get; init; }

    /// <summary>Told, once, what keeps this process from going on; it should end. See <see cref="ComputeOptions.Fatal"/>.</summary>
    public required Action<Exception> Fatal { get; init; }
}

/// <summary>
/// A clusterd: compute and storage side, each behind a server for one controller. The process and the in-process orchestrator both
/// start this.
/// </summary>
public sealed class ClusterdHost : IAsyncDisposable
{
    private readonly ComputeState _compute;
    private readonly IStorageRuntime _storage;
    private readonly ITransportListener _computeListener;
    private readonly ITransportListener _storageListener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    private ClusterdHost(ClusterdOptions options, ITransportListener compute, ITransportListener storage)
    {
        _computeListener = compute;
        _storageListener = storage;
        _storage = new PostgresStorageRuntime(options.Persist, options.Time, options.Logs);
        _compute = new ComputeState(new ComputeOptions
        {
            Workers = options.Workers,
            PinWorkers = options.PinWorkers,
            Mesh = options.MeshAddresses.Count > 1 ? new ReplicaMesh(options.Host, options.Process, options.MeshAddresses, options.Transport) : null,
            Persist = options.Persist,
            Time = options.Time,
            Logs = options.Logs,
            Fatal = options.Fatal,
        });
        var logger = options.Logs.CreateLogger<ClusterdHost>();
        var computeServer = new CommandServer<ComputeCommand, ComputeResponse>(
            compute,
            new FrameHello(ProtocolCodecs.Version, "compute", options.Host),
            FrameOptions.Server,
            ProtocolCodecs.ComputeCommands,
            ProtocolCodecs.ComputeResponses,
            _compute.ServeAsync,
            options.Time,
            logger);
        var storageServer = new CommandServer<StorageCommand, StorageResponse>(
            storage,
            new FrameHello(ProtocolCodecs.Version, "storage", options.Host),
            FrameOptions.Server,
            ProtocolCodecs.StorageCommands,
            ProtocolCodecs.StorageResponses,
            new StorageServer(_storage).ServeAsync,
            options.Time,
            logger);
        _serving = Task.WhenAll(computeServer.RunAsync(_stop.Token), storageServer.RunAsync(_stop.Token));
    }

    /// <summary>Where it listens, with the port that the system chose.</summary>
    public TransportAddress ComputeAddress => _computeListener.Address;

    /// <summary>Where it listens, with the port that the system chose.</summary>
    public TransportAddress StorageAddress => _storageListener.Address;

    /// <summary>Exports of the dataflows that run here.</summary>
    public int CollectionCount => _compute.CollectionCount;

    /// <inheritdoc cref="ComputeState.SinkBacklogBytes"/>
    public long SinkBacklogBytes => _compute.SinkBacklogBytes;

    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public static async Task<ClusterdHost> StartAsync(ClusterdOptions options, CancellationToken cancel)
    {
        var compute = await options.Transport.ListenAsync(options.ComputeAddress, cancel);
        try
        {
            return new ClusterdHost(options, compute, await options.Transport.ListenAsync(options.StorageAddress, cancel));
        }
        catch
        {
            await compute.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _computeListener.DisposeAsync();
        await _storageListener.DisposeAsync();
        await _serving;
        await _storage.DisposeAsync();
        await _compute.DisposeAsync();
        _stop.Dispose();
    }
}
